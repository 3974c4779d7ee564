//! Flows: finding one, making one with both its keys or not at all, and beginning one anew.
//!
//! It knows tuples, states and times. Why a flow is made, and what its reply looks like, is `nat`'s to say.

pub mod state;
pub mod timeout;

use crate::abi::flow::{Direction, FlowRef, Head, Tuple, life};
use crate::abi::hook::Hook;
use crate::net::tcp;
use crate::packet::Transport;
use crate::tables::{Claim, Tables};

/// A flow that a packet belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Entry<const N: usize> {
    /// The flow's slot.
    pub slot: u32,
    /// Which of its two tuples the packet bears.
    pub direction: Direction,
    /// What the slot holds.
    pub head: Head<N>,
}

impl<const N: usize> Entry<N> {
    /// Whether this is the hook that translates the packet.
    #[inline(always)]
    #[must_use]
    pub fn is_translated_at(&self, hook: Hook) -> bool {
        self.head.hook(self.direction) == hook as u32
    }

    /// The tuple the packet bears once it is translated: the inverse of how the other side's arrive.
    #[inline(always)]
    #[must_use]
    pub fn translated(&self) -> Tuple<N> {
        match self.direction {
            Direction::Original => self.head.reply.inverse(),
            Direction::Reply => self.head.original.inverse(),
        }
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

/// Finds the flow of a packet. Whether its time is up is decided here, at each look-up, so that expiry never
/// waits for the agent (invariant 6).
#[inline(always)]
pub fn lookup<const N: usize, T: Tables<N>>(tables: &T, tuple: &Tuple<N>, now: u64) -> Lookup<N> {
    let Some(reference) = tables.find_key(tuple) else { return Lookup::Miss };
    let Some(head) = tables.read_flow(reference.slot) else { return Lookup::Miss };
    // Another generation: the key outlived its flow, and the slot is another flow's by now.
    if head.generation != reference.generation || matches!(head.life, life::FREE | life::ENDING) {
        return Lookup::Miss;
    }
    let entry = Entry { slot: reference.slot, direction: Direction::from_number(reference.direction), head };
    let idle = now.saturating_sub(tables.last_seen(reference.slot));
    if head.life == life::LIVE && idle < timeout::of(tuple.protocol, head.state) {
        Lookup::Live(entry)
    } else {
        Lookup::Expired(entry)
    }
}

/// Whether a packet begins a known flow anew: a SYN of the opening side after the old connection closed
/// (RFC 6191 reuse of a tuple in TIME-WAIT), or any opening packet after the flow's time was up.
#[inline(always)]
pub fn begins_anew<const N: usize, T: Tables<N>>(
    tables: &T,
    entry: &Entry<N>,
    transport: Transport,
    expired: bool,
) -> bool {
    matches!(entry.direction, Direction::Original)
        && transport.opens()
        && (expired || (matches!(transport, Transport::Tcp(_)) && state::is_closing(entry.head.state)))
        && (entry.head.life == life::LIVE || tables.revive(entry.slot))
}

/// Whether a packet shows that its tuple is another connection's by now: somebody answers a SYN, and none
/// came through this flow since it closed. The flow must not stand in that connection's way.
#[inline(always)]
pub fn is_anothers<const N: usize>(entry: &Entry<N>, transport: Transport) -> bool {
    matches!(entry.direction, Direction::Reply)
        && matches!(transport, Transport::Tcp(flags) if flags & (tcp::SYN | tcp::ACK) == tcp::SYN | tcp::ACK)
        && state::is_closing(entry.head.state)
}

/// A flow to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewFlow<const N: usize> {
    /// The opening packet's tuple as it arrived.
    pub original: Tuple<N>,
    /// The hook that translates the opening side's packets.
    pub original_hook: Hook,
    /// The hook that translates the answers.
    pub reply_hook: Hook,
    /// The rule that wants it.
    pub rule: u32,
    /// State bits of the opening packet.
    pub state: u32,
    /// When.
    pub now: u64,
}

/// The flow that an opening packet belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Opened<const N: usize> {
    /// The flow.
    pub entry: Entry<N>,
    /// Whether this packet made it; otherwise another CPU was quicker.
    pub fresh: bool,
}

