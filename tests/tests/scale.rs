//! Many nodes: 250 of them on one bridge come up, talk, and go away again. How long it takes is printed, and
//! nothing is asserted about it.

use std::fmt::Write as _;
use std::time::Instant;

use netlab_tests::machine::Machine;

/// A lab of this many nodes on one bridge, with a masquerade for them all.
fn crowd(count: u32) -> String {
    let mut lab = String::from(
        r#"
version = 1
name = "crowd"
[host]
namespace = "crowd-host"
uplink = "eth0"
forwarding = true
[bridge.square]
address = "10.10.0.1/16"
[node.internet]
links = [{ to = "host", name = "eth0", address = "192.168.0.1/24", peer = { name = "eth0", address = "192.168.0.108/24" } }]
[[masquerade]]
from = "square"
"#,
    );
    for node in 0..count {
        let address = format!("10.10.{}.{}", 1 + node / 200, 1 + node % 200);
        write!(lab, "[node.n{node}]\nlinks = [{{ to = \"square\", address = \"{address}/16\" }}]\n")
            .expect("writing to a string cannot fail");
    }
    lab
}

fn come_and_go(count: u32) {
    let machine = Machine::new();
    machine.write("lab.toml", &crowd(count));
    let before = machine.inventory();
    let start = Instant::now();
    let _ = machine.netlab(["up"]).ok();
    let up = start.elapsed();

    let last = count - 1;
    for (from, to) in [(0, last), (last, 0)] {
        let said =
            machine.netlab(["exec", &format!("n{from}"), "ping", "-c1", "-W2", &format!("n{to}")]).ok();
        assert!(said.contains("1 received"), "{said}");
    }
    let said = machine.netlab(["exec", &format!("n{last}"), "ping", "-c1", "-W2", "192.168.0.1"]).ok();
    assert!(said.contains("1 received"), "{said}");
    let status = machine.json(&["status"]);
    assert_eq!(status["nodes"].as_array().map(Vec::len), Some(count as usize + 1));
    let processes = machine.sh("pgrep -cx netlab").ok();
    assert_eq!(processes, "1\n", "one agent, and no process a node");

    let start = Instant::now();
    let _ = machine.netlab(["down"]).ok();
    println!("{count} nodes: up in {up:.2?}, down in {:.2?}", start.elapsed());
    machine.is_as_before(&before).expect("nothing of them is left");
}

#[test]
fn two_hundred_and_fifty_nodes_come_and_go() {
    come_and_go(250);
}

#[test]
#[ignore = "long: a bridge takes 1023 ports at the most"]
fn a_thousand_nodes_come_and_go() {
    come_and_go(1000);
}
