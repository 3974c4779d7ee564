//! First packets past the stack: where the host's routing sends them to a neighbour that the stack has just sent another
//! packet to, and nowhere else.

use netlab_common::abi::hook::Hook::{self, PortIn, PortOut, UplinkIn, UplinkOut};
use netlab_common::abi::port::Pulse;
use netlab_common::abi::verdict::Verdict::{self, Created, Established, InFlow, MalformedPassed, NoRule};
use netlab_common::abi::way::{Exit, HOLD_TICKS, WAY_TICKS, WAYS, Way, exit};
use netlab_common::fake::BufPacket;
use netlab_common::pipeline::Way as Crossing;
use netlab_common::tables::Hop;
use netlab_tests::cases::{EARTH_5555, HOST_5555, NEPTUNE_5555, WORLD_80, WORLD_7777};
use netlab_tests::host::Host;
use netlab_tests::packet::{Packet, tcp, udp};
use netlab_tests::rules::{DOOR, Rules};

/// The one interface there is.
const INTERFACE: u32 = 1;
/// A node's frame to the host, and what the host makes of it: to its router, or to the node.
const INSIDE: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
const OUTSIDE: [u8; 12] = [2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 4];
const NODE: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
const WORLD: [u8; 4] = [8, 8, 8, 8];
const EARTH: [u8; 4] = [10, 10, 0, 10];

/// A host on whose one interface packets come in by a gate, and leave towards the world or to a node.
fn host(flags: u32) -> Host {
    let host = Host::new(&Rules::masquerading().crossing());
    let flags = flags | exit::REDIRECT;
    let entrance = Exit { flags, mtu: 1500, gate: DOOR, routed_on: INTERFACE, own: DOOR, ..Exit::default() };
    host.tables.exits.borrow_mut().insert(INTERFACE, entrance);
    host.env.routes.borrow_mut().insert(WORLD, Hop { interface: INTERFACE, ethernet: OUTSIDE });
    host.env.routes.borrow_mut().insert(EARTH, Hop { interface: INTERFACE, ethernet: NODE });
    host
}

/// A host whose stack has just sent neptune's packet to the world.
fn seen() -> Host {
    let host = host(exit::UPLINK);
    let packet = udp(NEPTUNE_5555, WORLD_7777).patch(0, &OUTSIDE);
    assert_eq!(host.run(UplinkOut, &packet.frame()).0, Created);
    host
}

/// What becomes of a packet.
fn run(host: &Host, hook: Hook, packet: &Packet) -> (Verdict, Crossing, Vec<u8>) {
    let mut packet = BufPacket(packet.frame());
    let decision = host.run_on(hook, &mut packet, &host.tables);
    (decision.verdict, decision.way, packet.0)
}

#[track_caller]
fn assert_goes_by_the_stack(host: &Host, packet: &Packet) {
    assert_stays(host, packet, NoRule);
}

#[track_caller]
fn assert_stays(host: &Host, packet: &Packet, verdict: Verdict) {
    let counted = |hook| host.tables.count(hook, Created).packets;
    let before = counted(UplinkOut);
    assert_eq!(run(host, PortIn, packet), (verdict, Crossing::Onward, packet.frame()));
    assert_eq!(counted(UplinkOut), before);
}

fn first() -> Packet {
    udp(EARTH_5555, WORLD_80).patch(0, &INSIDE)
}

#[test]
fn a_flows_first_packet_is_translated_sent_on_and_counted_at_both_hooks() {
    let host = seen();
    let left = udp(HOST_5555, WORLD_80).patch(0, &OUTSIDE).ttl(63).frame();
    assert_eq!(run(&host, PortIn, &first()), (Created, Crossing::Across, left));
    let count = |hook, verdict| host.tables.count(hook, verdict).packets;
    assert_eq!((count(PortIn, NoRule), count(UplinkOut, Created)), (1, 2));
    // The flow has learnt the way by that.
    let (verdict, way, _) = run(&host, PortIn, &first());
    assert_eq!((verdict, way, count(PortIn, Established)), (Established, Crossing::Across, 1));
}

#[test]
fn nothing_goes_ahead_by_a_way_that_the_stack_has_not_gone_lately() {
    assert_goes_by_the_stack(&host(exit::UPLINK), &first());
    let host = seen();
    host.wait(WAY_TICKS);
    assert_goes_by_the_stack(&host, &first());
}

