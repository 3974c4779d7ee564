//! Packets that cross the host without its stack, and those that must not: what came before has shown the way.

use netlab_common::abi::config::Timeout;
use netlab_common::abi::hook::Hook::{PortIn, PortOut, UplinkIn, UplinkOut};
use netlab_common::abi::verdict::Verdict::{Created, Established, InFlow, MalformedPassed, NoRule};
use netlab_common::net::protocol::{TCP, UDP};

use super::{EARTH_5555, EARTH_8000, HOST_5555, WORLD_80, WORLD_7777};
use crate::kernel::Place;
use crate::packet::{Packet, tcp, udp};
use crate::progrun::Case;
use crate::rules::{DOOR, Rules};

const HOST_3000: &str = "192.168.0.108:3000";
const NEPTUNE_7777: &str = "10.10.0.20:7777";
const HOST_7777: &str = "192.168.0.108:7777";
/// Hardware addresses of frames that leave to a node or to the world.
const INSIDE: [u8; 12] = [2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 4];
const OUTSIDE: [u8; 12] = [2, 0, 0, 0, 0, 5, 2, 0, 0, 0, 0, 6];

/// The story's cases. At XDP itself nothing leaves the host, and so nothing is learnt there.
#[must_use]
pub fn cases() -> Vec<Case> {
    let all = [masquerade(), forward(), others(), times()].concat();
    all.into_iter().map(|case| case.only_in(&[Place::Tc, Place::Across])).collect()
}

fn masquerading() -> Rules {
    Rules::masquerading().crossing()
}

/// A packet for the host to route.
fn arriving(packet: &Packet) -> Packet {
    packet.clone().patch(0, &DOOR).patch(6, &[2, 0, 0, 0, 0, 7])
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
        .becomes(UplinkIn, &arriving(answer), Established, &arriving(back))
        .stays(PortOut, &inside(back), NoRule)
}

fn datagrams(name: &str) -> Case {
    begun_datagrams(name, masquerading())
}

fn begun_datagrams(name: &str, rules: Rules) -> Case {
    let (sent, left) = (udp(EARTH_5555, WORLD_80), udp(HOST_5555, WORLD_80));
    let (answer, back) = (udp(WORLD_80, HOST_5555), udp(WORLD_80, EARTH_5555));
    begun(name, rules, &sent, &left, &answer, &back)
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
            .becomes(PortIn, &arriving(&sent), Established, &outside(&further(&left)))
            .becomes(UplinkIn, &arriving(&answer), Established, &inside(&further(&back)))
            .becomes(
                PortIn,
                &arriving(&sent.clone().unsealed()),
                Established,
                &outside(&further(&left.unsealed())),
            ),
        segments("segments of an established connection cross")
            .becomes(
                UplinkIn,
                &arriving(&segment(WORLD_80, HOST_5555)),
                Established,
                &inside(&further(&segment(WORLD_80, EARTH_5555))),
            )
            .becomes(
                PortIn,
                &arriving(&segment(EARTH_5555, WORLD_80)),
                Established,
                &outside(&further(&segment(HOST_5555, WORLD_80))),
            ),
        segments("what breaks off or opens a connection goes the whole way")
            .stays(PortIn, &arriving(&segment(EARTH_5555, WORLD_80).rst()), InFlow)
            .stays(PortIn, &arriving(&syn), InFlow),
        segments("what closes a connection crosses, and a SYN goes the whole way again")
            .becomes(
                PortIn,
                &arriving(&segment(EARTH_5555, WORLD_80).fin()),
                Established,
                &outside(&further(&segment(HOST_5555, WORLD_80).fin())),
            )
            .becomes(
                UplinkIn,
                &arriving(&segment(WORLD_80, HOST_5555).fin()),
                Established,
                &inside(&further(&segment(WORLD_80, EARTH_5555).fin())),
            )
            .becomes(
                PortIn,
                &arriving(&tcp(EARTH_5555, WORLD_80).ack().numbers(1005, 2005)),
                Established,
                &outside(&further(&tcp(HOST_5555, WORLD_80).ack().numbers(1005, 2005))),
            )
            .stays(PortIn, &arriving(&syn), InFlow)
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
            .becomes(UplinkIn, &arriving(&asked), Created, &arriving(&inwards))
            .stays(PortOut, &inside(&inwards), NoRule)
            .becomes(UplinkOut, &outside(&answer), Established, &outside(&back))
            .becomes(UplinkIn, &arriving(&asked), Established, &inside(&further(&inwards)))
            .becomes(PortIn, &arriving(&answer), Established, &outside(&further(&back))),
    ]
}

