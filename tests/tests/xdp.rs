//! Labs whose interfaces take packets over at XDP: that the programs come, are replaced and go with the lab, that what
//! the nodes send is whole, and who gets XDP without asking for it.

use std::time::Duration;

use netlab_tests::capture::Capture;
use netlab_tests::labs::{GUEST, PORTS, TO_A_WORLD};
use netlab_tests::machine::Machine;
use netlab_tests::need::{need_root, patient};
use serde_json::Value;

/// The text of a lab whose `[host]` says so.
fn with(lab: &str, datapath: &str) -> String {
    assert!(lab.contains("[host]\n"));
    lab.replace("[host]\n", &format!("[host]\ndatapath = \"{datapath}\"\n"))
}

/// A machine with the lab of many ports, all of them on XDP.
fn machine() -> Machine {
    Machine::with_lab(&with(PORTS, "xdp"))
}

/// Interfaces of a namespace on which the driver runs an XDP program.
fn on_xdp(machine: &Machine, namespace: &str) -> Vec<String> {
    let shown = machine.sh(&format!("ip {namespace} -j link show")).ok();
    let links: Value = serde_json::from_str(&shown).expect("ip speaks JSON");
    let links = links.as_array().expect("a list").iter();
    // Mode 1 is the driver's own.
    let on = links.filter(|link| link["xdp"]["mode"] == 1);
    let mut names: Vec<_> = on.filter_map(|link| link["ifname"].as_str()).map(str::to_owned).collect();
    names.sort();
    names
}

/// What `status` says of each interface: name and datapath.
fn said(machine: &Machine) -> Vec<(String, String)> {
    let status = machine.sh("$NETLAB status -o json").stdout;
    let status: Value = serde_json::from_str(&status).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let interfaces = status["interfaces"].as_array().expect("a list").iter();
    let mut said: Vec<_> = interfaces.map(|one| (text(&one["interface"]), text(&one["datapath"]))).collect();
    said.sort();
    said
}

const ALL: [&str; 4] = ["earth-left", "eth0", "mars-right", "neptune-left"];

#[test]
fn programs_come_with_the_lab_and_leave_nothing_behind() {
    if !need_root() {
        return;
    }
    let machine = Machine::new();
    machine.write("echo.py", include_str!("../src/echo.py"));
    machine.write("lab.toml", &with(PORTS, "xdp"));
    let before = machine.inventory();
    let _ = machine.netlab(["up"]).ok();
    assert_eq!(on_xdp(&machine, "-n ports-host"), ALL);
    assert_eq!(said(&machine), ALL.map(|name| (name.to_owned(), "xdp".to_owned())));
    let status = machine.netlab(["status"]).ok();
    assert!(status.contains("aside: eth0, earth-left, neptune-left, mars-right: XDP costs"), "{status}");
    let table = status.lines().skip_while(|line| !line.starts_with("INTERFACE"));
    let table: Vec<_> = table.take_while(|line| !line.starts_with("agent")).collect();
    assert!(table.len() == 5 && table.iter().all(|line| line.len() <= 80), "{status}");
    for node in ["earth", "neptune", "mars", "internet"] {
        let features = machine.sh_in(node, "ethtool -k eth0").ok();
        for feature in
            ["tx-checksumming: off", "tcp-segmentation-offload: off", "generic-receive-offload: on"]
        {
            assert!(features.contains(feature), "{node}: {features}");
        }
    }
    assert!(
        machine.json(&["status"])["interfaces"]
            .as_array()
            .is_some_and(|all| all.iter().all(|one| one["takes_frames"] == true)),
        "frames may be sent to each of them"
    );
    let objects = machine.bpf_objects();
    let _ = machine.netlab(["down"]).ok();
    machine.are_freed(&objects);
    machine.is_as_before(&before).expect("nothing stays");
}

/// Bits a second of two seconds of TCP, from a report of iperf3's.
fn bits(report: &str) -> f64 {
    let report: Value = serde_json::from_str(report).expect("iperf3 speaks JSON");
    report["end"]["sum_received"]["bits_per_second"].as_f64().expect("a rate")
}

