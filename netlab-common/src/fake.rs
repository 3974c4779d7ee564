//! The three traits on the host: a packet in a vector, tables in ordinary collections, and a clock that
//! stands where the test puts it. The same cases run here and in the kernel's hooks.

use core::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::vec::Vec;

use crate::abi::flow::{Counters, Direction, Flow, FlowRef, Head, Tuple, life};
use crate::abi::hook::Hook;
use crate::abi::rule::{ForwardKey, ForwardTarget, MasqueradeTarget, RuleCounters, Zone};
use crate::abi::verdict::{Count, Verdict, received_index, verdict_index};
use crate::net::checksum;
use crate::packet::{Covered, Packet};
use crate::tables::{Claim, Env, Tables, Traffic};

/// A frame in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BufPacket(pub Vec<u8>);

impl Packet for BufPacket {
    fn frame_len(&self) -> u32 {
        self.0.len() as u32
    }

    fn segments(&self) -> u32 {
        1
    }

    fn received_on(&self) -> u32 {
        0
    }

    fn load<const L: usize>(&self, offset: usize) -> Option<[u8; L]> {
        self.0.get(offset..offset + L)?.try_into().ok()
    }

    fn store<const L: usize>(&mut self, offset: usize, bytes: [u8; L]) -> Option<()> {
        self.0.get_mut(offset..offset + L)?.copy_from_slice(&bytes);
        Some(())
    }

    fn update_header_checksum(&mut self, offset: usize, from: [u8; 4], to: [u8; 4]) -> Option<()> {
        let field = self.load(offset)?;
        self.store(offset, checksum::update(field, from, to))
    }

    fn update_transport_checksum<const L: usize>(
        &mut self,
        offset: usize,
        from: [u8; L],
        to: [u8; L],
        covered: Covered,
    ) -> Option<()> {
        let field = self.load(offset)?;
        let updated = if covered.udp {
            checksum::update_udp(field, from, to)
        } else {
            checksum::update(field, from, to)
        };
        self.store(offset, updated)
    }
}

/// Tables in ordinary collections, with room for as many flows as the test says.
#[derive(Debug, Default)]
pub struct MemTables {
    /// The flow slots.
    pub flows: RefCell<Vec<Option<Flow<4>>>>,
    /// The keys to them.
    pub keys: RefCell<BTreeMap<Tuple<4>, FlowRef>>,
    /// Slots that nobody uses.
    pub free: RefCell<VecDeque<u32>>,
    /// Port forwards.
    pub forwards: BTreeMap<ForwardKey<4>, ForwardTarget<4>>,
    /// Prefix, its length, and what sources in it are hidden behind.
    pub masquerades: Vec<([u8; 4], u8, MasqueradeTarget<4>)>,
    /// Prefix, its length, and whose it is.
    pub zones: Vec<([u8; 4], u8, Zone)>,
    /// Interfaces on which nodes' packets arrive at the host's stack.
    pub interfaces: Vec<u32>,
    /// Rule counters by index.
    pub rules: RefCell<BTreeMap<u32, RuleCounters>>,
    /// Received and verdict counters by index.
    pub verdicts: RefCell<BTreeMap<u32, Count>>,
}

impl MemTables {
    /// Empty tables with room for `capacity` flows.
    #[must_use]
    pub fn with_capacity(capacity: u32) -> Self {
        let tables = MemTables::default();
        tables.flows.borrow_mut().resize(capacity as usize, None);
        tables.free.borrow_mut().extend(0..capacity);
        tables
    }

    /// A copy of a slot.
    #[must_use]
    pub fn flow(&self, slot: u32) -> Option<Flow<4>> {
        self.flows.borrow().get(slot as usize).copied().flatten()
    }

    /// Every live flow.
    #[must_use]
    pub fn live(&self) -> Vec<Flow<4>> {
        self.flows.borrow().iter().flatten().filter(|flow| flow.head.life == life::LIVE).copied().collect()
    }

    /// A verdict's count at a hook.
    #[must_use]
    pub fn count(&self, hook: Hook, verdict: Verdict) -> Count {
        self.verdicts.borrow().get(&verdict_index(hook, verdict)).copied().unwrap_or_default()
    }

