//! External ports: each is found, none is handed out twice, and none outside of the range.

use std::collections::BTreeSet;

use netlab_common::abi::flow::life;
use netlab_common::abi::hook::Hook::UplinkOut;
use netlab_common::abi::verdict::Verdict;
use netlab_common::fake::MemTables;
use netlab_common::tables::Tables;
use proptest::prelude::*;

use crate::kit::checks::{at_rest, leaves_nothing};
use crate::kit::config;
use crate::kit::frames::{End, tuple, udp};
use crate::kit::lab::{Chance, OTHER_SERVER, SERVER, START, hiding, masquerade, play, strict, sweep};

/// The `number`th of the nodes' endpoints; none has a port that the ranges here have.
fn node(number: u32) -> End {
    ([10, 0, 0, 1 + (number / 500) as u8], 1 + (number % 500) as u16)
}

/// The external port of a node's datagram to a server, if it got one.
fn port(tables: &MemTables, env: &Chance, from: End, to: End) -> Option<u16> {
    let outcome = play(tables, env, UplinkOut, &udp(from, to));
    match outcome.verdict {
        Verdict::Created | Verdict::Established => Some(u16::from_be_bytes(tuple(&outcome.frame).sport)),
        Verdict::PortsExhausted => None,
        other => panic!("a datagram came to {other:?}"),
    }
}

/// A range of up to 300 ports, at words' edges and anywhere.
fn range() -> impl Strategy<Value = (u16, u16)> {
    let first = prop_oneof![
        Just(1024u16),
        Just(65_535),
        Just(65_472),
        (16u16..1000).prop_map(|word| word * 64),
        1000u16..
    ];
    (first, 0u16..300).prop_map(|(first, more)| (first, first.saturating_add(more)))
}

/// Takes every port of a range for one remote, and one more. A tick passes before each packet, so that each may
/// try all ports.
fn take_all(
    tables: &MemTables,
    env: &Chance,
    (first, last): (u16, u16),
    to: End,
) -> Result<(), TestCaseError> {
    let mut taken = BTreeSet::new();
    for number in 0..=u32::from(last - first) {
        env.now.set(env.now.get() + 1);
        let port = port(tables, env, node(number), to);
        let port = port.ok_or_else(|| TestCaseError::fail(format!("exhausted after {number} ports")))?;
        prop_assert!((first..=last).contains(&port), "{} is not in {}-{}", port, first, last);
        prop_assert!(taken.insert(port), "{} was handed out twice", port);
    }
    env.now.set(env.now.get() + 1);
    prop_assert_eq!(port(tables, env, node(10_000), to), None);
    at_rest(tables).map_err(TestCaseError::fail)
}

/// Ends a node's flow, and lets its quarantine pass while the others are used.
fn end(tables: &MemTables, env: &Chance, from: End) {
    let original =
        |flow: &netlab_common::abi::flow::Flow<4>| (flow.head.original.src, flow.head.original.sport);
    let flows = tables.flows.borrow().clone();
    let slot = flows.iter().position(|flow| original(flow) == (from.0, from.1.to_be_bytes()));
    tables.change_life(slot.expect("the node has a flow") as u32, life::LIVE, life::DYING);
    env.now.set(env.now.get() + tables.config().quarantine);
    sweep(tables, env);
}

proptest! {
    #![proptest_config(config(16))]

    #[test]
    fn every_port_of_a_range_is_handed_out_once_to_each_remote(range in range(), seed: u64) {
        // One bitmap for all remotes: what the first one has taken is still free for the second.
        let tables = hiding(1000, strict(range.0, range.1));
        let env = Chance::new(START, seed);
        take_all(&tables, &env, range, SERVER)?;
        take_all(&tables, &env, range, OTHER_SERVER)?;
        leaves_nothing(&tables, &env).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn every_port_is_handed_out_whatever_bitmaps_there_are(range in range(), seed: u64, hash_seed: u32) {
        let tables = hiding(4096, strict(range.0, range.1));
        tables.configure(|config| config.seed = hash_seed);
        let env = Chance::new(START, seed);
        for server in 0..3 {
            take_all(&tables, &env, range, ([198, 51, 100, server], 80))?;
        }
        leaves_nothing(&tables, &env).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn a_port_that_is_given_back_is_found_again((first, more) in (2000u16..60_000, 0u16..200), which: prop::sample::Index, seed: u64) {
        let range = (first, first + more);
        let tables = hiding(1000, strict(range.0, range.1));
        let env = Chance::new(START, seed);
        take_all(&tables, &env, range, SERVER)?;
        let leaver = node(which.index(usize::from(more) + 1) as u32);
        let freed = port(&tables, &env, leaver, SERVER);
        end(&tables, &env, leaver);
        prop_assert_eq!(port(&tables, &env, node(9_000), SERVER), freed);
        prop_assert_eq!(port(&tables, &env, node(9_001), SERVER), None);
    }

    /// As many as one tries in any case: then no other remote has to wait for the next tick.
    #[test]
    fn a_small_range_is_never_exhausted_by_other_remotes(first in 2000u16..60_000, more in 0u16..64, seed: u64) {
        let tables = hiding(1000, strict(first, first + more));
        let env = Chance::new(START, seed);
        for server in 0..4 {
            let taken: BTreeSet<_> = (0..=u32::from(more))
                .map(|number| port(&tables, &env, node(number), ([198, 51, 100, server], 80)))
                .collect();
            prop_assert_eq!(taken.len(), usize::from(more) + 1);
            prop_assert!(!taken.contains(&None), "exhausted while a port is free");
        }
    }

    #[test]
    fn a_source_keeps_its_port_where_it_is_free(
        flows in prop::collection::vec((1u8..5, 1u16..6, 0u8..3), 1..60),
        seed: u64,
    ) {
        let tables = hiding(1000, masquerade(40_000, 40_100));
        let env = Chance::new(START, seed);
        let mut outside = BTreeSet::new();
        let mut known = std::collections::BTreeMap::new();
        for (host, number, server) in flows {
            let own = number * 10_000 + 7;
            let to = ([198, 51, 100, server], 80);
            let got = port(&tables, &env, ([10, 0, 0, host], own), to);
            let got = got.ok_or_else(|| TestCaseError::fail("exhausted"))?;
            if let Some(before) = known.insert((host, own, server), got) {
                prop_assert_eq!(got, before, "a flow changed its port");
                continue;
            }
            prop_assert_eq!(got == own, !outside.contains(&(own, server)), "{} became {}", own, got);
            prop_assert!(got == own || (40_000..=40_100).contains(&got));
            prop_assert!(outside.insert((got, server)));
        }
    }
}
