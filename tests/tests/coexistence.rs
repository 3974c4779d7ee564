//! Beside others: bridge filtering, the host's own firewall and connection tracking, captures, shapers, policy routing
//! and a second way out. Everything goes on, and where netlab steps aside it says so.

use netlab_tests::attack::{MASQUERADES, lab, lab_on};
use netlab_tests::capture::Capture;
use netlab_tests::machine::Machine;
use netlab_tests::need::{has_links, need_root};
use serde_json::Value;

const FORWARD: &str = "[[forward]]\npublish = \"8000:earth:80\"\n";

fn with_a_server() -> Machine {
    let machine = lab(&format!("{MASQUERADES}{FORWARD}"));
    for (node, address, port) in [("earth", "10.10.0.10", 80), ("internet", "8.8.8.8", 8888)] {
        let server = format!("python3 -m http.server --bind {address} {port}");
        let _ = machine.sh(&format!("$NETLAB exec {node} -- {server} >/dev/null 2>&1 </dev/null &")).ok();
        machine.wait_until(&format!("ip netns exec {node} nc -z {address} {port}"));
    }
    machine
}

/// All that a lab is for: out, in, and among nodes by a forward.
fn everything_works(machine: &Machine) {
    for (from, what) in [
        ("earth", "ping -c1 -W2 8.8.8.8"),
        ("earth", "ping -c1 -W2 -s 3000 8.8.8.8"),
        ("neptune", "curl -sS --max-time 5 -o page http://8.8.8.8:8888/"),
        ("internet", "curl -sS --max-time 5 -o page http://192.168.0.108:8000/"),
        ("neptune", "curl -sS --max-time 5 -o page http://192.168.0.108:8000/"),
        ("mars", "curl -sS --max-time 5 -o page http://192.168.0.108:8000/"),
    ] {
        let _ = machine.sh_in(from, what).ok();
    }
}

#[test]
fn bridge_filtering_and_the_hosts_firewall_and_connection_tracking_go_on() {
    if !need_root() {
        return;
    }
    let machine = with_a_server();
    let rules = "
        sysctl -qw net.bridge.bridge-nf-call-iptables=1
        nft -f - <<END
        table inet guard {
            counter tracked {}
            chain forward {
                type filter hook forward priority filter; policy drop;
                ct state established,related counter name tracked accept
                ip daddr 8.8.4.4 drop
                iifname { left, right } accept
                ip daddr 10.10.0.10 tcp dport 80 accept
            }
            chain input { type filter hook input priority filter; policy accept; ct state invalid drop; }
        }
END
    ";
    let _ = machine.sh_in("attack-host", rules).ok();
    everything_works(&machine);
    let _ = machine.sh_in("earth", "ping -c1 -W1 8.8.4.4").fails(1);
    let tracked = machine.sh_in("attack-host", "nft list counter inet guard tracked").ok();
    assert!(!tracked.contains("packets 0 "), "the firewall sees what netlab translates: {tracked}");
    let flows = machine.sh_in("attack-host", "conntrack -L 2>/dev/null | wc -l").ok();
    assert_ne!(flows.trim(), "0", "the kernel tracks what it forwards");
}

#[test]
fn captures_see_frames_on_every_interface_of_the_way() {
    if !need_root() {
        return;
    }
    let machine = with_a_server();
    let on = |namespace: &str, interface: &str| Capture::start(&machine, namespace, interface);
    let captures =
        [on("earth", "eth0"), on("attack-host", "left"), on("attack-host", "eth0"), on("internet", "eth0")];
    let _ = machine.sh_in("earth", "ping -c3 -i0.1 -W2 8.8.8.8").ok();
    let _ = machine.sh_in("internet", "curl -sS --max-time 5 -o page http://192.168.0.108:8000/").ok();
    for (number, capture) in captures.into_iter().enumerate() {
        let seen = capture.stop();
        assert_eq!(seen.count("icmp"), 6, "echoes and answers on interface {number} of the way");
        assert!(seen.count("tcp") >= 8, "a connection on interface {number} of the way");
    }
}

