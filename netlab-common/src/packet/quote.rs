//! What an ICMP error quotes: the beginning of the packet it is about (RFC 792; at least the IP header and eight
//! bytes, RFC 1812 section 4.3.2.3 as much as fits).

use super::parse::message;
use super::{Packet, Piece, Transport};
use crate::abi::flow::Tuple;
use crate::net::{checksum, icmp, ipv4, ports, protocol, tcp, udp};

/// A quoted packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote<const N: usize> {
    /// Offset of its IP header in the frame.
    pub ip: usize,
    /// Offset of its transport header.
    pub transport: usize,
    /// What its transport is; TCP flags do not count.
    pub kind: Transport,
    /// The tuple that it bears.
    pub tuple: Tuple<N>,
    /// Offset of its transport checksum, or zero if the quote does not have one.
    pub checksum: usize,
}

/// Bytes of the quoted transport header that every quote has, unless the packet itself was shorter.
const LEAST: usize = 8;

/// Reads the quote that begins at `at` in an error that ends at `end`; `None` if it is cut short, is no first or only fragment, or its header
/// checksum is wrong (RFC 5508 REQ-3a; where it has options it is not looked at, and stays wrong if it is).
#[inline(always)]
pub fn parse_quote<P: Packet>(packet: &P, at: usize, end: usize) -> Option<Quote<4>> {
    let header: [u8; ipv4::MIN_LEN] = packet.load(at)?;
    let header_len = ((header[0] & 0x0f) as usize) << 2;
    let pieces = u16::from_be_bytes([header[ipv4::FRAGMENT], header[ipv4::FRAGMENT + 1]]);
    if header[0] >> 4 != 4
        || header_len < ipv4::MIN_LEN
        || Piece::of(pieces) == Piece::Later
        || (header_len == ipv4::MIN_LEN && checksum::of_words(0, &header, 0, ipv4::MIN_LEN) != [0; 2])
    {
        return None;
    }
    let transport = at + header_len;
    let first: [u8; LEAST] = packet.load(transport).unwrap_or([0; LEAST]);
    let number = header[ipv4::PROTOCOL];
    let (source, destination) =
        ([first[ports::SRC], first[ports::SRC + 1]], [first[ports::DST], first[ports::DST + 1]]);
    let (kind, sport, dport) = match number {
        protocol::TCP => (Transport::Tcp(0), source, destination),
        protocol::UDP | protocol::UDPLITE => (Transport::Udp, source, destination),
        protocol::SCTP => (Transport::Sctp, source, destination),
        protocol::ICMP => message(&first),
        protocol::DCCP => return None,
        _ => (Transport::Portless, [0; 2], [0; 2]),
    };
    // What follows the error in its frame is padding, and no part of the quote.
    let least = if matches!(kind, Transport::Portless) { 0 } else { LEAST };
    if transport + least > end {
        return None;
    }
    let field = match number {
        protocol::TCP if transport + tcp::CHECKSUM + 2 <= end => tcp::CHECKSUM,
        protocol::UDP if first[udp::CHECKSUM] | first[udp::CHECKSUM + 1] != 0 => udp::CHECKSUM,
        protocol::UDPLITE => udp::CHECKSUM,
        protocol::ICMP => icmp::CHECKSUM,
        _ => 0,
    };
    let tuple = Tuple {
        src: [header[ipv4::SRC], header[ipv4::SRC + 1], header[ipv4::SRC + 2], header[ipv4::SRC + 3]],
        dst: [header[ipv4::DST], header[ipv4::DST + 1], header[ipv4::DST + 2], header[ipv4::DST + 3]],
        sport,
        dport,
        protocol: number,
        pad: [0; 3],
    };
    let checksum = if field == 0 { 0 } else { transport + field };
    Some(Quote { ip: at, transport, kind, tuple, checksum })
}
