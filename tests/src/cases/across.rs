//! Packets that cross the host without its stack, and those that must not: what came before has shown the way.

use netlab_common::abi::hook::Hook::{PortIn, PortOut, UplinkIn, UplinkOut};
use netlab_common::abi::verdict::Verdict::{Created, Established, InFlow, MalformedPassed, NoRule};
use netlab_common::net::protocol::{TCP, UDP};

use super::{EARTH_5555, EARTH_8000, HOST_5555, WORLD_80, WORLD_7777};
use crate::kernel::Place;
use crate::packet::{Packet, tcp, udp};
use crate::progrun::Case;
use crate::rules::Rules;

const HOST_3000: &str = "192.168.0.108:3000";
/// Hardware addresses of two cables.
const INSIDE: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
const OUTSIDE: [u8; 12] = [2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 4];

/// The story's cases. At XDP itself nothing leaves the host, and so nothing is learnt there.
#[must_use]
pub fn cases() -> Vec<Case> {
    let all = [masquerade(), forward(), others(), times()].concat();
    all.into_iter().map(|case| case.only_in(&[Place::Tc, Place::Across])).collect()
}

fn masquerading() -> Rules {
    Rules::masquerading().crossing()
}

fn inside(packet: &Packet) -> Packet {
    packet.clone().patch(0, &INSIDE)
}

fn outside(packet: &Packet) -> Packet {
    packet.clone().patch(0, &OUTSIDE)
}

/// What a packet is one hop further.
fn further(packet: &Packet) -> Packet {
    packet.clone().ttl(63)
}

/// A flow whose ways are known in both directions.
fn begun(name: &str, rules: Rules, sent: &Packet, left: &Packet, answer: &Packet, back: &Packet) -> Case {
    Case::new(name, rules)
        .becomes(UplinkOut, &outside(sent), Created, &outside(left))
        .becomes(UplinkIn, &outside(answer), Established, &outside(back))
        .stays(PortOut, &inside(back), NoRule)
}

fn datagrams(name: &str) -> Case {
    let (sent, left) = (udp(EARTH_5555, WORLD_80), udp(HOST_5555, WORLD_80));
    let (answer, back) = (udp(WORLD_80, HOST_5555), udp(WORLD_80, EARTH_5555));
    begun(name, masquerading(), &sent, &left, &answer, &back)
}

fn masquerade() -> Vec<Case> {
    let (sent, left) = (udp(EARTH_5555, WORLD_80), udp(HOST_5555, WORLD_80));
    let (answer, back) = (udp(WORLD_80, HOST_5555), udp(WORLD_80, EARTH_5555));
    let syn = tcp(EARTH_5555, WORLD_80).syn();
    let segments = |name| {
        begun(
            name,
            masquerading(),
            &syn,
            &tcp(HOST_5555, WORLD_80).syn(),
            &tcp(WORLD_80, HOST_5555).syn_ack(),
            &tcp(WORLD_80, EARTH_5555).syn_ack(),
        )
        .becomes(
            UplinkOut,
            &outside(&tcp(EARTH_5555, WORLD_80).ack()),
            Established,
            &outside(&tcp(HOST_5555, WORLD_80).ack()),
        )
    };
    let segment = |from: &str, to: &str| tcp(from, to).ack().numbers(1000, 2000).payload(b"data");
    vec![
        datagrams("a flow's packets cross the host once its ways are known")
            .becomes(PortIn, &inside(&sent), Established, &outside(&further(&left)))
            .becomes(UplinkIn, &outside(&answer), Established, &inside(&further(&back)))
            .becomes(
                PortIn,
                &inside(&sent.clone().unsealed()),
                Established,
                &outside(&further(&left.unsealed())),
            ),
        segments("segments of an established connection cross")
            .becomes(
                UplinkIn,
                &outside(&segment(WORLD_80, HOST_5555)),
                Established,
                &inside(&further(&segment(WORLD_80, EARTH_5555))),
            )
            .becomes(
                PortIn,
                &inside(&segment(EARTH_5555, WORLD_80)),
                Established,
                &outside(&further(&segment(HOST_5555, WORLD_80))),
            ),
        segments("what breaks off or opens a connection goes the whole way")
            .stays(PortIn, &inside(&segment(EARTH_5555, WORLD_80).rst()), InFlow)
            .stays(PortIn, &inside(&syn), InFlow),
        segments("what closes a connection crosses, and a SYN goes the whole way again")
            .becomes(
                PortIn,
                &inside(&segment(EARTH_5555, WORLD_80).fin()),
                Established,
                &outside(&further(&segment(HOST_5555, WORLD_80).fin())),
            )
            .becomes(
                UplinkIn,
                &outside(&segment(WORLD_80, HOST_5555).fin()),
                Established,
                &inside(&further(&segment(WORLD_80, EARTH_5555).fin())),
            )
            .becomes(
                PortIn,
                &inside(&tcp(EARTH_5555, WORLD_80).ack().numbers(1005, 2005)),
                Established,
                &outside(&further(&tcp(HOST_5555, WORLD_80).ack().numbers(1005, 2005))),
            )
            .stays(PortIn, &inside(&syn), InFlow)
            .becomes(UplinkOut, &outside(&syn), Created, &outside(&tcp(HOST_5555, WORLD_80).syn())),
    ]
}

