//! Protocols beside TCP, UDP and echo; IP options; and addresses that are not one host's.

use netlab_common::abi::hook::Hook::{PortIn, PortOut, UplinkIn, UplinkOut};
use netlab_common::abi::verdict::Verdict::{
    AddressConflict, Created, Established, HostFlow, NoRule, NotUnicast, PrivateSource, SourceRoute,
    Unsolicited,
};
use netlab_common::net::protocol::{TCP, UDP};
use netlab_common::net::{self, eth, ipv4};

use super::{EARTH, EARTH_5555, HOST, HOST_5555, HOST_40000, NEPTUNE_5555, WORLD, WORLD_80, WORLD_7777};
use crate::kernel::Place;
use crate::packet::{Packet, icmp_message, other, ping, refusal, sctp, tcp, udp, udp_lite};
use crate::progrun::Case;
use crate::rules::Rules;

const NEPTUNE: &str = "10.10.0.20";
/// The interface on which the host's stack received a packet of the nodes'.
const BRIDGE: u32 = 7;
const GRE: u8 = 47;

/// The story's cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    let mut cases = [portless(), told(), queries(), options()].concat();
    cases.extend([not_told(), associations(), light(), of_the_host(), groups(), not_forwarded()]);
    cases
}

/// IP in IP, GRE, ESP, AH, a number for experiments, the last of all, and zero.
fn portless() -> Vec<Case> {
    let each = |number: u8| {
        let packet = |from: &str, to: &str| other(from, to, number).payload(&[0x5a; 40]);
        let own = packet(NEPTUNE, WORLD);
        Case::new(format!("protocol {number} is one node's towards each remote"), Rules::masquerading())
            .stays(PortIn, &packet(EARTH, WORLD), NoRule)
            .becomes(UplinkOut, &packet(EARTH, WORLD), Created, &packet(HOST, WORLD))
            .becomes(UplinkIn, &packet(WORLD, HOST), Established, &packet(WORLD, EARTH))
            .stays(PortOut, &packet(WORLD, EARTH), NoRule)
            .stays(UplinkOut, &own, AddressConflict)
            .becomes(UplinkOut, &packet(NEPTUNE, "1.1.1.1"), Created, &packet(HOST, "1.1.1.1"))
            .stays(UplinkIn, &packet("9.9.9.9", HOST), NoRule)
            .stays(UplinkIn, &packet("9.9.9.9", EARTH), Unsolicited)
            .becomes(UplinkOut, &packet(EARTH, WORLD), Established, &packet(HOST, WORLD))
            .idle(599)
            .becomes(UplinkIn, &packet(WORLD, HOST), Established, &packet(WORLD, EARTH))
            // The flow's time and its quarantine.
            .idle(603)
            .becomes(UplinkOut, &own, Created, &packet(HOST, WORLD))
    };
    let short = Case::new("a packet of a protocol without ports may be empty", Rules::masquerading())
        .becomes(
            UplinkOut,
            &other(EARTH, WORLD, GRE).payload(&[]),
            Created,
            &other(HOST, WORLD, GRE).payload(&[]),
        );
    [4, GRE, 50, 51, 253, 255, 0].into_iter().map(each).chain([short]).collect()
}

fn told() -> Vec<Case> {
    let each = |name: &str, packet: &dyn Fn(&str, &str) -> Packet| {
        let own = packet(NEPTUNE_5555, WORLD_80);
        Case::new(
            format!("whoever is refused another's {name} is told"),
            Rules::masquerading().interface(BRIDGE, "10.10.0.1"),
        )
        .becomes(UplinkOut, &packet(EARTH_5555, WORLD_80), Created, &packet(HOST_5555, WORLD_80))
        .answered_from(BRIDGE, UplinkOut, &own, AddressConflict, refusal(&own, "10.10.0.1", false))
        // At XDP a packet has not been through the host's stack, and nobody knows where it came from.
        .only_in(&[Place::Tc])
    };
    vec![
        each("protocol", &|from, to| other(from, to, GRE).payload(&[0x5a; 40])),
        each("association", &|from, to| sctp(from, to).payload(&[0x5a; 40])),
    ]
}

