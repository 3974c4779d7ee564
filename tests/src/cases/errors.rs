//! ICMP errors about flows, in both directions of each kind of flow: whoever hears of a packet hears of the one that
//! he sent, and from the address that he sent it to or from a router he does not know.

use netlab_common::abi::hook::Hook::{self, PortIn, PortOut, UplinkIn, UplinkOut};
use netlab_common::abi::rule::Filtering;
use netlab_common::abi::verdict::Verdict::{Created, Established, HostFlow, InFlow, Related};
use netlab_common::net::protocol::{TCP, UDP};

use super::{
    EARTH, EARTH_5555, EARTH_8000, HOST, HOST_5555, HOST_40000, NEPTUNE_5555, WORLD, WORLD_80, WORLD_7777,
};
use crate::packet::{Packet, error, icmp_message, other, ping, pong, quote, sctp, tcp, udp, udp_lite};
use crate::progrun::Case;
use crate::rules::Rules;

/// Type, code and the four bytes in the middle, of every error there is: unreachable (network, host, port, "too big"
/// with the MTU of the next link, prohibited), quench, time exceeded on the way and in reassembly, and a parameter's.
pub const KINDS: [(u8, u8, [u8; 4]); 9] = [
    (3, 0, [0; 4]),
    (3, 1, [0; 4]),
    (3, 3, [0; 4]),
    (3, 4, [0, 0, 0x05, 0x00]),
    (3, 13, [0; 4]),
    (4, 0, [0; 4]),
    (11, 0, [0; 4]),
    (11, 1, [0; 4]),
    (12, 0, [20, 0, 0, 0]),
];

/// A router between the host and the world's end.
pub const ROUTER: &str = "172.31.0.7";
const PUBLIC: &str = "192.168.0.108:8000";
const NEPTUNE: &str = "10.10.0.20";
/// A router among the nodes.
const INNER: &str = "10.10.0.77";
const GRE: u8 = 47;
const TIMESTAMP: u8 = 13;
const TIMESTAMP_REPLY: u8 = 14;

/// How an error is translated: who sends it to whom about which packet as he saw it; and likewise what it becomes.
struct Told<'a> {
    at: Hook,
    from: (&'a str, &'a str),
    to: (&'a str, &'a str),
    about: (&'a Packet, &'a Packet),
}

/// Each kind of error, quoting eight bytes of the transport, and everything.
fn tell(case: Case, told: &Told<'_>) -> Case {
    KINDS.into_iter().fold(case, |case, kind| {
        [8, usize::MAX].into_iter().fold(case, |case, len| {
            let before = error(told.from.0, told.to.0, kind, &quote(&told.about.0.frame(), len));
            let after = error(told.from.1, told.to.1, kind, &quote(&told.about.1.frame(), len));
            case.becomes(told.at, &before, Related, &after)
        })
    })
}

/// The story's cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    [masqueraded(), answered(), forwarded(), among_nodes(), guests(), hosts(), shapes()].concat()
}

type Make = fn(&str, &str) -> Packet;

fn end(text: &str) -> (&str, u16) {
    let (address, port) = text.split_once(':').expect("an address and a port");
    (address, port.parse().expect("a port"))
}

/// A node's packet to the world by its kind, and the answer, which is asked for with its ends in the same order.
const TRANSPORTS: [(&str, Make, Make); 6] = [
    ("a TCP segment", |a, b| tcp(a, b).syn(), |a, b| tcp(b, a).syn_ack()),
    ("a UDP datagram", udp, |a, b| udp(b, a)),
    ("a UDP datagram without a checksum", |a, b| udp(a, b).unsealed(), |a, b| udp(b, a).unsealed()),
    ("a UDP-Lite datagram", udp_lite, |a, b| udp_lite(b, a)),
    ("an echo request", |a, b| ping(end(a).0, end(b).0, end(a).1), |a, b| pong(end(b).0, end(a).0, end(a).1)),
    (
        "a query for the time",
        |a, b| icmp_message(end(a).0, end(b).0, TIMESTAMP).identifier(end(a).1),
        |a, b| icmp_message(end(b).0, end(a).0, TIMESTAMP_REPLY).identifier(end(a).1),
    ),
];

/// Two nodes' flows from one port; what is told is about the second one's, whose port was taken.
fn two(name: String, ask: Make) -> Case {
    Case::new(name, Rules::masquerading())
        .becomes(UplinkOut, &ask(EARTH_5555, WORLD_80), Created, &ask(HOST_5555, WORLD_80))
        .becomes(UplinkOut, &ask(NEPTUNE_5555, WORLD_80), Created, &ask(HOST_40000, WORLD_80))
}

