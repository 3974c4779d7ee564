//! The order of things: parse, look up, decide, advance, rewrite, and one verdict.
//!
//! Destinations change before routing (ingress hooks) and sources after it (egress hooks), as in netfilter,
//! so the kernel's routing, TTL, MTU and neighbours stay in charge between them. A flow is translated whole
//! at one hook in each direction, and remembers which: a masqueraded one where its opener's packets leave and
//! where the answers arrive, a forwarded one where its opener's packets arrive and where the answers leave.

use crate::abi::hook::Hook;
use crate::abi::rule::Zone;
use crate::abi::verdict::Verdict;
use crate::conntrack::{self, Entry, Lookup, Opened, Refusal, state};
use crate::nat;
use crate::packet::{Headers, Packet, ParseError, Transport, parse_ipv4};
use crate::rewrite::{self, Rewrite};
use crate::tables::{Env, Tables, Traffic};

/// Decides about one packet, changes it accordingly, and counts it.
#[inline(always)]
pub fn run<P: Packet, T: Tables<4>, E: Env>(hook: Hook, packet: &mut P, tables: &T, env: &E) -> Verdict {
    let frame = Traffic { packets: u64::from(packet.segments()), bytes: u64::from(packet.frame_len()) };
    tables.count_received(hook, frame);
    let verdict = match parse_ipv4(packet) {
        Ok(headers) => decide(hook, packet, &headers, tables, env),
        Err(ParseError::NotIpv4) => Verdict::NotIpv4,
        Err(ParseError::Malformed) => match hook {
            // Between nodes the bridge carries what it is given. What cannot be read cannot be shown to
            // be free of a node's address, so it does not cross the uplink.
            Hook::PortIn | Hook::PortOut => Verdict::MalformedPassed,
            Hook::UplinkIn | Hook::UplinkOut => Verdict::Malformed,
        },
    };
    tables.count_verdict(hook, verdict, frame);
    verdict
}

#[inline(always)]
fn decide<P: Packet, T: Tables<4>, E: Env>(
    hook: Hook,
    packet: &mut P,
    headers: &Headers<4>,
    tables: &T,
    env: &E,
) -> Verdict {
    match membership(hook, packet, headers, tables, env) {
        Ok(member) => translate(packet, headers, tables, env, &member),
        Err(verdict) => verdict,
    }
}

/// A packet's place in the flow by which it is translated at this hook.
#[derive(Clone, Copy)]
struct Member {
    entry: Entry<4>,
    /// The flow's state before this packet.
    known: u32,
    /// The packet opened the flow, or began it anew.
    fresh: bool,
}

/// The flow to translate a packet by, known or made now, or the verdict for a packet that has none here.
#[inline(always)]
fn membership<P: Packet, T: Tables<4>, E: Env>(
    hook: Hook,
    packet: &P,
    headers: &Headers<4>,
    tables: &T,
    env: &E,
) -> Result<Member, Verdict> {
    if !headers.kind.is_tracked() {
        return Err(without_flow(hook, packet, headers, tables));
    }
    match conntrack::lookup(tables, &headers.tuple, env.now()) {
        Lookup::Live(entry) if conntrack::is_anothers(&entry, headers.kind) => {
            tables.retire(entry.slot);
            open(hook, packet, headers, tables, env)
        }
        Lookup::Live(entry) => {
            let anew = conntrack::begins_anew(tables, &entry, headers.kind, false);
            member(hook, packet, headers, tables, entry, anew)
        }
        Lookup::Expired(entry) if conntrack::begins_anew(tables, &entry, headers.kind, true) => {
            member(hook, packet, headers, tables, entry, true)
        }
        Lookup::Expired(_) | Lookup::Miss => open(hook, packet, headers, tables, env),
    }
}

/// A packet of a known flow, if this is the hook where its direction is translated.
#[inline(always)]
fn member<P: Packet, T: Tables<4>>(
    hook: Hook,
    packet: &P,
    headers: &Headers<4>,
    tables: &T,
    entry: Entry<4>,
    anew: bool,
) -> Result<Member, Verdict> {
    if !entry.is_translated_at(hook) {
        // Only a node's packets are seen once before the hook that translates them. Elsewhere a flow's tuple
        // in the wrong place is a forgery, or a packet that lost its way, and has no more rights than others.
        return Err(match (hook, without_flow(hook, packet, headers, tables)) {
            (Hook::PortIn, _) => Verdict::InFlow,
            (_, verdict) => verdict,
        });
    }
    if anew {
        tables.reset_state(entry.slot, state::initial());
    }
    let known = if anew { state::initial() } else { entry.head.state };
    Ok(Member { entry, known, fresh: anew })
}

/// Rewrites a packet by its flow, and counts it there and at the rule.
#[inline(always)]
fn translate<P: Packet, T: Tables<4>, E: Env>(
    packet: &mut P,
    headers: &Headers<4>,
    tables: &T,
    env: &E,
    member: &Member,
) -> Verdict {
    let Member { entry, mut known, fresh } = *member;
    if state::outlives_reset(known, headers.kind) {
        known &= !state::RESET;
        tables.reset_state(entry.slot, known);
    }
    let traffic = headers.traffic(packet);
    let rewrite = Rewrite { from: headers.tuple, to: entry.translated() };
    if rewrite::apply(packet, headers, &rewrite).is_none() {
        return Verdict::RewriteFailed;
    }
    let bits = state::advance(known, entry.direction, headers.kind) & !known;
    tables.record(entry.slot, entry.direction, bits, traffic, env.now());
    tables.count_rule(entry.head.rule, entry.direction, traffic, u64::from(fresh));
    if fresh { Verdict::Created } else { Verdict::Established }
}

