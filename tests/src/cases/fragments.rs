//! Datagrams in pieces: the first one says whose they are, in whatever order they come.

use netlab_common::abi::hook::Hook::{PortIn, PortOut, UplinkIn, UplinkOut};
use netlab_common::abi::verdict::Verdict::{
    Created, Established, Fragment, FragmentWaits, HostFlow, Malformed, MalformedPassed, NoRule,
    PrivateSource, Related, SpoofedSource, Unsolicited,
};
use netlab_common::net::protocol::UDP;

use super::errors::{KINDS, ROUTER};
use super::{
    EARTH, EARTH_5555, EARTH_8000, HOST, HOST_5555, HOST_40000, NEPTUNE_5555, WORLD, WORLD_80, WORLD_7777,
};
use crate::kernel::Place;
use crate::packet::{Packet, error, one_piece, other, pieces, ping, pong, quote, sctp, tcp, udp, udp_lite};
use crate::progrun::Case;
use crate::rules::Rules;

const PUBLIC: &str = "192.168.0.108:8000";
const GRE: u8 = 47;
/// Bytes of a piece: enough for a whole TCP header in the first one.
const SIZE: usize = 24;
const DATA: [u8; 61] = [0xa5; 61];

/// The story's cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    let cases = [in_order(), through_forwards(), without_the_first(), waiting(), bounds()];
    let mut cases = cases.concat();
    cases.extend([mixed(), overlapping(), refused(), of_the_host(), quoted(), forgotten(), conflict()]);
    cases
}

/// Each piece of a datagram becomes the same piece of what the whole one would become.
fn all_become(
    case: Case,
    at: netlab_common::abi::hook::Hook,
    before: &Packet,
    after: &Packet,
    opens: bool,
) -> Case {
    let pairs = pieces(before, SIZE).into_iter().zip(pieces(after, SIZE));
    pairs.enumerate().fold(case, |case, (number, (before, after))| {
        let verdict = if opens && number == 0 { Created } else { Established };
        case.frame_becomes(at, before, verdict, after)
    })
}

