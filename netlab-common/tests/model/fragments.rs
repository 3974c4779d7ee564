//! Datagrams in pieces that several CPUs get: the first fragment here and a later one there, in whatever order their
//! steps are taken. Each piece leaves once and translated, and none is left waiting.

use netlab_common::abi::event::Event;
use netlab_common::abi::fragment::{FRAGMENT_TICKS, FragmentKey, place};
use netlab_common::abi::hook::Hook::{self, PortIn, UplinkIn, UplinkOut};
use netlab_common::abi::verdict::{Disposition, Verdict};
use netlab_common::fake::{BufPacket, MemTables};
use netlab_common::net::{eth, ipv4};
use netlab_common::packet::parse_ipv4;
use netlab_common::tables::{Fragments, Tables};

use crate::cpu::Act;
use crate::explore::{Depth, End, Scenario, depth, explore};
use crate::kit::frames::{piece, syn, udp};
use crate::kit::lab::{
    CLIENT, Chance, EARTH, HOST, MARS, Outcome, SERVER, START, forward, hiding, masquerade, only_flow, play,
    tables,
};

/// What three CPUs do here has too many steps for more.
const TWO: Depth = Depth { preemptions: 2 };

/// Which piece of a node's datagram to a server: eight bytes each.
fn datagram(node: [u8; 4], number: u16, offset: u16) -> Vec<u8> {
    piece(&udp((node, 5_000), SERVER), number, offset, offset < 2)
}

fn earths(offset: u16) -> Vec<u8> {
    datagram(EARTH, 1, offset)
}

fn leaves(frame: Vec<u8>) -> Act {
    Act::Packet(UplinkOut, frame)
}

fn lab() -> MemTables {
    hiding(4, masquerade(40_000, 40_003))
}

/// What makes a frame a certain piece of a certain datagram.
fn name(frame: &[u8]) -> [u8; 4] {
    let at = eth::LEN + ipv4::IDENTIFICATION;
    [frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]
}

/// What became of a piece wherever it came to a hook, but that it waits.
fn fates<'a>(end: &'a End<'_>, frame: &[u8]) -> Vec<&'a Outcome> {
    let of_it = end.outcomes.iter().flatten().filter(|outcome| name(&outcome.frame) == name(frame));
    of_it.filter(|outcome| outcome.verdict != Verdict::FragmentWaits).collect()
}

/// The piece was translated so many times: its source is another.
fn left(end: &End<'_>, frame: &[u8], times: usize) {
    let fates = fates(end, frame);
    assert_eq!(fates.len(), times, "{:?} came to an end {fates:?}", name(frame));
    for outcome in fates {
        assert_eq!(outcome.verdict.disposition(), Disposition::Forwarded, "{outcome:?}");
        assert_eq!(outcome.frame[eth::LEN + ipv4::SRC..][..4], HOST, "{outcome:?}");
    }
}

/// Each time a fragment waits it is sent on or taken back; and nobody waits any more.
fn nobody_waits(end: &End<'_>) {
    let waited = end.outcomes.iter().flatten().filter(|one| one.verdict == Verdict::FragmentWaits).count();
    assert_eq!(end.tables.event(Event::FragmentReleased), waited as u64);
    assert_eq!((end.tables.event(Event::FragmentLost), end.tables.waiting()), (0, 0));
}

#[test]
fn a_first_fragment_and_a_later_one_at_once_both_leave_once() {
    let cpus = vec![vec![leaves(earths(0))], vec![leaves(earths(1))]];
    explore(&Scenario::new(lab(), cpus), depth(), |end| {
        for offset in [0, 1] {
            left(end, &earths(offset), 1);
        }
        nobody_waits(end);
        only_flow(end.tables);
    });
}

#[test]
fn two_later_fragments_and_their_first_on_three_cpus_all_leave_once() {
    let cpus = [0, 1, 2].map(|offset| vec![leaves(earths(offset))]);
    explore(&Scenario::new(lab(), cpus.to_vec()), TWO, |end| {
        for offset in [0, 1, 2] {
            left(end, &earths(offset), 1);
        }
        nobody_waits(end);
    });
}

/// The first fragment twice, each after one that waits for it.
fn twice() -> Vec<Vec<Act>> {
    [1, 2].map(|offset| vec![leaves(earths(offset)), leaves(earths(0))]).to_vec()
}

#[test]
fn a_first_fragment_that_comes_twice_at_once_sends_each_later_one_on_once() {
    let tables = lab();
    play(&tables, &Chance::new(START, 9), UplinkOut, &udp((EARTH, 5_000), SERVER));
    explore(&Scenario::new(tables, twice()), depth(), |end| {
        left(end, &earths(0), 2);
        for offset in [1, 2] {
            left(end, &earths(offset), 1);
        }
        nobody_waits(end);
        only_flow(end.tables);
    });
}

