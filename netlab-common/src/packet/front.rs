//! The first bytes of a frame as those of an ordinary packet, in five words: all that a quick look needs.
//!
//! Words are little-endian: what comes first on the wire is in the lower bits. A one's complement sum comes out with
//! the bytes in the order in which its words were taken, so the header's checksum is reckoned without swapping any.

use crate::abi::packed::Packed;
use crate::net::{checksum, eth, ipv4, ports};

/// An Ethernet header but for its sender, an IPv4 header without options, and two ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Front {
    /// Bytes 0 to 7, of which the first six are whom the frame is for.
    pub to: u64,
    /// Bytes 12 and 13: the frame's type.
    pub kind: u16,
    /// Bytes 14 to 21, the IP header's first: version, length, identification, fragment.
    pub first: u64,
    /// Bytes 22 to 29: time to live, protocol, checksum, source.
    pub middle: u64,
    /// Bytes 30 to 37: destination, ports.
    pub last: u64,
}

/// Where the IP header is.
const IP: usize = eth::LEN;
const _: () = assert!(
    IP + ipv4::TTL == 22 && IP + ipv4::DST == 30 && IP + ipv4::MIN_LEN + ports::SRC == 34,
    "the words are where the header has its fields"
);

/// The lower half of a word.
const HALF: u64 = 0xffff_ffff;

impl Front {
    /// Bytes from the frame's first one on.
    pub const LEN: usize = 38;
    /// Where the two words begin that a translation changes.
    pub const CHANGED: usize = 22;

    /// From a frame's first bytes.
    #[inline(always)]
    #[must_use]
    pub fn of(bytes: &[u8; Front::LEN]) -> Self {
        let word = |at: usize| {
            u64::from_le_bytes([
                bytes[at],
                bytes[at + 1],
                bytes[at + 2],
                bytes[at + 3],
                bytes[at + 4],
                bytes[at + 5],
                bytes[at + 6],
                bytes[at + 7],
            ])
        };
        let kind = u16::from_le_bytes([bytes[12], bytes[13]]);
        Front { to: word(0), kind, first: word(14), middle: word(22), last: word(30) }
    }

    /// Whether these are an IPv4 header that is whole: without options, not a piece, and with the right checksum.
    #[inline(always)]
    #[must_use]
    pub fn is_ordinary(&self) -> bool {
        const TYPE: u16 = u16::from_le_bytes(eth::IPV4);
        const PIECE: u64 = u16::from_le_bytes(ipv4::FRAGMENT_MASK.to_be_bytes()) as u64;
        self.kind == TYPE
            && self.first as u8 == 0x45
            && (self.first >> 48) & PIECE == 0
            && checksum::is_all_ones(
                (self.first & HALF)
                    + (self.first >> 32)
                    + (self.middle & HALF)
                    + (self.middle >> 32)
                    + (self.last & HALF),
            )
    }

    /// Whether the frame is for this hardware address, as [`door`](crate::abi::way::door) has it.
    #[inline(always)]
    #[must_use]
    pub fn is_for(&self, door: u64) -> bool {
        (self.to ^ door) << 16 == 0
    }

    /// Bytes from the IP header on.
    #[inline(always)]
    #[must_use]
    pub fn total_len(&self) -> u32 {
        u32::from(((self.first >> 16) as u16).swap_bytes())
    }

    /// Type of service.
    #[inline(always)]
    #[must_use]
    pub fn tos(&self) -> u8 {
        (self.first >> 8) as u8
    }

    /// Time to live.
    #[inline(always)]
    #[must_use]
    pub fn ttl(&self) -> u8 {
        self.middle as u8
    }

    /// The protocol's number.
    #[inline(always)]
    #[must_use]
    pub fn protocol(&self) -> u8 {
        (self.middle >> 8) as u8
    }

    /// Addresses, protocol, and what are its ports if it has some.
    #[inline(always)]
    #[must_use]
    pub fn tuple(&self) -> Packed {
        let (src, dst, ports) = ((self.middle >> 32) as u32, self.last as u32, (self.last >> 32) as u32);
        Packed::new(src, dst, ports, self.protocol())
    }

