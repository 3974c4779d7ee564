//! Flows that live beside attacks and beside each other: floods, quotas, time-outs, closed tuples, and the host's
//! own sockets.

use std::net::Ipv4Addr;
use std::time::Duration;

use netlab_common::abi::event::Event;
use netlab_tests::attack::{Gun, HOST, MASQUERADES, NOBODY, Pins, WORLD, count, flows, lab, size, verdicts};
use netlab_tests::inside::{at, bind_udp, dial, serve_tcp};
use netlab_tests::segment::{Segment, UDP};
use netlab_tests::wire::Ear;

const EARTH: Ipv4Addr = Ipv4Addr::new(10, 10, 0, 10);

/// Sends a word there and back.
fn talk(near: &mut std::net::TcpStream, far: &mut std::net::TcpStream) {
    use std::io::{Read as _, Write as _};
    let mut word = [0; 4];
    near.write_all(b"ping").expect("the connection takes a word");
    far.read_exact(&mut word).expect("the word comes");
    far.write_all(b"pong").expect("the connection takes the answer");
    near.read_exact(&mut word).expect("the answer comes");
}

#[test]
fn a_syn_flood_of_twice_the_table_costs_no_live_flow_and_keeps_no_new_one_out() {
    let room = size(4096, 65_536);
    let live = size(100, 1000) as u16;
    let machine = lab(&format!("[flows]\nsize = {room}\n{MASQUERADES}"));
    let server = serve_tcp(&machine, "internet", at("8.8.8.8", 80));
    let mut pairs: Vec<_> = (0..live)
        .map(|n| {
            let near =
                dial(&machine, "neptune", (Ipv4Addr::new(10, 10, 0, 20), 20_000 + n), at("8.8.8.8", 80));
            (near.expect("a connection"), server.accept().expect("a peer").0)
        })
        .collect();
    pairs.iter_mut().for_each(|(near, far)| talk(near, far));
    let gun = Gun::at(&machine, "earth", "left");
    let salvo = |from: u32, number: u32| {
        (from..from + number).map(|n| {
            let [high, low] = (n as u16).to_be_bytes();
            Segment::syn((Ipv4Addr::new(10, 10, high, low), 1024 + (n / 60_000) as u16), (NOBODY, 80))
        })
    };
    for round in 0..4 {
        gun.fire(salvo(256 + round * room / 2, room / 2));
        pairs.iter_mut().for_each(|(near, far)| talk(near, far));
        let honest =
            dial(&machine, "mars", (Ipv4Addr::new(10, 20, 0, 30), 30_000 + round as u16), at("8.8.8.8", 80));
        let mut honest =
            (honest.expect("a new connection during the flood"), server.accept().expect("a peer").0);
        talk(&mut honest.0, &mut honest.1);
    }
    let established = count(&machine, &["--state", "established"]);
    assert!(established >= u64::from(live), "{established} of {live} flows live");
    let evicted = Pins::of(&machine).event(Event::Evicted);
    println!("{} SYNs beside {live} live flows in a table of {room}: {evicted} evicted", 2 * room);
    assert!(evicted > 0, "the flood made room for itself");
}

#[test]
fn a_source_that_sprays_is_held_to_its_quota_and_others_go_on() {
    let machine = lab(&format!("[flows]\nsize = 4096\nper_source = 500\n{MASQUERADES}"));
    let gun = Gun::at(&machine, "earth", "left");
    gun.fire((0..2000u16).map(|n| Segment::udp((EARTH, 2000 + n), (NOBODY, 53), 1)));
    assert_eq!(count(&machine, &["-s", "10.10.0.10"]), 500);
    assert_eq!(verdicts(&machine, "source_quota"), 1500);
    let ear = Ear::on(&machine, "internet", "eth0");
    Gun::at(&machine, "mars", "right")
        .fire((0..100u16).map(|n| Segment::udp((Ipv4Addr::new(10, 20, 0, 30), 2000 + n), (NOBODY, 53), 1)));
    let heard = ear.heard().into_iter().filter(|packet| packet.protocol == UDP).count();
    assert_eq!(heard, 100, "another source's datagrams");
}

