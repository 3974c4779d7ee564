//! What to change in a packet, and changing it.

use crate::abi::flow::Tuple;
use crate::net::{icmp, ipv4, ports, protocol, tcp, udp};
use crate::packet::{Covered, Headers, Packet, Transport};

/// A change of addresses and ports: from the tuple the packet bears to the one it shall bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrite<const N: usize> {
    /// As it is.
    pub from: Tuple<N>,
    /// As it shall be.
    pub to: Tuple<N>,
}

/// Carries out a change. `None` means that a part of it was refused: the packet may be half changed and must
/// not go on.
#[inline(always)]
pub fn apply<P: Packet>(packet: &mut P, headers: &Headers<4>, rewrite: &Rewrite<4>) -> Option<()> {
    let Rewrite { from, to } = rewrite;
    if from.src != to.src {
        replace_address(packet, headers, ipv4::SRC, from.src, to.src)?;
    }
    if from.dst != to.dst {
        replace_address(packet, headers, ipv4::DST, from.dst, to.dst)?;
    }
    if from.sport != to.sport {
        replace_port(packet, headers, ports::SRC, from.sport, to.sport)?;
    }
    if from.dport != to.dport {
        replace_port(packet, headers, ports::DST, from.dport, to.dport)?;
    }
    Some(())
}

/// Changes one address: the transport checksum first, while the old address is still known to be there,
/// then the header's, then the address.
#[inline(always)]
pub fn replace_address<P: Packet>(
    packet: &mut P,
    headers: &Headers<4>,
    field: usize,
    from: [u8; 4],
    to: [u8; 4],
) -> Option<()> {
    // ICMP for IPv4 has no pseudo-header (RFC 792), so an address does not touch its checksum.
    if let Some((offset, udp)) = pseudo_header_checksum(headers.kind()) {
        let covered = Covered { pseudo_header: true, udp };
        packet.update_transport_checksum(headers.transport() + offset, from, to, covered)?;
    }
    packet.update_header_checksum(headers.ip() + ipv4::CHECKSUM, from, to)?;
    packet.store(headers.ip() + field, to)
}

/// Changes one port, or a query's identifier, which stands for the port of the side that asked.
#[inline(always)]
fn replace_port<P: Packet>(
    packet: &mut P,
    headers: &Headers<4>,
    field: usize,
    from: [u8; 2],
    to: [u8; 2],
) -> Option<()> {
    let (checksum, field, udp) = match headers.kind() {
        Transport::Tcp(_) => (tcp::CHECKSUM, field, false),
        Transport::Udp => (udp::CHECKSUM, field, true),
        Transport::Query | Transport::Answer => (icmp::CHECKSUM, icmp::IDENTIFIER, false),
        // Of a later fragment the first one bears the ports.
        Transport::Fragment => return Some(()),
        Transport::Sctp | Transport::Portless | Transport::Error | Transport::Other => return None,
    };
    let covered = Covered { pseudo_header: false, udp };
    packet.update_transport_checksum(headers.transport() + checksum, from, to, covered)?;
    packet.store(headers.transport() + field, to)
}

/// Whether sockets of the host's can be asked for by this protocol.
#[inline(always)]
#[must_use]
pub fn has_sockets(number: u8) -> bool {
    matches!(number, protocol::TCP | protocol::UDP)
}

/// Where the checksum that covers the addresses stands, and whether it is UDP's.
#[inline(always)]
fn pseudo_header_checksum(kind: Transport) -> Option<(usize, bool)> {
    match kind {
        Transport::Tcp(_) => Some((tcp::CHECKSUM, false)),
        Transport::Udp => Some((udp::CHECKSUM, true)),
        _ => None,
    }
}
