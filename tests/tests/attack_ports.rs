//! Attacks on the ports: many clients that want the same one at once, and more flows to one remote than there are
//! ports.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use netlab_common::abi::event::Event;
use netlab_tests::attack::{
    Gun, HOST, MASQUERADES, NOBODY, Pins, count, fire_together, flows, lab, size, verdicts,
};
use netlab_tests::machine::Machine;
use netlab_tests::segment::{SYN, Seen, Segment, TCP, UDP};
use netlab_tests::wire::Ear;

/// The number of an address in a network of 65,536; never the network's own, nor one of the lab's.
fn client(network: [u8; 2], number: u32) -> Ipv4Addr {
    let [high, low] = (256 + number as u16).to_be_bytes();
    Ipv4Addr::new(network[0], network[1], high, low)
}

/// The external endpoints and remotes of the flows in the table, all of which must differ.
fn external(machine: &Machine, number: usize) -> BTreeSet<(String, u64, String, u64)> {
    let flows = flows(machine);
    let text = |value: &serde_json::Value| value.as_str().expect("an address").to_owned();
    let all: BTreeSet<_> = flows
        .iter()
        .map(|flow| {
            let reply = &flow["reply"];
            let port = |name: &str| reply[name].as_u64().expect("a port");
            (text(&reply["dst"]), port("dport"), text(&reply["src"]), port("sport"))
        })
        .collect();
    assert_eq!(flows.len(), number, "flows");
    assert_eq!(all.len(), number, "external endpoints to one remote");
    all
}

fn ports(heard: &[Seen]) -> BTreeSet<u16> {
    heard.iter().map(|packet| packet.from.1).collect()
}

#[test]
fn clients_with_one_source_port_on_two_cpus_never_share_an_external_port() {
    let machine = lab(&format!("[flows]\nsize = 65536\n{MASQUERADES}"));
    let guns = [Gun::at(&machine, "earth", "left"), Gun::at(&machine, "mars", "right")];
    let each = size(2000, 32_000);
    let salvo = |network, port| {
        (0..each).map(|number| Segment::syn((client(network, number), 40_000), (NOBODY, port))).collect()
    };
    for port in 80..80 + size(2, 16) as u16 {
        let ear = Ear::on(&machine, "internet", "eth0");
        let begun = Instant::now();
        fire_together(vec![(&guns[0], salvo([10, 10], port)), (&guns[1], salvo([10, 20], port))]);
        let rate = f64::from(2 * each) / begun.elapsed().as_secs_f64();
        println!("{} SYNs to one remote from two CPUs: {rate:.0} new flows a second", 2 * each);
        let heard = ear.heard();
        let syns: Vec<Seen> =
            heard.into_iter().filter(|packet| packet.protocol == TCP && packet.flags == SYN).collect();
        assert_eq!(syns.len(), 2 * each as usize, "every SYN arrives");
        assert!(syns.iter().all(|syn| syn.from.0 == HOST), "and translated");
        assert_eq!(ports(&syns).len(), syns.len(), "each from a port of its own");
        let known = external(&machine, syns.len()).into_iter().map(|(_, port, ..)| port as u16);
        assert_eq!(known.collect::<BTreeSet<u16>>(), ports(&syns), "as the table says");
        let _ = machine.netlab(["conntrack", "flush"]).ok();
    }
    Pins::of(&machine).are_at_rest();
}

#[test]
fn a_hundred_clients_with_one_source_port_are_all_told_apart() {
    let machine = lab(MASQUERADES);
    let gun = Gun::at(&machine, "earth", "left");
    let ear = Ear::on(&machine, "internet", "eth0");
    gun.fire((0..100).map(|number| Segment::udp((client([10, 10], number), 5000), (NOBODY, 53), number)));
    let heard = ear.heard();
    assert_eq!(heard.len(), 100);
    assert_eq!(ports(&heard).len(), 100);
    // And the answers find their way back, each to the client whose question it is.
    let world = Gun::at(&machine, "internet", "eth0");
    let nodes = Ear::on(&machine, "earth", "eth0");
    world.fire(heard.iter().map(|packet| Segment::udp((NOBODY, 53), packet.from, packet.number)));
    // Only one of the clients is there to be sent to; the table has seen all.
    drop(nodes.heard());
    for flow in flows(&machine) {
        assert_eq!([&flow["original"]["packets"], &flow["reply"]["packets"]], [1, 1], "{flow:#}");
    }
}

/// Sends a packet from so many clients to a remote; gives the ports at which the world sees them.
fn spread(machine: &Machine, gun: &Gun, number: u32, remote: Ipv4Addr) -> BTreeSet<u16> {
    let ear = Ear::on(machine, "internet", "eth0");
    let from = |number| (client([10, 10], number % 60_000), 5000 + (number / 60_000) as u16);
    let begun = Instant::now();
    gun.fire((0..number).map(|number| Segment::udp(from(number), (remote, 53), number)));
    let taken = begun.elapsed();
    let heard: Vec<_> = ear.heard().into_iter().filter(|packet| packet.protocol == UDP).collect();
    println!("{number} flows to {remote}: {:.2} us each", taken.as_secs_f64() * 1e6 / f64::from(number));
    assert!(heard.iter().all(|packet| packet.from.0 == HOST && packet.to.0 == remote), "only to {remote}");
    let ports = ports(&heard);
    assert_eq!(ports.len(), heard.len(), "one port for two to {remote}");
    ports
}

