//! The tutorial's four labs, from up to down: every check is green, a second `up` changes nothing, no classic
//! tool's state is used, and the machine is afterwards what it was before.

use std::time::Duration;

use netlab_tests::machine::{Machine, example};
use netlab_tests::need::{has_links, patient};

/// Makes and removes an interface of this name in every namespace until every monitor has seen it: what
/// happened before is then in the monitors' output too.
fn all_monitors_see(name: &str) -> String {
    format!(
        "for n in $(ls /run/netns); do
             ip -n $n link add {name} type bridge; ip -n $n link del {name}; grep -q {name} monitor.$n || exit 1
         done"
    )
}

const SECOND: Duration = Duration::from_secs(1);

/// A lab's life; gives the machine while the lab is up to `look`.
fn live(name: &str, look: impl FnOnce(&Machine)) {
    let machine = Machine::new();
    let file = example(name);
    let file = file.to_str().expect("the workspace's path is UTF-8");
    let before = machine.inventory();

    let said = machine.netlab(["up", file]).ok();
    assert!(said.contains(" is up: earth, neptune"), "{said}");
    let checks = machine.netlab(["check"]);
    assert_eq!(checks.code, 0, "{}{}", checks.stdout, checks.stderr);

    // The kernel tells of carriers up to a second late, on a slow machine later.
    std::thread::sleep(patient(SECOND) - SECOND);
    // The agent's pid and age, the neighbours and the rest must stay the same, so nothing at all may happen.
    let up = machine.inventory();
    let monitor =
        "for n in $(ls /run/netns); do ip -4 -n $n -o monitor link address route >>monitor.$n 2>&1 & done";
    let _ = machine.sh(monitor).ok();
    machine.wait_until(&all_monitors_see("first"));
    let again = machine.netlab(["up", file]).ok();
    assert!(again.contains("is up already; nothing was changed"), "{again}");
    machine.wait_until(&all_monitors_see("second"));
    let _ = machine.sh("kill $(pidof ip)").ok();
    machine.is_as_before(&up).expect("the second `up` changes nothing");
    let events = machine.sh("cat monitor.* | grep -v 'first\\|second'").stdout;
    assert_eq!(events, "", "the kernel saw the second `up` change something");

    look(&machine);
    let objects = machine.bpf_objects();
    let said = machine.netlab(["down"]).ok();
    assert!(said.ends_with(" is down\n"), "{said}");
    machine.are_freed(&objects);
    machine.is_as_before(&before).expect("`down` leaves the machine as it was");
}

#[test]
fn the_pair_comes_and_goes() {
    live("1-pair.toml", |machine| {
        assert_eq!(machine.bpf_objects(), [], "a lab without an uplink has no NAT");
    });
}

#[test]
fn the_bridge_comes_and_goes() {
    live("2-bridge.toml", |machine| {
        let refused = machine.sh_in("earth", "ping -c1 -W1 192.168.0.108").fails(2);
        assert!(refused.contains("Network is unreachable"), "{refused}");
    });
}

#[test]
fn the_gateway_comes_and_goes() {
    live("3-host.toml", |machine| {
        let page = machine.sh_in("neptune", "curl -sS --max-time 5 http://10.10.0.10:8000/").ok();
        assert!(page.contains("<html"), "{page}");
    });
}

#[test]
fn the_internet_comes_and_goes() {
    live("4-internet.toml", |machine| {
        let objects = machine.bpf_objects();
        for kind in ["link", "prog", "map"] {
            if kind == "link" && !has_links() {
                continue;
            }
            assert!(objects.iter().any(|(found, _)| *found == kind), "no {kind} is pinned: {objects:?}");
        }
    });
}

#[test]
fn the_nodes_are_the_namespaces_that_iproute2_knows() {
    let machine = Machine::with_example("4-internet.toml");
    let listed = machine.sh("ip netns").ok();
    let mut names: Vec<_> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["earth", "internet", "neptune", "planet-host"]);
    let said = machine.sh("ip netns exec earth ping -c3 -i0.2 8.8.8.8").ok();
    assert!(said.contains("3 packets transmitted, 3 received, 0% packet loss"), "{said}");
    let said = machine.sh("ip -n earth route").ok();
    assert!(said.contains("default via 10.10.0.1 dev earth-veth"), "{said}");
}

#[test]
fn nothing_is_left_to_netfilter_while_traffic_flows() {
    let machine = Machine::with_example("4-internet.toml");
    let _ = machine
        .sh("ip netns exec earth ping -c2 -i0.2 8.8.8.8
             ip netns exec internet curl -sS --max-time 5 http://192.168.0.108:3000/
             ip netns exec neptune curl -sS --max-time 5 http://192.168.0.108:8000/")
        .ok();
    for namespace in ["planet-host", "earth", "neptune", "internet"] {
        assert_eq!(machine.sh_in(namespace, "nft list ruleset").ok(), "", "nft in {namespace}");
        let rules = machine.sh_in(namespace, "iptables-save").ok();
        assert!(!rules.contains("-A "), "iptables in {namespace}: {rules}");
        assert_eq!(machine.sh_in(namespace, "conntrack -C").ok().trim(), "0", "conntrack in {namespace}");
    }
    let flows = machine.json(&["conntrack", "ls"]);
    assert_eq!(flows["flows"].as_array().map(Vec::len), Some(3), "while netlab has its own: {flows:#}");
}
