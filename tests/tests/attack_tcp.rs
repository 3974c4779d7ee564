//! TCP connections that are closed, forged, late or taken up in the middle.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::Duration;

use netlab_common::abi::event::Event;
use netlab_tests::attack::{Gun, HOST, MASQUERADES, NOBODY, Pins, flows, lab, verdicts};
use netlab_tests::inside::{at, dial, patient, serve_tcp};
use netlab_tests::live::{echo_server, speak};
use netlab_tests::machine::Machine;
use netlab_tests::segment::{ACK, FIN, RST, SYN, Segment, TCP};
use netlab_tests::wire::Ear;

/// What is closed is over soon.
const BRIEF: &str = "[flows]\nquarantine = 1\ntimeouts = { tcp_closed = 2, tcp_reset = 2 }\n";

const EARTH: Ipv4Addr = Ipv4Addr::new(10, 10, 0, 10);
const SERVER: Ipv4Addr = Ipv4Addr::new(8, 8, 8, 8);

fn states(machine: &Machine) -> Vec<String> {
    flows(machine).iter().map(|flow| flow["state"].as_str().expect("a word").to_owned()).collect()
}

/// A connection from earth's port 30000, and the server's end of it.
fn connect(machine: &Machine, server: &TcpListener) -> (TcpStream, TcpStream) {
    let client = dial(machine, "earth", (EARTH, 30_000), at("8.8.8.8", 7)).expect("a connection");
    let (served, _) = server.accept().expect("it has come");
    patient(&served);
    (client, served)
}

fn say(mut from: &TcpStream, mut to: &TcpStream, what: &str) {
    let mut buffer = [0; 4];
    from.write_all(b"word").unwrap_or_else(|error| panic!("{what}: {error}"));
    to.read_exact(&mut buffer).unwrap_or_else(|error| panic!("{what}: {error}"));
}

#[test]
fn a_tuple_used_again_at_once_after_both_fins_is_a_connection_that_outlives_the_closed_timeout() {
    let machine = lab(&format!("{BRIEF}{MASQUERADES}"));
    let server = serve_tcp(&machine, "internet", at("8.8.8.8", 7));
    for who_closes_first in ["the server", "the server once more"] {
        let (mut client, served) = connect(&machine, &server);
        say(&client, &served, who_closes_first);
        // The one who closes first keeps the tuple for a minute; a server lets a client have it again.
        drop(served);
        assert_eq!(client.read(&mut [0; 4]).expect("the end"), 0);
        drop(client);
        machine.wait_until("$NETLAB conntrack ls | grep -q TIME_WAIT");
    }
    let (client, served) = connect(&machine, &server);
    say(&client, &served, "on the tuple that was used before");
    assert_eq!(states(&machine), ["ESTABLISHED"]);
    sleep(Duration::from_millis(4500));
    say(&client, &served, "after the closed timeout");
    say(&served, &client, "after the closed timeout, back");
    assert_eq!(states(&machine), ["ESTABLISHED"]);
}

#[test]
fn a_forged_reset_ends_no_connection_and_a_right_one_does_within_its_timeout() {
    let machine = lab(&format!("{BRIEF}{MASQUERADES}"));
    let _server = echo_server(&machine, "internet", at("8.8.8.8", 7));
    let forger = Gun::at(&machine, "internet", "eth0");
    let ear = Ear::on(&machine, "internet", "eth0");
    let client = dial(&machine, "earth", (EARTH, 30_000), at("8.8.8.8", 7)).expect("a connection");
    for word in 0..10 {
        speak(&client, word).expect("it works");
    }
    let heard = ear.heard();
    let next =
        heard.iter().rev().find(|packet| packet.from == (HOST, 30_000)).expect("it spoke").acknowledges;
    let reset = |number: u32| Segment::tcp((SERVER, 7), (HOST, 30_000), RST, (number, 0));
    let wrong =
        [1, 1000, 1 << 20, 1 << 30, 1 << 31].map(|far: u32| [next.wrapping_add(far), next.wrapping_sub(far)]);
    forger.fire(wrong.concat().into_iter().map(reset));
    sleep(Duration::from_millis(4500));
    assert_eq!(states(&machine), ["ESTABLISHED"]);
    speak(&client, 77).expect("it lives");

    let ear = Ear::on(&machine, "internet", "eth0");
    speak(&client, 78).expect("it lives");
    let heard = ear.heard();
    let next =
        heard.iter().rev().find(|packet| packet.from == (HOST, 30_000)).expect("it spoke").acknowledges;
    forger.fire([reset(next)]);
    machine.wait_until("$NETLAB conntrack ls | grep -q CLOSE");
    assert!(speak(&client, 79).is_err(), "the client believes it, too");
    sleep(Duration::from_millis(3500));
    assert_eq!(states(&machine), Vec::<String>::new());
}

