//! Tables and sources at their limit: who makes room for whom, who is refused, and what the refused are told.

use netlab_common::abi::hook::Hook::{PortIn, UplinkIn, UplinkOut};
use netlab_common::abi::rule::Filtering;
use netlab_common::abi::verdict::Verdict::{
    Created, Established, HostFlow, NoRule, NotAllowed, PortsExhausted, SourceQuota, TableFull,
};
use netlab_common::net::protocol::{TCP, UDP};

use super::{
    EARTH, EARTH_5555, EARTH_8000, HOST, HOST_5555, HOST_40000, NEPTUNE_5555, WORLD, WORLD_80, WORLD_7777,
};
use crate::kernel::Place;
use crate::packet::{ping, refusal, tcp, udp};
use crate::progrun::Case;
use crate::rules::Rules;

const HOST_8000: &str = "192.168.0.108:8000";

/// The story's cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    [full(), quotas(), alone(), arriving(), leaving(), unanswered()].concat()
}

fn full() -> Vec<Case> {
    let (earth, neptune) = (udp(EARTH_5555, WORLD_80), udp(NEPTUNE_5555, WORLD_80));
    let answer = udp(WORLD_80, HOST_5555);
    let (syn, syn_ack) = (tcp(EARTH_5555, WORLD_80).syn(), tcp(WORLD_80, HOST_5555).syn_ack());
    let (ack, rst) = (tcp(EARTH_5555, WORLD_80).ack(), tcp(EARTH_5555, WORLD_80).rst().numbers(8, 0));
    vec![
        Case::new("a flow that nobody has answered makes room for another", Rules::masquerading().room(1))
            .becomes(UplinkOut, &earth, Created, &earth.clone().from(HOST_5555))
            .becomes(UplinkOut, &neptune, Created, &neptune.clone().from(HOST_5555))
            .becomes(UplinkIn, &answer, Established, &answer.clone().to(NEPTUNE_5555)),
        Case::new(
            "without a free slot the packet is dropped, and the flow that was answered stays",
            Rules::masquerading().room(1),
        )
        .becomes(UplinkOut, &earth, Created, &earth.clone().from(HOST_5555))
        .becomes(UplinkIn, &answer, Established, &answer.clone().to(EARTH_5555))
        .stays(UplinkOut, &neptune, TableFull)
        .stays(UplinkOut, &neptune, TableFull)
        .becomes(UplinkIn, &answer, Established, &answer.clone().to(EARTH_5555)),
        Case::new("a connection that is established stays", Rules::masquerading().room(1))
            .becomes(UplinkOut, &syn, Created, &syn.clone().from(HOST_5555))
            .becomes(UplinkIn, &syn_ack, Established, &syn_ack.clone().to(EARTH_5555))
            .becomes(UplinkOut, &ack, Established, &ack.clone().from(HOST_5555))
            .stays(UplinkOut, &neptune, TableFull),
        Case::new("a connection that is half open does not", Rules::masquerading().room(1))
            .becomes(UplinkOut, &syn, Created, &syn.clone().from(HOST_5555))
            .becomes(UplinkIn, &syn_ack, Established, &syn_ack.clone().to(EARTH_5555))
            .becomes(UplinkOut, &neptune, Created, &neptune.clone().from(HOST_5555))
            .stays(UplinkIn, &tcp(WORLD_80, HOST_5555).ack(), NoRule),
        Case::new("what is closing goes before what is half open", Rules::masquerading().room(2))
            .becomes(UplinkOut, &earth, Created, &earth.clone().from(HOST_5555))
            .idle(10)
            .becomes(UplinkOut, &syn, Created, &syn.clone().from(HOST_5555))
            .becomes(UplinkOut, &rst, Established, &rst.clone().from(HOST_5555))
            .becomes(UplinkOut, &neptune, Created, &neptune.clone().from(HOST_40000))
            .becomes(UplinkIn, &answer, Established, &answer.clone().to(EARTH_5555)),
        Case::new("of two that are half open the older one goes", Rules::masquerading().room(2))
            .becomes(UplinkOut, &earth, Created, &earth.clone().from(HOST_5555))
            .idle(10)
            .becomes(UplinkOut, &syn, Created, &syn.clone().from(HOST_5555))
            .becomes(UplinkOut, &neptune, Created, &neptune.clone().from(HOST_5555))
            .becomes(UplinkIn, &syn_ack, Established, &syn_ack.clone().to(EARTH_5555)),
    ]
}

