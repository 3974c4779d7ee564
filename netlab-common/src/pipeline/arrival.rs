//! The first stage: the packet is parsed, and its headers laid aside for the stages after it.

use super::{Scene, fragment};
use crate::abi::hook::Hook;
use crate::abi::rule::Zone;
use crate::abi::verdict::Verdict;
use crate::net::{eth, ipv4};
use crate::packet::{Headers, Packet, ParseError, Piece, Transport, read_ipv4};
use crate::tables::{Env, Tables};

/// What a packet is, as far as that decides which stages it meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival(pub u32);

/// It has IP options.
const OPTIONS: u32 = 1 << 9;
/// It is the first fragment of a datagram.
const FIRST: u32 = 1 << 10;
/// It is a later one, and what the first one says is not known yet.
const EARLY: u32 = 1 << 11;
/// It is an ICMP error.
const ERROR: u32 = 1 << 12;
/// It is translated already.
const TRANSLATED: u32 = 1 << 14;
/// Its headers are laid aside; otherwise the number is a verdict's.
const READ: u32 = 1 << 13;

impl Arrival {
    /// The verdict about a packet without headers.
    #[inline(always)]
    pub fn verdict(self) -> Option<Verdict> {
        if self.0 & READ == 0 { Some(Verdict::from_number(self.0)) } else { None }
    }

    #[inline(always)]
    pub fn has_options(self) -> bool {
        self.0 & OPTIONS != 0
    }

    #[inline(always)]
    pub fn is_first(self) -> bool {
        self.0 & FIRST != 0
    }

    #[inline(always)]
    pub fn is_early(self) -> bool {
        self.0 & EARLY != 0
    }

    #[inline(always)]
    pub fn is_error(self) -> bool {
        self.0 & ERROR != 0
    }

    /// Whether it is nothing but a packet with headers that have been read.
    #[inline(always)]
    pub fn is_plain(self) -> bool {
        self.0 & (READ | OPTIONS | FIRST | EARLY | ERROR) == READ
    }

    /// Whether it leaves the host as translated as it will ever be. Then it may bear the tuple of another flow than its
    /// own: a node's packet to a forward, of which the target has spoken to a forward to that node by the same ports,
    /// looks like an answer to the target.
    #[inline(always)]
    pub fn is_translated(self) -> bool {
        self.0 & TRANSLATED != 0
    }
}

/// Reads a packet's headers; an [`Arrival`] as a number.
#[inline(always)]
pub fn arrive<P: Packet, T: Tables<4>, E: Env<4>>(hook: Hook, packet: &mut P, tables: &T, env: &E) -> u32 {
    // Taken where it comes in as well: a node might have said so.
    let translated = packet.take_translated() && hook == Hook::PortOut;
    if packet.is_tagged() || (packet.link_len() > 0 && is_vlan(packet.ether_type())) {
        let leaks = hook == Hook::UplinkOut && is_from_a_node(packet, tables);
        return if leaks { Verdict::PrivateSource as u32 } else { Verdict::Tagged as u32 };
    }
    match read_ipv4(packet, |headers| tables.set_headers(headers)) {
        Ok(()) => match tables.headers() {
            Some(headers) => {
                let marks = marks(&headers, &Scene::new(hook, tables, env));
                if translated { marks | TRANSLATED } else { marks }
            }
            None => Verdict::Malformed as u32,
        },
        Err(ParseError::NotIpv4) => Verdict::NotIpv4 as u32,
        Err(ParseError::Malformed) => malformed(hook) as u32,
    }
}

/// What becomes of a packet with a broken header. Between nodes the bridge carries what it is given. What cannot be read
/// cannot be shown to be free of a node's address, so it does not cross the uplink.
#[inline(always)]
pub fn malformed(hook: Hook) -> Verdict {
    match hook {
        Hook::PortIn | Hook::PortOut => Verdict::MalformedPassed,
        Hook::UplinkIn | Hook::UplinkOut => Verdict::Malformed,
        // The host's stack has made it, and takes it back.
        Hook::LocalOut => Verdict::NoRule,
    }
}

#[inline(always)]
fn is_vlan(ether_type: [u8; 2]) -> bool {
    ether_type == eth::VLAN || ether_type == eth::SERVICE_VLAN
}

/// Whether a frame of a VLAN has a node's address for its source. Up to two tags may stand in the frame, or one
/// beside it.
#[inline(always)]
fn is_from_a_node<P: Packet, T: Tables<4>>(packet: &P, tables: &T) -> bool {
    let mut at = eth::TYPE;
    let mut tag = 0;
    while tag < 2 && is_vlan(packet.load(at).unwrap_or([0; 2])) {
        at += eth::TAG_LEN;
        tag += 1;
    }
    if packet.load(at).unwrap_or([0; 2]) != eth::IPV4 {
        return false;
    }
    let source = packet.load(at + 2 + ipv4::SRC).unwrap_or([0; 4]);
    tables.zone(source) == Zone::Nodes
}

#[inline(always)]
fn marks<T: Tables<4>, E: Env<4>>(headers: &Headers<4>, scene: &Scene<'_, T, E>) -> u32 {
    let mut marks = READ;
    if headers.has_options() {
        marks |= OPTIONS;
    }
    if headers.piece == Piece::First {
        marks |= FIRST;
    }
    match headers.kind() {
        Transport::Error => marks |= ERROR,
        Transport::Fragment if !is_complete(headers, scene) => marks |= EARLY,
        _ => {}
    }
    marks
}

#[inline(always)]
fn is_complete<T: Tables<4>, E: Env<4>>(headers: &Headers<4>, scene: &Scene<'_, T, E>) -> bool {
    fragment::complete(scene.hook, headers, scene.tables, scene.now)
}
