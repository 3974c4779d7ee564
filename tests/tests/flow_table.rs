//! `netlab conntrack`: listing, counting and ending flows of real clients.

use netlab_tests::machine::Machine;
use serde_json::json;

/// The planets, with an answered ping, an unanswered datagram and two finished downloads.
fn busy() -> Machine {
    let machine = Machine::with_example("4-internet.toml");
    let _ = machine
        .sh("ip netns exec earth ping -c1 8.8.8.8
             ip netns exec neptune bash -c 'echo a >/dev/udp/8.8.8.8/9'
             for port in 3000 8000; do
                 ip netns exec internet curl -sS http://192.168.0.108:$port/
             done")
        .ok();
    machine
}

fn count(machine: &Machine, options: &str) -> u64 {
    let said = machine.sh(&format!("$NETLAB conntrack count {options}")).ok();
    said.trim().parse().unwrap_or_else(|_| panic!("not a number: {said}"))
}

#[test]
fn flows_are_chosen_by_what_conntrack_tools_call_it() {
    let machine = busy();
    for (options, flows) in [
        ("", 4),
        ("-p icmp", 1),
        ("--proto 6", 2),
        ("-p tcp --dport 3000", 1),
        ("--dport 3000-8000", 2),
        ("-s 10.10.0.0/16", 2),
        ("-s 10.10.0.10 -d 8.8.8.8", 1),
        ("--reply-src 10.10.0.10 --reply-sport 8000", 2),
        ("--reply-dst 192.168.0.108", 2),
        ("--state unreplied", 1),
        ("--state UNREPLIED --state REPLIED", 2),
        ("--rule 1", 1),
        ("-p udp --dport 80", 0),
    ] {
        assert_eq!(count(&machine, options), flows, "{options}");
        let list = machine.sh(&format!("$NETLAB conntrack ls {options}")).ok();
        let last = if flows == 1 { "1 flow".to_owned() } else { format!("{flows} flows") };
        assert_eq!(list.lines().last(), Some(&*last), "{options}: {list}");
        let lines = machine.sh(&format!("$NETLAB conntrack ls {options} -o conntrack")).ok();
        assert_eq!(lines.lines().count() as u64, flows, "{options}: {lines}");
    }
    let list = machine.netlab(["conntrack", "ls", "--limit", "3"]).ok();
    assert!(list.ends_with("\n3 flows\n"), "{list}");
}

#[test]
fn flows_are_counted_by_what_they_have_in_common() {
    let machine = busy();
    let table = machine.netlab(["conntrack", "count", "--by", "source"]).ok();
    assert_eq!(
        table,
        "SOURCE       FLOWS\n192.168.0.1      2\n10.10.0.10       1\n10.10.0.20       1\n4 flows\n"
    );
    let rules = machine.json(&["conntrack", "count", "--by", "rule"]);
    assert_eq!(
        rules,
        json!({
            "schema": "netlab.conntrack.count/1",
            "lab": "planets",
            "flows": 4,
            "by": "rule",
            "counts": [
                { "value": 0, "flows": 2 }, { "value": 1, "flows": 1 }, { "value": 2, "flows": 1 }
            ],
        })
    );
}

#[test]
fn ended_flows_are_gone_and_the_others_are_not() {
    let machine = busy();
    assert_eq!(machine.sh("$NETLAB conntrack rm -p tcp --dport 3000").ok(), "1 flow ended\n");
    assert_eq!(machine.sh("$NETLAB conntrack rm -p tcp --dport 3000").ok(), "0 flows ended\n");
    assert_eq!([count(&machine, ""), count(&machine, "-p tcp")], [3, 1]);
    assert_eq!(machine.json(&["conntrack", "flush"])["ended"], 3);
    assert_eq!(machine.netlab(["conntrack", "ls"]).ok(), "0 flows\n");
    assert_eq!(machine.json(&["conntrack", "ls"])["flows"], json!([]));

    let _ = machine.sh_in("earth", "ping -c2 -i0.2 8.8.8.8").ok();
    let _ = machine.sh_in("internet", "curl -sS --max-time 5 http://192.168.0.108:3000/").ok();
    assert_eq!(count(&machine, ""), 2, "new flows take the place of those that were ended");
}

#[test]
fn without_a_filter_rm_ends_nothing_and_names_flush() {
    let machine = busy();
    let said = machine.netlab(["conntrack", "rm"]).fails(2);
    assert!(said.contains("netlab conntrack flush"), "{said}");
    assert_eq!(count(&machine, ""), 4);
    let said = machine.netlab(["conntrack", "ls", "--state", "open"]).fails(2);
    assert!(said.contains("SYN_SENT, SYN_RECV, ESTABLISHED"), "{said}");
}

#[test]
fn a_lab_without_an_uplink_has_no_flows() {
    let machine = Machine::with_example("2-bridge.toml");
    assert_eq!(machine.netlab(["conntrack", "ls"]).ok(), "0 flows\n");
    assert_eq!(machine.netlab(["conntrack", "count"]).ok(), "0\n");
    assert_eq!(machine.netlab(["conntrack", "flush"]).ok(), "0 flows ended\n");
}
