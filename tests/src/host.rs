//! The pipeline on the host, in ordinary collections and under a clock that the test sets. Every packet is
//! held to what it may move: its verdict, its rule, its flow, and nothing else.

use netlab_common::abi::clock;
use netlab_common::abi::event::Event;
use netlab_common::abi::flow::{Direction, life};
use netlab_common::abi::hook::Hook;
use netlab_common::abi::port::Pulse;
use netlab_common::abi::rule::RuleCounters;
use netlab_common::abi::verdict::{COUNTERS, Verdict};
use netlab_common::conntrack::end::Sweep;
use netlab_common::fake::{BufPacket, FixedEnv, MemTables};
use netlab_common::net::eth;
use netlab_common::packet::Packet;
use netlab_common::pipeline::{self, Decision, Way};
use netlab_common::tables::{Env as _, Tables};

use crate::arrived::Arrived;
use crate::rules::Rules;
use crate::state::{self, Counts, Outcome, State, Table};

/// The tick at which a host's clock begins; late enough that nothing is older than the clock.
const START: u32 = 15_000_000;

/// A host's datapath.
#[derive(Debug)]
pub struct Host {
    /// What it looks things up in.
    pub tables: MemTables,
    /// Its clock and its dice.
    pub env: FixedEnv,
    rules: Rules,
}

/// What one packet moves, apart from its hook's received counter. Whatever is not named stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moves {
    /// The verdict that is counted.
    pub verdict: Verdict,
    /// The rule that is counted, in which direction, and whether a flow is counted with it.
    pub rule: Option<(u32, Direction, bool)>,
    /// Flows that are there afterwards and were not before.
    pub flows: usize,
}

impl Moves {
    /// The packet opens a flow of this rule.
    #[must_use]
    pub fn created(rule: u32) -> Self {
        Moves { verdict: Verdict::Created, rule: Some((rule, Direction::Original, true)), flows: 1 }
    }

    /// The packet begins a flow of this rule anew, in the place of the old one.
    #[must_use]
    pub fn anew(rule: u32) -> Self {
        Moves { flows: 0, ..Moves::created(rule) }
    }

    /// The packet belongs to a flow of this rule, on the opening side.
    #[must_use]
    pub fn onward(rule: u32) -> Self {
        Moves { verdict: Verdict::Established, rule: Some((rule, Direction::Original, false)), flows: 0 }
    }

    /// The packet belongs to a flow of this rule, on the answering side.
    #[must_use]
    pub fn back(rule: u32) -> Self {
        Moves { verdict: Verdict::Established, rule: Some((rule, Direction::Reply, false)), flows: 0 }
    }

    /// The packet opens a flow of the host's own.
    #[must_use]
    pub fn host() -> Self {
        Moves { flows: 1, ..Moves::only(Verdict::HostFlow) }
    }

    /// The packet moves nothing but this verdict.
    #[must_use]
    pub fn only(verdict: Verdict) -> Self {
        Moves { verdict, rule: None, flows: 0 }
    }
}

impl Host {
    /// A host with these rules and no flows, whose agent has just swept.
    #[must_use]
    pub fn new(rules: &Rules) -> Self {
        let env = FixedEnv::default();
        env.now.set(u64::from(START) << clock::SHIFT);
        let host = Host { tables: rules.tables(), env, rules: rules.clone() };
        host.tend();
        host
    }

    /// The time, in ticks.
    #[must_use]
    pub fn now(&self) -> u32 {
        self.tables.now(&self.env)
    }

    /// Runs a packet and counts nothing against it.
    pub fn run(&self, hook: Hook, frame: &[u8]) -> (Verdict, Vec<u8>) {
        let mut packet = BufPacket(frame.to_vec());
        let decision = self.run_on(hook, &mut packet, &self.tables);
        (decision.verdict, packet.0)
    }

    /// As [`run`](Self::run), on a packet or tables of the test's own making.
    pub fn run_on(&self, hook: Hook, packet: &mut impl Packet, tables: &impl Tables<4>) -> Decision {
        pipeline::run(hook, packet, tables, &self.env)
    }

    /// Runs a packet that moves this, and gives the frame that it became.
    ///
    /// # Panics
    /// When it moves anything else, or leaves the table broken; with the tables as they are then.
    #[track_caller]
    pub fn step(&self, hook: Hook, frame: &[u8], moves: Moves) -> Vec<u8> {
        let before = self.state();
        let (_, became) = self.run(hook, frame);
        self.assert_moved(hook, frame, moves, &before);
        became
    }

    /// As [`step`](Self::step), for a packet that is left as it is.
    ///
    /// # Panics
    /// As `step`, and when the packet changes.
    #[track_caller]
    pub fn leaves(&self, hook: Hook, frame: &[u8], verdict: Verdict) {
        let became = self.step(hook, frame, Moves::only(verdict));
        assert_eq!(became, frame, "{} must leave the frame alone", verdict.name());
    }

