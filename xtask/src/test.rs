//! `cargo xtask test`: every test of the workspace, with cargo-nextest where it is installed and `cargo test`
//! where not. Nextest is preferred because it ends a test that hangs and runs the root tests one by one, each in a
//! process of its own, which namespaces ask for.

use std::fs;
use std::path::Path;

use anyhow::{Result, bail};
use clap::Args;

use crate::build;
use crate::kernel;
use crate::process::{Cmd, is_root};
use crate::setup::{self, Purpose};
use crate::workspace;

/// The package whose tests need a kernel and root, and get in each other's way.
const ROOT_TESTS: &str = "netlab-tests";

/// Options of `test`.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Also the long tests: those marked `#[ignore]`, and many more cases of each property
    #[arg(long)]
    long: bool,
    /// In a virtual machine with Debian's kernel of this version, such as 6.1: the tests that try the kernel, with
    /// `--long` all that need one, or those that are named
    #[arg(long, value_name = "VERSION")]
    kernel: Option<String>,
    /// Only tests whose name contains one of these
    filter: Vec<String>,
    #[command(flatten)]
    setup: setup::Options,
}

/// Sets up, builds and tests.
pub fn run(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    if let Some(version) = &options.kernel {
        let wanted = match options.filter.as_slice() {
            [] if options.long => kernel::Wanted::All,
            [] => kernel::Wanted::Core,
            words => kernel::Wanted::Named(words),
        };
        return kernel::run(&root, options.setup, version, wanted);
    }
    let toolchain = setup::ensure(&root, options.setup, Purpose::Test)?;
    build::object(&root, &toolchain)?;
    run_tests(&root, options.long, &options.filter)
}

/// Runs the tests; everything they need is there.
pub fn run_tests(root: &Path, long: bool, filter: &[String]) -> Result<()> {
    // The tests of the command line start the real binary, which cargo builds for its own package's tests only.
    let netlab = &build::binary(root, "netlab")?;
    let runner = || cargo_as_root(root, long).env("NETLAB_BIN", netlab);
    let nextest = Cmd::cargo(root).args(["nextest", "--version"]).ask();
    // First, so that the main runner's summary closes the output.
    if filter.is_empty() && has_doc_tests(root) {
        runner().args(["test", "--locked", "--workspace", "--exclude", "netlab-ebpf", "--doc"]).run()?;
    }
    if let Some(version) = nextest {
        let version = version.lines().next().unwrap_or_default().trim().to_owned();
        eprintln!("test: {version} is here and runs the tests");
        return with_nextest(runner(), long, filter);
    }
    eprintln!("test: cargo-nextest is not here; cargo test runs the tests");
    with_cargo_test(runner, long, filter)
}

fn with_nextest(runner: Cmd, long: bool, filter: &[String]) -> Result<()> {
    let mut cmd = runner.args(["nextest", "run", "--locked", "--no-fail-fast"]);
    cmd = cmd.args(["--workspace", "--exclude", "netlab-ebpf"]);
    if long {
        cmd = cmd.args(["--run-ignored", "all", "--profile", "long", "--success-output", "final"]);
    }
    cmd.args(filter).run()
}

/// `cargo test` takes one filter and has no groups: so a run for each filter, and the root tests on their own,
/// one at a time. All runs are made even when one fails.
fn with_cargo_test(runner: impl Fn() -> Cmd, long: bool, filter: &[String]) -> Result<()> {
    let everything = [String::new()];
    let filters = if filter.is_empty() { &everything[..] } else { filter };
    let mut failures = Vec::new();
    for filter in filters {
        let which = ["--workspace", "--exclude", "netlab-ebpf", "--exclude", ROOT_TESTS];
        for (which, threads) in [(&which[..], None), (&["--package", ROOT_TESTS], Some("--test-threads=1"))] {
            let cmd = runner().args(["test", "--locked", "--no-fail-fast", "--lib", "--bins", "--tests"]);
            let cmd = cmd.args(which).args(Some(filter).filter(|filter| !filter.is_empty())).arg("--");
            let cmd = cmd.args(threads).args(long.then_some("--include-ignored"));
            if let Err(error) = cmd.run() {
                failures.push(format!("{error:#}"));
            }
        }
    }
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    Ok(())
}

/// A cargo whose test binaries run as root. Only they do: what cargo builds stays the user's.
fn cargo_as_root(root: &Path, long: bool) -> Cmd {
    let mut cmd = Cmd::cargo(root);
    if !is_root() {
        let arch = std::env::consts::ARCH.to_uppercase();
        cmd = cmd.env(&format!("CARGO_TARGET_{arch}_UNKNOWN_LINUX_GNU_RUNNER"), "sudo -E");
    }
    if long {
        cmd = cmd.env("NETLAB_LONG", "1").env("PROPTEST_CASES", "20000");
    }
    cmd
}

/// Whether any library has an example in its documentation. Asking cargo would cost a build to hear "none".
fn has_doc_tests(root: &Path) -> bool {
    ["netlab-common/src", "netlab-agent/src", "tests/src"]
        .iter()
        .any(|dir| dir_has_doc_tests(&root.join(dir)))
}

fn dir_has_doc_tests(dir: &Path) -> bool {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).any(|path| {
        if path.is_dir() {
            dir_has_doc_tests(&path)
        } else {
            path.extension().is_some_and(|ext| ext == "rs")
                && fs::read_to_string(&path).is_ok_and(|text| opens_doc_test(&text))
        }
    })
}

/// Whether a documentation comment opens a block of code that rustdoc would run.
fn opens_doc_test(text: &str) -> bool {
    let mut inside = false;
    for line in text.lines() {
        let line = line.trim_start();
        let Some(doc) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
            inside = false;
            continue;
        };
        if let Some(language) = doc.trim_start().strip_prefix("```") {
            if !inside && matches!(language.trim(), "" | "rust" | "should_panic" | "no_run") {
                return true;
            }
            inside = !inside;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blocks_of_rust_in_documentation_are_doc_tests() {
        assert!(opens_doc_test("/// ```\n/// assert!(true);\n/// ```\nfn f() {}\n"));
        assert!(opens_doc_test("//! ```no_run\n//! f();\n//! ```\n"));
        assert!(!opens_doc_test("/// ```text\n/// a -> b\n/// ```\nfn f() {}\n"));
        assert!(!opens_doc_test("// ```\nlet s = \"```\";\n"));
    }

    #[test]
    fn the_end_of_a_picture_is_not_the_start_of_a_doc_test() {
        assert!(!opens_doc_test("//! ```toml\n//! a = 1\n//! ```\n\n/// Words.\n"));
    }
}