fn masqueraded() -> Vec<Case> {
    let ported = TRANSPORTS.into_iter().map(|(name, ask, _)| {
        let (left, sent) = (ask(HOST_40000, WORLD_80), ask(NEPTUNE_5555, WORLD_80));
        let case = two(format!("the sender of {name} hears of it from the world"), ask);
        let about = (&left, &sent);
        tell(case, &Told { at: UplinkIn, from: (ROUTER, ROUTER), to: (HOST, NEPTUNE), about })
    });
    let portless: [(&str, Make); 2] =
        [("an SCTP packet", sctp), ("a GRE packet", |a, b| other(end(a).0, end(b).0, GRE))];
    let portless = portless.into_iter().map(|(name, ask)| {
        let (left, sent) = (ask(HOST_5555, WORLD_80), ask(EARTH_5555, WORLD_80));
        let case =
            Case::new(format!("the sender of {name} hears of it from the world"), Rules::masquerading())
                .becomes(UplinkOut, &sent, Created, &left);
        let about = (&left, &sent);
        tell(case, &Told { at: UplinkIn, from: (ROUTER, ROUTER), to: (HOST, EARTH), about })
    });
    ported.chain(portless).collect()
}

/// A node, or a router on the way to it, has something to say about an answer.
fn answered() -> Vec<Case> {
    let each = |(name, ask, back): (&str, Make, Make)| {
        let (came, seen) = (back(HOST_40000, WORLD_80), back(NEPTUNE_5555, WORLD_80));
        let case =
            two(format!("the world hears of its answer to {name}, and from the address it knows"), ask)
                .becomes(UplinkIn, &came, Established, &seen);
        let own = error(NEPTUNE, WORLD, KINDS[2], &quote(&seen.frame(), 8));
        let about = (&seen, &came);
        [NEPTUNE, INNER].into_iter().fold(case.stays(PortIn, &own, InFlow), |case, from| {
            tell(case, &Told { at: UplinkOut, from: (from, HOST), to: (WORLD, WORLD), about })
        })
    };
    TRANSPORTS.into_iter().map(each).collect()
}

const FORWARDABLE: [(&str, u8, Make); 2] =
    [("a connection", TCP, |a, b| tcp(a, b).syn()), ("a datagram", UDP, udp)];

fn forwarded() -> Vec<Case> {
    let each = |(name, protocol, make): (&str, u8, Make)| {
        let (sent, seen) = (make(WORLD_7777, PUBLIC), make(WORLD_7777, EARTH_8000));
        let (answer, left) = (make(EARTH_8000, WORLD_7777), make(PUBLIC, WORLD_7777));
        let rules = Rules::masquerading().forward(protocol, PUBLIC, EARTH_8000);
        let case = Case::new(format!("errors about {name} through a forward reach both sides"), rules)
            .becomes(UplinkIn, &sent, Created, &seen);
        let (about, back) = ((&seen, &sent), (&left, &answer));
        let case = tell(case, &Told { at: UplinkOut, from: (EARTH, HOST), to: (WORLD, WORLD), about });
        // The host's own, for one: that no way leads to the node, or not one as wide as the packet.
        let case = tell(case, &Told { at: UplinkOut, from: (HOST, HOST), to: (WORLD, WORLD), about });
        tell(case, &Told { at: UplinkIn, from: (ROUTER, ROUTER), to: (HOST, EARTH), about: back })
    };
    FORWARDABLE.into_iter().map(each).collect()
}

fn among_nodes() -> Vec<Case> {
    let each = |(name, protocol, make): (&str, u8, Make)| {
        let (sent, seen) = (make(NEPTUNE_5555, PUBLIC), make(NEPTUNE_5555, EARTH_8000));
        let (answer, left) = (make(EARTH_8000, NEPTUNE_5555), make(PUBLIC, NEPTUNE_5555));
        let rules = Rules::masquerading().forward(protocol, PUBLIC, EARTH_8000);
        let own = error(EARTH, NEPTUNE, KINDS[2], &quote(&seen.frame(), 8));
        let case = Case::new(format!("errors about {name} to a neighbour's forward reach both sides"), rules)
            .becomes(PortIn, &sent, Created, &seen)
            .stays(PortIn, &own, InFlow);
        let (about, back) = ((&seen, &sent), (&left, &answer));
        let case = tell(case, &Told { at: PortOut, from: (EARTH, HOST), to: (NEPTUNE, NEPTUNE), about });
        tell(case, &Told { at: PortIn, from: (NEPTUNE, NEPTUNE), to: (HOST, EARTH), about: back })
    };
    FORWARDABLE.into_iter().map(each).collect()
}