fn quotas() -> Vec<Case> {
    let (earth, neptune) = (udp(EARTH_5555, WORLD_80), udp(NEPTUNE_5555, WORLD_80));
    let second = udp(EARTH_5555, "8.8.4.4:80");
    vec![
        Case::new("a source has no more flows than one may", Rules::masquerading().per_source(1))
            .becomes(UplinkOut, &earth, Created, &earth.clone().from(HOST_5555))
            .stays(UplinkOut, &second, SourceQuota)
            .becomes(UplinkOut, &earth, Established, &earth.clone().from(HOST_5555))
            .becomes(UplinkOut, &neptune, Created, &neptune.clone().from(HOST_40000))
            .idle(123)
            .stays(UplinkOut, &second, SourceQuota)
            .sweep(2)
            .becomes(UplinkOut, &second, Created, &second.clone().from(HOST_5555)),
        Case::new(
            "a source of the world has no more flows either",
            Rules::none().forward(UDP, HOST_8000, EARTH_8000).per_source(1),
        )
        .becomes(UplinkIn, &udp(WORLD_7777, HOST_8000), Created, &udp(WORLD_7777, EARTH_8000))
        .becomes(UplinkIn, &udp("8.8.4.4:1", HOST_8000), Created, &udp("8.8.4.4:1", EARTH_8000))
        .answered(
            UplinkIn,
            &udp("8.8.8.8:1", HOST_8000),
            SourceQuota,
            refusal(&udp("8.8.8.8:1", HOST_8000), HOST, true),
        ),
        Case::new(
            "a mapping counts as one of its source's flows",
            Rules::masquerading().mapping(Filtering::EndpointIndependent).per_source(2),
        )
        .becomes(UplinkOut, &earth, Created, &earth.clone().from(HOST_5555))
        .stays(UplinkOut, &second, SourceQuota),
        Case::new("the host's own flows have no limit", Rules::masquerading().per_source(0))
            .stays(UplinkOut, &udp(HOST_5555, WORLD_80), HostFlow)
            .stays(UplinkOut, &udp(HOST_5555, "8.8.4.4:80"), HostFlow)
            .stays(UplinkOut, &earth, SourceQuota),
    ]
}

/// No agent sweeps: what is over makes room all the same.
fn alone() -> Vec<Case> {
    let (earth, neptune) = (udp(EARTH_5555, WORLD_80), udp(NEPTUNE_5555, WORLD_80));
    let one = || Rules::none().masquerade("10.10.0.0/16", HOST, 5555..=5555);
    let begun = |name, rules| {
        Case::new(name, rules).becomes(UplinkOut, &earth, Created, &earth.clone().from(HOST_5555))
    };
    let moved = neptune.clone().from(HOST_5555);
    vec![
        begun("a flow that is over makes room for another without the agent", one().room(1))
            .alone(123)
            .becomes(UplinkOut, &neptune, Created, &moved),
        begun("a flow that is over gives its port to another without the agent", one())
            .alone(123)
            .becomes(UplinkOut, &neptune, Created, &moved),
        begun("a flow that is over gives its port to another before the agent comes by", one())
            .idle(123)
            .becomes(UplinkOut, &neptune, Created, &moved),
        begun("a flow that is over keeps its port for its quarantine", one())
            .idle(121)
            .stays(UplinkOut, &neptune, PortsExhausted)
            .idle(2)
            .becomes(UplinkOut, &neptune, Created, &moved),
    ]
}

