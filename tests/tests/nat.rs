//! The NAT with real clients: what gets through, from where, by which port, and whom each side sees.

use netlab_tests::capture::Capture;
use netlab_tests::labs::PORTS;
use netlab_tests::machine::Machine;
use netlab_tests::need::has_links;
use serde_json::Value;

fn planets() -> Machine {
    Machine::with_example("4-internet.toml")
}

fn flows(machine: &Machine) -> Vec<Value> {
    machine.json(&["conntrack", "ls"])["flows"].as_array().expect("a list").clone()
}

#[test]
fn ping_reaches_the_world_and_each_packet_is_counted_once() {
    let machine = planets();
    let said = machine.sh_in("earth", "ping -c3 -i0.2 8.8.8.8").ok();
    assert!(said.contains("3 received, 0% packet loss"), "{said}");

    let flows = flows(&machine);
    let flow = flows
        .iter()
        .find(|flow| flow["protocol"] == "icmp" && flow["original"]["dst"] == "8.8.8.8")
        .expect("the ping's flow");
    assert_eq!(flow["original"]["packets"], 3);
    assert_eq!(flow["reply"]["packets"], 3);
    assert_eq!(flow["original"]["bytes"], 3 * 84, "84 bytes from the IP header on");
    assert_eq!(flow["reply"]["dst"], "192.168.0.108", "hidden behind the uplink's address");

    let masquerades = machine.json(&["masquerade", "ls"]);
    let counters = &masquerades["masquerades"][0]["counters"];
    assert_eq!(counters["flows"], 1);
    assert_eq!(counters["packets"]["original"], 3);
}

#[test]
fn a_nodes_web_server_is_fetched_from_the_world_from_a_neighbour_and_from_the_host() {
    let machine = planets();
    let page = std::fs::read_to_string(netlab_tests::machine::example("site/index.html")).expect("the page");
    for (namespace, url) in [
        ("internet", "http://192.168.0.108:8000/"),
        ("internet", "http://192.168.0.108:3000/"),
        ("neptune", "http://192.168.0.108:8000/"),
        ("neptune", "http://192.168.0.108:3000/"),
        ("planet-host", "http://10.10.0.10:8000/"),
    ] {
        let got = machine.sh_in(namespace, &format!("curl -sS --max-time 5 {url}")).ok();
        assert_eq!(got, page, "{url} from {namespace}");
    }
    let log = machine.sh("cat /run/netlab/planets/log/earth-0.log").ok();
    assert_eq!(log.matches("192.168.0.1 - ").count(), 2, "earth sees the world's own address: {log}");
    assert_eq!(log.matches("10.10.0.20 - ").count(), 2, "and neptune's: {log}");
}

#[test]
fn a_udp_forward_works_in_both_directions_with_and_without_a_host_address() {
    let machine = Machine::with_lab(PORTS);
    // nc connects its socket, so it takes only answers that come from where it asked.
    for (namespace, server, client, port) in [
        ("internet", "192.168.0.108 5353", "192.168.0.1", 40001),
        ("internet", "192.168.0.108 5454", "192.168.0.1", 40002),
        ("neptune", "192.168.0.108 5353", "10.10.0.20", 40003),
        ("neptune", "10.10.0.1 5454", "10.10.0.20", 40004),
        ("mars", "192.168.0.108 5454", "10.20.0.30", 40005),
    ] {
        let script = format!("echo hello | nc -u -p {port} -W1 -w5 {server}");
        let said = machine.sh_in(namespace, &script).ok();
        assert_eq!(said, format!("earth saw {client}:{port} say hello\n"), "{server} from {namespace}");
    }
    let forwards = machine.json(&["forward", "ls"]);
    assert_eq!(forwards["forwards"][0]["counters"]["flows"], 2, "{forwards:#}");
    assert_eq!(forwards["forwards"][1]["counters"]["flows"], 3, "{forwards:#}");
}

