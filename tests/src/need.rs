//! What a test needs of the machine. A test that cannot run says so loudly, and fails where nothing may be
//! skipped.

use std::io::{self, Write as _};
use std::time::Duration;

use aya::programs::{SchedClassifier, TcAttachType};
use nix::unistd::geteuid;

use crate::machine::Machine;

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

/// Whether the kernel can do something that not every one can, such as `netem`: `way` is a shell script that fails
/// where it cannot, and is run in a private machine. Only where the tests are run with a kernel that was chosen for
/// it is a test left out a test failed; the running one has what it has.
///
/// # Panics
/// When the kernel cannot, and `NETLAB_KERNEL` in the environment says that it was chosen.
#[must_use]
pub fn need_kernel(machine: &Machine, what: &str, way: &str) -> bool {
    let ran = machine.sh(way);
    if ran.code == 0 {
        return true;
    }
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let chosen = std::env::var_os("NETLAB_KERNEL").is_some();
    assert!(!chosen, "{test} needs {what} of the kernel: {}", ran.stderr);
    say(&format!(
        "SKIPPED: {test} needs {what} of the kernel: `cargo xtask test --kernel 6.12` has one that can"
    ));
    false
}

/// Whether programs are attached by links here: where the kernel has none, or is not to be asked for them, they are
/// attached by filters.
pub fn has_links() -> bool {
    std::env::var_os("NETLAB_ATTACH").is_none_or(|way| way != "clsact")
        && SchedClassifier::query_tcx("lo", TcAttachType::Ingress).is_ok()
}

/// Whether senders make aggregates: not where `NETLAB_DATAPATH` has labs take packets over as frames. Those that receivers
/// make then have sums of their own.
pub fn has_aggregates() -> bool {
    let frames = std::env::var_os("NETLAB_DATAPATH").is_some_and(|word| word == "xdp");
    if frames {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        say(&format!("SKIPPED: {test} is about aggregates, and datapath = \"xdp\" has none"));
    }
    !frames
}

/// A limit of time as it is here: `NETLAB_PATIENCE` in the environment says how many times slower than others a
/// machine is.
pub fn patient(limit: Duration) -> Duration {
    let times = std::env::var("NETLAB_PATIENCE").ok().and_then(|times| times.parse().ok());
    limit * times.unwrap_or(1)
}

/// Says something that is shown even when the test passes: the harness keeps to itself what the print macros
/// write, and shows it for failures only.
pub fn say(what: &str) {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(io::stderr(), "{what}");
}
