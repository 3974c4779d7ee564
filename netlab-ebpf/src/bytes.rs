//! A frame's bytes between the two pointers of a program's context, in the form that the verifier follows.

use core::arch::asm;
use core::mem::MaybeUninit;

use aya_ebpf::bindings::{__sk_buff, xdp_md};
use netlab_common::abi::way::Link;
use netlab_common::packet::Front;

const _: () = assert!(Front::CHANGED == 22 && Front::LEN == 38, "as the instructions have it");

/// A context that has the pointers.
pub trait Frame {
    /// Where the bytes begin and end, as the context says now.
    ///
    /// # Safety
    /// `context` is the program's own.
    unsafe fn bounds(context: *const Self) -> (u32, u32);
}

impl Frame for xdp_md {
    #[inline(always)]
    unsafe fn bounds(context: *const Self) -> (u32, u32) {
        // SAFETY: the caller's promise.
        unsafe {
            ((&raw const (*context).data).read_volatile(), (&raw const (*context).data_end).read_volatile())
        }
    }
}

impl Frame for __sk_buff {
    #[inline(always)]
    unsafe fn bounds(context: *const Self) -> (u32, u32) {
        // SAFETY: the caller's promise.
        unsafe {
            ((&raw const (*context).data).read_volatile(), (&raw const (*context).data_end).read_volatile())
        }
    }
}

/// A pointer to `L` bytes at `offset`, if they are there.
///
/// # Safety
/// `context` is the program's own.
#[inline(always)]
pub unsafe fn at<F: Frame, const L: usize>(context: *const F, offset: usize) -> Option<*mut [u8; L]> {
    // Read anew each time: the verifier knows a packet pointer by the load from the context, and a copy
    // that LLVM keeps in a 32-bit register is a mere number to it.
    // SAFETY: the caller's promise.
    let (data, end) = unsafe { F::bounds(context) };
    // An offset that LLVM knows to be small may have been on the stack since, and then the verifier of Linux 6.1
    // has forgotten that.
    let mut offset = offset;
    // SAFETY: the instruction clears bits that no offset within a header has.
    unsafe { asm!("{0} &= 0x3fff", inout(reg) offset, options(pure, nomem, nostack)) };
    let mut start = data as usize + offset;
    // The verifier ties a bound to the very register that was compared. Without this fence LLVM adds the
    // offset twice, once for the comparison and once for the access, and the tie is lost.
    // An empty fence would give two source lines one instruction, which the kernel's check of line
    // information refuses, so it adds nothing instead of being nothing.
    // SAFETY: the instruction leaves the value as it is.
    unsafe { asm!("{0} += 0", inout(reg) start, options(nomem, nostack, preserves_flags)) };
    if start + L > end as usize { None } else { Some(start as *mut [u8; L]) }
}

/// Copies bytes in as few reads as there can be. LLVM would read them one by one: it knows no alignment of theirs, and not
/// that the kernel needs none.
///
/// # Safety
/// `from` is where [`at`] found as many bytes.
#[inline(always)]
pub unsafe fn read<const L: usize>(from: *const [u8; L]) -> [u8; L] {
    let mut bytes = MaybeUninit::<[u8; L]>::uninit();
    let (from, to) = (from.cast::<u8>(), bytes.as_mut_ptr().cast::<u8>());
    let mut at = 0;
    // SAFETY: the caller's promise; each step is within L, and together they are all of it.
    unsafe {
        while at + 8 <= L {
            let word: u64;
            asm!("{0} = *(u64 *)({1} + 0)", out(reg) word, in(reg) from.add(at), options(readonly, nostack));
            to.add(at).cast::<u64>().write_unaligned(word);
            at += 8;
        }
        if at + 4 <= L {
            let word: u64;
            asm!("{0} = *(u32 *)({1} + 0)", out(reg) word, in(reg) from.add(at), options(readonly, nostack));
            to.add(at).cast::<u32>().write_unaligned(word as u32);
            at += 4;
        }
        if at + 2 <= L {
            let word: u64;
            asm!("{0} = *(u16 *)({1} + 0)", out(reg) word, in(reg) from.add(at), options(readonly, nostack));
            to.add(at).cast::<u16>().write_unaligned(word as u16);
            at += 2;
        }
        if at < L {
            to.add(at).write(from.add(at).read());
        }
        bytes.assume_init()
    }
}

/// The first bytes of a frame, in five reads.
///
/// # Safety
/// `context` is the program's own.
#[inline(always)]
pub unsafe fn front<F: Frame>(context: *const F) -> Option<Front> {
    let (to, kind, first, middle, last): (u64, u64, u64, u64, u64);
    // SAFETY: the caller's promise, and `at` has found as many bytes as are read.
    unsafe {
        let head = at::<F, { Front::LEN }>(context, 0)?;
        asm!(
            "{to} = *(u64 *)({head} + 0)",
            "{kind} = *(u16 *)({head} + 12)",
            "{first} = *(u64 *)({head} + 14)",
            "{middle} = *(u64 *)({head} + 22)",
            "{last} = *(u64 *)({head} + 30)",
            head = in(reg) head,
            to = out(reg) to,
            kind = out(reg) kind,
            first = out(reg) first,
            middle = out(reg) middle,
            last = out(reg) last,
            options(readonly, nostack)
        );
    }
    Some(Front { to, kind: kind as u16, first, middle, last })
}

/// Writes what a translation changes of them, and the Ethernet header up to its type.
///
/// # Safety
/// As for [`front`]; and the frame may be written to.
#[inline(always)]
pub unsafe fn set_front<F: Frame>(context: *const F, link: Link, front: &Front) -> Option<()> {
    let [first, middle, last] = link.0;
    // SAFETY: the caller's promise, and `at` has found as many bytes as are written.
    unsafe {
        let head = at::<F, { Front::LEN }>(context, 0)?;
        asm!(
            "*(u32 *)({head} + 0) = {first}",
            "*(u32 *)({head} + 4) = {second}",
            "*(u32 *)({head} + 8) = {third}",
            "*(u64 *)({head} + 22) = {middle}",
            "*(u64 *)({head} + 30) = {last}",
            head = in(reg) head,
            first = in(reg) u64::from(first),
            second = in(reg) u64::from(middle),
            third = in(reg) u64::from(last),
            middle = in(reg) front.middle,
            last = in(reg) front.last,
            options(nostack)
        );
    }
    Some(())
}