fn others() -> Vec<Case> {
    let sent = udp(EARTH_5555, WORLD_80);
    let long = [7; 1473];
    vec![
        datagrams("what the host must answer or cut, or is not given, goes the whole way")
            .stays(PortIn, &arriving(&sent.clone().ttl(1)), InFlow)
            .stays(PortIn, &arriving(&sent.clone().options(1)), InFlow)
            .stays(PortIn, &arriving(&sent.clone().payload(&long)), InFlow)
            .stays(PortIn, &arriving(&sent.clone().fragment(0, true)), InFlow)
            .stays(PortIn, &arriving(&sent.clone().padded(60)), InFlow)
            .stays(PortIn, &arriving(&sent.clone().patch(24, &[0, 0])), MalformedPassed)
            .stays(PortIn, &inside(&sent), InFlow)
            .stays(PortIn, &arriving(&sent).patch(0, &[0xff; 6]), InFlow)
            .becomes(
                PortIn,
                &arriving(&sent.clone().payload(&long[1..])),
                Established,
                &outside(&further(&udp(HOST_5555, WORLD_80).payload(&long[1..]))),
            ),
        Case::new("nothing crosses while the agent says so", Rules::masquerading())
            .becomes(UplinkOut, &outside(&sent), Created, &outside(&udp(HOST_5555, WORLD_80)))
            .stays(PortIn, &arriving(&sent), InFlow),
        Case::new("a frame to nobody in particular shows no way", masquerading())
            .becomes(
                UplinkOut,
                &sent.clone().patch(0, &[0xff; 6]),
                Created,
                &udp(HOST_5555, WORLD_80).patch(0, &[0xff; 6]),
            )
            .stays(PortIn, &arriving(&sent), InFlow),
    ]
}

fn times() -> Vec<Case> {
    let (sent, left) = (udp(EARTH_5555, WORLD_80), udp(HOST_5555, WORLD_80));
    let crosses = |case: Case| case.becomes(PortIn, &arriving(&sent), Established, &outside(&further(&left)));
    let goes_by_the_stack = |case: Case| case.stays(PortIn, &arriving(&sent), InFlow);
    // Another flow's packet goes the same way, by the stack.
    let other = |case: Case, verdict| {
        let (sent, left) = (udp(NEPTUNE_7777, WORLD_80), udp(HOST_7777, WORLD_80));
        case.ticks(20).becomes(UplinkOut, &outside(&sent), verdict, &outside(&left))
    };
    let others = |case: Case| (0..43).fold(other(case, Created), |case, _| other(case, Established));
    let lively = |case: Case| crosses(case.ticks(10));
    let short_lived =
        begun_datagrams("a flow whose time is up does not cross", masquerading().timeout(Timeout::Udp, 1));
    vec![
        goes_by_the_stack(
            lively(lively(datagrams("a way holds for two seconds, however busy the flow"))).ticks(10),
        ),
        crosses(others(datagrams("a way that the stack goes for others holds for an idle flow")).ticks(19)),
        goes_by_the_stack(other(others(datagrams("a flow holds a way for a minute")), Established))
            .becomes(UplinkOut, &outside(&sent), Established, &outside(&left))
            .becomes(PortIn, &arriving(&sent), Established, &outside(&further(&left))),
        goes_by_the_stack(short_lived.ticks(15)),
        goes_by_the_stack(Case::new("without the agent no way is learnt", masquerading()).alone(6).becomes(
            UplinkOut,
            &outside(&sent),
            Created,
            &outside(&left),
        )),
    ]
}
