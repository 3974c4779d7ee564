//! The parser: from bytes to [`Headers`].

use super::{Headers, Packet, Piece, Segment, Transport, kind};
use crate::abi::flow::Tuple;
use crate::net::{checksum, eth, icmp, ipv4, ports, protocol, sctp, tcp, udp};

/// Why there are no headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// The frame carries something other than IPv4.
    NotIpv4,
    /// The frame says it is IPv4, and its header contradicts itself, its checksum or the frame's length.
    Malformed,
}

/// Reads the headers of an IPv4 packet.
///
/// # Errors
/// See [`ParseError`]. A transport header that is cut short is malformed too.
pub fn parse_ipv4<P: Packet>(packet: &P) -> Result<Headers<4>, ParseError> {
    let mut read = None;
    match read_ipv4(packet, |headers| read = Some(*headers)) {
        Ok(()) => read.ok_or(ParseError::Malformed),
        Err(error) => Err(error),
    }
}

/// As [`parse_ipv4`], and hands the headers on rather than back: a `Result` around so large a value makes LLVM store
/// undefined bytes, which the verifier refuses to see.
///
/// # Errors
/// As [`parse_ipv4`].
#[inline(always)]
pub fn read_ipv4<P: Packet>(packet: &P, take: impl FnOnce(&Headers<4>)) -> Result<(), ParseError> {
    if packet.ether_type() != eth::IPV4 {
        return Err(ParseError::NotIpv4);
    }
    let ip = packet.link_len();
    let header: [u8; ipv4::MIN_LEN] = packet.load(ip).ok_or(ParseError::Malformed)?;
    // The mask bounds the offset for the verifier: at most 60.
    let header_len = ((header[0] & 0x0f) as usize) << 2;
    let total_len = u16::from_be_bytes([header[ipv4::TOTAL_LEN], header[ipv4::TOTAL_LEN + 1]]) as usize;
    // An aggregate of more than 64 KiB (BIG TCP) has a total length of zero; its frame has the length.
    let frame_len = packet.frame_len() as usize;
    let length_fits = (total_len >= header_len && ip + total_len <= frame_len)
        || (total_len == 0 && packet.segments() > 1 && ip + header_len <= frame_len);
    if header[0] >> 4 != 4 || header_len < ipv4::MIN_LEN || !length_fits {
        return Err(ParseError::Malformed);
    }
    // Routers drop a header with a wrong checksum (RFC 1812, section 5.2.2), the host's stack does, and nothing that it
    // drops may take a port before. With options the sum goes on behind these bytes: who looks at those looks at it.
    if header_len == ipv4::MIN_LEN && checksum::of_words(0, &header, 0, ipv4::MIN_LEN) != [0; 2] {
        return Err(ParseError::Malformed);
    }

    let transport = ip + header_len;
    let number = header[ipv4::PROTOCOL];
    let pieces = u16::from_be_bytes([header[ipv4::FRAGMENT], header[ipv4::FRAGMENT + 1]]);
    let piece = Piece::of(pieces);
    // What follows the packet in its frame is padding, and must not be taken for its transport header.
    let payload_len = if total_len == 0 { frame_len - transport } else { total_len - header_len };
    let parsed = if piece == Piece::Later {
        // A fragment that begins within the transport header would write over it when the datagram is put
        // together, after the first one was judged by it (RFC 3128).
        if number == protocol::TCP && pieces & ipv4::OFFSET_MASK == 1 {
            return Err(ParseError::Malformed);
        }
        Parsed::without_ports(later(number))
    } else {
        parse_transport(packet, transport, payload_len, number)
    };
    if parsed.is_short {
        return Err(ParseError::Malformed);
    }
    take(&Headers {
        tuple: Tuple {
            src: [header[ipv4::SRC], header[ipv4::SRC + 1], header[ipv4::SRC + 2], header[ipv4::SRC + 3]],
            dst: [header[ipv4::DST], header[ipv4::DST + 1], header[ipv4::DST + 2], header[ipv4::DST + 3]],
            sport: parsed.sport,
            dport: parsed.dport,
            protocol: number,
            pad: [0; 3],
        },
        segment: parsed.segment,
        ip: ip as u16,
        transport: transport as u16,
        repeated: (header_len + parsed.len) as u16,
        identification: [header[ipv4::IDENTIFICATION], header[ipv4::IDENTIFICATION + 1]],
        kind: parsed.kind,
        tcp_flags: parsed.tcp_flags,
        piece,
        pad: 0,
    });
    Ok(())
}

impl Piece {
    /// The piece that flags and offset of an IPv4 header speak of.
    #[inline(always)]
    pub(super) fn of(pieces: u16) -> Self {
        if pieces & ipv4::OFFSET_MASK != 0 {
            Piece::Later
        } else if pieces & ipv4::FRAGMENT_MASK != 0 {
            Piece::First
        } else {
            Piece::Whole
        }
    }
}

