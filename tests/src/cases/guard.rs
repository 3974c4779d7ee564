//! What is not translated: left alone where it does no harm, dropped where it would leak or intrude.

use netlab_common::abi::hook::Hook::{self, PortIn, PortOut, UplinkIn, UplinkOut};
use netlab_common::abi::verdict::Verdict::{
    Malformed, MalformedPassed, NoRule, NotIpv4, PrivateSource, SpoofedSource, Tagged, Unsolicited,
    Unsupported,
};

use super::{EARTH, EARTH_5555, EARTH_8000, HOST, HOST_5555, NEPTUNE_5555, WORLD, WORLD_80, WORLD_7777};
use crate::kernel::Place;
use crate::packet::{Packet, icmp_message, not_ipv4, other, ping, pong, tcp, udp};
use crate::progrun::Case;
use crate::rules::Rules;

const GRE: u8 = 47;
const DCCP: u8 = 33;
const REDIRECT: u8 = 5;
const ROUTER_SOLICITATION: u8 = 10;

/// The story's cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    let mut cases = vec![];
    cases.extend([leaks(), intruders(), not_ipv4_frames(), of_vlans()]);
    cases.extend([untranslated(), unasked_echo_replies()]);
    cases.extend(malformed());
    cases
}

fn leaks() -> Case {
    Case::new("without a masquerade nothing of a node's leaves", Rules::none())
        .stays(UplinkOut, &tcp(EARTH_5555, WORLD_80).syn(), PrivateSource)
        .stays(UplinkOut, &tcp(EARTH_5555, WORLD_80).ack(), PrivateSource)
        .stays(UplinkOut, &udp(EARTH_5555, WORLD_80), PrivateSource)
        .stays(UplinkOut, &ping(EARTH, WORLD, 1), PrivateSource)
        .stays(UplinkOut, &pong(EARTH, WORLD, 1), PrivateSource)
        .stays(UplinkOut, &udp(EARTH_5555, WORLD_80).fragment(0, true), PrivateSource)
        .stays(UplinkOut, &other(EARTH, WORLD, GRE), PrivateSource)
}

fn intruders() -> Case {
    Case::new("the world neither reaches a node unasked nor plays one", Rules::masquerading())
        .stays(UplinkIn, &tcp(WORLD_7777, EARTH_8000).syn(), Unsolicited)
        .stays(UplinkIn, &udp(WORLD_7777, EARTH_8000), Unsolicited)
        .stays(UplinkIn, &ping(WORLD, EARTH, 1), Unsolicited)
        .stays(UplinkIn, &pong(WORLD, EARTH, 1), Unsolicited)
        .stays(UplinkIn, &tcp(NEPTUNE_5555, EARTH_8000).syn(), SpoofedSource)
        .stays(UplinkIn, &udp(NEPTUNE_5555, HOST_5555), SpoofedSource)
        .stays(UplinkIn, &ping("10.10.0.20", HOST, 1), SpoofedSource)
        .stays(UplinkIn, &tcp(WORLD_7777, HOST_5555).syn(), NoRule)
        .stays(UplinkIn, &ping(WORLD, HOST, 1), NoRule)
}

fn not_ipv4_frames() -> Case {
    let (arp, ipv6) = (not_ipv4([0x08, 0x06]), not_ipv4([0x86, 0xdd]));
    Hook::OF_FRAMES.into_iter().fold(Case::new("ARP and IPv6 pass", Rules::masquerading()), |case, hook| {
        case.frame_stays(hook, arp.clone(), NotIpv4).frame_stays(hook, ipv6.clone(), NotIpv4)
    })
}

/// A tag may stand in the frame; one beside it is the kernel's, and no frame that is handed to a program has it.
fn of_vlans() -> Case {
    let tagged = |packet: Packet, tags: &[[u8; 4]]| {
        let frame = packet.frame();
        [&frame[..12], &tags.concat(), &frame[12..]].concat()
    };
    let case =
        Case::new("frames of VLANs pass, and none with a node's source by the uplink", Rules::masquerading());
    let (one, two) = ([[0x81, 0, 0, 5]], [[0x88, 0xa8, 0, 5], [0x81, 0, 0, 6]]);
    [&one[..], &two].into_iter().fold(case, |case, tags| {
        let node = || tagged(udp(EARTH_5555, WORLD_80), tags);
        case.frame_stays(PortIn, node(), Tagged)
            .frame_stays(PortOut, node(), Tagged)
            .frame_stays(UplinkOut, node(), PrivateSource)
            .frame_stays(UplinkOut, tagged(udp(HOST_5555, WORLD_80), tags), Tagged)
            .frame_stays(UplinkIn, tagged(udp(WORLD_80, HOST_5555), tags), Tagged)
    })
}

