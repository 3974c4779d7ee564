//! A lab with a router on either side of the host, for what only shows on longer ways: hops, widths, errors from
//! those in between.
//!
//! ```text
//!  moon ─── gate ─┐                                   203.0.113.0/24
//!  10.30.0.10     left 10.10.0.1 ─ host ─ isp ────────────────────── internet, 8.8.8.8
//!  earth ─────────┘        192.168.0.108   192.168.0.1
//! ```

use crate::machine::Machine;

/// The lab's file; what is in braces is the test's.
const LAB: &str = r#"
version = 1
name = "hops"
[host]
namespace = "hops-host"
uplink = "eth0"
forwarding = true
routes = [{ to = "default", via = "192.168.0.1" }, { to = "10.30.0.0/24", via = "10.10.0.30" }]
[bridge.left]
address = "10.10.0.1/16"
[node.earth]
links = [{ to = "left", address = "10.10.0.10/16" }]
run = "exec python3 echo.py earth udp:0.0.0.0:53 tcp:0.0.0.0:80"
wait = ["udp:53", "tcp:80"]
[node.neptune]
links = [{ to = "left", address = "10.10.0.20/16" }]
[node.gate]
links = [{ to = "left", address = "10.10.0.30/16" }]
sysctl = { "net.ipv4.ip_forward" = 1 }
[node.moon]
links = [{ to = "gate", address = "10.30.0.10/24", peer = { name = "in", address = "10.30.0.1/24"{inner} } }]
gateway = "10.30.0.1"
run = "exec python3 echo.py moon udp:0.0.0.0:53 tcp:0.0.0.0:80"
wait = ["udp:53", "tcp:80"]
[node.isp]
links = [{ to = "host", name = "eth0", address = "192.168.0.1/24", peer = { name = "eth0", address = "192.168.0.108/24" } }]
routes = [{ to = "8.8.8.8", via = "203.0.113.8" }]
sysctl = { "net.ipv4.ip_forward" = 1 }
[node.internet]
links = [{ to = "isp", name = "eth0", address = "203.0.113.8/24", peer = { name = "far", address = "203.0.113.1/24"{outer} } }]
loopback = "8.8.8.8/32"
gateway = "203.0.113.1"
run = "exec python3 echo.py internet udp:8.8.8.8:53 tcp:8.8.8.8:80"
wait = ["udp:53", "tcp:80"]
[[masquerade]]
from = "10.10.0.0/16"
[[masquerade]]
from = "10.30.0.0/24"
[[forward]]
publish = "8080:moon:80"
[[forward]]
publish = "5353:moon:53/udp"
[[forward]]
publish = "8081:earth:80"
[[forward]]
publish = "5354:earth:53/udp"
[[forward]]
publish = "5355:earth:9/udp"
"#;

/// The lab, up. `inner` and `outer` go on with the routers' ends of the cables to moon
/// and to the world's end.
pub fn lab(inner: &str, outer: &str) -> Machine {
    Machine::with_lab(&LAB.replace("{inner}", inner).replace("{outer}", outer))
}

/// How many packets came to a verdict at a hook.
///
/// # Panics
/// When `stats` fails.
pub fn verdict(machine: &Machine, hook: &str, name: &str) -> u64 {
    let stats = machine.json(&["stats"]);
    let hooks = stats["hooks"].as_array().expect("a list").iter();
    let all = hooks
        .filter(|one| one["hook"] == hook)
        .flat_map(|hook| hook["verdicts"].as_array().into_iter().flatten());
    all.filter(|verdict| verdict["name"] == name).filter_map(|verdict| verdict["packets"].as_u64()).sum()
}

/// How often an event happened.
///
/// # Panics
/// When `status` fails.
pub fn event(machine: &Machine, name: &str) -> u64 {
    machine.json(&["status"])["datapath"]["events"][name].as_u64().unwrap_or(0)
}

/// Runs a script of scapy's in a node, with the raw sockets and names that it has; gives what it prints.
///
/// # Panics
/// When it fails.
pub fn scapy(machine: &Machine, node: &str, script: &str) -> String {
    let head = "import logging; logging.getLogger('scapy.runtime').setLevel(logging.ERROR)\n\
                from scapy.all import *\nconf.verb = 0\n";
    let name = format!("{node}.py");
    machine.write(&name, &format!("{head}{script}\n"));
    machine.sh_in(node, &format!("python3 {name}")).ok()
}
