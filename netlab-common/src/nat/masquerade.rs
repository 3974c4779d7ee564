//! Masquerade: a source hidden behind the uplink's address or one of a pool.

use crate::abi::flow::{Kind, NO_SLOT, Tuple};
use crate::abi::hook::Hook;
use crate::abi::rule::MasqueradeTarget;
use crate::conntrack::create::{Keep, NewFlow, Ports};
use crate::net::{hash, protocol};
use crate::packet::Headers;

/// The external address of a source: always the same one of a pool (RFC 4787 REQ-2).
#[inline(always)]
pub fn external<const N: usize>(target: &MasqueradeTarget<N>, source: [u8; N]) -> [u8; N] {
    if target.addresses <= 1 {
        return target.address;
    }
    let step = hash::below(hash::bytes(0, source), target.addresses);
    let mut address = target.address;
    let last = u32::from_be_bytes([address[N - 4], address[N - 3], address[N - 2], address[N - 1]]);
    let moved = last.wrapping_add(step).to_be_bytes();
    address[N - 4] = moved[0];
    address[N - 3] = moved[1];
    address[N - 2] = moved[2];
    address[N - 1] = moved[3];
    address
}

/// Which external ports a source's port may become: itself where it is free (RFC 4787 REQ-1 and REQ-3a), else
/// any of the range.
#[inline(always)]
pub fn ports<const N: usize>(target: &MasqueradeTarget<N>, number: u8, port: [u8; 2]) -> Ports {
    let port = u16::from_be_bytes(port);
    let inside = port >= target.first_port && port <= target.last_port;
    // An echo identifier is no port, and no range of ports speaks of it.
    let keep = inside || target.keep_any != 0 || number == protocol::ICMP;
    Ports {
        first: target.first_port,
        last: target.last_port,
        keep: if keep { Keep::IfFree } else { Keep::Never },
        avoid_sockets: true,
    }
}

/// The flow of a packet that a masquerade with endpoint-dependent mapping covers.
#[inline(always)]
pub fn open<const N: usize>(headers: &Headers<N>, target: &MasqueradeTarget<N>, now: u32) -> NewFlow<N> {
    let original = headers.tuple;
    NewFlow {
        original,
        reply: Tuple { dst: external(target, original.src), ..original.inverse() },
        ports: if headers.kind().has_free_port() {
            ports(target, original.protocol, original.sport)
        } else {
            Ports::ALONE
        },
        original_hook: Hook::UplinkOut,
        reply_hook: Hook::UplinkIn,
        kind: Kind::Flow,
        filtering: 0,
        rule: target.rule,
        mapping: NO_SLOT,
        state: headers.kind().opening_state(),
        now,
    }
}
