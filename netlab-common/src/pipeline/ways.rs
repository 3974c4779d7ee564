//! Learning ways: where a packet leaves the host by its stack, its flow remembers by which interface it does, and to
//! which neighbour. [`shortcut`](super::shortcut) goes by that.

use super::Scene;
use crate::abi::clock;
use crate::abi::flow::{Direction, FlowRef};
use crate::abi::way::{Exit, Learnt, WAY_TICKS, WAYS, Way, exit};
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
    if learnt.age(scene.now) < WAY_TICKS / 2 && tables.way(learnt.way()).epoch == epoch {
        return;
    }
    let exit = tables.exit(packet.interface());
    // Without the agent nobody says when a way is none any more.
    let ethernet = packet.load::<12>(0).unwrap_or([0; 12]);
    let mut number = 0;
    if exit.flags & exit::REDIRECT != 0 && end::is_agent_there(tables, scene.now) && is_for(&exit, &ethernet)
    {
        let way = Way {
            version: 0,
            epoch,
            interface: packet.interface(),
            flags: exit.flags,
            mtu: exit.mtu,
            seen: scene.now,
            ethernet,
        };
        number = keep(tables, &way);
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
/// Flows hold a way by its number, and none does for longer than [`WAY_TICKS`] after a packet was last sent by it. Until
/// then the number is nobody else's, also when the epoch has changed: else a flow would go where it never went, and a
/// way that one flow has found again would be every flow's.
#[inline(always)]
fn keep<T: Tables<4>>(tables: &T, way: &Way) -> u32 {
    let first = first_place(&way.ethernet);
    let mut probe = 0;
    while probe < PROBES {
        let number = first.wrapping_add(probe) & (WAYS - 1);
        let there = tables.way(number);
        if number != 0 && there.is_same(way) {
            if there.seen != way.seen {
                tables.touch_way(number, way.seen);
            }
            return number;
        }
        // One that is changed at this moment is all zeros, and of another version.
        let is_free = there.epoch == 0 || clock::since(way.seen, there.seen) >= WAY_TICKS;
        if number != 0 && is_free && tables.replace_way(number, there.version, way) {
            return number;
        }
        probe += 1;
    }
    0
}

/// The number of the way that leads to a next hop, if the stack has sent a packet by it lately; zero if it has not.
#[inline(always)]
pub fn proven<T: Tables<4>>(tables: &T, hop: &Hop, epoch: u32, now: u32) -> u32 {
    let first = first_place(&hop.ethernet);
    let mut probe = 0;
    while probe < PROBES {
        let number = first.wrapping_add(probe) & (WAYS - 1);
        let way = tables.way(number);
        if number != 0
            && way.epoch == epoch
            && way.ethernet == hop.ethernet
            && clock::since(now, way.seen) < WAY_TICKS
            && (way.interface == hop.interface || tables.exit(way.interface).routed_on == hop.interface)
        {
            return number;
        }
        probe += 1;
    }
    0
}

/// The first of the places in which a way to such a neighbour may lie.
#[inline(always)]
fn first_place(ethernet: &[u8; 12]) -> u32 {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *ethernet;
    let hash = hash::word(u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h]));
    hash::finish(hash::word(hash, u32::from_ne_bytes([i, j, k, l])))
}
