//! Protocols beside TCP, UDP and echo, by raw sockets and raw frames.

use netlab_tests::capture::Capture;
use netlab_tests::hops::{lab, scapy, verdict};
use netlab_tests::machine::Machine;

/// Sends back whatever comes of some protocols.
const SERVE: &str = "
import socket, sys, threading
def serve(number):
    ear = socket.socket(socket.AF_INET, socket.SOCK_RAW, number)
    while True:
        packet, peer = ear.recvfrom(65535)
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, number) as mouth:
            mouth.bind((socket.inet_ntoa(packet[16:20]), 0))
            mouth.sendto(packet[20:], peer)
for number in map(int, sys.argv[1:]):
    threading.Thread(target=serve, args=(number,)).start()
print('ready', flush=True)
";

/// Says something, and prints what comes back, or why nothing does.
const ASK: &str = "
import errno, socket, sys
peer = socket.socket(socket.AF_INET, socket.SOCK_RAW, int(sys.argv[2]))
peer.settimeout(5)
peer.connect((sys.argv[1], 0))
said = b'\\x00\\x07\\x00\\x07' + sys.argv[3].encode().ljust(40)
peer.send(said)
try:
    packet = peer.recv(65535)
    print('the same' if packet[20:] == said else 'something else')
except OSError as error:
    print(errno.errorcode.get(error.errno, error))
";

fn ask(machine: &Machine, node: &str, target: &str, number: u8) -> String {
    machine.sh_in(node, &format!("python3 ask.py {target} {number} {node}")).ok().trim().to_owned()
}

#[test]
fn gre_esp_sctp_and_others_go_out_and_back_and_a_second_node_is_refused_and_told() {
    let machine = lab("", "");
    machine.write("serve.py", SERVE);
    machine.write("ask.py", ASK);
    let numbers = [47, 50, 132, 253];
    let words = numbers.map(|number| number.to_string()).join(" ");
    let _ = machine.sh_in("internet", &format!("python3 serve.py {words} >served 2>&1 </dev/null &")).ok();
    machine.wait_until("grep -q ready served");
    let wire = Capture::start(&machine, "internet", "eth0");
    for (number, refused) in numbers.into_iter().zip(1..) {
        assert_eq!(ask(&machine, "earth", "8.8.8.8", number), "the same", "protocol {number}");
        assert_eq!(ask(&machine, "neptune", "8.8.8.8", number), "EHOSTUNREACH", "protocol {number}");
        assert_eq!(ask(&machine, "neptune", "203.0.113.8", number), "the same", "protocol {number}");
        assert_eq!(verdict(&machine, "uplink_out", "address_conflict"), refused);
    }
    let wire = wire.stop();
    assert_eq!(wire.packets("net 10.0.0.0/8"), Vec::<String>::new());
    let listed = machine.netlab(["conntrack", "ls", "-p", "47"]).ok();
    assert!(listed.contains("10.10.0.10"), "{listed}");
}

#[test]
fn a_query_for_the_time_is_answered_through_the_masquerade() {
    let machine = lab("", "");
    let script = "answer = sr1(IP(dst='8.8.8.8') / ICMP(type=13, id=9), timeout=5)
print(answer[IP].src, answer[ICMP].type, answer[ICMP].id)";
    for node in ["earth", "neptune"] {
        assert_eq!(scapy(&machine, node, script), "8.8.8.8 14 9\n", "{node}");
    }
}

#[test]
fn what_says_by_which_way_it_goes_stops_at_the_uplink() {
    let machine = lab("", "");
    let wire = Capture::start(&machine, "earth", "eth0");
    scapy(
        &machine,
        "internet",
        "route = lambda to: [IP(dst=to, options=kind(routers=['10.10.0.10'])) / UDP(sport=1, dport=5354) / b'x' \
         for kind in (IPOption_LSRR, IPOption_SSRR)]
# No kernel on the way takes such packets either, so they are put on the wire that the host hears.
hop = getmacbyip('203.0.113.1')
sendp([Ether(dst=hop) / packet for packet in route('192.168.0.108')])",
    );
    scapy(
        &machine,
        "isp",
        "mac = getmacbyip('192.168.0.108')
sendp([Ether(dst=mac) / IP(src='8.8.8.8', dst='192.168.0.108', options=kind(routers=['10.10.0.10'])) / \
UDP(sport=1, dport=5354) / b'x' for kind in (IPOption_LSRR, IPOption_SSRR)], iface='eth0')",
    );
    assert!(verdict(&machine, "uplink_in", "source_route") >= 2);
    let wire = wire.stop();
    assert_eq!(wire.packets("udp"), Vec::<String>::new());
}

#[test]
fn a_frame_of_a_vlan_passes_unread_and_leads_nowhere() {
    let machine = lab("", "");
    let wire = Capture::start(&machine, "internet", "eth0");
    let before = verdict(&machine, "port_in", "tagged");
    scapy(
        &machine,
        "earth",
        "mac = getmacbyip('10.10.0.1')
sendp([Ether(dst=mac) / Dot1Q(vlan=5) / IP(dst='8.8.8.8') / UDP(sport=1, dport=53) / b'x'] * 3, iface='eth0')",
    );
    assert_eq!(verdict(&machine, "port_in", "tagged"), before + 3);
    let wire = wire.stop();
    assert_eq!(wire.packets("udp"), Vec::<String>::new());
}
