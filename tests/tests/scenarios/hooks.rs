//! What is no flow's, at each hook: kinds of packets that are not translated, unasked echo replies, frames that
//! cannot be read, and senders who are not who they say.

use netlab_common::abi::hook::Hook::{self, PortIn, PortOut, UplinkIn, UplinkOut};
use netlab_common::abi::verdict::Verdict::{
    self, Malformed, MalformedPassed, NoRule, NotIpv4, PrivateSource, SpoofedSource, Tagged, Unsolicited,
    Unsupported,
};
use netlab_common::fake::BufPacket;
use netlab_tests::arrived::Arrived;
use netlab_tests::cases::{EARTH, EARTH_5555, HOST, NEPTUNE_5555, WORLD, WORLD_80, WORLD_7777};
use netlab_tests::host::Host;
use netlab_tests::packet::{Packet, icmp_message, not_ipv4, other, ping, pong, tcp, udp};
use netlab_tests::rules::Rules;

/// A node's packet at each hook, in their order.
#[track_caller]
fn assert_verdicts(packet: &Packet, verdicts: [Verdict; 4]) {
    let host = Host::new(&Rules::masquerading());
    for (hook, verdict) in Hook::ALL.into_iter().zip(verdicts) {
        host.leaves(hook, &packet.frame(), verdict);
    }
}

#[test]
fn what_no_flow_can_be_made_of_stays_among_the_nodes() {
    const DCCP: u8 = 33;
    const REDIRECT: u8 = 5;
    for packet in [other(EARTH, WORLD, DCCP), icmp_message(EARTH, WORLD, REDIRECT)] {
        assert_verdicts(&packet, [NoRule, NoRule, SpoofedSource, Unsupported]);
        assert_verdicts(&packet.clone().from(WORLD).to(EARTH), [NoRule, NoRule, Unsolicited, NoRule]);
        assert_verdicts(&packet.from(WORLD).to(HOST), [NoRule; 4]);
    }
}

#[test]
fn an_echo_reply_that_nobody_asked_for_stays_among_the_nodes() {
    assert_verdicts(&pong(EARTH, WORLD, 1), [NoRule, NoRule, SpoofedSource, PrivateSource]);
    assert_verdicts(&pong(WORLD, EARTH, 1), [NoRule, NoRule, Unsolicited, NoRule]);
    assert_verdicts(&pong(WORLD, HOST, 1), [NoRule; 4]);
}

#[test]
fn what_cannot_be_read_stays_among_the_nodes() {
    let packet = tcp(EARTH_5555, WORLD_80).syn();
    let kinds = [
        packet.clone().patch(14, &[0x65]).summed(),
        packet.clone().patch(14, &[0x44]),
        packet.clone().patch(16, &[0xff, 0xff]).summed(),
        packet.clone().patch(16, &[0, 0]).summed(),
        packet.clone().cut(14),
        packet.clone().cut(33),
        packet.clone().patch(16, &[0, 39]).summed().cut(53),
        ping(EARTH, WORLD, 1).patch(16, &[0, 27]).summed().cut(41),
    ];
    for kind in kinds {
        assert_verdicts(&kind, [MalformedPassed, MalformedPassed, Malformed, Malformed]);
    }
}

#[test]
fn what_has_a_tag_beside_it_passes_unread_but_for_a_nodes_by_the_uplink() {
    let host = Host::new(&Rules::masquerading());
    for (from, verdicts) in [
        (EARTH_5555, [Tagged, Tagged, Tagged, PrivateSource]),
        (WORLD_7777, [Tagged, Tagged, Tagged, Tagged]),
    ] {
        let frame = BufPacket(udp(from, WORLD_80).frame());
        for (hook, verdict) in [PortIn, PortOut, UplinkIn, UplinkOut].into_iter().zip(verdicts) {
            let mut packet = Arrived { frame: frame.clone(), on: 0, tagged: true, translated: false };
            assert_eq!(host.run_on(hook, &mut packet, &host.tables).verdict, verdict, "{}", hook.name());
            assert_eq!(packet.frame.0, frame.0);
        }
    }
}

#[test]
fn what_is_not_ipv4_passes() {
    let host = Host::new(&Rules::masquerading());
    for hook in Hook::ALL {
        host.leaves(hook, &not_ipv4([0x08, 0x06]), NotIpv4);
        host.leaves(hook, &[0; 13], NotIpv4);
        host.leaves(hook, &[], NotIpv4);
    }
}

#[test]
fn the_world_does_not_reach_nodes_unasked_nor_play_one() {
    let host = Host::new(&Rules::masquerading());
    for packet in [tcp(WORLD_7777, EARTH_5555).syn(), udp(WORLD_7777, EARTH_5555), ping(WORLD, EARTH, 1)] {
        host.leaves(UplinkIn, &packet.frame(), Unsolicited);
        host.leaves(UplinkIn, &packet.clone().from(NEPTUNE_5555).frame(), SpoofedSource);
        host.leaves(UplinkIn, &packet.from(NEPTUNE_5555).to(HOST).frame(), SpoofedSource);
    }
}

#[test]
fn without_a_masquerade_no_node_is_heard_outside() {
    let host = Host::new(&Rules::none());
    for packet in [tcp(EARTH_5555, WORLD_80).syn(), udp(EARTH_5555, WORLD_80), ping(EARTH, WORLD, 1)] {
        host.leaves(PortIn, &packet.frame(), NoRule);
        host.leaves(PortOut, &packet.frame(), NoRule);
        host.leaves(UplinkOut, &packet.frame(), PrivateSource);
    }
}
