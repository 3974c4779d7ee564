//! Packets that cross the host past its stack although their flow has learnt no way yet, or although they break it off:
//! the first ones of a flow, and resets. They have gone through the whole pipeline of the hook where they came
//! in, and go through the whole one of the hook where they leave; only what is between the two is not the stack's.
//!
//! The host's own routing says where they go, and the stack must have sent another packet to that very neighbour a
//! moment ago: so nothing goes by a way that was not seen to lead anywhere, and bridges and neighbours do not forget.
//! Whatever else the stack may have to say, it says: a packet that it would answer, cut or drop goes to it.

use super::open::is_unicast;
use super::ways;
use crate::abi::clock;
use crate::abi::hook::Hook;
use crate::abi::rule::Zone;
use crate::abi::way::{Way, door, exit};
use crate::conntrack::end;
use crate::net::{eth, ipv4};
use crate::packet::{Headers, Packet, Piece, Transport};
use crate::tables::{Env, Hop, Tables, Wanted};

/// The way must lead to the world; otherwise to a node.
pub const TO_THE_WORLD: u32 = 1;

/// Bits of a stage's number that say something else than a way's number does.
pub const WAY_SHIFT: u32 = 8;

/// The packet cannot be sent on as a whole, and is lost.
pub const LOST: u32 = u32::MAX;

/// The number of the way that a packet would take which is at a hook where it comes in; zero if it is the stack's.
#[inline(always)]
pub fn route<P: Packet, T: Tables<4>, E: Env<4>>(
    hook: Hook,
    packet: &P,
    tables: &T,
    env: &E,
    how: u32,
) -> u32 {
    let Some(headers) = tables.headers() else { return 0 };
    let (epoch, now) = (tables.epoch(), tables.now(env));
    let entrance = tables.exit(packet.interface());
    let is_known = epoch != 0 && entrance.flags & exit::REDIRECT != 0 && entrance.gate != [0; 6];
    if !is_known || !is_ordinary(packet, &headers) || !end::is_agent_there(tables, now) {
        return 0;
    }
    let Some(front) = packet.front() else { return 0 };
    let (tuple, len) = (front.tuple().tuple(), front.total_len());
    // The stack does not take a header with a wrong checksum, and takes off what is behind a packet in its frame.
    let is_right = front.is_ordinary() && front.ttl() > 1 && eth::LEN as u32 + len == packet.frame_len();
    let door = door(entrance.gate);
    if !is_right || !front.is_for(door) || !is_routed(tuple.dst) || !is_routed(tuple.src) {
        return 0;
    }
    // The stack does not take the host's own address from outside; a forward's own target has been given it here.
    if hook == Hook::UplinkIn && tables.zone(tuple.src) == Zone::Host {
        return 0;
    }
    // Nobody asks for a route to the host itself, or for one of somebody who has no business here.
    let is_outward = || tables.zone(tuple.dst) == Zone::World && tables.zone(tuple.src) == Zone::Nodes;
    if how & TO_THE_WORLD != 0 && !is_outward() {
        return 0;
    }
    let hop = env.route(&Wanted { tuple, tos: front.tos(), len: len as u16, on: entrance.routed_on });
    if hop.interface == Hop::NONE.interface {
        return 0;
    }
    let number = ways::proven(tables, door, &hop, epoch, now);
    let way = tables.way(number);
    let leads_there = (way.flags & exit::UPLINK != 0) == (how & TO_THE_WORLD != 0);
    let fits = len <= way.mtu && packet.may_leave_by(way.flags);
    if leads_there && fits { number } else { 0 }
}

/// Whether an address is one that packets are routed from and to: of no group, nor of this host or network
/// (RFC 1122, section 3.2.1.3).
#[inline(always)]
fn is_routed(address: [u8; 4]) -> bool {
    is_unicast(address) && address[0] != 0 && address[0] != 127
}

/// Whether a packet is of the kind that is sent on without a second look.
#[inline(always)]
fn is_ordinary<P: Packet>(packet: &P, headers: &Headers<4>) -> bool {
    headers.ip() == eth::LEN
        && headers.piece == Piece::Whole
        && !headers.has_options()
        && matches!(headers.kind(), Transport::Tcp(_) | Transport::Udp)
        && packet.segment_size() == 0
}

/// Makes the packet ready for its way: one hop further, and for the next neighbour. The interface, zero if the way is
/// none any more, or [`LOST`].
#[inline(always)]
pub fn depart<P: Packet, T: Tables<4>>(packet: &mut P, tables: &T, number: u32) -> u32 {
    let way = tables.way(number);
    let epoch = tables.epoch();
    // It was proven when the route was asked for, and may be another one by now, or forgotten.
    if epoch == 0 || way.interface == 0 || clock::since(way.seen, epoch) == 0 {
        return 0;
    }
    match further(packet, &way) {
        Some(()) => way.interface,
        None => LOST,
    }
}

#[inline(always)]
fn further<P: Packet>(packet: &mut P, way: &Way) -> Option<()> {
    let at = eth::LEN + ipv4::TTL;
    let [ttl, protocol] = packet.load::<2>(at)?;
    packet.update_header_checksum(
        eth::LEN + ipv4::CHECKSUM,
        [ttl, protocol, 0, 0],
        [ttl.wrapping_sub(1), protocol, 0, 0],
    )?;
    packet.store(at, [ttl.wrapping_sub(1)])?;
    packet.store(0, way.link.bytes())
}

/// Has the flow of a packet that was translated where it came in remember the way that it took, as old as that is.
#[inline(always)]
pub fn remember<T: Tables<4>>(tables: &T, number: u32) {
    let Some(headers) = tables.headers() else { return };
    if let Some(to) = tables.find_key(&headers.tuple) {
        ways::remember(tables, to, number);
    }
}
