//! Rules: whom a forward serves and where it leads, and behind what a masquerade hides whom.

use std::collections::BTreeMap;

use netlab_common::abi::hook::Hook::{UplinkIn, UplinkOut};
use netlab_common::abi::rule::{ForwardKey, ForwardPort, MasqueradeTarget, Zone};
use netlab_common::abi::verdict::Verdict;
use netlab_common::fake::MemTables;
use netlab_common::net::protocol::TCP;
use proptest::prelude::*;

use crate::kit::checks::at_rest;
use crate::kit::config;
use crate::kit::frames::{End, ping, syn, tuple, udp};
use crate::kit::lab::{
    CLIENT, Chance, EARTH, HOST, SERVER, START, forward, hiding, masquerade, play, tables,
};

/// Where a client's SYN to a port of the host's was sent on to.
fn target(tables: &MemTables, env: &Chance, from: End, port: u16) -> Result<End, Verdict> {
    let outcome = play(tables, env, UplinkIn, &syn(from, (HOST, port)));
    let tuple = tuple(&outcome.frame);
    match outcome.verdict {
        Verdict::Created | Verdict::Established => Ok((tuple.dst, u16::from_be_bytes(tuple.dport))),
        other => Err(other),
    }
}

/// A prefix and whether an address is within it, worked out bit by bit.
fn is_within(address: [u8; 4], prefix: [u8; 4], len: u8) -> bool {
    let bit = |of: [u8; 4], index: u8| of[usize::from(index / 8)] >> (7 - index % 8) & 1;
    (0..len).all(|index| bit(address, index) == bit(prefix, index))
}

