//! The least that any path can cost: other hardware addresses, and out by a fixed interface. No look at the packet
//! but whether it is IPv4, since ARP must go on.

use aya_ebpf::helpers::generated::bpf_redirect;
use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;

use crate::frame::{self, at, get, set};
use crate::words::HEADERS;
use crate::words::floor::*;

#[map(name = "FLOOR")]
static FLOOR: Array<[u64; WORDS]> = Array::with_max_entries(1, 0);

/// Sends a frame on; `None` if it is not IPv4.
#[inline(always)]
pub fn redirect(data: usize, end: usize) -> Option<i64> {
    let words = frame::words(data, end, HEADERS)?;
    if get(words, at::TYPE) != 0x0800u16.to_be() {
        return None;
    }
    let told = FLOOR.get(0)?;
    for index in 0..4 {
        set(words, index, (told[ADDRESSES] >> (16 * index)) as u16);
    }
    set(words, 4, told[ADDRESSES + 1] as u16);
    set(words, 5, (told[ADDRESSES + 1] >> 16) as u16);
    // SAFETY: the helper takes plain numbers.
    Some(unsafe { bpf_redirect(told[INTERFACE] as u32, 0) })
}
