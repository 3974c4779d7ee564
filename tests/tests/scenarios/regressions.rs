//! Regressions: what once went wrong, each told by the test that found it.

use std::cell::Cell;

use netlab_common::abi::hook::Hook::{PortIn, PortOut, UplinkIn, UplinkOut};
use netlab_common::abi::verdict::Verdict::{
    self, Created, Established, InFlow, Malformed, MalformedPassed, NoRule, SpoofedSource,
};
use netlab_common::fake::BufPacket;
use netlab_common::net::protocol::TCP;
use netlab_tests::arrived::Arrived;
use netlab_tests::cases::{EARTH_5555, EARTH_8000, HOST, HOST_5555, NEPTUNE_5555, WORLD_80};
use netlab_tests::host::{Host, Moves};
use netlab_tests::packet::{tcp, tuple, udp};
use netlab_tests::rules::Rules;

use crate::meddled::Meddled;

const HOST_8000: &str = "192.168.0.108:8000";

/// The uplink's guard also sees packets that bear a known flow's tuple.
#[test]
fn the_world_does_not_play_a_node_by_the_tuple_of_its_flow() {
    let host = Host::new(&Rules::masquerading());
    let packet = udp(EARTH_5555, WORLD_80).frame();
    host.step(UplinkOut, &packet, Moves::created(0));
    host.leaves(UplinkIn, &packet, SpoofedSource);
}

/// As above, and here the packet goes on to a node: neptune takes it for earth's answer.
#[test]
fn the_world_does_not_answer_a_node_in_the_name_of_another() {
    let host = Host::new(&Rules::none().forward(TCP, "192.168.0.108:3000", EARTH_8000));
    host.step(PortIn, &tcp(NEPTUNE_5555, "192.168.0.108:3000").syn().frame(), Moves::created(0));
    host.leaves(UplinkIn, &tcp(EARTH_8000, NEPTUNE_5555).syn_ack().frame(), SpoofedSource);
}

/// The opening packet of a node's forwarded flow, untranslated on its way out: it gets there when the host's
/// address moved away, or when the port's program is not attached.
#[test]
fn a_nodes_packet_to_a_forward_does_not_leave_by_the_uplink() {
    let host = Host::new(&Rules::masquerading().forward(TCP, "192.168.0.108:3000", EARTH_8000));
    let packet = tcp(NEPTUNE_5555, "192.168.0.108:3000").syn().frame();
    host.step(PortIn, &packet, Moves::created(1));
    host.step(UplinkOut, &packet, Moves::only(Verdict::PrivateSource));
}

/// A flow's answers are translated only where its other side is: otherwise a node that knows (or tries) the
/// ports could put data into another node's connection with the world.
#[test]
fn a_node_does_not_play_the_world_towards_another() {
    let host = Host::new(&Rules::masquerading());
    host.step(UplinkOut, &udp(EARTH_5555, WORLD_80).frame(), Moves::created(0));
    let (verdict, became) = host.run(PortIn, &udp(WORLD_80, HOST_5555).frame());
    assert_eq!(
        became,
        udp(WORLD_80, HOST_5555).frame(),
        "answers must not reach another node: {}",
        verdict.name()
    );
}

/// Two nodes speak to each other's forwards by the same ports. What the second flow's packet has become bears the tuple
/// of the first one's answers.
#[test]
fn a_packet_to_a_forward_is_not_translated_again_as_an_answer_of_its_target() {
    let rules = Rules::none().forward(TCP, HOST_8000, EARTH_8000).forward(TCP, HOST_5555, NEPTUNE_5555);
    let host = Host::new(&rules);
    host.step(PortIn, &tcp(NEPTUNE_5555, HOST_8000).syn().frame(), Moves::created(0));
    let mut packet = arrived(tcp(EARTH_8000, HOST_5555).syn().frame());
    assert_eq!(host.run_on(PortIn, &mut packet, &host.tables).verdict, Created);
    let became = tcp(EARTH_8000, NEPTUNE_5555).syn().frame();
    assert_eq!(packet.frame.0, became);
    assert_eq!(host.run_on(PortOut, &mut packet, &host.tables).verdict, NoRule);
    assert_eq!(packet.frame.0, became, "it was translated twice");
    // The answer itself is translated all the same.
    let mut answer = arrived(tcp(EARTH_8000, NEPTUNE_5555).syn_ack().frame());
    assert_eq!(host.run_on(PortIn, &mut answer, &host.tables).verdict, InFlow);
    assert_eq!(host.run_on(PortOut, &mut answer, &host.tables).verdict, Established);
    assert_eq!(answer.frame.0, tcp(HOST_8000, NEPTUNE_5555).syn_ack().frame());
}

