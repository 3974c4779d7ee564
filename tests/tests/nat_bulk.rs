//! The NAT under load, with the offloads as they are and without: aggregates, partial checksums, large files.
//! What is right is checked at the receiver.

use netlab_tests::capture::Capture;
use netlab_tests::labs::PORTS;
use netlab_tests::machine::Machine;
use netlab_tests::need::has_aggregates;
use serde_json::Value;

/// Fails if a receiver has met a wrong checksum.
fn nothing_was_broken(machine: &Machine) {
    for namespace in ["earth", "internet", "neptune", "ports-host"] {
        let counters = machine.sh_in(namespace, "nstat -asz").ok();
        for line in counters.lines() {
            let mut words = line.split_whitespace();
            let (Some(name), Some(value)) = (words.next(), words.next()) else { continue };
            if name.ends_with("CsumErrors") || ["TcpInErrs", "IpInHdrErrors"].contains(&name) {
                assert_eq!(value, "0", "{name} in {namespace}");
            }
        }
    }
}

/// Bytes that an iperf3 client's report says were received.
fn received(report: &str) -> u64 {
    let report: Value = serde_json::from_str(report).unwrap_or_else(|error| panic!("{error}: {report}"));
    let end = &report["end"];
    let sum = if end["sum_received"].is_object() { &end["sum_received"] } else { &end["sum"] };
    sum["bytes"].as_u64().unwrap_or_else(|| panic!("no sum in {report:#}"))
}

/// Runs iperf3 for a second; the servers are in earth and internet.
fn iperf(machine: &Machine, from: &str, arguments: &str) -> u64 {
    received(&machine.sh_in(from, &format!("iperf3 -J -t1 {arguments}")).ok())
}

fn with_iperf_servers() -> Machine {
    let machine = Machine::with_lab(PORTS);
    let _ = machine.sh_in("earth", "iperf3 -s -D -B 10.10.0.10").ok();
    // Bound to one address, because iperf3 answers UDP from the first one otherwise.
    let _ = machine.sh_in("internet", "iperf3 -s -D -B 8.8.8.8").ok();
    machine.wait_until(
        "ip netns exec earth ss -ltnH | grep -q :5201 && ip netns exec internet ss -ltnH | grep -q :5201",
    );
    machine
}

#[test]
fn tcp_in_bulk_goes_out_and_in_as_aggregates_and_only_translated() {
    if !has_aggregates() {
        return;
    }
    let machine = with_iperf_servers();
    let wire = Capture::start_short(&machine, "internet", "eth0");
    for (from, arguments) in [
        ("earth", "-c 8.8.8.8"),
        ("earth", "-c 8.8.8.8 -R"),
        ("internet", "-c 192.168.0.108"),
        ("internet", "-c 192.168.0.108 -R"),
    ] {
        let bytes = iperf(&machine, from, arguments);
        assert!(bytes > 1_000_000, "{bytes} bytes from {from} with {arguments}");
    }
    let wire = wire.stop();
    assert_eq!(wire.count("net 10.0.0.0/8"), 0);
    for direction in ["src 192.168.0.108", "dst 192.168.0.108"] {
        assert!(
            wire.count(&format!("tcp and {direction} and greater 3000")) > 0,
            "no aggregate with {direction}"
        );
    }
    nothing_was_broken(&machine);
}

#[test]
fn udp_in_bulk_goes_out_and_in_and_only_translated() {
    let machine = with_iperf_servers();
    let wire = Capture::start_short(&machine, "internet", "eth0");
    for (from, arguments) in [
        ("earth", "-u -b 50M -c 8.8.8.8"),
        ("earth", "-u -b 50M -R -c 8.8.8.8"),
        ("internet", "-u -b 50M -c 192.168.0.108"),
        ("internet", "-u -b 50M -R -c 192.168.0.108"),
    ] {
        let bytes = iperf(&machine, from, arguments);
        assert!(bytes > 100_000, "{bytes} bytes from {from} with {arguments}");
    }
    let wire = wire.stop();
    assert_eq!(wire.count("net 10.0.0.0/8"), 0);
    assert!(wire.count("udp and src 192.168.0.108") > 100);
    nothing_was_broken(&machine);
}

#[test]
fn every_checksum_is_right_whoever_computes_it() {
    if !has_aggregates() {
        return;
    }
    let machine = Machine::with_lab(PORTS);
    machine.write("data", &"checksums are sums ".repeat(20_000));
    let _ = machine
        .sh_in("internet", "python3 -m http.server --bind 8.8.8.8 8888 >/dev/null 2>&1 </dev/null &")
        .ok();
    machine.wait_until("ip netns exec internet nc -z 8.8.8.8 8888");
    // Where the offload is off, the kernel computes the whole sum: before the NAT in a node, after it in the
    // host. The receiver then verifies it, and so does the capture, which sees it as it is.
    for (namespace, interface) in [("earth", "eth0"), ("ports-host", "eth0"), ("internet", "eth0")] {
        let _ = machine.sh_in(namespace, &format!("ethtool -K {interface} tx off")).ok();
        let wire_end = if namespace == "internet" { ("earth", "eth0") } else { ("internet", "eth0") };
        let wire = Capture::start(&machine, wire_end.0, wire_end.1);
        let said = machine
            .sh_in(
                "earth",
                "curl -sS --max-time 20 http://8.8.8.8:8888/data | sha256sum
                 echo a | nc -u -W1 -w5 8.8.8.8 53
                 ping -c2 -i0.1 -W2 -s 1200 8.8.8.8 | grep received",
            )
            .ok();
        assert!(said.contains("2 received"), "{said}");
        let said = machine
            .sh_in(
                "internet",
                "echo b | nc -N -w5 192.168.0.108 8080
                 echo c | nc -u -W1 -w5 192.168.0.108 5353",
            )
            .ok();
        assert_eq!(said.lines().count(), 2, "{said}");
        let wire = wire.stop();
        let from_there = match namespace {
            "internet" => "src 8.8.8.8 or src 192.168.0.1",
            _ => "src 192.168.0.108",
        };
        assert!(wire.count(from_there) > 10);
        assert_eq!(wire.wrong_checksums(from_there), "", "with the offload off in {namespace}");
        nothing_was_broken(&machine);
        let _ = machine.sh_in(namespace, &format!("ethtool -K {interface} tx on")).ok();
    }
}

#[test]
fn a_large_file_arrives_as_it_is_out_and_in() {
    let machine = Machine::with_lab(PORTS);
    let sum = machine.sh("head -c 40000000 /dev/urandom >large; sha256sum <large").ok();
    let serve = |namespace: &str, address: &str, port: u16| {
        // By `netlab exec` for the sake of its `/etc/hosts`: Python looks the name of its address up.
        let server = format!("python3 -m http.server --bind {address} {port}");
        let _ =
            machine.sh(&format!("$NETLAB exec {namespace} -- {server} >/dev/null 2>&1 </dev/null &")).ok();
        machine.wait_until(&format!("ip netns exec {namespace} nc -z {address} {port}"));
    };
    serve("internet", "8.8.8.8", 8888);
    serve("neptune", "10.10.0.20", 9105);
    for (from, url) in
        [("earth", "http://8.8.8.8:8888/large"), ("internet", "http://192.168.0.108:9005/large")]
    {
        let got = machine.sh_in(from, &format!("curl -sS --max-time 30 {url} | sha256sum")).ok();
        assert_eq!(got, sum, "{url} from {from}");
    }
    nothing_was_broken(&machine);
}
