//! What rules promise to many clients: even shares, the same target and address all along, and guests let in or kept
//! out as the filtering says.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use netlab_tests::attack::{Gun, HOST, NOBODY, WORLD, flows, lab, verdicts};
use netlab_tests::inside::{at, bind_udp, dial};
use netlab_tests::live::{echo_server, speak};
use netlab_tests::segment::Segment;
use netlab_tests::wire::Ear;

/// What a socket hears next, if it hears anything soon.
fn hears(socket: &UdpSocket) -> io::Result<(Vec<u8>, SocketAddr)> {
    let mut buffer = [0; 64];
    socket.set_read_timeout(Some(Duration::from_millis(400)))?;
    let (len, from) = socket.recv_from(&mut buffer)?;
    Ok((buffer[..len].to_vec(), from))
}

fn tell(from: &UdpSocket, to: (Ipv4Addr, u16)) {
    from.send_to(b"word", to).expect("the kernel takes a datagram");
}

#[test]
fn flows_are_spread_evenly_over_a_forwards_targets_and_each_stays_with_its_own() {
    let machine = lab("[[forward]]\npublish = \"8080:earth:80,neptune:80,mars:80/tcp\"\n");
    let nodes = [("earth", "10.10.0.10"), ("neptune", "10.10.0.20"), ("mars", "10.20.0.30")];
    let _servers = nodes.map(|(node, address)| echo_server(&machine, node, at(address, 80)));
    let streams: Vec<_> = (0..60)
        .map(|number| {
            dial(&machine, "internet", (WORLD, 40_000 + number), at("192.168.0.108", 8080)).expect("served")
        })
        .collect();
    let shares = || {
        let mut shares = BTreeMap::new();
        for flow in flows(&machine) {
            *shares.entry(flow["reply"]["src"].as_str().expect("an address").to_owned()).or_insert(0) += 1;
        }
        shares
    };
    let even: BTreeMap<_, _> = nodes.map(|(_, address)| (address.to_owned(), 20)).into();
    assert_eq!(shares(), even);
    for word in 0..20 {
        for stream in &streams {
            speak(stream, word).expect("a target that changed would have refused it");
        }
    }
    assert_eq!(shares(), even);
}

#[test]
fn a_shifted_range_keeps_each_ports_place_in_it() {
    let machine = lab("[[forward]]\npublish = \"8000-8010:earth:9000/udp\"\n");
    let client = bind_udp(&machine, "internet", at("192.168.0.1", 4000));
    for offset in [0, 5, 10] {
        let server = bind_udp(&machine, "earth", at("10.10.0.10", 9000 + offset));
        tell(&client, (HOST, 8000 + offset));
        let (_, from) = hears(&server).expect("it is forwarded");
        server.send_to(b"back", from).expect("the kernel takes a datagram");
        let (back, answerer) = hears(&client).expect("and answered");
        assert_eq!((back, answerer), (b"back".to_vec(), at("192.168.0.108", 8000 + offset).into()));
    }
    let beside = bind_udp(&machine, "earth", at("10.10.0.10", 9011));
    tell(&client, (HOST, 8011));
    assert!(hears(&beside).is_err(), "the range ends");
}

#[test]
fn a_forwards_allow_list_lets_exactly_its_sources_in() {
    let machine =
        lab("[[forward]]\npublish = \"5353:earth:53/udp\"\nallow = [\"192.168.0.0/24\", \"198.51.100.7\"]\n");
    let server = bind_udp(&machine, "earth", at("10.10.0.10", 53));
    let gun = Gun::at(&machine, "internet", "eth0");
    for (number, allowed) in [
        (Ipv4Addr::new(192, 168, 0, 77), true),
        (Ipv4Addr::new(198, 51, 100, 7), true),
        (Ipv4Addr::new(198, 51, 100, 8), false),
        (Ipv4Addr::new(8, 8, 8, 8), false),
    ]
    .into_iter()
    .enumerate()
    .map(|(number, (source, allowed))| ((number as u16, source), allowed))
    {
        let before = verdicts(&machine, "not_allowed");
        gun.fire([Segment::udp((number.1, 4000 + number.0), (HOST, 5353), 1)]);
        assert_eq!(hears(&server).is_ok(), allowed, "{}", number.1);
        assert_eq!(verdicts(&machine, "not_allowed") - before, u64::from(!allowed), "{}", number.1);
    }
    assert_eq!(flows(&machine).len(), 2, "and nobody else has a flow");
}

