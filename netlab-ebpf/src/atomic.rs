//! Atomic operations on map memory, as BPF instructions.
//!
//! `core` for BPF offers no read-modify-write atomics (its target lacks `cas`), but the compiler's own
//! intrinsics become the kernel's instructions with `target-cpu=v3`.

use core::intrinsics::{AtomicOrdering, atomic_cxchg, atomic_or, atomic_xadd};

/// Adds to a 64-bit counter.
///
/// # Safety
/// `at` points at an aligned `u64` of a map value that stays valid for the call.
#[inline(always)]
pub unsafe fn add(at: *mut u64, value: u64) {
    // SAFETY: the caller's promise.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(at, value) };
}

/// Adds to a 64-bit counter and gives the value before.
///
/// The ordering matters beyond its name: for a relaxed addition LLVM 22 emits the instruction that does not
/// fetch, and what it then takes for the old value is the summand.
///
/// # Safety
/// As [`add`].
#[inline(always)]
pub unsafe fn fetch_add(at: *mut u64, value: u64) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(at, value) }
}

/// Sets bits in a 32-bit word.
///
/// # Safety
/// `at` points at an aligned `u32` of a map value that stays valid for the call.
#[inline(always)]
pub unsafe fn or(at: *mut u32, bits: u32) {
    // SAFETY: the caller's promise.
    unsafe { atomic_or::<u32, u32, { AtomicOrdering::Relaxed }>(at, bits) };
}

/// Replaces a 32-bit word if it has the expected value; whether it had.
///
/// # Safety
/// As [`or`].
#[inline(always)]
pub unsafe fn exchange_if(at: *mut u32, expected: u32, new: u32) -> bool {
    // SAFETY: the caller's promise.
    let (_, had) = unsafe {
        atomic_cxchg::<u32, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(at, expected, new)
    };
    had
}
