//! Mappings that several CPUs make, use, leave and end at once.

use netlab_common::abi::config::Timeout;
use netlab_common::abi::flow::life;
use netlab_common::abi::hook::Hook::{UplinkIn, UplinkOut};
use netlab_common::abi::rule::Filtering;
use netlab_common::abi::verdict::{Disposition, Verdict};
use netlab_common::fake::MemTables;
use netlab_common::tables::Tables;

use crate::cpu::Act;
use crate::explore::{End, Scenario, depth, explore, went_on};
use crate::kit::frames::{End as Endpoint, tuple, udp};
use crate::kit::lab::{
    CLIENT, Chance, EARTH, HOST, MARS, OTHER_SERVER, SERVER, START, flows, hiding, mapped, play, sweep,
};

const NODE: Endpoint = (EARTH, 5_000);
const OUTSIDE: Endpoint = (HOST, 5_000);

fn lab(capacity: u32) -> MemTables {
    hiding(capacity, mapped(40_000, 40_063, Filtering::EndpointIndependent))
}

fn sends(to: Endpoint) -> Act {
    Act::Packet(UplinkOut, udp(NODE, to))
}

/// Flows, and mappings.
fn counts(tables: &MemTables) -> (usize, usize) {
    let flows = flows(tables).len();
    (flows, tables.live().len() - flows)
}

/// All that left did so from one external endpoint.
fn one_outside(end: &End<'_>) {
    let mut outside = end
        .outcomes
        .iter()
        .flatten()
        .filter(|outcome| outcome.verdict.disposition() == Disposition::Forwarded)
        .map(|outcome| (tuple(&outcome.frame).src, tuple(&outcome.frame).sport));
    let first = outside.next();
    assert!(outside.all(|other| Some(other) == first), "an endpoint has two external ones");
}

#[test]
fn two_flows_of_a_new_endpoint_make_one_mapping_and_both_go_on() {
    let cpus = vec![vec![sends(SERVER)], vec![sends(OTHER_SERVER)]];
    explore(&Scenario::new(lab(6), cpus), depth(), |end| {
        went_on(end);
        one_outside(end);
        assert_eq!(counts(end.tables), (2, 1));
    });
}

#[test]
fn two_packets_of_a_new_endpoints_flow_make_one_flow_and_one_mapping() {
    let cpus = vec![vec![sends(SERVER)]; 2];
    explore(&Scenario::new(lab(6), cpus), depth(), |end| {
        went_on(end);
        one_outside(end);
        assert_eq!(counts(end.tables), (1, 1));
    });
}

#[test]
fn two_endpoints_with_the_same_port_get_different_mappings() {
    let cpus = [EARTH, MARS].map(|node| vec![Act::Packet(UplinkOut, udp((node, 5_000), SERVER))]);
    explore(&Scenario::new(lab(8), cpus.to_vec()), depth(), |end| {
        went_on(end);
        let [one, two] = [0, 1].map(|cpu| tuple(&end.outcomes[cpu][0].frame).sport);
        assert_ne!(one, two);
        assert_eq!(counts(end.tables), (2, 2));
    });
}

#[test]
fn two_flows_through_a_mapping_are_counted_both() {
    let tables = lab(6);
    let env = Chance::new(START, 7);
    play(&tables, &env, UplinkOut, &udp(NODE, SERVER));
    let guest = Act::Packet(UplinkIn, udp(CLIENT, OUTSIDE));
    explore(&Scenario::new(tables, vec![vec![sends(OTHER_SERVER)], vec![guest]]), depth(), |end| {
        went_on(end);
        assert_eq!(counts(end.tables), (3, 1));
    });
}

#[test]
fn a_flow_is_made_through_a_mapping_whose_last_flow_is_swept() {
    let tables = lab(6);
    let env = Chance::new(START, 7);
    play(&tables, &env, UplinkOut, &udp(NODE, SERVER));
    let ticks = tables.timeout(Timeout::UdpUnreplied) + tables.config().quarantine;
    let cpus = vec![vec![Act::Sweep], vec![sends(OTHER_SERVER)]];
    explore(&Scenario::new(tables, cpus).after(ticks), depth(), |end| {
        went_on(end);
        assert_eq!(counts(end.tables), (1, 1));
    });
}

