//! Each state's time: one tick before it is up the flow serves, and then it does not, until it begins anew.

use netlab_common::abi::config::Timeout;
use netlab_common::abi::flow::life;
use netlab_common::abi::hook::Hook::{self, UplinkIn, UplinkOut};
use netlab_common::abi::verdict::Verdict::{self, FlowEnding, NoRule, NotSyn, Related};
use netlab_common::conntrack::state;
use netlab_common::tables::Tables as _;
use netlab_tests::cases::{EARTH, EARTH_5555, HOST, HOST_5555, WORLD, WORLD_80};
use netlab_tests::host::{Host, Moves};
use netlab_tests::packet::{Packet, error, ping, pong, quote, tcp, udp};
use netlab_tests::rules::Rules;

/// A flow brought into some state by its packets.
fn after(packets: &[(Hook, Packet)]) -> Host {
    let host = Host::new(&Rules::masquerading());
    for (hook, packet) in packets {
        let (verdict, _) = host.run(*hook, &packet.frame());
        assert!(matches!(verdict, Verdict::Created | Verdict::Established), "{}", verdict.name());
    }
    host
}

/// The answer serves up to the last tick, and not from then on.
#[track_caller]
fn assert_lives_for(packets: &[(Hook, Packet)], of: Timeout, answer: &Packet) {
    let host = after(packets);
    host.wait(host.tables.timeout(of) - 1);
    host.step(UplinkIn, &answer.frame(), Moves::back(0));

    let host = after(packets);
    host.wait(host.tables.timeout(of));
    host.leaves(UplinkIn, &answer.frame(), NoRule);
}

/// What the one flow knows of its connection.
fn connection(host: &Host) -> u32 {
    host.tables.live()[0].head.state & state::OF_CONNECTION
}

fn request() -> Packet {
    tcp(EARTH_5555, WORLD_80)
}

fn reply() -> Packet {
    tcp(WORLD_80, HOST_5555)
}

fn established() -> Vec<(Hook, Packet)> {
    vec![(UplinkOut, request().syn()), (UplinkIn, reply().syn_ack()), (UplinkOut, request().ack())]
}

#[test]
fn udp_lives_longer_once_it_is_answered() {
    let (question, answer) = (udp(EARTH_5555, WORLD_80), udp(WORLD_80, HOST_5555));
    let asked = (UplinkOut, question);
    assert_lives_for(std::slice::from_ref(&asked), Timeout::UdpUnreplied, &answer);
    assert_lives_for(&[asked, (UplinkIn, answer.clone())], Timeout::Udp, &answer);
}

#[test]
fn an_echo_lives_for_a_minute() {
    assert_lives_for(&[(UplinkOut, ping(EARTH, WORLD, 1))], Timeout::Icmp, &pong(WORLD, HOST, 1));
}

#[test]
fn tcp_lives_long_only_while_it_is_established() {
    let mut packets = established();
    let data = reply().ack();
    assert_lives_for(&packets[..1], Timeout::TcpTransitory, &data);
    assert_lives_for(&packets[..2], Timeout::TcpTransitory, &data);
    assert_lives_for(&packets, Timeout::TcpEstablished, &data);
    packets.push((UplinkOut, request().fin()));
    assert_lives_for(&packets, Timeout::TcpEstablished, &data);
    packets.push((UplinkIn, reply().fin()));
    assert_lives_for(&packets, Timeout::TcpClosed, &data);
}

#[test]
fn tcp_lives_shortly_after_a_reset_of_either_side() {
    for end in [(UplinkOut, request().rst()), (UplinkIn, reply().rst())] {
        let packets = [established(), vec![end]].concat();
        assert_lives_for(&packets, Timeout::TcpReset, &reply().ack());
    }
}

#[test]
fn each_packet_starts_the_time_again() {
    let host = after(&[(UplinkOut, ping(EARTH, WORLD, 1))]);
    for _ in 0..10 {
        host.wait(host.tables.timeout(Timeout::Icmp) - 1);
        host.step(UplinkOut, &ping(EARTH, WORLD, 1).frame(), Moves::onward(0));
    }
}

#[test]
fn an_icmp_error_neither_ends_a_flow_nor_keeps_it_alive() {
    for packets in [established(), vec![(UplinkOut, udp(EARTH_5555, WORLD_80))]] {
        let host = after(&packets);
        let before = host.tables.live()[0];
        let sent = packets[0].1.clone().from(HOST_5555).frame();
        let told = error("8.8.4.4", HOST, (3, 3, [0; 4]), &quote(&sent, 8)).frame();
        host.wait(100);
        let _ = host.step(UplinkIn, &told, Moves::only(Related));
        assert_eq!(host.tables.live(), [before], "state, times and counters stand still");
    }
}