/// What would put it into the error would not bring the error's own checksum up to date.
fn not_told() -> Case {
    const CHECKSUM: usize = eth::LEN + ipv4::MIN_LEN + net::sctp::CHECKSUM;
    let to_be_summed = sctp(NEPTUNE_5555, WORLD_80).payload(&[0x5a; 40]).patch(CHECKSUM, &[0; 4]);
    Case::new(
        "of an association without its checksum yet nobody is told",
        Rules::masquerading().interface(BRIDGE, "10.10.0.1"),
    )
    .becomes(UplinkOut, &sctp(EARTH_5555, WORLD_80), Created, &sctp(HOST_5555, WORLD_80))
    .stays_from(BRIDGE, UplinkOut, &to_be_summed, AddressConflict)
    .only_in(&[Place::Tc])
}

/// SCTP has ports, and a checksum over them that nobody on the way can make anew quickly.
fn associations() -> Case {
    let other_port = "10.10.0.20:5556";
    Case::new("SCTP keeps its ports, or is refused", Rules::masquerading())
        .becomes(UplinkOut, &sctp(EARTH_5555, WORLD_80), Created, &sctp(HOST_5555, WORLD_80))
        .becomes(UplinkIn, &sctp(WORLD_80, HOST_5555), Established, &sctp(WORLD_80, EARTH_5555))
        .stays(UplinkOut, &sctp(NEPTUNE_5555, WORLD_80), AddressConflict)
        .becomes(UplinkOut, &sctp(other_port, WORLD_80), Created, &sctp("192.168.0.108:5556", WORLD_80))
        .stays(UplinkIn, &sctp(WORLD_7777, HOST_5555), NoRule)
}

fn light() -> Case {
    Case::new("UDP-Lite is translated like UDP and beside it", Rules::masquerading())
        .becomes(UplinkOut, &udp(EARTH_5555, WORLD_80), Created, &udp(HOST_5555, WORLD_80))
        .becomes(UplinkOut, &udp_lite(EARTH_5555, WORLD_80), Created, &udp_lite(HOST_5555, WORLD_80))
        .becomes(UplinkOut, &udp_lite(NEPTUNE_5555, WORLD_80), Created, &udp_lite(HOST_40000, WORLD_80))
        .becomes(UplinkIn, &udp_lite(WORLD_80, HOST_40000), Established, &udp_lite(WORLD_80, NEPTUNE_5555))
        .becomes(UplinkIn, &udp(WORLD_80, HOST_5555), Established, &udp(WORLD_80, EARTH_5555))
}

/// Timestamp, information and address mask, by the types of question and answer.
fn queries() -> Vec<Case> {
    let each = |(ask, answer): (u8, u8)| {
        let of = |kind: u8, from: &str, to: &str, id: u16| {
            icmp_message(from, to, kind).identifier(id).payload(&[0; 12])
        };
        Case::new(
            format!("ICMP queries of type {ask} are told apart by their identifier"),
            Rules::masquerading(),
        )
        .becomes(UplinkOut, &of(ask, EARTH, WORLD, 9), Created, &of(ask, HOST, WORLD, 9))
        .becomes(UplinkOut, &of(ask, NEPTUNE, WORLD, 9), Created, &of(ask, HOST, WORLD, 40_000))
        .becomes(UplinkIn, &of(answer, WORLD, HOST, 9), Established, &of(answer, WORLD, EARTH, 9))
        .becomes(UplinkIn, &of(answer, WORLD, HOST, 40_000), Established, &of(answer, WORLD, NEPTUNE, 9))
        .stays(UplinkIn, &of(answer, WORLD, HOST, 8), NoRule)
        .stays(UplinkOut, &of(answer, EARTH, WORLD, 8), PrivateSource)
    };
    [(13, 14), (15, 16), (17, 18)].into_iter().map(each).collect()
}

fn of_the_host() -> Case {
    let packet = |from: &str, to: &str| other(from, to, GRE);
    Case::new("the host and a node never have one protocol to one remote", Rules::masquerading())
        .stays(UplinkOut, &packet(HOST, WORLD), HostFlow)
        .stays(UplinkIn, &packet(WORLD, HOST), HostFlow)
        .stays(UplinkOut, &packet(EARTH, WORLD), AddressConflict)
        .becomes(UplinkOut, &packet(EARTH, "1.1.1.1"), Created, &packet(HOST, "1.1.1.1"))
        .stays(UplinkOut, &packet(HOST, "1.1.1.1"), AddressConflict)
}