fn in_order() -> Vec<Case> {
    type Kind = (&'static str, Packet, Packet, Packet, Packet);
    let icmp = (ping(EARTH, WORLD, 7), ping(HOST, WORLD, 7), pong(WORLD, HOST, 7), pong(WORLD, EARTH, 7));
    let gre = |from: &str, to: &str| other(from, to, GRE);
    let kinds: [Kind; 6] = [
        (
            "UDP",
            udp(EARTH_5555, WORLD_80),
            udp(HOST_5555, WORLD_80),
            udp(WORLD_80, HOST_5555),
            udp(WORLD_80, EARTH_5555),
        ),
        (
            "TCP",
            tcp(EARTH_5555, WORLD_80).syn(),
            tcp(HOST_5555, WORLD_80).syn(),
            tcp(WORLD_80, HOST_5555).syn_ack(),
            tcp(WORLD_80, EARTH_5555).syn_ack(),
        ),
        ("an echo", icmp.0, icmp.1, icmp.2, icmp.3),
        ("GRE", gre(EARTH, WORLD), gre(HOST, WORLD), gre(WORLD, HOST), gre(WORLD, EARTH)),
        (
            "SCTP",
            sctp(EARTH_5555, WORLD_80),
            sctp(HOST_5555, WORLD_80),
            sctp(WORLD_80, HOST_5555),
            sctp(WORLD_80, EARTH_5555),
        ),
        (
            "UDP-Lite",
            udp_lite(EARTH_5555, WORLD_80),
            udp_lite(HOST_5555, WORLD_80),
            udp_lite(WORLD_80, HOST_5555),
            udp_lite(WORLD_80, EARTH_5555),
        ),
    ];
    let each = |(name, sent, left, came, seen): Kind| {
        let [sent, left, came, seen] = [sent, left, came, seen].map(|packet| packet.payload(&DATA));
        let case =
            Case::new(format!("fragments of {name} are translated like the whole"), Rules::masquerading());
        all_become(all_become(case, UplinkOut, &sent, &left, true), UplinkIn, &came, &seen, false)
    };
    let mut cases: Vec<Case> = kinds.into_iter().map(each).collect();
    // Another port than the sender's, and no checksum.
    let [sent, left] = [NEPTUNE_5555, HOST_40000].map(|from| udp(from, WORLD_80).payload(&DATA));
    let case = Case::new("fragments go by another port where theirs is taken", Rules::masquerading())
        .becomes(UplinkOut, &udp(EARTH_5555, WORLD_80), Created, &udp(HOST_5555, WORLD_80));
    cases.push(all_become(case, UplinkOut, &sent, &left, true));
    cases
}

fn through_forwards() -> Vec<Case> {
    let rules = || Rules::masquerading().forward(UDP, PUBLIC, EARTH_8000);
    let long = |from: &str, to: &str| udp(from, to).payload(&DATA);
    let world = Case::new("fragments go through a forward from the world and back", rules());
    let world = all_become(world, UplinkIn, &long(WORLD_7777, PUBLIC), &long(WORLD_7777, EARTH_8000), true);
    let world = all_become(world, UplinkOut, &long(EARTH_8000, WORLD_7777), &long(PUBLIC, WORLD_7777), false);
    let near = Case::new("fragments go through a neighbour's forward and back", rules());
    let near = all_become(near, PortIn, &long(NEPTUNE_5555, PUBLIC), &long(NEPTUNE_5555, EARTH_8000), true);
    let near = all_become(near, PortOut, &long(EARTH_8000, NEPTUNE_5555), &long(PUBLIC, NEPTUNE_5555), false);
    vec![world, near]
}

fn later(from: &str, to: &str) -> Vec<u8> {
    one_piece(&udp(from, to).payload(&DATA), SIZE, 1)
}

/// A frame that a bridge floods.
fn to_all(mut frame: Vec<u8>) -> Vec<u8> {
    frame[..6].fill(0xff);
    frame
}

/// Where nothing waits, and where a fragment may.
fn without_the_first() -> Vec<Case> {
    let both = |name: &str, to_host, of_a_node| {
        Case::new(name, Rules::masquerading())
            .frame_stays(PortIn, later(EARTH_5555, WORLD_80), NoRule)
            .frame_stays(PortIn, later(EARTH_5555, HOST_5555), to_host)
            .frame_stays(PortOut, later(WORLD_80, NEPTUNE_5555), NoRule)
            .frame_stays(UplinkIn, later(WORLD_80, EARTH_5555), Unsolicited)
            .frame_stays(UplinkIn, later(NEPTUNE_5555, "192.168.0.109:5555"), SpoofedSource)
            .frame_stays(UplinkIn, later(WORLD_80, HOST_5555), to_host)
            .frame_stays(UplinkOut, later(HOST_5555, WORLD_80), NoRule)
            .frame_stays(UplinkOut, later(EARTH_5555, WORLD_80), of_a_node)
    };
    vec![
        both("without the first fragment nothing leaves a node at XDP", NoRule, Fragment)
            .only_in(&[Place::Xdp]),
        both(
            "a fragment waits for the first one where it may belong to a flow",
            FragmentWaits,
            FragmentWaits,
        )
        .frame_stays(PortOut, later(NEPTUNE_5555, EARTH_5555), FragmentWaits)
        // To all: no flow has such a destination.
        .frame_stays(PortOut, later(NEPTUNE_5555, "255.255.255.255:5555"), NoRule)
        // Likewise to all of a network, which only the frame's own destination tells.
        .frame_stays(PortOut, to_all(later(NEPTUNE_5555, "10.10.255.255:5555")), NoRule)
        // XDP has no way to send a frame on later.
        .only_in(&[Place::Tc]),
    ]
}

/// The host's twin keeps them too; XDP has no way to send a frame on later, so these are for TC alone.
fn waiting() -> Vec<Case> {
    let (before, after) = (udp(EARTH_5555, WORLD_80).payload(&DATA), udp(HOST_5555, WORLD_80).payload(&DATA));
    let (sent, left) = (pieces(&before, SIZE), pieces(&after, SIZE));
    let reversed = Case::new("fragments that come last to first all go on", Rules::masquerading())
        .frame_stays(UplinkOut, sent[2].clone(), FragmentWaits)
        .frame_stays(UplinkOut, sent[1].clone(), FragmentWaits)
        .frame_becomes(UplinkOut, sent[0].clone(), Created, left[0].clone())
        // They have been sent on, and come to the hook once more.
        .frame_becomes(UplinkOut, sent[2].clone(), Established, left[2].clone())
        .frame_becomes(UplinkOut, sent[1].clone(), Established, left[1].clone());
    let in_vain = Case::new("a fragment waits five seconds and no longer", Rules::masquerading())
        .frame_stays(UplinkOut, sent[1].clone(), FragmentWaits)
        .idle(6)
        .frame_stays(UplinkOut, sent[2].clone(), FragmentWaits)
        .frame_becomes(UplinkOut, sent[0].clone(), Created, left[0].clone())
        .frame_becomes(UplinkOut, sent[1].clone(), Established, left[1].clone());
    let of_none = Case::new("what waits for a fragment that is dropped is dropped after it", Rules::none())
        .frame_stays(UplinkOut, sent[1].clone(), FragmentWaits)
        .frame_stays(UplinkOut, sent[0].clone(), PrivateSource)
        // It came again, as above.
        .frame_stays(UplinkOut, sent[1].clone(), Fragment)
        .frame_stays(UplinkOut, sent[2].clone(), Fragment);
    [reversed, in_vain, of_none].map(|case| case.only_in(&[Place::Tc])).to_vec()
}

/// Of one datagram as many wait as there are places from one on, and of all together as many as there are places.
fn bounds() -> Vec<Case> {
    let piece = |offset: u16| udp(EARTH_5555, WORLD_80).fragment(offset, true);
    let full = (1..=64)
        .fold(Case::new("of one datagram 64 fragments wait", Rules::masquerading()), |case, offset| {
            case.stays(UplinkOut, &piece(offset), FragmentWaits)
        });
    let full = full.stays(UplinkOut, &piece(65), Fragment).becomes(
        UplinkOut,
        &piece(0),
        Created,
        &piece(0).from(HOST_5555),
    );
    let many = Case::new("a flood of fragments finds 256 places", Rules::masquerading());
    let many = (0..400).fold(many, |case, number| case.agrees(UplinkOut, piece(7).number(number).frame()));
    // Whole datagrams, and fragments in order, ask for no place.
    let many = many.becomes(UplinkOut, &udp(NEPTUNE_5555, WORLD_80), Created, &udp(HOST_5555, WORLD_80));
    let (before, after) =
        (udp(NEPTUNE_5555, WORLD_80).payload(&DATA), udp(HOST_5555, WORLD_80).payload(&DATA));
    let many = all_become(many, UplinkOut, &before, &after, false);
    [full, many].map(|case| case.only_in(&[Place::Tc])).to_vec()
}

/// Two datagrams' pieces by turns, each twice.
fn mixed() -> Case {
    let datagram = |from: &str, number: u16| pieces(&udp(from, WORLD_80).payload(&DATA).number(number), SIZE);
    let (one, other) = (datagram(EARTH_5555, 1), datagram("10.10.0.20:6666", 1));
    let (one_left, other_left) = (datagram(HOST_5555, 1), datagram("192.168.0.108:6666", 1));
    let case =
        Case::new("fragments of two datagrams are told apart, and may come twice", Rules::masquerading());
    (0..one.len()).fold(case, |case, number| {
        let verdict = if number == 0 { Created } else { Established };
        case.frame_becomes(UplinkOut, one[number].clone(), verdict, one_left[number].clone())
            .frame_becomes(UplinkOut, other[number].clone(), verdict, other_left[number].clone())
            .frame_becomes(UplinkOut, other[number].clone(), Established, other_left[number].clone())
            .frame_becomes(UplinkOut, one[number].clone(), Established, one_left[number].clone())
    })
}

/// RFC 3128: one that begins at offset 1 would write over the flags of the TCP header before it.
fn overlapping() -> Case {
    let piece = tcp(EARTH_5555, WORLD_80).syn().fragment(1, false);
    Case::new("a fragment that would write over a TCP header is broken", Rules::masquerading())
        .stays(PortIn, &piece, MalformedPassed)
        .stays(PortOut, &piece, MalformedPassed)
        .stays(UplinkIn, &piece, Malformed)
        .stays(UplinkOut, &piece, Malformed)
}

fn refused() -> Case {
    let sent = pieces(&udp(EARTH_5555, WORLD_80).payload(&DATA), SIZE);
    Case::new("where the first fragment does not get through none does", Rules::none())
        .frame_stays(UplinkOut, sent[0].clone(), PrivateSource)
        .frame_stays(UplinkOut, sent[1].clone(), Fragment)
        .frame_stays(UplinkOut, sent[2].clone(), Fragment)
}

fn of_the_host() -> Case {
    let sent = pieces(&udp(HOST_5555, WORLD_80).payload(&DATA), SIZE);
    let back = pieces(&udp(WORLD_80, HOST_5555).payload(&DATA), SIZE);
    let case = Case::new("the host's own fragments are its own", Rules::masquerading());
    let case = sent.into_iter().fold(case, |case, piece| case.frame_stays(UplinkOut, piece, HostFlow));
    back.into_iter().fold(case, |case, piece| case.frame_stays(UplinkIn, piece, HostFlow))
}

/// "Time exceeded" in putting a datagram together quotes its first fragment.
fn quoted() -> Case {
    let (before, after) = (udp(EARTH_5555, WORLD_80).payload(&DATA), udp(HOST_5555, WORLD_80).payload(&DATA));
    let case = Case::new("an error may be about a first fragment", Rules::masquerading());
    let case = all_become(case, UplinkOut, &before, &after, true);
    [8, SIZE].into_iter().fold(case, |case, len| {
        let told = |packet: &Packet| quote(&one_piece(packet, SIZE, 0), len);
        case.becomes(
            UplinkIn,
            &error(ROUTER, HOST, KINDS[7], &told(&after)),
            Related,
            &error(ROUTER, EARTH, KINDS[7], &told(&before)),
        )
    })
}

/// After five seconds an identification may be another datagram's.
fn forgotten() -> Case {
    let (before, after) = (udp(EARTH_5555, WORLD_80).payload(&DATA), udp(HOST_5555, WORLD_80).payload(&DATA));
    let (sent, left) = (pieces(&before, SIZE), pieces(&after, SIZE));
    Case::new("what a first fragment says holds for five seconds", Rules::masquerading())
        .frame_becomes(UplinkOut, sent[0].clone(), Created, left[0].clone())
        .idle(4)
        .frame_becomes(UplinkOut, sent[1].clone(), Established, left[1].clone())
        .idle(2)
        .frame_stays(UplinkOut, sent[2].clone(), Fragment)
        .only_in(&[Place::Xdp])
}

/// One identification used again: the later first fragment counts.
fn conflict() -> Case {
    let datagram = |from: &str| pieces(&udp(from, WORLD_80).payload(&DATA), SIZE);
    let (old, new) = (datagram(EARTH_5555), datagram("10.10.0.10:6666"));
    let (old_left, new_left) = (datagram(HOST_5555), datagram("192.168.0.108:6666"));
    Case::new("of two first fragments with one identification the later one counts", Rules::masquerading())
        .frame_becomes(UplinkOut, old[0].clone(), Created, old_left[0].clone())
        .frame_becomes(UplinkOut, new[0].clone(), Created, new_left[0].clone())
        .frame_becomes(UplinkOut, new[1].clone(), Established, new_left[1].clone())
}
