//! The table filled, and flows that come and go by the ten thousands: everything that was taken is given back.

use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use netlab_common::abi::event::Event;
use netlab_tests::attack::{Gun, MASQUERADES, Pins, count, fire_together, lab, size, verdicts};
use netlab_tests::inside::at;
use netlab_tests::live::Live;
use netlab_tests::segment::{Segment, UDP};
use netlab_tests::wire::Ear;

/// Datagrams from clients of a network to many remotes: the numbers of a range.
fn many(network: [u8; 2], numbers: std::ops::Range<u32>, remotes: u32) -> Vec<Segment> {
    let segment = |number: u32| {
        let [high, low] = (256 + (number % 60_000) as u16).to_be_bytes();
        let from = (Ipv4Addr::new(network[0], network[1], high, low), 5000 + (number / 60_000) as u16);
        let remote = Ipv4Addr::new(203, 0, 113, 1 + (number % remotes) as u8);
        Segment::udp(from, (remote, 53), number)
    };
    numbers.map(segment).collect()
}

#[test]
fn a_table_with_as_many_flows_as_there_shall_be_is_counted_and_listed_whole() {
    let number = size(20_000, 1_000_000);
    // A source address holds few of them, so the table need not be larger for anybody's share.
    let machine = lab(&format!(
        "[flows]\nsize = {}\ntimeouts = {{ udp_unreplied = 600 }}\n{MASQUERADES}",
        number + 1000
    ));
    let guns = [Gun::at(&machine, "earth", "left"), Gun::at(&machine, "mars", "right")];
    let begun = Instant::now();
    // In parts, because frames take memory, too.
    for first in (0..number / 2).step_by(50_000) {
        let numbers = first..(first + 50_000).min(number / 2);
        fire_together(vec![
            (&guns[0], many([10, 10], numbers.clone(), 40)),
            (&guns[1], many([10, 20], numbers, 40)),
        ]);
    }
    println!("{number} flows made in {:.1?}", begun.elapsed());
    let begun = Instant::now();
    assert_eq!(count(&machine, &[]), u64::from(number));
    println!("counted in {:.2?}", begun.elapsed());
    let begun = Instant::now();
    let lines = machine.sh("$NETLAB conntrack ls -o json | grep -c '\"protocol\"'").ok();
    println!("listed as JSON in {:.2?}", begun.elapsed());
    assert_eq!(lines.trim(), number.to_string());
    let begun = Instant::now();
    let lines = machine.sh("$NETLAB conntrack ls | tail -1").ok();
    println!("listed as a table in {:.2?}", begun.elapsed());
    assert!(lines.contains(&format!("{number} flows")), "{lines}");
    let datapath = machine.json(&["status"])["datapath"].clone();
    let (memory, capacity) = (datapath["memory_bytes"].as_u64(), datapath["capacity"].as_u64());
    let (memory, capacity) = (memory.expect("a number"), capacity.expect("a number"));
    println!("{memory} bytes for {capacity} flows: {:.0} bytes each", memory as f64 / capacity as f64);
    let begun = Instant::now();
    let _ = machine.netlab(["conntrack", "flush"]).ok();
    println!("flushed in {:.2?}", begun.elapsed());
    Pins::of(&machine).are_at_rest();
}

#[test]
fn flows_that_come_and_go_on_few_ports_give_everything_back_and_take_nothing_of_others() {
    let (cycles, rate, remotes) = (size(50_000, 1_000_000), size(10_000, 20_000), size(40, 80));
    // Over so many remotes each port of a thousand is used again a few seconds after it was free.
    let machine = lab("[flows]\nsize = 131072\nquarantine = 1
timeouts = { udp_unreplied = 1, udp = 1, tcp_closed = 1, tcp_reset = 1, tcp_transitory = 1, icmp = 1 }
[[masquerade]]\nfrom = \"left\"\nports = \"20000-20999\"\n[[masquerade]]\nfrom = \"right\"\n");
    let pins = Pins::of(&machine);
    let live = Live::open(&machine, ("mars", "10.20.0.30"), ("internet", at("8.8.8.8", 7)), 10);
    let gun = Gun::at(&machine, "earth", "left");
    let ear = Ear::on(&machine, "internet", "eth0");
    let expired = pins.event(Event::Expired);
    let ((), words) = live.while_they_speak(|| {
        for first in (0..cycles).step_by(100_000) {
            gun.fire_slowly(many([10, 10], first..(first + 100_000).min(cycles), remotes), rate);
        }
    });
    let refused = verdicts(&machine, "ports_exhausted") + verdicts(&machine, "table_full");
    let arrived = ear.heard().iter().filter(|packet| packet.protocol == UDP).count();
    assert_eq!((arrived, refused), (cycles as usize, 0), "every datagram got its flow and port");
    drop(live);
    let begun = Instant::now();
    while pins.event(Event::Expired) - expired < u64::from(cycles) + 10
        && begun.elapsed() < Duration::from_secs(20)
    {
        sleep(Duration::from_millis(50));
    }
    println!(
        "{cycles} flows came and went, {words} words beside them, at rest after {:.1?}",
        begun.elapsed()
    );
    assert_eq!(pins.event(Event::Expired) - expired, u64::from(cycles) + 10);
    assert_eq!((pins.event(Event::Evicted), count(&machine, &[])), (0, 0));
    pins.are_at_rest();
    let slots = pins.slots();
    assert!(slots.used < u64::from(cycles), "slots are used again: {slots:?}");
}