#[test]
fn traffic_is_as_without_xdp_and_its_checksums_are_right() {
    if !need_root() {
        return;
    }
    let machine = machine();
    for node in ["earth", "neptune", "mars"] {
        let _ = machine.sh_in(node, "ping -c2 -i0.1 -W2 8.8.8.8").ok();
        let _ = machine.sh_in(node, "ping -c1 -W2 -s 4000 8.8.8.8").ok();
    }
    let captures = [Capture::start(&machine, "internet", "eth0"), Capture::start(&machine, "earth", "eth0")];
    for (from, to) in
        [("earth", "8.8.8.8 53"), ("internet", "192.168.0.108 5353"), ("mars", "192.168.0.108 5353")]
    {
        let answer =
            machine.sh_in(from, &format!("for n in 1 2 3 4 5; do echo word | nc -u -w1 -W1 {to}; done")).ok();
        assert_eq!(answer.matches("word").count(), 5, "from {from}: {answer}");
    }
    for capture in captures {
        let seen = capture.stop();
        assert!(seen.count("udp") >= 10);
        assert_eq!(seen.wrong_checksums("udp"), "");
    }
    let _ = machine.sh_in("internet", "iperf3 -s -D -B 8.8.8.8").ok();
    let _ = machine.sh_in("earth", "iperf3 -s -D -B 10.10.0.10").ok();
    machine
        .wait_until("ip netns exec internet nc -z 8.8.8.8 5201 && ip netns exec earth nc -z 10.10.0.10 5201");
    for (from, to) in [("neptune", "8.8.8.8"), ("internet", "192.168.0.108")] {
        for back in ["", "-R"] {
            let report = machine.sh_in(from, &format!("iperf3 -J -t2 {back} -c {to}")).ok();
            assert!(bits(&report) > 50e6, "from {from} {back}: {report}");
        }
    }
    for node in ["earth", "neptune", "mars", "internet"] {
        let wrong = machine
            .sh_in(node, "nstat -az TcpInCsumErrors UdpInCsumErrors IcmpInCsumErrors | grep InCsum")
            .ok();
        assert!(wrong.lines().all(|line| line.split_whitespace().nth(1) == Some("0")), "{node}: {wrong}");
    }
}

#[test]
fn an_uplink_of_somebody_elses_is_taken_and_given_back_with_a_warning() {
    if !need_root() {
        return;
    }
    let machine = Machine::new();
    let _ = machine.sh(TO_A_WORLD).ok();
    machine.write("lab.toml", &with(&GUEST.replace("UPLINK", "w0"), "xdp"));
    let before = machine.inventory();
    let _ = machine.netlab(["up"]).ok();
    let on = on_xdp(&machine, "");
    assert!(on.len() == 2 && on[1] == "w0", "the node's port and the uplink: {on:?}");
    let _ = machine.sh_in("visitor", "ping -c1 -W2 192.168.9.1").ok();
    let status = machine.netlab(["status"]).ok();
    assert!(status.contains("aside: w0: the other end is none of the lab's"), "{status}");
    let objects = machine.bpf_objects();
    let _ = machine.netlab(["down"]).ok();
    machine.are_freed(&objects);
    machine.is_as_before(&before).expect("nothing stays");
    for delay in [40, 150, 300, 500] {
        let delay = patient(Duration::from_millis(delay)).as_secs_f64();
        let killed = format!("timeout -s KILL {delay} $NETLAB up; pkill -9 -x 'netlab|exe'; true");
        let _ = machine.sh(&killed).code;
        machine.wait_until("! pgrep -x 'netlab|exe' -r R,S,D >/dev/null");
        // One that was killed before it had written anything down has left a folder, which the next one takes.
        let _ = machine.sh("$NETLAB up").code;
        let down = machine.netlab(["down"]);
        assert_eq!(down.code, 0, "after {delay} s: {}", down.stderr);
        machine.is_as_before(&before).unwrap_or_else(|error| panic!("after {delay} s: {error}"));
    }
}

