//! The generator: each run makes one frame and sends it off. It runs on frames that the kernel recycles, so what the
//! last path wrote is still in them, and all of the headers is written anew.

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::helpers::generated::{bpf_ktime_get_ns, bpf_redirect};
use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use aya_ebpf::programs::XdpContext;

use crate::frame::{self, at, fold, set};
use crate::words::HEADERS;
use crate::words::generator::*;

#[map(name = "GENERATOR")]
static GENERATOR: Array<[u64; WORDS]> = Array::with_max_entries(1, 0);

/// Makes the next frame.
#[inline(always)]
pub fn frame(context: &XdpContext) -> u32 {
    let Some(pointer) = GENERATOR.get_ptr_mut(0) else { return xdp_action::XDP_ABORTED };
    let Some(words) = frame::words(context.data(), context.data_end(), HEADERS) else {
        return xdp_action::XDP_ABORTED;
    };
    // SAFETY: the generator runs on one CPU at a time, and user space writes only while it does not run.
    let told = unsafe { &mut *pointer };
    for (index, four) in told[TEMPLATE..TEMPLATE + 5].iter().enumerate() {
        set(words, index * 4, *four as u16);
        set(words, index * 4 + 1, (*four >> 16) as u16);
        set(words, index * 4 + 2, (*four >> 32) as u16);
        set(words, index * 4 + 3, (*four >> 48) as u16);
    }
    let source = told[SOURCE] + told[ADDRESS] * told[SOURCE_STEP];
    let destination = told[DESTINATION] + told[ADDRESS] * told[DESTINATION_STEP];
    let port = ((told[FIRST_PORT] + told[PORT]) as u16).to_be();
    let pairs = [
        ((source >> 16) as u16).to_be(),
        (source as u16).to_be(),
        ((destination >> 16) as u16).to_be(),
        (destination as u16).to_be(),
    ];
    let addresses = u64::from(pairs[0]) + u64::from(pairs[1]) + u64::from(pairs[2]) + u64::from(pairs[3]);
    set(words, at::HEADER_SUM, !fold(told[HEADER_SUM] + addresses));
    set(words, at::SOURCE, pairs[0]);
    set(words, at::SOURCE + 1, pairs[1]);
    set(words, at::DESTINATION, pairs[2]);
    set(words, at::DESTINATION + 1, pairs[3]);
    set(words, at::SOURCE_PORT, port);
    // RFC 768: a sum of zero is sent as its other form, since zero means that there is none.
    let sum = !fold(told[UDP_SUM] + addresses + u64::from(port));
    set(words, at::UDP_SUM, if sum == 0 { 0xffff } else { sum });
    step(told);
    // SAFETY: the helper takes plain numbers.
    unsafe { bpf_redirect(told[INTERFACE] as u32, 0) as u32 }
}

/// Counts the frame, and goes on to the next flow. Without a division: it would cost as much as the rest.
#[inline(always)]
fn step(told: &mut [u64; WORDS]) {
    let made = told[MADE];
    if made & 63 == 0 {
        // SAFETY: the helper takes nothing.
        let now = unsafe { bpf_ktime_get_ns() };
        if made == 0 {
            told[FIRST_TIME] = now;
        }
        told[LAST_TIME] = now;
        told[LAST_MADE] = made;
    }
    told[MADE] = made + 1;
    told[FLOW] += 1;
    told[PORT] += 1;
    if told[FLOW] >= told[FLOWS] {
        told[FLOW] = 0;
        told[PORT] = 0;
        told[ADDRESS] = 0;
    } else if told[PORT] >= told[PORTS] {
        told[PORT] = 0;
        told[ADDRESS] += 1;
    }
}
