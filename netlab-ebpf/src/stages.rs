//! The pipeline's stages as functions that the kernel knows by their types ("global" ones). The verifier looks at each
//! once, whatever its caller knows, and learns from a call no more than that a number comes back: so it need not
//! follow every way through one stage on every way through the next.

use aya_ebpf::bindings::{__sk_buff, xdp_md};
use netlab_common::abi::hook::Hook;
use netlab_common::pipeline::{Here, Stages};

use crate::env::KernelEnv;
use crate::head::SkbHead;
use crate::tables::MapTables;
use crate::tc::TcPacket;
use crate::xdp::XdpPacket;

/// What a function was called with, which it uses whether it needs it or not. LLVM leaves the registers of other
/// arguments undefined in the call, and the verifier refuses that.
#[inline(always)]
fn passed<C>(context: *mut C, mut how: u32) -> u32 {
    // SAFETY: the instructions copy the one and leave the other as it is.
    unsafe {
        core::arch::asm!(
            "{unused} = {context}",
            "{how} += 0",
            context = in(reg) context,
            how = inout(reg) how,
            unused = out(reg) _,
            options(nostack, preserves_flags)
        );
    }
    how
}

/// A module of functions for stages, of packets with such a context at one hook.
macro_rules! functions {
    ($module:ident, $kind:literal, $hook:expr, $context:ty, $packet:expr, $env:expr; $($stage:ident)*) => {
        mod $module {
            use super::*;

            $(
                #[unsafe(export_name = concat!("nl_", $kind, "_", stringify!($module), "_", stringify!($stage)))]
                #[inline(never)]
                pub extern "C" fn $stage(context: *mut $context, how: u32) -> u32 {
                    let how = passed(context, how);
                    let mut packet = $packet(context);
                    let (tables, env) = (&MapTables, &$env(context));
                    Here { hook: $hook, packet: &mut packet, tables, env }.$stage(how)
                }
            )*
        }
    };
}

/// The stages at one hook, out of its own functions and those that are the same at every hook.
macro_rules! stages {
    ($name:ident, $module:ident, $head_module:ident, $everywhere:ident, $kind:literal, $hook:expr, $context:ty, $packet:expr, $head:expr, $env:expr) => {
        functions! {
            $module, $kind, $hook, $context, $packet, $env;
            arrive options wait relate translate open refuse release route
        }
        functions! { $head_module, $kind, $hook, $context, $head, $env; cross }

        #[doc = concat!("The stages of the packet with this context at ", stringify!($hook), ".")]
        pub struct $name(pub *mut $context);

        stages!(impl $name, $head_module, $module: arrive options wait relate translate open refuse release route, $everywhere: reserve create open_ahead translate_ahead depart remember);
    };
    (impl $name:ident, $head_module:ident, $module:ident: $($own:ident)*, $everywhere:ident: $($common:ident)*) => {
        impl Stages for $name {
            #[inline(always)]
            fn cross(&mut self, how: u32) -> u32 {
                $head_module::cross(self.0, how)
            }

            $(
                #[inline(always)]
                fn $own(&mut self, how: u32) -> u32 {
                    $module::$own(self.0, how)
                }
            )*
            $(
                #[inline(always)]
                fn $common(&mut self, how: u32) -> u32 {
                    $everywhere::$common(self.0, how)
                }
            )*
        }
    };
}

macro_rules! of_skbs {
    ($($name:ident, $module:ident, $head_module:ident => $hook:expr, $packet:expr;)*) => {
        functions! {
            any_skb, "tc", Hook::UplinkOut, __sk_buff, TcPacket::new, KernelEnv::of_skb;
            reserve create open_ahead translate_ahead depart remember
        }
        $( stages! { $name, $module, $head_module, any_skb, "tc", $hook, __sk_buff, $packet, |skb| SkbHead::new(skb, $packet(skb)), KernelEnv::of_skb } )*
    };
}

macro_rules! of_frames {
    ($($name:ident, $module:ident, $head_module:ident => $hook:expr;)*) => {
        functions! {
            any_frame, "xdp", Hook::UplinkOut, xdp_md, XdpPacket::new, KernelEnv::of_frame;
            reserve create open_ahead translate_ahead depart remember
        }
        $( stages! { $name, $module, $head_module, any_frame, "xdp", $hook, xdp_md, XdpPacket::new, XdpPacket::new, KernelEnv::of_frame } )*
    };
}

of_skbs! {
    TcPortIn, tc_port_in, tc_port_in_head => Hook::PortIn, TcPacket::new;
    TcPortOut, tc_port_out, tc_port_out_head => Hook::PortOut, TcPacket::new;
    TcUplinkIn, tc_uplink_in, tc_uplink_in_head => Hook::UplinkIn, TcPacket::on_uplink;
    TcUplinkOut, tc_uplink_out, tc_uplink_out_head => Hook::UplinkOut, TcPacket::on_uplink;
    TcLocalOut, tc_local_out, tc_local_out_head => Hook::LocalOut, TcPacket::new;
}

of_frames! {
    XdpPortIn, xdp_port_in, xdp_port_in_head => Hook::PortIn;
    XdpPortOut, xdp_port_out, xdp_port_out_head => Hook::PortOut;
    XdpUplinkIn, xdp_uplink_in, xdp_uplink_in_head => Hook::UplinkIn;
    XdpUplinkOut, xdp_uplink_out, xdp_uplink_out_head => Hook::UplinkOut;
}
