//! Attacks by many threads at once on one flow that is not there yet: one of them makes it, and none loses its packet.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Barrier;
use std::thread;

use netlab_tests::attack::{HOST, MASQUERADES, NOBODY, WORLD, flows, lab, size};
use netlab_tests::inside::{at, bind_udp, stay_on_cpu};
use netlab_tests::segment::UDP;
use netlab_tests::wire::Ear;

/// Threads that send at once.
const THREADS: usize = 128;

/// Sends a datagram from each of the threads, over one socket and at one moment, on all CPUs.
fn all_at_once(socket: &UdpSocket, to: (Ipv4Addr, u16)) {
    let begin = Barrier::new(THREADS);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let begin = &begin;
            scope.spawn(move || {
                stay_on_cpu(number);
                begin.wait();
                let sent = socket.send_to(&(number as u32).to_be_bytes(), to);
                assert_eq!(sent.expect("the kernel takes a datagram"), 4);
            });
        }
    });
}

#[test]
fn datagrams_of_one_new_flow_from_128_threads_all_reach_one_target_of_a_forward() {
    let machine = lab("[[forward]]\npublish = \"5353:earth:53,neptune:53,mars:53/udp\"\n");
    let nodes = [("earth", "10.10.0.10"), ("neptune", "10.10.0.20"), ("mars", "10.20.0.30")];
    let _servers = nodes.map(|(node, address)| bind_udp(&machine, node, at(address, 53)));
    let mut targets = BTreeSet::new();
    for round in 0..size(12, 200) as u16 {
        let client = bind_udp(&machine, "internet", at("192.168.0.1", 40_000 + round));
        let ears = nodes.map(|(node, _)| Ear::on(&machine, node, "eth0"));
        all_at_once(&client, (HOST, 5353));
        let heard = ears.map(|ear| {
            let heard = ear.heard();
            heard
                .into_iter()
                .filter(|packet| packet.protocol == UDP && packet.from.0 == WORLD)
                .collect::<Vec<_>>()
        });
        let numbers: BTreeSet<u32> = heard.iter().flatten().map(|packet| packet.number).collect();
        assert_eq!(numbers.len(), THREADS, "datagrams of {THREADS} that came, in round {round}");
        assert_eq!(heard.iter().filter(|heard| !heard.is_empty()).count(), 1, "targets in round {round}");
        assert!(heard.iter().flatten().all(|packet| packet.from == (WORLD, 40_000 + round)));
        targets.extend(heard.iter().position(|heard| !heard.is_empty()));
    }
    assert_eq!(flows(&machine).len(), size(12, 200) as usize, "one flow a round");
    assert_eq!(targets.len(), 3, "the rounds are spread over all targets");
}

#[test]
fn datagrams_of_one_new_flow_from_128_threads_all_leave_from_one_port() {
    let machine = lab(MASQUERADES);
    // Another node's flow has the port already, so that a new one must be found, by several CPUs at once.
    for round in 0..size(12, 200) as u16 {
        let (other, client) = (
            bind_udp(&machine, "neptune", at("10.10.0.20", 40_000 + round)),
            bind_udp(&machine, "earth", at("10.10.0.10", 40_000 + round)),
        );
        other.send_to(b"mine", (NOBODY, 53)).expect("the kernel takes a datagram");
        let ear = Ear::on(&machine, "internet", "eth0");
        all_at_once(&client, (NOBODY, 53));
        let heard = ear.heard();
        let heard: Vec<_> =
            heard.iter().filter(|packet| packet.protocol == UDP && packet.number < 1000).collect();
        let numbers: BTreeSet<u32> = heard.iter().map(|packet| packet.number).collect();
        let ports: BTreeSet<_> = heard.iter().map(|packet| packet.from).collect();
        assert_eq!(numbers.len(), THREADS, "datagrams of {THREADS} that came, in round {round}");
        assert_eq!(ports.len(), 1, "ports in round {round}: {ports:?}");
        assert!(!ports.contains(&(HOST, 40_000 + round)), "that port is the other's");
    }
    assert_eq!(flows(&machine).len(), 2 * size(12, 200) as usize, "one flow of each node's a round");
}
