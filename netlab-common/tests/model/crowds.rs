//! Three CPUs at once, and CPUs whose clocks differ by a tick.

use netlab_common::abi::config::Timeout;
use netlab_common::abi::flow::life;
use netlab_common::abi::hook::Hook::{UplinkIn, UplinkOut};
use netlab_common::abi::rule::Filtering;
use netlab_common::abi::verdict::{Disposition, Verdict};
use netlab_common::tables::Tables;

use crate::cpu::Act;
use crate::explore::{Depth, Scenario, depth, explore, went_on};
use crate::kit::frames::{syn, tuple, udp};
use crate::kit::lab::{
    CLIENT, Chance, EARTH, HOST, MARS, OTHER_SERVER, SERVER, START, flows, forward, hiding, mapped,
    masquerade, only_flow, play, tables,
};

/// Enough for what three CPUs do in few steps.
const TWO: Depth = Depth { preemptions: 2 };

/// What three CPUs do in many steps has too many schedules for every run.
fn crowded() -> Depth {
    Depth { preemptions: depth().preemptions - 1 }
}

fn sends(from: [u8; 4], port: u16) -> Act {
    Act::Packet(UplinkOut, udp((from, port), SERVER))
}

#[test]
fn three_packets_of_one_flow_make_one_flow_and_all_go_on() {
    let tables = hiding(4, masquerade(40_000, 40_003));
    explore(&Scenario::new(tables, vec![vec![sends(EARTH, 5_000)]; 3]), TWO, |end| {
        went_on(end);
        only_flow(end.tables);
    });
}

#[test]
fn three_packets_through_a_forward_with_three_targets_go_to_one_of_them() {
    let mut tables = tables(4);
    forward(&mut tables, 8_000, &[(EARTH, 80), (MARS, 80), (EARTH, 81)]);
    let act = Act::Packet(UplinkIn, syn(CLIENT, (HOST, 8_000)));
    explore(&Scenario::new(tables, vec![vec![act]; 3]), TWO, |end| {
        went_on(end);
        let to = only_flow(end.tables).head.reply.inverse();
        assert!(end.outcomes.iter().flatten().any(|outcome| tuple(&outcome.frame) == to));
    });
}

#[test]
fn three_hosts_with_the_same_port_get_three_ports() {
    let tables = hiding(4, masquerade(40_000, 40_063));
    let cpus = [1, 2, 3].map(|host| vec![sends([10, 0, 0, host], 5_000)]);
    explore(&Scenario::new(tables, cpus.to_vec()), TWO, |end| {
        went_on(end);
        assert_eq!(flows(end.tables).len(), 3);
    });
}

#[test]
fn three_flows_of_a_new_endpoint_share_one_mapping() {
    let tables = hiding(8, mapped(40_000, 40_063, Filtering::EndpointIndependent));
    let cpus = [SERVER, OTHER_SERVER, CLIENT].map(|to| vec![Act::Packet(UplinkOut, udp((EARTH, 5_000), to))]);
    explore(&Scenario::new(tables, cpus.to_vec()), crowded(), |end| {
        went_on(end);
        assert_eq!(flows(end.tables).len(), 3);
        assert_eq!(end.tables.live().len(), 4);
    });
}

#[test]
fn two_cpus_make_room_at_once_while_a_third_uses_the_flow_they_want_to_end() {
    let tables = hiding(2, masquerade(40_000, 40_003));
    let env = Chance::new(START, 5);
    for node in [EARTH, MARS] {
        play(&tables, &env, UplinkOut, &udp((node, 5_000), SERVER));
    }
    let answer = Act::Packet(UplinkIn, udp(SERVER, (HOST, 5_000)));
    let cpus = vec![vec![answer], vec![sends(EARTH, 6_000)], vec![sends(MARS, 7_000)]];
    explore(&Scenario::new(tables, cpus), crowded(), |end| {
        let answered = end.outcomes[0][0].verdict.disposition() == Disposition::Forwarded;
        let is_there = flows(end.tables).iter().any(|flow| {
            (flow.head.original.src, flow.head.original.sport) == (EARTH, 5_000u16.to_be_bytes())
        });
        assert!(!answered || is_there, "a flow is gone whose answer went through");
    });
}

#[test]
fn a_flow_is_swept_by_two_cpus_and_begun_anew_by_a_third() {
    let tables = hiding(2, masquerade(40_000, 40_003));
    play(&tables, &Chance::new(START, 5), UplinkOut, &udp((EARTH, 5_000), SERVER));
    let ticks = tables.timeout(Timeout::UdpUnreplied) + tables.config().quarantine;
    let cpus = vec![vec![Act::Sweep], vec![Act::Sweep], vec![sends(EARTH, 5_000)]];
    explore(&Scenario::new(tables, cpus).after(ticks), TWO, |end| {
        let made = end.outcomes[2][0].verdict;
        assert!(matches!(made, Verdict::Created | Verdict::FlowEnding), "{made:?}");
        // Where the sweeper and the packet each saw the other, the packet is dropped and the flow stays.
        assert!(made != Verdict::Created || flows(end.tables).len() == 1);
    });
}

#[test]
fn packets_that_open_flows_sweep_when_no_agent_does() {
    let tables = hiding(4, masquerade(40_000, 40_003));
    play(&tables, &Chance::new(START, 5), UplinkOut, &udp((EARTH, 5_000), SERVER));
    let ticks = tables.timeout(Timeout::UdpUnreplied) + tables.config().quarantine;
    let mut scenario = Scenario::new(tables, vec![vec![sends(MARS, 5_000)], vec![sends(EARTH, 5_000)]]);
    // The agent's last sweep is as old as the flow.
    scenario.clocks.fill(START + ticks);
    explore(&scenario, TWO, |end| {
        assert_eq!(end.outcomes[0][0].verdict, Verdict::Created);
        assert!(matches!(end.outcomes[1][0].verdict, Verdict::Created | Verdict::FlowEnding));
    });
}

#[test]
fn a_cpu_whose_clock_is_ahead_takes_no_flow_that_another_has_begun_anew() {
    let tables = hiding(2, masquerade(40_000, 40_003));
    play(&tables, &Chance::new(START, 5), UplinkOut, &udp((EARTH, 5_000), SERVER));
    let ticks = tables.timeout(Timeout::UdpUnreplied) + tables.config().quarantine;
    let cpus = vec![vec![Act::Sweep], vec![sends(EARTH, 5_000)]];
    let mut scenario = Scenario::new(tables, cpus).after(ticks);
    for behind in [0, 1] {
        scenario.clocks = vec![START + ticks; 2];
        scenario.clocks[behind] -= 1;
        explore(&scenario, depth(), |end| {
            if end.outcomes[1][0].verdict == Verdict::Created {
                assert_eq!(only_flow(end.tables).head.life, life::LIVE);
            }
        });
    }
}