fn arrived(frame: Vec<u8>) -> Arrived {
    Arrived { frame: BufPacket(frame), on: 0, tagged: false, translated: false }
}

/// Ethernet's padding is not taken for ports, flags and a checksum.
#[test]
fn a_transport_header_that_only_padding_completes_is_malformed() {
    let host = Host::new(&Rules::masquerading());
    // Four bytes of the UDP header belong to the packet, the others are padding.
    let packet = udp(EARTH_5555, WORLD_80).payload(&[]).padded(60).patch(16, &[0, 24]).summed();
    host.leaves(PortIn, &packet.frame(), MalformedPassed);
    host.leaves(UplinkOut, &packet.frame(), Malformed);
}

/// The host's stack drops such a packet, so it must not take the forward's port from others before, nor keep a flow alive.
/// With options the sum goes on behind the first twenty bytes.
#[test]
fn a_packet_with_a_wrong_header_checksum_belongs_to_no_flow_and_makes_none() {
    let host = Host::new(&Rules::none().forward(TCP, HOST_8000, EARTH_8000));
    for words in [0, 1, 10] {
        let syn = tcp("8.8.8.8:4000", HOST_8000).syn().options(words);
        let [high, low] = [syn.frame()[24], syn.frame()[25]];
        for wrong in [[high, low ^ 1], [high ^ 0x80, low]] {
            host.leaves(UplinkIn, &syn.clone().patch(24, &wrong).frame(), Malformed);
            host.leaves(PortIn, &syn.clone().patch(24, &wrong).frame(), MalformedPassed);
        }
        if words > 0 {
            host.leaves(UplinkIn, &syn.clone().patch(14 + 20, &[0]).frame(), Malformed);
        }
    }
    let syn = tcp("8.8.8.8:4000", HOST_8000).syn();
    host.step(UplinkIn, &syn.frame(), Moves::created(0));
    host.leaves(UplinkIn, &syn.clone().patch(24, &[0, 0]).frame(), Malformed);
}

/// Invariant 5: of two CPUs that make one flow, the one that comes second finds the only port taken by the
/// first, which has not claimed the opening tuple yet. It goes on with the other's flow.
#[test]
fn a_race_for_the_only_port_loses_no_packet() {
    let rules = Rules::none().masquerade("10.10.0.0/16", HOST, 5555..=5555);
    assert_race_loses_no_packet(&Host::new(&rules));
}

/// Likewise for the only slot.
#[test]
fn a_race_for_the_last_slot_loses_no_packet() {
    assert_race_loses_no_packet(&Host::new(&Rules::masquerading().room(1)));
}

#[track_caller]
fn assert_race_loses_no_packet(host: &Host) {
    let frame = udp(EARTH_5555, WORLD_80).frame();
    let other = Cell::new(None);
    let meddled = Meddled::new(&host.tables, tuple(&frame), || {
        other.set(Some(host.run(UplinkOut, &frame).0));
        None
    });
    let verdict = host.run_on(UplinkOut, &mut BufPacket(frame.clone()), &meddled).verdict;
    drop(meddled);
    let verdicts = [Some(verdict), other.get()].map(|verdict| verdict.expect("both CPUs ran").name());
    assert!(verdicts.iter().all(|name| ["created", "established"].contains(name)), "{verdicts:?}");
}
