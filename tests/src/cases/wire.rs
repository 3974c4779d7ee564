//! Where bytes are easily got wrong: checksums at the ends of their range, options, padding, and lengths.

use netlab_common::abi::hook::Hook::{UplinkIn, UplinkOut};
use netlab_common::abi::verdict::Verdict::{Created, Established};

use super::{EARTH, EARTH_5555, HOST, HOST_5555, HOST_40000, NEPTUNE_5555, WORLD, WORLD_80};
use crate::packet::{Packet, ping, pong, tcp, udp};
use crate::progrun::Case;
use crate::rules::Rules;

/// The story's cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    [zeroes(), kept_wrong(), shapes()].concat()
}

/// Checksums that come out as zero, or were zero before.
fn zeroes() -> Vec<Case> {
    // Built from its far end: the data is such that the checksum is zero once the packet is translated.
    let aimed = |packet: Packet| packet.aimed_at(0);
    let out_tcp = aimed(tcp(HOST_5555, WORLD_80).syn());
    let out_udp = aimed(udp(HOST_5555, WORLD_80));
    let out_ping = aimed(ping(HOST, WORLD, 40_000));
    let in_udp = aimed(udp(EARTH_5555, WORLD_80));
    let in_tcp = aimed(tcp(EARTH_5555, WORLD_80).syn());
    let moved = aimed(udp(HOST_40000, WORLD_80));
    let unsealed = udp(EARTH_5555, WORLD_80).unsealed();
    vec![
        Case::new("a TCP checksum may become zero", Rules::masquerading()).becomes(
            UplinkOut,
            &out_tcp.clone().from(EARTH_5555),
            Created,
            &out_tcp,
        ),
        Case::new("a UDP checksum that becomes zero is written as ones", Rules::masquerading()).becomes(
            UplinkOut,
            &out_udp.clone().from(EARTH_5555),
            Created,
            &out_udp,
        ),
        Case::new("a UDP checksum that becomes zero by its port is written as ones", Rules::masquerading())
            .becomes(UplinkOut, &udp(EARTH_5555, WORLD_80), Created, &udp(HOST_5555, WORLD_80))
            .becomes(UplinkOut, &moved.clone().from(NEPTUNE_5555), Created, &moved),
        Case::new("an echo's checksum may become zero", Rules::masquerading())
            .becomes(UplinkOut, &ping(EARTH, WORLD, 77), Created, &ping(HOST, WORLD, 77))
            .becomes(UplinkOut, &out_ping.clone().from("10.10.0.20").identifier(77), Created, &out_ping),
        Case::new("a UDP checksum of all ones is a zero that counts", Rules::masquerading()).becomes(
            UplinkOut,
            &in_udp,
            Created,
            &in_udp.clone().from(HOST_5555),
        ),
        Case::new("a TCP checksum of zero counts", Rules::masquerading()).becomes(
            UplinkOut,
            &in_tcp,
            Created,
            &in_tcp.clone().from(HOST_5555),
        ),
        Case::new("UDP without a checksum stays without one", Rules::masquerading())
            .becomes(UplinkOut, &unsealed, Created, &unsealed.clone().from(HOST_5555))
            .becomes(
                UplinkOut,
                &unsealed.clone().from(NEPTUNE_5555),
                Created,
                &unsealed.clone().from(HOST_40000),
            )
            .becomes(
                UplinkIn,
                &udp(WORLD_80, HOST_40000).unsealed(),
                Established,
                &udp(WORLD_80, NEPTUNE_5555).unsealed(),
            ),
    ]
}

