//! Checksums of the twins' frames: whole ones for what is sent, and changed word by word for what is compared,
//! so that a checksum that was wrong by some amount stays wrong by that amount.

use netlab_common::net::{ipv4, protocol};

/// UDP-Lite (RFC 3828).
pub const UDP_LITE: u8 = 136;
/// SCTP (RFC 9260).
pub const SCTP: u8 = 132;
/// DCCP (RFC 4340).
pub const DCCP: u8 = 33;
/// GRE (RFC 2784).
pub const GRE: u8 = 47;
/// ESP (RFC 4303).
pub const ESP: u8 = 50;

/// Whether a protocol has ports, or an identifier in their place.
pub fn has_ports(number: u8) -> bool {
    matches!(number, protocol::TCP | protocol::UDP | protocol::ICMP | SCTP | UDP_LITE | DCCP)
}

/// The one's complement sum of 16-bit words, on top of another.
pub fn sum(start: u32, bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut total = u64::from(start) + words.map(u64::from).sum::<u64>();
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

/// A 16-bit word of a packet, if it is that long.
pub fn word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
}

/// Where a protocol's checksum stands in its header, if the one's complement makes it.
pub fn field_of(number: u8) -> Option<usize> {
    match number {
        protocol::TCP => Some(16),
        protocol::UDP | UDP_LITE | DCCP => Some(6),
        protocol::ICMP => Some(2),
        _ => None,
    }
}

/// Makes a whole IPv4 packet's checksums right; UDP's stays zero unless `sealed`.
pub fn seal(packet: &mut [u8], sealed: bool) {
    let header = usize::from(packet[0] & 0x0f) * 4;
    seal_header(packet);
    let number = packet[ipv4::PROTOCOL];
    let len = packet.len() - header;
    if number == SCTP {
        seal_crc(packet, header);
    }
    let Some(field) =
        field_of(number).filter(|field| field + 2 <= len && (sealed || number != protocol::UDP))
    else {
        return;
    };
    packet[header + field..header + field + 2].fill(0);
    let pseudo = if number == protocol::ICMP {
        0
    } else {
        u32::from(sum(u32::from(number) + len as u32, &packet[ipv4::SRC..ipv4::DST + 4]))
    };
    let whole = match !sum(pseudo, &packet[header..]) {
        0 if number != protocol::ICMP && number != protocol::TCP => 0xffff,
        whole => whole,
    };
    packet[header + field..header + field + 2].copy_from_slice(&whole.to_be_bytes());
}

/// Makes the CRC of a whole SCTP packet right, whose header begins there.
pub fn seal_crc(packet: &mut [u8], header: usize) {
    if packet.len() >= header + 12 {
        packet[header + 8..header + 12].fill(0);
        let sum = crc32c(&packet[header..]).to_le_bytes();
        packet[header + 8..header + 12].copy_from_slice(&sum);
    }
}

/// Whether the CRC of a whole SCTP packet is right.
pub fn has_right_crc(packet: &[u8], header: usize) -> bool {
    let mut sealed = packet.to_vec();
    seal_crc(&mut sealed, header);
    sealed == packet
}

/// Makes an IPv4 header's checksum right.
pub fn seal_header(packet: &mut [u8]) {
    let header = usize::from(packet[0] & 0x0f) * 4;
    packet[ipv4::CHECKSUM..ipv4::CHECKSUM + 2].fill(0);
    let whole = !sum(0, &packet[..header]);
    packet[ipv4::CHECKSUM..ipv4::CHECKSUM + 2].copy_from_slice(&whole.to_be_bytes());
}

/// CRC32c, which SCTP has for a checksum, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut rest = !0u32;
    for byte in bytes {
        rest ^= u32::from(*byte);
        for _ in 0..8 {
            rest = if rest & 1 == 1 { rest >> 1 ^ 0x82f6_3b78 } else { rest >> 1 };
        }
    }
    !rest
}

/// Changes a word, and the checksums that cover it: each stands where it is said to, and covers those before it
/// in the list. One that does not exist, because the packet ends before it, is left out.
pub fn set_word(bytes: &mut [u8], at: usize, new: u16, sums: &[Sum]) {
    let Some(old) = word(bytes, at) else { return };
    bytes[at..at + 2].copy_from_slice(&new.to_be_bytes());
    let Some((first, outer)) = sums.split_first() else { return };
    let stored = word(bytes, first.at);
    match stored {
        Some(stored) if !(first.may_be_absent && stored == 0) => {
            let mut total = u32::from(!stored) + u32::from(!old) + u32::from(new);
            while total > 0xffff {
                total = (total & 0xffff) + (total >> 16);
            }
            let next = match !(total as u16) {
                0 if first.may_be_absent => 0xffff,
                next => next,
            };
            set_word(bytes, first.at, next, outer);
        }
        _ => {}
    }
    // What covers the checksum covers the word as well.
    propagate(bytes, old, new, outer);
}

/// Brings checksums up to date with a word that has changed already.
fn propagate(bytes: &mut [u8], old: u16, new: u16, sums: &[Sum]) {
    let Some((first, outer)) = sums.split_first() else { return };
    if let Some(stored) = word(bytes, first.at) {
        let mut total = u32::from(!stored) + u32::from(!old) + u32::from(new);
        while total > 0xffff {
            total = (total & 0xffff) + (total >> 16);
        }
        let next = !(total as u16);
        bytes[first.at..first.at + 2].copy_from_slice(&next.to_be_bytes());
        propagate(bytes, stored, next, outer);
        propagate(bytes, old, new, outer);
    }
}

/// A checksum's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    /// From the packet's beginning.
    pub at: usize,
    /// Whether zero there says that there is none.
    pub may_be_absent: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32c_gives_its_check_value() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    fn datagram() -> Vec<u8> {
        let mut packet =
            vec![0x45, 0, 0, 32, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 1, 2, 3, 4, 0, 12, 0, 0];
        packet.extend([5, 6, 7, 8]);
        seal(&mut packet, true);
        packet
    }

    #[test]
    fn a_word_changed_with_its_checksum_is_as_if_sealed_anew() {
        let mut changed = datagram();
        set_word(&mut changed, 20, 0xabcd, &[Sum { at: 26, may_be_absent: true }]);
        let mut anew = datagram();
        anew[20..22].copy_from_slice(&[0xab, 0xcd]);
        seal(&mut anew, true);
        assert_eq!(changed, anew);
    }

    #[test]
    fn an_outer_checksum_follows_a_word_and_its_inner_checksum() {
        let mut bytes = [&[0, 0][..], &datagram()].concat();
        let outer = !sum(0, &bytes);
        bytes[..2].copy_from_slice(&outer.to_be_bytes());
        let sums = [Sum { at: 28, may_be_absent: true }, Sum { at: 0, may_be_absent: false }];
        set_word(&mut bytes, 22, 0x7777, &sums);
        assert_eq!(sum(0, &bytes), 0xffff);
    }
}
