//! The three traits on the host: a packet in a vector, tables in ordinary collections, and a clock that
//! stands where the test puts it. The same cases run here and in the kernel's hooks.

use core::cell::{Cell, RefCell};
use core::ops::Deref;
use std::collections::{BTreeMap, VecDeque};
use std::vec;
use std::vec::Vec;

use crate::abi::config::{Config, SOURCE_ROWS, Timeout};
use crate::abi::event::Event;
use crate::abi::flow::{Counters, Direction, Flow, FlowRef, Head, NO_SLOT, Status, Tuple, life};
use crate::abi::fragment::{Fragment, FragmentKey};
use crate::abi::hook::Hook;
use crate::abi::port::{Pulse, Shard, WORDS};
use crate::abi::recent::{FEWEST_BITS, HINTS, Recent};
use crate::abi::rule::{Forward, ForwardKey, ForwardPort, MasqueradeTarget, RuleCounters, Zone};
use crate::abi::verdict::{Count, Verdict, received_index, verdict_index};
use crate::abi::way::{Exit, Way};
use crate::conntrack::create::NewFlow;
use crate::conntrack::end::{self, Ending, Fate};
use crate::packet::Headers;
use crate::tables::{Claim, Tables, Traffic};

mod env;
mod fragments;
mod look;
mod packet;
mod rules;
mod ways;

pub use env::{Bound, FixedEnv};
pub use fragments::Spot;
pub use packet::BufPacket;

/// Tables in ordinary collections, with room for as many flows as the test says.
#[derive(Clone, Debug)]
pub struct MemTables {
    /// The flow slots.
    pub flows: RefCell<Vec<Flow<4>>>,
    /// The keys to them.
    pub keys: RefCell<BTreeMap<Tuple<4>, FlowRef>>,
    /// Slots that nobody uses, after those that were given back.
    pub free: RefCell<VecDeque<u32>>,
    /// What was laid aside.
    pub draft: Cell<Option<(NewFlow<4>, u32)>>,
    /// The settings.
    pub config: Cell<Config>,
    /// Port bitmaps.
    pub ports: RefCell<Vec<Shard>>,
    /// Source counters.
    pub sources: RefCell<Vec<u32>>,
    /// Whom endpoints have sent to.
    pub contacts: RefCell<BTreeMap<Tuple<4>, FlowRef>>,
    /// Ports of datagrams in pieces.
    pub fragments: RefCell<BTreeMap<FragmentKey<4>, Fragment>>,
    /// Places in which fragments wait, or waited.
    pub places: RefCell<BTreeMap<u32, Spot>>,
    /// The headers that were laid aside.
    pub headers: Cell<Option<Headers<4>>>,
    /// The agent's epoch.
    pub epoch: Cell<u32>,
    /// What it says of interfaces.
    pub exits: RefCell<BTreeMap<u32, Exit>>,
    /// What was learnt of ways.
    pub ways: RefCell<BTreeMap<u32, Way>>,
    /// Hints by place.
    pub recent: RefCell<BTreeMap<u32, [Recent; HINTS]>>,
    /// Where they are.
    pub place_bits: Cell<u32>,
    /// When the agent swept, and a refusal was answered.
    pub pulse: Cell<Pulse>,
    /// Ports of forwards.
    pub forward_ports: BTreeMap<ForwardKey<4>, ForwardPort>,
    /// Forwards by rule.
    pub forwards: RefCell<BTreeMap<u32, Forward<4>>>,
    /// Rule, prefix and its length: who may use a restricted forward.
    pub allow: Vec<(u32, [u8; 4], u8)>,
    /// Prefix, its length, and what sources in it are hidden behind.
    pub masquerades: Vec<([u8; 4], u8, MasqueradeTarget<4>)>,
    /// Prefix, its length, and whose it is.
    pub zones: Vec<([u8; 4], u8, Zone)>,
    /// Addresses of forwards' targets that have several, and those nodes' numbers.
    pub nodes: BTreeMap<[u8; 4], u16>,
    /// Interfaces on which nodes' packets arrive at the host's stack, and the host's addresses there.
    pub interfaces: BTreeMap<u32, [u8; 4]>,
    /// Rule counters by index.
    pub rules: RefCell<BTreeMap<u32, RuleCounters>>,
    /// Received and verdict counters by index.
    pub verdicts: RefCell<BTreeMap<u32, Count>>,
    /// Event counters.
    pub events: RefCell<BTreeMap<Event, u64>>,
}