/// A group's answers come from its members, by whose addresses no flow would know them.
fn groups() -> Case {
    let case = Case::new("what is for many does not leave a node's network", Rules::masquerading());
    let groups = ["224.0.0.1", "224.0.0.251", "239.1.2.3", "240.0.0.1", "255.255.255.255"];
    groups.into_iter().fold(case, |case, group| {
        let at = format!("{group}:5353");
        case.stays(PortIn, &udp(EARTH_5555, &at), NoRule)
            .stays(UplinkOut, &udp(EARTH_5555, &at), NotUnicast)
            .stays(UplinkOut, &tcp(EARTH_5555, &at).syn(), NotUnicast)
            .stays(UplinkOut, &ping(EARTH, group, 1), NotUnicast)
            .stays(UplinkOut, &other(EARTH, group, 2), NotUnicast)
            .stays(UplinkOut, &udp(HOST_5555, &at), NoRule)
            .stays(UplinkIn, &udp(WORLD_80, &at), NoRule)
    })
}

fn not_forwarded() -> Case {
    let rules = Rules::masquerading().forward(TCP, "192.168.0.108:8000", "10.10.0.10:8000").forward(
        UDP,
        "192.168.0.108:8000",
        "10.10.0.10:8000",
    );
    Case::new("forwards of TCP and UDP are for nothing else", rules)
        .stays(UplinkIn, &sctp(WORLD_80, "192.168.0.108:8000"), NoRule)
        .stays(UplinkIn, &udp_lite(WORLD_80, "192.168.0.108:8000"), NoRule)
        .stays(UplinkIn, &other(WORLD, HOST, GRE), NoRule)
}

const NONE: u8 = 1;
const RECORD_ROUTE: [u8; 7] = [7, 7, 4, 0, 0, 0, 0];
const TIMESTAMP: [u8; 8] = [68, 8, 5, 0, 0, 0, 0, 0];
const LOOSE: [u8; 7] = [0x83, 7, 4, 1, 2, 3, 4];
const STRICT: [u8; 7] = [0x89, 7, 4, 1, 2, 3, 4];

fn options() -> Vec<Case> {
    let with = |packet: Packet, options: &[u8]| packet.with_options(options);
    let routed: [Vec<u8>; 5] = [
        LOOSE.to_vec(),
        STRICT.to_vec(),
        [&[NONE; 3][..], &LOOSE].concat(),
        [&RECORD_ROUTE[..], &STRICT].concat(),
        [&[NONE; 33][..], &LOOSE].concat(),
    ];
    let case = Case::new("what says by which way it goes does not cross the uplink", Rules::masquerading());
    let refused = routed.iter().fold(case, |case, options| {
        case.stays(UplinkOut, &with(udp(EARTH_5555, WORLD_80), options), SourceRoute)
            .stays(UplinkOut, &with(udp(HOST_5555, WORLD_80), options), SourceRoute)
            .stays(UplinkIn, &with(udp(WORLD_80, HOST_5555), options), SourceRoute)
            .stays(UplinkIn, &with(tcp(WORLD_80, EARTH_5555).syn(), options), SourceRoute)
            .stays(PortIn, &with(udp(EARTH_5555, NEPTUNE_5555), options), NoRule)
            .stays(PortOut, &with(udp(EARTH_5555, NEPTUNE_5555), options), NoRule)
    });
    let harmless: [Vec<u8>; 7] = [
        vec![NONE; 40],
        RECORD_ROUTE.to_vec(),
        TIMESTAMP.to_vec(),
        // After the end of the options nothing is one, and a length that does not cover itself ends them too.
        [&[0][..], &LOOSE].concat(),
        [&[0x94, 0][..], &LOOSE].concat(),
        [&[0x94, 1][..], &LOOSE].concat(),
        // One that is longer than the header.
        vec![0x94, 250, 0, 0],
    ];
    let case = Case::new("other options are translated along", Rules::masquerading());
    let taken = harmless.iter().enumerate().fold(case, |case, (number, options)| {
        let (inside, outside) = (format!("{EARTH}:{}", 1000 + number), format!("{HOST}:{}", 1000 + number));
        case.becomes(
            UplinkOut,
            &with(udp(&inside, WORLD_80), options),
            Created,
            &with(udp(&outside, WORLD_80), options),
        )
        .becomes(
            UplinkIn,
            &with(udp(WORLD_80, &outside), options),
            Established,
            &with(udp(WORLD_80, &inside), options),
        )
    });
    vec![refused, taken]
}
