//! Many entries of a BPF map in one system call: for ten thousand forwards, a call an entry is most of the time that they
//! take.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};

use aya::Pod;
use aya::maps::{MapData, MapType};
use aya_obj::generated::{bpf_attr, bpf_attr__bindgen_ty_3, bpf_cmd};

/// Writes entries into a hash or an array whose keys and values are of these types. What was written before a failure
/// stays.
///
/// # Errors
/// What the kernel says, `E2BIG` when there is no room.
pub fn write<K: Pod, V: Pod>(map: &MapData, keys: &[K], values: &[V]) -> io::Result<()> {
    assert_eq!(keys.len(), values.len(), "a value for each key");
    holds::<K, V>(map, &[MapType::Hash, MapType::Array])?;
    if keys.is_empty() {
        return Ok(());
    }
    let count = u32::try_from(keys.len()).map_err(io::Error::other)?;
    let batch = bpf_attr__bindgen_ty_3 {
        keys: keys.as_ptr() as u64,
        values: values.as_ptr() as u64,
        ..nothing(map, count)
    };
    // SAFETY: the kernel reads as many keys and values as there are, of the sizes that they have, and both outlive the
    // call.
    unsafe { call(bpf_cmd::BPF_MAP_UPDATE_BATCH, batch) }.map(drop)
}

/// Reads an array whose values are of this type, from its beginning.
///
/// # Errors
/// What the kernel says.
pub fn read_array<V: Pod>(map: &MapData, len: u32) -> io::Result<Vec<V>> {
    holds::<u32, V>(map, &[MapType::Array])?;
    let mut values = Vec::<V>::with_capacity(len as usize);
    let mut keys = vec![0u32; len as usize];
    let mut next = 0u32;
    let batch = bpf_attr__bindgen_ty_3 {
        out_batch: &raw mut next as u64,
        keys: keys.as_mut_ptr() as u64,
        values: values.as_mut_ptr() as u64,
        ..nothing(map, len)
    };
    // SAFETY: there is room for as many keys and values as are asked for, and for a key to go on from; an array's are
    // numbers of 32 bits.
    let read = unsafe { call(bpf_cmd::BPF_MAP_LOOKUP_BATCH, batch) }?;
    // SAFETY: the kernel has filled so many, in the order of their keys, and any bytes are a value of plain data.
    unsafe { values.set_len(read.min(len) as usize) };
    Ok(values)
}

/// Refuses a map of another kind, or of keys and values of other sizes: the kernel goes by its own.
fn holds<K, V>(map: &MapData, kinds: &[MapType]) -> io::Result<()> {
    let info = map.info().map_err(io::Error::other)?;
    let kind = info.map_type().map_err(io::Error::other)?;
    let sizes = (info.key_size() as usize, info.value_size() as usize);
    if kinds.contains(&kind) && sizes == (size_of::<K>(), size_of::<V>()) {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "the map has entries of another form"))
    }
}

fn nothing(map: &MapData, count: u32) -> bpf_attr__bindgen_ty_3 {
    bpf_attr__bindgen_ty_3 {
        in_batch: 0,
        out_batch: 0,
        keys: 0,
        values: 0,
        count,
        map_fd: map.fd().as_fd().as_raw_fd() as u32,
        elem_flags: 0,
        flags: 0,
    }
}

/// Gives how many entries were handled.
///
/// # Safety
/// What the attributes point to is as large as they say, and outlives the call.
unsafe fn call(command: bpf_cmd, batch: bpf_attr__bindgen_ty_3) -> io::Result<u32> {
    let mut attributes = bpf_attr { batch };
    // SAFETY: the attributes live for the whole call and are as long as is said; the rest is the caller's promise.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, command as u32, &raw mut attributes, size_of::<bpf_attr__bindgen_ty_3>())
    };
    let ended = super::check(result).err().filter(|error| {
        // A look that reaches the end of a map says so, having read to there.
        command != bpf_cmd::BPF_MAP_LOOKUP_BATCH || error.raw_os_error() != Some(libc::ENOENT)
    });
    match ended {
        Some(error) => Err(error),
        // SAFETY: the field is one of those that were written, and the kernel has put the number there.
        None => Ok(unsafe { attributes.batch.count }),
    }
}
