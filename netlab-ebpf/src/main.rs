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
mod env;
mod log;
mod maps;
mod rules;
mod sweep;
mod tables;
mod tc;
mod xdp;

use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use netlab_common::abi::hook::Hook;
use netlab_common::pipeline;

use crate::env::KernelEnv;
use crate::tables::MapTables;
use crate::tc::TcPacket;
use crate::xdp::XdpPacket;

macro_rules! bind {
    ($($tc:ident, $xdp:ident => $hook:expr;)*) => { $(
        #[classifier]
        pub fn $tc(context: TcContext) -> i32 {
            let mut packet = TcPacket::new(&context);
            let env = KernelEnv::new(context.skb.skb.cast());
            let decision = pipeline::run($hook, &mut packet, &MapTables, &env);
            log::decided(&context, $hook, decision);
            tc::action($hook, decision, &context)
        }

        #[xdp]
        pub fn $xdp(context: XdpContext) -> u32 {
            let mut packet = XdpPacket::new(&context);
            let env = KernelEnv::new(context.ctx.cast());
            let decision = pipeline::run($hook, &mut packet, &MapTables, &env);
            log::decided(&context, $hook, decision);
            xdp::action(decision)
        }
    )* };
}

// The XDP twins of the egress hooks are for frames that XDP itself sends on; the parity test holds all four
// pairs to the same bytes and verdicts.
bind! {
    nl_tc_port_in, nl_xdp_port_in => Hook::PortIn;
    nl_tc_port_out, nl_xdp_port_out => Hook::PortOut;
    nl_tc_up_in, nl_xdp_up_in => Hook::UplinkIn;
    nl_tc_up_out, nl_xdp_up_out => Hook::UplinkOut;
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
