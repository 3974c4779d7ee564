//! ICMP errors that are about nothing that is known, or not what they say: none is translated, and none crosses the
//! uplink but to the host's own sockets.

use netlab_common::abi::hook::Hook::{PortIn, PortOut, UplinkIn, UplinkOut};
use netlab_common::abi::verdict::Verdict::{
    Created, HostFlow, NoRule, Related, SpoofedSource, Unrelated, Unsolicited,
};
use netlab_common::net::protocol::UDP;

use super::errors::{KINDS, ROUTER};
use super::{EARTH, EARTH_5555, EARTH_8000, HOST, HOST_5555, NEPTUNE_5555, WORLD, WORLD_80, WORLD_7777};
use crate::packet::{Packet, error, other, pieces, ping, quote, tcp, udp};
use crate::progrun::Case;
use crate::rules::Rules;

const UNREACHABLE: (u8, u8, [u8; 4]) = KINDS[2];
const DCCP: u8 = 33;

/// The story's cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    vec![unknown(), for_sockets(), of_the_host(), broken(), misdirected(), elsewhere(), after_its_time()]
}

fn about(packet: &Packet) -> Packet {
    error(ROUTER, HOST, UNREACHABLE, &quote(&packet.frame(), 8))
}

fn unknown() -> Case {
    let packets = [udp(HOST_5555, WORLD_80), tcp(HOST_5555, WORLD_80).syn()];
    let case =
        Case::new("an error about no flow crosses the uplink in neither direction", Rules::masquerading());
    packets.iter().fold(case, |case, packet| {
        let inner = quote(&packet.clone().from(WORLD_80).to(EARTH_5555).frame(), 8);
        KINDS.into_iter().fold(case, |case, kind| {
            let own = error(EARTH, WORLD, kind, &inner);
            case.stays(UplinkIn, &error(ROUTER, HOST, kind, &quote(&packet.frame(), 8)), Unrelated)
                .stays(UplinkIn, &error(ROUTER, EARTH, kind, &inner), Unsolicited)
                .stays(UplinkIn, &error(EARTH, HOST, kind, &inner), SpoofedSource)
                .stays(PortIn, &own, NoRule)
                .stays(PortOut, &own, NoRule)
                .stays(UplinkOut, &own, Unrelated)
        })
    })
}

/// The host's own datagrams make a flow only where they leave by the uplink and open something.
fn for_sockets() -> Case {
    Case::new(
        "an error for a socket of the host's, or for none that could be asked for, is the host's",
        Rules::masquerading(),
    )
    .socket(UDP, HOST_5555)
    .stays(UplinkIn, &about(&udp(HOST_5555, WORLD_80)), NoRule)
    .stays(UplinkIn, &about(&udp("192.168.0.108:5556", WORLD_80)), Unrelated)
    .stays(UplinkIn, &about(&ping(HOST, WORLD, 5)), NoRule)
    .stays(UplinkIn, &about(&other(HOST, WORLD, 47)), NoRule)
}

fn of_the_host() -> Case {
    let refused = udp(WORLD_7777, HOST_5555);
    let own = error(HOST, WORLD, UNREACHABLE, &quote(&refused.frame(), 8));
    Case::new("an error of the host's own leaves as it is", Rules::masquerading())
        .stays(UplinkOut, &own, NoRule)
        .stays(
            PortOut,
            &error("10.10.0.1", EARTH, KINDS[6], &quote(&udp(EARTH_5555, WORLD_80).frame(), 8)),
            NoRule,
        )
}

