//! New flows: which rule wants them, and what their answers look like.

pub mod forward;
pub mod host;
pub mod mapping;
pub mod masquerade;

pub use forward::{Meeting, meet};

use crate::abi::config::flag;
use crate::packet::Transport;
use crate::tables::Tables;

/// The dynamic ports of RFC 6335, used where a rule names no range.
pub const DYNAMIC: (u16, u16) = (49_152, 65_535);

/// Whether a packet may open a flow where one is wanted: a SYN, a datagram, a query; and, if the lab takes up
/// connections in the middle, any TCP segment that does not end one or answer somebody's SYN.
#[inline(always)]
pub fn may_open<const N: usize, T: Tables<N>>(tables: &T, transport: Transport) -> bool {
    transport.opens() || (transport.continues() && tables.config().flags & flag::PICKUP != 0)
}

/// Whether any masquerade's mappings are endpoint-independent.
#[inline(always)]
pub fn has_mappings<const N: usize, T: Tables<N>>(tables: &T) -> bool {
    tables.config().flags & flag::MAPPINGS != 0
}
