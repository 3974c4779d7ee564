//! Packets that cross the host past its stack although their flow has learnt no way yet, or although they change its
//! state: the first ones of a flow, and the last. They have gone through the whole pipeline of the hook where they came
//! in, and go through the whole one of the hook where they leave; only what is between the two is not the stack's.
//!
//! The host's own routing says where they go, and the stack must have sent another packet to that very neighbour a
//! moment ago: so nothing goes by a way that was not seen to lead anywhere, and bridges and neighbours do not forget.
//! Whatever else the stack may have to say, it says: a packet that it would answer, cut or drop goes to it.

use super::open::is_unicast;
use super::{now, ways};
use crate::abi::flow::Tuple;
use crate::abi::rule::Zone;
use crate::abi::way::{Way, exit};
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
pub fn route<P: Packet, T: Tables<4>, E: Env<4>>(packet: &P, tables: &T, env: &E, how: u32) -> u32 {
    let Some(headers) = tables.headers() else { return 0 };
    let (epoch, now) = (tables.epoch(), now(tables, env));
    let entrance = tables.exit(packet.interface());
    let is_known = epoch != 0 && entrance.flags & exit::REDIRECT != 0 && entrance.gate != [0; 6];
    if !is_known || !is_ordinary(packet, &headers) || !end::is_agent_there(tables, now) {
        return 0;
    }
    let Some(frame) = packet.load::<{ eth::LEN + ipv4::MIN_LEN }>(0) else { return 0 };
    let to = [frame[0], frame[1], frame[2], frame[3], frame[4], frame[5]];
    let Some(wanted) = wanted(packet, &headers, &frame, entrance.routed_on) else { return 0 };
    if to != entrance.gate || !is_unicast(wanted.tuple.dst) {
        return 0;
    }
    // Nobody asks for a route to the host itself, or for one of somebody who has no business here.
    let is_outward =
        || tables.zone(wanted.tuple.dst) == Zone::World && tables.zone(wanted.tuple.src) == Zone::Nodes;
    if how & TO_THE_WORLD != 0 && !is_outward() {
        return 0;
    }
    let hop = env.route(&wanted);
    if hop.interface == Hop::NONE.interface {
        return 0;
    }
    let number = ways::proven(tables, &hop, epoch, now);
    let way = tables.way(number);
    let leads_there = (way.flags & exit::UPLINK != 0) == (how & TO_THE_WORLD != 0);
    let fits = u32::from(wanted.len) <= way.mtu && packet.may_leave_by(way.flags);
    if leads_there && fits { number } else { 0 }
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

/// What the host's routing is asked: the packet as it is now. `None` if it is not for the host to send on.
#[inline(always)]
fn wanted<P: Packet>(
    packet: &P,
    headers: &Headers<4>,
    frame: &[u8; eth::LEN + ipv4::MIN_LEN],
    on: u32,
) -> Option<Wanted<4>> {
    let byte = |at: usize| frame[eth::LEN + at];
    let address = |at: usize| [byte(at), byte(at + 1), byte(at + 2), byte(at + 3)];
    let len = u16::from_be_bytes([byte(ipv4::TOTAL_LEN), byte(ipv4::TOTAL_LEN + 1)]);
    // The stack takes off what is behind a packet in its frame.
    if byte(ipv4::TTL) <= 1 || eth::LEN as u32 + u32::from(len) != packet.frame_len() {
        return None;
    }
    let [a, b, c, d] = packet.load::<4>(headers.transport())?;
    let tuple = Tuple {
        src: address(ipv4::SRC),
        dst: address(ipv4::DST),
        sport: [a, b],
        dport: [c, d],
        protocol: headers.tuple.protocol,
        ..headers.tuple
    };
    Some(Wanted { tuple, tos: byte(ipv4::TOS), len, on })
}

/// Makes the packet ready for its way: one hop further, and for the next neighbour. The interface, zero if the way is
/// none any more, or [`LOST`].
#[inline(always)]
pub fn depart<P: Packet, T: Tables<4>>(packet: &mut P, tables: &T, number: u32) -> u32 {
    let way = tables.way(number);
    if way.epoch == 0 || way.epoch != tables.epoch() {
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
    packet.store(0, way.ethernet)
}

/// Has the flow of a packet that was translated where it came in remember the way that it took, as old as that is.
#[inline(always)]
pub fn remember<T: Tables<4>>(tables: &T, number: u32) {
    let Some(headers) = tables.headers() else { return };
    if let Some(to) = tables.find_key(&headers.tuple) {
        ways::remember(tables, to, number);
    }
}
