//! The ICMP error by which a refused packet is answered, written out apart from netlab-common's.

use std::net::Ipv4Addr;

use netlab_common::net::{eth, icmp, ipv4, protocol};

use super::{Packet, checksum};

/// "Communication administratively prohibited" (RFC 1812) to the packet's sender, from an address: the frame
/// that a hook makes of the packet. Where packets arrive, it is on its way back already.
///
/// # Panics
/// When `from` is no address.
#[must_use]
pub fn refusal(packet: &Packet, from: &str, arriving: bool) -> Vec<u8> {
    let from: Ipv4Addr = from.parse().expect("an address");
    let refused = packet.frame();
    let long = [protocol::TCP, protocol::SCTP].contains(&refused[eth::LEN + ipv4::PROTOCOL]);
    let quoted = if long { 40 } else { 28 };
    let len = (ipv4::MIN_LEN + icmp::LEN + quoted) as u16;

    let (target, source) = (&refused[..6], &refused[6..12]);
    let mut frame = if arriving { [source, target].concat() } else { [target, source].concat() };
    frame.extend(eth::IPV4);
    frame.extend([0x45, 0]);
    frame.extend(len.to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, protocol::ICMP, 0, 0]);
    frame.extend(from.octets());
    frame.extend(packet.from.ip().octets());
    frame.extend([icmp::UNREACHABLE, icmp::PROHIBITED, 0, 0, 0, 0, 0, 0]);
    frame.extend(&refused[eth::LEN..eth::LEN + quoted]);
    checksum::seal(&mut frame, true);
    frame
}