fn guests() -> Vec<Case> {
    let guest = "1.1.1.1:9";
    let (sent, seen) = (udp(guest, HOST_5555), udp(guest, EARTH_5555));
    let (answer, left) = (udp(EARTH_5555, guest), udp(HOST_5555, guest));
    let rules = Rules::masquerading().mapping(Filtering::EndpointIndependent);
    let case = Case::new("errors about a guest's datagrams reach both sides", rules)
        .becomes(UplinkOut, &udp(EARTH_5555, WORLD_80), Created, &udp(HOST_5555, WORLD_80))
        .becomes(UplinkIn, &sent, Created, &seen);
    let (about, back) = ((&seen, &sent), (&left, &answer));
    let case = tell(case, &Told { at: UplinkOut, from: (EARTH, HOST), to: ("1.1.1.1", "1.1.1.1"), about });
    vec![tell(case, &Told { at: UplinkIn, from: (ROUTER, ROUTER), to: (HOST, EARTH), about: back })]
}

fn hosts() -> Vec<Case> {
    let own = udp(HOST_5555, WORLD_80);
    let case = Case::new("errors about the host's own flows are the host's", Rules::masquerading())
        .stays(UplinkOut, &own, HostFlow);
    let untouched = KINDS.into_iter().fold(case, |case, kind| {
        case.stays(UplinkIn, &error(ROUTER, HOST, kind, &quote(&own.frame(), 8)), HostFlow)
    });
    let left = udp("192.168.0.108:50000", WORLD_80);
    let rules = Rules::masquerading().one_port(50_000);
    let case = Case::new("the host hears of its own port where that was changed", rules)
        .becomes(UplinkOut, &udp(EARTH_5555, WORLD_80), Created, &own)
        .becomes(UplinkOut, &own, Created, &left);
    let about = (&left, &own);
    vec![untouched, tell(case, &Told { at: UplinkIn, from: (ROUTER, ROUTER), to: (HOST, HOST), about })]
}

/// What may differ from the plain form: lengths of the quote, options in it and before it, its time to live, its
/// checksums, and padding behind it.
fn shapes() -> Vec<Case> {
    let (sent, left) = (tcp(EARTH_5555, WORLD_80).syn(), tcp(HOST_5555, WORLD_80).syn());
    let opened = |name: &str, sent: &Packet, left: &Packet| {
        Case::new(name, Rules::masquerading()).becomes(UplinkOut, sent, Created, left)
    };
    let errors = |sent: &[u8], left: &[u8], len: usize| {
        let back = error(ROUTER, EARTH, KINDS[6], &quote(sent, len));
        (error(ROUTER, HOST, KINDS[6], &quote(left, len)), back)
    };
    // Half a checksum, where the quote has that, is left as it is.
    let lengths = (8..26).filter(|len| *len != 17).fold(
        opened("a quote may end anywhere", &sent, &left),
        |case, len| {
            let (before, after) = errors(&sent.frame(), &left.frame(), len);
            case.becomes(UplinkIn, &before, Related, &after)
        },
    );
    let options =
        (1..=10).fold(opened("a quote and an error may have options", &sent, &left), |case, words| {
            let (own, quoted) = errors(&sent.frame(), &left.frame(), 20);
            let (own, quoted) = (own.options(words), quoted.options(words));
            let case = case.becomes(UplinkIn, &own, Related, &quoted);
            let with = |packet: &Packet| packet.clone().options(words).frame();
            let (before, after) = errors(&with(&sent), &with(&left), 20);
            case.becomes(UplinkIn, &before, Related, &after)
        });
    let (before, after) = errors(&sent.clone().ttl(1).frame(), &left.clone().ttl(1).frame(), 20);
    let aged = opened("a quote's time to live is what it was where it ran out", &sent, &left)
        .becomes(UplinkIn, &before, Related, &after);
    let wrong = opened(
        "a quoted transport checksum may be wrong and is brought up to date all the same",
        &sent,
        &left,
    )
    .agrees(UplinkIn, errors(&sent.frame(), &left.clone().patch(50, &[0x12, 0x34]).frame(), 20).0.frame())
    .agrees(UplinkIn, errors(&sent.frame(), &left.clone().patch(50, &[0, 0]).frame(), 20).0.frame());
    let (before, after) = errors(&sent.frame(), &left.frame(), 8);
    let padded = opened("bytes behind an error are no part of its quote", &sent, &left).becomes(
        UplinkIn,
        &before.padded(110),
        Related,
        &after.padded(110),
    );
    vec![lengths, options, aged, wrong, padded]
}
