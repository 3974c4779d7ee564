//! Established flows cross the host past its stack: they do where they may, and whatever the stack has for them is not
//! passed over: queues, captures, firewalls, routes, neighbours, sizes. Without the agent they come back to it.

use std::thread::sleep;
use std::time::Duration;

use netlab_tests::attack::{MASQUERADES, lab_on};
use netlab_tests::capture::Capture;
use netlab_tests::machine::Machine;
use netlab_tests::need::need_root;

const FORWARD: &str = "[[forward]]\npublish = \"8000:earth:80/udp\"\n";

/// A lab whose world echoes datagrams at port 7, and the nodes' server does at port 80.
fn with_echoes() -> Machine {
    with_echoes_on("auto")
}

/// As [`with_echoes`], with this `datapath`.
fn with_echoes_on(datapath: &str) -> Machine {
    let machine = lab_on(datapath, &format!("{MASQUERADES}{FORWARD}"));
    for (node, address, port) in [("internet", "8.8.8.8", 7), ("earth", "10.10.0.10", 80)] {
        let echo = format!("python3 echo.py {node} udp:{address}:{port}");
        let _ = machine.sh(&format!("$NETLAB exec {node} -- {echo} >/dev/null 2>&1 </dev/null &")).ok();
        machine.wait_until(&format!("ip netns exec {node} ss -lunH | grep -q :{port}"));
    }
    machine
}

/// Asks from one socket so many times, and fails unless every datagram is answered.
fn ask(machine: &Machine, from: &str, to: &str, times: u32) {
    ask_from(machine, from, 0, to, times);
}

