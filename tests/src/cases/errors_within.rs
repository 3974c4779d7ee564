//! ICMP errors about flows that never leave the lab: a target that uses its own forward, nodes that reach each other by
//! their mappings, and the host's own processes. The node, a router before it and the host itself have something to say,
//! and each end hears of the packet that it sent.

use netlab_common::abi::hook::Hook::{self, LocalOut, PortIn};
use netlab_common::abi::rule::Filtering;
use netlab_common::abi::verdict::Verdict::{Created, Established, NoRule, Related};
use netlab_common::net::protocol::{TCP, UDP};

use super::errors::KINDS;
use super::hairpin::bare;
use super::{EARTH, EARTH_8000, HOST};
use crate::kernel::Place;
use crate::packet::{Packet, error, quote, tcp, udp};
use crate::progrun::Case;
use crate::rules::Rules;

const PUBLIC: &str = "192.168.0.108:3000";
const NEAR: &str = "10.10.0.1";
const LOOPBACK: &str = "127.0.0.1";
const NEPTUNE: &str = "10.10.0.20";
/// A router among the nodes.
const INNER: &str = "10.10.0.77";

/// The story's cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    [targets(), mappings(), local(), loopback()].concat()
}

/// Who sends an error to whom, about which packet.
type Said<'a> = (&'a str, &'a str, &'a Packet);

/// Each kind of error, quoting eight bytes of the transport, and everything. `leaves` is how the frame is given its
/// hardware addresses where it goes by the loopback interface.
fn tell(case: Case, at: Hook, before: Said<'_>, after: Said<'_>, leaves: fn(&Packet) -> Packet) -> Case {
    let comes: fn(&Packet) -> Packet = if at == LocalOut { bare } else { Packet::clone };
    KINDS.into_iter().fold(case, |case, kind| {
        [8, usize::MAX].into_iter().fold(case, |case, len| {
            let said = |(from, to, about): Said<'_>| error(from, to, kind, &quote(&about.frame(), len));
            case.becomes(at, &comes(&said(before)), Related, &leaves(&said(after)))
        })
    })
}

type Make = fn(&str, &str) -> Packet;

const KINDS_OF_FLOW: [(&str, u8, Make); 2] =
    [("a connection", TCP, |from, to| tcp(from, to).syn()), ("a datagram", UDP, udp)];

fn targets() -> Vec<Case> {
    let each = |(name, protocol, make): (&str, u8, Make)| {
        let (sent, seen) = (make("10.10.0.10:5555", PUBLIC), make("192.168.0.108:5555", EARTH_8000));
        let (answer, back) = (make(EARTH_8000, "192.168.0.108:5555"), make(PUBLIC, "10.10.0.10:5555"));
        let rules = Rules::none().forward(protocol, PUBLIC, EARTH_8000);
        let case = Case::new(format!("a target hears of {name} of its own by its forward"), rules.clone())
            .becomes(PortIn, &sent, Created, &seen);
        let both = [EARTH, INNER].into_iter().fold(case, |case, from| {
            let case = tell(case, PortIn, (from, HOST, &seen), (HOST, EARTH, &sent), Packet::clone);
            tell(case, PortIn, (from, HOST, &back), (HOST, EARTH, &answer), Packet::clone)
        });
        // What the host says of a packet with its own address it says to itself.
        let own = Case::new(format!("a target hears what the host says of {name} of its own"), rules)
            .becomes(PortIn, &sent, Created, &seen);
        let own = tell(own, LocalOut, (HOST, HOST, &seen), (HOST, EARTH, &sent), bare);
        [both, own.only_in(&[Place::Tc])]
    };
    KINDS_OF_FLOW.into_iter().flat_map(each).collect()
}

/// Nodes that are each other's guests.
fn mappings() -> Vec<Case> {
    let (asked, seen) =
        (udp("10.10.0.20:7000", "192.168.0.108:6000"), udp("192.168.0.108:7000", "10.10.0.10:6000"));
    let (answer, back) =
        (udp("10.10.0.10:6000", "192.168.0.108:7000"), udp("192.168.0.108:6000", "10.10.0.20:7000"));
    let rules = Rules::none()
        .masquerade("10.10.0.0/16", HOST, 40_000..=40_001)
        .mapping(Filtering::EndpointIndependent);
    let case = Case::new("errors between nodes that reach each other by their mappings reach both", rules)
        .becomes(
            Hook::UplinkOut,
            &udp("10.10.0.10:6000", "8.8.8.8:53"),
            Created,
            &udp("192.168.0.108:6000", "8.8.8.8:53"),
        )
        .becomes(PortIn, &asked, Created, &seen)
        .becomes(PortIn, &answer, Established, &back);
    let case = tell(case, PortIn, (EARTH, HOST, &seen), (HOST, NEPTUNE, &asked), Packet::clone);
    vec![tell(case, PortIn, (NEPTUNE, HOST, &back), (HOST, EARTH, &answer), Packet::clone)]
}

/// The host's own processes, by its own address.
fn local() -> Vec<Case> {
    let each = |(name, protocol, make): (&str, u8, Make)| {
        let (sent, seen) = (make("192.168.0.108:7777", PUBLIC), make("192.168.0.108:7777", EARTH_8000));
        let (answer, back) = (make(EARTH_8000, "192.168.0.108:7777"), make(PUBLIC, "192.168.0.108:7777"));
        let rules = Rules::none().forward(protocol, PUBLIC, EARTH_8000);
        let case =
            Case::new(format!("the host's process and its forward's target hear of {name}"), rules.clone())
                .becomes(LocalOut, &bare(&sent), Created, &bare(&seen));
        let case = [EARTH, INNER]
            .into_iter()
            .fold(case, |case, from| tell(case, PortIn, (from, HOST, &seen), (HOST, HOST, &sent), bare));
        // That no way leads to the node, and that no socket wants the answer any more.
        let case = tell(case, LocalOut, (HOST, HOST, &seen), (HOST, HOST, &sent), bare);
        let case = tell(case, LocalOut, (HOST, HOST, &back), (HOST, EARTH, &answer), bare);
        let stranger = make("192.168.0.108:7778", EARTH_8000);
        let about_nothing = error(HOST, HOST, KINDS[2], &quote(&stranger.frame(), 8));
        case.stays(LocalOut, &bare(&about_nothing), NoRule).only_in(&[Place::Tc])
    };
    KINDS_OF_FLOW.into_iter().map(each).collect()
}

/// And by a loopback address.
fn loopback() -> Vec<Case> {
    let (sent, seen) = (udp("127.0.0.1:7777", "127.0.0.1:53"), udp("10.10.0.1:7777", "10.10.0.10:5353"));
    let (answer, back) = (udp("10.10.0.10:5353", "10.10.0.1:7777"), udp("127.0.0.1:53", "127.0.0.1:7777"));
    let rules = Rules::none().forward(UDP, "0.0.0.0:53", "10.10.0.10:5353");
    let case = Case::new("a process hears of a datagram that it sent to a loopback address", rules).becomes(
        LocalOut,
        &bare(&sent),
        Created,
        &bare(&seen),
    );
    let case = [EARTH, INNER]
        .into_iter()
        .fold(case, |case, from| tell(case, PortIn, (from, NEAR, &seen), (LOOPBACK, LOOPBACK, &sent), bare));
    let case = tell(case, LocalOut, (NEAR, NEAR, &seen), (LOOPBACK, LOOPBACK, &sent), bare);
    let case = tell(case, LocalOut, (LOOPBACK, LOOPBACK, &back), (NEAR, EARTH, &answer), bare);
    vec![case.only_in(&[Place::Tc])]
}
