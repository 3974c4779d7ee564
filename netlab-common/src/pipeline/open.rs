//! Packets that belong to no flow: whether they may open one at this hook, and what becomes of them if not.

use super::{Scene, Stage};

use crate::abi::flow::{NO_SLOT, life};
use crate::abi::hook::Hook;
use crate::abi::rule::{Mapping, MasqueradeTarget, Zone};
use crate::abi::verdict::Verdict;
use crate::conntrack::end::Ending;
use crate::conntrack::find_mapping;
use crate::nat::mapping::Invited;
use crate::nat::{self, forward, host, mapping, masquerade};
use crate::packet::{Headers, Packet, Transport, parse_ipv4};
use crate::tables::{Env, Tables};

/// Drafts the flow that a packet opens, or says why there is none. A `stray` packet opens nothing.
#[inline(always)]
pub fn open<P: Packet, T: Tables<4>, E: Env<4>>(
    hook: Hook,
    packet: &P,
    tables: &T,
    env: &E,
    stray: bool,
) -> Stage {
    Stage::unpack(open_packed(packet, tables, env, hook as u32 | if stray { STRAY } else { 0 }))
}

const STRAY: u32 = 1 << 8;

#[inline(never)]
fn open_packed<P: Packet, T: Tables<4>, E: Env<4>>(packet: &P, tables: &T, env: &E, at: u32) -> u32 {
    let scene = Scene::new(Hook::from_number(at), tables, env);
    let Ok(headers) = parse_ipv4(packet) else { return Stage::Verdict(Verdict::Malformed).pack() };
    let stage = if at & STRAY != 0 || !headers.kind.is_tracked() {
        Stage::Verdict(without_flow(packet, &headers, &scene))
    } else {
        draft(packet, &headers, &scene)
    };
    stage.pack()
}

/// Lays the flow aside that the packet opens. Each rule does so by itself rather than give the flow back: a
/// `Result` around so large a value makes LLVM store undefined bytes, which the verifier refuses to see.
#[inline(always)]
fn draft<P: Packet, T: Tables<4>, E: Env<4>>(
    packet: &P,
    headers: &Headers<4>,
    scene: &Scene<'_, T, E>,
) -> Stage {
    match scene.hook {
        Hook::PortOut => Stage::Verdict(Verdict::NoRule),
        Hook::PortIn => arriving(headers, scene),
        Hook::UplinkIn => match from_the_world(headers, scene.tables) {
            Some(verdict) => Stage::Verdict(verdict),
            None => arriving(headers, scene),
        },
        Hook::UplinkOut => leaving(packet, headers, scene),
    }
}

/// A packet that comes to the host: it may meet a port forward, or be let in by a mapping.
#[inline(always)]
fn arriving<T: Tables<4>, E: Env<4>>(headers: &Headers<4>, scene: &Scene<'_, T, E>) -> Stage {
    let Scene { hook, now, tables, .. } = *scene;
    if let Some(meeting) = nat::meet(tables, headers) {
        if !meeting.allowed {
            return Stage::Verdict(Verdict::NotAllowed);
        }
        if !nat::may_open(tables, headers.kind) {
            return Stage::Verdict(Verdict::NoFlow);
        }
        tables.set_draft(&forward::open(tables, hook, headers, &meeting, now));
        return Stage::Create;
    }
    let has_ports = matches!(headers.kind, Transport::Tcp(_) | Transport::Udp);
    let may_be_invited =
        hook == Hook::UplinkIn && has_ports && headers.kind.opens() && nat::has_mappings(tables);
    if may_be_invited { guest(headers, scene) } else { Stage::Verdict(Verdict::NoRule) }
}