#[test]
fn a_forward_for_any_address_is_reached_by_the_bridges_address_from_a_node() {
    let machine = Machine::with_lab(PORTS);
    let said = machine.sh_in("neptune", "echo hello | nc -N -w5 10.10.0.1 8080").ok();
    assert!(said.starts_with("earth saw 10.10.0.20:"), "{said}");
}

#[test]
fn a_range_of_ports_leads_to_a_range_and_ends_where_it_ends() {
    let machine = Machine::with_lab(PORTS);
    for port in [9000, 9010] {
        let said = machine.sh_in("internet", &format!("echo hello | nc -N -w5 192.168.0.108 {port}")).ok();
        assert!(said.starts_with("neptune saw 192.168.0.1:"), "{said}");
    }
    let refused = machine.sh_in("internet", "nc -zv -w5 192.168.0.108 9011");
    assert!(refused.stderr.contains("refused"), "{}", refused.stderr);
}

#[test]
fn nodes_on_two_bridges_reach_each_others_forwards() {
    let machine = Machine::with_lab(PORTS);
    let said = machine.sh_in("mars", "echo hello | nc -N -w5 192.168.0.108 8080").ok();
    assert!(said.starts_with("earth saw 10.20.0.30:"), "{said}");
    let said = machine.sh_in("earth", "echo hello | nc -N -w5 192.168.0.108 7000").ok();
    assert!(said.starts_with("mars saw 10.10.0.10:"), "{said}");
}

#[test]
fn the_flow_table_shows_both_sides_of_each_flow() {
    let machine = Machine::with_lab(PORTS);
    let _ = machine.sh_in("earth", "echo out | nc -u -p 41000 -W1 -w5 8.8.8.8 53").ok();
    let _ = machine.sh_in("internet", "echo in | nc -u -p 42000 -W1 -w5 192.168.0.108 5353").ok();

    let flows = flows(&machine);
    let sides = |flow: &Value| {
        ["original", "reply"].map(|side| {
            let side = &flow[side];
            format!("{}:{}>{}:{}", side["src"], side["sport"], side["dst"], side["dport"]).replace('"', "")
        })
    };
    let all: Vec<_> = flows.iter().map(sides).collect();
    let out = ["10.10.0.10:41000>8.8.8.8:53", "8.8.8.8:53>192.168.0.108:41000"].map(str::to_owned);
    let into = ["192.168.0.1:42000>192.168.0.108:5353", "10.10.0.10:53>192.168.0.1:42000"].map(str::to_owned);
    assert!(all.contains(&out), "{all:?}");
    assert!(all.contains(&into), "{all:?}");
    for flow in &flows {
        assert_eq!([&flow["original"]["packets"], &flow["reply"]["packets"]], [1, 1], "{flow:#}");
    }

    let table = machine.netlab(["conntrack", "ls"]).ok();
    for words in [
        "10.10.0.10:41000 > 8.8.8.8:53",
        "8.8.8.8:53 > 192.168.0.108:41000",
        "192.168.0.1:42000 > 192.168.0.108:5353",
        "10.10.0.10:53 > 192.168.0.1:42000",
        "masq 0",
        "fwd 2",
        "2 flows",
    ] {
        assert!(table.contains(words), "{words} is not in\n{table}");
    }
}

