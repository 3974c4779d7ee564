//! What the tables hold after a packet, in a form in which the host's and the kernel's can be compared, and
//! what the packet moved in the counters.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, bail, ensure};
use netlab_common::abi::flow::{Direction, Flow, FlowRef, Tuple, life};
use netlab_common::abi::hook::Hook;
use netlab_common::abi::rule::RuleCounters;
use netlab_common::abi::verdict::{COUNTERS, Count, Verdict, received_index, verdict_index};

/// Received and verdict counters, all CPUs together, by index.
pub type Counts = Vec<Count>;

/// What became of one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The one verdict whose counter moved.
    pub verdict: Verdict,
    /// The frame afterwards.
    pub frame: Vec<u8>,
}

/// A flow without what differs between one run and another: its slot, its generation and its times.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowView {
    original: Tuple<4>,
    reply: Tuple<4>,
    life: u32,
    state: u32,
    rule: u32,
    hooks: [u32; 2],
    packets: [u64; 2],
    bytes: [u64; 2],
}

/// Everything the datapath wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Every flow, in the order of their tuples.
    pub flows: Vec<FlowView>,
    /// Received and verdict counters.
    pub counts: Counts,
    /// Counters of each rule.
    pub rules: Vec<RuleCounters>,
}

impl fmt::Display for State {
    /// One line for each flow, rule, and counter that is not zero.
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for flow in &self.flows {
            writeln!(to, "{flow:?}")?;
        }
        for (rule, counters) in self.rules.iter().enumerate() {
            writeln!(to, "rule {rule}: {counters:?}")?;
        }
        for (name, index) in counters() {
            let Count { packets, bytes } = self.counts[index as usize];
            if packets != 0 || bytes != 0 {
                writeln!(to, "{name}: {packets} packets, {bytes} bytes")?;
            }
        }
        Ok(())
    }
}

impl State {
    /// The lines in which two states differ, this one's before the other's; `None` when they are the same.
    #[must_use]
    pub fn difference(&self, other: &State) -> Option<String> {
        if self == other {
            return None;
        }
        let (ours, theirs) = (self.to_string(), other.to_string());
        let only = |sign, lines: &str, others: &str| -> String {
            let of_one = |line: &&str| !others.lines().any(|other| other == *line);
            lines.lines().filter(of_one).map(|line| format!("{sign} {line}\n")).collect()
        };
        Some(only('-', &ours, &theirs) + &only('+', &theirs, &ours))
    }
}

/// Every counter's name and index.
fn counters() -> impl Iterator<Item = (String, u32)> {
    Hook::ALL.into_iter().flat_map(|hook| {
        let received = (format!("{} received", hook.name()), received_index(hook));
        let verdict = move |verdict: &Verdict| {
            (format!("{} {}", hook.name(), verdict.name()), verdict_index(hook, *verdict))
        };
        std::iter::once(received).chain(Verdict::ALL.iter().map(verdict))
    })
}

/// The one verdict that a packet of `len` bytes was counted under, or why its counters do not add up.
///
/// # Errors
/// When anything but the hook's received counter and one of its verdicts moved, or by another amount.
pub fn verdict_between(before: &Counts, after: &Counts, hook: Hook, len: usize) -> anyhow::Result<Verdict> {
    let one = Count { packets: 1, bytes: len as u64 };
    let moved: BTreeMap<u32, Count> = (0..COUNTERS)
        .filter_map(|index| {
            let (was, is) = (before[index as usize], after[index as usize]);
            let by = Count { packets: is.packets - was.packets, bytes: is.bytes - was.bytes };
            (by != Count::default()).then_some((index, by))
        })
        .collect();
    let mut verdicts =
        Verdict::ALL.iter().filter(|verdict| moved.contains_key(&verdict_index(hook, **verdict)));
    let verdict = *verdicts.next().with_context(|| format!("no verdict at {}: {moved:?}", hook.name()))?;
    let expected = BTreeMap::from([(received_index(hook), one), (verdict_index(hook, verdict), one)]);
    ensure!(moved == expected, "one packet at {} moved {moved:?} rather than {expected:?}", hook.name());
    Ok(verdict)
}

/// The flows as they can be compared, provided that the table is whole: each flow has its two keys, each
/// key its flow (invariant 1).
///
/// # Errors
/// When a flow lacks a key, or a key leads nowhere.
pub fn whole(
    flows: impl IntoIterator<Item = (u32, Flow<4>)>,
    keys: impl IntoIterator<Item = (Tuple<4>, FlowRef)>,
) -> anyhow::Result<Vec<FlowView>> {
    let mut keys: BTreeMap<_, _> = keys.into_iter().collect();
    let mut views = vec![];
    for (slot, Flow { head, counters }) in flows {
        if head.life == life::FREE {
            continue;
        }
        for (tuple, direction) in [(head.original, Direction::Original), (head.reply, Direction::Reply)] {
            let to = FlowRef { slot, generation: head.generation, direction: direction as u32 };
            let found = keys.remove(&tuple);
            ensure!(found == Some(to), "{tuple:?} leads to {found:?} rather than {to:?}");
        }
        views.push(FlowView {
            original: head.original,
            reply: head.reply,
            life: head.life,
            state: head.state,
            rule: head.rule,
            hooks: [head.original_hook, head.reply_hook],
            packets: counters.packets,
            bytes: counters.bytes,
        });
    }
    if !keys.is_empty() {
        bail!("keys that lead to no flow: {keys:?}");
    }
    views.sort();
    Ok(views)
}
