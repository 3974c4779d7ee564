//! What ought to hold and does not yet: reclaiming without the agent. Each test fails in the way that its
//! `should_panic` says; the change that mends one takes the mark away and moves it to its story.

use std::time::Duration;

use netlab_common::abi::hook::Hook::UplinkOut;
use netlab_common::conntrack::timeout;
use netlab_tests::cases::{EARTH_5555, HOST, NEPTUNE_5555, WORLD_80};
use netlab_tests::host::{Host, Moves};
use netlab_tests::packet::udp;
use netlab_tests::rules::Rules;

/// Invariant 6: new flows go on without the agent, which is what gives back the slots of flows that are over.
#[test]
#[should_panic(expected = "(TableFull,")] // bug: without the agent expired flows fill the table
fn a_flow_that_is_over_makes_room_for_another_without_the_agent() {
    let host = Host::new(&Rules::masquerading().room(1));
    host.step(UplinkOut, &udp(EARTH_5555, WORLD_80).frame(), Moves::created(0));
    host.wait(Duration::from_nanos(timeout::UDP_UNREPLIED));
    // One flow comes, and the other goes.
    host.step(UplinkOut, &udp(NEPTUNE_5555, WORLD_80).frame(), Moves { flows: 0, ..Moves::created(0) });
}

/// Invariant 4: the port of a flow that is over is free.
#[test]
#[should_panic(expected = "(PortsExhausted,")] // bug: without the agent expired flows keep their ports
fn a_flow_that_is_over_gives_its_port_to_another_without_the_agent() {
    let host = Host::new(&Rules::none().masquerade("10.10.0.0/16", HOST, 5555..=5555));
    host.step(UplinkOut, &udp(EARTH_5555, WORLD_80).frame(), Moves::created(0));
    host.wait(Duration::from_nanos(timeout::UDP_UNREPLIED));
    host.step(UplinkOut, &udp(NEPTUNE_5555, WORLD_80).frame(), Moves { flows: 0, ..Moves::created(0) });
}
