//! Packets that belong to no flow: whether they may open one at this hook, and what becomes of them if not.

use super::{Scene, Stage};

use crate::abi::flow::{NO_SLOT, life};
use crate::abi::hook::Hook;
use crate::abi::rule::{Mapping, MasqueradeTarget, Zone};
use crate::abi::verdict::Verdict;
use crate::conntrack::create::NewFlow;
use crate::conntrack::end::Ending;
use crate::conntrack::{Entry, find_mapping};
use crate::nat::mapping::Invited;
use crate::nat::{self, forward, host, mapping, masquerade};
use crate::packet::{Headers, Packet, Transport};
use crate::tables::{Env, Tables};

/// The packet opens nothing.
pub const STRAY: u32 = 1;

/// Drafts the flow that a packet opens, or says why there is none; a [`Stage`] as a number.
#[inline(always)]
pub fn open<P: Packet, T: Tables<4>, E: Env<4>>(
    hook: Hook,
    packet: &P,
    tables: &T,
    env: &E,
    how: u32,
) -> u32 {
    let scene = Scene::new(hook, tables, env);
    let Some(headers) = tables.headers() else { return Stage::Stray.pack() };
    let opens = headers.kind().is_tracked() && headers.kind() != Transport::Fragment;
    let stage = if how & STRAY != 0 || !opens {
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
        Hook::PortIn => match from_a_node(headers, scene.tables) {
            Some(verdict) => Stage::Verdict(verdict),
            None => arriving(headers, scene),
        },
        Hook::UplinkIn => match from_the_world(headers, scene.tables) {
            Some(verdict) => Stage::Verdict(verdict),
            None => arriving(headers, scene),
        },
        Hook::UplinkOut => leaving(packet, headers, scene),
        Hook::LocalOut => local(headers, scene),
    }
}

/// A packet that comes to the host: it may meet a port forward, or be let in by a mapping.
#[inline(always)]
fn arriving<T: Tables<4>, E: Env<4>>(headers: &Headers<4>, scene: &Scene<'_, T, E>) -> Stage {
    let Scene { hook, now, tables, .. } = *scene;
    if let Some(meeting) = nat::meet(tables, hook, headers) {
        if !meeting.allowed {
            return Stage::Verdict(Verdict::NotAllowed);
        }
        if !nat::may_open(tables, headers.kind()) {
            return Stage::Verdict(Verdict::NoFlow);
        }
        tables.set_draft(&forward::open(tables, hook, headers, &meeting, now));
        return Stage::Create;
    }
    let has_ports = matches!(headers.kind(), Transport::Tcp(_) | Transport::Udp);
    let may_be_invited = has_ports && headers.kind().opens() && nat::has_mappings(tables);
    if may_be_invited { guest(headers, scene) } else { Stage::Verdict(Verdict::NoRule) }
}

/// A packet of the host's own to one of its own addresses: a forward may take it to a node. What it does not take is
/// the host's own affair.
#[inline(always)]
fn local<T: Tables<4>, E: Env<4>>(headers: &Headers<4>, scene: &Scene<'_, T, E>) -> Stage {
    let Scene { hook, now, tables, .. } = *scene;
    let Some(meeting) = nat::meet(tables, hook, headers) else { return Stage::Verdict(Verdict::NoRule) };
    if !meeting.allowed || !nat::may_open(tables, headers.kind()) {
        return Stage::Verdict(Verdict::NoRule);
    }
    tables.set_draft(&forward::open(tables, hook, headers, &meeting, now));
    Stage::Create
}

/// A packet that a mapping may let in: from the world, or from another node by the mapping's external endpoint.
#[inline(always)]
fn guest<T: Tables<4>, E: Env<4>>(headers: &Headers<4>, scene: &Scene<'_, T, E>) -> Stage {
    let Scene { hook, now, tables, env } = *scene;
    let mapping = mapping::at_destination(tables, headers);
    match mapping::invites(tables, headers, &mapping, now) {
        Invited::Nobody => Stage::Verdict(Verdict::NoRule),
        // A socket that the host bound to the port afterwards has it for all that is not in a flow.
        _ if env.host_has_socket(&headers.tuple) => Stage::Verdict(Verdict::NoRule),
        Invited::Filtered => Stage::Verdict(Verdict::Filtered),
        Invited::Guest if hook == Hook::PortIn => neighbour(headers, scene, &mapping),
        Invited::Guest if mapping::take(tables, &mapping, now) => {
            tables.set_draft(&mapping::admit(headers, &mapping, now));
            Stage::Create
        }
        Invited::Guest => Stage::Verdict(Verdict::FlowEnding),
    }
}

/// A guest that is a node itself. The host sees it as the world would, by its own external endpoint (RFC 4787 REQ-9a).
#[inline(always)]
fn neighbour<T: Tables<4>, E>(headers: &Headers<4>, scene: &Scene<'_, T, E>, invites: &Entry<4>) -> Stage {
    let Scene { now, tables, .. } = *scene;
    let Some(target) = hidden(headers, tables) else { return Stage::Verdict(Verdict::NoRule) };
    if target.mapping == Mapping::EndpointIndependent as u8 {
        return mapped(headers, tables, &target, now, |own| mapping::between(headers, own, invites, now));
    }
    let hides = masquerade::open(headers, &target, now);
    tables.set_draft(&mapping::inwards(hides, invites));
    Stage::Create
}

