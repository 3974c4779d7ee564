//! Packets of known flows: translation, state and counters.

use super::ahead::WAY_SHIFT;
use super::{Scene, Stage, local, ways};
use crate::abi::flow::{Direction, FlowRef, Kind, NO_RULE, life};
use crate::abi::hook::Hook;
use crate::abi::verdict::{Disposition, Verdict};
use crate::conntrack::create::{self, Made};
use crate::conntrack::state::{self, Expected};
use crate::conntrack::{self, Entry, Lookup};
use crate::packet::{Headers, Packet, Segment, Transport};
use crate::rewrite::{self, Rewrite};
use crate::tables::{Env, Tables};

/// It has just made its flow.
const FRESH: u32 = 1;
/// Another packet has just made it.
const JOINED: u32 = 2;

/// The hook where it came in has translated it.
pub const TRANSLATED: u32 = 4;
/// No flow has its tuple.
pub const UNKNOWN: u32 = 8;

/// How a packet that has just come by its flow is translated.
#[inline(always)]
pub fn how(made: Made) -> u32 {
    match made {
        Made::Fresh => FRESH,
        Made::Joined => JOINED,
    }
}

/// Translates a packet by its flow, if it has one; a [`Stage`] as a number.
#[inline(always)]
pub fn translate<P: Packet, T: Tables<4>, E: Env<4>>(
    hook: Hook,
    packet: &mut P,
    tables: &T,
    env: &E,
    how: u32,
) -> u32 {
    let Some(headers) = tables.headers() else { return Stage::Stray.pack() };
    translated(packet, &headers, &Scene::new(hook, tables, env), how).pack()
}

#[inline(always)]
fn translated<P: Packet, T: Tables<4>, E: Env<4>>(
    packet: &mut P,
    headers: &Headers<4>,
    scene: &Scene<'_, T, E>,
    how: u32,
) -> Stage {
    if !headers.kind().is_tracked() {
        return Stage::Open;
    }
    let tables = scene.tables;
    let mut found = match how & (TRANSLATED | UNKNOWN) {
        0 => conntrack::lookup(tables, &headers.tuple, scene.now),
        _ => Lookup::Miss,
    };
    if how & JOINED != 0 && matches!(found, Lookup::Miss) {
        // Whoever makes the flow has not come as far as its original key.
        found = create::joined(tables);
    }
    let (entry, expired) = match found {
        Lookup::Live(entry) if conntrack::is_anothers(&entry, headers.kind()) => {
            conntrack::tell_to_end(tables, entry.slot, entry.status.generation);
            return Stage::Open;
        }
        Lookup::Live(entry) => (entry, false),
        Lookup::Expired(entry) => (entry, true),
        Lookup::Miss => {
            if scene.hook == Hook::PortOut {
                ways::learn_of_translated(packet, headers, scene);
            }
            return without_flow(scene.hook);
        }
    };
    let anew = conntrack::begins_anew(&entry, headers.kind(), expired);
    if expired && !anew {
        return without_flow(scene.hook);
    }
    if !entry.is_translated_at(scene.hook) || (entry.is_the_hosts_way() && !scene.env.has_loopback()) {
        // Only a node's packets are seen once before the hook that translates them. Elsewhere a flow's tuple
        // in the wrong place is a forgery, or a packet that lost its way, and has no more rights than others.
        return match scene.hook {
            Hook::PortIn => Stage::Verdict(Verdict::InFlow),
            _ => Stage::Stray,
        };
    }
    let loops = entry.is_the_hosts_way();
    let verdict = rewritten(packet, headers, scene, entry, anew, how & FRESH != 0);
    if !scene.hook.is_ingress() && matches!(verdict, Verdict::Established | Verdict::Created) {
        let to = FlowRef::new(entry.slot, entry.status.generation, entry.direction);
        match how >> WAY_SHIFT {
            0 => ways::learn(packet, headers, scene, to),
            number => ways::remember(tables, to, number),
        }
    }
    if loops && verdict.disposition() == Disposition::Forwarded {
        local::by_loopback(packet, headers, scene, verdict)
    } else {
        Stage::Verdict(verdict)
    }
}

/// A packet that leaves the host for a node never opens anything.
#[inline(always)]
fn without_flow(hook: Hook) -> Stage {
    match hook {
        Hook::PortOut => Stage::Verdict(Verdict::NoRule),
        _ => Stage::Open,
    }
}

