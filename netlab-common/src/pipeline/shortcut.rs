//! Packets that need not go by the host's stack: what the flow has learnt from the packets that did is enough.
//!
//! Nothing is decided here that the other stages do not decide as well. A packet takes the shortcut if it changes
//! nothing but counters: it is whole and ordinary, its flow lives, was seen a moment ago, and has all the state that
//! the packet could add; and a way out is known. It is then translated as it would have been at the hook that its
//! flow names, and gets what the host's routing would give it: one hop less, and its neighbour's address. Whatever
//! is out of the ordinary, or might have to be answered by the host, goes the whole way.

use super::{frame, now};
use crate::abi::clock;
use crate::abi::flow::{Direction, FlowRef, Kind, NO_RULE, Status, Tuple, life};
use crate::abi::hook::Hook;
use crate::abi::verdict::Verdict;
use crate::abi::way::{WAY_TICKS, Way};
use crate::conntrack::state;
use crate::net::{checksum, eth, ipv4, ports, protocol, tcp, udp};
use crate::packet::{Covered, Packet, Segment, Transport};
use crate::pipeline::known;
use crate::tables::{Env, Tables, Traffic};

/// Where a packet goes that has taken the shortcut: the number of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Across(pub u32);

impl Across {
    /// It has not taken it, and is as it was.
    pub const NOT: Across = Across(0);
    /// It could not be changed as a whole, and must not go on.
    pub const LOST: Across = Across(u32::MAX);

    /// The interface.
    #[inline(always)]
    #[must_use]
    pub fn interface(self) -> u32 {
        self.0
    }
}

/// Ticks after its last packet in which a flow cannot be over, whatever its timeout, of which the least is a second.
const LIVELY: u32 = 14;

/// What is read of a packet.
#[derive(Clone, Copy)]
struct Seen {
    is_ordinary: bool,
    tuple: Tuple<4>,
    /// Time to live and protocol, then the checksum.
    header: [u8; 4],
    /// Bytes from the IP header on.
    len: u32,
    /// Bytes of both headers.
    repeated: u32,
    segment: Segment,
    flags: u8,
}

impl Seen {
    const NOT: Seen = Seen {
        is_ordinary: false,
        tuple: Tuple { src: [0; 4], dst: [0; 4], sport: [0; 2], dport: [0; 2], protocol: 0, pad: [0; 3] },
        header: [0; 4],
        len: 0,
        repeated: 0,
        segment: Segment { sequence: 0, ack: 0, len: 0 },
        flags: 0,
    };

    #[inline(always)]
    fn transport(&self) -> Transport {
        if self.tuple.protocol == protocol::TCP { Transport::Tcp(self.flags) } else { Transport::Udp }
    }
}

/// The IP header's offset: interfaces without Ethernet are not left by shortcuts.
const IP: usize = eth::LEN;
/// Without options.
const TRANSPORT: usize = IP + ipv4::MIN_LEN;

/// Takes a packet across the host at a hook where it comes in, if it may, and counts it then.
#[inline(always)]
pub fn take<P: Packet, T: Tables<4>, E: Env<4>>(hook: Hook, packet: &mut P, tables: &T, env: &E) -> Across {
    let epoch = tables.epoch();
    if epoch == 0 || packet.link_len() != eth::LEN || packet.is_tagged() {
        return Across::NOT;
    }
    let seen = read(packet);
    if !seen.is_ordinary {
        return Across::NOT;
    }
    let Some(to) = tables.find_key(&seen.tuple) else { return Across::NOT };
    let now = now(tables, env);
    let learnt = tables.learnt(to.slot(), to.direction());
    if learnt.way() == 0 || !learnt.is_of(to.generation()) || learnt.age(now) >= WAY_TICKS {
        return Across::NOT;
    }
    let way = tables.way(learnt.way());
    let wire = match packet.segment_size() {
        0 => seen.len,
        size => seen.repeated + size,
    };
    if way.epoch != epoch || wire > way.mtu || !packet.may_leave_by(way.flags) {
        return Across::NOT;
    }
    let Some(status) = tables.status(to.slot()) else { return Across::NOT };
    if !is_served(hook, &status, to.direction()) || !is_lively(tables, &seen, to, &status, now) {
        return Across::NOT;
    }
    let other = tables.tuple(to.slot(), to.direction().other());
    // As in `conntrack::find`: what was read may be another flow's by now.
    if tables.tuple(to.slot(), to.direction()) != seen.tuple
        || tables.generation(to.slot()) != to.generation()
    {
        return Across::NOT;
    }
    if seen.tuple.protocol == protocol::TCP {
        known::note(&seen.segment, tables, to.slot(), to.direction(), status.state, seen.flags);
    }
    let counted = frame(packet);
    tables.count_received(hook, counted);
    if cross(packet, &seen, &other.inverse(), &way).is_none() {
        tables.count_verdict(hook, Verdict::RewriteFailed, counted);
        return Across::LOST;
    }
    tables.count_verdict(hook, Verdict::Established, counted);
    let headers = (counted.packets - 1) * u64::from(seen.repeated);
    let traffic = Traffic { packets: counted.packets, bytes: counted.bytes - IP as u64 + headers };
    tables.record(to, traffic, now);
    if status.rule != NO_RULE {
        tables.count_rule(status.rule, to.direction(), traffic, 0);
    }
    Across(way.interface)
}

