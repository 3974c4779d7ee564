//! Two packets that open flows at once: the same flow, or two that want the same port.

use netlab_common::abi::hook::Hook::{self, UplinkIn, UplinkOut};
use netlab_common::abi::verdict::{Disposition, Verdict};

use crate::cpu::Act;
use crate::explore::{End, Scenario, depth, explore, went_on};
use crate::kit::frames::{End as Endpoint, answer, ping, syn, tuple, udp};
use crate::kit::lab::{
    CLIENT, Chance, EARTH, HOST, MARS, Outcome, SERVER, START, flows, forward, hiding, masquerade, only_flow,
    play, strict, tables,
};
use netlab_common::net::tcp::{ACK, SYN};

const EARTH_5000: Endpoint = (EARTH, 5_000);
const MARS_5000: Endpoint = (MARS, 5_000);

fn both(hook: Hook, frame: &[u8]) -> Vec<Vec<Act>> {
    vec![vec![Act::Packet(hook, frame.to_vec())]; 2]
}

/// All packets went on, all as the same bytes, by one flow, which brings the answer back.
fn as_one_flow(end: &End<'_>) {
    let outcomes: Vec<_> = end.outcomes.iter().flatten().collect();
    for outcome in &outcomes {
        assert_eq!(outcome.verdict.disposition(), Disposition::Forwarded, "{outcome:?}");
        assert_eq!(outcome.frame, outcomes[0].frame, "two packets of one flow left as two");
    }
    assert_eq!(outcomes.iter().filter(|outcome| outcome.verdict == Verdict::Created).count(), 1);
    only_flow(end.tables);
    assert_eq!(flows(end.tables)[0].head.reply, tuple(&outcomes[0].frame).inverse());
}

/// Each packet made a flow of its own, and each flow's answer finds its way back.
fn as_two_flows(end: &End<'_>) {
    for outcome in end.outcomes.iter().flatten() {
        assert_eq!(outcome.verdict, Verdict::Created);
    }
    assert_eq!(flows(end.tables).len(), 2);
    let [one, two] = [0, 1].map(|cpu| tuple(&end.outcomes[cpu][0].frame));
    assert_ne!(one, two, "two flows look the same from outside");
    let scratch = end.tables.clone();
    for outcome in end.outcomes.iter().flatten() {
        let back = answer(&outcome.frame, SYN | ACK);
        let back = play(&scratch, &Chance::new(START, 9), UplinkIn, &back);
        assert_eq!(back.verdict, Verdict::Established);
        assert_eq!(tuple(&back.frame).dport, [0x13, 0x88], "the node's port is not the one it sent from");
    }
}

#[test]
fn two_packets_of_one_flow_make_one_flow_and_both_go_on() {
    for frame in [syn(EARTH_5000, SERVER), udp(EARTH_5000, SERVER), ping(EARTH_5000, SERVER.0)] {
        let tables = hiding(4, masquerade(40_000, 40_003));
        explore(&Scenario::new(tables, both(UplinkOut, &frame)), depth(), |end| {
            as_one_flow(end);
            let sent = tuple(&end.outcomes[0][0].frame);
            assert_eq!(sent.sport, tuple(&frame).sport, "the race was won by another port");
        });
    }
}

#[test]
fn two_packets_of_one_flow_make_one_flow_where_its_port_is_not_kept() {
    let tables = hiding(4, strict(40_000, 40_063));
    explore(&Scenario::new(tables, both(UplinkOut, &syn(EARTH_5000, SERVER))), depth(), as_one_flow);
}

#[test]
fn two_packets_of_one_flow_make_one_flow_where_another_flow_has_its_port() {
    let tables = hiding(4, masquerade(40_000, 40_063));
    play(&tables, &Chance::new(START, 0), UplinkOut, &syn(MARS_5000, SERVER));
    let packets = both(UplinkOut, &syn(EARTH_5000, SERVER));
    explore(&Scenario::new(tables, packets), depth(), |end| {
        for outcome in end.outcomes.iter().flatten() {
            assert_eq!(outcome.verdict.disposition(), Disposition::Forwarded);
            assert_eq!(outcome.frame, end.outcomes[0][0].frame);
        }
        assert_eq!(flows(end.tables).len(), 2);
    });
}