#[test]
fn a_source_has_one_address_of_a_pool_for_all_its_flows_and_sources_are_spread_over_it() {
    let machine = lab("[[masquerade]]\nfrom = \"left\"\nto = \"198.51.100.1-198.51.100.4\"\n");
    let _ = machine.sh_in("internet", "ip route add 198.51.100.0/24 via 192.168.0.108").ok();
    let gun = Gun::at(&machine, "earth", "left");
    let ear = Ear::on(&machine, "internet", "eth0");
    let client = |number: u32| Ipv4Addr::new(10, 10, 3, (number % 100) as u8);
    gun.fire(
        (0..400)
            .map(|number| Segment::udp((client(number), 5000 + (number / 100) as u16), (NOBODY, 53), number)),
    );
    let mut addresses: BTreeMap<Ipv4Addr, BTreeSet<Ipv4Addr>> = BTreeMap::new();
    let heard = ear.heard();
    assert_eq!(heard.len(), 400);
    for packet in heard {
        addresses.entry(client(packet.number)).or_default().insert(packet.from.0);
    }
    assert!(addresses.values().all(|behind| behind.len() == 1), "{addresses:?}");
    let used: BTreeSet<_> = addresses.values().flatten().copied().collect();
    assert_eq!(used, (1..=4).map(|last| Ipv4Addr::new(198, 51, 100, last)).collect(), "all four are used");

    // And answers come back to an address that no interface has.
    let (node, server) = (
        bind_udp(&machine, "earth", at("10.10.0.10", 30_000)),
        bind_udp(&machine, "internet", at("8.8.8.8", 53)),
    );
    tell(&node, (Ipv4Addr::new(8, 8, 8, 8), 53));
    let (_, from) = hears(&server).expect("it arrives");
    assert!(used.iter().any(|address| SocketAddr::from((*address, 30_000)) == from), "{from}");
    server.send_to(b"back", from).expect("the kernel takes a datagram");
    assert_eq!(hears(&node).expect("the answer").1, at("8.8.8.8", 53).into());
}

#[test]
fn guests_of_an_endpoint_independent_mapping_are_let_in_as_its_filtering_says() {
    for (filtering, other_port, stranger) in [
        ("endpoint-independent", true, true),
        ("address-dependent", true, false),
        ("address-and-port-dependent", false, false),
    ] {
        let machine = lab(&format!(
            "[[masquerade]]\nfrom = \"left\"\nmapping = \"endpoint-independent\"\nfiltering = \"{filtering}\"\n"
        ));
        let taken = bind_udp(&machine, "neptune", at("10.10.0.20", 30_000));
        tell(&taken, (NOBODY, 53));
        let node = bind_udp(&machine, "earth", at("10.10.0.10", 30_000));
        let server = bind_udp(&machine, "internet", at("8.8.8.8", 53));
        let mut seen = BTreeSet::new();
        for remote in [53, 54, 55] {
            let server = (remote != 53).then(|| bind_udp(&machine, "internet", at("8.8.8.8", remote)));
            tell(&node, (Ipv4Addr::new(8, 8, 8, 8), remote));
            if let Some(server) = server {
                seen.insert(hears(&server).expect("it arrives").1);
            }
        }
        seen.insert(hears(&server).expect("it arrives").1);
        assert_eq!(seen.len(), 1, "one external endpoint for all remotes: {seen:?}");
        let SocketAddr::V4(mapped) = seen.pop_first().expect("one") else { panic!("IPv4") };
        assert_ne!(mapped.port(), 30_000, "that one is neptune's");

        let before = verdicts(&machine, "filtered");
        let sender = bind_udp(&machine, "internet", at("8.8.8.8", 4000));
        tell(&sender, (*mapped.ip(), mapped.port()));
        assert_eq!(hears(&node).is_ok(), other_port, "another port of a known address, {filtering}");
        let sender = bind_udp(&machine, "internet", at("192.168.0.1", 4000));
        tell(&sender, (*mapped.ip(), mapped.port()));
        let heard = hears(&node);
        assert_eq!(heard.is_ok(), stranger, "an address that is not known, {filtering}");
        if let Ok((_, from)) = heard {
            tell(&node, (WORLD, 4000));
            assert_eq!(from, at("192.168.0.1", 4000).into());
            assert_eq!(hears(&sender).expect("a guest is answered").1, mapped.into());
        }
        let kept_out = u64::from(!other_port) + u64::from(!stranger);
        assert_eq!(verdicts(&machine, "filtered") - before, kept_out, "{filtering}");
    }
}
