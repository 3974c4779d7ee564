//! Names for the interfaces that the file leaves nameless: readable, the same on every run, and short enough
//! for the kernel.

use crate::lab::value::INTERFACE_NAME_MAX;

/// `wish` if it is short enough and free, else a shortened or numbered variant of it that is.
pub fn interface_name(wish: &str, free: impl Fn(&str) -> bool) -> String {
    let numbered = (2_u64..).map(|number| format!("{wish}-{number}"));
    std::iter::once(wish.to_owned())
        .chain(numbered)
        .map(|name| shortened(&name))
        .find(|name| free(name))
        .expect("there are more numbers than interfaces")
}

/// The name itself, or its beginning and four digits of a hash, so that long names with one beginning differ.
fn shortened(name: &str) -> String {
    const DIGITS: usize = 4;
    if name.len() <= INTERFACE_NAME_MAX {
        return name.to_owned();
    }
    let kept = &name[..name.floor_char_boundary(INTERFACE_NAME_MAX - DIGITS - 1)];
    format!("{}-{:04x}", kept.trim_end_matches('-'), fold(name))
}

/// FNV-1a folded to 16 bits: stable over runs and versions, unlike the standard library's hashers.
fn fold(name: &str) -> u16 {
    let hash =
        name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash >> 16) as u16 ^ hash as u16
}