#[test]
fn an_expired_udp_flow_begins_anew_in_its_place() {
    let host = after(&[(UplinkOut, udp(EARTH_5555, WORLD_80)), (UplinkIn, udp(WORLD_80, HOST_5555))]);
    host.wait(host.tables.timeout(Timeout::Udp));
    let became = host.step(UplinkOut, &udp(EARTH_5555, WORLD_80).frame(), Moves::anew(0));
    assert_eq!(became, udp(HOST_5555, WORLD_80).frame());
    // As a new flow it is unanswered again, and lives accordingly.
    host.wait(host.tables.timeout(Timeout::UdpUnreplied));
    host.leaves(UplinkIn, &udp(WORLD_80, HOST_5555).frame(), NoRule);
}

#[test]
fn an_expired_tcp_flow_begins_anew_by_a_syn_only() {
    let host = after(&established());
    host.wait(host.tables.timeout(Timeout::TcpEstablished));
    host.leaves(UplinkOut, &request().ack().frame(), NotSyn);
    host.leaves(UplinkIn, &reply().ack().frame(), NoRule);
    host.step(UplinkOut, &request().syn().frame(), Moves::anew(0));
    assert_eq!(connection(&host), state::SEQUENCE_ORIGINAL, "all but the SYN's number is forgotten");
}

#[test]
fn a_syn_after_both_fins_begins_anew() {
    let packets = [established(), vec![(UplinkOut, request().fin()), (UplinkIn, reply().fin())]].concat();
    let host = after(&packets);
    // The last acknowledgement is still the old connection's.
    host.step(UplinkOut, &request().ack().frame(), Moves::onward(0));
    host.step(UplinkOut, &request().syn().frame(), Moves::anew(0));
    assert_eq!(connection(&host), state::SEQUENCE_ORIGINAL, "all but the SYN's number is forgotten");
    host.step(UplinkIn, &reply().syn_ack().frame(), Moves::back(0));
}

#[test]
fn a_syn_after_a_reset_begins_anew() {
    let host = after(&[established(), vec![(UplinkIn, reply().rst())]].concat());
    host.step(UplinkOut, &request().syn().frame(), Moves::anew(0));
}

#[test]
fn a_syn_within_a_connection_does_not_begin_it_anew() {
    let host = after(&established());
    host.step(UplinkOut, &request().syn().frame(), Moves::onward(0));
    assert!(host.tables.live()[0].head.state & state::ESTABLISHED != 0);
}

#[test]
fn a_flow_being_taken_away_still_serves_what_is_under_way_to_it() {
    let host = after(&[(UplinkOut, udp(EARTH_5555, WORLD_80))]);
    host.tables.change_life(0, life::LIVE, life::ENDING);
    host.step(UplinkOut, &udp(EARTH_5555, WORLD_80).frame(), Moves::onward(0));
    // What would have changed its end comes too late for it.
    host.leaves(UplinkIn, &udp(WORLD_80, HOST_5555).frame(), FlowEnding);
}

#[test]
fn a_flow_that_a_user_ends_makes_way_for_its_openers_next_packet() {
    let host = after(&[(UplinkOut, udp(EARTH_5555, WORLD_80)), (UplinkIn, udp(WORLD_80, HOST_5555))]);
    host.end_flows();
    host.leaves(UplinkIn, &udp(WORLD_80, HOST_5555).frame(), NoRule);
    // One flow goes, and another comes.
    host.step(UplinkOut, &udp(EARTH_5555, WORLD_80).frame(), Moves { flows: 0, ..Moves::created(0) });
    assert_eq!(host.tables.live()[0].counters.packets, [1, 0]);
}

#[test]
fn a_flow_marked_as_dying_is_begun_anew_by_its_opener() {
    let host = after(&[(UplinkOut, udp(EARTH_5555, WORLD_80))]);
    host.tables.change_life(0, life::LIVE, life::DYING);
    host.leaves(UplinkIn, &udp(WORLD_80, HOST_5555).frame(), NoRule);
    host.step(UplinkOut, &udp(EARTH_5555, WORLD_80).frame(), Moves::anew(0));
    host.step(UplinkIn, &udp(WORLD_80, HOST_5555).frame(), Moves::back(0));
}

#[test]
fn a_reset_that_the_connection_outlives_counts_no_more() {
    let host = after(&[established(), vec![(UplinkIn, reply().rst())]].concat());
    assert!(state::is_closing(host.tables.live()[0].head.state));
    host.step(UplinkIn, &reply().ack().frame(), Moves::back(0));
    assert!(!state::is_closing(host.tables.live()[0].head.state));
    host.wait(host.tables.timeout(Timeout::TcpReset));
    host.step(UplinkIn, &reply().ack().frame(), Moves::back(0));
}

/// A closed flow's reply tuple may be another connection's by now, one that does not pass the NAT: the host's
/// own, or one between nodes that meet without a forward.
#[test]
fn a_closed_flow_makes_way_for_a_connection_of_others_on_its_tuple() {
    for end in
        [vec![(UplinkIn, reply().rst())], vec![(UplinkOut, request().fin()), (UplinkIn, reply().fin())]]
    {
        let host = after(&[established(), end].concat());
        // The host itself has connected from the same port, and this is the answer.
        host.leaves(UplinkIn, &reply().syn_ack().frame(), NoRule);
        host.leaves(UplinkIn, &reply().ack().frame(), NoRule);
    }
}
