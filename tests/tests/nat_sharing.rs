//! Many clients behind one address: ports and echo identifiers are kept where they are free, told apart where
//! they are not, and nothing is lost when many connections begin at once.

use std::collections::BTreeSet;

use netlab_tests::labs::PORTS;
use netlab_tests::machine::Machine;
use serde_json::Value;

fn flows(machine: &Machine, protocol: &str) -> Vec<Value> {
    let flows = machine.json(&["conntrack", "ls"]);
    let flows = flows["flows"].as_array().expect("a list").iter();
    flows.filter(|flow| flow["protocol"] == protocol).cloned().collect()
}

/// The ports, or echo identifiers, at which the world sees the flows.
fn seen_at(flows: &[Value]) -> BTreeSet<u64> {
    flows.iter().filter_map(|flow| flow["reply"]["dport"].as_u64()).collect()
}

/// The port that the world's server says it saw.
fn port_in(answer: &str) -> u16 {
    let port = answer.strip_prefix("internet saw 192.168.0.108:").and_then(|rest| rest.split(' ').next());
    port.and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("not an answer: {answer:?}"))
}

#[test]
fn a_source_port_is_kept_while_it_is_free() {
    let machine = Machine::with_lab(PORTS);
    let udp = machine.sh_in("earth", "echo a | nc -u -p 33333 -W1 -w5 8.8.8.8 53").ok();
    let tcp = machine.sh_in("earth", "echo a | nc -p 33334 -N -w5 8.8.8.8 80").ok();
    assert_eq!([port_in(&udp), port_in(&tcp)], [33333, 33334]);
}

#[test]
fn two_nodes_with_one_source_port_are_told_apart_by_the_world() {
    let machine = Machine::with_lab(PORTS);
    for (kind, client) in
        [("udp", "nc -u -p 33333 -W1 -w5 8.8.8.8 53"), ("tcp", "nc -p 33333 -N -w5 8.8.8.8 80")]
    {
        let ask = |node: &str| port_in(&machine.sh_in(node, &format!("echo {node} | {client}")).ok());
        let ports = [ask("earth"), ask("neptune"), ask("mars")];
        assert_eq!(ports[0], 33333, "the first one keeps its port");
        assert_eq!(BTreeSet::from(ports).len(), 3, "{kind}: {ports:?}");
        assert_eq!(seen_at(&flows(&machine, kind)), BTreeSet::from(ports.map(u64::from)), "{kind}");
    }
}

#[test]
fn one_client_port_on_two_forwards_to_one_server_gives_two_conversations() {
    let machine = Machine::with_lab(PORTS);
    let ask = |port: u16| {
        machine.sh_in("internet", &format!("echo {port} | nc -u -p 40000 -W1 -w5 192.168.0.108 {port}")).ok()
    };
    let answers = [ask(5353), ask(5454), ask(5353)];
    assert_eq!(answers[0], "earth saw 192.168.0.1:40000 say 5353\n");
    assert_eq!(answers[2], answers[0]);
    // Both are answered from one port of earth's to one of the client's, so the second client port must give way.
    assert!(answers[1].starts_with("earth saw 192.168.0.1:") && answers[1].ends_with("say 5454\n"));
    assert_ne!(answers[1].replace("5454", ""), answers[0].replace("5353", ""));
}

#[test]
fn two_pings_with_one_identifier_are_told_apart_by_the_world() {
    let machine = Machine::with_lab(PORTS);
    let said = machine
        .sh("for node in earth neptune mars; do
               ip netns exec $node ping -e 4242 -c3 -i0.1 -W2 8.8.8.8 >$node.out & pids=\"$pids $!\"
             done
             wait $pids; cat earth.out neptune.out mars.out")
        .ok();
    assert_eq!(said.matches("3 received, 0% packet loss").count(), 3, "{said}");
    let seen = seen_at(&flows(&machine, "icmp"));
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert!(seen.contains(&4242), "the first one keeps its identifier: {seen:?}");
}

#[test]
fn many_connections_at_once_all_succeed() {
    let machine = Machine::with_lab(PORTS);
    machine.write("big", &"netlab".repeat(1000));
    let serve = "python3 -m http.server --bind 8.8.8.8 8888 >/dev/null 2>&1 </dev/null &";
    let _ = machine.sh_in("internet", serve).ok();
    machine.wait_until("ip netns exec internet nc -z 8.8.8.8 8888");
    let fetch = "seq 200 | xargs -P20 -I{} curl -sS --max-time 20 -o /dev/null -w '%{size_download}\n' \
                 http://8.8.8.8:8888/big | sort | uniq -c";
    let both = format!(
        "ip netns exec earth bash -c \"{fetch}\" >earth.out & ip netns exec mars bash -c \"{fetch}\" >mars.out
         wait %1; cat earth.out mars.out"
    );
    let said = machine.sh(&both).ok();
    let lines: Vec<_> = said.lines().map(str::trim).collect();
    assert_eq!(lines, ["200 6000"; 2], "{said}");
    let masquerades = machine.json(&["masquerade", "ls"]);
    for masquerade in masquerades["masquerades"].as_array().expect("a list") {
        assert_eq!(masquerade["counters"]["flows"], 200, "{masquerade:#}");
    }
    let stats = machine.netlab(["stats"]).ok();
    for line in stats.lines().filter(|line| line.contains("received =")) {
        assert!(line.ends_with("+ 0 dropped"), "{stats}");
    }
}
