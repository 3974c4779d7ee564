//! Packets that need not go by the host's stack: what the flow has learnt from the packets that did is enough.
//!
//! Nothing is decided here that the other stages do not decide as well. A packet takes the shortcut if all it changes is
//! its flow's counters, or adds to its state: it is whole and ordinary, its flow lives and was seen a moment ago, and a
//! way out is known. It is then translated as it would have been at the hook that its flow names, and gets what the
//! host's routing would give it: one hop less, and its neighbour's address. Whatever is out of the ordinary, opens or
//! breaks off a connection, or might have to be answered by the host, goes the whole way.

use crate::abi::clock;
use crate::abi::flow::{Direction, FlowRef, Glance, Kind, NO_RULE, life};
use crate::abi::hook::Hook;
use crate::abi::packed::Packed;
use crate::abi::recent::{self, Recent};
use crate::abi::verdict::Verdict;
use crate::abi::way::{Way, hold};
use crate::conntrack::{state, timeout};
use crate::net::{eth, hash, ipv4, protocol, tcp, udp};
use crate::packet::{Front, Packet, Segment, Transport};
use crate::pipeline::known;
use crate::tables::{Env, Tables, Traffic};

/// Where a packet goes that has taken the shortcut: the number of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Across(pub u32);

impl Across {
    /// It has not taken it, and is as it was.
    pub const NOT: Across = Across(0);
    /// It has not taken it either, and no flow has its tuple.
    pub const UNKNOWN: Across = Across(u32::MAX - 1);
    /// Its flow ended under it. It must not go on, not by the stack either: to that the flow is there as long as its keys,
    /// and has the packet's news already.
    pub const ENDING: Across = Across(u32::MAX - 2);
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
/// Most packets come within these, and are spared the settings.
const LIVELY: u32 = 14;

/// What is read of a packet.
#[derive(Clone, Copy)]
struct Seen {
    is_ordinary: bool,
    front: Front,
    /// Bytes of both headers.
    repeated: u32,
    segment: Segment,
    flags: u8,
}

impl Seen {
    const NOT: Seen = Seen {
        is_ordinary: false,
        front: Front { to: 0, kind: 0, first: 0, middle: 0, last: 0 },
        repeated: 0,
        segment: Segment { sequence: 0, ack: 0, len: 0 },
        flags: 0,
    };

    #[inline(always)]
    fn transport(&self) -> Transport {
        if self.front.protocol() == protocol::TCP { Transport::Tcp(self.flags) } else { Transport::Udp }
    }
}

/// Where an ordinary packet has its transport's header: interfaces without Ethernet are not left by shortcuts.
const TRANSPORT: usize = eth::LEN + ipv4::MIN_LEN;

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
    let (tuple, len) = (seen.front.tuple(), seen.front.total_len());
    let hash = hash::quick(tuple);
    let hints = recent::place(hash, tables.place_bits());
    let now = tables.now(env);
    let Some(place) = find(tuple, hints, hash, tables, now) else { return Across::UNKNOWN };
    let flow = tables.glance(place.slot(), place.direction());
    if !flow.own.is(tuple) || flow.life != life::LIVE {
        // The hint is of a flow that was there before, and must not hide the one of now, if there is one.
        let place = by_key(tuple, hash, tables).unwrap_or_default();
        tables.set_recent(hints, hash, place, now);
        return Across::NOT;
    }
    let to = FlowRef::new(place.slot(), flow.generation, place.direction());
    let is_known = flow.learnt.way() != 0 && flow.learnt.is_of(flow.generation);
    if !is_known || !flow.learnt.is_younger(hold(place.slot()), epoch, now) {
        return Across::NOT;
    }
    let way = tables.way(flow.learnt.way());
    let segments = packet.segments();
    let wire = match packet.segment_size() {
        0 => len,
        size => seen.repeated + size,
    };
    let is_open = way.is_proven(epoch, now) && seen.front.is_for(way.door);
    if !is_open || wire > way.mtu || !packet.may_leave_by(way.flags) {
        return Across::NOT;
    }
    if !is_served(hook, &flow, to.direction()) || !is_lively(&seen, &flow, tables, now) {
        return Across::NOT;
    }
    if tuple.protocol() == protocol::TCP {
        known::note(&seen.segment, tables, to.slot(), to.direction(), flow.state, seen.flags);
    }
    let counted = Traffic { packets: u64::from(segments), bytes: eth::LEN as u64 + u64::from(len) };
    tables.count_received(hook, counted);
    let news = state::advance(flow.state, to.direction(), seen.transport(), false) & !flow.state;
    if news != 0 && !known::add(tables, to.slot(), to.generation(), news) {
        tables.count_verdict(hook, Verdict::FlowEnding, counted);
        return Across::ENDING;
    }
    if cross(packet, &seen.front, flow.other.inverse(), &way).is_none() {
        tables.count_verdict(hook, Verdict::RewriteFailed, counted);
        return Across::LOST;
    }
    tables.count_verdict(hook, Verdict::Established, counted);
    let headers = (counted.packets - 1) * u64::from(seen.repeated);
    let traffic = Traffic { packets: counted.packets, bytes: u64::from(len) + headers };
    tables.record(to, traffic, now);
    if flow.rule != NO_RULE {
        tables.count_rule(flow.rule, to.direction(), traffic, 0);
    }
    Across(way.interface)
}

