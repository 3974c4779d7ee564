//! Fragments that wait for the first one of their datagram: copied into a map, and sent on out of it when that one
//! has come. Only skbs can be copied and sent on; of frames at XDP none waits.

use aya_ebpf::bindings::{__sk_buff, BPF_F_INGRESS, BPF_F_RECOMPUTE_CSUM};
use aya_ebpf::helpers::generated::{
    bpf_clone_redirect, bpf_skb_change_tail, bpf_skb_load_bytes, bpf_skb_store_bytes,
};
use netlab_common::abi::clock;
use netlab_common::abi::event::Event;
use netlab_common::abi::fragment::{FRAGMENT_TICKS, PLACES, WAITING as ALL, Waiting, place};
use netlab_common::tables::{Env, NO_PLACE, Search, Tables, Waits};

use crate::atomic;
use crate::byhand::waiting_len;
use crate::maps::{SCRATCH, WAITING};

/// A search for a place in which a fragment can wait.
struct Vacancy {
    first: u32,
    now: u32,
    found: u32,
}

impl Search<4> for Vacancy {
    #[inline(always)]
    fn step<T: Tables<4>, E: Env<4>>(&mut self, tables: &T, _: &E, index: u32) -> bool {
        let number = self.first.wrapping_add(index) & (ALL - 1);
        let Some(waiting) = WAITING.get_ptr_mut(number) else { return true };
        // SAFETY: the pointer is to a whole aligned place; each operation is on one aligned word of it.
        unsafe {
            let state = &raw mut (*waiting).state;
            let known = state.read_volatile();
            let is_over = known == place::TAKEN
                && clock::since(self.now, (&raw const (*waiting).since).read_volatile()) >= FRAGMENT_TICKS;
            if (known != place::FREE && !is_over) || !atomic::exchange_if(state, known, place::BUSY) {
                return false;
            }
            if is_over {
                tables.count_event(Event::FragmentLost);
            }
        }
        self.found = number;
        true
    }
}

/// Copies a fragment to a free place; see [`Env::keep`].
#[inline(always)]
pub fn keep<T: Tables<4>, E: Env<4>>(skb: *mut __sk_buff, tables: &T, env: &E, waits: Waits<4>) -> u32 {
    let first = waits.key.first_place(tables.config().seed);
    let mut vacancy = Vacancy { first, now: waits.now, found: NO_PLACE };
    env.search(tables, PLACES, &mut vacancy);
    let Some(waiting) = WAITING.get_ptr_mut(vacancy.found) else { return NO_PLACE };
    // SAFETY: the pointer is to a whole place, which is busy by this packet's hand: nobody else writes there, or
    // reads more than its state.
    unsafe {
        let state = &raw mut (*waiting).state;
        (*waiting).since = waits.now;
        (*waiting).key = waits.key;
        (*waiting).hook = waits.hook as u32;
        let len = (*skb).len;
        (*waiting).len = len;
        let len = waiting_len(len);
        if len == 0 || bpf_skb_load_bytes(skb.cast(), 0, (&raw mut (*waiting).frame).cast(), len as u32) != 0
        {
            atomic::exchange(state, place::FREE);
            return NO_PLACE;
        }
        atomic::exchange(state, place::TAKEN);
    }
    vacancy.found
}

/// Frees a place again; see [`Env::take_back`].
#[inline(always)]
pub fn take_back(number: u32) -> bool {
    let Some(waiting) = WAITING.get_ptr_mut(number) else { return false };
    // SAFETY: the pointer is to a whole aligned place. Should its fragment have gone on, and another wait there, that
    // one is lost.
    unsafe { atomic::exchange_if(&raw mut (*waiting).state, place::TAKEN, place::FREE) }
}

/// A search for fragments that wait for one datagram's first, each of which is sent on where it is found.
struct Release {
    skb: *mut __sk_buff,
    waits: Waits<4>,
    first: u32,
    /// Bytes of the first fragment, once it has been put away; zero before.
    put_away: u32,
    went: u32,
}

impl Search<4> for Release {
    #[inline(always)]
    fn step<T: Tables<4>, E: Env<4>>(&mut self, _: &T, _: &E, index: u32) -> bool {
        let number = self.first.wrapping_add(index) & (ALL - 1);
        let Some(waiting) = WAITING.get_ptr_mut(number) else { return true };
        // SAFETY: the pointer is to a whole aligned place.
        unsafe {
            if (&raw const (*waiting).state).read_volatile() != place::TAKEN
                || (*waiting).key != self.waits.key
                || (*waiting).hook != self.waits.hook as u32
            {
                return false;
            }
            if self.put_away == 0 {
                self.put_away = put_away(self.skb);
                if self.put_away == 0 {
                    return true;
                }
            }
            if atomic::exchange_if(&raw mut (*waiting).state, place::TAKEN, place::BUSY) {
                let is_timely = clock::since(self.waits.now, (*waiting).since) < FRAGMENT_TICKS;
                if is_timely && send(self.skb, waiting, self.waits.hook.is_ingress()) {
                    self.went += 1;
                }
                atomic::exchange(&raw mut (*waiting).state, place::FREE);
            }
        }
        false
    }
}

/// Sends those on that wait for a first fragment; see [`Env::release`]. The program cannot make an skb, so the first
/// fragment's is filled with each of them in turn and a clone of it sent, and then gets its own bytes back.
#[inline(always)]
pub fn release<T: Tables<4>, E: Env<4>>(
    skb: *mut __sk_buff,
    tables: &T,
    env: &E,
    waits: Waits<4>,
) -> Option<u32> {
    let first = waits.key.first_place(tables.config().seed);
    let mut release = Release { skb, waits, first, put_away: 0, went: 0 };
    env.search(tables, PLACES, &mut release);
    if release.put_away == 0 {
        return Some(0);
    }
    let bytes = SCRATCH.get_ptr(0)?;
    // SAFETY: the pointer is to this CPU's own whole buffer.
    unsafe { fill(skb, bytes.cast(), release.put_away) }.then_some(release.went)
}

/// Copies an skb's bytes to this CPU's buffer; their number, or zero when there are too many.
///
/// # Safety
/// `skb` is the program's own context.
#[inline(always)]
unsafe fn put_away(skb: *mut __sk_buff) -> u32 {
    let Some(bytes) = SCRATCH.get_ptr_mut(0) else { return 0 };
    // SAFETY: the caller's promise, and the buffer has room for what passes the comparison.
    unsafe {
        let len = waiting_len((*skb).len);
        if len != 0 && bpf_skb_load_bytes(skb.cast(), 0, bytes.cast(), len as u32) == 0 {
            len as u32
        } else {
            0
        }
    }
}

/// Sends a clone of the skb on that has a waiting fragment's bytes: as if it came to the interface again.
///
/// # Safety
/// `skb` is the program's own context, and `waiting` a whole place.
#[inline(always)]
unsafe fn send(skb: *mut __sk_buff, waiting: *mut Waiting<4>, is_ingress: bool) -> bool {
    let way = if is_ingress { u64::from(BPF_F_INGRESS) } else { 0 };
    // SAFETY: the caller's promise.
    unsafe {
        fill(skb, (&raw const (*waiting).frame).cast(), (*waiting).len)
            && bpf_clone_redirect(skb, (*skb).ifindex, way) == 0
    }
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
            && bpf_skb_store_bytes(skb.cast(), 0, bytes.cast(), len as u32, flags) == 0
    }
}
