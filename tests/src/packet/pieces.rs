//! Datagrams cut into fragments, as a router with a small MTU cuts them (RFC 791, section 3.2).

use netlab_common::net::{eth, ipv4};

use super::{Packet, checksum};

/// A packet's fragments, each but the last with this many bytes after its IP header: a multiple of eight.
///
/// # Panics
/// When it is not.
#[must_use]
pub fn pieces(packet: &Packet, size: usize) -> Vec<Vec<u8>> {
    assert!(size > 0 && size.is_multiple_of(8), "offsets count in units of eight bytes");
    let whole = packet.frame();
    let start = eth::LEN + usize::from(whole[eth::LEN] & 0x0f) * 4;
    let (head, body) = whole.split_at(start);
    let last = body.len().div_ceil(size) - 1;
    let cut = |(number, data): (usize, &[u8])| {
        let mut frame = [head, data].concat();
        let total = (start - eth::LEN + data.len()) as u16;
        let offset = (number * size / 8) as u16 | if number < last { 0x2000 } else { 0 };
        frame[eth::LEN + ipv4::TOTAL_LEN..][..2].copy_from_slice(&total.to_be_bytes());
        frame[eth::LEN + ipv4::FRAGMENT..][..2].copy_from_slice(&offset.to_be_bytes());
        checksum::seal(&mut frame, true);
        frame
    };
    body.chunks(size).enumerate().map(cut).collect()
}

/// One of those.
#[must_use]
pub fn one_piece(packet: &Packet, size: usize, number: usize) -> Vec<u8> {
    pieces(packet, size).swap_remove(number)
}