/// Rewrites a packet by its flow, and counts it there and at the rule.
#[inline(always)]
fn rewritten<P: Packet, T: Tables<4>, E>(
    packet: &mut P,
    headers: &Headers<4>,
    scene: &Scene<'_, T, E>,
    mut entry: Entry<4>,
    anew: bool,
    made: bool,
) -> Verdict {
    let tables = scene.tables;
    if anew {
        if !conntrack::hold(tables, entry.slot, entry.status.generation, scene.now) {
            return Verdict::FlowEnding;
        }
        tables.clear_state(entry.slot, state::OF_CONNECTION);
        entry.status.state &= !state::OF_CONNECTION;
    }
    let fresh = anew || made;
    if !advance(headers, tables, &entry) {
        return Verdict::FlowEnding;
    }
    let traffic = headers.traffic(packet);
    let rewrite = Rewrite { from: headers.tuple, to: entry.translated() };
    let changed = rewrite.from != rewrite.to;
    if rewrite::apply(packet, headers, &rewrite).is_none() {
        return Verdict::RewriteFailed;
    }
    if scene.hook.is_ingress() {
        packet.set_translated();
    }
    tables.record(FlowRef::new(entry.slot, entry.status.generation, entry.direction), traffic, scene.now);
    if entry.status.rule != NO_RULE {
        tables.count_rule(entry.status.rule, entry.direction, traffic, u64::from(fresh));
    }
    if entry.status.kind == Kind::Host as u8 && !changed {
        Verdict::HostFlow
    } else if fresh {
        Verdict::Created
    } else {
        Verdict::Established
    }
}

/// Brings a flow's state up to date with a packet; false when the flow ended under it.
#[inline(always)]
fn advance<T: Tables<4>>(headers: &Headers<4>, tables: &T, entry: &Entry<4>) -> bool {
    let Entry { slot, direction, status, .. } = *entry;
    let mut known = status.state;
    let mut plausible = true;
    if let Transport::Tcp(flags) = headers.kind() {
        if state::outlives_reset(known, direction, headers.kind()) {
            known &= !state::reset_of(direction);
            tables.clear_state(slot, state::reset_of(direction));
        }
        if flags & crate::net::tcp::RST == 0 {
            note(&headers.segment, tables, slot, direction, known, flags);
        } else {
            plausible =
                state::is_plausible_reset(&headers.segment, flags, &expected(tables, slot, direction, known));
        }
    }
    let bits = state::advance(known, direction, headers.kind(), plausible) & !known;
    if bits == 0 {
        return true;
    }
    add(tables, slot, status.generation, bits)
}

/// Adds to a flow's state; false when the flow ended under it.
#[inline(always)]
pub fn add<T: Tables<4>>(tables: &T, slot: u32, generation: u32, bits: u32) -> bool {
    let before = tables.add_state(slot, bits);
    // Whoever ends a flow that is not assured looks at its state once more after he has set its life. So
    // either he has seen these bits, or the end is seen here: then the sender's next try makes a new flow.
    let Some(again) = tables.status(slot) else { return false };
    if again.generation != generation {
        // The slot changed hands before the bits came to it. A reset would end the flow that is there now.
        tables.clear_state(slot, bits & state::RESETS & !before);
        return false;
    }
    !matches!(again.life, life::ENDING | life::FREE)
}

/// Remembers a segment's numbers. They only move forward, in the order of serial numbers (RFC 1982), but for
/// a SYN, which sets them until the connection is established: a later one is an old one sent again, or begins
/// a connection that its receiver has not agreed to (RFC 5961, section 4).
#[inline(always)]
pub fn note<T: Tables<4>>(
    segment: &Segment,
    tables: &T,
    slot: u32,
    direction: Direction,
    known: u32,
    flags: u8,
) {
    let mut end = segment.end(flags);
    let mut ack = if flags & crate::net::tcp::ACK != 0 { segment.ack } else { 0 };
    let sets = flags & crate::net::tcp::SYN != 0 && known & state::ESTABLISHED == 0;
    if known & state::sequence_of(direction) != 0 && !sets {
        let (old_end, old_ack) = tables.numbers(slot, direction);
        if old_end.wrapping_sub(end) as i32 > 0 {
            end = old_end;
        }
        // Zero is none, and not a number to compare with.
        if ack == 0 || (old_ack != 0 && old_ack.wrapping_sub(ack) as i32 > 0) {
            ack = old_ack;
        }
        if end == old_end && ack == old_ack {
            return;
        }
    }
    tables.note_numbers(slot, direction, end, ack);
}

/// What a reset from one direction must look like.
#[inline(always)]
fn expected<T: Tables<4>>(tables: &T, slot: u32, direction: Direction, known: u32) -> Expected {
    let (end, _) = tables.numbers(slot, direction);
    let (other_end, acknowledged) = tables.numbers(slot, direction.other());
    let own = known & state::sequence_of(direction) != 0;
    let other = known & state::sequence_of(direction.other()) != 0;
    Expected {
        end: if own { Some(end) } else { None },
        // Zero is what a segment without the ACK flag leaves.
        acknowledged: if other && acknowledged != 0 { Some(acknowledged) } else { None },
        other_end: if other { Some(other_end) } else { None },
    }
}