#[test]
fn two_packets_of_one_flow_share_the_last_slot() {
    let tables = hiding(1, masquerade(40_000, 40_003));
    explore(&Scenario::new(tables, both(UplinkOut, &udp(EARTH_5000, SERVER))), depth(), |end| {
        let [one, two] = [0, 1].map(|cpu| &end.outcomes[cpu][0]);
        // As long as the other's flow has no key at all, nobody can know that it is this one; and it may have to
        // make room as soon as it is there.
        let sent = |outcome: &Outcome| outcome.verdict.disposition() == Disposition::Forwarded;
        assert!(sent(one) || sent(two), "{one:?} {two:?}");
        only_flow(end.tables);
    });
}

#[test]
fn two_hosts_with_the_same_port_get_different_ones() {
    let cpus = [EARTH_5000, MARS_5000].map(|from| vec![Act::Packet(UplinkOut, syn(from, SERVER))]);
    let tables = hiding(4, masquerade(40_000, 40_003));
    explore(&Scenario::new(tables, cpus.to_vec()), depth(), as_two_flows);
}

#[test]
fn two_hosts_share_the_last_two_ports_of_a_range() {
    let cpus = [EARTH_5000, MARS_5000].map(|from| vec![Act::Packet(UplinkOut, syn(from, SERVER))]);
    let tables = hiding(4, strict(40_000, 40_001));
    explore(&Scenario::new(tables, cpus.to_vec()), depth(), as_two_flows);
}

#[test]
fn one_of_two_hosts_gets_the_last_port_and_the_other_is_refused() {
    let cpus = [EARTH_5000, MARS_5000].map(|from| vec![Act::Packet(UplinkOut, syn(from, SERVER))]);
    explore(&Scenario::new(hiding(4, strict(40_000, 40_000)), cpus.to_vec()), depth(), |end| {
        let mut verdicts: Vec<_> = end.outcomes.iter().flatten().map(|outcome| outcome.verdict).collect();
        verdicts.sort_unstable();
        assert_eq!(verdicts, [Verdict::Created, Verdict::PortsExhausted]);
    });
}

#[test]
fn two_packets_through_a_forward_with_one_target_make_one_flow() {
    let mut tables = tables(4);
    forward(&mut tables, 8_000, &[(EARTH, 80)]);
    explore(&Scenario::new(tables, both(UplinkIn, &syn(CLIENT, (HOST, 8_000)))), depth(), as_one_flow);
}

#[test]
fn two_packets_through_a_forward_with_three_targets_go_to_one_of_them() {
    let mut tables = tables(4);
    forward(&mut tables, 8_000, &[(EARTH, 80), (MARS, 80), (EARTH, 81)]);
    explore(&Scenario::new(tables, both(UplinkIn, &syn(CLIENT, (HOST, 8_000)))), depth(), as_one_flow);
}

#[test]
fn a_forwards_client_port_that_two_flows_want_goes_to_one_of_them() {
    let mut tables = tables(4);
    forward(&mut tables, 8_000, &[(EARTH, 80)]);
    let other = netlab_common::abi::rule::ForwardKey {
        port: 3_000u16.to_be_bytes(),
        ..*tables.forward_ports.keys().next().expect("there is a forward")
    };
    let to = *tables.forward_ports.values().next().expect("there is a forward");
    tables.forward_ports.insert(other, to);
    let cpus = [8_000, 3_000].map(|port| vec![Act::Packet(UplinkIn, syn(CLIENT, (HOST, port)))]);
    explore(&Scenario::new(tables, cpus.to_vec()), depth(), |end| {
        went_on(end);
        assert_eq!(flows(end.tables).len(), 2);
    });
}

#[test]
fn the_hosts_flow_and_a_nodes_never_get_each_others_answers() {
    let cpus = [(HOST, 5_000), EARTH_5000].map(|from| vec![Act::Packet(UplinkOut, syn(from, SERVER))]);
    explore(&Scenario::new(hiding(4, masquerade(40_000, 40_003)), cpus.to_vec()), depth(), |end| {
        let [host, node] = [0, 1].map(|cpu| &end.outcomes[cpu][0]);
        assert!(matches!(host.verdict, Verdict::HostFlow | Verdict::Created), "{host:?}");
        assert_eq!(node.verdict, Verdict::Created);
        assert_ne!(tuple(&host.frame), tuple(&node.frame));
    });
}
