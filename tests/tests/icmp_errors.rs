//! ICMP errors with real tools, through a host that translates and a router on either side of it.

use netlab_tests::capture::Capture;
use netlab_tests::hops::{lab, scapy, verdict};
use netlab_tests::machine::Machine;

/// The addresses that traceroute shows, hop by hop.
fn hops(machine: &Machine, node: &str, arguments: &str) -> Vec<String> {
    let said = machine.sh_in(node, &format!("traceroute -n -q1 -N1 -w3 -m6 {arguments}")).ok();
    said.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).map(str::to_owned).collect()
}

#[test]
fn traceroute_from_a_node_shows_every_hop_by_udp_by_icmp_and_by_tcp() {
    let machine = lab("", "");
    for how in ["", "-U -p 53", "-I", "-T -p 80"] {
        let shown = hops(&machine, "moon", &format!("{how} 8.8.8.8"));
        assert_eq!(shown, ["10.30.0.1", "10.10.0.1", "192.168.0.1", "8.8.8.8"], "with `{how}`");
    }
}

#[test]
fn traceroute_from_the_world_to_a_forward_shows_each_hop_behind_the_host_as_the_host() {
    let machine = lab("", "");
    let wire = Capture::start(&machine, "internet", "eth0");
    for how in ["-T -p 8080", "-U -p 5353"] {
        let shown = hops(&machine, "internet", &format!("{how} 192.168.0.108"));
        assert_eq!(shown.first().map(String::as_str), Some("203.0.113.1"), "with `{how}`: {shown:?}");
        assert!(shown[1..].iter().all(|hop| hop == "192.168.0.108"), "with `{how}`: {shown:?}");
        assert!(shown.len() >= 2, "with `{how}`: {shown:?}");
    }
    let wire = wire.stop();
    assert_eq!(wire.packets("net 10.0.0.0/8"), Vec::<String>::new(), "no inner address is told outside");
    let quoting = "icmp[20] = 10 or icmp[24] = 10";
    assert_eq!(wire.packets(quoting), Vec::<String>::new(), "nor is one quoted");
}

#[test]
fn a_time_to_live_that_runs_out_is_answered_by_the_host_and_one_more_by_the_router_behind_it() {
    let machine = lab("", "");
    for (ttl, router) in [(1, "10.10.0.1"), (2, "192.168.0.1")] {
        let said = machine.sh_in("earth", &format!("ping -n -c1 -W3 -t{ttl} 8.8.8.8")).stdout;
        assert!(said.contains(&format!("From {router} icmp_seq=1 Time to live exceeded")), "{said}");
    }
    let said = machine.sh_in("earth", "ping -n -c1 -W3 8.8.8.8").ok();
    assert!(said.contains("ttl=62"), "two routers took one each from 64: {said}");
}

#[test]
fn tracepath_finds_a_narrow_link_in_the_world() {
    let machine = lab("", ", mtu = 1280");
    let said = machine.sh_in("moon", "tracepath -n -m8 8.8.8.8").ok();
    assert!(said.contains("pmtu 1280"), "{said}");
    let known = machine.sh_in("moon", "ip route get 8.8.8.8").ok();
    assert!(known.contains("mtu 1280"), "{known}");
}

/// Asks for a long answer in TCP, and says so many bytes before.
const TALK: &str = "
import socket, sys
peer = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=30)
for _ in range(20):
    peer.sendall(b'x' * 4000)
    left = 4000
    while left > 0:
        left -= peer.recv(65535).count(b'x')
";

#[test]
fn tcp_finds_the_width_of_a_narrow_link_in_the_world_and_of_one_behind_the_host() {
    for (inner, outer, client, target, port) in [
        ("", ", mtu = 1280", "earth", "8.8.8.8", 80),
        (", mtu = 1280", "", "internet", "192.168.0.108", 8080),
    ] {
        let machine = lab(inner, outer);
        machine.write("talk.py", TALK);
        let _ = machine.sh_in(client, &format!("python3 talk.py {target} {port}")).ok();
        let known = machine.sh_in(client, &format!("ip route get {target}")).ok();
        assert!(known.contains("mtu 1280"), "{client} was told of the link: {known}");
    }
}

#[test]
fn nobody_at_a_udp_port_is_told_as_connection_refused_out_in_and_among_nodes() {
    let machine = lab("", "");
    machine.write(
        "ask.py",
        "import socket, sys
peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
peer.settimeout(5)
peer.connect((sys.argv[1], int(sys.argv[2])))
peer.send(b'anybody?')
try:
    peer.recv(100)
except ConnectionRefusedError:
    print('refused')
",
    );
    for (node, target, port) in [
        ("earth", "8.8.8.8", 9),
        ("moon", "8.8.8.8", 9),
        ("internet", "192.168.0.108", 5355),
        ("neptune", "192.168.0.108", 5355),
    ] {
        let said = machine.sh_in(node, &format!("python3 ask.py {target} {port}")).ok();
        assert_eq!(said, "refused\n", "{node} asks {target}:{port}");
    }
    assert!(verdict(&machine, "uplink_in", "related") >= 2, "out, twice");
    assert!(verdict(&machine, "uplink_out", "related") >= 1, "in");
    assert!(verdict(&machine, "port_out", "related") >= 1, "among nodes");
}

#[test]
fn an_error_that_quotes_a_first_fragment_reaches_whoever_sent_that() {
    let machine = lab("", "");
    let _ = machine.sh_in("internet", "sysctl -qw net.ipv4.ipfrag_time=1").ok();
    let wire = Capture::start(&machine, "earth", "eth0");
    scapy(
        &machine,
        "earth",
        "send(fragment(IP(dst='8.8.8.8', id=77) / UDP(sport=4000, dport=53) / Raw(b'x' * 3000), fragsize=800)[0])",
    );
    machine.wait_until("$NETLAB stats | grep -q related");
    let wire = wire.stop();
    // In reassembly; the quoted source is the node's own, from the eighth byte of the ICMP message on.
    let told = "icmp[0] = 11 and icmp[1] = 1 and icmp[20:4] = 0x0a0a000a and icmp[28:2] = 4000";
    assert_eq!(wire.count(told), 1, "{:#?}", wire.packets("icmp"));
    assert_eq!(wire.wrong_checksums("icmp"), "");
}

#[test]
fn an_error_about_nothing_known_stops_at_the_uplink_in_both_directions() {
    let machine = lab("", "");
    let wires = [Capture::start(&machine, "earth", "eth0"), Capture::start(&machine, "internet", "eth0")];
    let forged =
        "IP(dst='{to}') / ICMP(type=3, code=3) / IP(src='{to}', dst='{from}') / UDP(sport=7, dport=7)";
    let forged =
        |from: &str, to: &str| format!("send({})", forged.replace("{from}", from).replace("{to}", to));
    let before = (verdict(&machine, "uplink_in", "unrelated"), verdict(&machine, "uplink_out", "unrelated"));
    scapy(&machine, "internet", &forged("8.8.8.8", "192.168.0.108"));
    scapy(&machine, "earth", &forged("10.10.0.10", "8.8.8.8"));
    let after = (verdict(&machine, "uplink_in", "unrelated"), verdict(&machine, "uplink_out", "unrelated"));
    assert_eq!(after, (before.0 + 1, before.1 + 1));
    let [earth, internet] = wires.map(Capture::stop);
    assert_eq!(earth.packets("icmp and dst host 10.10.0.10"), Vec::<String>::new());
    assert_eq!(internet.packets("icmp and dst host 8.8.8.8"), Vec::<String>::new());
}