/// Where packets arrive, a refusal is answered on the spot, in the name of whom the packet was for.
fn arriving() -> Vec<Case> {
    let rules = |protocol| Rules::none().forward(protocol, HOST_8000, EARTH_8000).per_source(1);
    let ends = [(WORLD_7777, UplinkIn), (NEPTUNE_5555, PortIn)];
    let of = |protocol, number: usize| {
        let (from, hook) = ends[number];
        let packet = if protocol == TCP { tcp(from, HOST_8000).syn() } else { udp(from, HOST_8000) };
        let next = packet.clone().from(&format!("{}:9", from.split(':').next().unwrap_or(from)));
        let name = format!("protocol {protocol} at {} is answered when it is refused", hook.name());
        Case::new(name, rules(protocol))
            .becomes(hook, &packet, Created, &packet.clone().to(EARTH_8000))
            .answered(hook, &next, SourceQuota, refusal(&next, HOST, true))
            .stays(hook, &next, SourceQuota)
            .ticks(1)
            .answered(hook, &next, SourceQuota, refusal(&next, HOST, true))
            .becomes(hook, &packet, Established, &packet.clone().to(EARTH_8000))
    };
    let mut cases = vec![of(TCP, 0), of(TCP, 1), of(UDP, 0), of(UDP, 1)];
    let shapes = [
        ("the shortest datagram", udp("8.8.8.8:9", HOST_8000).payload(&[])),
        ("the shortest datagram with padding", udp("8.8.8.8:9", HOST_8000).payload(&[]).padded(60)),
        ("a long datagram", udp("8.8.8.8:9", HOST_8000).payload(&[0xa5; 1472])),
        ("a datagram without a checksum", udp("8.8.8.8:9", HOST_8000).unsealed()),
    ];
    cases.extend(shapes.into_iter().map(|(what, packet)| {
        Case::new(format!("{what} is answered when it is refused"), rules(UDP).per_source(0)).answered(
            UplinkIn,
            &packet,
            SourceQuota,
            refusal(&packet, HOST, true),
        )
    }));
    cases
}

/// Where packets leave, it is answered in the name of the host's address where the packet came from. Frames in
/// XDP do not know where that is.
fn leaving() -> Vec<Case> {
    let rules = || Rules::masquerading().interface(7, "10.10.0.1").interface(8, "0.0.0.0").per_source(0);
    let datagram = udp(EARTH_5555, WORLD_80);
    let syn = tcp(EARTH_5555, WORLD_80).syn();
    let echo = ping(EARTH, WORLD, 3);
    let ours = |packet| refusal(packet, "10.10.0.1", false);
    let theirs = |packet| refusal(packet, WORLD, false);
    let full = Rules::masquerading().interface(7, "10.10.0.1").room(1);
    let others = udp(NEPTUNE_5555, WORLD_80);
    let only = |case: Case| case.only_in(&[Place::Tc]);
    vec![
        only(
            Case::new("a node's refused packet is answered by the host", rules())
                .answered_from(7, UplinkOut, &datagram, SourceQuota, ours(&datagram))
                .stays_from(7, UplinkOut, &datagram, SourceQuota)
                .ticks(1)
                .answered_from(7, UplinkOut, &syn, SourceQuota, ours(&syn))
                .ticks(1)
                .answered_from(7, UplinkOut, &echo, SourceQuota, ours(&echo)),
        ),
        only(
            Case::new("a host without an address there answers for whom the packet was for", rules())
                .answered_from(8, UplinkOut, &datagram, SourceQuota, theirs(&datagram))
                .ticks(1)
                .answered_from(9, UplinkOut, &datagram, SourceQuota, theirs(&datagram)),
        ),
        only(
            Case::new("a full table is answered likewise", full)
                .becomes(UplinkOut, &datagram, Created, &datagram.clone().from(HOST_5555))
                .becomes(UplinkIn, &udp(WORLD_80, HOST_5555), Established, &udp(WORLD_80, EARTH_5555))
                .answered_from(7, UplinkOut, &others, TableFull, ours(&others)),
        ),
        only(
            Case::new(
                "a lack of ports is answered likewise",
                Rules::none().masquerade("10.10.0.0/16", HOST, 5555..=5555).interface(7, "10.10.0.1"),
            )
            .becomes(UplinkOut, &datagram, Created, &datagram.clone().from(HOST_5555))
            .answered_from(7, UplinkOut, &others, PortsExhausted, ours(&others)),
        ),
    ]
}

fn unanswered() -> Vec<Case> {
    let rules = || Rules::none().forward(UDP, HOST_8000, EARTH_8000).allow(&["8.8.8.8"]).per_source(0);
    let packet = udp(WORLD_7777, HOST_8000);
    vec![
        Case::new("what was never to be served is not answered", rules()).stays(
            UplinkIn,
            &udp("9.9.9.9:1", HOST_8000),
            NotAllowed,
        ),
        Case::new("a packet with options is not answered", rules())
            .stays(UplinkIn, &packet.clone().options(1), SourceQuota)
            .answered(UplinkIn, &packet, SourceQuota, refusal(&packet, HOST, true)),
        Case::new("what the host itself sends is not answered", Rules::masquerading().per_source(0)).stays(
            UplinkOut,
            &udp(EARTH_5555, WORLD_80),
            SourceQuota,
        ),
    ]
}
