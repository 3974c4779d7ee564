//! Learning ways: where a packet leaves the host by its stack, its flow remembers where it came in, by which interface it
//! leaves, and to which neighbour. [`shortcut`](super::shortcut) goes by that.

use super::Scene;
use crate::abi::clock;
use crate::abi::flow::{Direction, FlowRef};
use crate::abi::way::{Exit, HOLD_TICKS, Learnt, Link, WAY_TICKS, WAYS, Way, door, exit};
use crate::conntrack::end;
use crate::net::{eth, hash};
use crate::packet::{Headers, Packet, Piece, Transport};
use crate::tables::{Env, Hop, Tables};

/// Places in which a way may lie.
const PROBES: u32 = 4;

/// Has a flow remember the way that a packet of it takes out of the host, if it is time to.
#[inline(always)]
pub fn learn<P: Packet, T: Tables<4>, E: Env<4>>(
    packet: &P,
    headers: &Headers<4>,
    scene: &Scene<'_, T, E>,
    to: FlowRef,
) {
    let tables = scene.tables;
    let epoch = tables.epoch();
    let is_ordinary =
        matches!(headers.kind(), Transport::Tcp(_) | Transport::Udp) && headers.piece == Piece::Whole;
    if epoch == 0 || !is_ordinary || packet.link_len() != eth::LEN {
        return;
    }
    let learnt = tables.learnt(to.slot(), to.direction());
    // Most packets that go by the stack are of flows that must, and have learnt what they can.
    let is_known = learnt.way() != 0 && learnt.is_of(to.generation());
    if is_known
        && learnt.is_younger(WAY_TICKS / 2, epoch, scene.now)
        && clock::since(scene.now, tables.way(learnt.way()).seen) < WAY_TICKS / 2
    {
        return;
    }
    let exit = tables.exit(packet.interface());
    // What comes from elsewhere than the lab's interfaces comes by no hook.
    let door = door(tables.exit(packet.received_on()).own);
    // Without the agent nobody says when a way is none any more.
    let ethernet = packet.load::<12>(0).unwrap_or([0; 12]);
    let leads_out = exit.flags & exit::REDIRECT != 0 && is_for(&exit, &ethernet);
    let mut number = 0;
    if leads_out && door != 0 && end::is_agent_there(tables, scene.now) {
        let (interface, flags, mtu) = (packet.interface(), exit.flags, exit.mtu);
        number = keep(
            tables,
            &Way { version: 0, interface, door, link: Link::of(ethernet), seen: scene.now, flags, mtu },
        );
    }
    // What does not hold any more is forgotten.
    if number != 0 || learnt.way() != 0 {
        tables.set_learnt(to, Learnt::new(number, to.generation(), scene.now));
    }
}

/// As [`learn`], where the packet was translated at another hook before: its flow is found by what it has become.
#[inline(always)]
pub fn learn_of_translated<P: Packet, T: Tables<4>, E: Env<4>>(
    packet: &P,
    headers: &Headers<4>,
    scene: &Scene<'_, T, E>,
) {
    if scene.tables.epoch() == 0 || !matches!(headers.kind(), Transport::Tcp(_) | Transport::Udp) {
        return;
    }
    let Some(found) = scene.tables.find_key(&headers.tuple.inverse()) else { return };
    let direction = match found.direction() {
        Direction::Original => Direction::Reply,
        Direction::Reply => Direction::Original,
    };
    learn(packet, headers, scene, FlowRef::new(found.slot(), found.generation(), direction));
}

/// Has a flow remember a way that is known already, as old as that is.
#[inline(always)]
pub fn remember<T: Tables<4>>(tables: &T, to: FlowRef, number: u32) {
    tables.set_learnt(to, Learnt::new(number, to.generation(), tables.way(number).seen));
}

/// Whether a frame is for the exit's neighbour, or for any one neighbour where there may be several.
#[inline(always)]
fn is_for(exit: &Exit, ethernet: &[u8; 12]) -> bool {
    let to = [ethernet[0], ethernet[1], ethernet[2], ethernet[3], ethernet[4], ethernet[5]];
    if exit.neighbour != [0; 6] { to == exit.neighbour } else { to[0] & 1 == 0 && to != [0; 6] }
}

/// The number of a way, in a place where it lies or one of a way that nobody holds any more; zero if there is none.
///
/// Flows hold a way by its number, and none does for longer than [`HOLD_TICKS`] after a packet was last sent by it. Until
/// then the number is nobody else's, or a flow would go where it never went. It is the same way's in each epoch: what a
/// flow has learnt before does not hold, whoever has found the way again.
#[inline(always)]
fn keep<T: Tables<4>>(tables: &T, way: &Way) -> u32 {
    let first = first_place(way.link, way.door);
    let mut probe = 0;
    while probe < PROBES {
        let number = first.wrapping_add(probe) & (WAYS - 1);
        let there = tables.way(number);
        let is_same = there.is_same(way);
        let age = clock::since(way.seen, there.seen);
        // An older one may be given to another neighbour at this moment; who replaces it finds out.
        if number != 0 && is_same && there.says_the_same(way) && age < HOLD_TICKS {
            if there.seen != way.seen {
                tables.touch_way(number, way.seen);
            }
            return number;
        }
        // One that is changed at this moment is all zeros, and of another version. A touch by a CPU whose clock is behind
        // may have made a way look older than what its flows have learnt.
        let is_free = is_same || there.interface == 0 || age >= HOLD_TICKS + WAY_TICKS;
        if number != 0 && is_free && tables.replace_way(number, there.version, way) {
            return number;
        }
        probe += 1;
    }
    0
}

/// The number of the way that leads from such a door to a next hop, if the stack has sent a packet by it lately; zero if
/// it has not.
#[inline(always)]
pub fn proven<T: Tables<4>>(tables: &T, door: u64, hop: &Hop, epoch: u32, now: u32) -> u32 {
    let link = Link::of(hop.ethernet);
    let first = first_place(link, door);
    let mut probe = 0;
    while probe < PROBES {
        let number = first.wrapping_add(probe) & (WAYS - 1);
        let way = tables.way(number);
        if number != 0
            && way.is_proven(epoch, now)
            && way.door == door
            && way.link == link
            && (way.interface == hop.interface || tables.exit(way.interface).routed_on == hop.interface)
        {
            return number;
        }
        probe += 1;
    }
    0
}

/// The first of the places in which a way from such a door to such a neighbour may lie.
#[inline(always)]
fn first_place(Link([first, middle, last]): Link, door: u64) -> u32 {
    let hash = hash::word(hash::word(first, middle), last);
    hash::finish(hash::word(hash, door as u32 ^ (door >> 32) as u32))
}
