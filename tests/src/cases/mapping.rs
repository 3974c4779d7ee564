//! What a source is hidden behind: pools, ranges, and mappings that do not depend on the remote.

use netlab_common::abi::hook::Hook::{UplinkIn, UplinkOut};
use netlab_common::abi::rule::Filtering::{
    self, AddressAndPortDependent, AddressDependent, EndpointIndependent,
};
use netlab_common::abi::rule::Zone;
use netlab_common::abi::verdict::Verdict::{
    Created, Established, Filtered, FlowEnding, NoRule, NotSyn, PortsExhausted, PrivateSource,
};

use super::{EARTH, EARTH_5555, HOST, HOST_5555, HOST_40000, NEPTUNE_5555, WORLD, WORLD_80, WORLD_7777};
use crate::packet::{ping, pong, tcp, udp};
use crate::progrun::Case;
use crate::rules::Rules;

/// Another server, and a third.
const OTHER_80: &str = "8.8.4.4:80";
const THIRD_80: &str = "9.9.9.9:80";

/// The story's cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    [pools(), ranges(), shared(), guests(), endings()].concat()
}

fn pools() -> Vec<Case> {
    let rules = || {
        Rules::none()
            .pool("10.10.0.0/16", "192.168.0.200", 4, 40_000..=40_000)
            .zone("192.168.0.200/30", Zone::Pool)
    };
    let (earth, neptune) = (udp(EARTH_5555, WORLD_80), udp(NEPTUNE_5555, WORLD_80));
    // Which of the four it is follows from a hash of the source; the two are known to differ.
    let (earths, neptunes) = ("192.168.0.201:5555", "192.168.0.203:5555");
    vec![
        Case::new("a source always gets the same address of a pool", rules())
            .becomes(UplinkOut, &earth, Created, &earth.clone().from(earths))
            .becomes(UplinkOut, &neptune, Created, &neptune.clone().from(neptunes))
            .becomes(
                UplinkOut,
                &earth.clone().to(OTHER_80),
                Created,
                &earth.clone().to(OTHER_80).from(earths),
            )
            .becomes(UplinkIn, &udp(WORLD_80, earths), Established, &udp(WORLD_80, EARTH_5555))
            .becomes(UplinkIn, &udp(WORLD_80, neptunes), Established, &udp(WORLD_80, NEPTUNE_5555))
            .stays(UplinkIn, &udp(OTHER_80, neptunes), NoRule),
        Case::new(
            "a source that is one of the pool leaves as it is",
            Rules::none().pool("0.0.0.0/0", "192.168.0.200", 4, 40_000..=40_000),
        )
        .stays(UplinkOut, &udp("192.168.0.200:5", WORLD_80), NoRule)
        .stays(UplinkOut, &udp("192.168.0.203:5", WORLD_80), NoRule),
    ]
}

fn ranges() -> Vec<Case> {
    let rules = || Rules::masquerading().within_range();
    vec![
        Case::new("a port outside of the range that was asked for is not kept", rules())
            .becomes(UplinkOut, &udp(EARTH_5555, WORLD_80), Created, &udp(HOST_40000, WORLD_80))
            .stays(UplinkOut, &udp(NEPTUNE_5555, WORLD_80), PortsExhausted),
        Case::new("a port within the range that was asked for is kept", rules()).becomes(
            UplinkOut,
            &tcp("10.10.0.10:40000", WORLD_80).syn(),
            Created,
            &tcp(HOST_40000, WORLD_80).syn(),
        ),
        Case::new("an echo's identifier is no port, and is kept where it is free", rules())
            .becomes(UplinkOut, &ping(EARTH, WORLD, 77), Created, &ping(HOST, WORLD, 77))
            .becomes(UplinkOut, &ping("10.10.0.20", WORLD, 77), Created, &ping(HOST, WORLD, 40_000)),
    ]
}

fn independent(filtering: Filtering) -> Rules {
    Rules::masquerading().mapping(filtering)
}