#[test]
fn a_connection_on_a_tuple_that_was_just_closed_lives_on() {
    let machine = lab(&format!("[flows]\nquarantine = 1\ntimeouts = {{ tcp_closed = 2 }}\n{MASQUERADES}"));
    let server = serve_tcp(&machine, "internet", at("8.8.8.8", 80));
    for round in 0..2 {
        let mut near = dial(&machine, "earth", (EARTH, 5555), at("8.8.8.8", 80)).expect("a connection");
        let mut far = server.accept().expect("a peer").0;
        talk(&mut near, &mut far);
        if round == 1 {
            // Longer than a closed flow may stay.
            std::thread::sleep(Duration::from_secs(5));
            talk(&mut near, &mut far);
        }
        // The world closes first, so that earth may use its port again at once.
        drop(far);
        std::thread::sleep(Duration::from_millis(100));
        drop(near);
    }
}

#[test]
fn a_million_short_flows_leave_nothing_behind_and_touch_no_live_one() {
    let machine = lab(&format!(
        "[flows]\nsize = {}\nquarantine = 1\ntimeouts = {{ udp_unreplied = 1 }}\n{MASQUERADES}",
        size(32_768, 262_144)
    ));
    let server = serve_tcp(&machine, "internet", at("8.8.8.8", 80));
    let mut near =
        dial(&machine, "neptune", (Ipv4Addr::new(10, 10, 0, 20), 5555), at("8.8.8.8", 80)).unwrap();
    let mut far = server.accept().expect("a peer").0;
    let gun = Gun::at(&machine, "earth", "left");
    let each = size(10_000, 60_000);
    let rounds = size(3, 17);
    let begun = std::time::Instant::now();
    for _ in 0..rounds {
        gun.fire((0..each).map(|n| Segment::udp((EARTH, 2000 + n as u16), (NOBODY, 53), 1)));
        talk(&mut near, &mut far);
        std::thread::sleep(Duration::from_millis(3200));
    }
    println!("{} flows made and expired in {:.1} s", each * rounds, begun.elapsed().as_secs_f64());
    talk(&mut near, &mut far);
    assert_eq!(verdicts(&machine, "flow_ending") + verdicts(&machine, "table_full"), 0);
    drop((near, far));
    let _ = machine.netlab(["conntrack", "flush"]).ok();
    assert_eq!(count(&machine, &[]), 0);
    Pins::of(&machine).are_at_rest();
}

#[test]
fn many_flows_are_held_counted_and_listed_whole() {
    let number = size(20_000, 1_000_000);
    let machine =
        lab(&format!("[flows]\nsize = {}\nper_source = {number}\n{MASQUERADES}", number.next_power_of_two()));
    let gun = Gun::at(&machine, "earth", "left");
    for remote in 0..number.div_ceil(50_000) {
        let some = (number - remote * 50_000).min(50_000);
        let remote = Ipv4Addr::new(203, 0, 113, 10 + remote as u8);
        gun.fire((0..some).map(|n| Segment::udp((EARTH, 2000 + n as u16), (remote, 53), 1)));
    }
    assert_eq!(count(&machine, &[]), u64::from(number));
    let begun = std::time::Instant::now();
    let lines = machine.sh("$NETLAB conntrack ls -o conntrack | wc -l").ok();
    println!("{number} flows listed in {:.2} s; {}", begun.elapsed().as_secs_f64(), memory(&machine));
    assert_eq!(lines.trim().parse(), Ok(number));
}

fn memory(machine: &netlab_tests::machine::Machine) -> String {
    let status = machine.netlab(["status"]).ok();
    status.lines().find(|line| line.starts_with("flows:")).unwrap_or_default().to_owned()
}

#[test]
fn timeouts_are_the_labs_from_a_second_to_days() {
    let machine = lab(&format!(
        "[flows]\nquarantine = 1\ntimeouts = {{ udp_unreplied = 1, icmp = 259200 }}\n{MASQUERADES}"
    ));
    Gun::at(&machine, "earth", "left").fire([Segment::udp((EARTH, 2000), (NOBODY, 53), 1)]);
    let _ = machine.sh_in("earth", "ping -qc1 -W2 8.8.8.8").ok();
    assert_eq!(count(&machine, &["-p", "udp"]), 1);
    let pings: Vec<_> = flows(&machine).into_iter().filter(|flow| flow["protocol"] == "icmp").collect();
    let left = pings[0]["expires_s"].as_u64().expect("a number");
    assert!((259_190..=259_200).contains(&left), "three days: {left}");
    std::thread::sleep(Duration::from_millis(1300));
    assert_eq!(count(&machine, &["-p", "udp"]), 0, "over after its second");
}

