//! What a test needs of the machine. A test that cannot run says so loudly, and fails where nothing may be
//! skipped.

use std::io::{self, Write as _};

use nix::unistd::geteuid;

/// Whether the test may go on: loading programs takes root.
///
/// # Panics
/// Without root, where `NETLAB_GATE` or `CI` in the environment says that a test left out is a test failed.
#[must_use]
pub fn need_root() -> bool {
    if geteuid().is_root() {
        return true;
    }
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let strict = ["NETLAB_GATE", "CI"].iter().any(|name| std::env::var_os(name).is_some());
    assert!(!strict, "{test} needs root and may not be skipped");
    say(&format!("SKIPPED: {test} needs root: `cargo xtask test` asks for it"));
    false
}

/// Says something that is shown even when the test passes: the harness keeps to itself what the print macros
/// write, and shows it for failures only.
pub fn say(what: &str) {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(io::stderr(), "{what}");
}