/// Why a flow was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No slot, or no room for keys.
    Full,
    /// The opening tuple leads to a flow that is ending.
    Ending,
    /// None of the reply tuples that were tried is free.
    NoReply,
}

/// A slot that no table has.
const NO_SLOT: u32 = u32::MAX;

/// Makes a flow. `reply` gives the reply tuple to try at each attempt, from 0 up to `attempts`.
///
/// The order keeps invariants 1, 3 and 5: the slot is written before any key leads to it; the reply key is
/// claimed first, so a translated packet never leaves before its answer can find home; and whoever claims the
/// original key owns the flow. The loser of a race takes back its reply key and slot, and goes on with the
/// winner's flow, so that no packet is lost.
///
/// # Errors
/// See [`Refusal`]; nothing is left behind then.
#[inline(always)]
pub fn create<const N: usize, T: Tables<N>>(
    tables: &T,
    new: &NewFlow<N>,
    attempts: u32,
    reply: impl Fn(u32) -> Tuple<N>,
) -> Result<Opened<N>, Refusal> {
    let mut head = Head {
        generation: 0,
        life: life::LIVE,
        state: new.state,
        rule: new.rule,
        original_hook: new.original_hook as u32,
        reply_hook: new.reply_hook as u32,
        created: new.now,
        original: new.original,
        reply: reply(0),
    };
    let reserved = tables.reserve_slot();
    let (slot, generation) = reserved.unwrap_or((NO_SLOT, 0));
    head.generation = generation;
    let to = FlowRef { slot, generation, direction: Direction::Reply as u32 };
    let mut claim = match reserved {
        Some(_) => {
            tables.write_flow(slot, &head, new.now);
            tables.claim_key(&head.reply, to)
        }
        None => Claim::Full,
    };
    if claim != Claim::Won
        && let Some(opened) = join(tables, new, &head.reply)
    {
        if reserved.is_some() {
            tables.release_slot(slot);
        }
        return Ok(opened);
    }
    if reserved.is_none() {
        return Err(Refusal::Full);
    }
    let mut attempt = 1;
    while claim == Claim::Taken && attempt < attempts {
        head.reply = reply(attempt);
        tables.write_reply(slot, &head.reply);
        claim = tables.claim_key(&head.reply, to);
        attempt += 1;
    }
    if claim != Claim::Won {
        tables.release_slot(slot);
        return Err(if claim == Claim::Full { Refusal::Full } else { Refusal::NoReply });
    }

    let to = FlowRef { slot, generation, direction: Direction::Original as u32 };
    let refusal = match tables.claim_key(&new.original, to) {
        Claim::Won => {
            let entry = Entry { slot, direction: Direction::Original, head };
            return Ok(Opened { entry, fresh: true });
        }
        Claim::Taken => Refusal::Ending,
        Claim::Full => Refusal::Full,
    };
    tables.release_key(&head.reply);
    tables.release_slot(slot);
    match lookup(tables, &new.original, new.now) {
        Lookup::Live(entry) => Ok(Opened { entry, fresh: false }),
        Lookup::Expired(_) | Lookup::Miss => Err(refusal),
    }
}

/// The very flow that is to be made, when another CPU is at it: that one has its first reply key already,
/// though its original key may be still to come.
#[inline(always)]
fn join<const N: usize, T: Tables<N>>(tables: &T, new: &NewFlow<N>, first: &Tuple<N>) -> Option<Opened<N>> {
    match lookup(tables, first, new.now) {
        Lookup::Live(found) if found.head.original == new.original => {
            Some(Opened { entry: Entry { direction: Direction::Original, ..found }, fresh: false })
        }
        _ => None,
    }
}
