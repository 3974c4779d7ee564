//! New flows: which rule wants them, and what their answers look like.

pub mod port;

use crate::abi::flow::Tuple;
use crate::abi::hook::Hook;
use crate::abi::rule::{ForwardKey, ForwardTarget, MasqueradeTarget, Zone};
use crate::conntrack::{NewFlow, Opened, Refusal, create, state};
use crate::packet::{Headers, Transport};
use crate::tables::{Env, Tables};

/// The forward that a packet meets: one for its very address first, else one for any of the host's.
#[inline(always)]
pub fn forward_for<const N: usize, T: Tables<N>>(
    tables: &T,
    headers: &Headers<N>,
) -> Option<ForwardTarget<N>> {
    if !matches!(headers.kind, Transport::Tcp(_) | Transport::Udp)
        || tables.zone(headers.tuple.dst) != Zone::Host
    {
        return None;
    }
    let mut key = ForwardKey {
        address: headers.tuple.dst,
        port: headers.tuple.dport,
        protocol: headers.tuple.protocol,
        pad: 0,
    };
    if let Some(target) = tables.forward(&key) {
        return Some(target);
    }
    key.address = [0; N];
    tables.forward(&key)
}

/// Makes the flow of a packet that meets a forward at this hook.
///
/// The client's port is kept where it is free. It is taken when the same client port already talks to the
/// same target by another of the host's ports; then the target sees another port of the client's.
///
/// # Errors
/// See [`Refusal`].
#[inline(always)]
pub fn open_forward<const N: usize, T: Tables<N>, E: Env>(
    tables: &T,
    env: &E,
    hook: Hook,
    original: Tuple<N>,
    target: ForwardTarget<N>,
) -> Result<Opened<N>, Refusal> {
    let new = NewFlow {
        original,
        original_hook: hook,
        // The answers leave where the opener came from.
        reply_hook: hook.opposite(),
        rule: target.rule,
        state: state::initial(),
        now: env.now(),
    };
    create(tables, &new, port::ATTEMPTS, |attempt| Tuple {
        src: target.address,
        dst: original.src,
        sport: target.port,
        dport: port::candidate(env, attempt, original.sport, port::DYNAMIC.0, port::DYNAMIC.1),
        protocol: original.protocol,
        pad: [0; 3],
    })
}

/// Makes the flow of a packet that a masquerade covers. The source's port is kept where it is free
/// (RFC 4787 REQ-3a).
///
/// # Errors
/// See [`Refusal`].
#[inline(always)]
pub fn open_masquerade<const N: usize, T: Tables<N>, E: Env>(
    tables: &T,
    env: &E,
    original: Tuple<N>,
    target: MasqueradeTarget<N>,
) -> Result<Opened<N>, Refusal> {
    let new = NewFlow {
        original,
        original_hook: Hook::UplinkOut,
        reply_hook: Hook::UplinkIn,
        rule: target.rule,
        state: state::initial(),
        now: env.now(),
    };
    create(tables, &new, port::ATTEMPTS, |attempt| Tuple {
        src: original.dst,
        dst: target.address,
        sport: original.dport,
        dport: port::candidate(env, attempt, original.sport, target.first_port, target.last_port),
        protocol: original.protocol,
        pad: [0; 3],
    })
}
