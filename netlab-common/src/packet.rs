//! The first trait, [`Packet`], and the parser that reads headers through it.

use crate::abi::flow::Tuple;
use crate::conntrack::state;
use crate::net::{eth, icmp, ipv4, ports, protocol, tcp, udp};
use crate::tables::Traffic;

/// A frame that starts with its Ethernet header. Offsets are bytes from there.
///
/// Everything is loaded by value, because the kernel's helpers invalidate pointers into a packet. Checksums
/// are operations rather than arithmetic: an skb's may be partial or complete, and only the kernel's helper
/// keeps that state right. That is the one true difference between the hooks.
pub trait Packet {
    /// Bytes of the frame as it stands; of an aggregate, all of them.
    fn frame_len(&self) -> u32;

    /// Packets that the frame is on the wire: more than one for an aggregate (GSO, GRO).
    fn segments(&self) -> u32;

    /// Index of the interface on which the host's stack received the packet; zero if it made the packet
    /// itself, or if the hook does not know.
    fn received_on(&self) -> u32;

    /// `L` bytes from `offset`, or `None` past the end.
    fn load<const L: usize>(&self, offset: usize) -> Option<[u8; L]>;

    /// Overwrites `L` bytes at `offset`; `None` when they are not all there or cannot be made writable.
    fn store<const L: usize>(&mut self, offset: usize, bytes: [u8; L]) -> Option<()>;

    /// Makes room for `L` bytes after the Ethernet header, and cuts the frame off `keep` bytes after them;
    /// the room's bytes are undefined. `None` when it cannot be done, and then the frame must not go on.
    fn wrap<const L: usize>(&mut self, keep: usize) -> Option<()>;

    /// Brings the IPv4 header checksum at `offset` up to date after `from` became `to`.
    fn update_header_checksum(&mut self, offset: usize, from: [u8; 4], to: [u8; 4]) -> Option<()>;

    /// Brings the transport checksum at `offset` up to date after `from` became `to`; `L` is 2 or 4.
    fn update_transport_checksum<const L: usize>(
        &mut self,
        offset: usize,
        from: [u8; L],
        to: [u8; L],
        covered: Covered,
    ) -> Option<()>;
}

/// How a changed field is covered by a transport checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covered {
    /// As part of the pseudo-header (addresses), or of the segment itself (ports).
    pub pseudo_header: bool,
    /// The checksum is UDP's: zero means none.
    pub udp: bool,
}

/// What the pipeline knows of a packet once it is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers<const N: usize> {
    /// Offset of the IP header.
    pub ip: usize,
    /// Offset of the transport header.
    pub transport: usize,
    /// What the transport is.
    pub kind: Transport,
    /// Addresses and ports; ports are zero where `kind` has none.
    pub tuple: Tuple<N>,
    /// Bytes of IP and transport header together: what each segment of an aggregate repeats on the wire.
    pub repeated: usize,
    /// What a TCP header says of numbers; all zero for other kinds.
    pub segment: Segment,
}

/// The numbers of a TCP segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Of its first byte.
    pub sequence: u32,
    /// What it acknowledges; says nothing without the ACK flag.
    pub ack: u32,
    /// Bytes of data.
    pub len: u32,
}

impl Segment {
    /// The number after its last byte, of which SYN and FIN each count as one (RFC 9293, section 3.4).
    #[inline(always)]
    #[must_use]
    pub fn end(&self, flags: u8) -> u32 {
        let controls = u32::from(flags & tcp::SYN != 0) + u32::from(flags & tcp::FIN != 0);
        self.sequence.wrapping_add(self.len).wrapping_add(controls)
    }
}

impl<const N: usize> Headers<N> {
    /// What the packet is on the wire from its IP header on, with every segment's own headers.
    #[inline(always)]
    #[must_use]
    pub fn traffic<P: Packet>(&self, packet: &P) -> Traffic {
        let packets = u64::from(packet.segments());
        let bytes = u64::from(packet.frame_len()) - self.ip as u64 + (packets - 1) * self.repeated as u64;
        Traffic { packets, bytes }
    }
}

/// The transport, as far as translation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP, with its flag byte.
    Tcp(u8),
    /// UDP.
    Udp,
    /// ICMP echo request.
    EchoRequest,
    /// ICMP echo reply.
    EchoReply,
    /// A piece of a fragmented datagram: the ports are elsewhere, or later pieces cannot be matched.
    Fragment,
    /// Anything else.
    Other,
}

impl Transport {
    /// Whether a packet of this kind may open a flow. TCP opens with a SYN and nothing else (RFC 5382);
    /// an ICMP query opens with its request (RFC 5508).
    #[inline(always)]
    #[must_use]
    pub fn opens(self) -> bool {
        match self {
            Transport::Tcp(flags) => flags & (tcp::SYN | tcp::ACK | tcp::RST | tcp::FIN) == tcp::SYN,
            Transport::Udp | Transport::EchoRequest => true,
            Transport::EchoReply | Transport::Fragment | Transport::Other => false,
        }
    }

    /// Whether a packet of this kind shows a TCP connection in its middle.
    #[inline(always)]
    #[must_use]
    pub fn continues(self) -> bool {
        matches!(self, Transport::Tcp(flags) if flags & (tcp::SYN | tcp::ACK | tcp::RST) == tcp::ACK)
    }

