//! The host's routing, asked by the helper that looks routes and neighbours up for programs.

use core::mem::size_of;

use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::cty::c_void;
use aya_ebpf::helpers::generated::bpf_fib_lookup;
use netlab_common::abi::flow::Tuple;
use netlab_common::tables::{Hop, Wanted};

/// The kernel's `struct bpf_fib_lookup` as it is for IPv4, where unions leave a choice.
#[repr(C)]
struct Lookup {
    family: u8,
    protocol: u8,
    ports: [u8; 4],
    len: u16,
    interface: u32,
    tos: u32,
    src: [u8; 4],
    rest_of_src: [u32; 3],
    dst: [u8; 4],
    rest_of_dst: [u32; 3],
    vlan: u32,
    from: [u8; 6],
    to: [u8; 6],
}

const _: () = assert!(size_of::<Lookup>() == 64, "the kernel's structure has 64 bytes");

/// `AF_INET`.
const INET: u8 = 2;

/// Where the host's routing would send an skb. One that is marked may be routed by its mark, of which the helper knows
/// nothing before Linux 6.10: it has no hop.
#[inline(always)]
pub fn of_skb(skb: *mut __sk_buff, wanted: &Wanted<4>) -> Hop {
    // SAFETY: the context is the program's own.
    if unsafe { (*skb).mark } != 0 { Hop::NONE } else { of_frame(skb.cast(), wanted) }
}

/// Where it would send a packet that has no mark.
#[inline(always)]
pub fn of_frame(context: *mut c_void, wanted: &Wanted<4>) -> Hop {
    let Tuple { src, dst, sport, dport, protocol, .. } = wanted.tuple;
    let mut lookup = Lookup {
        family: INET,
        protocol,
        ports: [sport[0], sport[1], dport[0], dport[1]],
        len: wanted.len,
        interface: wanted.on,
        tos: u32::from(wanted.tos),
        src,
        rest_of_src: [0; 3],
        dst,
        rest_of_dst: [0; 3],
        vlan: 0,
        from: [0; 6],
        to: [0; 6],
    };
    // SAFETY: the context is the program's own, and the structure is as large as the helper is told.
    let found =
        unsafe { bpf_fib_lookup(context, (&raw mut lookup).cast(), size_of::<Lookup>() as i32, 0) == 0 };
    if !found {
        return Hop::NONE;
    }
    let ([a, b, c, d, e, f], [g, h, i, j, k, l]) = (lookup.to, lookup.from);
    Hop { interface: lookup.interface, ethernet: [a, b, c, d, e, f, g, h, i, j, k, l] }
}