fn forward() -> Vec<Case> {
    let rules =
        || Rules::none().forward(TCP, HOST_3000, EARTH_8000).forward(UDP, HOST_3000, EARTH_8000).crossing();
    let (asked, inwards) = (udp(WORLD_7777, HOST_3000), udp(WORLD_7777, EARTH_8000));
    let (answer, back) = (udp(EARTH_8000, WORLD_7777), udp(HOST_3000, WORLD_7777));
    vec![
        Case::new("through a forward both directions cross", rules())
            .becomes(UplinkIn, &outside(&asked), Created, &outside(&inwards))
            .stays(PortOut, &inside(&inwards), NoRule)
            .becomes(UplinkOut, &outside(&answer), Established, &outside(&back))
            .becomes(UplinkIn, &outside(&asked), Established, &inside(&further(&inwards)))
            .becomes(PortIn, &inside(&answer), Established, &outside(&further(&back))),
    ]
}

fn others() -> Vec<Case> {
    let sent = udp(EARTH_5555, WORLD_80);
    let long = [7; 1473];
    vec![
        datagrams("what the host must answer or cut goes the whole way")
            .stays(PortIn, &inside(&sent.clone().ttl(1)), InFlow)
            .stays(PortIn, &inside(&sent.clone().options(1)), InFlow)
            .stays(PortIn, &inside(&sent.clone().payload(&long)), InFlow)
            .stays(PortIn, &inside(&sent.clone().fragment(0, true)), InFlow)
            .stays(PortIn, &inside(&sent.clone().padded(60)), InFlow)
            .stays(PortIn, &inside(&sent.clone().patch(24, &[0, 0])), MalformedPassed)
            .becomes(
                PortIn,
                &inside(&sent.clone().payload(&long[1..])),
                Established,
                &outside(&further(&udp(HOST_5555, WORLD_80).payload(&long[1..]))),
            ),
        Case::new("nothing crosses while the agent says so", Rules::masquerading())
            .becomes(UplinkOut, &outside(&sent), Created, &outside(&udp(HOST_5555, WORLD_80)))
            .stays(PortIn, &inside(&sent), InFlow),
        Case::new("a frame to nobody in particular shows no way", masquerading())
            .becomes(
                UplinkOut,
                &sent.clone().patch(0, &[0xff; 6]),
                Created,
                &udp(HOST_5555, WORLD_80).patch(0, &[0xff; 6]),
            )
            .stays(PortIn, &inside(&sent), InFlow),
    ]
}

fn times() -> Vec<Case> {
    let sent = udp(EARTH_5555, WORLD_80);
    let crosses = |case: Case| {
        case.becomes(PortIn, &inside(&sent), Established, &outside(&further(&udp(HOST_5555, WORLD_80))))
    };
    let ticks = |case: Case, number: u32| (0..number).fold(case, |case, _| case.tick());
    let lively = |case: Case| crosses(ticks(case, 10));
    vec![
        ticks(datagrams("a flow that was idle for a second shows its way anew"), 14).stays(
            PortIn,
            &inside(&sent),
            InFlow,
        ),
        ticks(lively(lively(datagrams("a way holds for two seconds, however busy the flow"))), 10).stays(
            PortIn,
            &inside(&sent),
            InFlow,
        ),
        Case::new("without the agent no way is learnt", masquerading())
            .alone(6)
            .becomes(UplinkOut, &outside(&sent), Created, &outside(&udp(HOST_5555, WORLD_80)))
            .stays(PortIn, &inside(&sent), InFlow),
    ]
}
