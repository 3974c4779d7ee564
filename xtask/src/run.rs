//! `cargo xtask run`: from a fresh clone to a lab with traffic in it. On a terminal the lab stays, with live
//! counters, until Ctrl-C; otherwise it is brought up, checked, shown and taken down.

use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use crate::build;
use crate::process::{Cmd, is_root};
use crate::setup::{self, Purpose};
use crate::workspace::{self, quoted_value};

/// The steps without a terminal; its head says why it is a shell script.
const STEPS: &str = include_str!("run.sh");

/// Options of `run`.
#[derive(Args, Debug)]
pub struct Options {
    /// The lab file [default: examples/4-internet.toml]
    lab: Option<PathBuf>,
    #[command(flatten)]
    setup: setup::Options,
}

/// Sets up, builds, and becomes the lab's own process.
pub fn run(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    let lab = options.lab.clone().unwrap_or_else(|| root.join("examples/4-internet.toml"));
    let text =
        fs::read_to_string(&lab).with_context(|| format!("the lab file {} cannot be read", lab.display()))?;
    let name = quoted_value(&text, "name").with_context(|| {
        format!("{} has no `name = \"…\"`, so the lab cannot be addressed", lab.display())
    })?;

    let toolchain = setup::ensure(&root, options.setup, Purpose::Run)?;
    build::object(&root, &toolchain)?;
    let netlab = build::binary(&root, "netlab")?;

    let mut words: Vec<PathBuf> = if is_root() { Vec::new() } else { vec!["sudo".into(), "-E".into()] };
    words.push(netlab);
    let cmd = if io::stdout().is_terminal() {
        println!("$ netlab up --foreground -f {}", lab.display());
        Cmd::new(&words[0]).args(&words[1..]).args(["up", "--foreground", "-f"]).arg(&lab)
    } else {
        steps(&lab, &name, &words)
    };
    // Replacing this process leaves nobody between the terminal's Ctrl-C and the one who undoes the lab.
    let error = cmd.into_inner().exec();
    Err(error).context("netlab could not be started")
}

fn steps(lab: &Path, name: &str, netlab: &[PathBuf]) -> Cmd {
    Cmd::new("sh").args(["-c", STEPS, "sh"]).arg(lab).arg(name).args(netlab)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Stdio;

    use super::*;

    /// Runs the steps with a stand-in for netlab, and gives what was printed and the exit status.
    fn with_netlab(test: &str, body: &str) -> (String, i32) {
        let dir = std::env::temp_dir().join(format!("netlab-xtask-{test}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let netlab = dir.join("netlab");
        fs::write(&netlab, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&netlab, fs::Permissions::from_mode(0o755)).unwrap();
        let cmd = steps(Path::new("my lab.toml"), "planets", &[netlab]);
        let output = cmd.into_inner().stdin(Stdio::null()).output().unwrap();
        fs::remove_dir_all(&dir).unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())
    }

    #[test]
    fn the_steps_run_in_order_and_end_with_down() {
        let (printed, status) = with_netlab("order", r#"echo "got $# $1""#);
        let commands: Vec<&str> = printed.lines().filter(|line| line.starts_with('$')).collect();
        let want = [
            "$ netlab up -f my lab.toml",
            "$ netlab check -l planets",
            "$ netlab forward ls -l planets",
            "$ netlab masquerade ls -l planets",
            "$ netlab conntrack ls -l planets",
            "$ netlab stats -l planets",
            "$ netlab down -l planets",
        ];
        assert_eq!(commands, want);
        assert!(printed.contains("got 3 up"), "a lab file with a blank in its name is one word:\n{printed}");
        assert_eq!(status, 0);
    }

    #[test]
    fn a_failed_check_fails_the_run_and_the_lab_still_goes_down() {
        let (printed, status) = with_netlab("check", r#"[ "$1" != check ]"#);
        assert!(printed.contains("$ netlab stats"));
        assert!(printed.ends_with("$ netlab down -l planets\n"));
        assert_eq!(status, 1);
    }

    #[test]
    fn a_failed_up_is_followed_by_down_alone() {
        let (printed, status) = with_netlab("up", r#"[ "$1" != up ]"#);
        assert_eq!(printed, "$ netlab up -f my lab.toml\n$ netlab down -l planets\n");
        assert_eq!(status, 1);
    }

    #[test]
    fn an_interrupt_skips_to_down_after_the_running_step_has_finished() {
        let body = r#"if [ "$1" = check ]; then kill -INT $PPID; sleep 0.1; echo "check ended"; fi"#;
        let (printed, status) = with_netlab("interrupt", body);
        assert!(printed.ends_with("check ended\n\n$ netlab down -l planets\n"), "{printed}");
        assert_eq!(status, 130);
    }
}
