//! The entry points: one a hook, and nothing but the binding of that hook to the pipeline.
//!
//! Every program is the same three statements: wrap the context, run, turn the verdict into an action. What
//! happens to a packet is decided in netlab-common.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch, core_intrinsics)]
#![allow(internal_features)]
// The BPF linker exports what carries these sections; documentation of `no_mangle` items goes nowhere.
#![allow(missing_docs)]

mod atomic;
mod byhand;
mod bytes;
mod counts;
mod env;
mod fragments;
mod head;
mod log;
mod maps;
mod route;
mod rules;
mod slot;
mod stages;
mod sweep;
mod tables;
mod tc;
mod waiting;
mod ways;
mod xdp;

use aya_ebpf::bindings::xdp_md;
use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use netlab_common::abi::hook::Hook;
use netlab_common::pipeline::{self, Across, Stages as _};

use crate::tables::MapTables;
use crate::tc::TcPacket;
use crate::xdp::XdpPacket;

macro_rules! on_skbs {
    ($($program:ident, $stages:ident => $hook:expr;)*) => { $(
        #[classifier]
        pub fn $program(context: TcContext) -> i32 {
            if !$hook.is_ingress() && tc::has_crossed(&context) {
                return tc::GO_ON;
            }
            let skb = context.skb.skb;
            let frame = || pipeline::frame(&TcPacket::new(skb));
            let decision = pipeline::decide($hook, frame, &mut stages::$stages(skb), &MapTables);
            log::decided(&context, $hook, decision);
            tc::action($hook, decision, &context)
        }
    )* };
}

macro_rules! on_frames {
    ($($program:ident, $stages:ident => $hook:expr;)*) => { $(
        #[xdp]
        pub fn $program(context: XdpContext) -> u32 {
            let frame = || pipeline::frame(&XdpPacket::new(context.ctx));
            let decision = pipeline::decide($hook, frame, &mut stages::$stages(context.ctx), &MapTables);
            log::decided(&context, $hook, decision);
            xdp::action(decision)
        }
    )* };
}

on_skbs! {
    nl_tc_port_in, TcPortIn => Hook::PortIn;
    nl_tc_port_out, TcPortOut => Hook::PortOut;
    nl_tc_up_in, TcUplinkIn => Hook::UplinkIn;
    nl_tc_up_out, TcUplinkOut => Hook::UplinkOut;
    nl_tc_local_out, TcLocalOut => Hook::LocalOut;
}

// The XDP twins of the egress hooks are for frames that XDP itself sends on; the parity test holds all four
// pairs to the same bytes and verdicts.
on_frames! {
    nl_xdp_port_in, XdpPortIn => Hook::PortIn;
    nl_xdp_port_out, XdpPortOut => Hook::PortOut;
    nl_xdp_up_in, XdpUplinkIn => Hook::UplinkIn;
    nl_xdp_up_out, XdpUplinkOut => Hook::UplinkOut;
}

macro_rules! on_frames_that_cross {
    ($($program:ident => $cross:expr;)*) => { $(
        #[xdp(frags)]
        pub fn $program(context: XdpContext) -> u32 {
            let cross: fn(*mut xdp_md) -> Across = $cross;
            xdp::cross(cross(context.ctx))
        }
    )* };
}

// What is attached at XDP: the ways past the stack and nothing else. Whatever does not take one goes on to the skb's hooks.
on_frames_that_cross! {
    nl_xdp_port_x => |frame| {
        let traffic = || pipeline::frame(&XdpPacket::new(frame));
        pipeline::cross_early(traffic, &mut stages::XdpPortIn(frame), &MapTables)
    };
    nl_xdp_up_x => |frame| Across(stages::XdpUplinkIn(frame).cross(0));
}

/// The helpers that rewrite packets are open to programs under a GPL-compatible licence.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// A panic that could be reached would be an endless loop, and the verifier refuses those: the object loads
/// only if there is none.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