/// A wrong checksum must stay wrong, or a broken packet would look whole to its receiver. What becomes of it
/// is arithmetic, in which all must agree to the bit.
fn kept_wrong() -> Vec<Case> {
    let values = [[0x00, 0x00], [0xff, 0xff], [0x00, 0x01], [0xff, 0xfe], [0x80, 0x00], [0x12, 0x34]];
    let case = |name, field: usize, make: fn(&str) -> Packet| {
        let start = Case::new(name, Rules::masquerading().room(64));
        values.iter().enumerate().fold(start, |case, (number, value)| {
            // A source port for each, because the second packet of a flow would not be its first.
            let from = format!("{EARTH}:{}", 1000 + number);
            case.agrees(UplinkOut, make(&from).patch(field, value).frame())
        })
    };
    let replies = [[0x00, 0x00], [0xff, 0xff]].iter().fold(
        Case::new("wrong checksums of answers are carried on", Rules::masquerading())
            .agrees(UplinkOut, udp(EARTH_5555, WORLD_80).frame()),
        |case, value| case.agrees(UplinkIn, udp(WORLD_80, HOST_5555).patch(40, value).frame()),
    );
    vec![
        case("wrong TCP checksums are carried on", 50, |from| tcp(from, WORLD_80).syn()),
        case("wrong UDP checksums are carried on", 40, |from| udp(from, WORLD_80)),
        case("wrong ICMP checksums are carried on", 36, |from| {
            let (address, port) = from.split_once(':').unwrap_or((from, "0"));
            ping(address, WORLD, port.parse().unwrap_or(0))
        }),
        replies,
        // The one sum in which every term is zero, where a zero of the other sign could come out.
        Case::new(
            "a wrong checksum of ones over nothing but ones",
            Rules::none().masquerade("10.10.0.0/16", HOST, 0..=0),
        )
        .agrees(UplinkOut, ping(EARTH, WORLD, 0xffff).frame())
        .agrees(UplinkOut, ping("10.10.0.20", WORLD, 0xffff).patch(36, &[0xff, 0xff]).frame()),
    ]
}

fn shapes() -> Vec<Case> {
    let mut cases = vec![];
    for words in [1, 5, 10] {
        let (request, answer) = (tcp(EARTH_5555, WORLD_80).options(words), udp(WORLD_80, HOST_5555));
        let (datagram, answer) = (udp(EARTH_5555, WORLD_80).options(words), answer.options(words));
        cases.push(
            Case::new(format!("{words} words of IP options do not hide the ports"), Rules::masquerading())
                .becomes(UplinkOut, &request.clone().syn(), Created, &request.clone().syn().from(HOST_5555))
                .becomes(UplinkOut, &datagram, Created, &datagram.clone().from(HOST_5555))
                .becomes(UplinkIn, &answer, Established, &answer.clone().to(EARTH_5555))
                .becomes(
                    UplinkOut,
                    &ping(EARTH, WORLD, 3).options(words),
                    Created,
                    &ping(HOST, WORLD, 3).options(words),
                ),
        );
    }
    let (short, long, odd) = (udp(EARTH_5555, WORLD_80).payload(&[]), vec![0xa5; 1472], [1, 2, 3]);
    let long = udp(EARTH_5555, WORLD_80).payload(&long);
    cases.extend([
        Case::new("padding behind a short packet stays what it is", Rules::masquerading())
            .becomes(UplinkOut, &short.clone().padded(60), Created, &short.clone().from(HOST_5555).padded(60))
            .becomes(
                UplinkOut,
                &tcp(EARTH_5555, WORLD_80).syn().payload(&[]).padded(60),
                Created,
                &tcp(HOST_5555, WORLD_80).syn().payload(&[]).padded(60),
            ),
        Case::new("a packet as long as the wire allows is translated", Rules::masquerading()).becomes(
            UplinkOut,
            &long,
            Created,
            &long.clone().from(HOST_5555),
        ),
        Case::new("data of odd length is translated", Rules::masquerading())
            .becomes(
                UplinkOut,
                &udp(EARTH_5555, WORLD_80).payload(&odd),
                Created,
                &udp(HOST_5555, WORLD_80).payload(&odd),
            )
            .becomes(UplinkOut, &ping(EARTH, WORLD, 3), Created, &ping(HOST, WORLD, 3))
            .becomes(
                UplinkIn,
                &pong(WORLD, HOST, 3).payload(&odd),
                Established,
                &pong(WORLD, EARTH, 3).payload(&odd),
            ),
    ]);
    cases
}
