//! Rules for Rust files: what each one opens with, and what may stand only in certain places. ARCHITECTURE.md says
//! why; the tables here say where.

use super::Finding;
use super::scan::{code, has_word};

/// A word that is allowed under certain paths only.
struct Confined {
    /// As it stands in the code.
    word: &'static str,
    /// Beginnings of the paths that may use it.
    within: &'static [&'static str],
    /// What is said elsewhere.
    message: &'static str,
}

/// Where something may be printed: by the tool's own two modules for that, and by what is no part of it.
const PRINTERS: &[&str] = &[
    "netlab-agent/src/cli",
    "netlab-agent/src/output",
    "netlab-agent/src/main.rs",
    "netlab-agent/tests/",
    "tests/",
    "xtask/",
];
const PRINTS: &str = "only `cli` and `output` print; return the value, or log it";
const LEFT: &str = "left behind; finish it or take it out";

const CONFINED: [Confined; 9] = [
    Confined { word: "println!", within: PRINTERS, message: PRINTS },
    Confined { word: "eprintln!", within: PRINTERS, message: PRINTS },
    Confined { word: "print!", within: PRINTERS, message: PRINTS },
    Confined { word: "eprint!", within: PRINTERS, message: PRINTS },
    Confined { word: "dbg!", within: &[], message: LEFT },
    Confined { word: "todo!", within: &[], message: LEFT },
    Confined { word: "unimplemented!", within: &[], message: LEFT },
    Confined {
        word: "unsafe",
        within: &[
            "netlab-common/src/abi/pod.rs",
            "netlab-ebpf/src/",
            "netlab-agent/src/sys.rs",
            "netlab-agent/src/sys/",
            "tests/src/",
        ],
        message: "`unsafe` is confined to a few files (ARCHITECTURE.md); put a safe function there",
    },
    Confined {
        word: "process::exit",
        within: &["netlab-agent/src/main.rs", "xtask/src/main.rs"],
        message: "only main.rs ends the process; return an error",
    },
];

/// A dependency that must not be: files under `from` may not name `to`.
struct Wall {
    from: &'static str,
    /// Parts of `from` that may.
    but: &'static [&'static str],
    to: &'static str,
}

const WALLS: [Wall; 7] = [
    Wall { from: "netlab-common/", but: &[], to: "netlab_agent" },
    Wall { from: "netlab-common/", but: &[], to: "netlab_ebpf" },
    Wall { from: "netlab-ebpf/", but: &[], to: "netlab_agent" },
    Wall { from: "netlab-agent/", but: &[], to: "netlab_ebpf" },
    Wall {
        from: "netlab-agent/src/",
        but: &["netlab-agent/src/cli", "netlab-agent/src/main.rs"],
        to: "crate::cli",
    },
    Wall { from: "xtask/", but: &["xtask/src/tidy/"], to: "netlab_agent" },
    Wall { from: "xtask/", but: &["xtask/src/tidy/"], to: "netlab_common" },
];

/// Programs that the agent does itself, over netlink and files under /proc.
const REPLACED: [&str; 5] = ["ip", "iptables", "nft", "sysctl", "brctl"];

/// The one file that may start them all the same: `netlab bench` compares netlab with them, in namespaces of its own.
const COMPARES: &str = "netlab-agent/src/bench/rivals.rs";

/// All rules for one file.
pub fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !text.starts_with("//!") {
        findings.push(Finding::new(1, "the file does not open with a `//!` paragraph on its one job"));
    }
    let bare = code(text, false);
    for (number, line) in (1..).zip(bare.lines()) {
        let within = |places: &[&str]| places.iter().any(|place| path.starts_with(place));
        for rule in CONFINED.iter().filter(|rule| has_word(line, rule.word)) {
            // Build scripts talk to cargo by printing.
            let script = rule.word == "println!" && path.ends_with("/build.rs");
            if !within(rule.within) && !script {
                findings.push(Finding::new(number, format!("`{}`: {}", rule.word, rule.message)));
            }
        }
        for wall in WALLS.iter().filter(|wall| has_word(line, wall.to)) {
            if path.starts_with(wall.from) && !within(wall.but) {
                findings.push(Finding::new(number, format!("{} must not know `{}`", wall.from, wall.to)));
            }
        }
    }
    if path.starts_with("netlab-agent/") && path != COMPARES {
        findings.extend(replaced_programs(text));
    }
    findings
}