/// The kind of a later fragment.
#[inline(always)]
fn later(number: u8) -> u8 {
    match number {
        protocol::TCP | protocol::UDP | protocol::UDPLITE | protocol::SCTP | protocol::ICMP => kind::FRAGMENT,
        protocol::DCCP => kind::OTHER,
        _ => kind::PORTLESS,
    }
}

/// What a transport header says, if it is there.
struct Parsed {
    is_short: bool,
    kind: u8,
    tcp_flags: u8,
    sport: [u8; 2],
    dport: [u8; 2],
    len: usize,
    segment: Segment,
}

impl Parsed {
    const SHORT: Parsed = Parsed {
        is_short: true,
        kind: kind::OTHER,
        tcp_flags: 0,
        sport: [0; 2],
        dport: [0; 2],
        len: 0,
        segment: Segment { sequence: 0, ack: 0, len: 0 },
    };

    #[inline(always)]
    fn without_ports(kind: u8) -> Self {
        Parsed { is_short: false, kind, ..Parsed::SHORT }
    }

    #[inline(always)]
    fn with_ports(kind: u8, header: &[u8; udp::LEN]) -> Self {
        Parsed {
            sport: [header[ports::SRC], header[ports::SRC + 1]],
            dport: [header[ports::DST], header[ports::DST + 1]],
            len: udp::LEN,
            ..Parsed::without_ports(kind)
        }
    }
}

#[inline(always)]
fn long<const L: usize>(header: &[u8; L], at: usize) -> u32 {
    u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

/// Reads the transport header of a packet with `len` bytes of payload.
#[inline(always)]
fn parse_transport<P: Packet>(packet: &P, at: usize, len: usize, number: u8) -> Parsed {
    let least = match number {
        protocol::TCP => tcp::MIN_LEN,
        protocol::UDP | protocol::UDPLITE => udp::LEN,
        protocol::SCTP => sctp::LEN,
        protocol::ICMP => icmp::LEN,
        _ => 0,
    };
    if len < least {
        return Parsed::SHORT;
    }
    match number {
        protocol::TCP => parse_tcp(packet, at, len),
        protocol::UDP | protocol::UDPLITE | protocol::SCTP => {
            let Some(header) = packet.load::<{ udp::LEN }>(at) else { return Parsed::SHORT };
            Parsed::with_ports(if number == protocol::SCTP { kind::SCTP } else { kind::UDP }, &header)
        }
        protocol::ICMP => {
            let Some(header) = packet.load::<{ icmp::LEN }>(at) else { return Parsed::SHORT };
            let (kind, sport, dport) = message(&header);
            Parsed { sport, dport, len: icmp::LEN, ..Parsed::without_ports(kind.number()) }
        }
        protocol::DCCP => Parsed::without_ports(kind::OTHER),
        _ => Parsed::without_ports(kind::PORTLESS),
    }
}

#[inline(always)]
fn parse_tcp<P: Packet>(packet: &P, at: usize, len: usize) -> Parsed {
    let Some(header) = packet.load::<{ tcp::MIN_LEN }>(at) else { return Parsed::SHORT };
    let own_len = (header[tcp::DATA_OFFSET] >> 4 << 2) as usize;
    Parsed {
        tcp_flags: header[tcp::FLAGS],
        sport: [header[ports::SRC], header[ports::SRC + 1]],
        dport: [header[ports::DST], header[ports::DST + 1]],
        len: own_len,
        segment: Segment {
            sequence: long(&header, tcp::SEQUENCE),
            ack: long(&header, tcp::ACKNOWLEDGEMENT),
            len: len.saturating_sub(own_len) as u32,
        },
        ..Parsed::without_ports(kind::TCP)
    }
}

/// Kind and ports of an ICMP message. The identifier of a query stands in the port of the side that asked.
#[inline(always)]
pub(super) fn message(header: &[u8; icmp::LEN]) -> (Transport, [u8; 2], [u8; 2]) {
    let identifier = [header[icmp::IDENTIFIER], header[icmp::IDENTIFIER + 1]];
    match header[0] {
        icmp::ECHO_REQUEST | icmp::TIMESTAMP | icmp::INFORMATION | icmp::MASK => {
            (Transport::Query, identifier, [0; 2])
        }
        icmp::ECHO_REPLY | icmp::TIMESTAMP_REPLY | icmp::INFORMATION_REPLY | icmp::MASK_REPLY => {
            (Transport::Answer, [0; 2], identifier)
        }
        icmp::UNREACHABLE | icmp::QUENCH | icmp::TIME_EXCEEDED | icmp::PARAMETER_PROBLEM => {
            (Transport::Error, [0; 2], [0; 2])
        }
        _ => (Transport::Other, [0; 2], [0; 2]),
    }
}
