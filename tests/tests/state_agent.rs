//! The agent may be killed, replaced and lose its uplink while traffic runs: what lives goes on, what is over
//! ends, and whoever comes next takes over.

use std::net::Ipv4Addr;
use std::time::Duration;

use netlab_common::abi::event::Event;
use netlab_tests::attack::{Gun, HOST, MASQUERADES, NOBODY, Pins, count, lab, size};
use netlab_tests::machine::Machine;
use netlab_tests::segment::{Segment, UDP};
use netlab_tests::wire::Ear;

/// What a ping says in its summary: how many were sent, and how many came back.
fn pinged(text: &str) -> (u32, u32) {
    let line = text.lines().find(|line| line.contains("packets transmitted")).expect("a summary");
    let number = |word: usize| {
        let text = line.split_whitespace().nth(word).expect("a word");
        text.parse().unwrap_or_else(|_| panic!("{text} is no number in {line}"))
    };
    (number(0), number(3))
}

/// Pings the world from earth while something happens, and gives what was sent and what came back.
fn while_pinging(machine: &Machine, happens: &str) -> (u32, u32) {
    let script = format!(
        "ip netns exec earth ping -q -i0.01 -c{} 8.8.8.8 > pinged & pid=$!\nsleep 0.3\n{happens}\nwait $pid\ncat pinged",
        size(300, 3000)
    );
    pinged(&machine.sh(&script).ok())
}

const KILL: &str = "kill -9 $(cut -d' ' -f1 /run/netlab/attack/agent.pid)";

#[test]
fn an_agent_killed_under_load_costs_no_packet_and_its_successor_adopts_the_lab() {
    let machine = lab(MASQUERADES);
    let (sent, back) = while_pinging(&machine, &format!("{KILL}; sleep 0.5; $NETLAB up lab.toml"));
    assert_eq!(sent, back, "a packet was lost");
    let status = machine.json(&["status"]);
    assert!(status["agent"].is_number(), "{status}");
    assert_eq!(count(&machine, &["-p", "icmp"]), 1, "the flow is the same one");
}

#[test]
fn without_an_agent_flows_open_expire_and_give_their_ports_back() {
    let machine = lab(&format!(
        "[flows]\nsize = 1024\nquarantine = 1\ntimeouts = {{ udp_unreplied = 1 }}\n{MASQUERADES}"
    ));
    let _ = machine.sh(KILL).ok();
    // More than there is room for, at a rate at which those before are over.
    let gun = Gun::at(&machine, "earth", "left");
    let ear = Ear::on(&machine, "internet", "eth0");
    let number = size(2_500, 20_000);
    std::thread::sleep(Duration::from_secs(6));
    gun.fire_slowly(
        (0..number).map(|n| {
            let from = (Ipv4Addr::new(10, 10, 0, 10), 1024 + (n % 60_000) as u16);
            Segment::udp(from, (NOBODY, 53), 1)
        }),
        250,
    );
    let heard = ear.heard().into_iter().filter(|packet| packet.protocol == UDP).count();
    assert_eq!(heard, number as usize, "every datagram left");
    let pins = Pins::of(&machine);
    assert!(pins.event(Event::Expired) > 0, "the datapath sweeps by itself");
    let _ = machine.sh("$NETLAB up lab.toml; sleep 4").ok();
    pins.are_at_rest();
}

#[test]
fn programs_are_replaced_under_load_and_no_packet_is_lost() {
    let machine = lab(MASQUERADES);
    let outdated = "echo another > /run/netlab/attack/programs; $NETLAB up lab.toml";
    let (sent, back) = while_pinging(&machine, outdated);
    assert_eq!(sent, back, "a packet was lost");
    assert_eq!(count(&machine, &["-p", "icmp"]), 1, "the flow was kept");
    let status = machine.json(&["status"]);
    assert_eq!(status["datapath"]["current"], true, "{status}");
}

#[test]
fn maps_of_another_version_are_refused_with_a_way_on() {
    let machine = lab(MASQUERADES);
    let _ = machine.sh("mv /sys/fs/bpf/netlab/attack/v2 /sys/fs/bpf/netlab/attack/v1").ok();
    for verb in [&["conntrack", "ls"][..], &["stats"], &["forward", "add", "80:earth"]] {
        let said = machine.netlab(verb).fails(6);
        assert!(
            said.contains("no maps of ABI version 2") && said.contains("netlab down -l attack"),
            "{said}"
        );
    }
    let _ = machine.netlab(["down"]).ok();
}