fn replaced_programs(text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(code(text, true).lines()) {
        for program in REPLACED.iter().filter(|name| line.contains(&format!("Command::new(\"{name}\""))) {
            let message = format!("starts `{program}`; the agent does that itself, through netlink or /proc");
            findings.push(Finding::new(number, message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said about one line of code in a file that is otherwise right.
    fn say(path: &str, line: &str) -> Vec<String> {
        check(path, &format!("//! A file.\n{line}\n")).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn a_file_opens_with_its_one_job() {
        assert_eq!(check("tests/tests/a.rs", "use a::b;\n")[0].line, 1);
        assert!(say("tests/tests/a.rs", "use a::b;").is_empty());
    }

    #[test]
    fn only_cli_and_output_print() {
        assert_eq!(say("netlab-agent/src/stats.rs", "println!(\"a\");").len(), 1);
        assert_eq!(say("netlab-common/src/nat.rs", "eprint!(\"a\");").len(), 1);
        assert!(say("netlab-agent/src/cli/up.rs", "println!(\"a\");").is_empty());
        assert!(say("netlab-agent/src/output/table.rs", "eprintln!(\"a\");").is_empty());
        assert!(say("netlab-agent/build.rs", "println!(\"cargo:rerun-if-changed=a\");").is_empty());
        assert!(say("netlab-agent/src/stats.rs", "writeln!(out, \"println!\")?; // println!").is_empty());
    }

    #[test]
    fn unsafe_code_stays_in_its_files() {
        assert_eq!(say("netlab-agent/src/stats.rs", "unsafe { f() }").len(), 1);
        assert!(say("netlab-agent/src/stats.rs", "#![deny(unsafe_code)]").is_empty());
        assert!(say("netlab-agent/src/sys.rs", "unsafe { f() }").is_empty());
        assert!(say("netlab-common/src/abi/pod.rs", "unsafe impl Pod for A {}").is_empty());
        assert_eq!(say("netlab-common/src/abi/flow.rs", "unsafe impl Pod for A {}").len(), 1);
    }

    #[test]
    fn only_main_ends_the_process() {
        assert_eq!(say("netlab-agent/src/cli/mod.rs", "std::process::exit(1);").len(), 1);
        assert!(say("netlab-agent/src/main.rs", "std::process::exit(1);").is_empty());
        assert!(say("netlab-agent/src/cli/mod.rs", "process::exit_code(1);").is_empty());
    }

    #[test]
    fn nothing_unfinished_is_left_behind_anywhere() {
        for word in ["todo!()", "unimplemented!()", "dbg!(x)"] {
            assert_eq!(say("tests/src/a.rs", word).len(), 1, "{word}");
        }
    }

    #[test]
    fn the_agent_starts_none_of_the_programs_it_replaces() {
        assert_eq!(say("netlab-agent/src/topology/apply.rs", "Command::new(\"ip\").arg(\"link\");").len(), 1);
        assert!(say("netlab-agent/src/topology/apply.rs", "Command::new(\"ipython\");").is_empty());
        assert!(say("tests/src/lab.rs", "Command::new(\"ip\");").is_empty());
        assert!(say("netlab-agent/src/bench/rivals.rs", "Command::new(\"nft\");").is_empty());
        assert_eq!(say("netlab-agent/src/bench/bed.rs", "Command::new(\"nft\");").len(), 1);
    }

    #[test]
    fn dependencies_point_inwards() {
        assert_eq!(say("netlab-common/src/nat.rs", "use netlab_agent::lab;").len(), 1);
        assert_eq!(say("netlab-agent/src/stats.rs", "use crate::cli::Options;").len(), 1);
        assert!(say("netlab-agent/src/main.rs", "use crate::cli::Options;").is_empty());
        assert!(say("netlab-agent/src/stats.rs", "use crate::client;").is_empty());
    }
}