/// One packet more to a remote whose ports are all in use, and what comes of it.
fn one_more_is_refused(machine: &Machine, gun: &Gun, remote: Ipv4Addr, port: u16) {
    // Refusals are answered once a tick, and so are all ports tried.
    std::thread::sleep(Duration::from_millis(200));
    let (world, node) = (Ear::on(machine, "internet", "eth0"), Ear::on(machine, "earth", "eth0"));
    let before = verdicts(machine, "ports_exhausted");
    gun.fire([Segment::udp((Ipv4Addr::new(10, 10, 0, 10), port), (remote, 53), 1)]);
    let answers = node.heard();
    assert_eq!(answers.iter().filter(|packet| packet.is_refusal()).count(), 1, "{answers:?}");
    assert_eq!(world.heard(), [], "and nothing leaves");
    assert_eq!(verdicts(machine, "ports_exhausted"), before + 1);
}

#[test]
fn every_port_of_a_range_is_used_to_one_remote_before_a_flow_is_refused() {
    // At the full size the range is all that a masquerade may have by default.
    let (first, last) = (size(20_000, 1024) as u16, size(20_999, 65_535) as u16);
    let number = u32::from(last - first) + 1;
    let room = size(16_384, 1 << 20);
    let machine = lab(&format!(
        "[flows]\nsize = {room}\n[[masquerade]]\nfrom = \"left\"\nports = \"{first}-{last}\"\n"
    ));
    let gun = Gun::at(&machine, "earth", "left");
    let all: BTreeSet<u16> = (first..=last).collect();
    assert_eq!(spread(&machine, &gun, number, NOBODY), all, "no failure before the last");
    one_more_is_refused(&machine, &gun, NOBODY, 4000);

    let before = verdicts(&machine, "ports_exhausted");
    let scans = Pins::of(&machine).event(Event::PortScan);
    let begun = Instant::now();
    gun.fire((0..number).map(|more| Segment::udp((client([10, 10], more % 60_000), 4999), (NOBODY, 53), 1)));
    let each = begun.elapsed().as_secs_f64() * 1e6 / f64::from(number);
    let scans = Pins::of(&machine).event(Event::PortScan) - scans;
    println!("{number} refusals: {each:.2} us each, all ports tried {scans} times");
    assert_eq!(verdicts(&machine, "ports_exhausted"), before + u64::from(number));
    assert_eq!(count(&machine, &[]), u64::from(number));

    // A bitmap is shared by many remotes, so of several others some share the full one.
    for other in 0..size(12, 4) as u8 {
        let remote = Ipv4Addr::new(203, 0, 113, 10 + other);
        assert_eq!(spread(&machine, &gun, number, remote), all, "another remote gets every port");
    }
    one_more_is_refused(&machine, &gun, NOBODY, 4001);
}

#[test]
fn other_remotes_get_every_port_while_a_remote_whose_ports_are_all_used_is_asked_for_more() {
    let (first, last) = (20_000, 20_999);
    let number = u32::from(last - first) + 1;
    let machine = lab(&format!(
        "[flows]\nsize = 16384\n[[masquerade]]\nfrom = \"left\"\nports = \"{first}-{last}\"\n[[masquerade]]\nfrom = \"right\"\nports = \"{first}-{last}\"\n"
    ));
    let (gun, other) = (Gun::at(&machine, "earth", "left"), Gun::at(&machine, "mars", "right"));
    let all: BTreeSet<u16> = (first..=last).collect();
    assert_eq!(spread(&machine, &gun, number, NOBODY), all);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Several in each tick, for as long as the others take their ports.
            while !over.load(Ordering::Relaxed) {
                other.fire([Segment::udp((client([10, 20], 1), 4000), (NOBODY, 53), 1)]);
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let got: Vec<_> = (0..12)
            .map(|other| {
                let remote = Ipv4Addr::new(203, 0, 113, 10 + other);
                let ear = Ear::on(&machine, "internet", "eth0");
                let from = |number| (client([10, 10], number), 5000);
                gun.fire_slowly(
                    (0..number).map(|number| Segment::udp(from(number), (remote, 53), number)),
                    20_000,
                );
                let heard = ear.heard();
                ports(&heard.into_iter().filter(|packet| packet.to.0 == remote).collect::<Vec<_>>()).len()
            })
            .collect();
        over.store(true, Ordering::Relaxed);
        assert_eq!(got, [usize::from(last - first) + 1; 12], "ports that each remote got");
    });
}
