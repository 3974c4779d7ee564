//! First packets of flows, and those that open and close connections, cross the host past its stack too; the stack's own
//! count of what it has forwarded shows that.

use netlab_tests::attack::{MASQUERADES, lab};
use netlab_tests::machine::Machine;
use netlab_tests::need::need_root;

/// A lab with servers: an echo of datagrams in the world, one in earth behind a forward, and a web server in the world.
fn with_servers() -> Machine {
    let machine = lab(&format!("{MASQUERADES}[[forward]]\npublish = \"8000:earth:80/udp\"\n"));
    for (node, command, port) in [
        ("internet", "python3 echo.py internet udp:8.8.8.8:7", 7),
        ("earth", "python3 echo.py earth udp:10.10.0.10:80", 80),
        ("internet", "python3 -m http.server 8080", 8080),
    ] {
        let _ = machine.sh(&format!("$NETLAB exec {node} -- {command} >/dev/null 2>&1 </dev/null &")).ok();
        machine.wait_until(&format!("ip netns exec {node} ss -lnH | grep -q :{port}"));
    }
    machine
}

/// Asks so many times, each time from a new socket.
fn ask(machine: &Machine, from: &str, to: &str, times: u32) {
    let (address, port) = to.split_once(':').expect("an address and a port");
    let script = format!(
        "python3 - <<'END'
import socket
for i in range({times}):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3); s.connect((\"{address}\", {port}))
    s.send(b'%d' % i); assert s.recv(999).endswith(b'say %d' % i), i
END"
    );
    let _ = machine.sh_in(from, &script).ok();
}

/// What the host's stack forwards meanwhile.
fn forwarded(machine: &Machine, meanwhile: impl FnOnce()) -> u64 {
    let count = || -> u64 {
        let text = machine.sh_in("attack-host", "awk '/^Ip: [0-9]/ {print $7}' /proc/net/snmp").ok();
        text.trim().parse().expect("the stack counts what it forwards")
    };
    let before = count();
    meanwhile();
    count() - before
}

#[test]
fn new_flows_of_both_directions_cross_past_the_stack() {
    if !need_root() {
        return;
    }
    let machine = with_servers();
    // Somebody has to show the way.
    ask(&machine, "earth", "8.8.8.8:7", 5);
    let out = forwarded(&machine, || ask(&machine, "earth", "8.8.8.8:7", 100));
    assert!(out < 40, "{out} of 200 packets by the stack\n{}", machine.netlab(["stats"]).ok());
    let within = forwarded(&machine, || ask(&machine, "internet", "192.168.0.108:8000", 100));
    assert!(within < 40, "{within} of 200 packets by the stack\n{}", machine.netlab(["stats"]).ok());
    // Both hooks have seen the first packets all the same; a socket may get the port of an earlier one, and its flow.
    let stats = machine.json(&["stats"]);
    let hooks = stats["hooks"].as_array().expect("hooks");
    let hook = hooks.iter().find(|hook| hook["hook"] == "uplink_out").expect("it is there");
    let verdicts = hook["verdicts"].as_array().expect("verdicts");
    let created = verdicts.iter().find(|one| one["name"] == "created").expect("flows were created");
    assert!(created["packets"].as_u64() >= Some(90), "{created}");
}

#[test]
fn connections_open_and_close_past_the_stack() {
    if !need_root() {
        return;
    }
    let machine = with_servers();
    let fetch = || {
        let script =
            "for i in $(seq 20); do curl -s -o /dev/null --max-time 5 http://8.8.8.8:8080/ || exit 1; done";
        let _ = machine.sh_in("earth", script).ok();
    };
    fetch();
    let by_the_stack = forwarded(&machine, fetch);
    assert!(by_the_stack < 60, "{by_the_stack} of some 200 packets\n{}", machine.netlab(["stats"]).ok());
}

/// The host's stack would ask where a packet came from; so each first one is its to see.
#[test]
fn a_host_that_filters_reverse_paths_strictly_sees_every_first_packet() {
    if !need_root() {
        return;
    }
    let machine = with_servers();
    let _ = machine.sh_in("attack-host", "sysctl -qw net.ipv4.conf.all.rp_filter=1").ok();
    ask(&machine, "earth", "8.8.8.8:7", 5);
    machine.wait_until("sleep 2.5; true");
    let by_the_stack = forwarded(&machine, || ask(&machine, "earth", "8.8.8.8:7", 50));
    // The answers go that way, too: each is the first of its flow to come.
    assert!(by_the_stack >= 95, "{by_the_stack} of 100 first packets");
}