#[test]
fn a_way_that_a_first_packet_went_is_no_older_for_its_flow_than_it_is() {
    let host = seen();
    host.wait(WAY_TICKS - 1);
    assert_eq!(run(&host, PortIn, &first()).1, Crossing::Across);
    host.wait(1);
    let (verdict, way, _) = run(&host, PortIn, &first());
    assert_eq!((verdict, way), (InFlow, Crossing::Onward));
}

#[test]
fn what_the_stack_would_answer_cut_or_not_route_goes_to_it() {
    let host = seen();
    assert_goes_by_the_stack(&host, &first().ttl(1));
    assert_goes_by_the_stack(&host, &first().payload(&[0; 1473]));
    assert_goes_by_the_stack(&host, &first().options(1));
    assert_goes_by_the_stack(&host, &first().padded(80));
    // A header's checksum that is wrong by one.
    let [high, low] = [24, 25].map(|at| first().frame()[at]);
    assert_stays(&host, &first().patch(24, &[high, low ^ 1]), MalformedPassed);
    assert_goes_by_the_stack(&host, &first().fragment(0, true));
    assert_goes_by_the_stack(&host, &udp(EARTH_5555, "9.9.9.9:80").patch(0, &INSIDE));
    for nobody in ["224.0.0.9:80", "0.0.0.9:80", "127.0.0.9:80"] {
        let address = nobody.split(':').next().and_then(|text| text.parse::<std::net::Ipv4Addr>().ok());
        let hop = Hop { interface: INTERFACE, ethernet: OUTSIDE };
        host.env.routes.borrow_mut().insert(address.expect("it is one").octets(), hop);
        assert_goes_by_the_stack(&host, &udp(EARTH_5555, nobody).patch(0, &INSIDE));
    }
}

#[test]
fn what_is_for_a_neighbour_of_the_sender_is_not_routed() {
    let to_another = udp(EARTH_5555, WORLD_80).patch(0, &OUTSIDE);
    assert_goes_by_the_stack(&seen(), &to_another);
}

#[test]
fn nothing_goes_ahead_without_the_agent_its_epoch_or_a_gate() {
    let host = seen();
    host.tables.pulse.set(Pulse { swept: host.now() - 15 * 60, ..host.tables.pulse.get() });
    assert_goes_by_the_stack(&host, &first());
    let host = seen();
    host.tables.epoch.set(0);
    assert_goes_by_the_stack(&host, &first());
    let host = seen();
    host.tables.exits.borrow_mut().entry(INTERFACE).or_default().gate = [0; 6];
    assert_goes_by_the_stack(&host, &first());
}

/// A flow holds its way by a number, which must not become another neighbour's meanwhile.
#[test]
fn a_ways_number_is_nobody_elses_while_a_flow_may_hold_it() {
    let host = seen();
    let held = first_learnt(&host);
    for number in 1..WAYS {
        let full = Way { interface: INTERFACE, seen: host.now(), ..Way::default() };
        host.tables.ways.borrow_mut().entry(number).or_insert(full);
    }
    let another = |port: &str| {
        let to = [2, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 4];
        host.run(UplinkOut, &udp(port, WORLD_7777).patch(0, &to).frame());
        host.tables.live().last().map(|flow| flow.counters.ways[0] >> 20)
    };
    assert_eq!(another("10.10.0.20:6001"), Some(0));
    host.wait(HOLD_TICKS);
    assert_eq!(another("10.10.0.20:6002"), Some(0));
    assert_eq!(host.tables.ways.borrow()[&held].link.bytes(), OUTSIDE);
    host.wait(WAY_TICKS);
    assert_ne!(another("10.10.0.20:6003"), Some(0));
}

/// The number of the way that the first flow's opener has learnt.
fn first_learnt(host: &Host) -> u32 {
    host.tables.live()[0].counters.ways[0] >> 20
}