#[test]
fn segments_that_come_after_their_flow_is_gone_leave_neither_private_nor_at_all() {
    let machine = lab(&format!("{BRIEF}{MASQUERADES}"));
    let (node, world) = (Gun::at(&machine, "earth", "left"), Gun::at(&machine, "internet", "eth0"));
    let (client, server) = ((Ipv4Addr::new(10, 10, 9, 9), 30_000), (NOBODY, 80));
    for round in 0..3 {
        let ear = Ear::on(&machine, "internet", "eth0");
        node.fire([Segment::syn(client, server)]);
        world.fire([Segment::tcp(server, (HOST, client.1), SYN | ACK, (5000, 1001))]);
        node.fire([
            Segment::tcp(client, server, ACK, (1001, 5001)),
            Segment::tcp(client, server, FIN | ACK, (1001, 5001)),
        ]);
        world.fire([Segment::tcp(server, (HOST, client.1), FIN | ACK, (5001, 1002))]);
        node.fire([Segment::tcp(client, server, ACK, (1002, 5002))]);
        let heard = ear.heard();
        let sent: Vec<u8> =
            heard.iter().filter(|packet| packet.from == (HOST, 30_000)).map(|packet| packet.flags).collect();
        assert_eq!(sent, [SYN, ACK, FIN | ACK, ACK], "round {round}: {heard:?}");
        assert_eq!(states(&machine), ["TIME_WAIT"], "round {round}");

        let _ = machine.netlab(["conntrack", "flush"]).ok();
        let (ear, before) = (Ear::on(&machine, "internet", "eth0"), verdicts(&machine, "not_syn"));
        world.fire([Segment::tcp(server, (HOST, client.1), FIN | ACK, (5001, 1002))]);
        node.fire([FIN | ACK, ACK, RST].map(|flags| Segment::tcp(client, server, flags, (1002, 5002))));
        let heard = ear.heard();
        let of_nodes: Vec<_> =
            heard.iter().filter(|packet| packet.flags != RST || packet.from.0 != HOST).collect();
        assert!(of_nodes.is_empty(), "only the host's own stack answers, with a reset: {heard:?}");
        assert_eq!(verdicts(&machine, "not_syn"), before + 3, "round {round}");
    }
}

#[test]
fn a_connection_whose_flow_is_gone_is_taken_up_where_the_lab_wants_it_and_only_there() {
    for pickup in [true, false] {
        let machine = lab(&format!("[flows]\npickup = {pickup}\n{MASQUERADES}"));
        let _server = echo_server(&machine, "internet", at("8.8.8.8", 7));
        let client = dial(&machine, "earth", (EARTH, 30_000), at("8.8.8.8", 7)).expect("a connection");
        speak(&client, 1).expect("it works");
        let ear = Ear::on(&machine, "internet", "eth0");
        let before = Pins::of(&machine).event(Event::Removed);
        let _ = machine.netlab(["conntrack", "flush"]).ok();
        assert_eq!(Pins::of(&machine).event(Event::Removed), before + 1);
        client.set_read_timeout(Some(Duration::from_secs(1))).expect("not zero");
        assert_eq!(speak(&client, 2).is_ok(), pickup);
        let heard = ear.heard();
        assert!(
            heard.iter().all(|packet| packet.protocol != TCP || packet.from == (HOST, 30_000)),
            "{heard:?}"
        );
        if pickup {
            assert_eq!(states(&machine), ["ESTABLISHED"]);
            speak(&client, 3).expect("it goes on");
        } else {
            assert!(verdicts(&machine, "not_syn") > 0);
        }
    }
}
