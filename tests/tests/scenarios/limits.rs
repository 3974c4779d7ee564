//! Room and ports: what is over gives them back without an agent, and what is the host's stays with it.

use netlab_common::abi::clock;
use netlab_common::abi::config::Timeout;
use netlab_common::abi::event::Event;
use netlab_common::abi::hook::Hook::{UplinkIn, UplinkOut};
use netlab_common::abi::rule::Filtering;
use netlab_common::abi::verdict::Verdict::NoRule;
use netlab_common::net::protocol::{TCP, UDP};
use netlab_common::tables::Tables as _;
use netlab_tests::cases::{EARTH_5555, HOST, HOST_5555, HOST_40000, NEPTUNE_5555, WORLD_80, WORLD_7777};
use netlab_tests::host::{Host, Moves};
use netlab_tests::packet::{tcp, tuple, udp};
use netlab_tests::rules::Rules;

/// One flow comes, and another goes.
fn in_place_of_another() -> Moves {
    Moves { flows: 0, ..Moves::created(0) }
}

/// A host with earth's one flow, whose time and quarantine are over without an agent.
fn after_the_flow_is_over(rules: &Rules) -> Host {
    let host = Host::new(rules);
    host.step(UplinkOut, &udp(EARTH_5555, WORLD_80).frame(), Moves::created(0));
    host.wait_alone(host.tables.timeout(Timeout::UdpUnreplied) + host.tables.config().quarantine);
    host
}

/// Invariant 6: new flows go on without the agent.
#[test]
fn a_flow_that_is_over_makes_room_for_another_without_the_agent() {
    let host = after_the_flow_is_over(&Rules::masquerading().room(1));
    host.step(UplinkOut, &udp(NEPTUNE_5555, WORLD_80).frame(), in_place_of_another());
    assert_eq!((host.tables.event(Event::Expired), host.tables.event(Event::Evicted)), (1, 0));
}

/// Invariant 4: the port of a flow that is over is free.
#[test]
fn a_flow_that_is_over_gives_its_port_to_another_without_the_agent() {
    let host = after_the_flow_is_over(&Rules::none().masquerade("10.10.0.0/16", HOST, 5555..=5555));
    host.step(UplinkOut, &udp(NEPTUNE_5555, WORLD_80).frame(), in_place_of_another());
}

#[test]
fn while_the_agent_sweeps_packets_do_not() {
    let host = Host::new(&Rules::masquerading());
    host.step(UplinkOut, &udp(EARTH_5555, WORLD_80).frame(), Moves::created(0));
    host.wait(clock::from_seconds(1_000));
    host.step(UplinkOut, &udp(NEPTUNE_5555, "8.8.4.4:80").frame(), Moves::created(0));
    assert_eq!(host.sweep(), 1);
}

#[test]
fn a_table_that_nobody_sweeps_does_not_fill_up() {
    let host = Host::new(&Rules::masquerading().room(64));
    for number in 0..1_000u32 {
        let from = format!("10.10.{}.{}:5555", number / 250, number % 250 + 1);
        // Each packet finds some that are over, and none has to be evicted before its time.
        host.run(UplinkOut, &udp(&from, WORLD_80).frame());
        host.wait_alone(clock::from_seconds(10));
    }
    assert_eq!(host.tables.event(Event::Evicted), 0);
    assert!(host.tables.live().len() < 48, "{} flows are left", host.tables.live().len());
    let _ = host.state();
}

/// A socket that the host opens later at a mapping's external port has what belongs to no flow.
#[test]
fn a_socket_at_a_mappings_port_gets_what_is_in_no_flow() {
    let host = Host::new(&Rules::masquerading().mapping(Filtering::EndpointIndependent));
    host.run(UplinkOut, &udp(EARTH_5555, WORLD_80).frame());
    host.env.bound.borrow_mut().insert((UDP, [192, 168, 0, 108], 5555u16.to_be_bytes()));
    host.leaves(UplinkIn, &udp(WORLD_7777, HOST_5555).frame(), NoRule);
    host.step(UplinkIn, &udp(WORLD_80, HOST_5555).frame(), Moves::back(0));
}

/// A connection of the host's that is older than the lab has no flow, but a socket.
#[test]
fn a_node_does_not_take_the_port_of_a_connection_of_the_hosts() {
    let host = Host::new(&Rules::masquerading());
    host.env.connected.borrow_mut().insert(tuple(&tcp(WORLD_80, HOST_5555).frame()));
    let became = host.step(UplinkOut, &tcp(EARTH_5555, WORLD_80).syn().frame(), Moves::created(0));
    assert_eq!(became, tcp(HOST_40000, WORLD_80).syn().frame());
    // To another remote the port is nobody's.
    let other = tcp(EARTH_5555, "8.8.4.4:80").syn();
    let became = host.step(UplinkOut, &other.frame(), Moves::created(0));
    assert_eq!(became, other.from(HOST_5555).frame());
}

#[test]
fn the_hosts_own_flow_does_not_yield_to_its_own_listener() {
    let host = Host::new(&Rules::masquerading());
    host.env.bound.borrow_mut().insert((TCP, [192, 168, 0, 108], 5555u16.to_be_bytes()));
    let frame = tcp(HOST_5555, WORLD_80).syn().frame();
    assert_eq!(host.step(UplinkOut, &frame, Moves::host()), frame);
}
