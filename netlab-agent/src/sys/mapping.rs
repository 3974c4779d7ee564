//! A BPF array mapped into memory: read while the datapath writes it.

use std::ffi::c_void;
use std::io;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use bytemuck::Pod;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

/// An array of plain data that is shared with the kernel.
pub struct SharedArray<T> {
    start: NonNull<c_void>,
    bytes: NonZeroUsize,
    len: usize,
    values: PhantomData<T>,
}

impl<T: Pod> SharedArray<T> {
    /// Maps `len` values of the array behind `fd`, which must have been made mappable, and whose values must
    /// be of type `T`.
    ///
    /// # Errors
    /// What the kernel says, for example that the array is shorter.
    pub fn map(fd: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        // The kernel lays values out at multiples of eight bytes.
        const { assert!(size_of::<T>().is_multiple_of(8), "array values are 8-byte aligned") };
        let bytes = NonZeroUsize::new(len * size_of::<T>())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "an array of nothing"))?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choosing overlaps nothing of ours.
        let start = unsafe { mmap(None, bytes, protection, MapFlags::MAP_SHARED, fd, 0) }?;
        Ok(SharedArray { start, bytes, len, values: PhantomData })
    }

    /// Number of values.
    #[expect(clippy::len_without_is_empty, reason = "an array of nothing cannot be mapped")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// A copy of a value. The datapath may be writing it: each aligned word is whole, the value need not be.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    pub fn read(&self, index: usize) -> T {
        // SAFETY: `at` gives an aligned pointer to one of the mapping's values, and `T` is plain data.
        unsafe { self.at(index).read_volatile() }
    }

    /// The 32-bit word at `offset` bytes into a value, for atomic use.
    ///
    /// # Panics
    /// When `index` or `offset` is out of range, or `offset` is not aligned.
    pub fn word(&self, index: usize, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4) && offset + 4 <= size_of::<T>(), "a word of the value");
        // SAFETY: the word lies inside the value, is aligned, and lives as long as the mapping; the datapath
        // writes it as whole words only.
        unsafe { AtomicU32::from_ptr(self.at(index).cast::<u8>().add(offset).cast::<u32>()) }
    }

    /// The 64-bit word at `offset` bytes into a value, for atomic use.
    ///
    /// # Panics
    /// As [`word`](Self::word).
    pub fn long(&self, index: usize, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= size_of::<T>(), "a long word of the value");
        // SAFETY: as for `word`; values lie at multiples of eight bytes, so the word is aligned.
        unsafe { AtomicU64::from_ptr(self.at(index).cast::<u8>().add(offset).cast::<u64>()) }
    }

    /// Sets a word as one store.
    ///
    /// # Panics
    /// As [`word`](Self::word).
    pub fn set_word(&self, index: usize, offset: usize, value: u32) {
        self.word(index, offset).store(value, Ordering::Release);
    }

    fn at(&self, index: usize) -> *mut T {
        assert!(index < self.len, "a value of the array");
        // SAFETY: the index is inside the mapping.
        unsafe { self.start.cast::<T>().as_ptr().add(index) }
    }
}

impl<T> Drop for SharedArray<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no reference into it outlives `self`.
        let _ = unsafe { munmap(self.start, self.bytes.get()) };
    }
}