/// A packet on its way to the world: a masquerade may cover it, or it is the host's own.
#[inline(always)]
fn leaving<P: Packet, T: Tables<4>, E>(packet: &P, headers: &Headers<4>, scene: &Scene<'_, T, E>) -> Stage {
    let Scene { now, tables, .. } = *scene;
    let unicast = is_unicast(headers.tuple.dst);
    if let Some(target) = hidden(headers, tables) {
        return match headers.kind() {
            _ if !unicast => Stage::Verdict(Verdict::NotUnicast),
            Transport::Tcp(_) if !nat::may_open(tables, headers.kind()) => Stage::Verdict(Verdict::NotSyn),
            // An answer that nobody asked for: there is no flow it could belong to.
            Transport::Answer => Stage::Verdict(Verdict::PrivateSource),
            _ if target.mapping == Mapping::EndpointIndependent as u8 && headers.kind().has_free_port() => {
                mapped(headers, tables, &target, now, |own| mapping::open(headers, own, now))
            }
            _ => {
                tables.set_draft(&masquerade::open(headers, &target, now));
                Stage::Create
            }
        };
    }
    if tables.zone(headers.tuple.src) == Zone::Host {
        // Who answers to many does so from an address of his own, by which no flow would know him.
        if !headers.kind().opens() || !unicast {
            return Stage::Verdict(Verdict::NoRule);
        }
        tables.set_draft(&host::open(headers, now));
        return Stage::CreateHost;
    }
    let leaks = is_from_a_node(packet, headers, tables);
    Stage::Verdict(if leaks { Verdict::PrivateSource } else { Verdict::NoRule })
}

/// A packet whose external endpoint does not depend on where it goes. `flow` is the one that it opens by its mapping.
#[inline(always)]
fn mapped<T: Tables<4>>(
    headers: &Headers<4>,
    tables: &T,
    target: &MasqueradeTarget<4>,
    now: u32,
    flow: impl FnOnce(&Entry<4>) -> NewFlow<4>,
) -> Stage {
    let mapping = find_mapping(tables, &mapping::inside(headers));
    // One that a user has ended makes way at once.
    let ended =
        mapping.status.life == life::DOOMED && tables.reclaim(mapping.slot, now, Ending::Expired).is_gone();
    if mapping.slot == NO_SLOT || ended {
        tables.set_draft(&mapping::mapping(headers, target, now));
        return Stage::CreateMapping;
    }
    if !mapping::take(tables, &mapping, now) {
        return Stage::Verdict(Verdict::FlowEnding);
    }
    mapping::remember(tables, headers, &mapping);
    tables.set_draft(&flow(&mapping));
    Stage::Create
}

/// Whether an address is one host's: no multicast group (RFC 5771), no address of the reserved block, which ends
/// with the limited broadcast (RFC 919).
#[inline(always)]
pub fn is_unicast(address: [u8; 4]) -> bool {
    address[0] < 224
}

/// The masquerade that covers a source, unless it is the very address that others are hidden behind.
#[inline(always)]
pub fn hidden<T: Tables<4>>(headers: &Headers<4>, tables: &T) -> Option<MasqueradeTarget<4>> {
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
        Hook::PortIn => from_a_node(headers, tables).unwrap_or(Verdict::NoRule),
        Hook::PortOut | Hook::LocalOut => Verdict::NoRule,
        Hook::UplinkIn => from_the_world(headers, tables).unwrap_or(Verdict::NoRule),
        Hook::UplinkOut => {
            let hidden = hidden(headers, tables).is_some();
            match (hidden || is_from_a_node(packet, headers, tables), headers.kind()) {
                (false, _) => Verdict::NoRule,
                (true, Transport::Fragment) => Verdict::Fragment,
                (true, _) if !is_unicast(headers.tuple.dst) => Verdict::NotUnicast,
                (true, Transport::Other) => Verdict::Unsupported,
                (true, _) => Verdict::PrivateSource,
            }
        }
    }
}

/// Whether a packet on its way to the world is a node's: by its source, or, whatever source it claims, by the
/// interface on which it came to the host.
#[inline(always)]
pub fn is_from_a_node<P: Packet, T: Tables<4>>(packet: &P, headers: &Headers<4>, tables: &T) -> bool {
    tables.zone(headers.tuple.src) == Zone::Nodes || tables.lab_interface(packet.received_on()).is_some()
}

/// The ports' guard: no node claims to be the host. Without it the kernel would believe that, because a packet that
/// goes back where it came from has the host's address too, and netlab tells the kernel to take those.
#[inline(always)]
pub fn from_a_node<T: Tables<4>>(headers: &Headers<4>, tables: &T) -> Option<Verdict> {
    (tables.zone(headers.tuple.src) == Zone::Host).then_some(Verdict::SpoofedSource)
}

/// The uplink's guard: nothing from the world reaches a node, or claims to be one, without a flow.
#[inline(always)]
pub fn from_the_world<T: Tables<4>>(headers: &Headers<4>, tables: &T) -> Option<Verdict> {
    if tables.zone(headers.tuple.src) == Zone::Nodes {
        return Some(Verdict::SpoofedSource);
    }
    if tables.zone(headers.tuple.dst) == Zone::Nodes {
        return Some(Verdict::Unsolicited);
    }
    None
}
