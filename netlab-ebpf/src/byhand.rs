//! Instructions that are written by hand, where LLVM makes some that an older verifier does not take.

use core::arch::asm;

use netlab_common::abi::flow::Tuple;
use netlab_common::abi::fragment::WAITING_LEN;
use netlab_common::abi::port::Shard;

/// A tuple of zeros, from a register that LLVM does not know to be zero: it would have it written by `memset`, a
/// function, which takes another 32 bytes of the stack on Linux 6.1.
#[inline(always)]
pub fn no_tuple() -> Tuple<4> {
    let zero: u64;
    // SAFETY: the instruction sets the register that it is given. A tuple has the size of four words, and any bytes
    // are one.
    unsafe {
        asm!("{0} = 0", out(reg) zero, options(pure, nomem, nostack));
        core::mem::transmute([zero as u32; 4])
    }
}

/// The word of a bitmap that a port's bit is in. LLVM knows that a port has 16 bits, and leaves a mask out as
/// needless; the verifier of Linux 6.1 has forgotten that by then, so the mask is an instruction of ours.
///
/// # Safety
/// The pointer is to a whole bitmap.
#[inline(always)]
pub unsafe fn word_of(bits: *mut Shard, port: u16) -> *mut u64 {
    let mut word = (port >> 6) as usize;
    // SAFETY: the instruction only clears bits of the register that it is given; what is left of them is an
    // index into the 1024 words of the bitmap.
    unsafe {
        asm!("{0} &= 1023", inout(reg) word, options(pure, nomem, nostack));
        (&raw mut (*bits).words).cast::<u64>().add(word)
    }
}

/// A frame's length if it is one that can wait, else zero.
#[inline(always)]
pub fn waiting_len(len: u32) -> u64 {
    if len == 0 || len as usize > WAITING_LEN { 0 } else { u64::from(len) }
}

/// A length that [`waiting_len`] has given and that is not zero, right before a helper takes it. Comparison and bound are
/// one piece of ours, on one register: LLVM compares copies, and puts values of 32 bits on the stack, of which the
/// verifier of Linux 6.1 then knows nothing.
#[inline(always)]
pub fn bounded(len: u64) -> u32 {
    let mut len = len;
    // SAFETY: the instructions change no more than the register that they are given, to what it holds already.
    unsafe {
        asm!(
            "{0} += -1",
            "if {0} < {most} goto +1",
            "{0} = 0",
            "{0} += 1",
            inout(reg) len,
            most = const WAITING_LEN,
            options(pure, nomem, nostack),
        );
    }
    len as u32
}
