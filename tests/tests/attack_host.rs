//! The host beside the nodes, on one address: its sockets keep their ports, and its own flows and the nodes' do not
//! take each other's answers.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use netlab_tests::attack::{Gun, HOST, MASQUERADES, NOBODY, WORLD, flows, lab};
use netlab_tests::inside::{at, bind_udp, dial, serve_tcp};
use netlab_tests::live::{echo_server, speak};
use netlab_tests::machine::Machine;
use netlab_tests::segment::Segment;
use netlab_tests::wire::Ear;

/// The ports at which the world sees flows of the lab's nodes.
fn outside(machine: &Machine, protocol: &str) -> BTreeSet<u64> {
    let all =
        flows(machine).into_iter().filter(|flow| flow["protocol"] == protocol && flow["kind"] == "flow");
    all.filter_map(|flow| flow["reply"]["dport"].as_u64()).collect()
}

/// Asks a question on a socket, answers it at the server, and hears the answer; gives whom the server saw.
fn ask(client: &UdpSocket, server: &UdpSocket, word: &str) -> SocketAddrV4 {
    let to = server.local_addr().expect("it is bound");
    client.send_to(word.as_bytes(), to).expect("the kernel takes a datagram");
    let mut buffer = [0; 64];
    let (len, from) =
        server.recv_from(&mut buffer).unwrap_or_else(|error| panic!("{word} did not arrive: {error}"));
    assert_eq!(&buffer[..len], word.as_bytes());
    server.send_to(word.as_bytes(), from).expect("the kernel takes a datagram");
    let (len, answerer) =
        client.recv_from(&mut buffer).unwrap_or_else(|error| panic!("no answer to {word}: {error}"));
    assert_eq!((&buffer[..len], answerer), (word.as_bytes(), to));
    let std::net::SocketAddr::V4(from) = from else { panic!("{from}") };
    from
}

#[test]
fn a_port_that_a_socket_of_the_hosts_has_is_never_given_to_a_nodes_flow() {
    let masquerade = "[[masquerade]]\nfrom = \"left\"\nports = \"20000-20063\"\n";
    let machine = lab(masquerade);
    let _listener = serve_tcp(&machine, "attack-host", at("0.0.0.0", 20_010));
    let _bound = bind_udp(&machine, "attack-host", at("192.168.0.108", 20_020));
    let gun = Gun::at(&machine, "earth", "left");
    let client = |number: u16| (Ipv4Addr::new(10, 10, 7, number as u8), 20_010 + 10 * (number % 2));
    for round in 0..3u16 {
        gun.fire((0..64).map(|number| Segment::syn(client(number), (NOBODY, 80 + round))));
        gun.fire((0..64).map(|number| Segment::udp(client(number), (NOBODY, 80 + round), 0)));
    }
    let all: BTreeSet<u64> = (20_000..20_064).collect();
    let but = |port: u64| all.iter().copied().filter(|other| *other != port).collect::<BTreeSet<_>>();
    assert_eq!(outside(&machine, "tcp"), but(20_010), "all but the listener's");
    assert_eq!(outside(&machine, "udp"), but(20_020), "all but the bound socket's");
}

#[test]
fn a_socket_that_the_host_binds_to_a_nodes_port_later_hears_everybody_whom_no_flow_is_with() {
    for mapping in ["", "mapping = \"endpoint-independent\"\nfiltering = \"endpoint-independent\"\n"] {
        let machine = lab(&format!("[[masquerade]]\nfrom = \"left\"\n{mapping}"));
        let node = bind_udp(&machine, "earth", at("10.10.0.10", 20_030));
        let server = bind_udp(&machine, "internet", at("8.8.8.8", 53));
        assert_eq!(ask(&node, &server, "mine"), SocketAddrV4::new(HOST, 20_030));
        let host = bind_udp(&machine, "attack-host", at("192.168.0.108", 20_030));
        for (address, port) in [("8.8.8.8", 54), ("192.168.0.1", 53), ("192.168.0.1", 4000)] {
            let other = bind_udp(&machine, "internet", at(address, port));
            assert_eq!(ask(&other, &host, address), at(address, port), "with {mapping:?}");
        }
        assert_eq!(ask(&node, &server, "still mine"), SocketAddrV4::new(HOST, 20_030));
    }
}

