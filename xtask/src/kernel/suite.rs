//! Which tests run in the guest: those of the packages that need a kernel, less what only looks at bytes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::process::Cmd;

/// A test in one of the built programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// The package's folder, where it expects to be.
    folder: PathBuf,
    /// The program.
    program: PathBuf,
    /// The program's name.
    suite: String,
    /// The test's.
    name: String,
}

/// Programs that ask the kernel nothing, or compare its answers with those of the running one.
const LEFT_OUT: [(&str, &str); 5] = [
    ("bench", "measures, and on a machine that slow there is nothing to measure"),
    ("docs", "compares documents with the code"),
    ("properties", "is about bytes; the cases of `parity` are played in the guest"),
    ("scenarios", "is about what only the host can play"),
    ("verifier", "has its budget from the running kernel"),
];

/// Programs that run unless others are asked for: what another kernel may take otherwise. Every lab that comes up
/// there costs some ten seconds, because the verifier is as slow as all the rest; so what tries netlab's own
/// bookkeeping, and not the kernel, waits for `--long`.
const CORE: [&str; 7] = ["object", "attach", "features", "nat", "nat_guard", "tutorial", "parity"];

/// Which tests are wanted.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// Those that try the kernel.
    Core,
    /// All that need one.
    All,
    /// Those whose name contains one of these.
    Named(&'a [String]),
}

impl Wanted<'_> {
    fn includes(self, suite: &str, name: &str) -> bool {
        match self {
            Wanted::Core => CORE.contains(&suite),
            Wanted::All => true,
            Wanted::Named(words) => {
                let full = format!("{suite}::{name}");
                words.iter().any(|word| full.contains(word.as_str()))
            }
        }
    }
}

/// A program full of tests.
#[derive(Debug, PartialEq, Eq)]
struct Program {
    folder: PathBuf,
    path: PathBuf,
    suite: String,
}

/// Builds the tests, and lists those that are wanted. The programs are given other names in a folder of the guest's
/// own, so that a build which goes on meanwhile takes none of them away.
pub fn tests(root: &Path, folder: &Path, wanted: Wanted<'_>) -> Result<Vec<Test>> {
    let which = ["test", "--no-run", "--locked", "--workspace", "--exclude", "netlab-ebpf", "--tests"];
    let form = ["--message-format", "json-render-diagnostics"];
    let messages = Cmd::cargo(root).args(which).args(form).read()?;
    let mut tests = Vec::new();
    for mut program in messages.lines().filter_map(|line| program(root, line)) {
        if let Some((suite, why)) = LEFT_OUT.iter().find(|(suite, _)| *suite == program.suite) {
            eprintln!("kernel: {suite} is left out: it {why}");
            continue;
        }
        let list = |more: &[&str]| {
            Cmd::new(&program.path)
                .dir(&program.folder)
                .args(["--list", "--format", "terse"])
                .args(more)
                .read()
        };
        let (all, ignored) = (list(&[])?, list(&["--ignored"])?);
        program.path = keep(&program.path, &folder.join(&program.suite))?;
        for name in names(&all) {
            if wanted.includes(&program.suite, name) && !names(&ignored).any(|other| other == name) {
                tests.push(Test {
                    folder: program.folder.clone(),
                    program: program.path.clone(),
                    suite: program.suite.clone(),
                    name: name.to_owned(),
                });
            }
        }
    }
    // The verifier's work takes longest there, and says least about what follows.
    tests.sort_by_key(|test| test.suite == "parity");
    if tests.is_empty() {
        bail!("there is no such test among those that need a kernel");
    }
    Ok(tests)
}

/// Gives a program a second name; it stays what it is when the first one is built anew.
pub fn keep(program: &Path, name: &Path) -> Result<PathBuf> {
    let _ = fs::remove_file(name);
    fs::hard_link(program, name)
        .or_else(|_| fs::copy(program, name).map(drop))
        .with_context(|| format!("{} cannot be made", name.display()))?;
    Ok(name.to_owned())
}

/// The list as the guest reads it.
pub fn list(tests: &[Test]) -> String {
    let line = |test: &Test| {
        format!("{}\t{}\t{}\t{}\n", test.folder.display(), test.program.display(), test.suite, test.name)
    };
    tests.iter().map(line).collect()
}

/// The tests in a program's answer.
fn names(list: &str) -> impl Iterator<Item = &str> {
    list.lines().filter_map(|line| line.strip_suffix(": test"))
}

/// The program that one of cargo's messages is about, if it has tests for the guest. Each message is one line of
/// JSON, and what is looked for holds nothing that JSON would escape; a search for the keys is enough.
fn program(root: &Path, message: &str) -> Option<Program> {
    let after = |text: &str, key: &str| -> Option<String> {
        let (_, rest) = text.split_once(&format!("\"{key}\":\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let path = PathBuf::from(after(message, "executable")?);
    let manifest = PathBuf::from(after(message, "manifest_path")?);
    let (_, target) = message.split_once("\"target\":{")?;
    let is_test = target.starts_with("\"kind\":[\"test\"]");
    let folder = manifest.parent()?;
    let needs_kernel = [root.join("tests"), root.join("netlab-agent")].iter().any(|one| one == folder);
    (is_test && needs_kernel).then_some(Program {
        folder: folder.to_owned(),
        path,
        suite: after(target, "name").context("a target has a name").ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = r#"{"reason":"compiler-artifact","package_id":"x","manifest_path":"/repo/tests/Cargo.toml","target":{"kind":["test"],"crate_types":["bin"],"name":"parity","src_path":"/repo/tests/tests/parity.rs"},"executable":"/t/debug/deps/parity-0a"}"#;

    #[test]
    fn test_programs_of_the_packages_that_need_a_kernel_are_taken_and_no_others() {
        let root = Path::new("/repo");
        let found = program(root, MESSAGE).unwrap();
        assert_eq!((found.suite.as_str(), found.folder.as_path()), ("parity", Path::new("/repo/tests")));
        assert_eq!(program(root, &MESSAGE.replace("/repo/tests/C", "/repo/netlab-common/C")), None);
        assert_eq!(program(root, &MESSAGE.replace("[\"test\"]", "[\"lib\"]")), None);
    }

    #[test]
    fn names_are_told_from_the_rest_of_a_list() {
        let list = "one_holds: test\nmodule::two_holds: test\nfast: benchmark\n\n2 tests, 1 benchmark\n";
        assert_eq!(names(list).collect::<Vec<_>>(), ["one_holds", "module::two_holds"]);
    }
}
