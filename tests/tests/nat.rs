//! The NAT with real clients: what gets through, what must not, and counters that add up.

use netlab_tests::machine::Machine;
use serde_json::Value;

/// Brings up the tutorial's last lab, which has a world, two nodes, a masquerade and two forwards.
fn planets() -> Machine {
    let machine = Machine::new();
    let lab = netlab_tests::machine::workspace().join("examples/4-internet.toml");
    let _ = machine.netlab(["up".as_ref(), lab.as_os_str()]).ok();
    machine
}

fn json(machine: &Machine, arguments: &[&str]) -> Value {
    let text = machine.netlab(arguments.iter().chain(&["-o", "json"])).ok();
    serde_json::from_str(&text).expect("netlab prints JSON")
}

#[test]
fn ping_reaches_the_world_and_each_packet_is_counted_once() {
    let machine = planets();
    let said = machine.sh("ip netns exec earth ping -c3 -i0.2 8.8.8.8").ok();
    assert!(said.contains("3 received, 0% packet loss"), "{said}");

    let flows = json(&machine, &["conntrack", "ls"]);
    let flow = flows["flows"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|flow| flow["protocol"] == "icmp" && flow["original"]["dst"] == "8.8.8.8")
        .expect("the ping's flow");
    assert_eq!(flow["packets"]["original"], 3);
    assert_eq!(flow["packets"]["reply"], 3);
    assert_eq!(flow["bytes"]["original"], 3 * 84, "84 bytes from the IP header on");
    assert_eq!(flow["reply"]["dst"], "192.168.0.108", "hidden behind the uplink's address");

    let masquerades = json(&machine, &["masquerade", "ls"]);
    let counters = &masquerades["masquerades"][0]["counters"];
    assert_eq!(counters["flows"], 1);
    assert_eq!(counters["packets"]["original"], 3);
}

#[test]
fn at_each_hook_received_is_forwarded_plus_passed_plus_dropped() {
    let machine = planets();
    let _ = machine.sh("ip netns exec earth ping -c2 -i0.2 8.8.8.8
         ip netns exec internet curl -s --max-time 5 http://192.168.0.108:3000/
         ip netns exec internet ip route add 10.10.0.0/16 via 192.168.0.108
         ip netns exec internet ping -c2 -i0.2 -W1 10.10.0.10
         ip netns exec internet ping -c2 -i0.2 -W1 192.168.0.108
         ip netns exec earth ping -c1 -W1 -s 3000 8.8.8.8");
    let stats = json(&machine, &["stats"]);
    let number = |hook: &Value, name: &str| hook[name].as_u64().expect("a number");
    for hook in stats["hooks"].as_array().expect("a list") {
        let received = hook["received"]["packets"].as_u64().expect("a number");
        let sum = number(hook, "forwarded") + number(hook, "passed") + number(hook, "dropped");
        assert_eq!(received, sum, "{hook:#}");
        assert!(received > 0, "{hook:#}");
    }
    let text = stats.to_string();
    assert!(text.contains("unsolicited"), "the world's pings of a node were dropped: {text}");
    assert!(text.contains("fragment"), "fragments did not leak: {text}");
}
