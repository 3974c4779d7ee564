//! What may cross the kernel boundary: map keys and values, and the numbers and names that both sides use.
//!
//! Layout rules: `repr(C)`, explicit padding, no `bool`, `enum`, `Option` or `usize` inside a value, and a
//! size assertion beside every type. Addresses and ports are byte arrays in network order; counters, times
//! and indexes are integers in the machine's order. Any change here raises [`ABI_VERSION`].

pub mod clock;
pub mod config;
pub mod event;
pub mod flow;
pub mod fragment;
pub mod hook;
pub mod names;
pub mod packed;
#[expect(unsafe_code, reason = "plain-old-data marks are unsafe traits; this is their one home")]
mod pod;
pub mod port;
pub mod recent;
pub mod rule;
pub mod verdict;
pub mod way;

/// Rises with any change of layout or meaning in this module; maps of another version are refused.
pub const ABI_VERSION: u32 = 4;
