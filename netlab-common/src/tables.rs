//! The other two traits: [`Tables`], where things are looked up and counted, and [`Env`], time and chance.

use crate::abi::flow::{Direction, FlowRef, Head, Tuple};
use crate::abi::hook::Hook;
use crate::abi::rule::{ForwardKey, ForwardTarget, MasqueradeTarget, Zone};
use crate::abi::verdict::Verdict;

/// What a claim on a key came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The key is ours.
    Won,
    /// Another flow has it.
    Taken,
    /// There is no room for another key.
    Full,
}

/// Packets and bytes to add to a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Packets as they are on the wire.
    pub packets: u64,
    /// Bytes, from the IP header on in flows and rules, of the frame in verdicts.
    pub bytes: u64,
}

/// The tables for addresses of `N` bytes. Reads give values, never references, and every method may run on
/// several CPUs at once; each is atomic by itself.
pub trait Tables<const N: usize> {
    /// Where a key leads.
    fn find_key(&self, key: &Tuple<N>) -> Option<FlowRef>;
    /// Makes a key unless it is there already: the one arbiter between CPUs.
    fn claim_key(&self, key: &Tuple<N>, to: FlowRef) -> Claim;
    /// Takes away a key that this packet claimed.
    fn release_key(&self, key: &Tuple<N>);

    /// A slot for a new flow and its generation, or `None` when all are in use.
    fn reserve_slot(&self) -> Option<(u32, u32)>;
    /// Gives back a slot that this packet reserved and no key leads to.
    fn release_slot(&self, slot: u32);
    /// Fills a reserved slot and zeroes its counters; `now` becomes its last sight.
    fn write_flow(&self, slot: u32, head: &Head<N>, now: u64);
    /// Changes the reply tuple of a reserved slot that no key leads to yet.
    fn write_reply(&self, slot: u32, reply: &Tuple<N>);
    /// A slot's head, whole: `None` also when the slot changed hands during the read.
    fn read_flow(&self, slot: u32) -> Option<Head<N>>;
    /// When a slot's last packet came, in nanoseconds.
    fn last_seen(&self, slot: u32) -> u64;
    /// Marks a live flow as over, for the agent to take away.
    fn retire(&self, slot: u32);
    /// Takes such a mark back; false when the agent was quicker.
    fn revive(&self, slot: u32) -> bool;
    /// Overwrites a live flow's state bits: a connection begins anew on the same tuple.
    fn reset_state(&self, slot: u32, state: u32);
    /// Adds state bits, traffic and the time to a live flow.
    fn record(&self, slot: u32, direction: Direction, state_bits: u32, traffic: Traffic, now: u64);

    /// The forward for exactly this address, port and protocol.
    fn forward(&self, key: &ForwardKey<N>) -> Option<ForwardTarget<N>>;
    /// The masquerade with the longest prefix around a source.
    fn masquerade(&self, source: [u8; N]) -> Option<MasqueradeTarget<N>>;
    /// Whether this is an interface on which nodes' packets arrive at the host's stack.
    fn is_lab_interface(&self, index: u32) -> bool;
    /// Whose an address is.
    fn zone(&self, address: [u8; N]) -> Zone;

    /// Adds a flow's packets to its rule; `new_flow` is 1 for the packet that made the flow, else 0.
    fn count_rule(&self, rule: u32, direction: Direction, traffic: Traffic, new_flow: u64);
    /// Counts a packet that a hook received.
    fn count_received(&self, hook: Hook, traffic: Traffic);
    /// Counts what became of it.
    fn count_verdict(&self, hook: Hook, verdict: Verdict, traffic: Traffic);
}

/// Time and chance.
pub trait Env {
    /// Nanoseconds of `CLOCK_MONOTONIC`; a tick of some milliseconds is fine enough.
    fn now(&self) -> u64;
    /// An unpredictable number (RFC 6056 wants ports that cannot be guessed).
    fn random(&self) -> u32;
}