/// A packet that belongs to no flow: it may open one.
#[inline(always)]
fn open<P: Packet, T: Tables<4>, E: Env>(
    hook: Hook,
    packet: &P,
    headers: &Headers<4>,
    tables: &T,
    env: &E,
) -> Result<Member, Verdict> {
    match hook {
        Hook::PortOut => Err(Verdict::NoRule),
        Hook::PortIn => open_forward(hook, packet, headers, tables, env),
        Hook::UplinkIn => match from_the_world(headers, tables) {
            Some(verdict) => Err(verdict),
            None => open_forward(hook, packet, headers, tables, env),
        },
        Hook::UplinkOut => open_masquerade(hook, packet, headers, tables, env),
    }
}

/// What a packet that will not be translated comes to.
#[inline(always)]
fn without_flow<P: Packet, T: Tables<4>>(
    hook: Hook,
    packet: &P,
    headers: &Headers<4>,
    tables: &T,
) -> Verdict {
    match hook {
        Hook::PortIn | Hook::PortOut => Verdict::NoRule,
        Hook::UplinkIn => from_the_world(headers, tables).unwrap_or(Verdict::NoRule),
        Hook::UplinkOut => {
            let hidden = tables.masquerade(headers.tuple.src);
            let hidden = hidden.is_some_and(|target| target.address != headers.tuple.src);
            match (hidden || is_from_a_node(packet, headers, tables), headers.kind) {
                (false, _) => Verdict::NoRule,
                (true, Transport::Fragment) => Verdict::Fragment,
                (true, Transport::Other) => Verdict::Unsupported,
                (true, _) => Verdict::PrivateSource,
            }
        }
    }
}

/// Whether a packet on its way to the world is a node's: by its source, or, whatever source it claims, by the
/// interface on which it came to the host.
#[inline(always)]
fn is_from_a_node<P: Packet, T: Tables<4>>(packet: &P, headers: &Headers<4>, tables: &T) -> bool {
    tables.zone(headers.tuple.src) == Zone::Nodes || tables.is_lab_interface(packet.received_on())
}

/// The uplink's guard: nothing from the world reaches a node, or claims to be one, without a flow.
#[inline(always)]
fn from_the_world<T: Tables<4>>(headers: &Headers<4>, tables: &T) -> Option<Verdict> {
    if tables.zone(headers.tuple.src) == Zone::Nodes {
        return Some(Verdict::SpoofedSource);
    }
    if tables.zone(headers.tuple.dst) == Zone::Nodes {
        return Some(Verdict::Unsolicited);
    }
    None
}

/// A packet that may meet a port forward.
#[inline(always)]
fn open_forward<P: Packet, T: Tables<4>, E: Env>(
    hook: Hook,
    packet: &P,
    headers: &Headers<4>,
    tables: &T,
    env: &E,
) -> Result<Member, Verdict> {
    let target = nat::forward_for(tables, headers).ok_or(Verdict::NoRule)?;
    if !headers.kind.opens() {
        return Err(Verdict::NoFlow);
    }
    opened(hook, packet, headers, tables, nat::open_forward(tables, env, hook, headers.tuple, target))
}

/// A packet on its way to the world, which a masquerade may cover.
#[inline(always)]
fn open_masquerade<P: Packet, T: Tables<4>, E: Env>(
    hook: Hook,
    packet: &P,
    headers: &Headers<4>,
    tables: &T,
    env: &E,
) -> Result<Member, Verdict> {
    let source = headers.tuple.src;
    let Some(target) = tables.masquerade(source) else {
        let leaks = is_from_a_node(packet, headers, tables);
        return Err(if leaks { Verdict::PrivateSource } else { Verdict::NoRule });
    };
    // The host's own packets already bear the address that others are hidden behind.
    if target.address == source {
        return Err(Verdict::NoRule);
    }
    match headers.kind {
        Transport::Tcp(_) if !headers.kind.opens() => Err(Verdict::NotSyn),
        // An answer that nobody asked for: there is no flow it could belong to.
        Transport::EchoReply => Err(Verdict::PrivateSource),
        _ => opened(hook, packet, headers, tables, nat::open_masquerade(tables, env, headers.tuple, target)),
    }
}

/// Goes on with a flow that was just made, or says why there is none.
#[inline(always)]
fn opened<P: Packet, T: Tables<4>>(
    hook: Hook,
    packet: &P,
    headers: &Headers<4>,
    tables: &T,
    made: Result<Opened<4>, Refusal>,
) -> Result<Member, Verdict> {
    match made {
        Ok(Opened { entry, fresh: true }) => Ok(Member { entry, known: state::initial(), fresh: true }),
        Ok(Opened { entry, fresh: false }) => member(hook, packet, headers, tables, entry, false),
        Err(Refusal::Full) => Err(Verdict::TableFull),
        Err(Refusal::Ending) => Err(Verdict::FlowEnding),
        Err(Refusal::NoReply) => Err(Verdict::PortsExhausted),
    }
}
