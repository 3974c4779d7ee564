//! Everyone can use a forward: the world, neighbours, the target itself, and the host's own processes by whatever
//! address of its own.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use netlab_common::abi::event::Event;
use netlab_tests::attack::{HOST, MASQUERADES, NOBODY, Pins, WORLD, lab};
use netlab_tests::inside::{at, bind_udp, dial, serve_tcp};
use netlab_tests::live::echo_server;
use netlab_tests::machine::Machine;
use netlab_tests::need::{has_links, need_root};

const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// The host's address on earth's bridge.
const LEFT: Ipv4Addr = Ipv4Addr::new(10, 10, 0, 1);
const EARTH: Ipv4Addr = Ipv4Addr::new(10, 10, 0, 10);
const NEPTUNE: Ipv4Addr = Ipv4Addr::new(10, 10, 0, 20);
const MARS: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 30);

const FORWARDS: &str =
    "[[forward]]\npublish = \"8000:earth:80\"\n[[forward]]\npublish = \"5300:earth:53/udp\"\n";

fn forwarding() -> Machine {
    lab(&format!("{MASQUERADES}{FORWARDS}"))
}

/// Who asks, from which address, by which address of the host's, and as whom the target sees him.
const CLIENTS: [(&str, Ipv4Addr, Ipv4Addr, Ipv4Addr); 8] = [
    ("internet", WORLD, HOST, WORLD),
    ("neptune", NEPTUNE, HOST, NEPTUNE),
    ("mars", MARS, LEFT, MARS),
    ("earth", EARTH, HOST, HOST),
    ("earth", EARTH, LEFT, LEFT),
    ("attack-host", HOST, HOST, HOST),
    ("attack-host", LEFT, LEFT, LEFT),
    ("attack-host", LOOPBACK, LOOPBACK, LEFT),
];

