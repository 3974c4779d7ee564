//! Frames by builder: Ethernet, IPv4, and TCP, UDP, ICMP or anything else. Checksums are right unless the
//! test says otherwise, and an answer is made from any frame as the other side would make it.

pub mod checksum;
mod error;
mod pieces;
mod refusal;

use std::net::{Ipv4Addr, SocketAddrV4};

use netlab_common::abi::flow::Tuple;
use netlab_common::fake::BufPacket;
use netlab_common::net::{eth, icmp, ipv4, protocol, tcp as tcp_header, udp as udp_header};
use netlab_common::packet::{Headers, parse_ipv4};

pub use error::{error, quote};
pub use pieces::{one_piece, pieces};
pub use refusal::refusal;

/// Protocols whose header begins with two ports.
const HAS_PORTS: [u8; 4] = [protocol::TCP, protocol::UDP, protocol::UDPLITE, protocol::SCTP];

const MACS: [u8; 12] = [0x02, 0, 0, 0, 0, 0x0a, 0x02, 0, 0, 0, 0, 0x0b];

/// A frame to be.
#[derive(Clone, Debug)]
pub struct Packet {
    from: SocketAddrV4,
    to: SocketAddrV4,
    transport: Transport,
    payload: Vec<u8>,
    options: Vec<u8>,
    fragment: u16,
    number: u16,
    ttl: u8,
    numbers: (u32, u32),
    shortest: usize,
    edits: Vec<Edit>,
}

#[derive(Clone, Debug)]
enum Transport {
    Tcp { flags: u8 },
    Udp { sealed: bool },
    UdpLite,
    Sctp,
    Icmp { kind: u8, identifier: u16 },
    Error { kind: u8, code: u8, rest: [u8; 4] },
    Other(u8),
}

/// What is done to the finished bytes, after their checksums.
#[derive(Clone, Debug)]
enum Edit {
    Patch(usize, Vec<u8>),
    Header,
    Cut(usize),
}

/// A TCP segment between two `address:port`; without flags until told.
#[must_use]
pub fn tcp(from: &str, to: &str) -> Packet {
    Packet::new(from, to, Transport::Tcp { flags: 0 })
}

/// A UDP datagram between two `address:port`.
#[must_use]
pub fn udp(from: &str, to: &str) -> Packet {
    Packet::new(from, to, Transport::Udp { sealed: true })
}

/// An ICMP echo request.
#[must_use]
pub fn ping(from: &str, to: &str, identifier: u16) -> Packet {
    Packet::new(from, to, Transport::Icmp { kind: icmp::ECHO_REQUEST, identifier })
}

/// An ICMP echo reply.
#[must_use]
pub fn pong(from: &str, to: &str, identifier: u16) -> Packet {
    Packet::new(from, to, Transport::Icmp { kind: icmp::ECHO_REPLY, identifier })
}

/// A UDP-Lite datagram, whose checksum covers all of it (RFC 3828).
#[must_use]
pub fn udp_lite(from: &str, to: &str) -> Packet {
    Packet::new(from, to, Transport::UdpLite)
}

/// An SCTP packet. Nobody on the way looks at its checksum.
#[must_use]
pub fn sctp(from: &str, to: &str) -> Packet {
    Packet::new(from, to, Transport::Sctp)
}

/// An ICMP message of some other type.
#[must_use]
pub fn icmp_message(from: &str, to: &str, kind: u8) -> Packet {
    Packet::new(from, to, Transport::Icmp { kind, identifier: 0 })
}

/// A packet of a protocol by number, with nothing but its payload.
#[must_use]
pub fn other(from: &str, to: &str, number: u8) -> Packet {
    Packet::new(from, to, Transport::Other(number))
}

/// A frame of an EtherType that is not IPv4's.
#[must_use]
pub fn not_ipv4(ether_type: [u8; 2]) -> Vec<u8> {
    [&MACS[..], &ether_type, &[0; 46]].concat()
}

impl Packet {
    fn new(from: &str, to: &str, transport: Transport) -> Self {
        let payload = b"netlab".to_vec();
        let (from, to) = (endpoint(from), endpoint(to));
        let (options, edits) = (vec![], vec![]);
        Packet {
            from,
            to,
            transport,
            payload,
            options,
            fragment: 0,
            number: 0x1234,
            ttl: 64,
            numbers: (1, 1),
            shortest: 0,
            edits,
        }
    }

    /// The same from elsewhere.
    #[must_use]
    pub fn from(self, from: &str) -> Self {
        Packet { from: endpoint(from), ..self }
    }

    /// The same to elsewhere.
    #[must_use]
    pub fn to(self, to: &str) -> Self {
        Packet { to: endpoint(to), ..self }
    }

    /// The same echo with another identifier; nothing else has one.
    #[must_use]
    pub fn identifier(mut self, wanted: u16) -> Self {
        if let Transport::Icmp { identifier, .. } = &mut self.transport {
            *identifier = wanted;
        }
        self
    }

