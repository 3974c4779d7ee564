//! The host's own flows. They are in the table so that answers to them are known from answers to translated
//! ones; they keep their tuple, unless a node's flow has it already: then their port changes on the way.

use super::DYNAMIC;
use crate::abi::flow::{Kind, NO_RULE, NO_SLOT};
use crate::abi::hook::Hook;
use crate::conntrack::create::{Keep, NewFlow, Ports};
use crate::packet::Headers;

/// The flow of a packet that the host itself sends to the world.
#[inline(always)]
pub fn open<const N: usize>(headers: &Headers<N>, now: u32) -> NewFlow<N> {
    NewFlow {
        original: headers.tuple,
        reply: headers.tuple.inverse(),
        ports: if headers.kind().has_free_port() {
            Ports { first: DYNAMIC.0, last: DYNAMIC.1, keep: Keep::Own, avoid_sockets: true }
        } else {
            Ports::ALONE
        },
        original_hook: Hook::UplinkOut,
        reply_hook: Hook::UplinkIn,
        kind: Kind::Host,
        filtering: 0,
        rule: NO_RULE,
        mapping: NO_SLOT,
        state: headers.kind().opening_state(),
        now,
    }
}
