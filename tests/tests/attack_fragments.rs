//! A flood of first fragments: more datagrams than are remembered. Whoever sends his in one go loses none, and what is
//! forgotten is counted.

use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use netlab_common::abi::event::Event;
use netlab_common::abi::fragment::FRAGMENTS;
use netlab_tests::attack::{Gun, MASQUERADES, NOBODY, Pins, lab, verdicts};
use netlab_tests::inside::{at, bind_udp};
use netlab_tests::machine::Machine;
use netlab_tests::need::need_root;
use netlab_tests::segment::Segment;

/// Datagrams of a flood.
const FLOOD: u16 = 50_000;

/// What earth sends: datagrams of one flow, each with another identification.
fn of_earth() -> Segment {
    Segment::udp((Ipv4Addr::new(10, 10, 0, 10), 5000), (NOBODY, 53), 0)
}

/// A datagram of neptune's, of which the test sends the pieces.
fn of_neptune() -> Segment {
    Segment::udp((Ipv4Addr::new(10, 10, 0, 20), 6000), (NOBODY, 53), 0)
}

/// Asks the world with datagrams of three fragments, one after another, until told to stop. The answers are as long.
/// Gives how many were asked, and how many answered.
fn asks(machine: &Machine, stop: &AtomicBool) -> (u32, u32) {
    let server = bind_udp(machine, "internet", at("8.8.8.8", 7));
    let client = bind_udp(machine, "mars", at("10.20.0.30", 7000));
    client.set_read_timeout(Some(Duration::from_secs(1))).expect("not zero");
    server.set_read_timeout(Some(Duration::from_secs(1))).expect("not zero");
    let (mut asked, mut answered) = (0u32, 0);
    let mut heard = [0; 4096];
    while !stop.load(Ordering::Relaxed) {
        let said = [asked.to_be_bytes().as_slice(), &[0xa5; 3500]].concat();
        client.send_to(&said, at("8.8.8.8", 7)).expect("it leaves");
        asked += 1;
        let Ok((len, from)) = server.recv_from(&mut heard) else { continue };
        server.send_to(&heard[..len], from).expect("it leaves");
        answered += u32::from(client.recv(&mut heard).is_ok_and(|len| heard[..len] == said));
    }
    (asked, answered)
}

#[test]
fn datagrams_that_are_sent_in_one_go_survive_a_flood_of_first_fragments() {
    if !need_root() {
        return;
    }
    let machine = lab(MASQUERADES);
    let gun = Gun::at(&machine, "earth", "left");
    let stop = AtomicBool::new(false);
    let (asked, answered) = std::thread::scope(|scope| {
        let asker = scope.spawn(|| asks(&machine, &stop));
        sleep(Duration::from_millis(100));
        let begun = Instant::now();
        gun.fire_pieces(of_earth(), 0..FLOOD, 0);
        println!("{FLOOD} first fragments in {:.1?}", begun.elapsed());
        stop.store(true, Ordering::Relaxed);
        asker.join().expect("it does not panic")
    });
    println!("{answered} of {asked} datagrams were answered beside them");
    assert!(asked >= 20, "{asked} datagrams are no traffic");
    assert_eq!(answered, asked);
    assert_eq!(verdicts(&machine, "fragment"), 0);
}

/// Neptune's first fragments, a flood of so many others, and neptune's later ones. Gives how many of those had to wait:
/// what their first ones said was forgotten.
fn forgotten(machine: &Machine, numbers: Range<u16>, flood: u16) -> u64 {
    let (gun, other) = (Gun::at(machine, "neptune", "left"), Gun::at(machine, "earth", "left"));
    let waited = verdicts(machine, "fragment_waits");
    gun.fire_pieces(of_neptune(), numbers.clone(), 0);
    other.fire_pieces(of_earth(), 0..flood, 0);
    gun.fire_pieces(of_neptune(), numbers, 3);
    verdicts(machine, "fragment_waits") - waited
}

#[test]
fn a_first_fragment_that_a_flood_has_pushed_out_is_counted_when_a_later_one_waits_for_it_in_vain() {
    if !need_root() {
        return;
    }
    let machine = lab(MASQUERADES);
    assert_eq!(forgotten(&machine, 0..40, 1000), 0, "as many as are remembered push nobody out");
    // Two hooks remember each.
    assert!(2 * u32::from(FLOOD) > 5 * FRAGMENTS, "no flood for so large a table");
    assert_eq!(forgotten(&machine, 100..140, FLOOD), 40, "each is counted at the hook");
    sleep(Duration::from_millis(5500));
    let pins = Pins::of(&machine);
    let lost = pins.event(Event::FragmentLost);
    // Their places are wanted by others.
    let gun = Gun::at(&machine, "neptune", "left");
    gun.fire_pieces(of_neptune(), 1000..2000, 3);
    assert_eq!(pins.event(Event::FragmentLost) - lost, 40, "each was given up");
    // What is forgotten costs a datagram and no more: the next one goes.
    assert_eq!(forgotten(&machine, 3000..3040, 0), 0);
}
