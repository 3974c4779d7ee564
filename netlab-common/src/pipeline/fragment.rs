//! Fragments: the first one of a datagram has its ports, and tells the later ones. One that comes before it waits
//! (RFC 4787 REQ-14: fragments are translated in whatever order they come).

use super::open::{hidden, is_from_a_node, is_unicast};
use super::{Scene, Stage, now};
use crate::abi::clock;
use crate::abi::event::Event;
use crate::abi::flow::Tuple;
use crate::abi::fragment::{FRAGMENT_TICKS, Fragment};
use crate::abi::hook::Hook;
use crate::abi::rule::Zone;
use crate::abi::verdict::Verdict;
use crate::packet::{Headers, Packet};
use crate::tables::{Env, NO_PLACE, Tables, Waits};

/// Remembers what a first fragment says of the later ones.
#[inline(always)]
pub fn note<T: Tables<4>>(headers: &Headers<4>, tables: &T, now: u32) {
    let Tuple { sport, dport, .. } = headers.tuple;
    tables.note_fragment(&headers.fragment_key(), Fragment { sport, dport, seen: now });
}

/// Gives a later fragment the ports of its datagram; false if they are not known.
#[inline(always)]
pub fn complete<T: Tables<4>>(headers: &Headers<4>, tables: &T, now: u32) -> bool {
    let Some(first) = tables.fragment(&headers.fragment_key()) else { return false };
    if clock::since(now, first.seen) >= FRAGMENT_TICKS {
        return false;
    }
    let mut whole = *headers;
    whole.tuple.sport = first.sport;
    whole.tuple.dport = first.dport;
    tables.set_headers(&whole);
    true
}

/// What becomes of a fragment whose ports are not known. It waits where it may belong to a flow, if there is a
/// place; if the first one has come in this very moment, it is judged once more.
#[inline(always)]
pub fn wait<P: Packet, T: Tables<4>, E: Env<4>>(hook: Hook, packet: &P, tables: &T, env: &E) -> u32 {
    let scene = Scene::new(hook, tables, env);
    let Some(headers) = tables.headers() else { return Stage::Stray.pack() };
    if !may_be_translated(packet, &headers, &scene) {
        return Stage::Stray.pack();
    }
    let waits = Waits { key: headers.fragment_key(), hook: scene.hook, now: scene.now };
    let place = env.keep(packet, tables, waits);
    if place == NO_PLACE {
        tables.count_event(Event::FragmentUnkept);
        return Stage::Stray.pack();
    }
    // Whoever has the first one notes it before he looks who waits; here it is the other way round. So at least
    // one of the two sees the other.
    if complete(&headers, tables, scene.now) && env.take_back(place) {
        return Stage::Again.pack();
    }
    Stage::Verdict(Verdict::FragmentWaits).pack()
}

/// Whether a flow could translate the datagram at this hook.
#[inline(always)]
fn may_be_translated<P: Packet, T: Tables<4>, E>(
    packet: &P,
    headers: &Headers<4>,
    scene: &Scene<'_, T, E>,
) -> bool {
    let tables = scene.tables;
    match scene.hook {
        Hook::PortIn | Hook::UplinkIn => {
            matches!(tables.zone(headers.tuple.dst), Zone::Host | Zone::Pool)
        }
        Hook::PortOut => tables.zone(headers.tuple.src) == Zone::Nodes && is_unicast(headers.tuple.dst),
        // The host's stack sends them in order.
        Hook::LocalOut => false,
        Hook::UplinkOut => hidden(headers, tables).is_some() || is_from_a_node(packet, headers, tables),
    }
}

/// The packet was lost when those that waited for it were sent on.
pub const LOST: u32 = u32::MAX;

/// Sends the fragments on that wait for the first one, which `packet` was before it was translated; their number,
/// or [`LOST`].
#[inline(always)]
pub fn release<P: Packet, T: Tables<4>, E: Env<4>>(hook: Hook, packet: &mut P, tables: &T, env: &E) -> u32 {
    let Some(headers) = tables.headers() else { return 0 };
    let key = headers.fragment_key();
    let waits = Waits { key, hook, now: now(tables, env) };
    let Some(went) = env.release(packet, tables, waits) else { return LOST };
    tables.count_events(Event::FragmentReleased, u64::from(went));
    went
}
