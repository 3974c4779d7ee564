//! A small keyed hash, for spreading things over tables. It keeps nobody from finding collisions who knows the
//! seed, which is drawn anew for each lab.

use crate::abi::packed::Packed;

/// A hash of bytes.
#[inline(always)]
#[must_use]
pub fn bytes<const L: usize>(seed: u32, bytes: [u8; L]) -> u32 {
    let mut hash = seed ^ 0x9e37_79b9;
    let mut i = 0;
    while i + 3 < L {
        hash = word(hash, u32::from_ne_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]));
        i += 4;
    }
    finish(hash)
}

/// A quick hash of a tuple, for places where a bad one costs no more than time. Its upper bits are the better
/// ones.
#[inline(always)]
#[must_use]
pub fn quick(tuple: Packed) -> u32 {
    let mixed = tuple.addresses ^ tuple.rest.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 32) as u32
}

/// A number below `count` out of a hash or a random number, evenly; zero if `count` is zero. A multiplication
/// where a remainder would do, because a division has a case that panics.
#[inline(always)]
#[must_use]
pub fn below(hash: u32, count: u32) -> u32 {
    ((hash as u64 * count as u64) >> 32) as u32
}

/// Takes one more word into a hash: multiply, rotate, and multiply, as MurmurHash3's body does.
#[inline(always)]
#[must_use]
pub fn word(hash: u32, word: u32) -> u32 {
    let mixed = word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    (hash ^ mixed).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
}

/// Makes each bit of the result depend on all of a hash's.
#[inline(always)]
#[must_use]
pub fn finish(hash: u32) -> u32 {
    let hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    let hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}
