//! What the agent finds out about a host's stack before packets pass by it: firewalls, captures. Each look is
//! taken in a namespace of its own, in which nothing is at first.

use netlab_agent::netlink::{captures, firewall};
use netlab_tests::capture::Capture;
use netlab_tests::inside::inside;
use netlab_tests::machine::Machine;
use netlab_tests::need::{need_kernel, need_root};

/// A namespace `stack` with two ends of a veth, `one` and `two`.
fn machine() -> Machine {
    let machine = Machine::new();
    let _ = machine
        .sh("ip netns add stack; ip -n stack link add one type veth peer name two
             ip -n stack link set lo up; ip -n stack link set one up; ip -n stack link set two up")
        .ok();
    machine
}

/// Who looks at what passes through the stack, of which `one` is the lab's.
fn firewalls(machine: &Machine) -> Vec<String> {
    inside(machine, "stack", || firewall::looks_at_forwarded(&["one".to_owned()]).expect("a list"))
}

fn nft(machine: &Machine, rules: &str) {
    let _ = machine.sh_in("stack", &format!("nft -f - <<'END'\n{rules}\nEND")).ok();
}

#[test]
fn chains_count_that_have_rules_or_drop_and_are_on_the_way_through() {
    if !need_root() {
        return;
    }
    let machine = machine();
    assert_eq!(firewalls(&machine), Vec::<String>::new());
    nft(
        &machine,
        "add table inet quiet
         add chain inet quiet aside
         add rule inet quiet aside drop
         add chain inet quiet in { type filter hook input priority 0; policy drop; }
         add rule inet quiet in counter
         add chain inet quiet out { type filter hook output priority 0; }
         add rule inet quiet out counter
         add chain inet quiet through { type filter hook forward priority 0; policy accept; }
         add table ip6 six
         add chain ip6 six through { type filter hook forward priority 0; policy drop; }
         add table arp arps
         add chain arp arps in { type filter hook input priority 0; policy drop; }
         add table netdev theirs
         add chain netdev theirs in { type filter hook ingress device two priority 0; }
         add rule netdev theirs in counter",
    );
    assert_eq!(firewalls(&machine), Vec::<String>::new(), "none of these sees or stops what is on its way");
    nft(
        &machine,
        "add rule inet quiet through counter
         add table ip drops
         add chain ip drops f { type filter hook forward priority 1; policy drop; }
         add table ip nat
         add chain ip nat post { type nat hook postrouting priority 100; }
         add rule ip nat post masquerade
         add table bridge br
         add chain bridge br pre { type filter hook prerouting priority 0; }
         add rule bridge br pre counter
         add table netdev ours
         add chain netdev ours in { type filter hook ingress device one priority 0; }
         add rule netdev ours in counter",
    );
    let mut found = firewalls(&machine);
    found.sort();
    assert_eq!(
        found,
        [
            "nft table bridge br, chain pre",
            "nft table inet quiet, chain through",
            "nft table ip drops, chain f (policy drop)",
            "nft table ip nat, chain post",
            "nft table netdev ours, chain in",
        ]
    );
    nft(&machine, "flush ruleset");
    assert_eq!(firewalls(&machine), Vec::<String>::new());
}

#[test]
fn tables_of_the_older_iptables_count_likewise() {
    if !need_root() {
        return;
    }
    let machine = machine();
    if !need_kernel(&machine, "the older iptables", "iptables-legacy -t filter -nL") {
        return;
    }
    let add = |rule: &str| machine.sh_in("stack", &format!("iptables-legacy -w {rule}")).ok();
    let _ = add("-t filter -A INPUT -j DROP");
    let _ = add("-t filter -N aside");
    let _ = add("-t filter -A aside -j DROP");
    assert_eq!(firewalls(&machine), Vec::<String>::new(), "none of these sees what is on its way");
    let _ = add("-t filter -P FORWARD DROP");
    let _ = add("-t nat -A POSTROUTING -j MASQUERADE");
    let mut found = firewalls(&machine);
    found.sort();
    assert_eq!(
        found,
        ["iptables: table filter, chain FORWARD (policy drop)", "iptables: table nat, chain POSTROUTING"]
    );
    let _ = add("-t filter -P FORWARD ACCEPT");
    let _ = add("-t filter -A FORWARD -s 10.0.0.1 -j aside");
    let _ = add("-t nat -F");
    assert_eq!(firewalls(&machine), ["iptables: table filter, chain FORWARD"]);
}

#[test]
fn captures_are_known_by_their_interfaces() {
    if !need_root() {
        return;
    }
    let machine = machine();
    let look = || inside(&machine, "stack", || captures::open().expect("a list"));
    assert_eq!(look(), Vec::<u32>::new());
    let index = machine.sh_in("stack", "cat /sys/class/net/two/ifindex").ok();
    let on_one = Capture::start(&machine, "stack", "two");
    assert_eq!(look(), [index.trim().parse::<u32>().expect("a number")]);
    let _ = on_one.stop();
    let on_all = Capture::start(&machine, "stack", "any");
    assert_eq!(look(), [0]);
    let _ = on_all.stop();
    assert_eq!(look(), Vec::<u32>::new());
}

/// What a policy covers leaves encrypted: past the stack it would leave as it is.
#[test]
fn policies_of_ipsec_count_that_are_on_the_way_through() {
    if !need_root() {
        return;
    }
    let machine = machine();
    let add = |direction: &str, to: &str| {
        let policy = format!(
            "ip xfrm policy add dir {direction} src 10.0.0.0/8 dst {to} tmpl src 192.0.2.1 dst 192.0.2.2 proto esp mode tunnel"
        );
        let _ = machine.sh_in("stack", &policy).ok();
    };
    add("in", "10.9.0.0/16");
    assert_eq!(firewalls(&machine), Vec::<String>::new(), "it is for what comes to the host itself");
    add("out", "10.9.0.0/16");
    assert_eq!(firewalls(&machine), ["an IPsec policy"]);
}