fn untranslated() -> Case {
    let kinds = [
        other(EARTH, WORLD, DCCP),
        icmp_message(EARTH, WORLD, REDIRECT),
        icmp_message(EARTH, WORLD, ROUTER_SOLICITATION),
    ];
    let case = Case::new("what no flow can be made of stays where it is", Rules::masquerading());
    kinds.iter().fold(case, |case, kind| {
        case.stays(PortIn, kind, NoRule)
            .stays(PortOut, kind, NoRule)
            .stays(UplinkOut, kind, Unsupported)
            .stays(UplinkOut, &kind.clone().from(HOST), NoRule)
            .stays(UplinkIn, &kind.clone().from(WORLD).to(EARTH), Unsolicited)
            .stays(UplinkIn, &kind.clone().from("10.10.0.20").to(HOST), SpoofedSource)
            .stays(UplinkIn, &kind.clone().from(WORLD).to(HOST), NoRule)
    })
}

fn unasked_echo_replies() -> Case {
    Case::new("an echo reply opens nothing", Rules::masquerading())
        .stays(PortIn, &pong(EARTH, WORLD, 1), NoRule)
        .stays(PortOut, &pong(WORLD, EARTH, 1), NoRule)
        .stays(UplinkOut, &pong(EARTH, WORLD, 1), PrivateSource)
        .stays(UplinkOut, &pong(HOST, WORLD, 1), NoRule)
        .stays(UplinkIn, &pong(WORLD, EARTH, 1), Unsolicited)
        .stays(UplinkIn, &pong(WORLD, HOST, 1), NoRule)
}

/// At each hook: nodes may send each other what they like, the uplink takes nothing it cannot read.
fn malformed() -> Vec<Case> {
    let whole = tcp(EARTH_5555, WORLD_80).syn();
    let kinds: [(&str, Packet); 14] = [
        ("a wrong header checksum", whole.clone().patch(24, &[0x12, 0x34])),
        ("a wrong header checksum with options", whole.clone().options(1).patch(24, &[0x12, 0x34])),
        (
            "a wrong header checksum in the last of all options",
            whole.clone().options(10).patch(14 + 58, &[0x12, 0x34]),
        ),
        ("an IPv4 header of version 6", whole.clone().patch(14, &[0x65]).summed()),
        ("an IPv4 header shorter than the shortest", whole.clone().patch(14, &[0x44])),
        ("an IPv4 header longer than the packet", udp(EARTH_5555, WORLD_80).payload(&[]).patch(14, &[0x4f])),
        ("a total length longer than the frame", whole.clone().patch(16, &[0xff, 0xff]).summed()),
        ("a total length shorter than the header", whole.clone().patch(16, &[0, 19]).summed()),
        ("a total length of zero", whole.clone().patch(16, &[0, 0]).summed()),
        ("a frame cut within the IPv4 header", whole.clone().cut(14 + 19)),
        ("a frame cut behind the EtherType", whole.clone().cut(15)),
        ("a TCP header cut short", whole.clone().patch(16, &[0, 39]).summed().cut(14 + 39)),
        ("a UDP header cut short", udp(EARTH_5555, WORLD_80).patch(16, &[0, 27]).summed().cut(14 + 27)),
        ("an ICMP header cut short", ping(EARTH, WORLD, 1).patch(16, &[0, 27]).summed().cut(14 + 27)),
    ];
    let each = |(what, packet): (&str, Packet)| {
        let case = Case::new(format!("{what} stays among the nodes"), Rules::masquerading())
            .stays(PortIn, &packet, MalformedPassed)
            .stays(PortOut, &packet, MalformedPassed)
            .stays(UplinkIn, &packet, Malformed)
            .stays(UplinkOut, &packet, Malformed);
        // The kernel makes no skb for a test of what says it is IPv4 and has not even the shortest header.
        if packet.frame().len() < 14 + 20 { case.only_in(&[Place::Xdp]) } else { case }
    };
    let mut cases: Vec<Case> = kinds.into_iter().map(each).collect();
    let stub = whole.cut(13).frame();
    let case = Case::new("a frame without its whole Ethernet header is not IPv4", Rules::masquerading());
    cases.push(
        Hook::ALL
            .into_iter()
            .fold(case, |case, hook| case.frame_stays(hook, stub.clone(), NotIpv4))
            .frame_stays(UplinkOut, vec![], NotIpv4)
            // The kernel runs programs on nothing shorter than an Ethernet header.
            .only_in(&[]),
    );
    cases
}
