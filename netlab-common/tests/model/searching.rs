//! That the search finds what there is to find.

use netlab_common::abi::hook::Hook::UplinkOut;

use crate::cpu::Act;
use crate::explore::{Depth, Scenario, search};
use crate::kit::frames::syn;
use crate::kit::lab::{EARTH, MARS, SERVER, hiding, masquerade};

/// Two hosts that want one port.
fn rivals() -> Scenario {
    let cpus = [EARTH, MARS].map(|node| vec![Act::Packet(UplinkOut, syn((node, 5_000), SERVER))]);
    Scenario::new(hiding(4, masquerade(40_000, 40_003)), cpus.to_vec())
}

#[test]
fn a_claim_that_is_two_steps_is_found_out_by_two_preemptions() {
    let torn = Scenario { torn: true, ..rivals() };
    let found = search(&torn, Depth { preemptions: 2 }, |_| {});
    let failure = found.expect_err("no schedule has two CPUs take one key");
    assert!(failure.contains("put"), "{failure}");
}

#[test]
fn without_a_preemption_there_are_only_as_many_schedules_as_orders_of_cpus() {
    let mut scenario = rivals();
    assert_eq!(search(&scenario, Depth { preemptions: 0 }, |_| {}), Ok(2));
    scenario.cpus.push(vec![Act::Sweep]);
    scenario.clocks.push(scenario.clocks[0]);
    assert_eq!(search(&scenario, Depth { preemptions: 0 }, |_| {}), Ok(6));
}

#[test]
fn each_preemption_that_is_allowed_adds_schedules() {
    let counts = [0, 1, 2].map(|preemptions| search(&rivals(), Depth { preemptions }, |_| {}).unwrap_or(0));
    assert!(counts[0] < counts[1] && counts[1] < counts[2], "{counts:?}");
}