#[inline(always)]
fn read<P: Packet>(packet: &P) -> Seen {
    if packet.load(eth::TYPE).unwrap_or([0; 2]) != eth::IPV4 {
        return Seen::NOT;
    }
    let Some(header) = packet.load::<{ ipv4::MIN_LEN }>(IP) else { return Seen::NOT };
    let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let len = u32::from(word(ipv4::TOTAL_LEN));
    if header[0] != 0x45
        || word(ipv4::FRAGMENT) & ipv4::FRAGMENT_MASK != 0
        || header[ipv4::TTL] <= 1
        // The stack takes off what is behind a packet in its frame.
        || IP as u32 + len != packet.frame_len()
        || !checksum::is_right(&header)
    {
        return Seen::NOT;
    }
    let seen = Seen {
        is_ordinary: true,
        tuple: Tuple {
            src: [header[ipv4::SRC], header[ipv4::SRC + 1], header[ipv4::SRC + 2], header[ipv4::SRC + 3]],
            dst: [header[ipv4::DST], header[ipv4::DST + 1], header[ipv4::DST + 2], header[ipv4::DST + 3]],
            protocol: header[ipv4::PROTOCOL],
            ..Seen::NOT.tuple
        },
        header: [
            header[ipv4::TTL],
            header[ipv4::PROTOCOL],
            header[ipv4::CHECKSUM],
            header[ipv4::CHECKSUM + 1],
        ],
        len,
        ..Seen::NOT
    };
    match header[ipv4::PROTOCOL] {
        protocol::TCP => read_tcp(packet, &seen),
        protocol::UDP => read_udp(packet, &seen),
        _ => Seen::NOT,
    }
}

#[inline(always)]
fn read_udp<P: Packet>(packet: &P, seen: &Seen) -> Seen {
    let Some(head) = packet.load::<4>(TRANSPORT) else { return Seen::NOT };
    let repeated = (ipv4::MIN_LEN + udp::LEN) as u32;
    if seen.len < repeated {
        return Seen::NOT;
    }
    let tuple = Tuple { sport: [head[0], head[1]], dport: [head[2], head[3]], ..seen.tuple };
    Seen { tuple, repeated, ..*seen }
}

#[inline(always)]
fn read_tcp<P: Packet>(packet: &P, seen: &Seen) -> Seen {
    let Some(head) = packet.load::<{ tcp::MIN_LEN }>(TRANSPORT) else { return Seen::NOT };
    let long = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let flags = head[tcp::FLAGS];
    let own_len = u32::from(head[tcp::DATA_OFFSET] >> 4) << 2;
    let repeated = ipv4::MIN_LEN as u32 + own_len;
    if flags & (tcp::SYN | tcp::FIN | tcp::RST | tcp::ACK) != tcp::ACK
        || own_len < tcp::MIN_LEN as u32
        || seen.len < repeated
    {
        return Seen::NOT;
    }
    let tuple = Tuple { sport: [head[0], head[1]], dport: [head[2], head[3]], ..seen.tuple };
    let segment =
        Segment { sequence: long(tcp::SEQUENCE), ack: long(tcp::ACKNOWLEDGEMENT), len: seen.len - repeated };
    Seen { tuple, repeated, segment, flags, ..*seen }
}

/// Whether packets of a flow's direction that come in at this hook are translated there or on their way on.
#[inline(always)]
fn is_served(hook: Hook, status: &Status, direction: Direction) -> bool {
    let at = status.hook(direction);
    let is_on_the_way = match hook {
        Hook::PortIn => at != Hook::UplinkIn as u32,
        Hook::UplinkIn => at == Hook::UplinkIn as u32,
        _ => false,
    };
    is_on_the_way && status.kind == Kind::Flow as u8 && status.original_hook != Hook::LocalOut as u8
}

/// Whether the flow lives, and a packet changes nothing of its state.
#[inline(always)]
fn is_lively<T: Tables<4>>(tables: &T, seen: &Seen, to: FlowRef, status: &Status, now: u32) -> bool {
    let news = state::advance(status.state, to.direction(), seen.transport(), false) & !status.state;
    status.generation == to.generation()
        && status.life == life::LIVE
        && news == 0
        && !state::is_closing(status.state)
        && clock::since(now, tables.last_seen(to.slot())) < LIVELY
}

/// Changes the packet: translated, one hop further, and for its next neighbour. `None` if a part of that was refused.
#[inline(always)]
fn cross<P: Packet>(packet: &mut P, seen: &Seen, to: &Tuple<4>, way: &Way) -> Option<()> {
    let from = &seen.tuple;
    let (at, udp) =
        if from.protocol == protocol::TCP { (tcp::CHECKSUM, false) } else { (udp::CHECKSUM, true) };
    let (address, port) = (Covered { pseudo_header: true, udp }, Covered { pseudo_header: false, udp });
    let at = TRANSPORT + at;
    let [ttl, number, high, low] = seen.header;
    // The sum is over words, of which one has the time to live and the protocol.
    let mut sum = checksum::update([high, low], [ttl, number], [ttl - 1, number]);
    if from.src != to.src {
        packet.update_transport_checksum(at, from.src, to.src, address)?;
        sum = checksum::update(sum, from.src, to.src);
    }
    if from.dst != to.dst {
        packet.update_transport_checksum(at, from.dst, to.dst, address)?;
        sum = checksum::update(sum, from.dst, to.dst);
    }
    if from.sport != to.sport {
        packet.update_transport_checksum(at, from.sport, to.sport, port)?;
        packet.store(TRANSPORT + ports::SRC, to.sport)?;
    }
    if from.dport != to.dport {
        packet.update_transport_checksum(at, from.dport, to.dport, port)?;
        packet.store(TRANSPORT + ports::DST, to.dport)?;
    }
    let ([a, b, c, d], [e, f, g, h]) = (to.src, to.dst);
    packet.store(IP + ipv4::TTL, [ttl - 1, number, sum[0], sum[1], a, b, c, d, e, f, g, h])?;
    packet.store(0, way.ethernet)
}