    /// TCP flags; see [`netlab_common::net::tcp`].
    #[must_use]
    pub fn flags(self, flags: u8) -> Self {
        Packet { transport: Transport::Tcp { flags }, ..self }
    }

    /// A TCP segment that opens.
    #[must_use]
    pub fn syn(self) -> Self {
        self.flags(tcp_header::SYN)
    }

    /// A TCP segment that answers an opening one.
    #[must_use]
    pub fn syn_ack(self) -> Self {
        self.flags(tcp_header::SYN | tcp_header::ACK)
    }

    /// A TCP segment in mid-connection.
    #[must_use]
    pub fn ack(self) -> Self {
        self.flags(tcp_header::ACK)
    }

    /// A TCP segment after which its sender has no more data.
    #[must_use]
    pub fn fin(self) -> Self {
        self.flags(tcp_header::FIN | tcp_header::ACK)
    }

    /// A TCP segment that ends the connection at once.
    #[must_use]
    pub fn rst(self) -> Self {
        self.flags(tcp_header::RST)
    }

    /// A TCP segment's number, and the one that it acknowledges; each is 1 until told.
    #[must_use]
    pub fn numbers(self, sequence: u32, acknowledged: u32) -> Self {
        Packet { numbers: (sequence, acknowledged), ..self }
    }

    /// UDP without a checksum: its field is zero.
    #[must_use]
    pub fn unsealed(self) -> Self {
        Packet { transport: Transport::Udp { sealed: false }, ..self }
    }

    /// Other data.
    #[must_use]
    pub fn payload(self, payload: &[u8]) -> Self {
        Packet { payload: payload.to_vec(), ..self }
    }

    /// Data such that the transport checksum comes out as this value, by a last word that makes up for the
    /// rest.
    #[must_use]
    pub fn aimed_at(mut self, wanted: u16) -> Self {
        self.payload.truncate(self.payload.len() & !1);
        self.payload.extend([0, 0]);
        let frame = self.frame();
        let field = checksum::transport_field(&frame).expect("only a transport with a checksum can aim");
        let found = u16::from_be_bytes([frame[field], frame[field + 1]]);
        // Adding w to the data takes w from the checksum, in one's complement.
        let sum = u32::from(found) + u32::from(!wanted);
        let word = ((sum & 0xffff) + (sum >> 16)) as u16;
        let last = self.payload.len() - 2;
        self.payload[last..].copy_from_slice(&word.to_be_bytes());
        self
    }

    /// IPv4 options: this many words of no-operation.
    #[must_use]
    pub fn options(self, words: usize) -> Self {
        Packet { options: vec![1; words * 4], ..self }
    }

    /// These IPv4 options, filled up with zeroes to whole words.
    #[must_use]
    pub fn with_options(self, options: &[u8]) -> Self {
        let mut options = options.to_vec();
        options.resize(options.len().next_multiple_of(4), 0);
        Packet { options, ..self }
    }

    /// Another identification than all others have.
    #[must_use]
    pub fn number(self, number: u16) -> Self {
        Packet { number, ..self }
    }

    /// Another time to live.
    #[must_use]
    pub fn ttl(self, ttl: u8) -> Self {
        Packet { ttl, ..self }
    }

    /// A piece of a fragmented datagram, `offset` in units of eight bytes.
    #[must_use]
    pub fn fragment(self, offset: u16, more: bool) -> Self {
        Packet { fragment: offset | if more { 0x2000 } else { 0 }, ..self }
    }

    /// Zeroes behind the IP packet until the frame has this length, as on a wire.
    #[must_use]
    pub fn padded(self, shortest: usize) -> Self {
        Packet { shortest, ..self }
    }

    /// Other bytes at an offset of the finished frame; checksums are not made right again.
    #[must_use]
    pub fn patch(mut self, offset: usize, bytes: &[u8]) -> Self {
        self.edits.push(Edit::Patch(offset, bytes.to_vec()));
        self
    }

    /// The header's checksum is made right again after what was done to it so far.
    #[must_use]
    pub fn summed(mut self) -> Self {
        self.edits.push(Edit::Header);
        self
    }

    /// Only this many bytes of the finished frame.
    #[must_use]
    pub fn cut(mut self, len: usize) -> Self {
        self.edits.push(Edit::Cut(len));
        self
    }