#[test]
fn a_connection_of_the_hosts_own_works_beside_a_nodes_with_the_same_port_to_the_same_server() {
    let machine = lab(MASQUERADES);
    let _server = echo_server(&machine, "internet", at("8.8.8.8", 7));
    let (earth, host) = (("earth", Ipv4Addr::new(10, 10, 0, 10)), ("attack-host", HOST));
    for (port, first, second) in [(30_000, earth, host), (30_001, host, earth)] {
        let open = |(name, address)| {
            dial(&machine, name, (address, port), at("8.8.8.8", 7)).unwrap_or_else(|e| panic!("{name}: {e}"))
        };
        let streams = [open(first), open(second)];
        for word in 0..20 {
            for stream in &streams {
                speak(stream, word).unwrap_or_else(|error| panic!("{stream:?}: {error}"));
            }
        }
    }
}

#[test]
fn datagrams_of_the_hosts_own_go_beside_a_nodes_with_the_same_port_to_the_same_server() {
    let machine = lab(MASQUERADES);
    let server = bind_udp(&machine, "internet", at("8.8.8.8", 53));
    for (port, nodes_first) in [(30_000, true), (30_001, false)] {
        let node = bind_udp(&machine, "earth", at("10.10.0.10", port));
        let mut seen = BTreeSet::new();
        if nodes_first {
            seen.insert(ask(&node, &server, "the node first"));
        }
        let host = bind_udp(&machine, "attack-host", at("192.168.0.108", port));
        for _ in 0..5 {
            seen.insert(ask(&host, &server, "of the host"));
            seen.insert(ask(&node, &server, "of the node"));
        }
        assert_eq!(seen.len(), 2, "two endpoints, and always the same: {seen:?}");
    }
}

#[test]
fn pings_of_the_hosts_own_go_beside_a_nodes_with_the_same_identifier() {
    let machine = lab(MASQUERADES);
    let said = machine
        .sh("for who in attack-host earth mars; do
               ip netns exec $who ping -e 4242 -c5 -i0.1 -W2 8.8.8.8 >$who.out & pids=\"$pids $!\"
             done
             wait $pids; cat attack-host.out earth.out mars.out")
        .ok();
    assert_eq!(said.matches("5 received, 0% packet loss").count(), 3, "{said}");
}

#[test]
fn an_answer_to_the_hosts_own_question_reaches_it_though_its_port_is_in_a_forwarded_range() {
    let machine = lab("[[forward]]\npublish = \"30000-30100:earth:30000/udp\"\n");
    let server = bind_udp(&machine, "internet", at("8.8.8.8", 53));
    let host = bind_udp(&machine, "attack-host", at("192.168.0.108", 30_050));
    let node = bind_udp(&machine, "earth", at("10.10.0.10", 30_050));
    assert_eq!(ask(&host, &server, "who is netlab"), SocketAddrV4::new(HOST, 30_050));
    let ear = Ear::on(&machine, "earth", "eth0");
    assert_eq!(ask(&host, &server, "and again"), SocketAddrV4::new(HOST, 30_050));
    assert_eq!(ear.heard(), [], "none of it goes to the node");
    // Whoever else comes to that port is forwarded, as the rule says.
    let other = bind_udp(&machine, "internet", at("192.168.0.1", 4000));
    other.send_to(b"forwarded", (HOST, 30_050)).expect("the kernel takes a datagram");
    let mut buffer = [0; 64];
    let (len, from) = node.recv_from(&mut buffer).expect("the node hears it");
    assert_eq!((&buffer[..len], from), (&b"forwarded"[..], (WORLD, 4000).into()));
}
