//! Flows: finding one, and beginning one anew. `create` makes them, `end` takes them away.
//!
//! It knows tuples, states and times. Why a flow is made, and what its reply looks like, is `nat`'s to say.

pub mod create;
pub mod end;
pub mod ports;
pub mod source;
pub mod state;
pub mod timeout;

use crate::abi::clock;
use crate::abi::flow::{Direction, NO_SLOT, Status, Tuple, life};
use crate::abi::hook::Hook;
use crate::net::{hash, tcp};
use crate::packet::Transport;
use crate::tables::Tables;

/// A flow that a packet belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Entry<const N: usize> {
    /// The flow's slot.
    pub slot: u32,
    /// Which of its two tuples the packet bears.
    pub direction: Direction,
    /// What the slot holds.
    pub status: Status,
    /// The tuple that packets of the other direction bear on arrival.
    pub other: Tuple<N>,
}

impl<const N: usize> Entry<N> {
    /// Whether this is the hook that translates the packet.
    #[inline(always)]
    #[must_use]
    pub fn is_translated_at(&self, hook: Hook) -> bool {
        self.status.hook(self.direction) == hook as u32
    }

    /// Whether the host itself opened the flow by one of its own addresses. Both directions then go by the loopback
    /// interface.
    #[inline(always)]
    #[must_use]
    pub fn is_the_hosts_way(&self) -> bool {
        self.status.original_hook == Hook::LocalOut as u8
    }

    /// The tuple the packet bears once it is translated: the inverse of how the other side's arrive.
    #[inline(always)]
    #[must_use]
    pub fn translated(&self) -> Tuple<N> {
        self.other.inverse()
    }
}

/// What a look-up came to.
#[derive(Clone, Copy, Debug)]
pub enum Lookup<const N: usize> {
    /// A flow whose time is not up.
    Live(Entry<N>),
    /// A flow that is over, and whose keys are still there.
    Expired(Entry<N>),
    /// No flow.
    Miss,
}

/// Ticks since a slot's last packet.
#[inline(always)]
pub fn idle<const N: usize, T: Tables<N>>(tables: &T, slot: u32, now: u32) -> u32 {
    clock::since(now, tables.last_seen(slot))
}

/// The port bitmap of a reply tuple: chosen by all of the tuple but its destination port.
#[inline(always)]
pub fn port_shard<const N: usize, T: Tables<N>>(tables: &T, reply: &Tuple<N>) -> u32 {
    let config = tables.config();
    hashed(config.seed, reply) & config.shard_mask
}

/// A hash of all of a reply tuple but its destination port.
#[inline(always)]
fn port_hash<const N: usize, T: Tables<N>>(tables: &T, reply: &Tuple<N>) -> u32 {
    hashed(tables.config().seed, reply)
}

#[inline(always)]
fn hashed<const N: usize>(seed: u32, reply: &Tuple<N>) -> u32 {
    let remote = hash::bytes(seed, reply.src);
    let external = hash::bytes(remote, reply.dst);
    let rest = u32::from_be_bytes([reply.protocol, 0, reply.sport[0], reply.sport[1]]);
    hash::finish(hash::word(external, rest))
}

/// What a key leads to, or an entry with [`NO_SLOT`] if that is nothing.
///
/// No `Option`, because LLVM stores the payload of its `None` too where that seems harmless, and the verifier
/// refuses to see undefined bytes stored.
#[inline(always)]
fn find<const N: usize, T: Tables<N>>(tables: &T, tuple: &Tuple<N>) -> Entry<N> {
    let nothing = Entry {
        slot: NO_SLOT,
        direction: Direction::Original,
        status: Status::NOTHING,
        other: Tuple { src: [0; N], dst: [0; N], sport: [0; 2], dport: [0; 2], protocol: 0, pad: [0; 3] },
    };
    let Some(to) = tables.find_key(tuple) else { return nothing };
    let Some(status) = tables.status(to.slot()) else { return nothing };
    let direction = to.direction();
    let own = tables.tuple(to.slot(), direction);
    let other = tables.tuple(to.slot(), direction.other());
    // Another generation: the key outlived its flow, and the slot is another flow's by now. It is looked at
    // once more after the tuples, because it changes before anything else of a slot that changes hands. Another
    // tuple: the key went while it was looked at, and what was read is the next key's in its place.
    if status.generation != to.generation()
        || status.life == life::FREE
        || own != *tuple
        || tables.generation(to.slot()) != to.generation()
    {
        return nothing;
    }
    Entry { slot: to.slot(), direction, status, other }
}