    /// Holds what a packet moved since `before` to what it may move.
    ///
    /// # Panics
    /// As [`step`](Self::step).
    #[track_caller]
    pub fn assert_moved(&self, hook: Hook, frame: &[u8], moves: Moves, before: &State) {
        let after = self.state();
        let verdict = match state::verdict_between(&before.counts, &after.counts, hook, frame.len()) {
            Ok(verdict) => verdict,
            Err(fault) => panic!("{fault}\n{after}"),
        };
        let mut rules = before.rules.clone();
        if let Some((rule, direction, opened)) = moves.rule {
            let counters = &mut rules[rule as usize];
            counters.flows += u64::from(opened);
            counters.packets[direction as usize] += 1;
            counters.bytes[direction as usize] += (frame.len() - eth::LEN) as u64;
        }
        let found = (verdict, &after.rules, after.flows.len());
        let expected = (moves.verdict, &rules, before.flows.len() + moves.flows);
        assert_eq!(found, expected, "(verdict, rule counters, flows) at {}\n{after}", hook.name());
    }

    /// Lets so many ticks pass, in which the agent stays at work and comes upon nothing.
    pub fn wait(&self, ticks: u32) {
        self.wait_alone(ticks);
        self.tend();
    }

    /// Lets so many ticks pass without an agent.
    pub fn wait_alone(&self, ticks: u32) {
        self.env.now.set(self.env.now.get() + (u64::from(ticks) << clock::SHIFT));
    }

    fn tend(&self) {
        let pulse = self.tables.pulse.get();
        self.tables.pulse.set(Pulse { swept: self.now(), ..pulse });
    }

    /// The agent sweeps all slots; how many flows it takes away.
    pub fn sweep(&self) -> u32 {
        self.tend();
        let mut sweep = Sweep::from(0, self.now());
        self.env.search(&self.tables, self.tables.used_slots(), &mut sweep);
        sweep.ended
    }

    /// A user ends every flow.
    pub fn end_flows(&self) {
        for slot in 0..self.tables.used_slots() {
            self.tables.change_life(slot, life::LIVE, life::DOOMED);
        }
    }

    /// The received and verdict counters.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let verdicts = self.tables.verdicts.borrow();
        (0..COUNTERS).map(|index| verdicts.get(&index).copied().unwrap_or_default()).collect()
    }

    /// Everything that can be compared.
    ///
    /// # Panics
    /// When a flow lacks a key or a key its flow, when what is counted beside the flows is not what they hold,
    /// or when a slot is neither used nor free.
    #[must_use]
    #[track_caller]
    pub fn state(&self) -> State {
        let slots = self.tables.flows.borrow();
        let in_use = || (0u32..).zip(slots.iter()).filter(|(_, flow)| flow.head.life != life::FREE);
        let free = self.tables.free.borrow().len();
        assert_eq!(in_use().count() + free, slots.len(), "every slot is in use or free\n{:#?}", self.tables);
        let table = Table {
            flows: in_use().map(|(slot, flow)| (slot, *flow)).collect(),
            keys: self.tables.keys.borrow().iter().map(|(key, to)| (*key, *to)).collect(),
            ports: state::marked(&self.tables.ports.borrow()),
            sources: self.tables.sources.borrow().clone(),
        };
        let flows = match table.views(&self.rules) {
            Ok(flows) => flows,
            Err(fault) => panic!("{fault}\n{:#?}", self.tables),
        };
        let counted = self.tables.rules.borrow();
        let rule = |index: u32| counted.get(&index).copied().unwrap_or(RuleCounters::default());
        State {
            flows,
            counts: self.counts(),
            rules: (0..self.rules.count()).map(rule).collect(),
            events: Event::ALL.iter().map(|event| self.tables.event(*event)).collect(),
        }
    }

    /// Runs a packet that came by an interface, and says what became of it.
    ///
    /// # Errors
    /// When its counters do not add up, or name another verdict than it got.
    pub fn outcome(&self, hook: Hook, frame: &[u8], on: u32) -> anyhow::Result<Outcome> {
        let before = self.counts();
        let mut packet = Arrived { frame: BufPacket(frame.to_vec()), on, tagged: false, translated: false };
        let Decision { verdict, way, .. } = self.run_on(hook, &mut packet, &self.tables);
        let counted = state::verdict_between(&before, &self.counts(), hook, frame.len())?;
        anyhow::ensure!(counted == verdict, "{} was counted as {}", verdict.name(), counted.name());
        let answered = way == Way::Back;
        Ok(Outcome { verdict, answered, frame: packet.frame.0 })
    }
}
