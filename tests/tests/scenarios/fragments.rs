//! Fragments that wait: which of them go on and when, and how many there may be.

use netlab_common::abi::event::Event;
use netlab_common::abi::fragment::{FRAGMENT_TICKS, PLACES, WAITING};
use netlab_common::abi::hook::Hook::{PortIn, UplinkIn, UplinkOut};
use netlab_common::abi::verdict::Verdict::{Created, Established, Fragment, FragmentWaits, NoRule};
use netlab_common::net::protocol::UDP;
use netlab_tests::cases::{EARTH_5555, EARTH_8000, HOST_5555, NEPTUNE_5555, WORLD_80, WORLD_7777};
use netlab_tests::host::Host;
use netlab_tests::packet::{Packet, pieces, udp};
use netlab_tests::rules::Rules;

const PUBLIC: &str = "192.168.0.108:8000";

fn long(from: &str, to: &str) -> Packet {
    udp(from, to).payload(&[0xa5; 61])
}

#[test]
fn fragments_that_wait_come_to_their_hook_again_once_the_first_one_has_come() {
    for (hook, before, after) in [
        (UplinkOut, long(EARTH_5555, WORLD_80), long(HOST_5555, WORLD_80)),
        (UplinkIn, long(WORLD_7777, PUBLIC), long(WORLD_7777, EARTH_8000)),
        (PortIn, long(NEPTUNE_5555, PUBLIC), long(NEPTUNE_5555, EARTH_8000)),
    ] {
        let host = Host::new(&Rules::masquerading().forward(UDP, PUBLIC, EARTH_8000));
        let (sent, left) = (pieces(&before, 24), pieces(&after, 24));
        for piece in [2, 1] {
            host.leaves(hook, &sent[piece], FragmentWaits);
        }
        assert_eq!(host.run(hook, &sent[0]), (Created, left[0].clone()));
        let released = host.env.released.take();
        assert_eq!(released, [(hook, sent[2].clone()), (hook, sent[1].clone())]);
        assert_eq!(host.tables.event(Event::FragmentReleased), 2);
        for ((hook, frame), became) in released.iter().zip([&left[2], &left[1]]) {
            assert_eq!(host.run(*hook, frame), (Established, became.clone()));
        }
        assert_eq!(host.tables.waiting(), 0);
    }
}

#[test]
fn a_fragment_waits_at_the_hook_where_it_came_and_for_its_own_datagram() {
    let host = Host::new(&Rules::masquerading().forward(UDP, PUBLIC, EARTH_8000));
    let datagram = long(WORLD_7777, PUBLIC);
    host.leaves(UplinkIn, &pieces(&datagram, 24)[1], FragmentWaits);
    host.run(UplinkIn, &pieces(&datagram.clone().number(7), 24)[0]);
    host.run(UplinkIn, &pieces(&datagram.clone().from("8.8.8.9:7777"), 24)[0]);
    host.run(UplinkOut, &pieces(&long(EARTH_5555, WORLD_80), 24)[0]);
    assert_eq!(host.env.released.take(), []);
    host.run(UplinkIn, &pieces(&datagram, 24)[0]);
    assert_eq!(host.env.released.take().len(), 1);
}

#[test]
fn what_has_waited_for_its_time_does_not_go_on_and_gives_up_its_place() {
    let host = Host::new(&Rules::masquerading());
    let sent = pieces(&long(EARTH_5555, WORLD_80), 24);
    host.leaves(UplinkOut, &sent[1], FragmentWaits);
    host.wait(FRAGMENT_TICKS);
    host.run(UplinkOut, &sent[0]);
    assert_eq!(host.env.released.take(), []);
    assert_eq!((host.tables.event(Event::FragmentLost), host.tables.waiting()), (1, 0), "it came too late");
    host.wait(FRAGMENT_TICKS);
    host.leaves(UplinkOut, &sent[1], FragmentWaits);
    host.wait(FRAGMENT_TICKS);
    host.leaves(UplinkOut, &sent[2], FragmentWaits);
    assert_eq!(
        (host.tables.event(Event::FragmentLost), host.tables.waiting()),
        (2, 1),
        "another takes its place"
    );
}

#[test]
fn no_more_wait_than_there_are_places_for_one_datagram_and_for_all() {
    let host = Host::new(&Rules::masquerading());
    let piece =
        |number: u16, offset: u16| udp(EARTH_5555, WORLD_80).number(number).fragment(offset, true).frame();
    let places = PLACES as u16;
    for offset in 1..=places {
        host.leaves(UplinkOut, &piece(0, offset), FragmentWaits);
    }
    host.leaves(UplinkOut, &piece(0, places + 1), Fragment);
    assert_eq!(host.tables.event(Event::FragmentUnkept), 1);
    for number in 1..2000 {
        host.run(UplinkOut, &piece(number, 9));
    }
    assert_eq!(host.tables.waiting(), WAITING as usize, "all places are taken");
    assert_eq!(host.tables.event(Event::FragmentUnkept), 2000 - u64::from(WAITING - PLACES));
    // Those for whom no place is asked are not counted.
    host.leaves(UplinkOut, &udp(HOST_5555, WORLD_80).fragment(9, false).frame(), NoRule);
    assert_eq!(host.tables.event(Event::FragmentUnkept), 2000 - u64::from(WAITING - PLACES));
}
