//! Port forwards: which one a packet meets, and to which of its targets a new flow goes.

use core::cmp::max;

use super::DYNAMIC;
use crate::abi::flow::{Kind, NO_SLOT, Tuple};
use crate::abi::hook::Hook;
use crate::abi::rule::{ForwardKey, ForwardPort, Zone};
use crate::conntrack::create::{Keep, NewFlow, Ports};
use crate::packet::{Headers, Transport};
use crate::tables::Tables;

/// A packet and the forward it meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meeting {
    /// The forward's rule number.
    pub rule: u32,
    /// Ports from the first one of its range.
    pub offset: u16,
    /// How many targets it has.
    pub targets: u32,
    /// Whether the packet's source may use it.
    pub allowed: bool,
}

/// The forward that a packet meets: one for its very address first, else one for any of the host's.
#[inline(always)]
pub fn meet<const N: usize, T: Tables<N>>(tables: &T, hook: Hook, headers: &Headers<N>) -> Option<Meeting> {
    if !matches!(headers.kind(), Transport::Tcp(_) | Transport::Udp)
        || (tables.zone(headers.tuple.dst) != Zone::Host
            && !(hook == Hook::LocalOut && is_loopback(headers.tuple.dst)))
    {
        return None;
    }
    let ForwardPort { rule, offset, .. } = port(tables, &headers.tuple)?;
    let (targets, restricted) = tables.forward(rule)?;
    if targets == 0 {
        return None;
    }
    let allowed = !restricted || tables.allows(rule, headers.tuple.src);
    Some(Meeting { rule, offset, targets, allowed })
}

/// Whether an address is a loopback one (RFC 1122, section 3.2.1.3).
#[inline(always)]
fn is_loopback<const N: usize>(address: [u8; N]) -> bool {
    N == 4 && address[0] == 127
}

#[inline(always)]
fn port<const N: usize, T: Tables<N>>(tables: &T, tuple: &Tuple<N>) -> Option<ForwardPort> {
    let mut key = ForwardKey { address: tuple.dst, port: tuple.dport, protocol: tuple.protocol, pad: 0 };
    if let Some(port) = tables.forward_port(&key) {
        return Some(port);
    }
    key.address = [0; N];
    tables.forward_port(&key)
}

/// The longer part of the dynamic ports below or above one of them.
///
/// A node that speaks to itself by a forward, from the very port that is published and that it listens at, must be
/// seen with another one: its answers would have the tuple of its questions.
#[inline(always)]
fn beside(port: [u8; 2]) -> (u16, u16) {
    let port = u16::from_be_bytes(port);
    if port < 0x8000 { (max(port + 1, DYNAMIC.0), DYNAMIC.1) } else { (DYNAMIC.0, port - 1) }
}

/// The flow of a packet that meets a forward at this hook.
///
/// The client's port is kept where it is free. It is taken when the same client port already talks to the
/// same target by another of the host's ports; then the target sees another port of the client's.
///
/// The client's address is kept too, unless the target could not answer it: one of its own, which it would take for
/// itself, becomes the host's that the client used (RFC 4787 REQ-9), and a loopback address of the host's becomes the
/// one that the node knows the way to.
#[inline(always)]
pub fn open<const N: usize, T: Tables<N>>(
    tables: &T,
    hook: Hook,
    headers: &Headers<N>,
    meeting: &Meeting,
    now: u32,
) -> NewFlow<N> {
    let original = headers.tuple;
    // Targets take turns. On two CPUs that open the same flow at once the turns differ, and the loser goes
    // on with the winner's target.
    let turn = match meeting.targets {
        0 | 1 => 0,
        targets => tables.next_turn(meeting.rule) % targets,
    };
    let target = tables.target(meeting.rule, turn);
    let back =
        original.src == target.address || (target.node != 0 && tables.node(original.src) == target.node);
    let from_loopback = hook == Hook::LocalOut && is_loopback(original.src);
    let client = if back {
        original.dst
    } else if from_loopback {
        target.near
    } else {
        original.src
    };
    let reply = Tuple {
        src: target.address,
        dst: client,
        sport: target.port.wrapping_add(meeting.offset).to_be_bytes(),
        dport: original.sport,
        protocol: original.protocol,
        pad: [0; 3],
    };
    let (first, last) = if reply == original { beside(original.sport) } else { DYNAMIC };
    let keep = if reply == original {
        Keep::Never
    } else if hook == Hook::LocalOut && !from_loopback {
        // A socket of the host's own keeps its port: it is the very one that asks.
        Keep::Own
    } else {
        Keep::IfFree
    };
    NewFlow {
        original,
        reply,
        ports: Ports { first, last, keep, avoid_sockets: back || hook == Hook::LocalOut },
        original_hook: hook,
        // The answers leave where the opener came from; those to the host itself, also where it is the node's own
        // packets that come back to it, are met on their way in.
        reply_hook: if back { hook } else { hook.opposite() },
        kind: Kind::Flow,
        filtering: 0,
        rule: meeting.rule,
        mapping: NO_SLOT,
        state: headers.kind().opening_state(),
        now,
    }
}