/// Where the flow of a tuple is, or was a moment ago: by a hint, or by its key, which leaves a hint.
#[inline(always)]
fn find<T: Tables<4>>(tuple: Packed, hints: u32, hash: u32, tables: &T, now: u32) -> Option<Recent> {
    let recent = tables.recent(hints, hash);
    // A hash of zero has all zeros for a hint of its own at times; the slot that they name shows that.
    if recent.is_of(hash) {
        return Some(recent);
    }
    let recent = by_key(tuple, hash, tables)?;
    tables.set_recent(hints, hash, recent, now);
    Some(recent)
}

/// A hint of where a tuple's key says that its flow is.
#[inline(always)]
fn by_key<T: Tables<4>>(tuple: Packed, hash: u32, tables: &T) -> Option<Recent> {
    let to = tables.find_packed_key(tuple)?;
    Some(Recent::new(hash, to.slot(), to.direction()))
}

#[inline(always)]
fn read<P: Packet>(packet: &P) -> Seen {
    let Some(front) = packet.front() else { return Seen::NOT };
    let len = front.total_len();
    // The stack takes off what is behind a packet in its frame.
    if !front.is_ordinary() || front.ttl() <= 1 || eth::LEN as u32 + len != packet.frame_len() {
        return Seen::NOT;
    }
    let repeated = (ipv4::MIN_LEN + udp::LEN) as u32;
    let seen = Seen { is_ordinary: true, front, repeated, ..Seen::NOT };
    match front.protocol() {
        protocol::TCP => read_tcp(packet, front),
        protocol::UDP if len >= repeated => seen,
        _ => Seen::NOT,
    }
}

#[inline(always)]
fn read_tcp<P: Packet>(packet: &P, front: Front) -> Seen {
    /// From the sequence number to the flags.
    const LEN: usize = tcp::FLAGS + 1 - tcp::SEQUENCE;
    let Some(head) = packet.load_quickly::<LEN>(TRANSPORT + tcp::SEQUENCE) else { return Seen::NOT };
    let long = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let flags = head[tcp::FLAGS - tcp::SEQUENCE];
    let own_len = u32::from(head[tcp::DATA_OFFSET - tcp::SEQUENCE] >> 4) << 2;
    let repeated = ipv4::MIN_LEN as u32 + own_len;
    if flags & (tcp::RST | tcp::ACK) != tcp::ACK
        || own_len < tcp::MIN_LEN as u32
        || front.total_len() < repeated
    {
        return Seen::NOT;
    }
    let segment = Segment {
        sequence: long(0),
        ack: long(tcp::ACKNOWLEDGEMENT - tcp::SEQUENCE),
        len: front.total_len() - repeated,
    };
    Seen { is_ordinary: true, front, repeated, segment, flags }
}

/// Whether packets of a flow's direction that come in at this hook are translated there or on their way on.
#[inline(always)]
fn is_served(hook: Hook, flow: &Glance, direction: Direction) -> bool {
    let at = match direction {
        Direction::Original => flow.original_hook,
        Direction::Reply => flow.reply_hook,
    };
    let is_on_the_way = match hook {
        Hook::PortIn => at != Hook::UplinkIn as u8,
        Hook::UplinkIn => at == Hook::UplinkIn as u8,
        _ => false,
    };
    is_on_the_way && flow.kind == Kind::Flow as u8 && flow.original_hook != Hook::LocalOut as u8
}

/// Whether the flow cannot be over, and is not begun anew by the packet, nor given up for another one of its tuple.
#[inline(always)]
fn is_lively<T: Tables<4>>(seen: &Seen, flow: &Glance, tables: &T, now: u32) -> bool {
    let may_be_anothers = seen.flags & tcp::SYN != 0 && state::is_closing(flow.state);
    if flow.state & state::RESETS != 0 || may_be_anothers {
        return false;
    }
    let idle = clock::since(now, flow.last_seen);
    idle < LIVELY || idle < tables.timeout(timeout::of(flow.own.protocol(), flow.state))
}

/// Changes the packet: translated, one hop further, and for its next neighbour. `None` if a part of that was refused.
#[inline(always)]
fn cross<P: Packet>(packet: &mut P, front: &Front, to: Packed, way: &Way) -> Option<()> {
    let from = front.tuple();
    let (at, udp) =
        if from.protocol() == protocol::TCP { (tcp::CHECKSUM, false) } else { (udp::CHECKSUM, true) };
    packet.update_tuple_checksum(TRANSPORT + at, from, to, udp)?;
    packet.set_front(way.link, &front.translated(to))
}
