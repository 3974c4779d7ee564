//! Atomic operations on map memory, as BPF instructions.
//!
//! `core` for BPF offers no read-modify-write atomics (its target lacks `cas`), but the compiler's own
//! intrinsics become the kernel's instructions with `target-cpu=v3`.

use core::intrinsics::{AtomicOrdering, atomic_and, atomic_cxchg, atomic_or, atomic_xadd, atomic_xchg};

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

/// As [`fetch_add`], for a 32-bit word.
///
/// # Safety
/// As [`add`], for a `u32`.
#[inline(always)]
pub unsafe fn fetch_add_32(at: *mut u32, value: u32) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { atomic_xadd::<u32, u32, { AtomicOrdering::SeqCst }>(at, value) }
}

/// Sets bits in a 64-bit word and gives the word before.
///
/// # Safety
/// As [`add`].
#[inline(always)]
pub unsafe fn fetch_or(at: *mut u64, bits: u64) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { atomic_or::<u64, u64, { AtomicOrdering::SeqCst }>(at, bits) }
}

/// Keeps only the given bits of a 64-bit word and gives the word before.
///
/// # Safety
/// As [`add`].
#[inline(always)]
pub unsafe fn fetch_and(at: *mut u64, bits: u64) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { atomic_and::<u64, u64, { AtomicOrdering::SeqCst }>(at, bits) }
}

/// Sets bits in a 32-bit word. Ordered: the instruction that fetches is a full barrier, the other is not.
///
/// # Safety
/// As [`add`], for a `u32`.
#[inline(always)]
pub unsafe fn or(at: *mut u32, bits: u32) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { atomic_or::<u32, u32, { AtomicOrdering::SeqCst }>(at, bits) }
}

/// Keeps only the given bits of a 32-bit word. Ordered.
///
/// # Safety
/// As [`or`].
#[inline(always)]
pub unsafe fn and(at: *mut u32, bits: u32) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { atomic_and::<u32, u32, { AtomicOrdering::SeqCst }>(at, bits) }
}

/// Replaces a 32-bit word and gives the one before. Ordered.
///
/// # Safety
/// As [`or`].
#[inline(always)]
pub unsafe fn exchange(at: *mut u32, value: u32) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { atomic_xchg::<u32, { AtomicOrdering::SeqCst }>(at, value) }
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