fn broken() -> Case {
    let left = udp(HOST_5555, WORLD_80);
    let whole = quote(&left.frame(), usize::MAX);
    let changed = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        bytes
    };
    let later = quote(&pieces(&left.clone().payload(&[7; 40]), 16)[1], 16);
    let dccp = quote(&other(HOST, WORLD, DCCP).payload(&[0; 12]).frame(), 12);
    let inner = quote(&about(&left).frame(), usize::MAX);
    let redirect = quote(&ping(HOST, WORLD, 5555).patch(34, &[5]).frame(), 8);
    let quotes = [
        vec![],
        whole[..19].to_vec(),
        whole[..27].to_vec(),
        changed(0, 0x65),
        changed(0, 0x44),
        changed(0, 0x4f),
        changed(10, whole[10] ^ 1),
        changed(8, 1),
        later,
        dccp,
        inner,
        redirect,
    ];
    let case = Case::new(
        "what quotes a broken header, too little, or what has no flow is about nothing",
        Rules::masquerading(),
    )
    .becomes(UplinkOut, &udp(EARTH_5555, WORLD_80), Created, &left);
    quotes.iter().fold(case, |case, quoted| {
        let of_icmp = quoted.get(9) == Some(&1) && quoted.len() >= 28;
        let verdict = if of_icmp { NoRule } else { Unrelated };
        case.stays(UplinkIn, &error(ROUTER, HOST, UNREACHABLE, quoted), verdict).stays(
            UplinkOut,
            &error(EARTH, WORLD, UNREACHABLE, quoted),
            Unrelated,
        )
    })
}

fn misdirected() -> Case {
    let (sent, left) = (udp(EARTH_5555, WORLD_80), udp(HOST_5555, WORLD_80));
    let quoted = quote(&left.frame(), 8);
    Case::new("an error comes to whoever sent what it quotes, or to nobody", Rules::masquerading())
        .becomes(UplinkOut, &sent, Created, &left)
        .stays(UplinkIn, &error(ROUTER, "192.168.0.109", UNREACHABLE, &quoted), Unrelated)
        .stays(UplinkIn, &error(ROUTER, "10.10.0.1", UNREACHABLE, &quoted), Unrelated)
        .stays(UplinkIn, &error(ROUTER, EARTH, UNREACHABLE, &quoted), Unsolicited)
        .stays(UplinkIn, &error(EARTH, HOST, UNREACHABLE, &quote(&sent.frame(), 8)), SpoofedSource)
        .becomes(
            UplinkIn,
            &error(ROUTER, HOST, UNREACHABLE, &quoted),
            Related,
            &error(ROUTER, EARTH, UNREACHABLE, &quote(&sent.frame(), 8)),
        )
}

/// A flow's error is translated where the answer would be, and nowhere else.
fn elsewhere() -> Case {
    let (sent, left) = (udp(EARTH_5555, WORLD_80), udp(HOST_5555, WORLD_80));
    let quoted = quote(&left.frame(), 8);
    let forged = error(EARTH, HOST, UNREACHABLE, &quoted);
    Case::new("an error at another hook than its flow's is left alone or dropped", Rules::masquerading())
        .becomes(UplinkOut, &sent, Created, &left)
        .stays(UplinkOut, &error(HOST, HOST, UNREACHABLE, &quoted), NoRule)
        .stays(UplinkOut, &forged, Unrelated)
        .stays(PortOut, &forged, NoRule)
        .stays(UplinkOut, &udp(NEPTUNE_5555, EARTH_8000).from(HOST_5555).to("1.1.1.1:53"), HostFlow)
}

fn after_its_time() -> Case {
    let (sent, left) = (udp(EARTH_5555, WORLD_80), udp(HOST_5555, WORLD_80));
    let (before, after) = (about(&left), error(ROUTER, EARTH, UNREACHABLE, &quote(&sent.frame(), 8)));
    // UDP without an answer lives for 120 s, and 119 and 2 are more.
    Case::new("an error keeps no flow alive and ends none", Rules::masquerading())
        .becomes(UplinkOut, &sent, Created, &left)
        .idle(119)
        .becomes(UplinkIn, &before, Related, &after)
        .becomes(UplinkIn, &before, Related, &after)
        .idle(2)
        .stays(UplinkIn, &before, Unrelated)
        .idle(2)
        .sweep(1)
}