#[test]
fn a_clock_that_wraps_changes_no_timeout() {
    let machine = lab(&format!("[flows]\nquarantine = 1\ntimeouts = {{ udp_unreplied = 3 }}\n{MASQUERADES}"));
    let pins = Pins::of(&machine);
    let mut config = pins.config();
    // The clock wraps a second from now.
    let uptime: f64 =
        std::fs::read_to_string("/proc/uptime").unwrap().split(' ').next().unwrap().parse().unwrap();
    let now = ((uptime * 1e9) as u64 >> 26) as u32;
    config.clock_offset = now.wrapping_neg().wrapping_sub(15);
    pins.set_config(config);
    Gun::at(&machine, "earth", "left").fire([Segment::udp((EARTH, 2000), (NOBODY, 53), 1)]);
    std::thread::sleep(Duration::from_millis(2000));
    assert_eq!(count(&machine, &["-p", "udp"]), 1, "lives on over the wrap");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(count(&machine, &["-p", "udp"]), 0, "and ends in its time");
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(pins.slots().waiting, pins.slots().used, "and is swept");
}

#[test]
fn the_hosts_flow_and_a_nodes_with_the_same_port_work_side_by_side() {
    let machine = lab(MASQUERADES);
    let world = bind_udp(&machine, "internet", at("8.8.8.8", 53));
    let node = bind_udp(&machine, "earth", at("10.10.0.10", 4444));
    let host = bind_udp(&machine, "attack-host", at("192.168.0.108", 4444));
    for (name, socket) in [("node", &node), ("host", &host), ("node", &node), ("host", &host)] {
        socket.send_to(name.as_bytes(), at("8.8.8.8", 53)).expect("sent");
        let mut word = [0; 16];
        let (len, from) = world.recv_from(&mut word).expect("heard");
        assert_eq!(&word[..len], name.as_bytes());
        world.send_to(name.as_bytes(), from).expect("answered");
        let len = socket.recv(&mut word).unwrap_or_else(|error| panic!("{name}'s answer: {error}"));
        assert_eq!(&word[..len], name.as_bytes());
    }
}

#[test]
fn a_port_of_the_hosts_own_socket_is_never_a_nodes() {
    let machine = lab("[[masquerade]]\nfrom = \"left\"\nports = \"30000-30001\"\n");
    // Bound before: the node's own port is the host's, and so is one of the two that it could have instead.
    let _first = bind_udp(&machine, "attack-host", at("0.0.0.0", 30_000));
    let ear = Ear::on(&machine, "internet", "eth0");
    let gun = Gun::at(&machine, "earth", "left");
    gun.fire([Segment::udp((EARTH, 30_000), (NOBODY, 53), 1)]);
    let heard: Vec<_> = ear.heard().into_iter().filter(|packet| packet.protocol == UDP).collect();
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].from, (HOST, 30_001), "the port that is left");
    // Bound afterwards: it hears all but the flow's own remote.
    let second = bind_udp(&machine, "attack-host", at("0.0.0.0", 30_001));
    let world = bind_udp(&machine, "internet", at("192.168.0.1", 777));
    world.send_to(b"knock", at("192.168.0.108", 30_001)).expect("sent");
    let mut word = [0; 16];
    let (len, from) = second.recv_from(&mut word).expect("the host's socket hears the world");
    assert_eq!((&word[..len], from.ip()), (&b"knock"[..], std::net::IpAddr::V4(WORLD)));
}

#[test]
fn an_answer_to_the_hosts_own_question_is_not_taken_by_a_forward() {
    let machine = lab("[[forward]]\npublish = \"40000-40100:earth:40000/udp\"\n");
    let world = bind_udp(&machine, "internet", at("8.8.8.8", 53));
    let host = bind_udp(&machine, "attack-host", at("192.168.0.108", 40_050));
    host.send_to(b"where", at("8.8.8.8", 53)).expect("sent");
    let mut word = [0; 16];
    let (_, from) = world.recv_from(&mut word).expect("heard");
    world.send_to(b"there", from).expect("answered");
    let len = host.recv(&mut word).expect("the host hears the answer");
    assert_eq!(&word[..len], b"there");
}
