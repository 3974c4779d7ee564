//! Making a flow, with both its keys or not at all.

use super::end::{self, Ending};
use super::ports::{SEEK_STEPS, SOME, Scan, Seek, Wanted};
use super::{Entry, Lookup, find_mapping, lookup, port_hash, port_shard, source, state};
use crate::abi::event::Event;
use crate::abi::flow::{Direction, FlowRef, Head, Kind, NO_SLOT, Tuple, life};
use crate::abi::hook::Hook;
use crate::abi::port::Fruitless;
use crate::tables::{Claim, Env, Tables};

/// A flow, or mapping, to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewFlow<const N: usize> {
    /// The opening packet's tuple as it arrived.
    pub original: Tuple<N>,
    /// The answers' tuple, with the destination port that is wanted most.
    pub reply: Tuple<N>,
    /// Which other destination ports the answers may have.
    pub ports: Ports,
    /// The hook that translates the opening side's packets.
    pub original_hook: Hook,
    /// The hook that translates the answers.
    pub reply_hook: Hook,
    /// What it is.
    pub kind: Kind,
    /// Of a mapping: its filtering, as a number.
    pub filtering: u8,
    /// The rule that wants it.
    pub rule: u32,
    /// The mapping that it uses.
    pub mapping: u32,
    /// State bits of the opening packet.
    pub state: u32,
    /// When, in ticks.
    pub now: u32,
}

impl<const N: usize> NewFlow<N> {
    /// What the flow's slot begins with.
    #[inline(always)]
    #[must_use]
    pub fn head(&self, generation: u32) -> Head<N> {
        Head {
            generation,
            life: life::FORMING,
            state: self.state,
            rule: self.rule,
            mapping: self.mapping,
            users: 0,
            created: self.now,
            original_hook: self.original_hook as u8,
            reply_hook: self.reply_hook as u8,
            kind: self.kind as u8,
            filtering: self.filtering,
            original: self.original,
            reply: self.reply,
        }
    }
}

/// Which destination ports a reply tuple may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// First one of the range.
    pub first: u16,
    /// Last one of the range. A range that ends before it begins is empty: there is the wanted port or none.
    pub last: u16,
    /// Whether the wanted port may be used.
    pub keep: Keep,
    /// Whether the ports of the host's own sockets are left to them.
    pub avoid_sockets: bool,
}

/// What is to be done with the wanted port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// It is outside of the range that the user set.
    Never,
    /// It is used where it is free.
    IfFree,
    /// It is used where no flow has it, even if a socket of the host's does: that is whose flow it is.
    Own,
    /// It is used where no flow has it, and there is no other that would do.
    Alone,
}

impl Ports {
    /// The wanted port and no other.
    pub const FIXED: Ports = Ports { first: 1, last: 0, keep: Keep::Own, avoid_sockets: false };

    /// What has no port, or none that could be another: the external address itself is the flow's towards its
    /// remote.
    pub const ALONE: Ports = Ports { first: 1, last: 0, keep: Keep::Alone, avoid_sockets: false };

    #[inline(always)]
    fn is_range(&self) -> bool {
        self.first <= self.last
    }
}

/// How an opening packet came by its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// It made it.
    Fresh,
    /// Another packet was quicker.
    Joined,
}

/// Why a flow was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Refusal {
    /// No slot, or no room for keys, and nothing may be evicted.
    Full = 1,
    /// The opening tuple leads to a flow that is ending.
    Ending = 2,
    /// Every reply tuple that would do is taken.
    NoPort = 3,
    /// The one reply tuple that would do is another flow's.
    Conflict = 4,
}

/// Finds a slot for the flow that was laid aside, by making room if there is none; false when its source holds
/// as many flows as one may.
#[inline(always)]
pub fn reserve<const N: usize, T: Tables<N>, E: Env<N>>(tables: &T, env: &E) -> bool {
    let Some(new) = tables.draft() else { return false };
    let new: &NewFlow<N> = &new;
    if !matches!(new.kind, Kind::Host) && source::is_over(tables, new.original.src) {
        leave_mapping(tables, new);
        return false;
    }
    let mut slot = tables.reserve_slot();
    // Another CPU may have chosen the same flow to make room, or take what was made free here.
    let mut tries = 0;
    while slot.is_none() && tries < 3 {
        end::make_room(tables, env, new.now);
        slot = tables.reserve_slot();
        tries += 1;
    }
    tables.set_place(slot.unwrap_or(NO_SLOT));
    true
}

const FRESH: u32 = 0x100;
const JOINED: u32 = 0x101;