/// A packet from the world that a mapping may let in.
#[inline(always)]
fn guest<T: Tables<4>, E: Env<4>>(headers: &Headers<4>, scene: &Scene<'_, T, E>) -> Stage {
    let Scene { now, tables, env, .. } = *scene;
    let mapping = mapping::at_destination(tables, headers);
    match mapping::invites(tables, headers, &mapping, now) {
        Invited::Nobody => Stage::Verdict(Verdict::NoRule),
        // A socket that the host bound to the port afterwards has it for all that is not in a flow.
        _ if env.host_has_socket(&headers.tuple) => Stage::Verdict(Verdict::NoRule),
        Invited::Filtered => Stage::Verdict(Verdict::Filtered),
        Invited::Guest if mapping::take(tables, &mapping, now) => {
            tables.set_draft(&mapping::admit(headers, &mapping, now));
            Stage::Create
        }
        Invited::Guest => Stage::Verdict(Verdict::FlowEnding),
    }
}

/// A packet on its way to the world: a masquerade may cover it, or it is the host's own.
#[inline(always)]
fn leaving<P: Packet, T: Tables<4>, E>(packet: &P, headers: &Headers<4>, scene: &Scene<'_, T, E>) -> Stage {
    let Scene { now, tables, .. } = *scene;
    if let Some(target) = hidden(headers, tables) {
        return match headers.kind {
            Transport::Tcp(_) if !nat::may_open(tables, headers.kind) => Stage::Verdict(Verdict::NotSyn),
            // An answer that nobody asked for: there is no flow it could belong to.
            Transport::EchoReply => Stage::Verdict(Verdict::PrivateSource),
            _ if target.mapping == Mapping::EndpointIndependent as u8 => {
                mapped(headers, tables, &target, now)
            }
            _ => {
                tables.set_draft(&masquerade::open(headers, &target, now));
                Stage::Create
            }
        };
    }
    if tables.zone(headers.tuple.src) == Zone::Host {
        if !headers.kind.opens() {
            return Stage::Verdict(Verdict::NoRule);
        }
        tables.set_draft(&host::open(headers, now));
        return Stage::CreateHost;
    }
    let leaks = is_from_a_node(packet, headers, tables);
    Stage::Verdict(if leaks { Verdict::PrivateSource } else { Verdict::NoRule })
}

/// A packet on its way to the world whose external endpoint does not depend on where it goes.
#[inline(always)]
fn mapped<T: Tables<4>>(headers: &Headers<4>, tables: &T, target: &MasqueradeTarget<4>, now: u32) -> Stage {
    let mapping = find_mapping(tables, &mapping::inside(headers));
    // One that a user has ended makes way at once.
    let ended = mapping.status.life == life::DOOMED && tables.reclaim(mapping.slot, now, Ending::Expired);
    if mapping.slot == NO_SLOT || ended {
        tables.set_draft(&mapping::mapping(headers, target, now));
        return Stage::CreateMapping;
    }
    if !mapping::take(tables, &mapping, now) {
        return Stage::Verdict(Verdict::FlowEnding);
    }
    mapping::remember(tables, headers, &mapping);
    tables.set_draft(&mapping::open(headers, &mapping, now));
    Stage::Create
}

/// The masquerade that covers a source, unless it is the very address that others are hidden behind.
#[inline(always)]
fn hidden<T: Tables<4>>(headers: &Headers<4>, tables: &T) -> Option<MasqueradeTarget<4>> {
    let source = headers.tuple.src;
    let target = tables.masquerade(source)?;
    let from_first = u32::from_be_bytes(source).wrapping_sub(u32::from_be_bytes(target.address));
    if from_first < target.addresses { None } else { Some(target) }
}

/// What a packet that will not be translated comes to.
#[inline(always)]
fn without_flow<P: Packet, T: Tables<4>, E>(
    packet: &P,
    headers: &Headers<4>,
    scene: &Scene<'_, T, E>,
) -> Verdict {
    let tables = scene.tables;
    match scene.hook {
        Hook::PortIn | Hook::PortOut => Verdict::NoRule,
        Hook::UplinkIn => from_the_world(headers, tables).unwrap_or(Verdict::NoRule),
        Hook::UplinkOut => {
            let hidden = hidden(headers, tables).is_some();
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
    tables.zone(headers.tuple.src) == Zone::Nodes || tables.lab_interface(packet.received_on()).is_some()
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
