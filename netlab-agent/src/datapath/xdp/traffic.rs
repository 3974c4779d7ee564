//! What comes by a veth: frames that some XDP program has sent into its other end, or what sockets there send. Frames are
//! quicker taken over as frames; sockets' aggregates are not. The kernel counts both, and `auto` goes by the last second.

use std::collections::BTreeMap;
use std::{fs, io};

use super::Candidate;
use crate::sys::ethtool::Ethtool;

/// Packets that a veth's other end has sent so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// As frames.
    pub frames: u64,
    /// In all; an aggregate is one.
    pub all: u64,
}

/// Packets a second below which it does not matter.
const MANY: u64 = 1_000;

impl Sent {
    /// What was sent since.
    #[must_use]
    pub fn since(self, before: Sent) -> Sent {
        Sent { frames: self.frames.saturating_sub(before.frames), all: self.all.saturating_sub(before.all) }
    }

    /// Whether it should be taken over as frames, after a second in which this was sent; `before` it was or was not.
    /// While little comes, it stays as it is.
    #[must_use]
    pub fn is_for_frames(self, before: bool) -> bool {
        let others = self.all.saturating_sub(self.frames);
        let is_mixed = others.saturating_mul(10) > self.frames;
        if before { others < MANY || !is_mixed } else { self.frames >= MANY && !is_mixed }
    }
}

/// What the other ends have sent, by the interface that they lead to; of those that can be looked at.
#[must_use]
pub fn sent(candidates: &[Candidate<'_>]) -> BTreeMap<String, Sent> {
    let one = |candidate: &Candidate<'_>| {
        let (namespace, name) = candidate.other.as_ref()?;
        let sent = namespace.enter(|| look(name)).ok()?.ok()?;
        Some((candidate.interface.name.clone(), sent))
    };
    candidates.iter().filter_map(one).collect()
}

fn look(name: &str) -> io::Result<Sent> {
    // What is sent into a veth by other programs is counted at the queue that it is sent by.
    let frames = Ethtool::open()?.sum(name, "_xdp_xmit")?;
    let table = fs::read_to_string("/proc/thread-self/net/dev")?;
    let all = of_table(&table, name).ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV))?;
    Ok(Sent { frames, all })
}

/// The packets that an interface has sent, in the kernel's table of all.
fn of_table(table: &str, name: &str) -> Option<u64> {
    let row = table.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(':'))?;
    row.split_whitespace().nth(9)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(frames: u64, others: u64) -> Sent {
        Sent { frames, all: frames + others }
    }

    #[test]
    fn a_storm_of_frames_is_for_frames_until_sockets_send_as_well() {
        assert!(sent(100_000, 50).is_for_frames(false));
        assert!(!sent(100_000, 20_000).is_for_frames(false));
        assert!(!sent(100_000, 20_000).is_for_frames(true));
        assert!(!sent(0, 5_000).is_for_frames(true));
    }

    #[test]
    fn little_changes_nothing() {
        for before in [false, true] {
            assert_eq!(sent(0, 0).is_for_frames(before), before);
            assert_eq!(sent(10, 0).is_for_frames(before), before);
            assert_eq!(sent(0, 900).is_for_frames(before), before);
        }
    }

    #[test]
    fn the_kernels_table_is_read() {
        let table = "Inter-|   Receive                                                |  Transmit\n face |bytes    \
                     packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier \
                     compressed\n  eth0: 1 2 0 0 0 0 0 0 3 44 0 0 0 0 0 0\neth01: 1 2 0 0 0 0 0 0 3 55 0 0 0 0 0 0\n";
        assert_eq!(of_table(table, "eth0"), Some(44));
        assert_eq!(of_table(table, "eth01"), Some(55));
        assert_eq!(of_table(table, "eth"), None);
    }
}
