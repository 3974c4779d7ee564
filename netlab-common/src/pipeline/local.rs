//! The host's own packets to its own addresses, where a forward takes them to a node, and the answers.
//!
//! The kernel routes such a packet before any hook sees it: to the loopback interface. Translated, it goes in by that
//! interface once more, and is routed like any that comes to the host. The answers come from a node, and then from
//! one of the host's own addresses, which the kernel takes by the loopback interface only.

use super::{Scene, Stage};
use crate::abi::hook::Hook;
use crate::abi::verdict::Verdict;
use crate::net::{eth, ipv4};
use crate::packet::{Headers, Packet, Piece, Transport};
use crate::tables::{Env, Tables};

/// Makes a translated packet ready for the loopback interface.
#[inline(always)]
pub fn by_loopback<P: Packet, T: Tables<4>, E: Env<4>>(
    packet: &mut P,
    headers: &Headers<4>,
    scene: &Scene<'_, T, E>,
    verdict: Verdict,
) -> Stage {
    // That interface's own hardware address is all zeros, and who sends to another is not heard.
    let addressed = packet.link_len() == 0 || packet.store(0, [0u8; eth::TYPE]).is_some();
    if addressed && loosen(packet, headers, scene).is_some() {
        Stage::Loopback(verdict)
    } else {
        Stage::Verdict(Verdict::RewriteFailed)
    }
}

/// Lets a datagram of the host's own be fragmented. Its socket was told of the loopback interface's MTU, and set the
/// bit against it all the same; the kernel cuts what a socket sends nevertheless where that has not asked for errors,
/// and a router does not. Fragments need an identification, which such a datagram may lack (RFC 6864, section 4.1).
#[inline(always)]
fn loosen<P: Packet, T: Tables<4>, E: Env<4>>(
    packet: &mut P,
    headers: &Headers<4>,
    scene: &Scene<'_, T, E>,
) -> Option<()> {
    let is_datagram = headers.kind() == Transport::Udp && headers.piece == Piece::Whole;
    if scene.hook != Hook::LocalOut || !is_datagram || packet.segments() > 1 {
        return Some(());
    }
    let at = headers.ip() + ipv4::IDENTIFICATION;
    let from: [u8; 4] = packet.load(at)?;
    if from[2] & ipv4::DONT_FRAGMENT == 0 {
        return Some(());
    }
    let mut to = from;
    to[2] &= !ipv4::DONT_FRAGMENT;
    if to[0] | to[1] == 0 {
        let number = scene.env.random();
        to[0] = (number >> 8) as u8;
        to[1] = number as u8;
    }
    packet.update_header_checksum(headers.ip() + ipv4::CHECKSUM, from, to)?;
    packet.store(at, to)
}