/// A lab with a mapping that no flow uses, and the ticks from the start after which it may be swept.
fn unused(capacity: u32) -> (MemTables, u32) {
    let tables = lab(capacity);
    let env = Chance::new(START, 7);
    play(&tables, &env, UplinkOut, &udp(NODE, SERVER));
    let quarantine = tables.config().quarantine;
    let ticks = tables.timeout(Timeout::UdpUnreplied) + quarantine;
    env.now.set(START + ticks);
    sweep(&tables, &env);
    assert_eq!(counts(&tables), (0, 1));
    (tables, ticks + quarantine)
}

#[test]
fn an_unused_mapping_is_used_again_or_ends_while_it_is_swept() {
    let (tables, ticks) = unused(6);
    let cpus = vec![vec![Act::Sweep], vec![sends(OTHER_SERVER)]];
    explore(&Scenario::new(tables, cpus).after(ticks), depth(), |end| {
        one_outside(end);
        match end.outcomes[1][0].verdict {
            Verdict::Created => assert_eq!(counts(end.tables), (1, 1)),
            other => assert_eq!(other, Verdict::FlowEnding),
        }
    });
}

#[test]
fn a_mapping_that_a_packet_found_ending_is_no_hindrance_to_the_next() {
    let (tables, ticks) = unused(6);
    let cpus = vec![vec![Act::Sweep], vec![sends(OTHER_SERVER), sends(SERVER)]];
    explore(&Scenario::new(tables, cpus).after(ticks), depth(), |end| {
        let scratch = end.tables.clone();
        let next = play(&scratch, &Chance::new(START + ticks, 3), UplinkOut, &udp(NODE, SERVER));
        assert_eq!(next.verdict.disposition(), Disposition::Forwarded);
    });
}

#[test]
fn an_unused_mapping_that_is_evicted_makes_room_for_one_of_another_endpoint() {
    // Two slots: for the other endpoint's mapping and its flow, the unused one must go.
    let (tables, ticks) = unused(2);
    let other = Act::Packet(UplinkOut, udp((MARS, 6_000), SERVER));
    let cpus = vec![vec![other], vec![sends(OTHER_SERVER)]];
    explore(&Scenario::new(tables, cpus).after(ticks), depth(), |_| {});
}

#[test]
fn a_refused_flow_is_no_user_of_its_mapping() {
    let tables = lab(6);
    tables.configure(|config| config.per_source = 2);
    let cpus = vec![vec![sends(SERVER)], vec![sends(OTHER_SERVER), sends(CLIENT)]];
    explore(&Scenario::new(tables, cpus), depth(), |end| {
        let refused = |verdict| matches!(verdict, Verdict::SourceQuota);
        assert!(end.outcomes.iter().flatten().any(|outcome| refused(outcome.verdict)));
    });
}

#[test]
fn a_removed_mapping_makes_way_for_the_next_one_at_once() {
    let (tables, ticks) = unused(6);
    // The user has removed it before; then two of its endpoint's packets come, and a sweep.
    assert!(tables.change_life(0, life::LIVE, life::DOOMED));
    let cpus = vec![vec![Act::Sweep], vec![sends(OTHER_SERVER), sends(SERVER)]];
    explore(&Scenario::new(tables, cpus).after(ticks), depth(), |end| {
        let scratch = end.tables.clone();
        let next = play(&scratch, &Chance::new(START + ticks, 3), UplinkOut, &udp(NODE, CLIENT));
        assert_eq!(next.verdict, Verdict::Created, "a removed mapping is in the way");
    });
}

#[test]
fn a_flow_that_was_removed_with_its_mapping_there_is_never_called_exhausted_ports() {
    let tables = lab(6);
    play(&tables, &Chance::new(START, 7), UplinkOut, &udp(NODE, SERVER));
    let cpus = vec![vec![Act::Remove(1, 0), Act::Sweep], vec![sends(SERVER)]];
    explore(&Scenario::new(tables, cpus), depth(), |end| {
        let verdict = end.outcomes[1][0].verdict;
        let fair = [Verdict::Established, Verdict::Created, Verdict::FlowEnding];
        assert!(fair.contains(&verdict), "{verdict:?}");
    });
}