impl Made {
    /// What [`create`] says by its number.
    ///
    /// # Errors
    /// See [`Refusal`]; nothing is left behind then.
    #[inline(always)]
    pub fn unpack(number: u32) -> Result<Made, Refusal> {
        match number {
            FRESH => Ok(Made::Fresh),
            JOINED => Ok(Made::Joined),
            1 => Err(Refusal::Full),
            2 => Err(Refusal::Ending),
            4 => Err(Refusal::Conflict),
            _ => Err(Refusal::NoPort),
        }
    }
}

/// Makes the flow that was laid aside, or finds that another CPU has made it in this very moment. The number is
/// for [`Made::unpack`].
#[inline(always)]
pub fn create<const N: usize, T: Tables<N>, E: Env<N>>(tables: &T, env: &E) -> u32 {
    let Some(new) = tables.draft() else { return Refusal::Ending as u32 };
    let new: &NewFlow<N> = &new;
    let refusal = tables.forget(match make(tables, env, new, tables.place()) {
        Ok(()) => return FRESH,
        Err(refusal) => refusal as u32,
    });
    leave_mapping(tables, new);
    // Whatever was in the way: if it was another CPU with the very same flow, the packet goes by that one.
    if !is_made(tables, new) && !is_in_the_making(tables, new) {
        return refusal;
    }
    tables.count_event(Event::Joined);
    JOINED
}

/// Takes back what whoever drafted the flow has done: counting it as a user of its mapping.
#[inline(always)]
fn leave_mapping<const N: usize, T: Tables<N>>(tables: &T, new: &NewFlow<N>) {
    if new.mapping != NO_SLOT {
        tables.count_user(new.mapping, false);
    }
}

/// The order keeps invariants 1, 3 and 5: the slot is written before any key leads to it; the reply key is
/// claimed first, so that a translated packet never leaves before its answer can find home; and whoever
/// claims the original key owns the flow. The loser of a race takes back its reply key, port and slot, and
/// goes on with the winner's flow, so that no packet is lost.
#[inline(always)]
fn make<const N: usize, T: Tables<N>, E: Env<N>>(
    tables: &T,
    env: &E,
    new: &NewFlow<N>,
    slot: u32,
) -> Result<(), Refusal> {
    if slot == NO_SLOT {
        return Err(Refusal::Full);
    }
    tables.write_flow(slot, new);

    let generation = tables.generation(slot);
    let to = FlowRef::new(slot, generation, Direction::Reply);
    let (claim, owned) = claim_reply(tables, env, new, to);
    let (claim, owned) = (claim.forget(tables), tables.forget(u32::from(owned)) != 0);
    if claim != Claim::Won {
        tables.release_slot(slot);
        // Where there is one port only, it is an old flow of the same two ends that has it, and is on its way out.
        return Err(match claim {
            Claim::Full => Refusal::Full,
            _ if new.ports.is_range() => Refusal::NoPort,
            _ if matches!(new.ports.keep, Keep::Alone) => Refusal::Conflict,
            _ => Refusal::Ending,
        });
    }
    if owned {
        tables.add_state(slot, state::OWNS_PORT);
    }

    let to = FlowRef::new(slot, generation, Direction::Original);
    let claim = claim_from_the_dead(tables, &new.original, to, new.now);
    if claim == Claim::Won {
        source::count(tables, new.original.src, true);
        tables.change_life(slot, life::FORMING, life::LIVE);
        return Ok(());
    }
    let reply = tables.tuple(slot, Direction::Reply);
    tables.release_key(&reply);
    if owned {
        tables.give_port(port_shard(tables, &reply), u16::from_be_bytes(reply.dport));
    }
    tables.release_slot(slot);
    Err(if claim == Claim::Full { Refusal::Full } else { Refusal::Ending })
}

