//! `Env` on the kernel's helpers: its clock, its random numbers, and the sockets of the network namespace that
//! the packet is in.

use core::mem::size_of;

use aya_ebpf::bindings::{
    __sk_buff, bpf_sock_tuple, bpf_sock_tuple__bindgen_ty_1, bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1,
    xdp_md,
};
use aya_ebpf::cty::c_void;
use aya_ebpf::helpers::generated::{
    bpf_get_prandom_u32, bpf_ktime_get_coarse_ns, bpf_loop, bpf_sk_lookup_udp, bpf_sk_release,
    bpf_skc_lookup_tcp,
};
use netlab_common::abi::flow::Tuple;
use netlab_common::abi::hook::Hook;
use netlab_common::net::protocol;
use netlab_common::packet::Packet;
use netlab_common::tables::{Env, Hop, Search, Tables, Wanted};

use crate::{route, waiting};

/// The kernel around one packet, which is an skb or not.
pub struct KernelEnv<const SKB: bool> {
    context: *mut c_void,
}

impl KernelEnv<true> {
    /// The surroundings of an skb.
    #[inline(always)]
    pub fn of_skb(skb: *mut __sk_buff) -> Self {
        KernelEnv { context: skb.cast() }
    }
}

impl KernelEnv<false> {
    /// The surroundings of a frame that has no skb yet.
    #[inline(always)]
    pub fn of_frame(frame: *mut xdp_md) -> Self {
        KernelEnv { context: frame.cast() }
    }
}

/// The namespace of the device that the packet is on (`BPF_F_CURRENT_NETNS`, as the helper reads it).
const CURRENT_NETNS: u64 = u64::MAX;

impl<const SKB: bool> Env<4> for KernelEnv<SKB> {
    #[inline(always)]
    fn now(&self) -> u64 {
        // SAFETY: the helper takes nothing and cannot fail.
        unsafe { bpf_ktime_get_coarse_ns() }
    }

    #[inline(always)]
    fn random(&self) -> u32 {
        // SAFETY: the helper takes nothing and cannot fail.
        unsafe { bpf_get_prandom_u32() }
    }

    #[inline(always)]
    fn host_has_socket(&self, tuple: &Tuple<4>) -> bool {
        let mut wanted = bpf_sock_tuple {
            __bindgen_anon_1: bpf_sock_tuple__bindgen_ty_1 {
                ipv4: bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1 {
                    saddr: u32::from_ne_bytes(tuple.src),
                    daddr: u32::from_ne_bytes(tuple.dst),
                    sport: u16::from_ne_bytes(tuple.sport),
                    dport: u16::from_ne_bytes(tuple.dport),
                },
            },
        };
        let size = size_of::<bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1>() as u32;
        // SAFETY: the context is the program's own, the tuple outlives the call, and what is found is given
        // back at once.
        unsafe {
            let socket = match tuple.protocol {
                protocol::TCP => bpf_skc_lookup_tcp(self.context, &raw mut wanted, size, CURRENT_NETNS, 0),
                protocol::UDP => bpf_sk_lookup_udp(self.context, &raw mut wanted, size, CURRENT_NETNS, 0),
                _ => return false,
            };
            if socket.is_null() {
                return false;
            }
            bpf_sk_release(socket.cast());
        }
        true
    }

    #[inline(always)]
    fn has_loopback(&self) -> bool {
        SKB
    }

    #[inline(always)]
    fn can_wait(&self) -> bool {
        SKB
    }

    #[inline(always)]
    fn copy<P: Packet>(&self, _: &P, place: u32) -> bool {
        SKB && waiting::copy(self.context.cast(), place)
    }

    #[inline(always)]
    fn put_away(&self) -> u32 {
        if SKB { waiting::put_away(self.context.cast()) } else { 0 }
    }

    #[inline(always)]
    fn send(&self, place: u32, hook: Hook) -> bool {
        SKB && waiting::send(self.context.cast(), place, hook.is_ingress())
    }

    #[inline(always)]
    fn put_back(&self, len: u32) -> bool {
        SKB && waiting::put_back(self.context.cast(), len)
    }

    #[inline(always)]
    fn route(&self, wanted: &Wanted<4>) -> Hop {
        if SKB { route::of_skb(self.context.cast(), wanted) } else { route::of_frame(self.context, wanted) }
    }

    #[inline(always)]
    fn search<S: Search<4>, T: Tables<4>>(&self, tables: &T, steps: u32, search: &mut S) {
        let mut walk = Walk { search, tables, env: self };
        // SAFETY: the step function takes the walk back as what it is, and the helper calls it only before it
        // returns.
        unsafe { bpf_loop(steps, step::<S, T, SKB> as *mut c_void, (&raw mut walk).cast(), 0) };
    }
}

/// What a step of a search needs. It lies on the stack, which is all that the loop helper lets through.
struct Walk<'a, S, T, const SKB: bool> {
    search: &'a mut S,
    tables: &'a T,
    env: &'a KernelEnv<SKB>,
}

/// One step of a search, as the loop helper calls it.
extern "C" fn step<S: Search<4>, T: Tables<4>, const SKB: bool>(index: u32, walk: *mut c_void) -> i64 {
    // SAFETY: `walk` is what `KernelEnv::search` gave the helper, which still holds it.
    let walk = unsafe { &mut *walk.cast::<Walk<'_, S, T, SKB>>() };
    i64::from(walk.search.step(walk.tables, walk.env, index))
}
