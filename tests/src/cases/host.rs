//! The host's own flows to the world, and its sockets: what a node's flow must not take from them.

use netlab_common::abi::hook::Hook::{UplinkIn, UplinkOut};
use netlab_common::abi::verdict::Verdict::{Created, Established, HostFlow, NoRule, PortsExhausted};
use netlab_common::net::protocol::{TCP, UDP};

use super::{EARTH_5555, HOST, HOST_5555, HOST_40000, NEPTUNE_5555, WORLD, WORLD_80};
use crate::packet::{ping, pong, tcp, udp};
use crate::progrun::Case;
use crate::rules::Rules;

/// The story's cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    [own(), met(), sockets()].concat()
}

fn own() -> Vec<Case> {
    vec![
        Case::new("the host's own packets leave as they are", Rules::masquerading())
            .stays(UplinkOut, &tcp(HOST_5555, WORLD_80).syn(), HostFlow)
            .stays(UplinkOut, &udp(HOST_5555, WORLD_80), HostFlow)
            .stays(UplinkOut, &ping(HOST, WORLD, 5), HostFlow)
            .stays(UplinkOut, &tcp(HOST_5555, WORLD_80).ack(), HostFlow),
        Case::new("what the host sends without having opened it is no flow", Rules::masquerading())
            .stays(UplinkOut, &tcp(HOST_5555, WORLD_80).ack(), NoRule)
            .stays(UplinkOut, &tcp(HOST_5555, WORLD_80).syn_ack(), NoRule)
            .stays(UplinkOut, &tcp(HOST_5555, WORLD_80).rst(), NoRule)
            .stays(UplinkOut, &pong(HOST, WORLD, 5), NoRule),
        Case::new("answers to the host come in as they are", Rules::masquerading())
            .stays(UplinkOut, &tcp(HOST_5555, WORLD_80).syn(), HostFlow)
            .stays(UplinkIn, &tcp(WORLD_80, HOST_5555).syn_ack(), HostFlow)
            .stays(UplinkOut, &ping(HOST, WORLD, 5), HostFlow)
            .stays(UplinkIn, &pong(WORLD, HOST, 5), HostFlow)
            .stays(UplinkIn, &udp(WORLD_80, HOST_5555), NoRule),
        // A lab whose table is full must not cut its host off.
        Case::new("without room the host's packets leave all the same", Rules::masquerading().room(1))
            .becomes(UplinkOut, &udp(EARTH_5555, WORLD_80), Created, &udp(HOST_5555, WORLD_80))
            .becomes(UplinkIn, &udp(WORLD_80, HOST_5555), Established, &udp(WORLD_80, EARTH_5555))
            .stays(UplinkOut, &udp(HOST_40000, WORLD_80), NoRule),
        Case::new("the host's flows make room for others, answered or not", Rules::masquerading().room(1))
            .stays(UplinkOut, &udp(HOST_5555, WORLD_80), HostFlow)
            .stays(UplinkIn, &udp(WORLD_80, HOST_5555), HostFlow)
            .becomes(UplinkOut, &udp(EARTH_5555, WORLD_80), Created, &udp(HOST_5555, WORLD_80)),
    ]
}

/// The host and a node want the same external endpoint.
fn met() -> Vec<Case> {
    let (host, node) = (udp(HOST_5555, WORLD_80), udp(EARTH_5555, WORLD_80));
    let moved = "192.168.0.108:50000";
    vec![
        Case::new("a node takes another port where the host has its own", Rules::masquerading())
            .stays(UplinkOut, &host, HostFlow)
            .becomes(UplinkOut, &node, Created, &node.clone().from(HOST_40000))
            .stays(UplinkIn, &udp(WORLD_80, HOST_5555), HostFlow)
            .becomes(UplinkIn, &udp(WORLD_80, HOST_40000), Established, &udp(WORLD_80, EARTH_5555)),
        Case::new("the host's port changes where a node has it", Rules::masquerading().one_port(50_000))
            .becomes(UplinkOut, &node, Created, &node.clone().from(HOST_5555))
            .becomes(UplinkOut, &host, Created, &host.clone().from(moved))
            .becomes(UplinkOut, &host, Established, &host.clone().from(moved))
            .becomes(UplinkIn, &udp(WORLD_80, moved), Established, &udp(WORLD_80, HOST_5555))
            .becomes(UplinkIn, &udp(WORLD_80, HOST_5555), Established, &udp(WORLD_80, EARTH_5555)),
    ]
}

fn sockets() -> Vec<Case> {
    let rules = Rules::masquerading;
    vec![
        Case::new("a node does not take a port at which the host has a socket of UDP", rules())
            .socket(UDP, HOST_5555)
            .becomes(UplinkOut, &udp(EARTH_5555, WORLD_80), Created, &udp(HOST_40000, WORLD_80))
            .becomes(UplinkOut, &tcp(EARTH_5555, WORLD_80).syn(), Created, &tcp(HOST_5555, WORLD_80).syn()),
        Case::new("a node does not take a port at which the host listens", rules())
            .socket(TCP, HOST_5555)
            .becomes(UplinkOut, &tcp(EARTH_5555, WORLD_80).syn(), Created, &tcp(HOST_40000, WORLD_80).syn())
            .becomes(UplinkOut, &udp(EARTH_5555, WORLD_80), Created, &udp(HOST_5555, WORLD_80)),
        Case::new("the host keeps the port of its own socket", rules()).socket(UDP, HOST_5555).stays(
            UplinkOut,
            &udp(HOST_5555, WORLD_80),
            HostFlow,
        ),
        Case::new("no port of the range is taken from a socket either", rules().within_range())
            .socket(UDP, HOST_40000)
            .stays(UplinkOut, &udp(NEPTUNE_5555, WORLD_80), PortsExhausted),
    ]
}