#[test]
fn another_program_on_the_uplink_stays_and_is_named() {
    if !need_root() {
        return;
    }
    let machine = Machine::new();
    let _ = machine.sh(TO_A_WORLD).ok();
    machine.write("lab.toml", &with(&GUEST.replace("UPLINK", "w0"), "xdp"));
    let _ = machine.netlab(["up"]).ok();
    // A program of the lab's, kept by somebody else.
    let pin = "/sys/fs/bpf/netlab/guest/v*/nl_xdp_up_x";
    let _ = machine.sh(&format!("bpftool prog pin pinned $(echo {pin}) /sys/fs/bpf/theirs")).ok();
    let _ = machine.netlab(["down"]).ok();
    let _ = machine.sh("ip link set dev w0 xdpdrv pinned /sys/fs/bpf/theirs").ok();
    let _ = machine.netlab(["up"]).ok();
    let datapaths: Vec<_> = said(&machine).into_iter().map(|(_, datapath)| datapath).collect();
    assert_eq!(datapaths, ["xdp", "tc"], "the node's port and the uplink");
    let status = machine.netlab(["status"]).ok();
    assert!(status.contains("another XDP program is on it"), "{status}");
    assert!(status.contains("aside: w0: XDP was asked for and cannot be had"), "{status}");
    let _ = machine.netlab(["down"]).ok();
    assert_eq!(on_xdp(&machine, ""), ["w0"], "theirs stays");
}

/// The number of the XDP program on an interface of the host's.
fn program(machine: &Machine, interface: &str) -> u64 {
    let shown = machine.sh(&format!("ip -n ports-host -j link show {interface}")).ok();
    let links: Value = serde_json::from_str(&shown).expect("ip speaks JSON");
    links[0]["xdp"]["prog"]["id"].as_u64().expect("a number")
}

