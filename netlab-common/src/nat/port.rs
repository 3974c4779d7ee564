//! Which port to try next for a new flow.

use crate::tables::Env;

/// How many ports are tried before the packet is refused. Bounded, because it is work per packet; see the
/// limits in the README.
pub const ATTEMPTS: u32 = 32;

/// The dynamic ports of RFC 6335, used where a rule names no range.
pub const DYNAMIC: (u16, u16) = (49_152, 65_535);

/// The port for this attempt, in network order: the wanted one first, then unpredictable ones of the range
/// (RFC 6056), whose ends both belong to it.
#[inline(always)]
pub fn candidate<E: Env>(env: &E, attempt: u32, wanted: [u8; 2], first: u16, last: u16) -> [u8; 2] {
    if attempt == 0 {
        return wanted;
    }
    let count = u32::from(last).saturating_sub(u32::from(first)) + 1;
    ((u32::from(first) + env.random() % count) as u16).to_be_bytes()
}
