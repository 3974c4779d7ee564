//! `cargo xtask check`: the one gate. There is no other list of what must hold before a commit; CI runs this.
//! All steps run even when one fails, so that one run names everything.

use std::path::Path;

use anyhow::{Result, bail};
use clap::Args;

use crate::build;
use crate::machine::choice::Toolchain;
use crate::process::Cmd;
use crate::setup::{self, Purpose};
use crate::{test, tidy, verifier, workspace};

/// Options of `check`.
#[derive(Args, Debug)]
pub struct Options {
    /// Leave the tests out, because `cargo xtask test` has just run them
    #[arg(long)]
    no_tests: bool,
    #[command(flatten)]
    setup: setup::Options,
}

/// A step of the gate.
type Step<'a> = (&'a str, Box<dyn Fn() -> Result<()> + 'a>);

/// Runs the gate.
pub fn run(options: &Options) -> Result<()> {
    let root = &workspace::root()?;
    let toolchain = &setup::ensure(root, options.setup, Purpose::Check)?;
    let mut steps: Vec<Step<'_>> = vec![
        ("format", Box::new(|| format(root))),
        ("tidy", Box::new(tidy::run)),
        ("eBPF object", Box::new(|| build::object(root, toolchain))),
        ("clippy (host)", Box::new(|| clippy_host(root))),
        ("clippy (netlab-common alone)", Box::new(|| clippy_common(root))),
        ("clippy (eBPF)", Box::new(|| clippy_ebpf(root, toolchain))),
    ];
    if !options.no_tests {
        steps.push(("tests", Box::new(|| test::run_tests(root, false, &[]))));
    }
    steps.push(("verifier budget", Box::new(|| verifier::check(root))));
    pass_all(&steps)
}

fn pass_all(steps: &[Step<'_>]) -> Result<()> {
    let mut failed = Vec::new();
    let mut summary = Vec::new();
    for (name, step) in steps {
        eprintln!("check: {name}");
        let done = step();
        summary.push(format!("  {} {name}", if done.is_ok() { "ok    " } else { "FAILED" }));
        if let Err(error) = done {
            eprintln!("check: {name}: {error:#}");
            failed.push(*name);
        }
    }
    eprintln!("\n{}", summary.join("\n"));
    if !failed.is_empty() {
        bail!("the gate is closed: {}", failed.join(", "));
    }
    eprintln!("check: the gate is open");
    Ok(())
}

fn format(root: &Path) -> Result<()> {
    Cmd::cargo(root).args(["fmt", "--all", "--check"]).remedy("cargo fmt --all").run()
}

/// The host's crates with all their features on, as they are built together.
fn clippy_host(root: &Path) -> Result<()> {
    let which = ["clippy", "--locked", "--workspace", "--exclude", "netlab-ebpf", "--all-targets"];
    Cmd::cargo(root).args(which).args(["--", "-D", "warnings"]).run()
}

/// netlab-common as the eBPF crate sees it. A pass of its own: in a workspace build cargo unites features, and
/// the host's would hide what does not compile without them.
fn clippy_common(root: &Path) -> Result<()> {
    let which = ["clippy", "--locked", "--package", "netlab-common", "--no-default-features", "--lib"];
    Cmd::cargo(root).args(which).args(["--", "-D", "warnings"]).run()
}

fn clippy_ebpf(root: &Path, toolchain: &Toolchain) -> Result<()> {
    build::lint_object(root, toolchain)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn every_step_runs_and_the_failed_ones_are_named() {
        let ran = Cell::new(0);
        let count = |fails: bool| {
            ran.set(ran.get() + 1);
            if fails { Err(anyhow::anyhow!("broken")) } else { Ok(()) }
        };
        let steps: Vec<Step<'_>> = vec![
            ("one", Box::new(|| count(true))),
            ("two", Box::new(|| count(false))),
            ("three", Box::new(|| count(true))),
        ];
        let error = pass_all(&steps).unwrap_err().to_string();
        assert_eq!(error, "the gate is closed: one, three");
        assert_eq!(ran.get(), 3);
    }

    #[test]
    fn a_gate_without_failures_opens() {
        assert!(pass_all(&[("one", Box::new(|| Ok(())))]).is_ok());
    }
}