#[test]
fn programs_are_replaced_in_place_and_come_back_when_they_are_lost() {
    if !need_root() {
        return;
    }
    let machine = machine();
    let old = program(&machine, "eth0");
    // As another build of netlab would have noted it.
    let _ = machine.sh("echo another >/run/netlab/ports/programs").ok();
    let ran = machine.netlab(["up"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("they were replaced"), "{}", ran.stderr);
    assert_ne!(program(&machine, "eth0"), old, "another program");
    assert_eq!(on_xdp(&machine, "-n ports-host"), ALL);
    let agent = machine.json(&["status"])["agent"].as_i64().expect("an agent");
    let _ = machine.sh(&format!("kill -9 {agent}")).ok();
    machine.wait_until("$NETLAB status | grep -q 'agent: dead'");
    let _ = machine.sh("rm /sys/fs/bpf/netlab/ports/v*/xdp@eth0").ok();
    machine.wait_until("! ip -n ports-host link show eth0 | grep -q prog/xdp");
    let status = machine.netlab(["status"]);
    assert_eq!(status.code, 4, "{}", status.stdout);
    assert!(
        status.stdout.contains("the program for XDP is not attached to eth0 any more"),
        "{}",
        status.stdout
    );
    let _ = machine.netlab(["up"]).ok();
    machine.wait_until("ip -n ports-host link show eth0 | grep -q prog/xdp");
    let _ = machine.netlab(["status"]).ok();
}

#[test]
fn without_being_asked_veths_stay_with_tc_until_their_other_ends_speak_in_frames() {
    if !need_root() {
        return;
    }
    let machine = Machine::with_lab(&with(PORTS, "auto"));
    assert_eq!(said(&machine), ALL.map(|name| (name.to_owned(), "tc".to_owned())));
    assert_eq!(on_xdp(&machine, "-n ports-host"), Vec::<String>::new());
    let status = machine.netlab(["status"]).ok();
    assert!(
        status.contains("eth0          tc        sockets at the other end use segmentation offload"),
        "{status}"
    );
    // The agent hears of changes in the host's stack, and looks now and then at the others.
    let nudge = "ip -n ports-host link set earth-left alias nudge";
    let _ = machine.sh_in("earth", "ethtool -K eth0 tx off gro on").ok();
    let _ = machine.sh(nudge).ok();
    machine.wait_until("ip -n ports-host link show earth-left | grep -q prog/xdp");
    assert_eq!(on_xdp(&machine, "-n ports-host"), ["earth-left"]);
    let status = machine.netlab(["status"]).ok();
    assert!(
        status.contains("earth-left    xdp       the other end sends and takes plain frames"),
        "{status}"
    );
    let _ = machine.sh_in("earth", "ping -c1 -W2 8.8.8.8").ok();
    let _ = machine.sh_in("earth", "ethtool -K eth0 tx on").ok();
    let _ = machine.sh(&format!("{nudge}2")).ok();
    machine.wait_until("! ip -n ports-host link show earth-left | grep -q prog/xdp");
}

#[test]
fn a_link_may_say_otherwise_than_the_host() {
    if !need_root() {
        return;
    }
    let text = with(PORTS, "tc").replace("10.20.0.30/16\" }", "10.20.0.30/16\", datapath = \"xdp\" }");
    let machine = Machine::with_lab(&text);
    assert_eq!(on_xdp(&machine, "-n ports-host"), ["mars-right"]);
    let status = machine.netlab(["status"]).ok();
    assert!(status.contains("aside: mars-right: XDP costs"), "{status}");
    let checksums = |node: &str| machine.sh_in(node, "ethtool -k eth0 | grep tx-checksumming:").ok();
    assert!(checksums("mars").contains("off") && checksums("earth").contains("on"));
    let gro = machine.sh_in("earth", "ethtool -k eth0 | grep generic-receive-offload:").ok();
    assert!(gro.contains("on"), "frames may come to it: {gro}");
}

#[test]
fn another_word_is_a_mistake_in_the_lab_file() {
    let machine = Machine::new();
    machine.write("lab.toml", &with(PORTS, "skb"));
    let said = machine.netlab(["up"]).fails(2);
    assert!(said.contains("`datapath` cannot be `skb`") && said.contains("`auto`, `tc` and `xdp`"), "{said}");
}

/// Sends datagrams to the world for so long as it is not ended, as quickly as it can.
fn send(machine: &Machine, node: &str) -> String {
    let script = "import os, socket, time\n\
                  s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('8.8.8.8', 9))\n\
                  until = time.time() + 60\n\
                  while time.time() < until:\n\
                  \x20   try: s.send(b'x' * 50)\n\
                  \x20   except OSError: pass\n";
    machine.write("send.py", script);
    let started = machine.sh(&format!("ip netns exec {node} python3 send.py >/dev/null 2>&1 & echo $!")).ok();
    started.trim().to_owned()
}

/// A lab within a lab: the inner one's host is the outer one's node, and sends by XDP.
#[test]
fn without_being_asked_frames_are_taken_over_as_frames_until_sockets_send_too() {
    if !need_root() {
        return;
    }
    let machine = Machine::with_lab(&with(PORTS, "auto"));
    machine.write("inner.toml", &with(&GUEST.replace("UPLINK", "eth0"), "xdp"));
    let _ = machine.sh("ip netns exec ports-host ethtool -K earth-left gro on").ok();
    let _ = machine.sh("nsenter --net=/run/netns/earth $NETLAB up inner.toml").ok();
    let on = "ip -n ports-host link show earth-left | grep -q prog/xdp";
    assert_ne!(machine.sh(on).code, 0, "nothing has come yet");
    let sender = send(&machine, "visitor");
    machine.wait_until(on);
    let status = machine.sh("$NETLAB status -l ports").ok();
    assert!(status.contains("earth-left    xdp       frames come from the other end"), "{status}");
    assert!(machine.sh_in("earth", "ethtool -k eth0").ok().contains("tx-checksumming: off"));
    let _ = machine.sh_in("earth", "ping -c1 -W2 8.8.8.8").ok();
    let _ = machine.sh(&format!("kill {sender}")).ok();
    let _ = send(&machine, "earth");
    machine.wait_until(&format!("! {on}"));
    machine.wait_until("ip netns exec earth ethtool -k eth0 | grep -q 'tx-checksumming: on'");
    let _ = machine.sh_in("earth", "ping -c1 -W2 8.8.8.8").ok();
    let _ = machine.sh("nsenter --net=/run/netns/earth $NETLAB down -l guest").ok();
}
