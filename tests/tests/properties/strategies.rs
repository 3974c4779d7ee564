//! Random packets: over few addresses and ports, so that they meet rules and each other's flows, well-formed
//! or with anything wrong.

use netlab_common::abi::hook::Hook;
use netlab_common::abi::rule::Filtering;
use netlab_common::net::protocol::{TCP, UDP};
use netlab_common::net::{eth, ipv4};
use netlab_tests::cases::errors::KINDS;
use netlab_tests::packet::checksum;
use netlab_tests::packet::{Packet, error, icmp_message, other, ping, pong, quote, sctp, tcp, udp, udp_lite};
use netlab_tests::rules::Rules;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Nodes, the host's two addresses, and the world.
const ADDRESSES: [&str; 9] = [
    "10.10.0.10",
    "10.10.0.20",
    "10.10.255.254",
    "10.10.0.1",
    "192.168.0.108",
    "8.8.8.8",
    "8.8.4.4",
    "10.11.0.1",
    "224.0.0.5",
];
const PORTS: [u16; 8] = [0, 53, 80, 3000, 5555, 8000, 40_000, u16::MAX];

/// So many cases, or as many as `PROPTEST_CASES` asks for if that is more; failures are printed, not kept in
/// files.
pub fn config(cases: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig { cases: cases.max(asked.cases), failure_persistence: None, ..asked }
}

/// A masquerade with a range of four ports (rule 0), forwards of both protocols (1 to 4), and little room.
pub fn rules() -> Rules {
    Rules::none()
        .masquerade("10.10.0.0/16", "192.168.0.108", 40_000..=40_003)
        .forward(TCP, "192.168.0.108:8000", "10.10.0.10:8000")
        .forward(TCP, "192.168.0.108:3000", "10.10.0.10:8000")
        .forward(TCP, "0.0.0.0:80", "10.10.0.20:80")
        .forward(UDP, "192.168.0.108:53", "10.10.0.20:53")
        .room(48)
}

/// The same with mappings that do not depend on the remote, an allow list, and few flows for each source.
pub fn mapping_rules() -> Rules {
    Rules::none()
        .masquerade("10.10.0.0/16", "192.168.0.108", 40_000..=40_003)
        .mapping(Filtering::AddressDependent)
        .targets(TCP, "192.168.0.108:8000", &["10.10.0.10:8000", "10.10.0.20:80"])
        .forward(TCP, "0.0.0.0:80", "10.10.0.20:80")
        .allow(&["8.8.8.8", "10.10.0.0/24"])
        .range(UDP, "192.168.0.108:53", 2, &["10.10.0.20:53"])
        .room(48)
        .per_source(12)
        .pickup()
}

pub fn hook() -> impl Strategy<Value = Hook> {
    select(&Hook::ALL[..])
}

/// A transport between two ends, chosen by a number.
fn between(from: &str, to: &str, ports: (u16, u16), choice: usize, flags: u8) -> Packet {
    let (source, target) = (format!("{from}:{}", ports.0), format!("{to}:{}", ports.1));
    match choice {
        0 => tcp(&source, &target).syn(),
        1 => tcp(&source, &target).flags(flags),
        2 => udp(&source, &target),
        3 => udp(&source, &target).unsealed(),
        4 => ping(from, to, ports.0),
        5 => pong(from, to, ports.0),
        6 => icmp_message(from, to, flags),
        7 => udp_lite(&source, &target),
        8 => sctp(&source, &target),
        // About the packet's own answer, as if whoever sends it had been asked.
        9 => {
            let asked = between(to, from, (ports.1, ports.0), usize::from(flags) % 9, flags);
            error(
                from,
                to,
                KINDS[usize::from(flags) % KINDS.len()],
                &quote(&asked.frame(), 8 + ports.0 as usize % 40),
            )
        }
        _ => other(from, to, flags),
    }
}

/// A well-formed packet of any kind.
pub fn packet() -> impl Strategy<Value = Packet> {
    let ends = (select(&ADDRESSES[..]), select(&ADDRESSES[..]), select(&PORTS[..]), select(&PORTS[..]));
    let shape = (0usize..=10, prop::bool::weighted(0.1), any::<u16>(), any::<bool>());
    (ends, 0usize..11, any::<u8>(), prop::collection::vec(any::<u8>(), 0..64), shape).prop_map(
        |((from, to, sport, dport), choice, flags, data, (words, is_piece, offset, padded))| {
            let mut packet = between(from, to, (sport, dport), choice, flags);
            // An error's data is what it quotes.
            if choice != 9 {
                packet = packet.payload(&data);
            }
            if words > 7 {
                packet = packet.options(words);
            }
            if is_piece {
                packet = packet.fragment(offset & 0x1fff & if flags & 1 == 0 { 0 } else { u16::MAX }, true);
            }
            if padded { packet.padded(60) } else { packet }
        },
    )
}

/// A packet of a kind that may open a flow, from one end to the other, with ports and data of any value.
pub fn opener(from: &'static str, to: &'static str) -> impl Strategy<Value = Packet> {
    let data = prop::collection::vec(any::<u8>(), 0..64);
    (select(&[0usize, 2, 3, 4, 7][..]), any::<(u16, u16)>(), data, 0usize..=10).prop_map(
        move |(choice, ports, data, words)| between(from, to, ports, choice, 0).payload(&data).options(words),
    )
}

/// A frame with the right header checksum, if it says it is IPv4 and holds such a header: most faults would not be looked
/// at otherwise.
fn summed(mut frame: Vec<u8>) -> Vec<u8> {
    let len = frame.get(eth::LEN).map_or(0, |first| usize::from(first & 0x0f) * 4);
    if len >= ipv4::MIN_LEN && frame.len() >= eth::LEN + len {
        checksum::seal_header(&mut frame);
    }
    frame
}

/// Any frame at all: noise, noise that says it is IPv4, a packet with a byte changed, or one cut short; most with the
/// right header checksum.
pub fn frame() -> impl Strategy<Value = Vec<u8>> {
    let noise = || prop::collection::vec(any::<u8>(), 0..120);
    let ipv4ish = noise().prop_map(|mut bytes| {
        let start = [0x08, 0x00, 0x45];
        if bytes.len() >= 12 + start.len() {
            bytes[12..12 + start.len()].copy_from_slice(&start);
        }
        bytes
    });
    let changed = (packet(), any::<Index>(), any::<u8>()).prop_map(|(packet, at, byte)| {
        let mut frame = packet.frame();
        let at = at.index(frame.len());
        frame[at] = byte;
        frame
    });
    let cut = (packet(), any::<Index>()).prop_map(|(packet, at)| {
        let frame = packet.frame();
        frame[..at.index(frame.len() + 1)].to_vec()
    });
    let whole = packet().prop_map(|whole| whole.frame());
    let any = prop_oneof![1 => noise(), 2 => ipv4ish, 3 => changed, 2 => cut, 6 => whole];
    (any, prop::bool::weighted(0.8))
        .prop_map(|(frame, is_right)| if is_right { summed(frame) } else { frame })
}