/// As [`ask`], from a port.
fn ask_from(machine: &Machine, from: &str, source: u16, to: &str, times: u32) {
    let (address, port) = to.split_once(':').expect("an address and a port");
    let script = format!(
        "python3 - <<'END'
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3); s.bind((\"\", {source})); s.connect((\"{address}\", {port}))
for i in range({times}):
    s.send(b'%d' % i); assert s.recv(999).endswith(b'say %d' % i), i
    time.sleep(0.01)
END"
    );
    let _ = machine.sh_in(from, &script).ok();
}

/// Packets that a hook has received so far.
fn received(machine: &Machine, hook: &str) -> u64 {
    let stats = machine.json(&["stats"]);
    let hooks = stats["hooks"].as_array().expect("hooks");
    let found = hooks.iter().find(|one| one["hook"] == hook).expect("the hook is there");
    found["received"]["packets"].as_u64().expect("a number")
}

/// How many packets leave by the stack while so many are asked.
fn by_the_stack(machine: &Machine, times: u32) -> u64 {
    let before = received(machine, "uplink_out");
    ask(machine, "earth", "8.8.8.8:7", times);
    received(machine, "uplink_out") - before
}

/// Whether nearly all of a hundred packets went past the stack.
fn crosses(machine: &Machine) -> bool {
    by_the_stack(machine, 100) < 20
}

fn kill_agent(machine: &Machine) {
    let agent = machine.json(&["status"])["agent"].as_i64().expect("an agent runs");
    let _ = machine.sh(&format!("kill -9 {agent}")).ok();
}

#[test]
fn established_flows_cross_past_the_stack_out_in_and_through_a_forward() {
    if !need_root() {
        return;
    }
    let machine = with_echoes();
    machine.wait_until("sleep 1; true");
    assert!(crosses(&machine), "{}", machine.netlab(["stats"]).ok());
    let before = received(&machine, "port_out");
    ask(&machine, "internet", "192.168.0.108:8000", 100);
    assert!(received(&machine, "port_out") - before < 20, "{}", machine.netlab(["stats"]).ok());
}

#[test]
fn a_flow_that_begins_anew_in_another_place_crosses_again() {
    if !need_root() {
        return;
    }
    let machine = with_echoes();
    ask_from(&machine, "earth", 5555, "8.8.8.8:7", 50);
    let _ = machine.netlab(["conntrack", "flush"]).ok();
    // They get the place that has become free.
    for port in 6001..6009 {
        ask_from(&machine, "earth", port, "8.8.8.8:7", 3);
    }
    let before = received(&machine, "uplink_out");
    ask_from(&machine, "earth", 5555, "8.8.8.8:7", 100);
    let by_the_stack = received(&machine, "uplink_out") - before;
    assert!(by_the_stack < 20, "{by_the_stack} of 100");
}

#[test]
fn a_firewall_of_the_hosts_sees_every_packet_unless_the_lab_says_otherwise() {
    if !need_root() {
        return;
    }
    let machine = with_echoes();
    assert!(crosses(&machine));
    let rules = "nft add table ip guard; nft 'add chain ip guard forward { type filter hook forward priority 0; }'; \
                 nft add rule ip guard forward counter";
    let _ = machine.sh_in("attack-host", rules).ok();
    sleep(Duration::from_millis(2500));
    // Whatever else leaves there meanwhile, such as a router solicitation, is counted too.
    let passed = by_the_stack(&machine, 50);
    assert!((50..60).contains(&passed), "{passed} of 50: each packet is the firewall's to see");
    let status = machine.netlab(["status"]).ok();
    assert!(status.contains("guard"), "{status}");
    let _ = machine.sh_in("attack-host", "nft delete table ip guard").ok();
    sleep(Duration::from_millis(2500));
    assert!(crosses(&machine));
}

#[test]
fn a_firewall_that_begins_to_drop_stops_a_flow_within_seconds_even_without_the_agent() {
    if !need_root() {
        return;
    }
    let machine = with_echoes();
    ask(&machine, "earth", "8.8.8.8:7", 20);
    kill_agent(&machine);
    let _ = machine.sh_in("attack-host", "iptables -A FORWARD -p udp --dport 7 -j DROP").ok();
    let script = "python3 - <<'END'
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.1); s.connect((\"8.8.8.8\", 7))
last = time.time()
begun = last
while time.time() - begun < 4:
    s.send(b'x')
    try: s.recv(9); last = time.time()
    except TimeoutError: pass
assert last - begun < 3, last - begun
END";
    let _ = machine.sh_in("earth", script).ok();
}

#[test]
fn captures_see_every_packet_soon_after_they_begin() {
    if !need_root() {
        return;
    }
    for datapath in ["tc", "xdp"] {
        let machine = with_echoes_on(datapath);
        assert!(crosses(&machine));
        for interface in ["left", "eth0", "any"] {
            let capture = Capture::start(&machine, "attack-host", interface);
            sleep(Duration::from_millis(800));
            ask(&machine, "earth", "8.8.8.8:7", 50);
            let seen = capture.stop().count("udp port 7");
            assert!(seen >= 100, "{seen} on {interface}, {datapath}");
        }
        sleep(Duration::from_millis(800));
        assert!(crosses(&machine));
    }
}

#[test]
fn a_neighbour_with_another_hardware_address_is_found_at_once() {
    if !need_root() {
        return;
    }
    let machine = with_echoes();
    assert!(crosses(&machine));
    for node in ["internet", "earth"] {
        let _ = machine.sh_in(node, "ip link set eth0 address 02:00:00:00:77:01; ping -c1 -W2 -q $(ip route | awk '/default/ {print $3; exit}') || ping -c1 -W2 -q 192.168.0.108").ok();
        ask(&machine, "earth", "8.8.8.8:7", 30);
    }
}

#[test]
fn a_narrower_next_link_is_kept_to() {
    if !need_root() {
        return;
    }
    let machine = with_echoes();
    assert!(crosses(&machine));
    for end in ["attack-host", "internet"] {
        let _ = machine.sh_in(end, "ip link set eth0 mtu 1000").ok();
    }
    let told = machine.sh_in("earth", "ping -c2 -W2 -M do -s 1200 8.8.8.8").fails(1);
    assert!(told.contains("1000"), "{told}");
    let script = "python3 - <<'END'
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3); s.connect((\"8.8.8.8\", 7))
s.setsockopt(socket.IPPROTO_IP, 10, 0)
for i in range(50):
    s.send(b'y' * 1200); assert len(s.recv(9999)) > 1200
END";
    let _ = machine.sh_in("earth", script).ok();
}

#[test]
fn without_the_agent_flows_come_back_to_the_stack_and_go_on() {
    if !need_root() {
        return;
    }
    let machine = with_echoes();
    assert!(crosses(&machine));
    kill_agent(&machine);
    ask(&machine, "earth", "8.8.8.8:7", 600);
    sleep(Duration::from_secs(3));
    assert!(by_the_stack(&machine, 50) >= 48);
}

/// What it sends is for that one's hardware address, and the bridge would bring it there.
#[test]
fn a_node_that_routes_for_another_one_of_its_bridge_is_not_passed_by() {
    if !need_root() {
        return;
    }
    let machine = with_echoes();
    let settings = "for which in all default eth0; do sysctl -qw net.ipv4.conf.$which.send_redirects=0; done; \
                    sysctl -qw net.ipv4.ip_forward=1";
    let _ = machine.sh_in("neptune", settings).ok();
    let forwarded = || -> u64 {
        let told = machine.sh_in("neptune", "nstat -asz IpForwDatagrams | awk '/Forw/ {print $2}'").ok();
        told.trim().parse().expect("a number of datagrams")
    };
    assert!(crosses(&machine));
    let _ = machine.sh_in("earth", "ip route replace default via 10.10.0.20").ok();
    let before = (forwarded(), received(&machine, "uplink_out"));
    ask_from(&machine, "earth", 5555, "8.8.8.8:7", 100);
    let (forwarded, by_the_stack) = (forwarded() - before.0, received(&machine, "uplink_out") - before.1);
    assert!(forwarded >= 100, "{forwarded} of 100 went by the node that routes");
    assert!(by_the_stack < 20, "{by_the_stack} of 100 went by the host's stack");
}
