//! Fragments: the first one of a datagram has its ports, and tells the later ones. One that comes before it waits
//! (RFC 4787 REQ-14: fragments are translated in whatever order they come).

use super::open::{hidden, is_from_a_node, is_unicast};
use super::waiting::{Release, Vacancy};
use super::{Scene, Stage};
use crate::abi::clock;
use crate::abi::event::Event;
use crate::abi::flow::Tuple;
use crate::abi::fragment::{FRAGMENT_TICKS, Fragment, PLACES};
use crate::abi::hook::Hook;
use crate::abi::rule::Zone;
use crate::abi::verdict::Verdict;
use crate::packet::{Headers, Packet};
use crate::tables::{Env, Tables};

/// Gives a later fragment the ports of its datagram; false if they are not known at this hook.
#[inline(always)]
pub fn complete<T: Tables<4>>(hook: Hook, headers: &Headers<4>, tables: &T, now: u32) -> bool {
    let Some(first) = tables.fragment(&headers.fragment_key(hook)) else { return false };
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
    let key = headers.fragment_key(hook);
    let mut vacancy = Vacancy::of(&key, tables, scene.now);
    if env.can_wait() {
        env.search(tables, PLACES, &mut vacancy);
    }
    if !vacancy.keep(packet, tables, env, &key) {
        tables.count_event(Event::FragmentUnkept);
        return Stage::Stray.pack();
    }
    // Whoever has the first one notes it before he looks who waits; here it is the other way round. So at least
    // one of the two sees the other.
    if complete(hook, &headers, tables, scene.now) && vacancy.take_back(tables) {
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
        Hook::PortOut => tables.zone(headers.tuple.src) == Zone::Nodes && !is_to_many(packet, headers),
        // The host's stack sends them in order.
        Hook::LocalOut => false,
        Hook::UplinkOut => hidden(headers, tables).is_some() || is_from_a_node(packet, headers, tables),
    }
}

/// Whether a frame is for a group of receivers (IEEE 802, the first bit on the wire): a bridge floods also what is for
/// its network's broadcast address, which looks like any other.
#[inline(always)]
fn is_to_many<P: Packet>(packet: &P, headers: &Headers<4>) -> bool {
    let [first] = packet.load::<1>(0).unwrap_or([0]);
    !is_unicast(headers.tuple.dst) || (packet.link_len() > 0 && first & 1 != 0)
}

/// The packet was lost when those that waited for it were sent on.
pub const LOST: u32 = u32::MAX;

/// Remembers what a first fragment says of the later ones, and sends those on that wait for it; their number, or
/// [`LOST`].
///
/// It is judged by then, and its flow is made: a later one that knew the ports before would find none, and be taken
/// for one of a datagram that is not translated. Those of one that was dropped come again as well. They fare as they
/// would have done after it, and do not hold their places.
#[inline(always)]
pub fn release<T: Tables<4>, E: Env<4>>(hook: Hook, tables: &T, env: &E) -> u32 {
    let Some(headers) = tables.headers() else { return 0 };
    let Tuple { sport, dport, .. } = headers.tuple;
    let (key, now) = (headers.fragment_key(hook), tables.now(env));
    tables.note_fragment(&key, Fragment { sport, dport, seen: now });
    if !env.can_wait() {
        return 0;
    }
    let mut release = Release::of(hook, &key, tables, now);
    env.search(tables, PLACES, &mut release);
    if !release.restore(env) {
        return LOST;
    }
    tables.count_events(Event::FragmentReleased, u64::from(release.went));
    release.went
}
