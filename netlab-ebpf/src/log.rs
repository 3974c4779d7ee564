//! Telling what was decided about packets that open a flow or are refused, for debugging. The level is fixed
//! when the object is loaded; at the one that is usual the verifier takes all of this out of the programs.

use aya_ebpf::EbpfContext;
use aya_log_ebpf::debug;
use netlab_common::abi::hook::Hook;
use netlab_common::abi::verdict::Verdict;
use netlab_common::pipeline::{Decision, Way};

/// Logs a decision, unless it is one that packets come to in great numbers.
///
/// The verdict is a number here, because a name would be taken from a table of pointers, and the kernel's
/// loader knows none; the agent puts the name in its place.
#[inline(always)]
pub fn decided<C: EbpfContext>(context: &C, hook: Hook, decision: Decision) {
    match decision.verdict {
        Verdict::Established | Verdict::InFlow | Verdict::NoRule | Verdict::NotIpv4 | Verdict::HostFlow => {}
        verdict => tell(context, hook as u32, verdict as u32, u32::from(decision.way == Way::Back)),
    }
}

/// A function of its own, for its stack.
#[inline(never)]
fn tell<C: EbpfContext>(context: &C, hook: u32, verdict: u32, answered: u32) {
    debug!(context, "hook {} verdict {} answered {}", hook, verdict, answered);
}
