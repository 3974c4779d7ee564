//! The flow table under random packets: no two flows share what tells them apart, nothing leaks, and a flow's
//! state does not depend on the order in which two CPUs saw its packets.

use std::collections::BTreeSet;

use netlab_common::abi::clock;
use netlab_common::abi::event::Event;
use netlab_common::abi::flow::{Direction, Tuple};
use netlab_common::abi::hook::Hook;
use netlab_common::conntrack::state;
use netlab_common::net::tcp::{ACK, FIN, RST, SYN};
use netlab_common::packet::Transport;
use netlab_tests::host::Host;
use netlab_tests::packet::Packet;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;

use super::strategies::{config, hook, mapping_rules, packet, rules};

/// What the remote sees of a flow: its packets to us.
fn seen_from_outside(host: &Host) -> Vec<Tuple<4>> {
    host.tables
        .live()
        .iter()
        .map(|flow| {
            let masqueraded = flow.head.original_hook == Hook::UplinkOut as u8;
            if masqueraded { flow.head.reply } else { flow.head.original }
        })
        .collect()
}

fn assert_distinct(what: &str, tuples: &[Tuple<4>]) -> Result<(), TestCaseError> {
    let distinct: BTreeSet<_> = tuples.iter().collect();
    prop_assert_eq!(distinct.len(), tuples.len(), "two flows share {}: {:?}", what, tuples);
    Ok(())
}

/// A packet's part in a flow's state.
type Segment = (Direction, Transport, bool);

fn segment() -> impl Strategy<Value = Segment> {
    let flags = prop::bits::u8::masked(FIN | SYN | RST | ACK);
    (select(&[Direction::Original, Direction::Reply][..]), flags, any::<bool>())
        .prop_map(|(direction, flags, plausible)| (direction, Transport::Tcp(flags), plausible))
}

/// A flow that begins, by a SYN or in the middle.
fn start() -> impl Strategy<Value = u32> {
    select(&[0, state::PICKED_UP][..])
}

fn after(start: u32, segments: &[Segment]) -> u32 {
    segments.iter().fold(start, |bits, (direction, what, plausible)| {
        bits | state::advance(bits, *direction, *what, *plausible)
    })
}

/// Whether a segment may be the acknowledgement of the other, a SYN's answer. It is sent only once the other
/// was received, which is once this host has recorded it, so no CPU sees the two in the other order.
fn acknowledges(one: Segment, other: Segment) -> bool {
    let has = |(_, what, _): Segment, flag| matches!(what, Transport::Tcp(flags) if flags & flag != 0);
    one.0 == Direction::Original && has(one, ACK) && other.0 == Direction::Reply && has(other, SYN)
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn live_flows_never_share_a_reply_nor_an_outside(
        packets in prop::collection::vec((hook(), packet(), 0u32..100, 0u32..8), 1..300),
        random: u32,
        room in select(&[8u32, 48, 512][..]),
        mappings: bool,
    ) {
        let rules = if mappings { mapping_rules() } else { rules() };
        let host = Host::new(&rules.room(room));
        host.env.next.set(random);
        for (hook, packet, seconds, what) in packets {
            match what {
                // For some time there is no agent.
                0 => host.wait_alone(clock::from_seconds(seconds)),
                1 => {
                    host.sweep();
                }
                2 if seconds == 0 => host.end_flows(),
                _ => host.wait(clock::from_seconds(seconds)),
            }
            host.run(hook, &packet.frame());
        }
        let replies: Vec<_> = host.tables.live().iter().map(|flow| flow.head.reply).collect();
        assert_distinct("a reply", &replies)?;
        assert_distinct("an outside", &seen_from_outside(&host))?;
        // Gives up unless each flow has its two keys, each key its flow, each slot is in use or free, and ports,
        // sources and mappings are counted as they are held.
        let _ = host.state();
    }
}

proptest! {
    #![proptest_config(config(4096))]

    #[test]
    fn two_packets_make_the_same_state_in_either_order(
        start in start(),
        before in prop::collection::vec(segment(), 0..6),
        one in segment(),
        other in segment(),
    ) {
        if acknowledges(one, other) || acknowledges(other, one) {
            return Ok(());
        }
        let start = after(start, &before);
        prop_assert_eq!(after(start, &[one, other]), after(start, &[other, one]));
    }

    #[test]
    fn an_acknowledgement_seen_too_early_is_made_good_by_the_next(
        start in start(),
        before in prop::collection::vec(segment(), 0..6),
        one in segment(),
        other in segment(),
    ) {
        let start = after(start, &before);
        let next = (Direction::Original, Transport::Tcp(ACK), true);
        prop_assert_eq!(after(start, &[one, other, next]), after(start, &[other, one, next]));
    }

    #[test]
    fn state_bits_are_only_ever_added(start in start(), before in prop::collection::vec(segment(), 0..12)) {
        let mut bits = start;
        for segment in before {
            let then = after(bits, &[segment]);
            prop_assert_eq!(then & bits, bits);
            bits = then;
        }
    }
}

/// If random packets never met a rule, a flow or a limit, the properties above would show nothing.
#[test]
fn random_packets_meet_rules_flows_and_limits() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut verdicts = BTreeSet::new();
    for room in [48, 4096] {
        let host = Host::new(&rules().room(room));
        for _ in 0..12_000 {
            let tree = (hook(), packet()).new_tree(&mut runner).expect("a strategy without filters");
            let (hook, packet): (_, Packet) = tree.current();
            verdicts.insert(host.run(hook, &packet.frame()).0.name());
        }
        assert_eq!(host.tables.event(Event::Evicted) > 0, room == 48, "little room is too little");
        let hooks: BTreeSet<u8> = host.tables.live().iter().map(|flow| flow.head.original_hook).collect();
        assert!(hooks.len() >= 3, "flows to the world, from it, and from nodes to nodes: {hooks:?}");
    }
    for name in ["created", "established", "in_flow", "ports_exhausted", "no_flow", "not_syn"] {
        assert!(verdicts.contains(name), "no random packet came to {name}: {verdicts:?}");
    }
}