/// Claims a reply key: the wanted one, or one with another port of the range.
#[inline(always)]
fn claim_reply<const N: usize, T: Tables<N>, E: Env<N>>(
    tables: &T,
    env: &E,
    new: &NewFlow<N>,
    to: FlowRef,
) -> (Claim, bool) {
    let ports = &new.ports;
    let shard = port_shard(tables, &new.reply);
    let allowed = match ports.keep {
        Keep::Never => false,
        Keep::Own | Keep::Alone => true,
        Keep::IfFree => !(ports.avoid_sockets && env.host_has_socket(&new.reply)),
    };
    if allowed {
        // The key decides: the bit may belong to another remote in the same bitmap.
        let port = u16::from_be_bytes(new.reply.dport);
        let marked = ports.is_range() && tables.take_port(shard, port);
        let claim = claim_from_the_dead(tables, &new.reply, to, new.now);
        if marked && claim != Claim::Won {
            tables.give_port(shard, port);
        }
        // A race with another CPU for the very same flow is not to be won by another port.
        if claim != Claim::Taken || !ports.is_range() || is_in_the_making(tables, new) {
            return (claim, marked && claim == Claim::Won);
        }
    }
    if !ports.is_range() {
        return (Claim::Taken, false);
    }
    let mut seek = Seek::new(
        Wanted {
            reply: new.reply,
            to,
            claim: Claim::Taken,
            owned: false,
            avoid_sockets: ports.avoid_sockets,
            shard,
            first: u32::from(ports.first),
            last: u32::from(ports.last),
            now: new.now,
        },
        env.random(),
    );
    env.search(tables, SEEK_STEPS, &mut seek);
    if seek.wanted.claim != Claim::Taken {
        return (seek.wanted.claim, seek.wanted.owned);
    }
    let mut scan = Scan::new(&mut seek.wanted, env.random());
    // Others in the bitmap may have what is free for this remote. All ports are tried in vain once a tick at most, so
    // that a remote whose ports are all in use costs no more than others; but some always are.
    let whole = tables.forget(may_scan(tables, to.slot(), new.now)) != 0;
    let steps = if whole { scan.steps() } else { scan.some_steps() };
    let steps = tables.forget(steps);
    env.search(tables, steps, &mut scan);
    // Of a range no wider than that nothing is to be remembered: it is tried whole in any case.
    if seek.wanted.claim == Claim::Taken && steps > SOME {
        scanned_in_vain(tables, to.slot(), new.now);
    }
    (seek.wanted.claim, seek.wanted.owned)
}

/// Whether all ports may be tried for a forming flow. A function of its own, as is the next: see
/// [`pipeline`](crate::pipeline).
#[inline(never)]
fn may_scan<const N: usize, T: Tables<N>>(tables: &T, slot: u32, now: u32) -> u32 {
    let reply = tables.tuple(slot, Direction::Reply);
    let known = Fruitless(tables.fruitless_scan(port_shard(tables, &reply)));
    let allowed = known.allows(port_hash(tables, &reply), now);
    if allowed {
        tables.count_event(Event::PortScan);
    }
    u32::from(allowed)
}

/// Remembers that all ports were tried for a forming flow, and none was free.
#[inline(never)]
fn scanned_in_vain<const N: usize, T: Tables<N>>(tables: &T, slot: u32, now: u32) {
    let reply = tables.tuple(slot, Direction::Reply);
    let shard = port_shard(tables, &reply);
    let known = Fruitless(tables.fruitless_scan(shard));
    tables.set_fruitless_scan(shard, known.with(port_hash(tables, &reply), now).0);
}

/// Claims a key, also from a flow that is over and may go.
#[inline(always)]
fn claim_from_the_dead<const N: usize, T: Tables<N>>(
    tables: &T,
    key: &Tuple<N>,
    to: FlowRef,
    now: u32,
) -> Claim {
    let claim = tables.claim_key(key, to);
    if claim == Claim::Taken
        && let Lookup::Expired(entry) = lookup(tables, key, now)
        && tables.reclaim(entry.slot, now, Ending::Expired).is_gone()
    {
        return tables.claim_key(key, to).forget(tables);
    }
    claim.forget(tables)
}

/// Whether the opening tuple leads to what is to be made: another CPU was quicker.
#[inline(always)]
fn is_made<const N: usize, T: Tables<N>>(tables: &T, new: &NewFlow<N>) -> bool {
    match new.kind {
        Kind::Mapping => find_mapping(tables, &new.original).slot != NO_SLOT,
        Kind::Flow | Kind::Host => matches!(lookup(tables, &new.original, new.now), Lookup::Live(_)),
    }
}

/// Whether the wanted reply key is the very flow's that is to be made: another CPU is at it, and the original
/// key may be still to come. Never so of a mapping: it is used by its original key, and if that is not there,
/// nobody knows yet whose mapping it will be.
#[inline(always)]
fn is_in_the_making<const N: usize, T: Tables<N>>(tables: &T, new: &NewFlow<N>) -> bool {
    matches!(in_the_making(tables, new), Lookup::Live(_))
}

/// The flow that a packet has joined, by its reply key: what leads there by the original key may be still to
/// come.
#[inline(always)]
pub fn joined<const N: usize, T: Tables<N>>(tables: &T) -> Lookup<N> {
    let Some(new) = tables.draft() else { return Lookup::Miss };
    in_the_making(tables, &new)
}

#[inline(always)]
fn in_the_making<const N: usize, T: Tables<N>>(tables: &T, new: &NewFlow<N>) -> Lookup<N> {
    match lookup(tables, &new.reply, new.now) {
        // An old flow of the same tuples that is ending is not in the making.
        Lookup::Live(found) if found.other == new.original && found.status.life != life::ENDING => {
            Lookup::Live(Entry { direction: Direction::Original, other: new.reply, ..found })
        }
        _ => Lookup::Miss,
    }
}
