//! What must not get through: a node's private source never leaves the uplink, and nothing from the world
//! reaches a node or claims to be one unasked. Each such packet is counted under its name.

use netlab_tests::capture::Capture;
use netlab_tests::labs::PORTS;
use netlab_tests::machine::Machine;
use serde_json::Value;

/// A lab with an uplink and no masquerade.
const UNMASKED: &str = r#"
version = 1
name = "unmasked"
[host]
namespace = "unmasked-host"
uplink = "eth0"
forwarding = true
routes = [{ to = "default", via = "192.168.0.1" }]
[bridge.br]
address = "10.10.0.1/16"
[node.earth]
links = [{ to = "br", address = "10.10.0.10/16" }]
[node.internet]
links = [{ to = "host", name = "eth0", address = "192.168.0.1/24", peer = { name = "eth0", address = "192.168.0.108/24" } }]
loopback = "8.8.8.8/32"
routes = [{ to = "10.10.0.0/16", via = "192.168.0.108" }]
"#;

/// How many packets have come to this verdict at this hook.
fn verdict(machine: &Machine, hook: &str, verdict: &str) -> u64 {
    let stats = machine.json(&["stats"]);
    let named = |list: &Value, key: &str, name: &str| {
        list.as_array().and_then(|list| list.iter().find(|item| item[key] == name)).cloned()
    };
    let hook = named(&stats["hooks"], "hook", hook).expect("all hooks are listed");
    named(&hook["verdicts"], "name", verdict).and_then(|verdict| verdict["packets"].as_u64()).unwrap_or(0)
}

/// Sends a packet that scapy's expression makes, from an interface of a node.
fn send(machine: &Machine, namespace: &str, packets: &str) {
    machine.write(
        "send.py",
        &format!(
            "import logging; logging.getLogger('scapy.runtime').setLevel(logging.ERROR)
from scapy.all import *
conf.verb = 0
send({packets})
"
        ),
    );
    let _ = machine.sh_in(namespace, "python3 send.py").ok();
}

#[test]
fn unsolicited_packets_never_reach_a_node_and_are_counted() {
    let machine = Machine::with_lab(PORTS);
    let _ = machine.sh_in("internet", "ip route add 10.10.0.0/16 via 192.168.0.108").ok();
    let wire = Capture::start(&machine, "earth", "eth0");
    let before = verdict(&machine, "uplink_in", "unsolicited");
    let _ = machine.sh_in(
        "internet",
        "ping -c2 -i0.1 -W0.3 10.10.0.10
         echo hello | nc -u -w1 10.10.0.10 53
         nc -zv -w1 10.10.0.10 80",
    );
    let wire = wire.stop();
    assert_eq!(wire.packets("ip and not dst net 224.0.0.0/4"), Vec::<String>::new());
    let dropped = verdict(&machine, "uplink_in", "unsolicited") - before;
    assert!(dropped >= 4, "two echoes, a datagram and a SYN, and only {dropped} were counted");
}

#[test]
fn without_a_masquerade_nothing_of_a_node_leaves_the_uplink() {
    let machine = Machine::with_lab(UNMASKED);
    let wire = Capture::start(&machine, "internet", "eth0");
    let lost = machine.sh_in(
        "earth",
        "ping -c3 -i0.1 -W0.3 8.8.8.8; nc -zv -w1 8.8.8.8 80; echo hello | nc -u -w1 8.8.8.8 53",
    );
    assert!(lost.stdout.contains("100% packet loss"), "{}", lost.stdout);
    let wire = wire.stop();
    assert_eq!(wire.packets("net 10.10.0.0/16"), Vec::<String>::new());
    let dropped = verdict(&machine, "uplink_out", "private_source");
    assert!(dropped >= 5, "three echoes, a SYN and a datagram, and only {dropped} were counted");
}

#[test]
fn the_host_itself_still_reaches_the_world_and_its_nodes_without_a_masquerade() {
    let machine = Machine::with_lab(UNMASKED);
    for target in ["8.8.8.8", "10.10.0.10"] {
        let said = machine.sh_in("unmasked-host", &format!("ping -c2 -i0.1 -W2 {target}")).ok();
        assert!(said.contains(" 0% packet loss"), "{said}");
    }
}

#[test]
fn whatever_a_node_sends_nothing_leaves_with_its_own_address() {
    let machine = Machine::with_lab(PORTS);
    let wire = Capture::start(&machine, "internet", "eth0");
    let names = ["unsupported", "private_source", "unrelated", "not_syn"];
    let before = names.map(|name| verdict(&machine, "uplink_out", name));
    send(
        &machine,
        "earth",
        "fragment(IP(dst='8.8.8.8') / UDP(sport=5000, dport=53) / Raw(b'x' * 4000), fragsize=1000)",
    );
    let odd = "[IP(dst='8.8.8.8', proto=proto) / Raw(b'x' * 40) for proto in (47, 132, 50, 4, 33, 255)]";
    send(&machine, "earth", odd);
    // ICMP of every kind, an answer that nobody asked for, an error about nothing, and TCP in the
    // middle of nothing.
    let strays = "[IP(dst='8.8.8.8') / ICMP(type=5, gw='10.10.0.9') / IP() / UDP(), \
                   IP(dst='8.8.8.8') / ICMP(type=13), IP(dst='8.8.8.8') / ICMP(type=0, id=7), \
                   IP(dst='8.8.8.8') / TCP(sport=6000, dport=80, flags='A'), \
                   IP(dst='8.8.8.8') / ICMP(type=3, code=3) / IP(src='8.8.8.8', dst='10.10.0.10') / UDP()]";
    send(&machine, "earth", strays);
    let wire = wire.stop();
    assert_eq!(wire.packets("net 10.10.0.0/16"), Vec::<String>::new());
    let after = names.map(|name| verdict(&machine, "uplink_out", name));
    for (name, (before, after)) in names.iter().zip(before.iter().zip(&after)) {
        assert!(after > before, "{name} is counted: {before} before, {after} after");
    }
}

#[test]
fn the_world_cannot_pretend_to_be_a_node() {
    let machine = Machine::with_lab(PORTS);
    let wire = Capture::start(&machine, "earth", "eth0");
    let _ = machine.sh_in("internet", "ip route add 10.10.0.0/16 via 192.168.0.108").ok();
    let before = verdict(&machine, "uplink_in", "spoofed_source");
    send(
        &machine,
        "internet",
        "[IP(src='10.10.0.20', dst='10.10.0.10') / ICMP(), \
          IP(src='10.10.0.20', dst='192.168.0.108') / UDP(sport=1, dport=5353) / b'x', \
          IP(src='10.20.0.30', dst='192.168.0.108') / TCP(dport=8080, flags='S')]",
    );
    assert_eq!(verdict(&machine, "uplink_in", "spoofed_source"), before + 3);
    let wire = wire.stop();
    assert_eq!(wire.packets("ip and not dst net 224.0.0.0/4"), Vec::<String>::new());
}

#[test]
fn a_port_that_is_not_forwarded_is_answered_by_the_host_itself() {
    let machine = Machine::with_lab(PORTS);
    let refused = machine.sh_in("internet", "nc -zv -w5 192.168.0.108 80").fails(1);
    assert!(refused.contains("refused"), "{refused}");
}