#[test]
fn after_a_change_each_flow_shows_its_way_anew_and_not_in_the_same_tick() {
    let host = seen();
    // Nothing goes ahead by the routing.
    host.env.routes.borrow_mut().clear();
    let by_the_stack = |from| host.run(UplinkOut, &udp(from, WORLD_7777).patch(0, &OUTSIDE).frame());
    let crosses = |from| run(&host, PortIn, &udp(from, WORLD_7777).patch(0, &INSIDE)).1 == Crossing::Across;
    by_the_stack(EARTH_5555);
    let number = first_learnt(&host);
    assert!(crosses(NEPTUNE_5555) && crosses(EARTH_5555));
    host.tables.epoch.set(host.now());
    by_the_stack(NEPTUNE_5555);
    assert!(!crosses(NEPTUNE_5555));
    host.wait(1);
    assert!(!crosses(NEPTUNE_5555));
    by_the_stack(NEPTUNE_5555);
    assert!(crosses(NEPTUNE_5555) && !crosses(EARTH_5555));
    assert_eq!(first_learnt(&host), number);
}

/// The word that a flow keeps has no room for a tick as old as a flow may become.
#[test]
fn a_sweep_has_a_direction_forget_its_way_in_which_no_packet_came() {
    let host = seen();
    host.wait(HOLD_TICKS - 1);
    host.sweep();
    assert_ne!(first_learnt(&host), 0);
    host.wait(1);
    host.sweep();
    assert_eq!(host.tables.live()[0].counters.ways, [0, 0]);
}

#[test]
fn what_came_in_elsewhere_than_by_the_labs_interfaces_shows_no_way() {
    let host = host(exit::UPLINK);
    host.tables.exits.borrow_mut().remove(&0);
    host.run(UplinkOut, &udp(NEPTUNE_5555, WORLD_7777).patch(0, &OUTSIDE).frame());
    assert_eq!(first_learnt(&host), 0);
}

/// The stack would not take them, whatever a forward says.
#[test]
fn nobody_outside_is_the_host_or_a_group_or_this_network() {
    let rules = Rules::none().forward(17, "192.168.0.108:3000", "10.10.0.10:8000").crossing();
    for source in ["192.168.0.108:9", "127.0.0.1:9", "0.0.0.9:9", "224.0.0.9:9", "8.8.8.8:9"] {
        let host = Host::new(&rules);
        let from = host_towards_a_node();
        host.tables.exits.replace(from.tables.exits.take());
        host.tables.ways.replace(from.tables.ways.take());
        host.env.routes.replace(from.env.routes.take());
        let (_, way, _) = run(&host, UplinkIn, &udp(source, "192.168.0.108:3000").patch(0, &INSIDE));
        let expected = if source.starts_with("8.") { Crossing::Across } else { Crossing::Onward };
        assert_eq!(way, expected, "{source}");
    }
}

/// One whose stack has just sent an answer to earth.
fn host_towards_a_node() -> Host {
    let host = host(0);
    host.run(UplinkOut, &udp(EARTH_5555, WORLD_80).patch(0, &OUTSIDE).frame());
    let there = udp(WORLD_80, EARTH_5555).patch(0, &NODE);
    assert_eq!(run(&host, PortOut, &there).0, NoRule);
    host
}

/// Whoever is refused is told so, and that is done where the packet leaves.
#[test]
fn a_packet_that_gets_no_port_goes_by_the_stack_as_it_is() {
    let host = Host::new(&Rules::none().masquerade("10.10.0.0/16", "192.168.0.108", 5555..=5555).crossing());
    let from = seen();
    host.tables.exits.replace(from.tables.exits.take());
    host.tables.ways.replace(from.tables.ways.take());
    host.env.routes.replace(from.env.routes.take());
    assert_eq!(run(&host, PortIn, &first()).1, Crossing::Across);
    assert_goes_by_the_stack(&host, &udp(NEPTUNE_5555, WORLD_80).patch(0, &INSIDE));
}

/// No packet of its direction has shown a way to the shortcut yet.
#[test]
fn an_answer_to_a_syn_goes_ahead_to_the_node_that_the_stack_has_just_sent_to() {
    let host = host(0);
    host.run(UplinkOut, &tcp(EARTH_5555, WORLD_80).syn().patch(0, &OUTSIDE).frame());
    let answer = tcp(WORLD_80, HOST_5555).syn_ack().patch(0, &INSIDE);
    assert_eq!(run(&host, UplinkIn, &answer).1, Crossing::Onward);
    let there = tcp(WORLD_80, EARTH_5555).syn_ack().patch(0, &NODE);
    assert_eq!(run(&host, PortOut, &there).0, NoRule);
    let (verdict, way, frame) = run(&host, UplinkIn, &answer);
    assert_eq!((verdict, way, frame), (Established, Crossing::Across, there.ttl(63).frame()));
}
