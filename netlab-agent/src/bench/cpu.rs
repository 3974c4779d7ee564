//! Which CPU does what: the generator and all that its frames set off run on the first, everything else beside it.

use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The CPU on which packets are made and forwarded.
pub const MEASURED: usize = 0;

/// The other CPU; the same one where there is no other.
pub fn other() -> usize {
    let here = sched_getaffinity(Pid::from_raw(0)).unwrap_or_default();
    let is_usable = |cpu: &usize| *cpu != MEASURED && here.is_set(*cpu).unwrap_or(false);
    (0..CpuSet::count()).find(is_usable).unwrap_or(MEASURED)
}

/// Keeps the calling thread, and what it starts, on one CPU. Where that is not allowed it runs where it may: the
/// measurement is then only noisier, and the A/A control tells.
pub fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    if set.set(cpu).is_ok() {
        let _ = sched_setaffinity(Pid::from_raw(0), &set);
    }
}

/// The same for a thread that is measured: it also goes before what else wants that CPU, as far as that is allowed.
pub fn claim(cpu: usize) {
    pin(cpu);
    let _ = crate::sys::bench::go_first();
}

/// How long the calling thread has run, and how long it has waited for its CPU, in nanoseconds.
pub fn account() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let mut numbers = text.split_whitespace().map(|word| word.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// How long a thread of this process has waited for its CPU.
pub fn waited(thread: i32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).unwrap_or_default();
    let nanoseconds = text.split_whitespace().nth(1).and_then(|word| word.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}
