//! Port forwards: which one is met, what the target sees, and the way back.

use netlab_common::abi::hook::Hook::{PortIn, PortOut, UplinkIn, UplinkOut};
use netlab_common::abi::verdict::Verdict::{InFlow, NoFlow, NoRule};
use netlab_common::nat::DYNAMIC;
use netlab_common::net::protocol::{TCP, UDP};
use netlab_tests::cases::{EARTH_8000, NEPTUNE_5555, WORLD_7777};
use netlab_tests::host::{Host, Moves};
use netlab_tests::packet::{answer, checksum, tcp, tuple, udp};
use netlab_tests::rules::Rules;

const HOST_8000: &str = "192.168.0.108:8000";
const HOST_3000: &str = "192.168.0.108:3000";
const HOST_53: &str = "192.168.0.108:53";

/// Rules 0 to 3, in this order.
fn host() -> Host {
    let rules = Rules::none()
        .forward(TCP, HOST_8000, EARTH_8000)
        .forward(TCP, HOST_3000, EARTH_8000)
        .forward(UDP, HOST_53, "10.10.0.10:5353")
        .forward(TCP, "0.0.0.0:8000", "10.10.0.20:9000");
    Host::new(&rules)
}

#[test]
fn a_forward_to_the_same_port_changes_the_address_alone() {
    let host = host();
    let request = tcp(WORLD_7777, HOST_8000);
    let became = host.step(UplinkIn, &request.clone().syn().frame(), Moves::created(0));
    assert_eq!(became, request.clone().syn().to(EARTH_8000).frame());

    let reply = tcp(EARTH_8000, WORLD_7777).syn_ack();
    host.leaves(PortIn, &reply.frame(), InFlow);
    let became = host.step(UplinkOut, &reply.frame(), Moves::back(0));
    assert_eq!(became, reply.clone().from(HOST_8000).frame());
    host.step(UplinkIn, &request.ack().frame(), Moves::onward(0));
}

#[test]
fn a_forward_to_another_port_changes_both() {
    let host = host();
    let request = tcp(WORLD_7777, HOST_3000).syn();
    let became = host.step(UplinkIn, &request.frame(), Moves::created(1));
    assert_eq!(became, request.clone().to(EARTH_8000).frame());
    let became = host.step(UplinkOut, &answer(&became), Moves::back(1));
    assert_eq!(became, answer(&request.frame()));
}

#[test]
fn a_forward_of_udp_needs_no_opening() {
    let host = host();
    let question = udp(WORLD_7777, HOST_53);
    let became = host.step(UplinkIn, &question.frame(), Moves::created(2));
    assert_eq!(became, question.clone().to("10.10.0.10:5353").frame());
    let became = host.step(UplinkOut, &answer(&became), Moves::back(2));
    assert_eq!(became, answer(&question.frame()));
}

#[test]
fn the_exact_address_beats_any_address() {
    let host = host();
    let exact = tcp(WORLD_7777, HOST_8000).syn();
    let any = tcp(NEPTUNE_5555, "10.10.0.1:8000").syn();
    let became = host.step(UplinkIn, &exact.frame(), Moves::created(0));
    assert_eq!(became, exact.clone().to(EARTH_8000).frame());
    // It is the target itself that asks, and so it meets the host.
    let became = host.step(PortIn, &any.frame(), Moves::created(3));
    assert_eq!(became, any.clone().to("10.10.0.20:9000").from("10.10.0.1:5555").frame());
}

#[test]
fn one_client_port_by_two_host_ports_to_one_target_becomes_two() {
    let host = host();
    host.env.next.set(5);
    let (first, second) = (tcp(WORLD_7777, HOST_8000).syn(), tcp(WORLD_7777, HOST_3000).syn());
    let one = host.step(UplinkIn, &first.frame(), Moves::created(0));
    let two = host.step(UplinkIn, &second.frame(), Moves::created(1));
    assert_eq!(two, second.clone().from(&format!("8.8.8.8:{}", DYNAMIC.0 + 5)).to(EARTH_8000).frame());
    assert!(checksum::checksums_valid(&two));

    // Each answer finds its own way back, to the client's own port.
    let became = host.step(UplinkOut, &answer(&two), Moves::back(1));
    assert_eq!(became, answer(&second.frame()));
    let became = host.step(UplinkOut, &answer(&one), Moves::back(0));
    assert_eq!(became, answer(&first.frame()));
    let became = host.step(UplinkIn, &tcp(WORLD_7777, HOST_3000).ack().frame(), Moves::onward(1));
    assert_eq!(tuple(&became), tuple(&two));
}

#[test]
fn a_node_reaches_another_by_the_hosts_port_and_hears_back_from_there() {
    let host = host();
    let request = tcp(NEPTUNE_5555, HOST_3000);
    let became = host.step(PortIn, &request.clone().syn().frame(), Moves::created(1));
    assert_eq!(became, request.clone().syn().to(EARTH_8000).frame());
    host.leaves(PortOut, &became, NoRule);

    let reply = tcp(EARTH_8000, NEPTUNE_5555).syn_ack();
    host.leaves(PortIn, &reply.frame(), InFlow);
    let became = host.step(PortOut, &reply.frame(), Moves::back(1));
    assert_eq!(became, reply.clone().from(HOST_3000).frame());
}

#[test]
fn mid_connection_without_a_flow_is_left_to_the_hosts_stack() {
    let host = host();
    host.leaves(UplinkIn, &tcp(WORLD_7777, HOST_8000).ack().frame(), NoFlow);
    host.leaves(PortIn, &tcp(NEPTUNE_5555, HOST_8000).rst().frame(), NoFlow);
    host.leaves(UplinkIn, &tcp(WORLD_7777, "192.168.0.108:8001").ack().frame(), NoRule);
}

#[test]
fn a_flow_outlives_its_rule() {
    let mut host = host();
    let request = tcp(WORLD_7777, HOST_8000);
    host.step(UplinkIn, &request.clone().syn().frame(), Moves::created(0));
    host.tables.forward_ports.clear();
    host.step(UplinkIn, &request.clone().ack().frame(), Moves::onward(0));
    host.leaves(UplinkIn, &tcp("8.8.8.8:7778", HOST_8000).syn().frame(), NoRule);
}
