//! Endpoint-independent mapping (RFC 4787, section 4.1): all flows of an internal endpoint have one external
//! endpoint, and others may come in through it as far as its filtering lets them (section 5).

use crate::abi::clock;
use crate::abi::flow::{Direction, FlowRef, Kind, NO_SLOT, Tuple, life};
use crate::abi::hook::Hook;
use crate::abi::rule::{Filtering, MasqueradeTarget};
use crate::conntrack::create::{NewFlow, Ports};
use crate::conntrack::{Entry, find_mapping, hold};
use crate::nat::masquerade;
use crate::packet::Headers;
use crate::tables::Tables;

/// Counts a user of a mapping, unless the mapping is being taken away. Counted first and looked at afterwards:
/// whoever ends the mapping does it in the other order.
#[inline(always)]
pub fn take<const N: usize, T: Tables<N>>(tables: &T, mapping: &Entry<N>, now: u32) -> bool {
    tables.count_user(mapping.slot, true);
    let held = hold(tables, mapping.slot, mapping.status.generation, now);
    if !held {
        tables.count_user(mapping.slot, false);
    }
    held
}

/// The internal endpoint of a packet that leaves, as its mapping's key has it.
#[inline(always)]
pub fn inside<const N: usize>(headers: &Headers<N>) -> Tuple<N> {
    Tuple { dst: [0; N], dport: [0; 2], ..headers.tuple }
}

/// The mapping that a packet wants first which a masquerade with endpoint-independent mapping covers.
#[inline(always)]
pub fn mapping<const N: usize>(headers: &Headers<N>, target: &MasqueradeTarget<N>, now: u32) -> NewFlow<N> {
    let inside = inside(headers);
    NewFlow {
        original: inside,
        reply: Tuple { dst: masquerade::external(target, inside.src), ..inside.inverse() },
        ports: masquerade::ports(target, inside.protocol, inside.sport),
        original_hook: Hook::UplinkOut,
        reply_hook: Hook::UplinkIn,
        kind: Kind::Mapping,
        filtering: target.filtering,
        rule: target.rule,
        mapping: NO_SLOT,
        state: 0,
        now,
    }
}

/// The flow of a packet that leaves through a mapping, which the caller has [taken](take).
#[inline(always)]
pub fn open<const N: usize>(headers: &Headers<N>, mapping: &Entry<N>, now: u32) -> NewFlow<N> {
    let original = headers.tuple;
    NewFlow {
        original,
        reply: Tuple { dst: mapping.other.dst, dport: mapping.other.dport, ..original.inverse() },
        ports: Ports::FIXED,
        original_hook: Hook::UplinkOut,
        reply_hook: Hook::UplinkIn,
        kind: Kind::Flow,
        filtering: 0,
        rule: mapping.status.rule,
        mapping: mapping.slot,
        state: headers.kind().opening_state(),
        now,
    }
}

/// Remembers whom an endpoint sends to, where its mapping's filtering depends on that.
#[inline(always)]
pub fn remember<const N: usize, T: Tables<N>>(tables: &T, headers: &Headers<N>, mapping: &Entry<N>) {
    if mapping.status.filtering == Filtering::AddressDependent as u8 {
        let contact = Tuple { dport: [0; 2], ..headers.tuple };
        let to = FlowRef::new(mapping.slot, mapping.status.generation, Direction::Original);
        tables.add_contact(&contact, to);
    }
}

/// What a mapping says to a packet from the world that belongs to no flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invited {
    /// There is no mapping at its destination.
    Nobody,
    /// Its filtering keeps the packet out.
    Filtered,
    /// It may come in.
    Guest,
}

/// Whether a packet from the world comes to a mapping that lets it in. `mapping` is what its destination leads
/// to.
#[inline(always)]
pub fn invites<const N: usize, T: Tables<N>>(
    tables: &T,
    headers: &Headers<N>,
    mapping: &Entry<N>,
    now: u32,
) -> Invited {
    // A mapping whose last flow is gone lets nobody in any more, whether or not it was swept.
    let unused = mapping.status.users == 0
        && clock::since(now, tables.last_seen(mapping.slot)) >= tables.config().quarantine;
    if mapping.slot == NO_SLOT || unused || mapping.status.life != life::LIVE {
        return Invited::Nobody;
    }
    if mapping.status.filtering == Filtering::EndpointIndependent as u8 {
        return Invited::Guest;
    }
    if mapping.status.filtering == Filtering::AddressDependent as u8 {
        let contact = Tuple { dst: headers.tuple.src, dport: [0; 2], ..mapping.other };
        let own = FlowRef::new(mapping.slot, mapping.status.generation, Direction::Original);
        if tables.contact(&contact) == Some(own) {
            return Invited::Guest;
        }
    }
    Invited::Filtered
}

/// The mapping that a packet from the world comes to; an entry with [`NO_SLOT`] if there is none.
#[inline(always)]
pub fn at_destination<const N: usize, T: Tables<N>>(tables: &T, headers: &Headers<N>) -> Entry<N> {
    find_mapping(tables, &Tuple { src: [0; N], sport: [0; 2], ..headers.tuple })
}

/// The flow of a packet from the world that a mapping lets in, which the caller has [taken](take).
#[inline(always)]
pub fn admit<const N: usize>(headers: &Headers<N>, mapping: &Entry<N>, now: u32) -> NewFlow<N> {
    let inside = mapping.other;
    NewFlow {
        original: headers.tuple,
        reply: Tuple { src: inside.src, sport: inside.sport, ..headers.tuple.inverse() },
        ports: Ports::FIXED,
        original_hook: Hook::UplinkIn,
        reply_hook: Hook::UplinkOut,
        kind: Kind::Flow,
        filtering: 0,
        rule: mapping.status.rule,
        mapping: mapping.slot,
        state: headers.kind().opening_state(),
        now,
    }
}

/// The flow of a packet of one internal endpoint, whose mapping is `own` and [taken](take), to another one by that
/// one's mapping. Both directions are met where nodes' packets come in.
#[inline(always)]
pub fn between<const N: usize>(
    headers: &Headers<N>,
    own: &Entry<N>,
    invites: &Entry<N>,
    now: u32,
) -> NewFlow<N> {
    inwards(open(headers, own, now), invites)
}

/// A flow to the world, led back to the internal endpoint that the world's side of it is mapped to.
#[inline(always)]
pub fn inwards<const N: usize>(flow: NewFlow<N>, invites: &Entry<N>) -> NewFlow<N> {
    let inside = invites.other;
    NewFlow {
        reply: Tuple { src: inside.src, sport: inside.sport, ..flow.reply },
        original_hook: Hook::PortIn,
        reply_hook: Hook::PortIn,
        ..flow
    }
}