    /// The state bits of a flow that a packet of this kind opens.
    #[inline(always)]
    #[must_use]
    pub fn opening_state(self) -> u32 {
        if self.continues() { state::PICKED_UP } else { 0 }
    }

    /// Whether a packet of this kind can belong to a flow at all.
    #[inline(always)]
    #[must_use]
    pub fn is_tracked(self) -> bool {
        !matches!(self, Transport::Fragment | Transport::Other)
    }
}

/// Why there are no headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// The frame carries something other than IPv4.
    NotIpv4,
    /// The frame says it is IPv4, and its header contradicts itself or the frame's length.
    Malformed,
}

/// Reads the headers of an IPv4 packet.
///
/// # Errors
/// See [`ParseError`]. A transport header that is cut short is malformed too.
#[inline(always)]
pub fn parse_ipv4<P: Packet>(packet: &P) -> Result<Headers<4>, ParseError> {
    // Written with a default because a `match` on the `Option` lets LLVM compute on the bytes of the `None`
    // case, which are undefined, and the verifier refuses to read those.
    if packet.load::<2>(eth::TYPE).unwrap_or([0; 2]) != eth::IPV4 {
        return Err(ParseError::NotIpv4);
    }
    let ip = eth::LEN;
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

    let transport = ip + header_len;
    let number = header[ipv4::PROTOCOL];
    let pieces = u16::from_be_bytes([header[ipv4::FRAGMENT], header[ipv4::FRAGMENT + 1]]);
    // What follows the packet in its frame is padding, and must not be taken for its transport header.
    let payload_len = if total_len == 0 { frame_len - transport } else { total_len - header_len };
    let parsed = if pieces & ipv4::FRAGMENT_MASK != 0 {
        Parsed::without_ports(Transport::Fragment)
    } else {
        parse_transport(packet, transport, payload_len, number).ok_or(ParseError::Malformed)?
    };
    let tuple = Tuple {
        src: [header[ipv4::SRC], header[ipv4::SRC + 1], header[ipv4::SRC + 2], header[ipv4::SRC + 3]],
        dst: [header[ipv4::DST], header[ipv4::DST + 1], header[ipv4::DST + 2], header[ipv4::DST + 3]],
        sport: parsed.sport,
        dport: parsed.dport,
        protocol: number,
        pad: [0; 3],
    };
    let Parsed { kind, segment, len, .. } = parsed;
    Ok(Headers { ip, transport, kind, tuple, repeated: header_len + len, segment })
}

/// What a transport header says.
struct Parsed {
    kind: Transport,
    sport: [u8; 2],
    dport: [u8; 2],
    len: usize,
    segment: Segment,
}

impl Parsed {
    #[inline(always)]
    fn without_ports(kind: Transport) -> Self {
        Parsed { kind, sport: [0; 2], dport: [0; 2], len: 0, segment: Segment::default() }
    }
}

#[inline(always)]
fn long<const L: usize>(header: &[u8; L], at: usize) -> u32 {
    u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

/// Reads the transport header of a packet with `len` bytes of payload; `None` when it is cut short.
#[inline(always)]
fn parse_transport<P: Packet>(packet: &P, at: usize, len: usize, number: u8) -> Option<Parsed> {
    let least = match number {
        protocol::TCP => tcp::MIN_LEN,
        protocol::UDP => udp::LEN,
        protocol::ICMP => icmp::LEN,
        _ => 0,
    };
    if len < least {
        return None;
    }
    match number {
        protocol::TCP => {
            let header: [u8; tcp::MIN_LEN] = packet.load(at)?;
            let own_len = (header[tcp::DATA_OFFSET] >> 4 << 2) as usize;
            Some(Parsed {
                kind: Transport::Tcp(header[tcp::FLAGS]),
                sport: [header[ports::SRC], header[ports::SRC + 1]],
                dport: [header[ports::DST], header[ports::DST + 1]],
                len: own_len,
                segment: Segment {
                    sequence: long(&header, tcp::SEQUENCE),
                    ack: long(&header, tcp::ACKNOWLEDGEMENT),
                    len: len.saturating_sub(own_len) as u32,
                },
            })
        }
        protocol::UDP => {
            let header: [u8; udp::LEN] = packet.load(at)?;
            Some(Parsed {
                kind: Transport::Udp,
                sport: [header[ports::SRC], header[ports::SRC + 1]],
                dport: [header[ports::DST], header[ports::DST + 1]],
                len: udp::LEN,
                segment: Segment::default(),
            })
        }
        protocol::ICMP => {
            let header: [u8; icmp::LEN] = packet.load(at)?;
            let identifier = [header[icmp::IDENTIFIER], header[icmp::IDENTIFIER + 1]];
            let (kind, sport, dport) = match header[0] {
                icmp::ECHO_REQUEST => (Transport::EchoRequest, identifier, [0; 2]),
                icmp::ECHO_REPLY => (Transport::EchoReply, [0; 2], identifier),
                _ => (Transport::Other, [0; 2], [0; 2]),
            };
            Some(Parsed { kind, sport, dport, len: icmp::LEN, segment: Segment::default() })
        }
        _ => Some(Parsed::without_ports(Transport::Other)),
    }
}