#[test]
fn flows_end_with_the_uplinks_address_and_new_ones_take_the_new_one() {
    let machine = lab(MASQUERADES);
    let _ = machine.sh_in("earth", "ping -qc2 -i0.2 8.8.8.8").ok();
    let ear = Ear::on(&machine, "internet", "eth0");
    let change = "ip addr add 192.168.0.44/24 dev eth0; ip addr del 192.168.0.108/24 dev eth0; \
                  ip addr add 192.168.0.44/24 dev eth0; ip route add default via 192.168.0.1; sleep 1";
    let _ = machine.sh_in("attack-host", &format!("{change}; true")).ok();
    assert_eq!(Pins::of(&machine).event(Event::AddressGone), 1);
    assert_eq!(count(&machine, &[]), 0, "the flow of the old address is gone");
    let _ = machine.sh_in("earth", "ping -qc2 -i0.2 -W2 8.8.8.8").ok();
    let new = Ipv4Addr::new(192, 168, 0, 44);
    let sources: std::collections::BTreeSet<_> =
        ear.heard().into_iter().filter(|packet| packet.protocol == 1).map(|packet| packet.from.0).collect();
    assert_eq!(sources, [new].into(), "the world sees the new address, and no node's");

    // Without any address nothing leaves.
    let _ = machine.sh_in("attack-host", "ip addr flush dev eth0; sleep 0.5").ok();
    let ear = Ear::on(&machine, "internet", "eth0");
    Gun::at(&machine, "earth", "left")
        .fire((0..20).map(|n| Segment::udp((Ipv4Addr::new(10, 10, 0, 10), 5000 + n), (NOBODY, 53), 1)));
    let leaked: Vec<_> = ear.heard().into_iter().filter(|packet| packet.protocol == UDP).collect();
    assert!(leaked.is_empty(), "{leaked:?}");
}

#[test]
fn an_uplink_that_is_made_anew_gets_its_programs_back() {
    let machine = lab(MASQUERADES);
    let anew = "ip -n attack-host link del eth0\nsleep 0.3\n\
                ip -n attack-host link add eth0 type veth peer name eth0 netns internet\n\
                ip -n internet addr add 192.168.0.1/24 dev eth0; ip -n internet link set eth0 up\n\
                ip -n attack-host addr add 192.168.0.108/24 dev eth0; ip -n attack-host link set eth0 up\n\
                ip -n attack-host route add default via 192.168.0.1; sleep 1";
    let _ = machine.sh(anew).ok();
    let ear = Ear::on(&machine, "internet", "eth0");
    let _ = machine.sh_in("earth", "ping -qc2 -i0.2 -W2 8.8.8.8").ok();
    let pings: Vec<_> = ear.heard().into_iter().filter(|packet| packet.protocol == 1).collect();
    assert!(!pings.is_empty() && pings.iter().all(|packet| packet.from.0 == HOST), "{pings:?}");
    assert_eq!(machine.netlab(["status"]).code, 0);
}

#[test]
fn an_agent_killed_while_it_sweeps_loses_no_slot() {
    let machine = lab(&format!(
        "[flows]\nsize = 16384\nquarantine = 1\ntimeouts = {{ udp_unreplied = 1 }}\n{MASQUERADES}"
    ));
    let gun = Gun::at(&machine, "earth", "left");
    for round in 0..size(3, 12) {
        gun.fire((0..10_000u32).map(|n| {
            let from = (Ipv4Addr::new(10, 10, 0, 10), 1024 + n as u16);
            Segment::udp(from, (NOBODY, 53), 1)
        }));
        // They are over while the agent is at work, at another moment each time.
        let _ = machine.sh(&format!("sleep 2.{}; {KILL}; $NETLAB up lab.toml", 1 + 2 * (round % 4))).ok();
    }
    std::thread::sleep(Duration::from_secs(4));
    Pins::of(&machine).are_at_rest();
}
