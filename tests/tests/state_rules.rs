//! Rules in a running lab: several targets, allow lists, pools, mappings and their filterings, and forwards that
//! come and go.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use netlab_common::abi::event::Event;
use netlab_tests::attack::{Gun, MASQUERADES, Pins, count, lab, verdicts};
use netlab_tests::inside::{at, bind_udp, dial, serve_tcp};
use netlab_tests::segment::{Segment, UDP};
use netlab_tests::wire::Ear;

const EARTH: Ipv4Addr = Ipv4Addr::new(10, 10, 0, 10);
const WORLD: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 1);
const HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 108);

#[test]
fn targets_take_turns_evenly_and_a_flow_stays_on_its_own() {
    let machine = lab("[[forward]]\npublish = \"9000-9009:earth:7000,neptune:7000,mars:7000/udp\"\n");
    let ears = [
        ("earth", Ear::on(&machine, "earth", "eth0")),
        ("neptune", Ear::on(&machine, "neptune", "eth0")),
        ("mars", Ear::on(&machine, "mars", "eth0")),
    ];
    let gun = Gun::at(&machine, "internet", "eth0");
    // Each of 300 clients sends three datagrams to the range's fourth port.
    for _ in 0..3 {
        gun.fire((0..300u16).map(|n| Segment::udp((WORLD, 10_000 + n), (HOST, 9003), 1)));
    }
    let mut of_client = BTreeMap::new();
    for (node, ear) in ears {
        let heard: Vec<_> = ear.heard().into_iter().filter(|packet| packet.protocol == UDP).collect();
        assert_eq!(heard.len(), 300, "{node} gets a third");
        for packet in heard {
            assert_eq!(packet.to.1, 7003, "the port shifts with the range");
            let first = of_client.entry(packet.from.1).or_insert(node);
            assert_eq!(*first, node, "a client's datagrams go to one target");
        }
    }
}

#[test]
fn one_tuple_on_128_threads_is_one_flow_and_loses_no_datagram() {
    let machine = lab("[[forward]]\npublish = \"9000:earth:7000,neptune:7000,mars:7000/udp\"\n");
    let ears = ["earth", "neptune", "mars"].map(|node| Ear::on(&machine, node, "eth0"));
    let guns: Vec<_> = (0..128).map(|_| Gun::at(&machine, "internet", "eth0")).collect();
    let salvos = guns.iter().map(|gun| (gun, vec![Segment::udp((WORLD, 5353), (HOST, 9000), 1)])).collect();
    netlab_tests::attack::fire_together(salvos);
    let heard = ears.map(|ear| ear.heard().into_iter().filter(|packet| packet.protocol == UDP).count());
    assert_eq!(heard.iter().max(), Some(&128), "all at one target: {heard:?}");
    assert_eq!(count(&machine, &[]), 1);
}

#[test]
fn only_those_on_its_list_may_use_a_forward() {
    let machine = lab("[[forward]]\npublish = \"9000:earth:7000/udp\"\nallow = \"192.168.0.1\"\n");
    let ear = Ear::on(&machine, "earth", "eth0");
    let gun = Gun::at(&machine, "internet", "eth0");
    gun.fire([(WORLD, 1), (Ipv4Addr::new(8, 8, 8, 8), 2)].map(|from| Segment::udp(from, (HOST, 9000), 1)));
    let heard: Vec<_> = ear.heard().into_iter().filter(|packet| packet.protocol == UDP).collect();
    assert_eq!(heard.iter().map(|packet| packet.from.1).collect::<Vec<_>>(), [1]);
    assert_eq!(verdicts(&machine, "not_allowed"), 1);
}

#[test]
fn a_source_has_one_address_of_the_pool_and_all_of_them_are_used() {
    let machine = lab("[[masquerade]]\nfrom = \"left\"\nto = \"198.51.100.8/29\"\n");
    let ear = Ear::on(&machine, "internet", "eth0");
    Gun::at(&machine, "earth", "left").fire((0..400u16).map(|n| {
        let from = Ipv4Addr::new(10, 10, 1, (n % 100) as u8);
        Segment::udp((from, 2000 + n), (Ipv4Addr::new(203, 0, 113, 5), 53), 1)
    }));
    let mut outside = BTreeMap::new();
    for packet in ear.heard().into_iter().filter(|packet| packet.protocol == UDP) {
        // The port is kept, so it says whose packet it is.
        let inside = (packet.from.1 - 2000) % 100;
        let first = outside.entry(inside).or_insert(packet.from.0);
        assert_eq!(*first, packet.from.0, "source {inside} has two addresses");
    }
    assert_eq!(outside.len(), 100);
    let used: std::collections::BTreeSet<_> = outside.values().collect();
    assert_eq!(used.len(), 8, "{used:?}");
}

