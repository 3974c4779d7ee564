//! Nodes on their way to the world, and the answers.

use netlab_common::abi::hook::Hook::{PortIn, PortOut, UplinkIn, UplinkOut};
use netlab_common::abi::verdict::Verdict::{
    Created, Established, HostFlow, InFlow, NoRule, NotSyn, PortsExhausted,
};

use super::{EARTH, EARTH_5555, HOST, HOST_5555, HOST_40000, NEPTUNE_5555, WORLD, WORLD_80};
use crate::packet::{ping, pong, tcp, udp};
use crate::progrun::Case;
use crate::rules::Rules;

/// The story's cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    [transports(), ports(), rules()].concat()
}

fn transports() -> Vec<Case> {
    let request = tcp(EARTH_5555, WORLD_80);
    let answer = tcp(WORLD_80, HOST_5555);
    vec![
        Case::new("masqueraded TCP goes out, comes back and goes on", Rules::masquerading())
            .stays(PortIn, &request.clone().syn(), NoRule)
            .becomes(UplinkOut, &request.clone().syn(), Created, &request.clone().syn().from(HOST_5555))
            .becomes(
                UplinkIn,
                &answer.clone().syn_ack(),
                Established,
                &answer.clone().syn_ack().to(EARTH_5555),
            )
            .stays(PortOut, &answer.clone().syn_ack().to(EARTH_5555), NoRule)
            .stays(PortIn, &request.clone().ack(), InFlow)
            .becomes(UplinkOut, &request.clone().ack(), Established, &request.clone().ack().from(HOST_5555))
            .becomes(UplinkIn, &answer.clone().fin(), Established, &answer.clone().fin().to(EARTH_5555)),
        Case::new("masqueraded UDP goes out and comes back", Rules::masquerading())
            .becomes(UplinkOut, &udp(EARTH_5555, WORLD_80), Created, &udp(HOST_5555, WORLD_80))
            .becomes(UplinkIn, &udp(WORLD_80, HOST_5555), Established, &udp(WORLD_80, EARTH_5555)),
        Case::new("a masqueraded echo keeps its identifier", Rules::masquerading())
            .becomes(UplinkOut, &ping(EARTH, WORLD, 77), Created, &ping(HOST, WORLD, 77))
            .becomes(UplinkIn, &pong(WORLD, HOST, 77), Established, &pong(WORLD, EARTH, 77)),
        Case::new(
            "an answer with another identifier, port or sender is not the flow's",
            Rules::masquerading(),
        )
        .becomes(UplinkOut, &ping(EARTH, WORLD, 77), Created, &ping(HOST, WORLD, 77))
        .becomes(UplinkOut, &udp(EARTH_5555, WORLD_80), Created, &udp(HOST_5555, WORLD_80))
        .stays(UplinkIn, &pong(WORLD, HOST, 78), NoRule)
        .stays(UplinkIn, &udp("8.8.8.8:81", HOST_5555), NoRule)
        .stays(UplinkIn, &udp("8.8.4.4:80", HOST_5555), NoRule)
        .stays(UplinkIn, &tcp(WORLD_80, HOST_5555).ack(), NoRule),
        Case::new("TCP in mid-connection does not leave without a flow", Rules::masquerading())
            .stays(UplinkOut, &request.clone().ack(), NotSyn)
            .stays(UplinkOut, &request.clone().syn_ack(), NotSyn)
            .stays(UplinkOut, &request.clone().rst(), NotSyn)
            .stays(UplinkOut, &request.clone().fin(), NotSyn)
            .stays(UplinkOut, &request.clone().flags(0), NotSyn),
    ]
}

fn ports() -> Vec<Case> {
    let (earth, neptune) = (udp(EARTH_5555, WORLD_80), udp(NEPTUNE_5555, WORLD_80));
    let third = udp("10.10.0.30:5555", WORLD_80);
    vec![
        Case::new("a taken source port is replaced by one of the range", Rules::masquerading())
            .becomes(UplinkOut, &earth, Created, &earth.clone().from(HOST_5555))
            .becomes(UplinkOut, &neptune, Created, &neptune.clone().from(HOST_40000))
            .becomes(UplinkIn, &udp(WORLD_80, HOST_40000), Established, &udp(WORLD_80, NEPTUNE_5555))
            .becomes(UplinkIn, &udp(WORLD_80, HOST_5555), Established, &udp(WORLD_80, EARTH_5555)),
        Case::new("a taken source port of TCP is replaced likewise", Rules::masquerading())
            .becomes(UplinkOut, &tcp(EARTH_5555, WORLD_80).syn(), Created, &tcp(HOST_5555, WORLD_80).syn())
            .becomes(UplinkOut, &tcp(NEPTUNE_5555, WORLD_80).syn(), Created, &tcp(HOST_40000, WORLD_80).syn())
            .becomes(
                UplinkIn,
                &tcp(WORLD_80, HOST_40000).syn_ack(),
                Established,
                &tcp(WORLD_80, NEPTUNE_5555).syn_ack(),
            ),
        Case::new("a taken echo identifier is replaced by one of the range", Rules::masquerading())
            .becomes(UplinkOut, &ping(EARTH, WORLD, 77), Created, &ping(HOST, WORLD, 77))
            .becomes(UplinkOut, &ping("10.10.0.20", WORLD, 77), Created, &ping(HOST, WORLD, 40_000))
            .becomes(UplinkIn, &pong(WORLD, HOST, 40_000), Established, &pong(WORLD, "10.10.0.20", 77)),
        Case::new("one source port serves for several remotes", Rules::masquerading())
            .becomes(UplinkOut, &earth, Created, &earth.clone().from(HOST_5555))
            .becomes(
                UplinkOut,
                &neptune.clone().to("8.8.4.4:80"),
                Created,
                &neptune.clone().to("8.8.4.4:80").from(HOST_5555),
            ),
        Case::new("without a free port the packet is dropped, and the flows stay", Rules::masquerading())
            .becomes(UplinkOut, &earth, Created, &earth.clone().from(HOST_5555))
            .becomes(UplinkOut, &neptune, Created, &neptune.clone().from(HOST_40000))
            .stays(UplinkOut, &third, PortsExhausted)
            .stays(UplinkOut, &third, PortsExhausted)
            .becomes(
                UplinkOut,
                &third.clone().to("8.8.4.4:80"),
                Created,
                &third.clone().to("8.8.4.4:80").from(HOST_5555),
            )
            .becomes(UplinkOut, &earth, Established, &earth.clone().from(HOST_5555)),
    ]
}

fn rules() -> Vec<Case> {
    let two = Rules::none().masquerade("10.10.0.0/16", HOST, 40_000..=40_000).masquerade(
        "10.10.0.20/32",
        "192.168.0.200",
        40_000..=40_000,
    );
    vec![
        Case::new("the longest prefix says what a source is hidden behind", two)
            .becomes(UplinkOut, &udp(EARTH_5555, WORLD_80), Created, &udp(HOST_5555, WORLD_80))
            .becomes(UplinkOut, &udp(NEPTUNE_5555, WORLD_80), Created, &udp("192.168.0.200:5555", WORLD_80)),
        Case::new(
            "a source that is the masquerade's own address leaves as it is",
            Rules::none().masquerade("0.0.0.0/0", HOST, 40_000..=40_000),
        )
        .stays(UplinkOut, &udp(HOST_5555, WORLD_80), HostFlow)
        .becomes(
            UplinkOut,
            &udp("172.16.0.1:5", WORLD_80),
            Created,
            &udp("192.168.0.108:5", WORLD_80),
        ),
    ]
}
