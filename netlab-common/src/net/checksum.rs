//! The Internet checksum: whole (RFC 1071) and brought up to date after a change (RFC 1624).
//!
//! The sum is over 16-bit words in one's complement, and has the property that byte order does not matter as
//! long as it is the same throughout: summing byte-swapped words gives the byte-swapped sum. Whole checksums take words
//! as big-endian and put the result back as such; updates take them as the machine does, and two at once.
//!
//! In one's complement zero has two faces, `0x0000` and `0xffff`. The kernel's helpers seed their sum so
//! that an update never yields `0xffff`; [`update`] does the same, or the hooks would differ by that bit.

/// The checksum field after `from` became `to` somewhere under it. `from` and `to` have even length.
#[inline(always)]
#[must_use]
pub fn update<const L: usize>(field: [u8; 2], from: [u8; L], to: [u8; L]) -> [u8; 2] {
    let mut sum = 0;
    let mut i = 0;
    while i + 3 < L {
        sum += u64::from(!u32::from_ne_bytes([from[i], from[i + 1], from[i + 2], from[i + 3]]));
        sum += u64::from(u32::from_ne_bytes([to[i], to[i + 1], to[i + 2], to[i + 3]]));
        i += 4;
    }
    if i + 1 < L {
        sum += u64::from(!u16::from_ne_bytes([from[i], from[i + 1]]));
        sum += u64::from(u16::from_ne_bytes([to[i], to[i + 1]]));
    }
    changed(u16::from_ne_bytes(field), sum).to_ne_bytes()
}

/// A checksum after changes whose sum is given: of each word the complement of what it was, and what it has become, words
/// of 16 or 32 bits alike. All in the same order of bytes. At most 2^40 of it.
#[inline(always)]
#[must_use]
pub fn changed(field: u16, changes: u64) -> u16 {
    // RFC 1624 equation 3: HC' = ~(~HC + ~m + m'). The 0xffff is a zero that keeps the sum from being +0.
    !folded(0xffff + u64::from(!field) + changes)
}

/// As [`changed`], for UDP over IPv4: see [`update_udp`].
#[inline(always)]
#[must_use]
pub fn changed_udp(field: u16, changes: u64) -> u16 {
    match (field, changed(field, changes)) {
        (0, _) => 0,
        (_, 0) => 0xffff,
        (_, sum) => sum,
    }
}

/// What becomes of words of 32 bits, as [`changed`] takes it.
#[inline(always)]
#[must_use]
pub fn changes(from: u32, to: u32) -> u64 {
    u64::from(!from) + u64::from(to)
}

/// Whether the sum of all words under a checksum, itself included, is what it should be. At most 2^40.
#[inline(always)]
#[must_use]
pub fn is_all_ones(sum: u64) -> bool {
    folded(sum) == 0xffff
}

/// As [`update`], for UDP over IPv4: a field of zero means no checksum and stays, and a checksum that comes
/// out as zero is written `0xffff` (RFC 768).
#[inline(always)]
#[must_use]
pub fn update_udp<const L: usize>(field: [u8; 2], from: [u8; L], to: [u8; L]) -> [u8; 2] {
    if field == [0, 0] {
        return field;
    }
    match update(field, from, to) {
        [0, 0] => [0xff, 0xff],
        sum => sum,
    }
}

/// The checksum over `bytes`, which continue a sum of `start` (see [`partial`]); an odd last byte counts as
/// if a zero followed.
#[must_use]
pub fn whole(start: u32, bytes: &[u8]) -> [u8; 2] {
    (!fold(partial(start, bytes))).to_be_bytes()
}

/// The unfolded sum of `bytes` on top of `start`: for pseudo-headers, which are summed before the segment.
#[must_use]
pub fn partial(start: u32, bytes: &[u8]) -> u32 {
    let mut sum = start;
    let mut pairs = bytes.chunks_exact(2);
    for pair in &mut pairs {
        sum = u32::from(fold(sum)) + u32::from(u16::from_be_bytes([pair[0], pair[1]]));
    }
    match pairs.remainder() {
        [last] => u32::from(fold(sum)) + (u32::from(*last) << 8),
        _ => sum,
    }
}

/// The checksum over the whole words from `from` to `to` of an array, which continue a sum of `start`. As
/// [`whole`], in a form without slices that the verifier follows.
#[inline(always)]
#[must_use]
pub fn of_words<const L: usize>(start: u32, bytes: &[u8; L], from: usize, to: usize) -> [u8; 2] {
    let mut sum = start;
    let mut i = from;
    while i + 1 < to && i + 1 < L {
        sum += u32::from(u16::from_be_bytes([bytes[i], bytes[i + 1]]));
        i += 2;
    }
    (!fold(sum)).to_be_bytes()
}

/// As [`fold`], of up to 2^41: what the first two steps leave is 17 bits long.
#[inline(always)]
fn folded(sum: u64) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    let twice = (once & 0xffff) + (once >> 16);
    ((twice & 0xffff) + (twice >> 16)) as u16
}

#[inline(always)]
fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    ((once & 0xffff) + (once >> 16)) as u16
}
