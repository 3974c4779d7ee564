//! The programs of `netlab bench`: a generator of frames, a sink that judges them, programs that only redirect,
//! and programs that do nothing. An object of its own, so that the product's carries none of it.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
// The BPF linker exports what carries these sections; documentation of `no_mangle` items goes nowhere.
#![allow(missing_docs)]
#![expect(clippy::needless_pass_by_value, reason = "the attributes hand a program its context by value")]

mod floor;
mod frame;
mod generate;
mod sink;
// Half of the words are for user space only.
#[allow(dead_code)]
mod words;

use aya_ebpf::bindings::{TC_ACT_OK, xdp_action};
use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};

#[xdp]
pub fn bench_generate(context: XdpContext) -> u32 {
    generate::frame(&context)
}

#[xdp]
pub fn bench_sink_xdp(context: XdpContext) -> u32 {
    if sink::takes(context.data(), context.data_end()) { xdp_action::XDP_DROP } else { xdp_action::XDP_PASS }
}

#[classifier]
pub fn bench_sink_tc(context: TcContext) -> i32 {
    // TCX_DROP has the number that TC_ACT_SHOT has.
    if sink::takes(context.data(), context.data_end()) { aya_ebpf::bindings::TC_ACT_SHOT } else { TC_ACT_OK }
}

#[xdp]
pub fn bench_floor_xdp(context: XdpContext) -> u32 {
    match floor::redirect(context.data(), context.data_end()) {
        Some(action) => action as u32,
        None => xdp_action::XDP_PASS,
    }
}

#[classifier]
pub fn bench_floor_tc(context: TcContext) -> i32 {
    floor::redirect(context.data(), context.data_end()).map_or(TC_ACT_OK, |action| action as i32)
}

#[xdp]
pub fn bench_empty_xdp(_context: XdpContext) -> u32 {
    xdp_action::XDP_PASS
}

#[classifier]
pub fn bench_empty_tc(_context: TcContext) -> i32 {
    TC_ACT_OK
}

/// The helpers that redirect are open to programs under a GPL-compatible licence.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// A panic that could be reached would be an endless loop, and the verifier refuses those.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
