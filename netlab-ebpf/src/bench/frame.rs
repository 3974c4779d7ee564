//! A frame's headers as sixteen-bit words at even offsets, which every program here reads and writes.

use core::arch::asm;

/// Where the words of interest stand, counted in words of sixteen bits.
pub mod at {
    /// EtherType.
    pub const TYPE: usize = 6;
    /// The first word of the IP header.
    pub const IP: usize = 7;
    /// Time to live and protocol.
    pub const PROTOCOL: usize = 11;
    /// IP checksum.
    pub const HEADER_SUM: usize = 12;
    /// Source address.
    pub const SOURCE: usize = 13;
    /// Destination address.
    pub const DESTINATION: usize = 15;
    /// Source port.
    pub const SOURCE_PORT: usize = 17;
    /// Destination port.
    pub const DESTINATION_PORT: usize = 18;
    /// UDP length.
    pub const UDP_LENGTH: usize = 19;
    /// UDP checksum.
    pub const UDP_SUM: usize = 20;
    /// The first word of the payload.
    pub const PAYLOAD: usize = 21;
}

/// The words of a frame that has at least `bytes` bytes.
#[inline(always)]
pub fn words(data: usize, end: usize, bytes: usize) -> Option<*mut u16> {
    if data + bytes > end { None } else { Some(data as *mut u16) }
}

/// A word in the order in which the machine reads it.
#[inline(always)]
pub fn get(words: *mut u16, index: usize) -> u16 {
    // SAFETY: the callers ask only for words that `words` has compared with the frame's end.
    unsafe { *words.add(index) }
}

/// Writes one.
#[inline(always)]
pub fn set(words: *mut u16, index: usize, value: u16) {
    // SAFETY: as above.
    unsafe { *words.add(index) = value }
}

/// An address as a number.
#[inline(always)]
pub fn address(words: *mut u16, index: usize) -> u32 {
    u32::from(u16::from_be(get(words, index))) << 16 | u32::from(u16::from_be(get(words, index + 1)))
}

/// A sum of words, folded to sixteen bits.
#[inline(always)]
pub fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

/// The sum of a frame's payload, at most `MOST` words of it; `None` if it is longer.
#[inline(always)]
pub fn payload_sum(data: usize, end: usize) -> Option<u64> {
    /// Words of a payload of 1,458 bytes: all that an MTU of 1,500 leaves.
    const MOST: usize = 736;
    let mut sum = 0u64;
    let mut place = data + at::PAYLOAD * 2;
    for _ in 0..MOST {
        // The verifier ties a bound to the very register that was compared; this keeps LLVM from making two of it.
        // SAFETY: the instruction leaves the value as it is.
        unsafe { asm!("{0} += 0", inout(reg) place, options(nomem, nostack, preserves_flags)) };
        if place + 2 > end {
            return Some(sum);
        }
        // SAFETY: it was compared with the frame's end just now.
        sum += u64::from(unsafe { *(place as *const u16) });
        place += 2;
    }
    None
}
