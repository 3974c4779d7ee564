//! Fragments on real wires: cut by the kernel, or by hand and sent in an order that no kernel would choose.

use std::thread::sleep;
use std::time::{Duration, Instant};

use netlab_tests::capture::Capture;
use netlab_tests::hops::{event, lab, scapy, verdict};
use netlab_tests::machine::Machine;

/// From whom, to whom, and at which port a server there answers.
const WAYS: [(&str, &str, u16); 5] = [
    ("earth", "8.8.8.8", 53),
    ("moon", "8.8.8.8", 53),
    ("internet", "192.168.0.108", 5354),
    ("internet", "192.168.0.108", 5353),
    ("neptune", "192.168.0.108", 5354),
];

#[test]
fn an_echo_of_3000_bytes_comes_back_from_the_world_and_from_the_host() {
    let machine = lab("", "");
    for (node, target) in [("earth", "8.8.8.8"), ("moon", "8.8.8.8"), ("internet", "192.168.0.108")] {
        let said = machine.sh_in(node, &format!("ping -c3 -i0.2 -W3 -s 3000 {target}")).ok();
        assert!(said.contains("3 received"), "{node}: {said}");
    }
}

#[test]
fn datagrams_of_60000_bytes_go_out_and_in_and_are_answered() {
    let machine = lab("", "");
    machine.write(
        "ask.py",
        "import socket, sys
peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
peer.settimeout(5)
peer.connect((sys.argv[1], int(sys.argv[2])))
peer.send(b'x' * 60000)
print(len(peer.recv(65535).split(b'say ')[1]))
",
    );
    for (node, target, port) in WAYS {
        let said = machine.sh_in(node, &format!("python3 ask.py {target} {port}")).ok();
        assert_eq!(said, "60000\n", "{node} asks {target}:{port}");
    }
    // Its own answers are fragments too.
    assert_eq!(verdict(&machine, "uplink_out", "fragment"), 0);
}

/// Sends datagrams of 3,000 bytes in four pieces each, in several orders, and counts the answers. Whoever put the
/// pieces together answers; the sender's socket has the port of the forged datagrams.
const ORDERS: &str = "
import socket, random
ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ear.bind(('0.0.0.0', 4000))
ear.settimeout(5)
def pieces(number):
    whole = IP(dst='{to}', id={base} + number) / UDP(sport=4000, dport={port}) / Raw(bytes([number]) * 3000)
    return fragment(whole, fragsize=800)
def by_turns(*some):
    return [piece for pair in zip(*some) for piece in pair]
orders = [
    ('in order', 1, pieces(1)),
    ('reversed', 1, pieces(2)[::-1]),
    ('the first one last', 1, pieces(3)[1:] + pieces(3)[:1]),
    ('by turns', 2, by_turns(pieces(4), pieces(5))),
    ('by turns and reversed', 2, by_turns(pieces(6), pieces(7))[::-1]),
    ('each one twice', 1, by_turns(pieces(8), pieces(8))),
    ('twice and reversed', 1, by_turns(pieces(9), pieces(9))[::-1]),
]
for name, number, frames in orders:
    send(frames)
    came = set()
    try:
        while len(came) < number:
            answer = ear.recv(65535).split(b'say ')[1]
            assert len(answer) == 3000, len(answer)
            came.add(answer[0])
    except TimeoutError:
        print(name, 'lost', number - len(came))
print('done')
";

/// That script for one target, with identifications from a number on.
fn orders(target: &str, port: u16, base: u16) -> String {
    ORDERS.replace("{to}", target).replace("{port}", &port.to_string()).replace("{base}", &base.to_string())
}

#[test]
fn fragments_in_order_reversed_by_turns_and_twice_go_through_masquerade_and_forwards() {
    let machine = lab("", "");
    // To the world, nodes share an address, and so they would share identifications.
    for ((node, target, port), way) in WAYS.into_iter().zip(1..) {
        let released = event(&machine, "fragment_released");
        let script = orders(target, port, 100 * way);
        assert_eq!(scapy(&machine, node, &script), "done\n", "{node} to {target}:{port}");
        // Three of each of the two reversed ones, three before the first one, and more of those by turns.
        let now = event(&machine, "fragment_released");
        assert!(now >= released + 9, "{node} to {target}:{port}: {released} before, {now} after");
    }
    assert_eq!(event(&machine, "fragment_unkept"), 0);
    assert_eq!(verdict(&machine, "uplink_out", "fragment"), 0);
}

/// Fragments of datagrams whose first one never comes.
fn flood(machine: &Machine, node: &str, target: &str, number: u32) {
    let script = format!(
        "send([IP(dst='{target}', id=number, flags='MF', frag=100, proto=17) / Raw(b'x' * 64) for number in range(1, {number} + 1)])"
    );
    scapy(machine, node, &script);
}

#[test]
fn a_flood_of_fragments_without_a_first_one_takes_its_places_and_stops_nobody_elses_datagrams() {
    let machine = lab("", "");
    let wire = Capture::start(&machine, "internet", "eth0");
    let begun = Instant::now();
    flood(&machine, "earth", "8.8.8.8", 1000);
    flood(&machine, "internet", "192.168.0.108", 1000);
    let (waits, kept_out) =
        (verdict(&machine, "uplink_out", "fragment_waits"), verdict(&machine, "uplink_out", "fragment"));
    assert_eq!(waits + kept_out, 1000, "each of the node's is counted");
    // A place is free again after five seconds, and on a slow machine a flood takes longer than that.
    let times = 1 + begun.elapsed().as_secs() / 5;
    assert!((100..=256 * times).contains(&waits), "{waits} found a place");
    let unkept = event(&machine, "fragment_unkept");
    assert!(unkept >= 2000u64.saturating_sub(512 * times), "{unkept} found none");

    let said = machine.sh_in("neptune", "ping -c3 -i0.2 -W3 -s 3000 8.8.8.8").ok();
    assert!(said.contains("3 received"), "fragments in order need no place: {said}");
    sleep(Duration::from_secs(6));
    let script = orders("8.8.8.8", 53, 2000);
    assert_eq!(scapy(&machine, "neptune", &script), "done\n", "the places are free again after their time");
    assert!(event(&machine, "fragment_lost") > 0, "what waited in vain is counted");
    let wire = wire.stop();
    assert_eq!(wire.packets("net 10.0.0.0/8"), Vec::<String>::new());
}