impl MemTables {
    /// Empty tables with room for `capacity` flows.
    #[must_use]
    pub fn with_capacity(capacity: u32) -> Self {
        let config = Config::for_flows(capacity);
        let shard = Shard { words: [0; WORDS], scanned: 0, pad: 0 };
        let cells = SOURCE_ROWS as usize * (config.source_mask as usize + 1);
        MemTables {
            flows: RefCell::new(vec![bytemuck::Zeroable::zeroed(); capacity as usize]),
            keys: RefCell::default(),
            free: RefCell::new((0..capacity).collect()),
            draft: Cell::new(None),
            config: Cell::new(config),
            ports: RefCell::new(vec![shard; config.shard_mask as usize + 1]),
            sources: RefCell::new(vec![0; cells]),
            contacts: RefCell::default(),
            fragments: RefCell::default(),
            places: RefCell::default(),
            headers: Cell::new(None),
            epoch: Cell::new(0),
            exits: RefCell::default(),
            ways: RefCell::default(),
            recent: RefCell::default(),
            place_bits: Cell::new(FEWEST_BITS),
            pulse: Cell::new(Pulse::default()),
            forward_ports: BTreeMap::new(),
            forwards: RefCell::default(),
            allow: Vec::new(),
            masquerades: Vec::new(),
            zones: Vec::new(),
            nodes: BTreeMap::new(),
            interfaces: BTreeMap::new(),
            rules: RefCell::default(),
            verdicts: RefCell::default(),
            events: RefCell::default(),
        }
    }

    /// Changes the settings.
    pub fn configure(&self, change: impl FnOnce(&mut Config)) {
        let mut config = self.config.get();
        change(&mut config);
        self.config.set(config);
    }

    fn add(&self, index: u32, traffic: Traffic) {
        let mut verdicts = self.verdicts.borrow_mut();
        let count = verdicts.entry(index).or_default();
        count.packets += traffic.packets;
        count.bytes += traffic.bytes;
    }

    /// Works on a slot; nothing where there is none.
    fn with<R: Default>(&self, slot: u32, work: impl FnOnce(&mut Flow<4>) -> R) -> R {
        self.flows.borrow_mut().get_mut(slot as usize).map(work).unwrap_or_default()
    }
}

/// A copy of a draft.
#[derive(Clone, Copy, Debug)]
pub struct Copied<V>(pub V);

impl<V> Deref for Copied<V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.0
    }
}

impl Tables<4> for MemTables {
    type Draft = Copied<NewFlow<4>>;
    type Headers = Copied<Headers<4>>;

    fn set_headers(&self, headers: &Headers<4>) {
        self.headers.set(Some(*headers));
    }

    fn headers(&self) -> Option<Copied<Headers<4>>> {
        self.headers.get().map(Copied)
    }

    fn find_key(&self, key: &Tuple<4>) -> Option<FlowRef> {
        self.keys.borrow().get(key).copied()
    }

    fn claim_key(&self, key: &Tuple<4>, to: FlowRef) -> Claim {
        let mut keys = self.keys.borrow_mut();
        if keys.contains_key(key) {
            return Claim::Taken;
        }
        if keys.len() == 2 * self.flows.borrow().len() {
            return Claim::Full;
        }
        keys.insert(*key, to);
        Claim::Won
    }

    fn release_key(&self, key: &Tuple<4>) {
        self.keys.borrow_mut().remove(key);
    }

    fn reserve_slot(&self) -> Option<u32> {
        self.free.borrow_mut().pop_front()
    }

    fn set_place(&self, slot: u32) {
        self.draft.set(self.draft.get().map(|(new, _)| (new, slot)));
    }

    fn release_slot(&self, slot: u32) {
        self.with(slot, |flow| {
            flow.head.generation = flow.head.generation.wrapping_add(1);
            flow.head.life = life::FREE;
        });
        self.free.borrow_mut().push_back(slot);
    }

    fn used_slots(&self) -> u32 {
        self.flows.borrow().len() as u32
    }

    fn set_draft(&self, new: &NewFlow<4>) {
        self.draft.set(Some((*new, NO_SLOT)));
    }

    fn draft(&self) -> Option<Copied<NewFlow<4>>> {
        self.draft.get().map(|(new, _)| Copied(new))
    }

    fn forget(&self, value: u32) -> u32 {
        value
    }

    fn place(&self) -> u32 {
        self.draft.get().map_or(NO_SLOT, |(_, slot)| slot)
    }

    fn write_flow(&self, slot: u32, new: &NewFlow<4>) {
        self.with(slot, |flow| {
            flow.head = Head { users: flow.head.users, ..new.head(flow.head.generation) };
            flow.counters = Counters { last_seen: new.now, ..Counters::default() };
        });
    }

    fn write_reply(&self, slot: u32, reply: &Tuple<4>) {
        self.with(slot, |flow| flow.head.reply = *reply);
    }

    fn status(&self, slot: u32) -> Option<Status> {
        self.flows.borrow().get(slot as usize).map(|flow| flow.head.status())
    }

    fn generation(&self, slot: u32) -> u32 {
        self.with(slot, |flow| flow.head.generation)
    }

    fn tuple(&self, slot: u32, direction: Direction) -> Tuple<4> {
        let head = self.flows.borrow()[slot as usize].head;
        match direction {
            Direction::Original => head.original,
            Direction::Reply => head.reply,
        }
    }

