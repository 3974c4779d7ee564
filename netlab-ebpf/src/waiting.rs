//! Frames that wait: copied into a map, and sent on out of it. Only skbs can be copied and sent on; of frames at XDP
//! none waits. Which of them wait and which go on is not decided here.

use aya_ebpf::bindings::{__sk_buff, BPF_F_INGRESS, BPF_F_RECOMPUTE_CSUM};
use aya_ebpf::helpers::generated::{
    bpf_clone_redirect, bpf_skb_change_tail, bpf_skb_load_bytes, bpf_skb_store_bytes,
};

use crate::byhand::{bounded, waiting_len};
use crate::maps::{SCRATCH, WAITING};

/// Copies an skb's bytes to a place; false if they are too many.
#[inline(always)]
pub fn copy(skb: *mut __sk_buff, place: u32) -> bool {
    let Some(waiting) = WAITING.get_ptr_mut(place) else { return false };
    // SAFETY: the pointer is to a whole place, which is busy by this packet's hand: nobody else writes there, or reads
    // its frame. What passes the comparison has room there.
    unsafe {
        let len = (*skb).len;
        (*waiting).len = len;
        let len = waiting_len(len);
        len != 0 && bpf_skb_load_bytes(skb.cast(), 0, (&raw mut (*waiting).frame).cast(), bounded(len)) == 0
    }
}

/// Copies an skb's bytes to this CPU's buffer; their number, or zero when there are too many.
///
/// The program cannot make an skb, so the first fragment's is filled with each of those that wait for it in turn and a
/// clone of it sent, and then gets its own bytes back.
#[inline(always)]
pub fn put_away(skb: *mut __sk_buff) -> u32 {
    let Some(bytes) = SCRATCH.get_ptr_mut(0) else { return 0 };
    // SAFETY: the skb is the program's own context, and the buffer has room for what passes the comparison.
    unsafe {
        let len = waiting_len((*skb).len);
        if len != 0 && bpf_skb_load_bytes(skb.cast(), 0, bytes.cast(), bounded(len)) == 0 {
            len as u32
        } else {
            0
        }
    }
}

/// Sends a clone of the skb on that has the bytes which wait in a place: as if it came to the interface again.
#[inline(always)]
pub fn send(skb: *mut __sk_buff, place: u32, is_ingress: bool) -> bool {
    let Some(waiting) = WAITING.get_ptr_mut(place) else { return false };
    let way = if is_ingress { u64::from(BPF_F_INGRESS) } else { 0 };
    // SAFETY: the skb is the program's own context, and the place a whole one, busy by this packet's hand.
    unsafe {
        fill(skb, (&raw const (*waiting).frame).cast(), (*waiting).len)
            && bpf_clone_redirect(skb, (*skb).ifindex, way) == 0
    }
}

/// Gives the skb the bytes back that were put away.
#[inline(always)]
pub fn put_back(skb: *mut __sk_buff, len: u32) -> bool {
    let Some(bytes) = SCRATCH.get_ptr(0) else { return false };
    // SAFETY: the skb is the program's own context, and the pointer to this CPU's own whole buffer.
    unsafe { fill(skb, bytes.cast(), len) }
}

/// Gives an skb other bytes.
///
/// # Safety
/// `skb` is the program's own context, and `bytes` points to as many bytes as a frame that waits may have.
#[inline(always)]
unsafe fn fill(skb: *mut __sk_buff, bytes: *const u8, len: u32) -> bool {
    let len = waiting_len(len);
    if len == 0 {
        return false;
    }
    let flags = u64::from(BPF_F_RECOMPUTE_CSUM);
    // SAFETY: the caller's promise, and the comparison.
    unsafe {
        bpf_skb_change_tail(skb, len as u32, 0) == 0
            && bpf_skb_store_bytes(skb.cast(), 0, bytes.cast(), bounded(len), flags) == 0
    }
}
