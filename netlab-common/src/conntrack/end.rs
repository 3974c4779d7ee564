//! Ending flows: whether one may go, and taking it away without ever touching a newer one's entries.
//!
//! The same code runs in the packet that needs room, in the program that the agent runs over the table, and
//! on the host. Whoever moves a slot's life to `ENDING` owns the end of its flow; there is no second one.

use super::{idle, port_shard, source, state, timeout};
use crate::abi::event::Event;
use crate::abi::flow::{Direction, FlowRef, Kind, NO_SLOT, Status, Tuple, life};
use crate::abi::way::{HOLD_TICKS, Learnt};
use crate::net::{hash, protocol};
use crate::tables::{Env, Search, Tables};

/// Why a flow is to be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Ending {
    /// Its time is up, and its quarantine too.
    Expired = 0,
    /// Room is needed: it goes also when it is closing or was never assured.
    Evicted = 1,
}

/// What became of a slot that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Fate {
    /// It belongs to nobody.
    Empty = 0,
    /// What it holds stays.
    Stays = 1,
    /// What it held was taken away.
    Gone = 2,
}

impl Fate {
    /// From its number.
    #[inline(always)]
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        match number {
            1 => Fate::Stays,
            2 => Fate::Gone,
            _ => Fate::Empty,
        }
    }

    /// Whether a flow was taken away.
    #[inline(always)]
    #[must_use]
    pub fn is_gone(self) -> bool {
        matches!(self, Fate::Gone)
    }
}

/// Whether a flow may be taken away now.
///
/// A flow that is over keeps its keys for a while, so that a packet which found it live is not under way any
/// more when they go, its port is not somebody else's at once, and its opener may begin it anew.
#[inline(always)]
fn may_go<const N: usize, T: Tables<N>>(
    tables: &T,
    slot: u32,
    status: &Status,
    now: u32,
    how: Ending,
) -> bool {
    // As long as a flow uses a mapping, the mapping stays.
    if status.is_mapping() && status.users != 0 {
        return false;
    }
    if status.life == life::DOOMED {
        return true;
    }
    let evicted = matches!(how, Ending::Evicted);
    let idle = idle(tables, slot, now);
    let quarantine = tables.config().quarantine;
    if status.life == life::DYING || status.is_mapping() {
        // Told to end, or used by nobody any more.
        return evicted || idle >= quarantine;
    }
    let timeout = tables.timeout(timeout::of(status.protocol, status.state));
    // A flow of the host's own is made anew by its next packet. Were it kept, whoever makes the host answer
    // could fill the table.
    let kept = state::is_assured(status.protocol, status.state) && status.kind != Kind::Host as u8;
    idle >= timeout.saturating_add(quarantine) || (evicted && (idle >= timeout || !kept))
}

/// Takes a flow away if it may go; what became of it.
///
/// The order: own the end; look once more, because a packet may have come between; then the keys, then the
/// port, then the slot, so that whoever gets port or slot finds no entry of the old flow.
#[inline(always)]
pub fn reclaim<const N: usize, T: Tables<N>>(tables: &T, slot: u32, now: u32, how: Ending) -> Fate {
    let Some(status) = tables.status(slot) else { return Fate::Empty };
    let (was, generation) = (status.life, status.generation);
    if was == life::FREE {
        return Fate::Empty;
    }
    if !(was == life::LIVE || status.is_told_to_end()) || !may_go(tables, slot, &status, now, how) {
        return Fate::Stays;
    }
    if !tables.change_life(slot, was, life::ENDING) {
        return Fate::Stays;
    }
    // What the end is decided by is read anew: a packet that adds to it looks at `life` afterwards, so one of
    // the two sees the other.
    let Some(mut status) = tables.status(slot) else { return Fate::Empty };
    status.life = was;
    if status.generation != generation || !may_go(tables, slot, &status, now, how) {
        tables.change_life(slot, life::ENDING, was);
        return Fate::Stays;
    }
    take_away(tables, slot, &status, now);
    // What was doomed was counted by whoever doomed it.
    if was != life::DOOMED {
        tables.count_event(if matches!(how, Ending::Evicted) { Event::Evicted } else { Event::Expired });
    }
    Fate::Gone
}

/// Takes an ending flow's entries away.
#[inline(always)]
fn take_away<const N: usize, T: Tables<N>>(tables: &T, slot: u32, status: &Status, now: u32) {
    let own = FlowRef::new(slot, status.generation, Direction::Original);
    let original = tables.tuple(slot, Direction::Original);
    release_own(tables, &original, own);
    source::count(tables, original.src, false);
    let own = FlowRef::new(slot, status.generation, Direction::Reply);
    let reply = tables.tuple(slot, Direction::Reply);
    release_own(tables, &reply, own);
    if status.state & state::OWNS_PORT != 0 {
        tables.give_port(port_shard(tables, &reply), u16::from_be_bytes(reply.dport));
    }
    if status.mapping != NO_SLOT {
        // The mapping's own time begins when its last flow is gone.
        tables.touch(status.mapping, now);
        tables.count_user(status.mapping, false);
    }
    tables.release_slot(slot);
}

/// Takes away a key if it is the flow's. Between look and removal it cannot become another's: nobody but the
/// owner of the flow's end removes it, and nobody can claim it while it is there.
#[inline(always)]
fn release_own<const N: usize, T: Tables<N>>(tables: &T, key: &Tuple<N>, own: FlowRef) {
    if tables.find_key(key) == Some(own) {
        tables.release_key(key);
    }
}