#[test]
fn a_first_fragment_that_comes_twice_at_once_and_opens_a_flow_leaves_nobody_waiting() {
    explore(&Scenario::new(lab(), twice()), depth(), |end| {
        left(end, &earths(0), 2);
        for offset in [1, 2] {
            // Who joins a flow may be done before its maker has come as far as the key by which later fragments find
            // it. That moment costs the datagram.
            match fates(end, &earths(offset))[..] {
                [Outcome { verdict: Verdict::Fragment, .. }] => {
                    assert_eq!(end.tables.event(Event::Joined), 1);
                }
                _ => left(end, &earths(offset), 1),
            }
        }
        nobody_waits(end);
        only_flow(end.tables);
    });
}

#[test]
fn a_later_fragment_that_overtakes_its_first_one_between_two_hooks_leaves() {
    let way = |offset| vec![Act::Packet(PortIn, earths(offset)), leaves(earths(offset))];
    explore(&Scenario::new(lab(), vec![way(0), way(1)]), depth(), |end| {
        for offset in [0, 1] {
            let ends = fates(end, &earths(offset));
            let translated: Vec<_> =
                ends.iter().filter(|one| one.verdict.disposition() == Disposition::Forwarded).collect();
            assert_eq!(translated.len(), 1, "{ends:?}");
            assert!(ends.iter().all(|one| one.verdict.disposition() != Disposition::Dropped), "{ends:?}");
        }
        nobody_waits(end);
    });
}

#[test]
fn pieces_of_a_segment_that_opens_a_connection_through_a_forward_all_arrive() {
    let mut tables = tables(4);
    forward(&mut tables, 8_000, &[(EARTH, 80)]);
    let whole = syn(CLIENT, (HOST, 8_000));
    let [first, later] = [piece(&whole, 1, 0, true), piece(&whole, 1, 3, false)];
    let cpus = [&first, &later].map(|frame| vec![Act::Packet(UplinkIn, frame.clone())]);
    explore(&Scenario::new(tables, cpus.to_vec()), depth(), |end| {
        for frame in [&first, &later] {
            let fates = fates(end, frame);
            assert_eq!(fates.len(), 1, "{fates:?}");
            assert_eq!(fates[0].frame[eth::LEN + ipv4::DST..][..4], EARTH, "{fates:?}");
        }
        nobody_waits(end);
    });
}

#[test]
fn what_waits_for_a_first_fragment_that_is_dropped_gives_its_place_back() {
    let cpus = vec![vec![leaves(earths(0))], vec![leaves(earths(1))]];
    explore(&Scenario::new(tables(4), cpus), depth(), |end| {
        let verdicts = |offset| fates(end, &earths(offset)).iter().map(|one| one.verdict).collect::<Vec<_>>();
        assert_eq!(verdicts(0), [Verdict::PrivateSource]);
        assert_eq!(verdicts(1), [Verdict::Fragment]);
        nobody_waits(end);
    });
}

fn key(hook: Hook, frame: &[u8]) -> FragmentKey<4> {
    parse_ipv4(&BufPacket(frame.to_vec())).expect("the kit makes proper frames").fragment_key(hook)
}

fn first_place(tables: &MemTables, frame: &[u8]) -> u32 {
    key(UplinkOut, frame).first_place(tables.config().seed)
}

/// A number by which another node's datagram waits in the very place where earth's does.
fn rival(tables: &MemTables) -> u16 {
    let wanted = first_place(tables, &earths(1));
    let mut numbers = 1..u16::MAX;
    numbers.find(|number| first_place(tables, &datagram(MARS, *number, 1)) == wanted).expect("one of 256")
}

#[test]
fn a_place_that_changes_hands_is_nobodys_but_its_new_owners() {
    let tables = lab();
    let other = datagram(MARS, rival(&tables), 1);
    let cpus = vec![vec![leaves(earths(1))], vec![leaves(earths(0))], vec![leaves(other.clone())]];
    explore(&Scenario::new(tables, cpus), TWO, |end| {
        for offset in [0, 1] {
            left(end, &earths(offset), 1);
        }
        // The other datagram's first one never comes.
        assert_eq!(fates(end, &other).len(), 0);
        assert_eq!(end.tables.waiting(), 1, "it still waits");
    });
}

#[test]
fn one_that_has_waited_in_vain_is_given_up_once() {
    let tables = lab();
    let (spot, whose) = (first_place(&tables, &earths(1)), key(UplinkOut, &earths(1)));
    tables.set_waits(spot, &whose, START);
    assert!(tables.change_place(spot, place::FREE, place::TAKEN));
    let other = rival(&tables);
    let cpus = vec![
        vec![leaves(earths(0))],
        vec![leaves(datagram(MARS, other, 1))],
        vec![leaves(datagram(MARS, other, 2))],
    ];
    explore(&Scenario::new(tables, cpus).after(FRAGMENT_TICKS), TWO, |end| {
        left(end, &earths(0), 1);
        assert_eq!(fates(end, &earths(1)).len(), 0);
        assert_eq!(end.tables.event(Event::FragmentLost), 1);
        assert_eq!((end.tables.event(Event::FragmentReleased), end.tables.waiting()), (0, 2));
    });
}
