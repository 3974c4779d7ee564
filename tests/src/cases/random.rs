//! Random packets over few addresses and ports, so that they meet each other's flows; the same for the same
//! seed.

use netlab_common::abi::hook::Hook;
use netlab_common::abi::rule::Filtering;
use netlab_common::abi::verdict::Disposition;
use netlab_common::net::protocol::{TCP, UDP};

use super::errors;
use crate::dice::Dice;
use crate::host::Host;
use crate::packet::{
    Packet, answer, error, headers, icmp_message, other, ping, pong, quote, sctp, tcp, udp, udp_lite,
};
use crate::progrun::Case;
use crate::rules::Rules;

const ADDRESSES: [&str; 8] = [
    "10.10.0.10",
    "10.10.0.20",
    "10.10.0.30",
    "10.10.0.1",
    "192.168.0.108",
    "8.8.8.8",
    "172.16.0.1",
    "224.0.0.5",
];
const PORTS: [u16; 5] = [53, 3000, 5555, 8000, 40_000];

/// Two cases of `count` packets, each with rules of its own. One packet in three answers what a packet before
/// it became, mostly where an answer would come along.
#[must_use]
pub fn cases(seed: u64, count: usize) -> [Case; 2] {
    [
        case(seed, count, format!("{count} random packets of seed {seed:#x}"), &rules()),
        case(seed, count, format!("{count} random packets of seed {seed:#x} and mappings"), &mapping_rules()),
    ]
}

fn case(seed: u64, count: usize, name: String, rules: &Rules) -> Case {
    let mut dice = Dice(seed);
    let host = Host::new(rules);
    let mut left: Vec<(Hook, Vec<u8>)> = vec![];
    let mut case = Case::new(name, rules.clone());
    for _ in 0..count {
        let (hook, frame) = if !left.is_empty() && dice.one_in(3) {
            let (hook, became) = dice.pick(&left);
            let at = if dice.one_in(3) { *dice.pick(&Hook::OF_FRAMES) } else { hook.opposite() };
            let frame = if dice.one_in(3) { complaint(&mut dice, became) } else { answer(became) };
            (at, frame)
        } else {
            (*dice.pick(&Hook::OF_FRAMES), frame(&mut dice))
        };
        let (verdict, became) = host.run(hook, &frame);
        if verdict.disposition() == Disposition::Forwarded {
            left.push((hook, became));
        }
        case = case.agrees(hook, frame);
    }
    case
}

/// An error about a packet that left, to whom it came from, and quoting more or less of it.
fn complaint(dice: &mut Dice, about: &[u8]) -> Vec<u8> {
    let [a, b, c, d] = headers(about).tuple.src;
    let quoted = quote(about, 4 + dice.below(30));
    let kind = *dice.pick(&errors::KINDS);
    let to = format!("{a}.{b}.{c}.{d}");
    let from = *dice.pick(&ADDRESSES);
    let padding = if dice.one_in(4) { 110 } else { 0 };
    error(from, &to, kind, &quoted).padded(padding).frame()
}

/// Forwards lead to two servers each reached by one port, so that no port of a client's is ever in the way:
/// what would be chosen in its place is random in the kernel.
fn rules() -> Rules {
    Rules::masquerading()
        .forward(TCP, "192.168.0.108:8000", "10.10.0.10:8001")
        .forward(TCP, "10.10.0.1:3000", "10.10.0.20:3001")
        .forward(UDP, "192.168.0.108:53", "10.10.0.10:5353")
        .room(512)
}

/// The same with endpoint-independent mappings, an allow list, and few flows for each source.
fn mapping_rules() -> Rules {
    Rules::masquerading()
        .mapping(Filtering::AddressDependent)
        .forward(TCP, "0.0.0.0:8000", "10.10.0.10:8001")
        .allow(&["10.10.0.20"])
        .forward(TCP, "0.0.0.0:3000", "10.10.0.20:3001")
        .allow(&["8.8.8.8"])
        .forward(UDP, "192.168.0.108:53", "10.10.0.10:5353")
        .room(512)
        .per_source(4)
}

fn frame(dice: &mut Dice) -> Vec<u8> {
    let mut packet = packet(dice);
    if dice.one_in(8) {
        packet = if dice.one_in(4) {
            packet.with_options(&[1, 0x83, 7, 4, 8, 8, 4, 4])
        } else {
            packet.options(1 + dice.below(10))
        };
    }
    if dice.one_in(8) {
        packet = packet.fragment(dice.below(100) as u16, dice.one_in(2));
    }
    if dice.one_in(4) {
        packet = packet.padded(60);
    }
    let mut frame = packet.frame();
    if dice.one_in(6) {
        // Anywhere behind the Ethernet header, often in the headers.
        let at = 14 + dice.below(30.min(frame.len() - 14));
        frame[at] = dice.next() as u8;
    }
    if dice.one_in(12) {
        // Not into the IPv4 header: TC takes no such frame, and the table has them for XDP.
        frame.truncate(34 + dice.below(frame.len() - 34));
    }
    frame
}

fn packet(dice: &mut Dice) -> Packet {
    let (from, to) = (*dice.pick(&ADDRESSES), *dice.pick(&ADDRESSES));
    // What is the host's own comes from ports that no node's flow has: in their place others would be chosen.
    let shift = u16::from(["10.10.0.1", "192.168.0.108"].contains(&from));
    let ports = (*dice.pick(&PORTS) + shift, *dice.pick(&PORTS));
    let (source, target) = (format!("{from}:{}", ports.0), format!("{to}:{}", ports.1));
    let data: Vec<u8> = (0..dice.below(40)).map(|_| dice.next() as u8).collect();
    let packet = match dice.below(10) {
        0..4 => tcp(&source, &target).flags(*dice.pick(&[0x02, 0x02, 0x02, 0x12, 0x10, 0x11, 0x04, 0x14])),
        4..7 if dice.one_in(5) => udp(&source, &target).unsealed(),
        4..7 => udp(&source, &target),
        7 => ping(from, to, ports.0),
        8 => pong(from, to, ports.0),
        _ if dice.one_in(3) => icmp_message(from, to, dice.next() as u8),
        _ if dice.one_in(3) => sctp(&source, &target),
        _ if dice.one_in(3) => udp_lite(&source, &target),
        _ if dice.one_in(3) => other(from, to, dice.next() as u8),
        _ => other(from, to, *dice.pick(&[47, 47, 33])),
    };
    packet.payload(&data)
}
