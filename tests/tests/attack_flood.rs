//! Attacks by numbers: more half-open connections than the table has room for, and more flows than a source may hold.

use std::net::Ipv4Addr;

use netlab_common::abi::event::Event;
use netlab_tests::attack::{Gun, MASQUERADES, NOBODY, Pins, count, flows, lab, size, verdicts};
use netlab_tests::inside::{at, dial};
use netlab_tests::live::{Live, echo_server, speak};
use netlab_tests::segment::Segment;

/// A client that no other number has: one of 50,000 addresses, and a port.
fn client(number: u32) -> (Ipv4Addr, u16) {
    let [high, low] = (1024 + (number % 50_000) as u16).to_be_bytes();
    (Ipv4Addr::new(10, 10, high, low), 1024 + (number / 50_000) as u16)
}

/// A half-open connection; to eight ports, because one remote has ports for 64,512 flows.
fn half_open(number: u32) -> Segment {
    Segment::syn(client(number), (NOBODY, 80 + (number % 8) as u16))
}

#[test]
fn a_flood_of_syns_at_twice_the_tables_size_ends_no_live_connection_and_keeps_no_new_one_out() {
    let room = size(4096, 65_536);
    let machine = lab(&format!("[flows]\nsize = {room}\n{MASQUERADES}"));
    let live =
        Live::open(&machine, ("mars", "10.20.0.30"), ("internet", at("8.8.8.8", 7)), size(100, 1000) as u16);
    let _other = echo_server(&machine, "internet", at("8.8.8.8", 8));
    let gun = Gun::at(&machine, "earth", "left");
    let honest = size(20, 100) as u16;
    let ((), words) = live.while_they_speak(|| {
        let part = 2 * room / u32::from(honest);
        for round in 0..honest {
            gun.fire((0..part).map(|number| half_open(u32::from(round) * part + number)));
            let stream =
                dial(&machine, "neptune", (Ipv4Addr::new(10, 10, 0, 20), 30_000 + round), at("8.8.8.8", 8))
                    .unwrap_or_else(|error| panic!("honest connection {round} during the flood: {error}"));
            speak(&stream, u32::from(round)).expect("and it works");
        }
    });
    let evicted = Pins::of(&machine).event(Event::Evicted);
    println!(
        "{} SYNs into a table of {room}: {evicted} evicted, {words} words of live connections",
        2 * room
    );
    assert!(evicted >= u64::from(room), "evictions are counted: {evicted}");
    assert!(words > 0);
    assert_eq!(verdicts(&machine, "table_full"), 0, "room was always made");
}

#[test]
fn a_spray_of_datagrams_from_one_source_leaves_the_others_their_share() {
    let per_source = size(1000, 50_000);
    let machine =
        lab(&format!("[flows]\nsize = {}\nper_source = {per_source}\n{MASQUERADES}", size(4096, 65_536)));
    let live = Live::open(&machine, ("mars", "10.20.0.30"), ("internet", at("8.8.8.8", 7)), 50);
    let gun = Gun::at(&machine, "earth", "left");
    let sprayer = Ipv4Addr::new(10, 10, 0, 10);
    let sprayed = 4 * per_source;
    let ((), _) = live.while_they_speak(|| {
        gun.fire((0..sprayed).map(|number| {
            let remote = Ipv4Addr::new(203, 0, 113, (number / 60_000) as u8);
            Segment::udp((sprayer, 1024 + (number % 60_000) as u16), (remote, 53), number)
        }));
        for port in 0..20 {
            let from = (Ipv4Addr::new(10, 10, 0, 20), 30_000 + port);
            let stream = dial(&machine, "neptune", from, at("8.8.8.8", 7)).expect("others connect");
            speak(&stream, 7).expect("and talk");
        }
    });
    assert_eq!(count(&machine, &["--src", "10.10.0.10"]), u64::from(per_source), "as many as one may hold");
    assert_eq!(verdicts(&machine, "source_quota"), u64::from(sprayed - per_source));
    assert_eq!(Pins::of(&machine).event(Event::Evicted), 0, "nobody had to go");
    assert!(flows(&machine).iter().any(|flow| flow["original"]["src"] == "10.20.0.30"));
}