#[test]
fn filterings_let_in_whom_they_say() {
    for (filtering, expected) in [
        ("endpoint-independent", [true, true, true]),
        ("address-dependent", [true, true, false]),
        ("address-and-port-dependent", [true, false, false]),
    ] {
        let machine = lab(&format!(
            "[[masquerade]]\nfrom = \"left\"\nmapping = \"endpoint-independent\"\nfiltering = \"{filtering}\"\n"
        ));
        let node = bind_udp(&machine, "earth", at("10.10.0.10", 4444));
        // To two remotes by one external port.
        let remotes = [
            bind_udp(&machine, "internet", at("8.8.8.8", 53)),
            bind_udp(&machine, "internet", at("8.8.8.8", 54)),
        ];
        let mut word = [0; 16];
        let outside: Vec<_> = remotes
            .iter()
            .map(|remote| {
                node.send_to(b"out", remote.local_addr().unwrap()).expect("sent");
                remote.recv_from(&mut word).expect("heard").1
            })
            .collect();
        assert_eq!(outside[0], outside[1], "one external endpoint");
        // Back from where it was sent to, from another port there, and from somebody else.
        let strangers = [
            bind_udp(&machine, "internet", at("8.8.8.8", 99)),
            bind_udp(&machine, "internet", at("192.168.0.1", 53)),
        ];
        let senders = [&remotes[0], &strangers[0], &strangers[1]];
        node.set_read_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
        for (sender, expected) in senders.into_iter().zip(expected) {
            sender.send_to(b"in", outside[0]).expect("sent");
            assert_eq!(node.recv(&mut word).is_ok(), expected, "{filtering}: from {:?}", sender.local_addr());
        }
        let refused = expected.iter().filter(|let_in| !**let_in).count() as u64;
        assert_eq!(verdicts(&machine, "filtered"), refused);
    }
}

#[test]
fn forwards_come_and_go_and_no_other_flow_notices() {
    let machine = lab(&format!("{MASQUERADES}[[forward]]\npublish = \"8000:earth:80\"\n"));
    let _web = serve_tcp(&machine, "earth", at("0.0.0.0", 80));
    let kept =
        dial(&machine, "internet", (WORLD, 50_000), at("192.168.0.108", 8000)).expect("the file's forward");
    let said = machine.netlab(["forward", "add", "8001-8003:earth:80", "--allow", "192.168.0.0/24"]).ok();
    assert_eq!(said, "forward 3 added: 8001-8003:earth:80\n");
    let ended =
        dial(&machine, "internet", (WORLD, 50_001), at("192.168.0.108", 8001)).expect("the new forward");
    assert_eq!(count(&machine, &[]), 2);
    // Whoever restarts finds it as well.
    let _ = machine
        .sh("kill -9 $(cut -d' ' -f1 /run/netlab/attack/agent.pid); $NETLAB up lab.toml; sleep 1")
        .ok();
    assert_eq!(machine.json(&["forward", "ls"])["forwards"].as_array().map(Vec::len), Some(2));
    let again = dial(&machine, "internet", (WORLD, 50_002), at("192.168.0.108", 8001));
    assert!(again.is_ok(), "it is still there");

    let _ = machine.netlab(["forward", "rm", "3"]).ok();
    assert_eq!(Pins::of(&machine).event(Event::RuleGone), 2);
    assert_eq!(count(&machine, &[]), 1, "the other forward's flow lives");
    assert!(dial(&machine, "internet", (WORLD, 50_003), at("192.168.0.108", 8001)).is_err());
    let _ = machine.netlab(["forward", "rm", "3"]).fails(3);
    let _ = machine.netlab(["forward", "add", "8000:mars:80"]).fails(2);
    drop((kept, ended));
}

#[test]
fn a_connection_is_taken_up_in_the_middle_where_the_lab_says_so() {
    for (pickup, created) in [("true", 1), ("false", 0)] {
        let machine = lab(&format!("[flows]\npickup = {pickup}\n{MASQUERADES}"));
        let gun = Gun::at(&machine, "earth", "left");
        gun.fire([Segment::tcp(
            (EARTH, 5555),
            (Ipv4Addr::new(203, 0, 113, 5), 80),
            netlab_tests::segment::ACK,
            (1, 1),
        )]);
        assert_eq!(count(&machine, &["-p", "tcp"]), created);
        assert_eq!(verdicts(&machine, "not_syn"), 1 - created);
    }
}
