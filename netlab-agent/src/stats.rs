//! Counters, read as one snapshot: per hook and verdict, and per rule.

use netlab_common::abi::hook::Hook;
use netlab_common::abi::verdict::{Count, Disposition, Verdict};

use crate::datapath::{self, maps::Maps};

/// One hook's books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookStats {
    /// Which hook.
    pub hook: Hook,
    /// What came in.
    pub received: Count,
    /// What became of it: verdicts that occurred at least once.
    pub verdicts: Vec<(Verdict, Count)>,
}

impl HookStats {
    /// Packets of one disposition.
    pub fn packets(&self, disposition: Disposition) -> u64 {
        self.verdicts
            .iter()
            .filter(|(verdict, _)| verdict.disposition() == disposition)
            .map(|(_, count)| count.packets)
            .sum()
    }

    /// Packets that were received and have no verdict: zero on a quiet lab, always. While traffic runs,
    /// packets between the two counts show up here for a moment.
    pub fn unexplained(&self) -> i64 {
        let explained: u64 = self.verdicts.iter().map(|(_, count)| count.packets).sum();
        self.received.packets as i64 - explained as i64
    }
}

/// Every hook's books.
///
/// # Errors
/// What the kernel says.
pub fn hooks(maps: &Maps) -> datapath::Result<Vec<HookStats>> {
    Hook::ALL
        .iter()
        .map(|&hook| {
            let (received, counts) = maps.hook(hook)?;
            let verdicts =
                Verdict::ALL.iter().copied().zip(counts).filter(|(_, count)| count.packets > 0).collect();
            Ok(HookStats { hook, received, verdicts })
        })
        .collect()
}