fn port_of(frame: &[u8]) -> u16 {
    u16::from_be_bytes(tuple(frame).sport)
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn new_flows_take_a_forwards_targets_in_turn_and_keep_theirs(targets in 1usize..=16, clients in 1u16..200, seed: u64) {
        let mut tables = tables(256);
        let all: Vec<End> = (0..targets).map(|number| ([10, 0, 0, 1 + number as u8], 8_000 + number as u16)).collect();
        forward(&mut tables, 80, &all);
        let env = Chance::new(START, seed);
        let mut served = BTreeMap::new();
        for client in 0..clients {
            let from = (CLIENT.0, 1_024 + client);
            let first = target(&tables, &env, from, 80);
            prop_assert_eq!(target(&tables, &env, from, 80), first, "a flow changed its target");
            *served.entry(first.map_err(|verdict| TestCaseError::fail(format!("{verdict:?}")))?).or_insert(0u16) += 1;
        }
        prop_assert!(served.keys().all(|to| all.contains(to)));
        let most = served.values().max().copied().unwrap_or(0);
        let least = all.iter().map(|to| served.get(to).copied().unwrap_or(0)).min().unwrap_or(0);
        prop_assert!(most - least <= 1, "uneven: {:?}", served);
    }

    #[test]
    fn a_restricted_forward_serves_exactly_the_sources_of_its_list(
        list in prop::collection::vec((any::<[u8; 4]>(), 0u8..=32), 0..6),
        near in any::<prop::sample::Index>(),
        flip in 0u8..40,
        from: [u8; 4],
    ) {
        let mut tables = tables(16);
        forward(&mut tables, 80, &[(EARTH, 80)]);
        tables.forwards.borrow_mut().get_mut(&1).expect("the forward is there").restricted = 1;
        tables.allow = list.iter().map(|(prefix, len)| (1, *prefix, *len)).collect();
        // Another rule's list says nothing of this one.
        tables.allow.push((2, [0; 4], 0));
        // A source that differs from a prefix of the list in at most one bit, or any.
        let mut source = if list.is_empty() { from } else { near.get(&list).0 };
        if flip < 32 {
            source[usize::from(flip / 8)] ^= 0x80 >> (flip % 8);
        }
        prop_assume!(!is_within(source, [10, 0, 0, 0], 24) && source != HOST);
        let allowed = list.iter().any(|(prefix, len)| is_within(source, *prefix, *len));
        let expected = if allowed { Ok((EARTH, 80)) } else { Err(Verdict::NotAllowed) };
        prop_assert_eq!(target(&tables, &Chance::new(START, 1), (source, 5_555), 80), expected);
    }

    #[test]
    fn each_port_of_a_forwarded_range_leads_as_far_into_the_targets(
        first in 1u16..60_000,
        count in 1u16..500,
        inside in 1u16..60_000,
        which: prop::sample::Index,
    ) {
        let mut tables = tables(16);
        forward(&mut tables, first, &[(EARTH, inside)]);
        for offset in 0..count {
            let key = ForwardKey { address: HOST, port: (first + offset).to_be_bytes(), protocol: TCP, pad: 0 };
            tables.forward_ports.insert(key, ForwardPort { rule: 1, offset, pad: 0 });
        }
        let offset = which.index(usize::from(count)) as u16;
        let env = Chance::new(START, 1);
        prop_assert_eq!(target(&tables, &env, CLIENT, first + offset), Ok((EARTH, inside + offset)));
        prop_assert_eq!(target(&tables, &env, CLIENT, first + count), Err(Verdict::NoRule));
        prop_assert_eq!(target(&tables, &env, CLIENT, first - 1), Err(Verdict::NoRule));
    }

    #[test]
    fn a_clients_port_is_kept_towards_a_target_unless_another_of_its_flows_has_it(
        ports in prop::collection::vec((1_024u16..1_030, 0u16..4), 1..24),
        seed: u64,
    ) {
        // Four ports of the host's lead to one and the same target.
        let mut tables = tables(256);
        for number in 0..4 {
            forward(&mut tables, 8_000 + number, &[(EARTH, 80)]);
        }
        let env = Chance::new(START, seed);
        let mut seen = BTreeMap::new();
        for (own, number) in ports {
            let outcome = play(&tables, &env, UplinkIn, &syn((CLIENT.0, own), (HOST, 8_000 + number)));
            let got = port_of(&outcome.frame);
            if outcome.verdict == Verdict::Established {
                prop_assert_eq!(seen.get(&got), Some(&(own, number)));
                continue;
            }
            prop_assert_eq!(outcome.verdict, Verdict::Created);
            prop_assert_eq!(got == own, !seen.contains_key(&own));
            prop_assert_eq!(seen.insert(got, (own, number)), None, "the target sees two flows as one");
        }
        at_rest(&tables).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn a_source_always_has_the_same_address_of_a_pool(
        addresses in 1u32..=64,
        hosts in prop::collection::vec(any::<u8>(), 1..40),
        seed: u64,
    ) {
        let mut tables = hiding(1_024, MasqueradeTarget { addresses, ..masquerade(40_000, 41_000) });
        tables.zones.push((HOST, 26, Zone::Pool));
        let env = Chance::new(START, seed);
        let mut of_host = BTreeMap::new();
        for (number, host) in hosts.iter().enumerate() {
            let (from, to) = (([10, 0, 0, *host], 5_000 + number as u16), ([198, 51, 100, number as u8], 80));
            for frame in [syn(from, to), udp(from, to), ping(from, to.0)] {
                let outcome = play(&tables, &env, UplinkOut, &frame);
                prop_assert_eq!(outcome.verdict, Verdict::Created);
                let address = tuple(&outcome.frame).src;
                let step = u32::from_be_bytes(address).wrapping_sub(u32::from_be_bytes(HOST));
                prop_assert!(step < addresses, "{:?} is not in the pool", address);
                prop_assert_eq!(*of_host.entry(*host).or_insert(address), address);
            }
        }
    }

    #[test]
    fn a_port_outside_of_the_range_is_kept_only_if_the_range_was_nobodys_wish(
        port in 1u16..,
        first in 1u16..,
        more in 0u16..1_000,
        keep_any: bool,
        seed: u64,
    ) {
        let last = first.saturating_add(more);
        let target = MasqueradeTarget { keep_any: u8::from(keep_any), ..masquerade(first, last) };
        let env = Chance::new(START, seed);
        let tables = hiding(4, target);
        let got = port_of(&play(&tables, &env, UplinkOut, &udp((EARTH, port), SERVER)).frame);
        let inside = (first..=last).contains(&port);
        prop_assert_eq!(got == port, inside || keep_any);
        prop_assert!(keep_any || (first..=last).contains(&got));
        // An identifier is no port: it is always kept where it is free.
        let echo = play(&tables, &env, UplinkOut, &ping((EARTH, port), SERVER.0));
        prop_assert_eq!(tuple(&echo.frame).sport, port.to_be_bytes());
        at_rest(&tables).map_err(TestCaseError::fail)?;
    }
}

/// Few sources spread over few addresses by chance; many must use all of them.
#[test]
fn a_pools_addresses_are_all_used_by_many_sources() {
    let mut tables = hiding(1_024, MasqueradeTarget { addresses: 8, ..masquerade(40_000, 41_000) });
    tables.zones.push((HOST, 29, Zone::Pool));
    let env = Chance::new(START, 1);
    let mut used = BTreeMap::new();
    for host in 0..=255 {
        let outcome = play(&tables, &env, UplinkOut, &udp(([10, 0, 0, host], 5_000), SERVER));
        *used.entry(tuple(&outcome.frame).src).or_insert(0) += 1;
    }
    assert_eq!(used.len(), 8);
    assert!(used.values().all(|&count| (16..=64).contains(&count)), "{used:?}");
}