/// Bytes that came through in about two seconds of TCP.
fn bytes_out(machine: &Machine) -> u64 {
    let report = machine.sh_in("earth", "iperf3 -J -t2 -c 8.8.8.8").ok();
    let report: Value = serde_json::from_str(&report).expect("iperf3 speaks JSON");
    report["end"]["sum_received"]["bytes"].as_u64().expect("a sum")
}

#[test]
fn a_shaper_on_the_uplink_still_limits() {
    if !need_root() {
        return;
    }
    for datapath in ["tc", "xdp"] {
        assert_shaped(&lab_on(datapath, MASQUERADES), datapath);
    }
}

fn assert_shaped(machine: &Machine, datapath: &str) {
    let _ = machine.sh_in("internet", "iperf3 -s -D -B 8.8.8.8").ok();
    machine.wait_until("ip netns exec internet ss -ltnH | grep -q :5201");
    let shapers = [
        "tc qdisc add dev eth0 root tbf rate 20mbit burst 32kb latency 50ms",
        "tc qdisc add dev eth0 root handle 1: htb default 1; tc class add dev eth0 parent 1: classid 1:1 htb rate 20mbit",
    ];
    for shaper in shapers {
        let _ = machine.sh_in("attack-host", shaper).ok();
        // 20 Mbit/s for two seconds are 5 MB; a link that is not limited carries thousands.
        let bytes = bytes_out(machine);
        assert!((500_000..20_000_000).contains(&bytes), "{datapath}: {bytes} bytes through {shaper}");
        let _ = machine.sh_in("attack-host", "tc qdisc del dev eth0 root").ok();
    }
    assert!(bytes_out(machine) > 40_000_000, "{datapath}: and without it nothing limits");
}

#[test]
fn a_second_way_out_is_named_and_the_first_goes_on() {
    if !need_root() {
        return;
    }
    let machine = with_a_server();
    let second = "
        ip link add eth1 type veth peer name eth1 netns internet
        ip addr add 172.16.0.2/24 dev eth1; ip link set eth1 up
        ip route add default via 172.16.0.1 table 100
        ip rule add from 10.20.0.0/16 iif right lookup 100
    ";
    let _ = machine.sh_in("attack-host", second).ok();
    let _ = machine.sh_in("internet", "ip addr add 172.16.0.1/24 dev eth1; ip link set eth1 up").ok();
    let status = machine.netlab(["status"]).ok();
    assert!(
        status.contains(
            "aside: eth1 leads out too, and what is routed there leaves as it is: eth0 is the uplink"
        ),
        "{status}"
    );
    let _ = machine.sh_in("earth", "curl -sS --max-time 5 -o page http://8.8.8.8:8888/").ok();
    let _ = machine.sh_in("neptune", "curl -sS --max-time 5 -o page http://192.168.0.108:8000/").ok();
    let aside = machine.json(&["status"])["aside"].as_array().map(Vec::len);
    assert_eq!(aside, Some(1 + asides_of_the_kernel()));
}

/// What `status` names for the way in which programs are attached.
fn asides_of_the_kernel() -> usize {
    usize::from(!has_links())
}

#[test]
fn settings_that_keep_netlab_from_its_work_are_named() {
    if !need_root() {
        return;
    }
    let machine = with_a_server();
    let at_first = machine.netlab(["status"]).ok();
    assert_eq!(
        at_first.matches("aside: ").count(),
        asides_of_the_kernel(),
        "nothing else is in the way: {at_first}"
    );
    let _ =
        machine.sh_in("attack-host", "sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.ip_forward=0").ok();
    let status = machine.netlab(["status"]).ok();
    assert!(status.contains("aside: the host does not forward"), "{status}");
    assert!(status.contains("aside: net.ipv4.conf.all.rp_filter = 1"), "{status}");
}
