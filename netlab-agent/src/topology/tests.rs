//! The plan and the hosts file of the tutorial's lab, and what a plan promises for every lab.

use insta::assert_snapshot;

use super::*;
use crate::lab::{Bridge, Datapath, Flows, Host, Node, Uplink, Wait};

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn node(name: &str) -> Node {
    Node {
        name: name.to_owned(),
        gateway: None,
        loopback: Vec::new(),
        routes: Vec::new(),
        sysctls: Vec::new(),
        run: Vec::new(),
        wait: Vec::new(),
    }
}

fn end(place: Place, name: &str, addresses: &[&str]) -> End {
    let addresses = addresses.iter().map(|text| net(text)).collect();
    End { place, name: name.to_owned(), addresses, mtu: None, mac: None, up: true }
}

fn planets() -> Lab {
    let gateway = Some("10.10.0.1".parse().unwrap());
    let port = |index, name: &str, address: &str| Cable {
        near: end(Place::Node(index), &format!("{name}-veth"), &[address]),
        far: end(Place::Host, &format!("{name}-br-veth"), &[]),
        bridge: Some(0),
        datapath: Datapath::Auto,
    };
    Lab {
        name: "planets".to_owned(),
        host: Host {
            namespace: Some("planet-host".to_owned()),
            uplink: Some(Uplink::Named("eth0".to_owned())),
            forwarding: Some(true),
            routes: vec![default_route("192.168.0.1".parse().unwrap())],
            sysctls: vec![("net.ipv4.conf.planet-br.rp_filter".to_owned(), "1".to_owned())],
            ..Host::default()
        },
        bridges: vec![Bridge {
            name: "planet-br".to_owned(),
            addresses: vec![net("10.10.0.1/16")],
            mtu: Some(9000),
            mac: None,
        }],
        nodes: vec![
            Node {
                gateway,
                sysctls: vec![("net.ipv4.tcp_syncookies".to_owned(), "0".to_owned())],
                wait: vec![Wait::Tcp(8000)],
                ..node("earth")
            },
            Node { gateway, ..node("neptune") },
            Node { loopback: vec![net("8.8.8.8/32")], ..node("internet") },
        ],
        cables: vec![
            port(0, "earth", "10.10.0.10/16"),
            Cable {
                near: End {
                    up: false,
                    mac: Some(Mac([2, 0, 0, 0, 0, 7])),
                    ..port(1, "neptune", "10.10.0.20/16").near
                },
                ..port(1, "neptune", "10.10.0.20/16")
            },
            Cable {
                near: end(Place::Node(2), "eth0", &["192.168.0.1/24"]),
                far: end(Place::Host, "eth0", &["192.168.0.108/24"]),
                bridge: None,
                datapath: Datapath::Auto,
            },
        ],
        flows: Flows::default(),
        masquerades: Vec::new(),
        forwards: Vec::new(),
        checks: Vec::new(),
    }
}

#[test]
fn the_plan_of_the_tutorial_reads_in_order() {
    assert_snapshot!(plan(&planets()).to_string(), @r"
    make namespace planet-host for the host
    make namespace earth
    make namespace neptune
    make namespace internet
    in host: set net.ipv4.ip_forward = 1
    in host: set net.ipv4.conf.lo.accept_local = 1
    in host: set net.ipv4.conf.lo.route_localnet = 1
    in earth: set net.ipv4.tcp_syncookies = 0
    in host: make bridge planet-br, address 02:c8:e3:c3:00:8d, mtu 9000
    make cable earth:earth-veth (mtu 9000) -- host:earth-br-veth (mtu 9000), port of planet-br
    make cable neptune:neptune-veth (address 02:00:00:00:00:07, mtu 9000, down) -- host:neptune-br-veth (mtu 9000), port of planet-br
    make cable internet:eth0 -- host:eth0
    in host: bring lo up
    in earth: bring lo up
    in neptune: bring lo up
    in internet: bring lo up
    in internet: add address 8.8.8.8/32 to lo
    in host: add address 10.10.0.1/16 to planet-br
    in earth: add address 10.10.0.10/16 to earth-veth
    in neptune: add address 10.10.0.20/16 to neptune-veth
    in internet: add address 192.168.0.1/24 to eth0
    in host: add address 192.168.0.108/24 to eth0
    in host: add route to 0.0.0.0/0 via 192.168.0.1
    in earth: add route to 0.0.0.0/0 via 10.10.0.1
    in host: set net.ipv4.conf.planet-br.accept_local = 1
    in host: set net.ipv4.conf.planet-br.rp_filter = 1
    ");
}

#[test]
fn a_gateway_behind_a_link_that_is_down_gets_no_route() {
    let to_neptune = |step: &&Step| matches!(step, Step::Route { site, .. } if site.name == "neptune");
    assert_eq!(plan(&planets()).steps.iter().find(to_neptune), None);
    let mut lab = planets();
    lab.cables[1].near.up = true;
    assert!(plan(&lab).steps.iter().any(|step| to_neptune(&step)));
}

#[test]
fn in_a_stack_that_is_not_the_labs_own_nothing_is_made_that_the_lab_does_not_name() {
    let mut lab = planets();
    lab.host.namespace = None;
    let steps = plan(&lab).steps;
    let touches_host = |step: &&Step| match step {
        Step::Namespace { site, .. } | Step::Loopback { site } => site.place == Place::Host,
        _ => false,
    };
    assert_eq!(steps.iter().find(touches_host), None);
}

#[test]
fn stages_never_go_backwards() {
    let stages: Vec<_> = plan(&planets()).steps.iter().map(Step::stage).collect();
    assert!(stages.is_sorted());
}

#[test]
fn bridge_addresses_are_local_unicast_and_differ_between_bridges() {
    let Mac(first) = stable_mac("planets", "a");
    let Mac(second) = stable_mac("planets", "b");
    assert_eq!(first[0] & 0b11, 0b10);
    assert_ne!(first, second);
    assert_ne!(stable_mac("ab", "c"), stable_mac("a", "bc"));
}

#[test]
fn the_hosts_file_names_every_address_and_the_machine() {
    assert_snapshot!(hosts::text(&planets(), "workbench"), @r"
    127.0.0.1 localhost
    ::1 localhost ip6-localhost
    10.10.0.1 host planet-host
    192.168.0.108 host.eth0
    10.10.0.10 earth
    10.10.0.20 neptune
    192.168.0.1 internet
    8.8.8.8 internet.lo
    127.0.1.1 workbench
    ");
}

#[test]
fn a_machine_called_like_a_node_does_not_hide_it() {
    assert!(!hosts::text(&planets(), "earth").contains("127.0.1.1"));
}
