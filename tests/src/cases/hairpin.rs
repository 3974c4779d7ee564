//! Forwards and mappings from behind the NAT: a target that uses its own forward, the host itself, and nodes that
//! reach each other by their mappings.

use netlab_common::abi::hook::Hook::{LocalOut, PortIn, PortOut, UplinkOut};
use netlab_common::abi::rule::Filtering;
use netlab_common::abi::verdict::Verdict::{Created, Established, Filtered, NoRule, SpoofedSource};
use netlab_common::net::protocol::{TCP, UDP};

use super::{EARTH_8000, HOST};
use crate::kernel::Place;
use crate::packet::{Packet, ping, tcp, udp};
use crate::progrun::Case;
use crate::rules::Rules;

const HOST_3000: &str = "192.168.0.108:3000";
/// Where the host's own processes are.
const HOST_7777: &str = "192.168.0.108:7777";
const LOOPBACK_7777: &str = "127.0.0.1:7777";
/// The same port of the host's at the address that nodes know.
const NEAR_7777: &str = "10.10.0.1:7777";
const EARTH_6000: &str = "10.10.0.10:6000";
const NEPTUNE_6000: &str = "10.10.0.20:6000";

/// The flag against fragmenting, as an offset.
const DONT_FRAGMENT: u16 = 0x4000;

/// The story's cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    [targets(), local(), loopback(), mappings(), guards()].concat()
}

fn forwarding() -> Rules {
    Rules::none().forward(TCP, HOST_3000, EARTH_8000).forward(UDP, "0.0.0.0:53", "10.10.0.10:5353")
}

fn targets() -> Vec<Case> {
    let request = tcp("10.10.0.10:5555", HOST_3000);
    let inwards = tcp("192.168.0.108:5555", EARTH_8000);
    let (answer, back) = (tcp(EARTH_8000, "192.168.0.108:5555"), tcp(HOST_3000, "10.10.0.10:5555"));
    let by_another = "10.10.0.11:5555";
    vec![
        Case::new(
            "a target that uses its own forward by another of its addresses meets the host, too",
            forwarding().one_node(&["10.10.0.10", "10.10.0.11"]),
        )
        .becomes(PortIn, &request.clone().from(by_another).syn(), Created, &inwards.clone().syn())
        .becomes(PortIn, &answer.clone().syn_ack(), Established, &back.clone().to(by_another).syn_ack())
        // Others are who they are.
        .becomes(
            PortIn,
            &tcp(NEPTUNE_6000, HOST_3000).syn(),
            Created,
            &tcp(NEPTUNE_6000, EARTH_8000).syn(),
        ),
        Case::new("a target that uses its own forward meets the host, and not itself", forwarding())
            .becomes(PortIn, &request.clone().syn(), Created, &inwards.clone().syn())
            .stays(PortOut, &inwards.clone().syn(), NoRule)
            .becomes(PortIn, &answer.clone().syn_ack(), Established, &back.clone().syn_ack())
            .stays(PortOut, &back.clone().syn_ack(), NoRule)
            .becomes(PortIn, &request.clone().ack(), Established, &inwards.clone().ack()),
        Case::new("its port is another where the host has a socket", forwarding().one_port(50_000))
            .socket(UDP, "192.168.0.108:5555")
            .becomes(
                PortIn,
                &udp("10.10.0.10:5555", "192.168.0.108:53"),
                Created,
                &udp("192.168.0.108:50000", "10.10.0.10:5353"),
            ),
        Case::new("its port is another where its answers would look like its questions", same_port())
            .becomes(
                PortIn,
                &udp("10.10.0.10:5353", "192.168.0.108:5353"),
                Created,
                &udp("192.168.0.108:50000", "10.10.0.10:5353"),
            )
            .becomes(
                PortIn,
                &udp("10.10.0.10:5353", "192.168.0.108:50000"),
                Established,
                &udp("192.168.0.108:5353", "10.10.0.10:5353"),
            )
            .becomes(
                PortIn,
                &udp("10.10.0.10:5353", "192.168.0.108:5353"),
                Established,
                &udp("192.168.0.108:50000", "10.10.0.10:5353"),
            ),
    ]
}

fn same_port() -> Rules {
    Rules::none().forward(UDP, "0.0.0.0:5353", "10.10.0.10:5353").one_port(50_000)
}

/// Frames as the loopback interface has them: without hardware addresses.
pub fn bare(packet: &Packet) -> Packet {
    packet.clone().patch(0, &[0; 12])
}

fn local() -> Vec<Case> {
    let request = tcp(HOST_7777, HOST_3000);
    let inwards = tcp(HOST_7777, EARTH_8000);
    let (answer, back) = (tcp(EARTH_8000, HOST_7777), tcp(HOST_3000, HOST_7777));
    vec![
        Case::new("the host uses a forward by its own address", forwarding())
            .becomes(LocalOut, &bare(&request.clone().syn()), Created, &bare(&inwards.clone().syn()))
            .becomes(PortIn, &answer.clone().syn_ack(), Established, &bare(&back.clone().syn_ack()))
            .becomes(LocalOut, &bare(&request.clone().ack()), Established, &bare(&inwards.clone().ack()))
            .only_in(&[Place::Tc]),
        Case::new("what is for no forward is the host's own affair", forwarding())
            .stays(LocalOut, &bare(&tcp(HOST_7777, "192.168.0.108:22").syn()), NoRule)
            .stays(LocalOut, &bare(&tcp(HOST_7777, HOST_3000).ack()), NoRule)
            .stays(LocalOut, &bare(&ping(HOST, HOST, 5)), NoRule)
            .only_in(&[Place::Tc]),
        Case::new("a forward for some is not for the host, whose own socket answers", restricted())
            .stays(LocalOut, &bare(&tcp(HOST_7777, HOST_3000).syn()), NoRule)
            .only_in(&[Place::Tc]),
    ]
}