    fn change_life(&self, slot: u32, from: u32, to: u32) -> bool {
        self.with(slot, |flow| {
            let is = flow.head.life == from;
            if is {
                flow.head.life = to;
            }
            is
        })
    }

    fn last_seen(&self, slot: u32) -> u32 {
        self.with(slot, |flow| flow.counters.last_seen)
    }

    fn touch(&self, slot: u32, now: u32) {
        self.with(slot, |flow| flow.counters.last_seen = now);
    }

    fn add_state(&self, slot: u32, bits: u32) -> u32 {
        self.with(slot, |flow| {
            let before = flow.head.state;
            flow.head.state |= bits;
            before
        })
    }

    fn clear_state(&self, slot: u32, bits: u32) {
        self.with(slot, |flow| flow.head.state &= !bits);
    }

    fn record(&self, to: FlowRef, traffic: Traffic, now: u32) {
        self.with(to.slot(), |flow| {
            if flow.head.generation == to.generation() {
                flow.counters.last_seen = now;
                flow.counters.packets[to.direction() as usize] += traffic.packets;
                flow.counters.bytes[to.direction() as usize] += traffic.bytes;
            }
        });
    }

    fn numbers(&self, slot: u32, direction: Direction) -> (u32, u32) {
        self.with(slot, |flow| (flow.counters.end[direction as usize], flow.counters.ack[direction as usize]))
    }

    fn note_numbers(&self, slot: u32, direction: Direction, end: u32, ack: u32) {
        self.with(slot, |flow| {
            flow.counters.end[direction as usize] = end;
            flow.counters.ack[direction as usize] = ack;
        });
    }

    fn count_user(&self, slot: u32, up: bool) {
        self.with(slot, |flow| {
            flow.head.users =
                if up { flow.head.users.wrapping_add(1) } else { flow.head.users.wrapping_sub(1) };
        });
    }

    fn port_word(&self, shard: u32, word: u32) -> u64 {
        self.ports.borrow()[shard as usize].words[word as usize]
    }

    fn take_port(&self, shard: u32, port: u16) -> bool {
        let mut ports = self.ports.borrow_mut();
        let word = &mut ports[shard as usize].words[usize::from(port >> 6)];
        let bit = 1 << (port & 63);
        let was_free = *word & bit == 0;
        *word |= bit;
        was_free
    }

    fn give_port(&self, shard: u32, port: u16) {
        self.ports.borrow_mut()[shard as usize].words[usize::from(port >> 6)] &= !(1 << (port & 63));
    }

    fn fruitless_scan(&self, shard: u32) -> u32 {
        self.ports.borrow()[shard as usize].scanned
    }

    fn set_fruitless_scan(&self, shard: u32, now: u32) {
        self.ports.borrow_mut()[shard as usize].scanned = now;
    }

    fn source_cell(&self, cell: u32) -> u32 {
        self.sources.borrow()[cell as usize]
    }

    fn count_source(&self, cell: u32, up: bool) {
        let mut sources = self.sources.borrow_mut();
        let count = &mut sources[cell as usize];
        *count = if up { *count + 1 } else { *count - 1 };
    }

    fn contact(&self, key: &Tuple<4>) -> Option<FlowRef> {
        self.contacts.borrow().get(key).copied()
    }

    fn add_contact(&self, key: &Tuple<4>, mapping: FlowRef) {
        self.contacts.borrow_mut().insert(*key, mapping);
    }

    fn config(&self) -> Config {
        self.config.get()
    }

    fn timeout(&self, of: Timeout) -> u32 {
        self.config.get().timeouts[of as usize]
    }

    fn last_sweep(&self) -> u32 {
        self.pulse.get().swept
    }

    fn last_answer(&self, now: u32) -> u32 {
        let pulse = self.pulse.get();
        self.pulse.set(Pulse { answered: now, ..pulse });
        pulse.answered
    }

    fn reclaim(&self, slot: u32, now: u32, how: Ending) -> Fate {
        end::reclaim(self, slot, now, how)
    }

    fn count_rule(&self, rule: u32, direction: Direction, traffic: Traffic, new_flow: u64) {
        let mut rules = self.rules.borrow_mut();
        let counters = rules.entry(rule).or_default();
        counters.flows += new_flow;
        counters.packets[direction as usize] += traffic.packets;
        counters.bytes[direction as usize] += traffic.bytes;
    }

    fn count_received(&self, hook: Hook, traffic: Traffic) {
        self.add(received_index(hook), traffic);
    }

    fn count_verdict(&self, hook: Hook, verdict: Verdict, traffic: Traffic) {
        self.add(verdict_index(hook, verdict), traffic);
    }

    fn count_events(&self, event: Event, times: u64) {
        *self.events.borrow_mut().entry(event).or_default() += times;
    }
}