fn shared() -> Vec<Case> {
    let earth = udp(EARTH_5555, WORLD_80);
    let neptune = udp(NEPTUNE_5555, OTHER_80);
    let syn = tcp(EARTH_5555, WORLD_80).syn();
    let rules = || independent(AddressAndPortDependent);
    vec![
        Case::new("all flows of an endpoint share its external one", rules())
            .becomes(UplinkOut, &earth, Created, &earth.clone().from(HOST_5555))
            .becomes(
                UplinkOut,
                &earth.clone().to(OTHER_80),
                Created,
                &earth.clone().to(OTHER_80).from(HOST_5555),
            )
            // To this remote the port would be free, but it is earth's whatever the remote.
            .becomes(UplinkOut, &neptune, Created, &neptune.clone().from(HOST_40000))
            .becomes(
                UplinkOut,
                &neptune.clone().to(THIRD_80),
                Created,
                &neptune.clone().to(THIRD_80).from(HOST_40000),
            )
            .becomes(UplinkIn, &udp(OTHER_80, HOST_5555), Established, &udp(OTHER_80, EARTH_5555))
            .becomes(UplinkIn, &udp(THIRD_80, HOST_40000), Established, &udp(THIRD_80, NEPTUNE_5555)),
        Case::new("without a free port there is no mapping", rules())
            .becomes(UplinkOut, &earth, Created, &earth.clone().from(HOST_5555))
            .becomes(UplinkOut, &neptune, Created, &neptune.clone().from(HOST_40000))
            .stays(UplinkOut, &udp("10.10.0.30:5555", THIRD_80), PortsExhausted),
        Case::new("protocols have mappings of their own", rules())
            .becomes(UplinkOut, &earth, Created, &earth.clone().from(HOST_5555))
            .becomes(UplinkOut, &syn.clone().from(NEPTUNE_5555), Created, &syn.clone().from(HOST_5555))
            .becomes(UplinkOut, &syn, Created, &syn.clone().from(HOST_40000)),
        Case::new("echoes share an identifier", rules())
            .becomes(UplinkOut, &ping(EARTH, WORLD, 7), Created, &ping(HOST, WORLD, 7))
            .becomes(UplinkOut, &ping(EARTH, "8.8.4.4", 7), Created, &ping(HOST, "8.8.4.4", 7))
            .becomes(UplinkOut, &ping("10.10.0.20", "9.9.9.9", 7), Created, &ping(HOST, "9.9.9.9", 40_000))
            .becomes(UplinkIn, &pong("8.8.4.4", HOST, 7), Established, &pong("8.8.4.4", EARTH, 7)),
        Case::new("what opens no flow makes no mapping", rules())
            .stays(UplinkOut, &tcp(EARTH_5555, WORLD_80).ack(), NotSyn)
            .stays(UplinkOut, &pong(EARTH, WORLD, 7), PrivateSource)
            .stays(UplinkIn, &udp(WORLD_80, HOST_5555), NoRule),
    ]
}

