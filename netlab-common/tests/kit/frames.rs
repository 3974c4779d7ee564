//! Frames from their parts: Ethernet, IPv4, and TCP, UDP or an echo. Checksums start at zero, since here only
//! their change is looked at, and the test kit of the whole project checks that one.

use netlab_common::abi::flow::Tuple;
use netlab_common::fake::BufPacket;
use netlab_common::net::{checksum, eth, icmp, ipv4, ports, protocol, tcp, udp};
use netlab_common::packet::parse_ipv4;

/// An address and a port, or an echo identifier.
pub type End = ([u8; 4], u16);

/// What a TCP segment says beside its ports.
#[derive(Clone, Copy, Debug)]
pub struct Says {
    pub flags: u8,
    pub sequence: u32,
    pub ack: u32,
    pub len: u16,
}

impl Says {
    /// A segment without data whose numbers do not matter.
    pub fn flags(flags: u8) -> Self {
        Says { flags, sequence: 1, ack: 1, len: 0 }
    }
}

pub fn segment(from: End, to: End, says: Says) -> Vec<u8> {
    let mut bytes = vec![0; tcp::MIN_LEN + usize::from(says.len)];
    put(&mut bytes, ports::SRC, &from.1.to_be_bytes());
    put(&mut bytes, ports::DST, &to.1.to_be_bytes());
    put(&mut bytes, tcp::SEQUENCE, &says.sequence.to_be_bytes());
    put(&mut bytes, tcp::ACKNOWLEDGEMENT, &says.ack.to_be_bytes());
    bytes[tcp::DATA_OFFSET] = 5 << 4;
    bytes[tcp::FLAGS] = says.flags;
    frame(from.0, to.0, protocol::TCP, &bytes)
}

/// A TCP segment with these flags.
pub fn tcp(from: End, to: End, flags: u8) -> Vec<u8> {
    segment(from, to, Says::flags(flags))
}

pub fn syn(from: End, to: End) -> Vec<u8> {
    tcp(from, to, tcp::SYN)
}

pub fn udp(from: End, to: End) -> Vec<u8> {
    let mut bytes = vec![0; udp::LEN];
    put(&mut bytes, ports::SRC, &from.1.to_be_bytes());
    put(&mut bytes, ports::DST, &to.1.to_be_bytes());
    put(&mut bytes, 4, &(udp::LEN as u16).to_be_bytes());
    frame(from.0, to.0, protocol::UDP, &bytes)
}

/// An echo request; the identifier is the sender's port.
pub fn ping(from: End, to: [u8; 4]) -> Vec<u8> {
    let mut bytes = vec![icmp::ECHO_REQUEST, 0, 0, 0, 0, 0, 0, 1];
    put(&mut bytes, icmp::IDENTIFIER, &from.1.to_be_bytes());
    frame(from.0, to, protocol::ICMP, &bytes)
}

/// The frame that bears the inverse tuple: what the other side sends back.
pub fn answer(of: &[u8], flags: u8) -> Vec<u8> {
    let Tuple { src, dst, sport, dport, protocol: number, .. } = tuple(of);
    let (from, to) = ((dst, u16::from_be_bytes(dport)), (src, u16::from_be_bytes(sport)));
    match number {
        protocol::TCP => tcp(from, to, flags),
        protocol::UDP => udp(from, to),
        _ => {
            let mut back = ping((dst, to.1), src);
            back[eth::LEN + ipv4::MIN_LEN] = icmp::ECHO_REPLY;
            back
        }
    }
}

pub fn tuple(frame: &[u8]) -> Tuple<4> {
    parse_ipv4(&BufPacket(frame.to_vec())).expect("the kit makes proper frames").tuple
}

pub fn frame(from: [u8; 4], to: [u8; 4], number: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; eth::LEN + ipv4::MIN_LEN];
    put(&mut bytes, 0, &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
    put(&mut bytes, eth::TYPE, &eth::IPV4);
    bytes[eth::LEN] = 0x45;
    put(&mut bytes, eth::LEN + ipv4::TOTAL_LEN, &((ipv4::MIN_LEN + payload.len()) as u16).to_be_bytes());
    bytes[eth::LEN + ipv4::TTL] = 64;
    bytes[eth::LEN + ipv4::PROTOCOL] = number;
    put(&mut bytes, eth::LEN + ipv4::SRC, &from);
    put(&mut bytes, eth::LEN + ipv4::DST, &to);
    bytes.extend(payload);
    sum(&mut bytes);
    bytes
}

/// Makes the header's checksum right.
fn sum(bytes: &mut [u8]) {
    put(bytes, eth::LEN + ipv4::CHECKSUM, &[0; 2]);
    let whole = checksum::whole(0, &bytes[eth::LEN..eth::LEN + ipv4::MIN_LEN]);
    put(bytes, eth::LEN + ipv4::CHECKSUM, &whole);
}

/// A piece of a datagram with this identification: the first one as the frame begins, or a later one with its data.
/// `offset` counts eight bytes.
pub fn piece(of: &[u8], number: u16, offset: u16, more: bool) -> Vec<u8> {
    let mut bytes = of.to_vec();
    let more = if more { 0x2000 } else { 0 };
    put(&mut bytes, eth::LEN + ipv4::IDENTIFICATION, &number.to_be_bytes());
    put(&mut bytes, eth::LEN + ipv4::FRAGMENT, &(more | offset).to_be_bytes());
    sum(&mut bytes);
    if offset != 0 {
        // Nobody may take its data for ports.
        bytes[eth::LEN + ipv4::MIN_LEN..].fill(0xa5);
    }
    bytes
}

fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    bytes[at..at + what.len()].copy_from_slice(what);
}
