//! Masquerading: ports kept, ports chosen, and what happens when there are none.

use netlab_common::abi::hook::Hook::{UplinkIn, UplinkOut};
use netlab_common::abi::verdict::Verdict::{NotSyn, PortsExhausted, TableFull};
use netlab_tests::cases::{EARTH, EARTH_5555, HOST, HOST_5555, NEPTUNE_5555, WORLD, WORLD_80};
use netlab_tests::host::{Host, Moves};
use netlab_tests::packet::{ping, pong, tcp, tuple, udp};
use netlab_tests::rules::Rules;

fn host(ports: std::ops::RangeInclusive<u16>) -> Host {
    Host::new(&Rules::none().masquerade("10.10.0.0/16", HOST, ports))
}

#[test]
fn masquerade_keeps_the_source_port_when_it_is_free() {
    let host = host(40_000..=40_003);
    let (request, answer) = (tcp(EARTH_5555, WORLD_80), tcp(WORLD_80, HOST_5555));

    let became = host.step(UplinkOut, &request.clone().syn().frame(), Moves::created(0));
    assert_eq!(became, request.clone().syn().from(HOST_5555).frame());
    let became = host.step(UplinkIn, &answer.clone().syn_ack().frame(), Moves::back(0));
    assert_eq!(became, answer.clone().syn_ack().to(EARTH_5555).frame());
    let became = host.step(UplinkOut, &request.clone().ack().frame(), Moves::onward(0));
    assert_eq!(became, request.clone().ack().from(HOST_5555).frame());
}

#[test]
fn masquerade_takes_another_port_of_the_range_when_the_source_port_is_taken() {
    let host = host(40_000..=40_003);
    host.step(UplinkOut, &udp(EARTH_5555, WORLD_80).frame(), Moves::created(0));
    host.env.next.set(2);

    let became = host.step(UplinkOut, &udp(NEPTUNE_5555, WORLD_80).frame(), Moves::created(0));
    assert_eq!(became, udp("192.168.0.108:40002", WORLD_80).frame());
}

#[test]
fn both_ends_of_the_range_belong_to_it() {
    for (random, port) in [(0, 40_000u16), (3, 40_003), (4, 40_000), (u32::MAX, 40_000)] {
        let host = host(40_000..=40_003);
        host.step(UplinkOut, &udp(EARTH_5555, WORLD_80).frame(), Moves::created(0));
        host.env.next.set(random);
        let became = host.step(UplinkOut, &udp(NEPTUNE_5555, WORLD_80).frame(), Moves::created(0));
        assert_eq!(tuple(&became).sport, port.to_be_bytes(), "for the random number {random}");
    }
}

#[test]
fn the_whole_range_of_ports_can_be_chosen_from() {
    let host = host(0..=u16::MAX);
    host.step(UplinkOut, &udp(EARTH_5555, WORLD_80).frame(), Moves::created(0));
    host.env.next.set(0xffff_ffff);
    let became = host.step(UplinkOut, &udp(NEPTUNE_5555, WORLD_80).frame(), Moves::created(0));
    assert_eq!(tuple(&became).sport, [0xff, 0xff]);
}

#[test]
fn ports_are_exhausted_only_for_the_remote_they_are_taken_towards() {
    let host = host(40_000..=40_003);
    for node in 1..=5 {
        host.step(UplinkOut, &udp(&format!("10.10.1.{node}:5555"), WORLD_80).frame(), Moves::created(0));
    }
    let sixth = udp("10.10.1.6:5555", WORLD_80);
    host.leaves(UplinkOut, &sixth.frame(), PortsExhausted);
    // Nothing was left behind, or the table would fill up with refusals.
    for _ in 0..100 {
        host.leaves(UplinkOut, &sixth.frame(), PortsExhausted);
    }
    host.step(UplinkOut, &sixth.clone().to("8.8.4.4:80").frame(), Moves::created(0));
    host.step(UplinkOut, &tcp("10.10.1.6:5555", WORLD_80).syn().frame(), Moves::created(0));
}

#[test]
fn a_full_table_refuses_new_flows_and_serves_the_old() {
    let host = Host::new(&Rules::masquerading().room(2));
    host.step(UplinkOut, &udp(EARTH_5555, WORLD_80).frame(), Moves::created(0));
    host.step(UplinkOut, &udp(EARTH_5555, "8.8.4.4:80").frame(), Moves::created(0));
    // Flows that nobody has answered would make room.
    host.step(UplinkIn, &udp(WORLD_80, HOST_5555).frame(), Moves::back(0));
    host.step(UplinkIn, &udp("8.8.4.4:80", HOST_5555).frame(), Moves::back(0));
    let before = host.state().flows;

    for port in 1..100 {
        host.leaves(UplinkOut, &udp(&format!("10.10.0.20:{port}"), WORLD_80).frame(), TableFull);
    }
    assert_eq!(host.state().flows, before);
    host.step(UplinkIn, &udp(WORLD_80, HOST_5555).frame(), Moves::back(0));
    host.step(UplinkOut, &udp(EARTH_5555, WORLD_80).frame(), Moves::onward(0));
}

#[test]
fn echoes_are_told_apart_by_their_identifier() {
    let host = host(40_000..=40_003);
    for identifier in [1, 2] {
        let became = host.step(UplinkOut, &ping(EARTH, WORLD, identifier).frame(), Moves::created(0));
        assert_eq!(became, ping(HOST, WORLD, identifier).frame());
    }
    let became = host.step(UplinkOut, &ping("10.10.0.20", WORLD, 1).frame(), Moves::created(0));
    assert_eq!(became, ping(HOST, WORLD, 40_000).frame());

    for (identifier, node, own) in [(1, EARTH, 1), (2, EARTH, 2), (40_000, "10.10.0.20", 1)] {
        let became = host.step(UplinkIn, &pong(WORLD, HOST, identifier).frame(), Moves::back(0));
        assert_eq!(became, pong(WORLD, node, own).frame());
    }
}

#[test]
fn mid_connection_without_a_flow_is_dropped_because_no_answer_would_come_back() {
    let host = host(40_000..=40_003);
    for packet in [tcp(EARTH_5555, WORLD_80).ack(), tcp(EARTH_5555, WORLD_80).rst()] {
        host.leaves(UplinkOut, &packet.frame(), NotSyn);
    }
}

#[test]
fn options_and_padding_are_neither_read_as_ports_nor_changed() {
    let host = host(40_000..=40_003);
    let packet = tcp(EARTH_5555, WORLD_80).syn().options(10);
    let became = host.step(UplinkOut, &packet.frame(), Moves::created(0));
    assert_eq!(became, packet.clone().from(HOST_5555).frame());

    let packet = udp(EARTH_5555, WORLD_80).payload(&[]).padded(60);
    let became = host.step(UplinkOut, &packet.frame(), Moves::created(0));
    assert_eq!(became, packet.clone().from(HOST_5555).frame());
}