/// Packets from others than those that the endpoint has a flow to.
fn guests() -> Vec<Case> {
    let earth = udp(EARTH_5555, WORLD_80);
    let (acquaintance, stranger) = (udp(WORLD_7777, HOST_5555), udp(THIRD_80, HOST_5555));
    let begun = |name, filtering| {
        let case = Case::new(name, independent(filtering));
        case.becomes(UplinkOut, &earth, Created, &earth.clone().from(HOST_5555))
    };
    let syn = tcp(THIRD_80, HOST_5555).syn();
    vec![
        begun("filtering by address and port keeps all others out", AddressAndPortDependent)
            .stays(UplinkIn, &acquaintance, Filtered)
            .stays(UplinkIn, &stranger, Filtered)
            .becomes(UplinkIn, &udp(WORLD_80, HOST_5555), Established, &udp(WORLD_80, EARTH_5555)),
        begun("filtering by address lets in those who were sent to, from any port", AddressDependent)
            .becomes(UplinkIn, &acquaintance, Created, &acquaintance.clone().to(EARTH_5555))
            .stays(UplinkIn, &stranger, Filtered)
            .becomes(UplinkOut, &udp(EARTH_5555, WORLD_7777), Established, &udp(HOST_5555, WORLD_7777))
            .becomes(UplinkOut, &udp(EARTH_5555, "9.9.9.9:1"), Created, &udp(HOST_5555, "9.9.9.9:1"))
            .becomes(UplinkIn, &stranger, Created, &stranger.clone().to(EARTH_5555)),
        begun("no filtering lets anybody in", EndpointIndependent)
            .becomes(UplinkIn, &acquaintance, Created, &acquaintance.clone().to(EARTH_5555))
            .becomes(UplinkIn, &stranger, Created, &stranger.clone().to(EARTH_5555))
            .becomes(UplinkIn, &stranger, Established, &stranger.clone().to(EARTH_5555))
            .becomes(UplinkOut, &udp(EARTH_5555, THIRD_80), Established, &udp(HOST_5555, THIRD_80)),
        begun("a mapping is for its own protocol and port", EndpointIndependent)
            .stays(UplinkIn, &syn, NoRule)
            .stays(UplinkIn, &udp(THIRD_80, "192.168.0.108:5556"), NoRule)
            .stays(UplinkIn, &ping("9.9.9.9", HOST, 5555), NoRule),
        Case::new("TCP comes in by a SYN only", independent(EndpointIndependent))
            .becomes(UplinkOut, &tcp(EARTH_5555, WORLD_80).syn(), Created, &tcp(HOST_5555, WORLD_80).syn())
            .stays(UplinkIn, &tcp(THIRD_80, HOST_5555).ack(), NoRule)
            .becomes(UplinkIn, &syn, Created, &syn.clone().to(EARTH_5555))
            .becomes(
                UplinkOut,
                &tcp(EARTH_5555, THIRD_80).syn_ack(),
                Established,
                &tcp(HOST_5555, THIRD_80).syn_ack(),
            ),
    ]
}

fn endings() -> Vec<Case> {
    let earth = udp(EARTH_5555, WORLD_80);
    let stranger = udp(THIRD_80, HOST_5555);
    let begun = |name| {
        let case = Case::new(name, independent(EndpointIndependent));
        case.becomes(UplinkOut, &earth, Created, &earth.clone().from(HOST_5555))
    };
    vec![
        begun("a mapping goes after its last flow, and its quarantine")
            .idle(123)
            .sweep(1)
            .sweep(0)
            .idle(2)
            .stays(UplinkIn, &stranger, NoRule)
            .sweep(1)
            .becomes(UplinkOut, &udp(NEPTUNE_5555, THIRD_80), Created, &udp(HOST_5555, THIRD_80)),
        begun("a mapping stays as long as one of its flows does")
            .becomes(
                UplinkOut,
                &earth.clone().to(OTHER_80),
                Created,
                &earth.clone().to(OTHER_80).from(HOST_5555),
            )
            .idle(100)
            .becomes(UplinkIn, &udp(OTHER_80, HOST_5555), Established, &udp(OTHER_80, EARTH_5555))
            .idle(100)
            .sweep(1)
            .becomes(UplinkIn, &stranger, Created, &stranger.clone().to(EARTH_5555)),
        begun("a mapping that a user ends goes after its flows, and until then nothing opens through it")
            .end_flows()
            .stays(UplinkIn, &stranger, NoRule)
            .stays(UplinkOut, &earth, FlowEnding)
            .sweep(1)
            .becomes(UplinkOut, &earth, Created, &earth.clone().from(HOST_5555)),
        begun("a mapping that is used again within its quarantine keeps its port")
            .idle(123)
            .sweep(1)
            .idle(1)
            .becomes(
                UplinkOut,
                &earth.clone().to(OTHER_80),
                Created,
                &earth.clone().to(OTHER_80).from(HOST_5555),
            )
            .idle(2)
            .sweep(0),
    ]
}