fn restricted() -> Rules {
    Rules::none().forward(TCP, HOST_3000, EARTH_8000).allow(&["8.8.8.0/24"])
}

fn loopback() -> Vec<Case> {
    let request = udp(LOOPBACK_7777, "127.0.0.1:53");
    let inwards = udp(NEAR_7777, "10.10.0.10:5353");
    let (answer, back) = (udp("10.10.0.10:5353", NEAR_7777), udp("127.0.0.1:53", LOOPBACK_7777));
    vec![
        Case::new("a loopback address becomes the one that the node knows", forwarding())
            .becomes(LocalOut, &bare(&request), Created, &bare(&inwards))
            .becomes(PortIn, &answer, Established, &bare(&back))
            .only_in(&[Place::Tc]),
        Case::new("a datagram of the host's may be fragmented on its way", forwarding())
            .becomes(
                LocalOut,
                &bare(&request.clone().fragment(DONT_FRAGMENT, false)),
                Created,
                &bare(&inwards),
            )
            .only_in(&[Place::Tc]),
        Case::new("a loopback address is for nobody else", forwarding()).stays(
            PortIn,
            &udp("10.10.0.20:7777", "127.0.0.1:53"),
            NoRule,
        ),
        Case::new("a forward for one address is not for a loopback one", forwarding())
            .stays(LocalOut, &bare(&tcp(LOOPBACK_7777, "127.0.0.1:3000").syn()), NoRule)
            .only_in(&[Place::Tc]),
    ]
}

fn mapped(filtering: Filtering) -> Rules {
    Rules::none().masquerade("10.10.0.0/16", HOST, 40_000..=40_001).mapping(filtering)
}

fn mappings() -> Vec<Case> {
    let opens = udp(EARTH_6000, "8.8.8.8:53");
    let opened = udp("192.168.0.108:6000", "8.8.8.8:53");
    let to_mapping = udp("10.10.0.20:7000", "192.168.0.108:6000");
    let seen = udp("192.168.0.108:7000", EARTH_6000);
    vec![
        Case::new(
            "a node reaches another by its mapping, and is seen by its own",
            mapped(Filtering::EndpointIndependent),
        )
        .becomes(UplinkOut, &opens, Created, &opened)
        .becomes(PortIn, &to_mapping, Created, &seen)
        .becomes(
            PortIn,
            &udp(EARTH_6000, "192.168.0.108:7000"),
            Established,
            &udp("192.168.0.108:6000", "10.10.0.20:7000"),
        )
        .becomes(PortIn, &to_mapping, Established, &seen),
        Case::new(
            "a node reaches a socket of its own by its mapping",
            mapped(Filtering::EndpointIndependent),
        )
        .becomes(UplinkOut, &opens, Created, &opened)
        .becomes(
            PortIn,
            &udp("10.10.0.10:7000", "192.168.0.108:6000"),
            Created,
            &udp("192.168.0.108:7000", EARTH_6000),
        )
        .becomes(
            PortIn,
            &udp(EARTH_6000, "192.168.0.108:7000"),
            Established,
            &udp("192.168.0.108:6000", "10.10.0.10:7000"),
        ),
        Case::new("a mapping's filtering is for nodes too", mapped(Filtering::AddressDependent))
            .becomes(UplinkOut, &opens, Created, &opened)
            .stays(PortIn, &to_mapping, Filtered),
        Case::new("a node without a masquerade is no guest", mapped(Filtering::EndpointIndependent))
            .becomes(UplinkOut, &opens, Created, &opened)
            .stays(PortIn, &udp("10.30.0.1:7000", "192.168.0.108:6000"), NoRule),
    ]
}

fn guards() -> Vec<Case> {
    vec![
        Case::new("no node claims to be the host", forwarding())
            .stays(PortIn, &tcp("192.168.0.108:5555", NEPTUNE_6000).syn(), SpoofedSource)
            .stays(PortIn, &ping("10.10.0.1", "10.10.0.20", 1), SpoofedSource)
            .stays(PortIn, &tcp("10.10.0.1:22", HOST_3000).syn(), SpoofedSource),
        Case::new("a flow of the host's way is in its tuple at no other port", forwarding())
            .becomes(
                LocalOut,
                &bare(&tcp(HOST_7777, HOST_3000).syn()),
                Created,
                &bare(&tcp(HOST_7777, EARTH_8000).syn()),
            )
            .stays(PortOut, &tcp(EARTH_8000, HOST_7777).syn_ack(), NoRule)
            .only_in(&[Place::Tc]),
    ]
}
