//! What a test needs of the machine. A test that cannot run says so loudly, and fails where nothing may be
//! skipped.

use std::io::{self, Write as _};

use nix::unistd::geteuid;

/// Whether the test may go on: loading programs takes root.
///
/// # Panics
/// Without root, where `CI=true` or `NETLAB_NO_SKIP=1` says that a test left out is a test failed.
#[must_use]
pub fn need_root() -> bool {
    if geteuid().is_root() {
        return true;
    }
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let strict = |name, value| std::env::var(name).is_ok_and(|set| set == value);
    assert!(
        !strict("CI", "true") && !strict("NETLAB_NO_SKIP", "1"),
        "{test} needs root and may not be skipped"
    );
    say(&format!("SKIPPED: {test} needs root: `cargo xtask test` asks for it"));
    false
}

/// Says something that is shown even when the test passes: the harness keeps to itself what the print macros
/// write, and shows it for failures only.
pub fn say(what: &str) {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(io::stderr(), "{what}");
}