/// Those that there are on this kernel: without links the host's own processes are none (README, *Limits*).
fn clients() -> impl Iterator<Item = (u16, (&'static str, Ipv4Addr, Ipv4Addr, Ipv4Addr))> {
    (0..).zip(CLIENTS.into_iter().filter(|(who, ..)| has_links() || *who != "attack-host"))
}

#[test]
fn everyone_talks_tcp_to_a_forwards_target() {
    if !need_root() {
        return;
    }
    let machine = forwarding();
    let server = serve_tcp(&machine, "earth", at("0.0.0.0", 80));
    let _server = std::thread::spawn(move || {
        for stream in server.incoming().flatten() {
            let mut from = stream.try_clone().expect("a socket");
            let mut to = stream;
            let _ = std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        }
    });
    for (number, (who, from, by, _)) in clients() {
        let mut stream = dial(&machine, who, (from, 40_000 + number), SocketAddrV4::new(by, 8000))
            .unwrap_or_else(|error| panic!("{who} by {by}: {error}"));
        // More than one segment, so that aggregates and windows are met as well.
        let said = vec![number as u8; 300_000];
        let mut heard = vec![0; said.len()];
        std::thread::scope(|scope| {
            let mut writer = stream.try_clone().expect("a socket");
            let writes = scope.spawn(move || writer.write_all(&said).map(|()| said));
            stream.read_exact(&mut heard).unwrap_or_else(|error| panic!("{who} by {by}: {error}"));
            let said = writes.join().expect("it does not panic").expect("it is heard");
            assert!(said == heard, "{who} by {by} hears something else than it said");
        });
    }
}

#[test]
fn everyone_talks_udp_to_a_forwards_target_which_sees_whom_it_can_answer() {
    if !need_root() {
        return;
    }
    let machine = forwarding();
    let server = bind_udp(&machine, "earth", at("0.0.0.0", 53));
    for (number, (who, from, by, seen)) in clients() {
        let client = bind_udp(&machine, who, SocketAddrV4::new(from, 41_000 + number));
        // The last does not fit into one packet of the bridge's, though it does on the host's loopback interface.
        for len in [1, 1_000, 20_000] {
            let said = vec![number as u8; len];
            client.send_to(&said, SocketAddrV4::new(by, 5300)).expect("it leaves");
            let mut heard = vec![0; 65_536];
            let (got, client_there) =
                server.recv_from(&mut heard).unwrap_or_else(|error| panic!("{who} by {by}, {len}: {error}"));
            assert_eq!((got, client_there.ip()), (len, seen.into()), "{who} by {by}");
            assert!(heard[..got] == said);
            server.send_to(&said, client_there).expect("it leaves");
            let (back, server_there) = client
                .recv_from(&mut heard)
                .unwrap_or_else(|error| panic!("{who} by {by}, {len} back: {error}"));
            assert_eq!((back, server_there), (len, SocketAddrV4::new(by, 5300).into()), "{who} by {by}");
        }
    }
}

/// A node with an address more beside its first one, and one on another bridge.
const VENUS: &str = r#"
[node.venus]
links = [{ to = "left", address = ["10.10.0.40/16", "10.10.0.41/16"] }, { to = "right", address = "10.20.0.40/16" }]
gateway = "10.10.0.1"
"#;

#[test]
fn a_node_uses_a_forward_to_itself_by_whichever_of_its_addresses() {
    if !need_root() {
        return;
    }
    let forwards = "[[forward]]\npublish = \"8000:venus:80\"\n[[forward]]\npublish = \"5300:venus:53/udp\"\n";
    let machine = lab(&format!("{VENUS}{MASQUERADES}{forwards}"));
    let _server = echo_server(&machine, "venus", at("10.10.0.40", 80));
    let target = bind_udp(&machine, "venus", at("10.10.0.40", 53));
    for (number, from) in (0..).zip(["10.10.0.40", "10.10.0.41", "10.20.0.40"]) {
        for by in [HOST, LEFT] {
            let by_tcp = SocketAddrV4::new(by, 8000);
            let mut stream = dial(&machine, "venus", (*at(from, 0).ip(), 46_000 + number), by_tcp)
                .unwrap_or_else(|error| panic!("{from} by {by}: {error}"));
            stream.write_all(b"word").expect("it leaves");
            stream.read_exact(&mut [0; 4]).unwrap_or_else(|error| panic!("{from} by {by}: {error}"));

            let client = bind_udp(&machine, "venus", at(from, 47_000 + number));
            client.send_to(b"word", SocketAddrV4::new(by, 5300)).expect("it leaves");
            let mut heard = [0; 8];
            let (len, seen) =
                target.recv_from(&mut heard).unwrap_or_else(|error| panic!("{from} by {by}: {error}"));
            assert_eq!((&heard[..len], seen.ip()), (&b"word"[..], by.into()), "{from} by {by}");
            target.send_to(b"answer", seen).expect("it leaves");
            let (len, seen) =
                client.recv_from(&mut heard).unwrap_or_else(|error| panic!("{from} by {by}: {error}"));
            assert_eq!((&heard[..len], seen), (&b"answer"[..], SocketAddrV4::new(by, 5300).into()));
        }
    }
}

/// What a connected UDP socket is told after it has sent to where nobody listens.
fn told(socket: &UdpSocket) -> std::io::ErrorKind {
    socket.send(b"?").expect("it leaves");
    socket.recv(&mut [0; 8]).expect_err("nobody is there").kind()
}

#[test]
fn everyone_is_told_when_nobody_listens_behind_a_forward() {
    if !need_root() {
        return;
    }
    let machine = forwarding();
    for (number, (who, from, by, _)) in clients() {
        let client = bind_udp(&machine, who, SocketAddrV4::new(from, 42_000 + number));
        client.connect(SocketAddrV4::new(by, 5300)).expect("a route");
        assert_eq!(told(&client), std::io::ErrorKind::ConnectionRefused, "{who} by {by}");
        let refused = dial(&machine, who, (from, 43_000 + number), SocketAddrV4::new(by, 8000));
        assert_eq!(refused.err(), Some(nix::errno::Errno::ECONNREFUSED), "{who} by {by}");
    }
}

#[test]
fn a_node_with_a_mapping_is_reached_by_it_from_other_nodes_and_sees_their_mappings() {
    if !need_root() {
        return;
    }
    let endpoint_independent = "[[masquerade]]\nfrom = \"left\"\nmapping = \"endpoint-independent\"\nfiltering = \"endpoint-independent\"\n";
    let machine = lab(endpoint_independent);
    let earth = bind_udp(&machine, "earth", at("10.10.0.10", 6000));
    earth.send_to(b"I am here", SocketAddrV4::new(NOBODY, 9)).expect("it leaves");
    let neptune = bind_udp(&machine, "neptune", at("10.10.0.20", 6000));
    neptune.send_to(b"hello", SocketAddrV4::new(HOST, 6000)).expect("it leaves");
    let mut heard = [0; 16];
    let (len, seen) = earth.recv_from(&mut heard).expect("neptune is let in");
    assert_eq!(&heard[..len], b"hello");
    // Both wanted port 6000; earth was first.
    assert_eq!(seen.ip(), HOST, "neptune is seen by its external address");
    assert_ne!(seen.port(), 6000);
    earth.send_to(b"welcome", seen).expect("it leaves");
    let (len, seen) = neptune.recv_from(&mut heard).expect("earth's answer");
    assert_eq!((&heard[..len], seen), (&b"welcome"[..], SocketAddrV4::new(HOST, 6000).into()));
    // And from another socket of its own.
    let other = bind_udp(&machine, "earth", at("10.10.0.10", 6001));
    other.send_to(b"myself", SocketAddrV4::new(HOST, 6000)).expect("it leaves");
    let (len, seen) = earth.recv_from(&mut heard).expect("its own word");
    assert_eq!((&heard[..len], seen), (&b"myself"[..], SocketAddrV4::new(HOST, 6001).into()));
}

#[test]
fn a_masqueraded_node_reaches_the_hosts_own_addresses() {
    if !need_root() {
        return;
    }
    let machine = lab(MASQUERADES);
    let _server = echo_server(&machine, "attack-host", at("0.0.0.0", 7000));
    for (number, by) in (0..).zip([HOST, LEFT, Ipv4Addr::new(10, 20, 0, 1)]) {
        for (who, from) in [("earth", EARTH), ("mars", MARS)] {
            let mut stream = dial(&machine, who, (from, 44_000 + number), SocketAddrV4::new(by, 7000))
                .expect("the host answers");
            stream.write_all(b"word").expect("it leaves");
            stream.read_exact(&mut [0; 4]).expect("it comes back");
        }
    }
}

#[test]
fn what_the_host_says_to_itself_beside_forwards_stays_its_own() {
    if !need_root() {
        return;
    }
    let machine = forwarding();
    let _server = echo_server(&machine, "attack-host", at("0.0.0.0", 7000));
    for (number, by) in (0..).zip([HOST, LEFT, LOOPBACK]) {
        let mut stream = dial(&machine, "attack-host", (by, 45_000 + number), SocketAddrV4::new(by, 7000))
            .expect("itself");
        stream.write_all(b"word").expect("it leaves");
        stream.read_exact(&mut [0; 4]).expect("it comes back");
    }
    assert_eq!(Pins::of(&machine).event(Event::Expired), 0);
    assert_eq!(machine.json(&["conntrack", "count"])["flows"], 0, "no flow is made for it");
}

/// Sends the host a datagram that says it is the host's own.
const SPOOF: &str = r#"
import socket, struct
udp = struct.pack("!HHHH", 6000, 6000, 16, 0) + b"trust me"
ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 36, 1, 0, 64, 17, 0, bytes([10, 10, 0, 1]), bytes([192, 168, 0, 108]))
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
raw.sendto(ip + udp, ("192.168.0.108", 0))
"#;

#[test]
fn a_node_that_claims_to_be_the_host_is_not_heard() {
    if !need_root() {
        return;
    }
    let machine = forwarding();
    let host = bind_udp(&machine, "attack-host", at("0.0.0.0", 6000));
    let _ = machine.sh_in("neptune", &format!("python3 -c '{SPOOF}'")).ok();
    host.set_read_timeout(Some(std::time::Duration::from_millis(300))).expect("not zero");
    let _ = host.recv(&mut [0; 8]).expect_err("it is not heard");
    let stats = machine.netlab(["stats"]).ok();
    assert!(stats.contains("spoofed_source"), "{stats}");
}