    /// The same one hop further, and with another tuple of the same protocol.
    #[inline(always)]
    #[must_use]
    pub fn translated(&self, to: Packed) -> Front {
        let (src, dst, ports) = (to.src(), to.dst(), to.ports());
        // The time to live is the lower byte of its word.
        let (before, after) = (self.middle & 0xffff, (self.middle & 0xffff) - 1);
        let changes = (before ^ 0xffff)
            + after
            + checksum::changes((self.middle >> 32) as u32, src)
            + checksum::changes(self.last as u32, dst);
        let sum = u64::from(checksum::changed((self.middle >> 16) as u16, changes));
        Front {
            middle: after | sum << 16 | u64::from(src) << 32,
            last: u64::from(dst) | u64::from(ports) << 32,
            ..*self
        }
    }

    /// The bytes from [`Front::CHANGED`] on.
    #[inline(always)]
    #[must_use]
    pub fn changed(&self) -> [u8; 16] {
        (u128::from(self.middle) | u128::from(self.last) << 64).to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::flow::Tuple;
    use crate::abi::way::door;

    /// 10.10.0.10:40000 to 8.8.8.8:53 by UDP, 40 bytes.
    const HEADER: [u8; 24] =
        [0x45, 0, 0, 40, 0x12, 0x34, 0x40, 0, 64, 17, 0, 0, 10, 10, 0, 10, 8, 8, 8, 8, 0x9c, 0x40, 0, 53];

    fn front(mut header: [u8; 24]) -> Front {
        if header[10..12] == [0, 0] {
            let sum = checksum::whole(0, &header[..20]);
            header[10..12].copy_from_slice(&sum);
        }
        let mut bytes = [0; Front::LEN];
        bytes[..12].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
        bytes[12..14].copy_from_slice(&eth::IPV4);
        bytes[14..].copy_from_slice(&header);
        Front::of(&bytes)
    }

    #[test]
    fn fields_are_read_where_the_header_has_them() {
        let front = front(HEADER);
        assert!(front.is_ordinary());
        assert_eq!((front.total_len(), front.ttl(), front.protocol()), (40, 64, 17));
        let tuple = front.tuple().tuple();
        assert_eq!((tuple.src, tuple.dst), ([10, 10, 0, 10], [8, 8, 8, 8]));
        assert_eq!((tuple.sport, tuple.dport), ([0x9c, 0x40], [0, 53]));
    }

    #[test]
    fn a_frame_is_for_one_address_whoever_sends_it() {
        let front = front(HEADER);
        assert!(front.is_for(door([2, 0, 0, 0, 0, 1])));
        for other in [[2, 0, 0, 0, 0, 2], [3, 0, 0, 0, 0, 1], [0; 6], [0xff; 6]] {
            assert!(!front.is_for(door(other)), "{other:?}");
        }
    }

    #[test]
    fn pieces_options_other_protocols_and_wrong_checksums_are_not_ordinary() {
        for (at, value) in [(6, 0x20), (7, 1), (0, 0x46), (0, 0x65)] {
            let mut header = HEADER;
            header[at] = value;
            assert!(!front(header).is_ordinary(), "{at}");
        }
        let mut header = HEADER;
        header[10..12].copy_from_slice(&[0x12, 0x34]);
        assert!(!front(header).is_ordinary());
        assert!(!Front { kind: 0, ..front(HEADER) }.is_ordinary());
    }

    #[test]
    fn a_translated_header_is_one_hop_further_and_has_the_right_checksum() {
        for (ttl, src) in
            [(2, [192, 168, 0, 108]), (255, [255, 255, 255, 255]), (64, [0; 4]), (64, [10, 10, 0, 10])]
        {
            let mut header = HEADER;
            header[8] = ttl;
            let before = front(header);
            let to = Tuple { src, sport: [1, 2], ..before.tuple().tuple() };
            let after = before.translated(Packed::from(&to));
            assert!(after.is_ordinary(), "{ttl} {src:?}");
            assert_eq!((after.ttl(), after.tuple().tuple(), after.total_len()), (ttl - 1, to, 40));
        }
    }
}
