//! What README.md and the tutorial tell the reader to type is typed here, in their order, in one private machine a
//! document; and what is printed is compared with what they show.
//!
//! In a block marked `console`, a line that begins with `$ ` is a command, and the lines below it are what it
//! prints. A command that ends in `# exits N` must end with that status, any other with 0. The output is compared
//! line by line after [`loose`] took away what differs from run to run; further lines may stand between the shown
//! ones; `…` stands for a line that is left out, and at the end of a line for its rest. A command without output in
//! the document must print nothing.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use netlab_tests::machine::{Machine, netlab, workspace};
use netlab_tests::need::need_root;

/// Beginnings of commands that are not for a private machine: what they build is what this test runs on.
const ABOUT_THE_CLONE: [&str; 2] = ["cargo xtask ", "git clone "];

/// One command of a document.
struct Shown {
    /// Its line in the document, from 1.
    line: usize,
    command: String,
    status: i32,
    output: Vec<String>,
}

/// The commands of a document, in order.
fn shown(text: &str) -> Vec<Shown> {
    let mut commands: Vec<Shown> = Vec::new();
    let mut inside = false;
    for (line, text) in (1..).zip(text.lines()) {
        if text.starts_with("```") {
            inside = text == "```console";
        } else if !inside {
            continue;
        } else if let Some(command) = text.strip_prefix("$ ") {
            let status = command.rsplit_once(" # exits ").map_or(0, |(_, status)| {
                status.parse().unwrap_or_else(|_| panic!("line {line}: `{status}` is no exit status"))
            });
            commands.push(Shown { line, command: command.into(), status, output: Vec::new() });
        } else {
            let last = commands.last_mut().unwrap_or_else(|| panic!("line {line}: output of no command"));
            last.output.push(text.into());
        }
    }
    commands
}

/// A line without what differs from run to run: numbers, but not IPv4 addresses; hardware addresses; units of
/// bytes; how far a closing connection has come; the width of columns.
fn loose(line: &str) -> String {
    let words = line.split_whitespace().map(|word| match word {
        "KiB" | "MiB" => "B".to_owned(),
        "CLOSE" | "FIN_WAIT" => "TIME_WAIT".to_owned(),
        _ if word.len() == 17 && word.split(':').all(|part| u8::from_str_radix(part, 16).is_ok()) => {
            "MAC".to_owned()
        }
        _ => without_numbers(word),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn without_numbers(word: &str) -> String {
    let mut result = String::new();
    let mut rest = word;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(from.len());
        let number = from[..end].trim_end_matches('.');
        result += before;
        result += if number.parse::<Ipv4Addr>().is_ok() { number } else { "#" };
        rest = &from[number.len()..];
    }
    result + rest
}

/// The first line of the document that has no match in what was printed.
fn missing<'a>(wanted: &'a [String], printed: &str) -> Option<&'a str> {
    let mut lines = printed.lines().map(loose);
    wanted.iter().map(String::as_str).filter(|line| *line != "…" && !line.trim().is_empty()).find(|line| {
        let matches = |printed: String| match line.strip_suffix('…') {
            Some(start) => printed.starts_with(&loose(start)),
            None => printed == loose(line),
        };
        !lines.any(matches)
    })
}

/// Runs every command of a document, and says everything that came out otherwise.
fn follow(document: &str) {
    if !need_root() {
        return;
    }
    let text = fs::read_to_string(workspace().join(document)).expect("the document is in the repository");
    let commands = shown(&text);
    assert!(!commands.is_empty(), "{document} has commands");
    let machine = Machine::new();
    let bin = machine.folder().join("bin");
    fs::create_dir(&bin).expect("a fresh folder");
    symlink(netlab(), bin.join("netlab")).expect("a fresh folder");
    let examples = workspace().join("examples");
    let _ = machine.sh(&format!("cp -r '{}' .", examples.display())).ok();

    let mut problems = String::new();
    for Shown { line, command, status, output } in &commands {
        if ABOUT_THE_CLONE.iter().any(|start| command.starts_with(start)) {
            continue;
        }
        // The command's own line ends before the brace, because it may end in a comment.
        let ran = machine.sh(&format!("export PATH='{}':$PATH\n{{\n{command}\n}} 2>&1", bin.display()));
        let mut say = |problem: &str| {
            problems += &format!("{document}:{line}: `{command}`: {problem}; it printed\n{}\n", ran.stdout);
        };
        if ran.code != *status {
            say(&format!("exit status {}", ran.code));
        }
        if let Some(line) = missing(output, &ran.stdout) {
            say(&format!("no line like `{line}`"));
        }
        if output.is_empty() && !ran.stdout.is_empty() {
            say("the document shows no output");
        }
    }
    assert!(problems.is_empty(), "{problems}");
}

#[test]
fn every_command_of_the_readme_does_what_it_shows() {
    follow("README.md");
}

#[test]
fn every_command_of_the_tutorial_does_what_it_shows() {
    follow("docs/tutorial.md");
}

#[test]
fn every_xtask_command_in_the_documents_exists() {
    let xtask: PathBuf = netlab().with_file_name("xtask");
    assert!(xtask.exists(), "{} is missing: run `cargo xtask build`", xtask.display());
    let mut found = 0;
    for document in ["README.md", "CONTRIBUTING.md", "docs/tutorial.md", "docs/verifier.md"] {
        let text = fs::read_to_string(workspace().join(document)).expect("the document is in the repository");
        for Shown { line, command, .. } in shown(&text) {
            let Some(arguments) = command.strip_prefix("cargo xtask ") else { continue };
            let arguments = arguments.split(" #").next().unwrap_or_default().split_whitespace();
            let output = Command::new(&xtask).args(arguments).arg("--help").output().expect("xtask starts");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{document}:{line}: `{command}` does not exist: {said}");
            found += 1;
        }
    }
    assert!(found > 0, "the documents name xtask's commands");
}

#[test]
fn the_readme_lists_every_verb() {
    let readme = fs::read_to_string(workspace().join("README.md")).expect("the README is in the repository");
    let help = Command::new(netlab()).arg("--help").output().expect("netlab starts");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let (_, verbs) = help.split_once("Commands:\n").expect("a list of commands");
    let verbs =
        verbs.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    for verb in verbs.filter(|verb| *verb != "help") {
        assert!(readme.contains(&format!("| `netlab {verb}")), "README.md does not list `{verb}`");
    }
}

#[test]
fn numbers_do_not_count_and_addresses_do() {
    let of = |line| loose(line);
    assert_eq!(of("reply in 0.36 ms"), of("reply  in 12 ms"));
    assert_eq!(of("1.23 KiB"), of("803 B"));
    assert_eq!(of("10.10.0.10:47206 >"), of("10.10.0.10:8 >"));
    assert_ne!(of("10.10.0.10 > 8.8.8.8"), of("10.10.0.20 > 8.8.8.8"));
    assert_eq!(of("lladdr fa:44:28:d7:98:7e"), of("lladdr 00:11:22:33:44:55"));
    assert_eq!(of("it ended in 8.8.8.8."), "it ended in 8.8.8.8.");
}

#[test]
fn lines_may_come_between_but_not_in_another_order() {
    let wanted = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(missing(&wanted("a\n…\nc…"), "a\nb\ncd\n"), None);
    assert_eq!(missing(&wanted("c\na"), "a\nb\nc\n"), Some("a"));
}
