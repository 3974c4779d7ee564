//! ICMP errors by builder, and what they quote.

use netlab_common::net::{eth, ipv4};

use super::{Packet, Transport};

/// An ICMP error of a type and code with these four bytes in the middle, about the packet that these are the first
/// bytes of.
#[must_use]
pub fn error(from: &str, to: &str, (kind, code, rest): (u8, u8, [u8; 4]), quote: &[u8]) -> Packet {
    Packet::new(from, to, Transport::Error { kind, code, rest }).payload(quote)
}

/// The first bytes of a frame's packet, as an error quotes them: the IP header and so many bytes after it, or as many
/// as there are.
#[must_use]
pub fn quote(frame: &[u8], transport: usize) -> Vec<u8> {
    let header = usize::from(frame[eth::LEN] & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes([frame[eth::LEN + ipv4::TOTAL_LEN], frame[eth::LEN + 3]]));
    frame[eth::LEN..eth::LEN + total.min(header.saturating_add(transport))].to_vec()
}