/// A walk over slots that takes away what may go, and has the others forget ways that are old.
#[derive(Clone, Copy, Debug)]
pub struct Sweep {
    /// The first slot.
    pub first: u32,
    /// Now, in ticks.
    pub now: u32,
    /// Flows taken away so far.
    pub ended: u32,
    /// Slots in use, so far, that stay so.
    pub stayed: u32,
}

impl Sweep {
    /// One from this slot on.
    #[inline(always)]
    #[must_use]
    pub fn from(first: u32, now: u32) -> Self {
        Sweep { first, now, ended: 0, stayed: 0 }
    }
}

impl<const N: usize> Search<N> for Sweep {
    #[inline(always)]
    fn step<T: Tables<N>, E: Env<N>>(&mut self, tables: &T, _env: &E, index: u32) -> bool {
        let slot = self.first.wrapping_add(index);
        match tables.reclaim(slot, self.now, Ending::Expired) {
            Fate::Empty => {}
            Fate::Gone => self.ended = self.ended.wrapping_add(1),
            Fate::Stays => {
                self.stayed = self.stayed.wrapping_add(1);
                forget_old_ways(tables, slot, self.now);
            }
        }
        false
    }
}

/// Has a flow forget what it has learnt for a direction in which no packet came since: the tick that is kept with it may
/// come round before the next one does.
#[inline(always)]
fn forget_old_ways<const N: usize, T: Tables<N>>(tables: &T, slot: u32, now: u32) {
    for direction in [Direction::Original, Direction::Reply] {
        let learnt = tables.learnt(slot, direction);
        if learnt != Learnt::default() && learnt.age(now) >= HOLD_TICKS {
            // Should the flow learn something new in this moment, its next packet goes by the stack once more.
            tables.forget_learnt(slot, direction);
        }
    }
}

/// Slots that are looked at when room is needed.
const LOOKED_AT: u32 = 128;

/// Flows that might go, among which the one that has been idle longest does.
const CANDIDATES: u32 = 16;

/// The search for a flow to evict: of some that may go, beginning at a random slot, the one that has been
/// idle longest. So what is new and honest outlives a flood for a good part of the time that the flood needs
/// to fill the table.
#[derive(Clone, Copy, Debug)]
pub struct Victim {
    first: u32,
    used: u32,
    now: u32,
    candidates: u32,
    best: u32,
    best_idle: u32,
}

impl<const N: usize> Search<N> for Victim {
    #[inline(always)]
    fn step<T: Tables<N>, E: Env<N>>(&mut self, tables: &T, _env: &E, index: u32) -> bool {
        let mut slot = self.first.wrapping_add(index);
        if slot >= self.used {
            slot -= self.used;
        }
        let Some(status) = tables.status(slot) else { return false };
        if !(status.life == life::LIVE || status.is_told_to_end())
            || !may_go(tables, slot, &status, self.now, Ending::Evicted)
        {
            return false;
        }
        let idle = idle(tables, slot, self.now);
        // What is over goes before what is half open, whatever its age.
        let over = status.is_told_to_end()
            || status.is_mapping()
            || idle >= tables.timeout(timeout::of(status.protocol, status.state));
        let closing = over || (status.protocol == protocol::TCP && state::is_closing(status.state));
        let rank = if closing { idle.saturating_add(1 << 30) } else { idle.saturating_add(1) };
        if rank > self.best_idle {
            self.best_idle = rank;
            self.best = slot;
        }
        self.candidates += 1;
        self.candidates >= CANDIDATES
    }
}

/// Makes room for a flow if any may go.
#[inline(always)]
pub fn make_room<const N: usize, T: Tables<N>, E: Env<N>>(tables: &T, env: &E, now: u32) {
    let used = tables.used_slots();
    if used == 0 {
        return;
    }
    let first = hash::below(env.random(), used);
    let mut victim = Victim { first, used, now, candidates: 0, best: NO_SLOT, best_idle: 0 };
    let steps = if used < LOOKED_AT { used } else { LOOKED_AT };
    env.search(tables, steps, &mut victim);
    if victim.best != NO_SLOT {
        tables.reclaim(victim.best, now, Ending::Evicted);
    }
}

/// Slots that a packet which opens a flow sweeps by itself while no agent does.
const SWEPT_IN_PASSING: u32 = 16;

/// Seconds without a sweep after which the agent counts as gone.
const AGENT_GONE: u32 = 5;

/// Whether the agent has swept of late.
#[inline(always)]
pub fn is_agent_there<const N: usize, T: Tables<N>>(tables: &T, now: u32) -> bool {
    crate::abi::clock::since(now, tables.last_sweep()) < crate::abi::clock::from_seconds(AGENT_GONE)
}

/// Sweeps some slots if the agent has not done so for a while: then every packet that asks for a flow does a
/// bit of its work, so that what is over makes room at the rate at which room is wanted. A function of its own:
/// see [`pipeline`](crate::pipeline).
#[inline(never)]
pub fn sweep_in_passing<const N: usize, T: Tables<N>, E: Env<N>>(tables: &T, env: &E, now: u32) {
    if is_agent_there(tables, now) {
        return;
    }
    let used = tables.used_slots();
    if used == 0 {
        return;
    }
    let mut sweep = Sweep::from(hash::below(env.random(), used), now);
    env.search(tables, SWEPT_IN_PASSING, &mut sweep);
}