/// Finds the flow of a packet. Whether its time is up is decided here, at each look-up, so that expiry never
/// waits for anybody to sweep (invariant 6).
///
/// A flow that is forming can be used already: its slot was written before its first key. One that is ending
/// still translates what was under way to it, because its port goes back only after its keys.
#[inline(always)]
pub fn lookup<const N: usize, T: Tables<N>>(tables: &T, tuple: &Tuple<N>, now: u32) -> Lookup<N> {
    let entry = find(tables, tuple);
    if entry.slot == NO_SLOT || entry.status.is_mapping() {
        return Lookup::Miss;
    }
    let timeout = tables.timeout(timeout::of(tuple.protocol, entry.status.state));
    if !entry.status.is_told_to_end() && idle(tables, entry.slot, now) < timeout {
        Lookup::Live(entry)
    } else {
        Lookup::Expired(entry)
    }
}

/// The mapping that a key without a remote side leads to, in use or not; an entry with [`NO_SLOT`] if there is
/// none.
#[inline(always)]
pub fn find_mapping<const N: usize, T: Tables<N>>(tables: &T, key: &Tuple<N>) -> Entry<N> {
    // A flow's tuple always has a remote side, so what such a key leads to is a mapping.
    find(tables, key)
}

/// Whether a packet begins a known flow anew: a SYN of the opening side after the old connection closed
/// (RFC 6191 reuse of a tuple in TIME-WAIT), or any opening packet after the flow's time was up.
#[inline(always)]
pub fn begins_anew<const N: usize>(entry: &Entry<N>, transport: Transport, expired: bool) -> bool {
    matches!(entry.direction, Direction::Original)
        && transport.opens()
        && entry.status.life != life::DOOMED
        && (expired || (matches!(transport, Transport::Tcp(_)) && state::is_closing(entry.status.state)))
}

/// Keeps a flow or mapping from being taken away, and takes back that it was told to end; false if somebody
/// was quicker.
///
/// Its last sight is set before its life is looked at, while whoever ends it sets its life before he looks at
/// its last sight. So at least one of the two sees the other.
#[inline(always)]
pub fn hold<const N: usize, T: Tables<N>>(tables: &T, slot: u32, generation: u32, now: u32) -> bool {
    tables.touch(slot, now);
    match tables.status(slot) {
        Some(status) if status.generation == generation => match status.life {
            life::LIVE | life::FORMING => true,
            life::DYING => tables.change_life(slot, life::DYING, life::LIVE),
            _ => false,
        },
        _ => false,
    }
}

/// Tells a flow to end, which was found by a packet. Its slot may have changed hands since; then the flow that is
/// there now lives on.
#[inline(always)]
pub fn tell_to_end<const N: usize, T: Tables<N>>(tables: &T, slot: u32, generation: u32) {
    if tables.change_life(slot, life::LIVE, life::DYING) && tables.generation(slot) != generation {
        tables.change_life(slot, life::DYING, life::LIVE);
    }
}

/// Whether a packet shows that its tuple is another connection's by now: somebody answers a SYN, and none
/// came through this flow since it closed. The flow must not stand in that connection's way.
#[inline(always)]
pub fn is_anothers<const N: usize>(entry: &Entry<N>, transport: Transport) -> bool {
    matches!(entry.direction, Direction::Reply)
        && matches!(transport, Transport::Tcp(flags) if flags & (tcp::SYN | tcp::ACK) == tcp::SYN | tcp::ACK)
        && state::is_closing(entry.status.state)
}