    /// The bytes.
    ///
    /// # Panics
    /// When an edit reaches past the end of the frame.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        let mut frame = [&MACS[..], &eth::IPV4, &self.header(), &self.options, &self.transport()].concat();
        checksum::seal(&mut frame, !matches!(self.transport, Transport::Udp { sealed: false }));
        frame.resize(frame.len().max(self.shortest), 0);
        for edit in &self.edits {
            match edit {
                Edit::Patch(offset, bytes) => frame[*offset..*offset + bytes.len()].copy_from_slice(bytes),
                Edit::Header => checksum::seal_header(&mut frame),
                Edit::Cut(len) => frame.truncate(*len),
            }
        }
        frame
    }

    fn header(&self) -> Vec<u8> {
        let header_len = ipv4::MIN_LEN + self.options.len();
        let number = match self.transport {
            Transport::Tcp { .. } => protocol::TCP,
            Transport::Udp { .. } => protocol::UDP,
            Transport::UdpLite => protocol::UDPLITE,
            Transport::Sctp => protocol::SCTP,
            Transport::Icmp { .. } | Transport::Error { .. } => protocol::ICMP,
            Transport::Other(number) => number,
        };
        let mut header = vec![0x40 | (header_len / 4) as u8, 0];
        header.extend(((header_len + self.transport().len()) as u16).to_be_bytes());
        header.extend(self.number.to_be_bytes());
        header.extend(self.fragment.to_be_bytes());
        header.extend([self.ttl, number, 0, 0]);
        header.extend(self.from.ip().octets());
        header.extend(self.to.ip().octets());
        header
    }

    fn transport(&self) -> Vec<u8> {
        let mut bytes = vec![];
        match self.transport {
            Transport::Tcp { flags } => {
                bytes.extend(self.from.port().to_be_bytes());
                bytes.extend(self.to.port().to_be_bytes());
                bytes.extend(self.numbers.0.to_be_bytes());
                bytes.extend(self.numbers.1.to_be_bytes());
                bytes.extend([5 << 4, flags, 0x20, 0, 0, 0, 0, 0]);
            }
            Transport::Udp { .. } => {
                bytes.extend(self.from.port().to_be_bytes());
                bytes.extend(self.to.port().to_be_bytes());
                bytes.extend(((udp_header::LEN + self.payload.len()) as u16).to_be_bytes());
                bytes.extend([0, 0]);
            }
            Transport::UdpLite => {
                bytes.extend(self.from.port().to_be_bytes());
                bytes.extend(self.to.port().to_be_bytes());
                bytes.extend([0, 0, 0, 0]);
            }
            Transport::Sctp => {
                bytes.extend(self.from.port().to_be_bytes());
                bytes.extend(self.to.port().to_be_bytes());
                bytes.extend([0, 0, 0, 7, 0xc5, 0x5c, 0x5c, 0xc5]);
            }
            Transport::Error { kind, code, rest } => {
                bytes.extend([kind, code, 0, 0]);
                bytes.extend(rest);
            }
            Transport::Icmp { kind, identifier } => {
                bytes.extend([kind, 0, 0, 0]);
                bytes.extend(identifier.to_be_bytes());
                bytes.extend([0, 1]);
            }
            Transport::Other(_) => {}
        }
        bytes.extend(&self.payload);
        bytes
    }
}

/// `address` or `address:port`.
fn endpoint(text: &str) -> SocketAddrV4 {
    text.parse()
        .or_else(|_| text.parse::<Ipv4Addr>().map(|address| SocketAddrV4::new(address, 0)))
        .unwrap_or_else(|_| panic!("`{text}` is neither an address nor an address and a port"))
}

/// A whole frame's headers, as the pipeline reads them.
///
/// # Panics
/// When it is no proper IPv4 frame.
#[must_use]
pub fn headers(frame: &[u8]) -> Headers<4> {
    parse_ipv4(&BufPacket(frame.to_vec())).expect("the frame is proper IPv4")
}

/// A whole frame's tuple.
///
/// # Panics
/// As [`headers`].
#[must_use]
pub fn tuple(frame: &[u8]) -> Tuple<4> {
    headers(frame).tuple
}

/// What the other side sends back: addresses and ports swapped, an echo answered, and a SYN acknowledged.
///
/// # Panics
/// As [`headers`].
#[must_use]
pub fn answer(frame: &[u8]) -> Vec<u8> {
    let at = headers(frame);
    let mut answer = frame.to_vec();
    answer[..6].copy_from_slice(&frame[6..12]);
    answer[6..12].copy_from_slice(&frame[..6]);
    let (src, dst) = (at.ip() + ipv4::SRC, at.ip() + ipv4::DST);
    answer[src..src + 4].copy_from_slice(&frame[dst..dst + 4]);
    answer[dst..dst + 4].copy_from_slice(&frame[src..src + 4]);
    let mut sealed = true;
    match at.tuple.protocol {
        protocol::ICMP => answer[at.transport()] = icmp::ECHO_REPLY,
        number if HAS_PORTS.contains(&number) => {
            answer[at.transport()..at.transport() + 2]
                .copy_from_slice(&frame[at.transport() + 2..at.transport() + 4]);
            answer[at.transport() + 2..at.transport() + 4]
                .copy_from_slice(&frame[at.transport()..at.transport() + 2]);
            if number == protocol::TCP {
                answer[at.transport() + tcp_header::FLAGS] |= tcp_header::ACK;
            } else if number == protocol::UDP {
                let field = at.transport() + udp_header::CHECKSUM;
                sealed = frame[field..field + 2] != [0, 0];
            }
        }
        _ => {}
    }
    checksum::seal(&mut answer, sealed);
    answer
}