#[test]
fn flows_rules_and_what_the_clients_sent_add_up() {
    let machine = Machine::with_lab(PORTS);
    let wire = Capture::start(&machine, "internet", "eth0");
    let _ = machine
        .sh_in(
            "earth",
            "for i in 1 2 3; do echo out | nc -u -W1 -w5 8.8.8.8 53; done
             echo out | nc -N -w5 8.8.8.8 80
             ping -c4 -i0.05 8.8.8.8",
        )
        .ok();
    let _ = machine.sh_in("internet", "for i in 1 2; do echo in | nc -N -w5 192.168.0.108 8080; done").ok();
    let wire = wire.stop();

    let sum = |value: &Value, list: &str, pointer: &str| -> u64 {
        let items = value[list].as_array().expect("a list");
        items.iter().map(|item| item.pointer(pointer).and_then(Value::as_u64).expect(pointer)).sum()
    };
    let flows = machine.json(&["conntrack", "ls"]);
    let forwards = machine.json(&["forward", "ls"]);
    let masquerades = machine.json(&["masquerade", "ls"]);
    for (what, side) in
        [("packets", "original"), ("packets", "reply"), ("bytes", "original"), ("bytes", "reply")]
    {
        let counters = format!("/counters/{what}/{side}");
        let rules = sum(&forwards, "forwards", &counters) + sum(&masquerades, "masquerades", &counters);
        let of_flows = sum(&flows, "flows", &format!("/{side}/{what}"));
        assert_eq!(of_flows, rules, "{what} {side}: {flows:#}{forwards:#}{masquerades:#}");
    }
    assert_eq!(sum(&masquerades, "masquerades", "/counters/flows"), 5);
    assert_eq!(sum(&forwards, "forwards", "/counters/flows"), 2);

    let per = |pointer: &str| sum(&flows, "flows", pointer);
    let nat = "(udp or tcp or icmp) and host 192.168.0.108";
    let seen = wire.count(nat) as u64;
    assert_eq!(
        per("/original/packets") + per("/reply/packets"),
        seen,
        "on the wire: {:#?}",
        wire.packets(nat)
    );
    assert_eq!(
        wire.count("net 10.10.0.0/16 or net 10.20.0.0/16"),
        0,
        "{:#?}",
        wire.packets("net 10.0.0.0/8")
    );
}

#[test]
fn a_lab_without_counters_translates_all_the_same_and_says_so() {
    let machine = Machine::with_lab(&PORTS.replacen("[host]", "[host]\ncounters = false", 1));
    let _ = machine.sh_in("earth", "ping -c4 -i0.05 8.8.8.8").ok();
    let stats = machine.json(&["stats"]);
    for hook in stats["hooks"].as_array().expect("hooks") {
        assert_eq!(hook["received"]["packets"], 0, "{stats:#}");
    }
    let flow = &flows(&machine)[0];
    assert_eq!(
        (&flow["original"]["packets"], &flow["original"]["bytes"]),
        (&0.into(), &0.into()),
        "{flow:#}"
    );
    assert!(machine.netlab(["status"]).ok().contains("aside: packets and bytes are not counted"));
}

#[test]
fn at_each_hook_received_is_forwarded_plus_passed_plus_dropped() {
    let machine = planets();
    let _ = machine.sh("ip netns exec earth ping -c2 -i0.2 8.8.8.8
         ip netns exec internet curl -s --max-time 5 http://192.168.0.108:3000/
         ip netns exec internet ip route add 10.10.0.0/16 via 192.168.0.108
         ip netns exec internet ping -c2 -i0.2 -W1 10.10.0.10
         ip netns exec internet ping -c2 -i0.2 -W1 192.168.0.108
         ip netns exec earth ping -c1 -W1 -s 3000 8.8.8.8
         ip netns exec planet-host curl -s --max-time 5 http://192.168.0.108:3000/
         ip netns exec earth ping -c1 -W1 -t1 8.8.8.8");
    let stats = machine.json(&["stats"]);
    let number = |hook: &Value, name: &str| hook[name].as_u64().expect("a number");
    for hook in stats["hooks"].as_array().expect("a list") {
        let received = hook["received"]["packets"].as_u64().expect("a number");
        let sum = number(hook, "forwarded") + number(hook, "passed") + number(hook, "dropped");
        assert_eq!(received, sum, "{hook:#}");
        // Without links there is no program on the loopback interface.
        assert!(received > 0 || (hook["hook"] == "local_out" && !has_links()), "{hook:#}");
    }
    let text = stats.to_string();
    assert!(text.contains("unsolicited"), "the world's pings of a node were dropped: {text}");
}
