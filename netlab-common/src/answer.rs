//! Turning a packet that is refused into the ICMP error that says so (RFC 5508 REQ-8: a query that gets no
//! mapping is answered "communication administratively prohibited", and the others likewise).

use crate::abi::event::Event;
use crate::abi::hook::Hook;
use crate::net::{checksum, icmp, ipv4, protocol, sctp};
use crate::packet::{Headers, Packet, Transport};
use crate::tables::{Env, Tables};

/// Bytes that an error puts before what it quotes: an IPv4 and an ICMP header.
const FRONT: usize = ipv4::MIN_LEN + icmp::LEN;

/// Bytes of the refused packet that are quoted: its header and 8 more, which RFC 792 asks for. 20 more for TCP, whose
/// checksum must stay within the frame while it is still to be computed; and for SCTP, which believes no error about an
/// INIT that does not reach to the end of its tag (RFC 9260 section 10).
const QUOTED: usize = ipv4::MIN_LEN + 8;
const QUOTED_LONG: usize = ipv4::MIN_LEN + 20;

/// Answers a refused packet by turning it into an error to its sender; whether it did. At most one is sent a
/// tick, as RFC 1812 section 4.3.2.8 wants errors limited: a flood must not be answered by another.
///
/// The error comes from the host's address on the interface where the packet came from, or else from the
/// address that the packet was sent to.
#[inline(always)]
pub fn refuse<P: Packet, T: Tables<4>, E: Env<4>>(hook: Hook, packet: &mut P, tables: &T, env: &E) -> u32 {
    let Some(headers) = tables.headers() else { return 0 };
    let now = tables.now(env);
    u32::from(answer(hook, packet, &headers, tables, now))
}

#[inline(always)]
fn answer<P: Packet, T: Tables<4>>(
    hook: Hook,
    packet: &mut P,
    headers: &Headers<4>,
    tables: &T,
    now: u32,
) -> bool {
    // What the host itself sent is refused by its own stack. Options would make the quote's length vary, and
    // an aggregate cannot be cut.
    let came_on = packet.received_on();
    let from_outside = hook.is_ingress() || came_on != 0;
    let plain = headers.transport() == headers.ip() + ipv4::MIN_LEN && packet.segments() == 1;
    if !from_outside || !plain {
        return false;
    }
    if tables.last_answer(now) == now {
        tables.count_event(Event::AnswerHeld);
        return false;
    }
    let source = match tables.lab_interface(came_on) {
        Some(address) if address != [0; 4] && !hook.is_ingress() => address,
        _ => headers.tuple.dst,
    };
    let done = match headers.kind() {
        Transport::Tcp(_) | Transport::Sctp => quote::<P, QUOTED_LONG>(hook, packet, headers, source),
        _ => quote::<P, QUOTED>(hook, packet, headers, source),
    };
    if done.is_some() {
        tables.count_event(Event::Answered);
    }
    done.is_some()
}

/// Puts the error's headers before the packet's first `L` bytes.
#[inline(always)]
fn quote<P: Packet, const L: usize>(
    hook: Hook,
    packet: &mut P,
    headers: &Headers<4>,
    source: [u8; 4],
) -> Option<()> {
    let quoted: [u8; L] = packet.load(headers.ip())?;
    if matches!(headers.kind(), Transport::Sctp) && lacks_checksum(&quoted) {
        return None;
    }
    packet.wrap::<FRONT>(L)?;
    let mut front = [0u8; FRONT];
    front[0] = 0x45;
    let total = (FRONT + L) as u16;
    front[ipv4::TOTAL_LEN] = (total >> 8) as u8;
    front[ipv4::TOTAL_LEN + 1] = total as u8;
    front[ipv4::TTL] = 64;
    front[ipv4::PROTOCOL] = protocol::ICMP;
    let mut i = 0;
    while i < 4 {
        front[ipv4::SRC + i] = source[i];
        front[ipv4::DST + i] = headers.tuple.src[i];
        i += 1;
    }
    let ip_sum = checksum::of_words(0, &front, 0, ipv4::MIN_LEN);
    front[ipv4::CHECKSUM] = ip_sum[0];
    front[ipv4::CHECKSUM + 1] = ip_sum[1];
    front[ipv4::MIN_LEN] = icmp::UNREACHABLE;
    front[ipv4::MIN_LEN + 1] = icmp::PROHIBITED;
    let start = (icmp::UNREACHABLE as u32) << 8 | icmp::PROHIBITED as u32;
    let icmp_sum = checksum::of_words(start, &quoted, 0, L);
    front[ipv4::MIN_LEN + icmp::CHECKSUM] = icmp_sum[0];
    front[ipv4::MIN_LEN + icmp::CHECKSUM + 1] = icmp_sum[1];
    packet.store(headers.ip(), front)?;
    if hook.is_ingress() && packet.link_len() > 0 { turn_around(packet) } else { Some(()) }
}

/// Whether an SCTP packet's checksum is zero: then it is still to be computed, by the device that it leaves by or by the
/// kernel before that. Either would do so in the error too, and make the error's own checksum wrong; bridges leave it to
/// the kernel. (TCP's is left to the node by all devices on the way to it.)
#[inline(always)]
fn lacks_checksum<const L: usize>(packet: &[u8; L]) -> bool {
    const FIELD: usize = ipv4::MIN_LEN + sctp::CHECKSUM;
    L >= FIELD + 4 && packet[FIELD] | packet[FIELD + 1] | packet[FIELD + 2] | packet[FIELD + 3] == 0
}

/// Swaps the hardware addresses, so that a frame goes back where it came from. One that leaves by another
/// interface than it came to gets new ones there.
#[inline(always)]
fn turn_around<P: Packet>(packet: &mut P) -> Option<()> {
    let to: [u8; 6] = packet.load(0)?;
    let from: [u8; 6] = packet.load(6)?;
    packet.store(0, from)?;
    packet.store(6, to)
}
