//! The sink: takes the bench's frames away, and counts as good only those that are exactly as they must be. A wrong
//! translation that is fast wins nothing.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, PerCpuArray};

use crate::frame::{self, address, at, fold, get};
use crate::words::{HEADERS, MARK, SHORT, counted, expected};

#[map(name = "EXPECTED")]
static EXPECTED: Array<[u64; expected::WORDS]> = Array::with_max_entries(1, 0);

#[map(name = "COUNTED")]
static COUNTED: PerCpuArray<[u64; counted::WORDS]> = PerCpuArray::with_max_entries(1, 0);

/// Judges a frame and says whether it is the bench's. What is not, such as ARP, goes on as if nobody had looked.
#[inline(always)]
pub fn takes(data: usize, end: usize) -> bool {
    let Some(words) = frame::words(data, end, HEADERS + MARK.len()) else { return false };
    if get(words, at::TYPE) != 0x0800u16.to_be() || get(words, at::PROTOCOL) & PROTOCOL_MASK != UDP {
        return false;
    }
    let mark = [u16::from_ne_bytes([MARK[0], MARK[1]]), u16::from_ne_bytes([MARK[2], MARK[3]])];
    if get(words, at::PAYLOAD) != mark[0] || get(words, at::PAYLOAD + 1) != mark[1] {
        return false;
    }
    let Some(told) = EXPECTED.get(0) else { return false };
    let Some(pointer) = COUNTED.get_ptr_mut(0) else { return false };
    // SAFETY: the entry is this CPU's own, and nothing interrupts a program with the same one.
    let counts = unsafe { &mut *pointer };
    let seen = counts[counted::SEEN];
    counts[counted::SEEN] = seen + 1;
    // The index is a constant on each way, so the verifier needs no bound.
    match judge(data, end, words, told, seen) {
        Judgement::Good => counts[counted::GOOD] += 1,
        Judgement::Length => counts[counted::BAD_LENGTH] += 1,
        Judgement::Source => counts[counted::BAD_SOURCE] += 1,
        Judgement::Destination => counts[counted::BAD_DESTINATION] += 1,
        Judgement::Port => counts[counted::BAD_PORT] += 1,
        Judgement::HeaderSum => counts[counted::BAD_HEADER_SUM] += 1,
        Judgement::UdpSum => counts[counted::BAD_UDP_SUM] += 1,
    }
    true
}

/// The time to live shares its word with the protocol.
const PROTOCOL_MASK: u16 = 0x00ffu16.to_be();
const UDP: u16 = 17u16.to_be();

/// What a frame is.
enum Judgement {
    Good,
    Length,
    Source,
    Destination,
    Port,
    HeaderSum,
    UdpSum,
}

#[inline(always)]
fn judge(data: usize, end: usize, words: *mut u16, told: &[u64; expected::WORDS], seen: u64) -> Judgement {
    if (end - data) as u64 != told[expected::LENGTH] {
        return Judgement::Length;
    }
    if u64::from(address(words, at::SOURCE)).wrapping_sub(told[expected::SOURCE]) >= told[expected::SOURCES] {
        return Judgement::Source;
    }
    let destination = u64::from(address(words, at::DESTINATION));
    if destination.wrapping_sub(told[expected::DESTINATION]) >= told[expected::DESTINATIONS] {
        return Judgement::Destination;
    }
    let source_port = u64::from(u16::from_be(get(words, at::SOURCE_PORT)));
    if source_port.wrapping_sub(told[expected::SOURCE_PORT]) >= told[expected::SOURCE_PORTS]
        || u64::from(u16::from_be(get(words, at::DESTINATION_PORT))) != told[expected::DESTINATION_PORT]
    {
        return Judgement::Port;
    }
    let mut header = 0;
    for index in at::IP..at::SOURCE_PORT {
        header += u64::from(get(words, index));
    }
    if fold(header) != 0xffff {
        return Judgement::HeaderSum;
    }
    // The payload as it is, or for most of the long ones as it was sent: nothing on the way changes it.
    let payload = if told[expected::LENGTH] <= SHORT || seen & 63 == 0 {
        match frame::payload_sum(data, end) {
            Some(sum) => sum,
            None => return Judgement::Length,
        }
    } else {
        told[expected::PAYLOAD_SUM]
    };
    let mut sum = payload + u64::from(UDP) + u64::from(get(words, at::UDP_LENGTH));
    for index in at::SOURCE..at::PAYLOAD {
        sum += u64::from(get(words, index));
    }
    if get(words, at::UDP_SUM) == 0 || fold(sum) != 0xffff { Judgement::UdpSum } else { Judgement::Good }
}
