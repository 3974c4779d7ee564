//! The uplink changes under the flows: another address, none, or another interface of the same name.

use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::Duration;

use netlab_common::abi::event::Event;
use netlab_tests::attack::{MASQUERADES, Pins, flows, lab};
use netlab_tests::inside::{at, bind_udp, dial};
use netlab_tests::live::{echo_server, speak};
use netlab_tests::machine::Machine;
use netlab_tests::segment::Seen;
use netlab_tests::stream::Stream;
use netlab_tests::wire::Ear;

fn is_private(address: Ipv4Addr) -> bool {
    address.octets()[0] == 10
}

fn nothing_private(heard: &[Seen]) {
    let leaks: Vec<_> = heard.iter().filter(|packet| is_private(packet.from.0)).collect();
    assert!(leaks.is_empty(), "{leaks:?}");
}

/// Addresses on the uplink are changed by this in the host's stack.
fn on_the_host(machine: &Machine, script: &str) {
    let _ = machine.sh_in("attack-host", script).ok();
}

#[test]
fn flows_end_with_the_uplinks_old_address_and_new_ones_have_the_new_one_within_a_second() {
    let machine = lab(MASQUERADES);
    let _server = echo_server(&machine, "internet", at("8.8.8.8", 7));
    let old =
        dial(&machine, "earth", (Ipv4Addr::new(10, 10, 0, 10), 30_000), at("8.8.8.8", 7)).expect("it is up");
    speak(&old, 1).expect("and works");
    let node = bind_udp(&machine, "earth", at("10.10.0.10", 30_001));
    let server = bind_udp(&machine, "internet", at("8.8.8.8", 53));
    node.send_to(b"before", ("8.8.8.8", 53)).expect("the kernel takes a datagram");
    let mut buffer = [0; 64];
    assert_eq!(server.recv_from(&mut buffer).expect("it arrives").1, at("192.168.0.108", 30_001).into());
    let agent = machine.json(&["status"])["agent"].clone();

    let ear = Ear::on(&machine, "internet", "eth0");
    on_the_host(
        &machine,
        "sysctl -qw net.ipv4.conf.eth0.promote_secondaries=1
         ip address add 192.168.0.109/24 dev eth0; ip address del 192.168.0.108/24 dev eth0
         ip route replace default via 192.168.0.1",
    );
    sleep(Duration::from_secs(1));
    node.send_to(b"after", ("8.8.8.8", 53)).expect("the kernel takes a datagram");
    assert_eq!(server.recv_from(&mut buffer).expect("it arrives").1, at("192.168.0.109", 30_001).into());
    let new =
        dial(&machine, "earth", (Ipv4Addr::new(10, 10, 0, 10), 30_002), at("8.8.8.8", 7)).expect("it is up");
    speak(&new, 2).expect("and works");

    assert!(Pins::of(&machine).event(Event::AddressGone) >= 2, "both old flows are counted");
    let of_old =
        |side: &str| flows(&machine).iter().filter(|flow| flow["reply"][side] == "192.168.0.108").count();
    assert_eq!(of_old("dst"), 0, "{:#?}", flows(&machine));
    assert_eq!(machine.json(&["status"])["agent"], agent, "the same agent, not a new one");
    nothing_private(&ear.heard());
}

#[test]
fn nothing_private_leaves_while_the_uplink_has_no_address_and_all_works_when_it_has_one_again() {
    let machine = lab(MASQUERADES);
    let stream = Stream::open(&machine, "earth", at("10.10.0.10", 30_000), 53);
    stream.during(|| sleep(Duration::from_millis(300))).1.is_whole();
    let ear = Ear::on(&machine, "internet", "eth0");
    let mac = machine.sh_in("internet", "cat /sys/class/net/eth0/address").ok();
    // The way out stays, so that it is not for want of a route that nothing leaves.
    let ((), told) = stream.during(|| {
        on_the_host(
            &machine,
            &format!(
                "ip address del 192.168.0.108/24 dev eth0
                 ip route replace default via 192.168.0.1 dev eth0 onlink
                 ip neigh replace 192.168.0.1 lladdr {} dev eth0 nud permanent",
                mac.trim()
            ),
        );
        sleep(Duration::from_millis(1500));
        let _ = machine.sh_in("mars", "ping -c3 -i0.1 -W1 8.8.8.8");
    });
    println!("{} of {} datagrams arrived while the address went away", told.arrived, told.sent);
    assert!(told.arrived < told.sent as usize, "{told:?}");
    nothing_private(&ear.heard());
    on_the_host(
        &machine,
        "ip address add 192.168.0.108/24 dev eth0; ip route replace default via 192.168.0.1",
    );
    machine.wait_until("ip netns exec mars ping -qc1 -W1 8.8.8.8 >/dev/null");
    let again = Stream::open(&machine, "neptune", at("10.10.0.20", 30_000), 54);
    again.during(|| sleep(Duration::from_millis(300))).1.is_whole();
}

#[test]
fn an_uplink_that_was_deleted_and_made_anew_does_nat_again() {
    let machine = lab(&format!("{MASQUERADES}[[forward]]\npublish = \"5353:earth:53/udp\"\n"));
    let stream = Stream::open(&machine, "earth", at("10.10.0.10", 30_000), 53);
    stream.during(|| sleep(Duration::from_millis(200))).1.is_whole();
    on_the_host(
        &machine,
        "ip link del eth0
         ip link add eth0 type veth peer name eth0 netns internet
         ip -n internet address add 192.168.0.1/24 dev eth0; ip -n internet link set eth0 up
         ip address add 192.168.0.108/24 dev eth0; ip link set eth0 up
         ip route replace default via 192.168.0.1",
    );
    machine.wait_until("ip netns exec mars ping -qc1 -W1 8.8.8.8 >/dev/null");
    let ear = Ear::on(&machine, "internet", "eth0");
    stream.during(|| sleep(Duration::from_millis(300))).1.is_whole();
    let again = Stream::open(&machine, "neptune", at("10.10.0.20", 30_000), 54);
    again.during(|| sleep(Duration::from_millis(300))).1.is_whole();
    let server = bind_udp(&machine, "earth", at("10.10.0.10", 53));
    let client = bind_udp(&machine, "internet", at("192.168.0.1", 4000));
    client.send_to(b"in", ("192.168.0.108", 5353)).expect("the kernel takes a datagram");
    let mut buffer = [0; 64];
    assert_eq!(server.recv_from(&mut buffer).expect("forwards work too").1, at("192.168.0.1", 4000).into());
    nothing_private(&ear.heard());
    let log = machine.sh("cat /run/netlab/attack/agent.log").ok();
    assert!(log.contains("programs were attached to eth0 anew"), "{log}");
}
