//! What the tables hold after a packet, in a form in which the host's and the kernel's can be compared, and
//! what the packet moved in the counters.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context as _, ensure};
use netlab_common::abi::event::Event;
use netlab_common::abi::flow::{Direction, Flow, FlowRef, NO_SLOT, Tuple, life};
use netlab_common::abi::hook::Hook;
use netlab_common::abi::port::Shard;
use netlab_common::abi::rule::RuleCounters;
use netlab_common::abi::verdict::{COUNTERS, Count, Verdict, received_index, verdict_index};
use netlab_common::conntrack::{port_shard, source, state};
use netlab_common::fake::MemTables;
use netlab_common::tables::Tables as _;

use crate::rules::Rules;

/// Received and verdict counters, all CPUs together, by index.
pub type Counts = Vec<Count>;

/// What became of one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The one verdict whose counter moved.
    pub verdict: Verdict,
    /// Whether the packet was dropped and answered, and the frame is the answer.
    pub answered: bool,
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
    kind: u8,
    filtering: u8,
    hooks: [u8; 2],
    /// The mapping that it uses, by its inside.
    mapping: Option<Tuple<4>>,
    users: u32,
    packets: [u64; 2],
    bytes: [u64; 2],
    numbers: [(u32, u32); 2],
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
    /// Event counters.
    pub events: Vec<u64>,
}

/// The flow table and what is counted beside it, as it was read.
#[derive(Clone, Debug)]
pub struct Table {
    /// Slots that are not free.
    pub flows: Vec<(u32, Flow<4>)>,
    /// All keys.
    pub keys: Vec<(Tuple<4>, FlowRef)>,
    /// Ports that are marked, with their bitmap's number.
    pub ports: BTreeSet<(u32, u16)>,
    /// The cells of the source counters.
    pub sources: Vec<u32>,
}

/// The ports that are marked in bitmaps, with their bitmap's number.
pub fn marked(shards: &[Shard]) -> BTreeSet<(u32, u16)> {
    let is_marked = |shard: &Shard, port: u16| shard.words[usize::from(port >> 6)] & 1 << (port & 63) != 0;
    let of_one = |(number, shard)| {
        (0..=u16::MAX).filter(move |port| is_marked(shard, *port)).map(move |port| (number, port))
    };
    (0u32..).zip(shards).flat_map(of_one).collect()
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
        for (event, count) in Event::ALL.iter().zip(&self.events) {
            if *count != 0 {
                writeln!(to, "event {}: {count}", event.name())?;
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

impl Table {
    /// The flows as they can be compared, provided that the table is whole: each flow has its two keys, each
    /// key its flow (invariant 1), each mapping the users that it counts, each marked port one flow, and each
    /// source as many as are counted.
    ///
    /// # Errors
    /// When anything is missing, or there is too much of it.
    pub fn views(&self, rules: &Rules) -> anyhow::Result<Vec<FlowView>> {
        self.check_keys()?;
        self.check_books(&rules.tables())?;
        let mut views: Vec<_> = self.flows.iter().map(|(_, flow)| self.view(flow)).collect();
        views.sort();
        Ok(views)
    }

    fn check_keys(&self) -> anyhow::Result<()> {
        let mut keys: BTreeMap<_, _> = self.keys.iter().copied().collect();
        for (slot, Flow { head, .. }) in &self.flows {
            ensure!(head.life != life::FORMING, "slot {slot} has a flow that nobody makes any more");
            for (tuple, direction) in [(head.original, Direction::Original), (head.reply, Direction::Reply)] {
                let to = FlowRef::new(*slot, head.generation, direction);
                let found = keys.remove(&tuple);
                ensure!(found == Some(to), "{tuple:?} leads to {found:?} rather than {to:?}");
            }
        }
        ensure!(keys.is_empty(), "keys that lead to no flow: {keys:?}");
        Ok(())
    }

    /// `anew` is a table without flows, in which what the flows hold is counted anew.
    fn check_books(&self, anew: &MemTables) -> anyhow::Result<()> {
        let mut ports = marked(&anew.ports.borrow());
        for (slot, Flow { head, .. }) in &self.flows {
            let users = self.flows.iter().filter(|(_, user)| user.head.mapping == *slot).count();
            ensure!(head.users as usize == users, "slot {slot} counts {} users, not {users}", head.users);
            source::count(anew, head.original.src, true);
            if head.state & state::OWNS_PORT != 0 {
                let port = (port_shard(anew, &head.reply), u16::from_be_bytes(head.reply.dport));
                ensure!(ports.insert(port), "two flows own port {port:?}");
            }
        }
        ensure!(ports == self.ports, "flows own the ports {ports:?}, and marked are {:?}", self.ports);
        let cells: Vec<u32> = (0..self.sources.len() as u32).map(|cell| anew.source_cell(cell)).collect();
        ensure!(cells == self.sources, "sources hold {cells:?}, and counted are {:?}", self.sources);
        Ok(())
    }

    fn view(&self, Flow { head, counters }: &Flow<4>) -> FlowView {
        let mapping = self.flows.iter().find(|(slot, _)| head.mapping != NO_SLOT && *slot == head.mapping);
        FlowView {
            original: head.original,
            reply: head.reply,
            life: head.life,
            state: head.state,
            rule: head.rule,
            kind: head.kind,
            filtering: head.filtering,
            hooks: [head.original_hook, head.reply_hook],
            mapping: mapping.map(|(_, mapping)| mapping.head.original),
            users: head.users,
            packets: counters.packets,
            bytes: counters.bytes,
            numbers: [0, 1].map(|direction| (counters.end[direction], counters.ack[direction])),
        }
    }
}
