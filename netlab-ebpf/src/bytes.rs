//! A frame's bytes between the two pointers of a program's context, in the form that the verifier follows.

use core::arch::asm;

use aya_ebpf::bindings::{__sk_buff, xdp_md};

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