    fn add(&self, index: u32, traffic: Traffic) {
        let mut verdicts = self.verdicts.borrow_mut();
        let count = verdicts.entry(index).or_default();
        count.packets += traffic.packets;
        count.bytes += traffic.bytes;
    }
}

/// The value of the longest prefix around an address.
fn longest<V: Copy>(entries: &[([u8; 4], u8, V)], address: [u8; 4]) -> Option<V> {
    let address = u32::from_be_bytes(address);
    entries
        .iter()
        .filter(|(prefix, len, _)| {
            let mask = u32::MAX.checked_shl(32 - u32::from(*len)).unwrap_or(0);
            u32::from_be_bytes(*prefix) & mask == address & mask
        })
        .max_by_key(|(_, len, _)| *len)
        .map(|(_, _, value)| *value)
}

impl Tables<4> for MemTables {
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

    fn reserve_slot(&self) -> Option<(u32, u32)> {
        let slot = self.free.borrow_mut().pop_front()?;
        Some((slot, self.flow(slot).map_or(0, |flow| flow.head.generation)))
    }

    fn release_slot(&self, slot: u32) {
        if let Some(Some(flow)) = self.flows.borrow_mut().get_mut(slot as usize) {
            flow.head.life = life::FREE;
            flow.head.generation = flow.head.generation.wrapping_add(1);
        }
        self.free.borrow_mut().push_back(slot);
    }

    fn write_flow(&self, slot: u32, head: &Head<4>, now: u64) {
        let counters = Counters { last_seen: now, ..Counters::default() };
        self.flows.borrow_mut()[slot as usize] = Some(Flow { head: *head, counters });
    }

    fn write_reply(&self, slot: u32, reply: &Tuple<4>) {
        if let Some(Some(flow)) = self.flows.borrow_mut().get_mut(slot as usize) {
            flow.head.reply = *reply;
        }
    }

    fn read_flow(&self, slot: u32) -> Option<Head<4>> {
        self.flow(slot).map(|flow| flow.head)
    }

    fn last_seen(&self, slot: u32) -> u64 {
        self.flow(slot).map_or(0, |flow| flow.counters.last_seen)
    }

    fn retire(&self, slot: u32) {
        if let Some(Some(flow)) = self.flows.borrow_mut().get_mut(slot as usize) {
            flow.head.life = life::DYING;
        }
    }

    fn revive(&self, slot: u32) -> bool {
        match self.flows.borrow_mut().get_mut(slot as usize) {
            Some(Some(flow)) if flow.head.life == life::DYING => {
                flow.head.life = life::LIVE;
                true
            }
            _ => false,
        }
    }

    fn reset_state(&self, slot: u32, state: u32) {
        if let Some(Some(flow)) = self.flows.borrow_mut().get_mut(slot as usize) {
            flow.head.state = state;
        }
    }

    fn record(&self, slot: u32, direction: Direction, state_bits: u32, traffic: Traffic, now: u64) {
        if let Some(Some(flow)) = self.flows.borrow_mut().get_mut(slot as usize) {
            flow.head.state |= state_bits;
            flow.counters.last_seen = now;
            flow.counters.packets[direction as usize] += traffic.packets;
            flow.counters.bytes[direction as usize] += traffic.bytes;
        }
    }

    fn forward(&self, key: &ForwardKey<4>) -> Option<ForwardTarget<4>> {
        self.forwards.get(key).copied()
    }

    fn masquerade(&self, source: [u8; 4]) -> Option<MasqueradeTarget<4>> {
        longest(&self.masquerades, source)
    }

    fn is_lab_interface(&self, index: u32) -> bool {
        self.interfaces.contains(&index)
    }

    fn zone(&self, address: [u8; 4]) -> Zone {
        longest(&self.zones, address).unwrap_or(Zone::World)
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
}

/// A clock that stands still and numbers that follow one another.
#[derive(Debug, Default)]
pub struct FixedEnv {
    /// The time, in nanoseconds.
    pub now: Cell<u64>,
    /// The next random number.
    pub next: Cell<u32>,
}

impl Env for FixedEnv {
    fn now(&self) -> u64 {
        self.now.get()
    }

    fn random(&self) -> u32 {
        let number = self.next.get();
        self.next.set(number.wrapping_add(1));
        number
    }
}
