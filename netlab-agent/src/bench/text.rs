//! The bench's labs as lab files, and its rivals' rules as scripts. Pure.

use std::fmt::Write as _;

use ipnet::Ipv4Net;

use super::plan::Spec;
use super::variant::{Made, Rival, Variant};
use crate::nat::HostAddresses;

/// Earth's address.
pub const EARTH: [u8; 4] = [10, 10, 0, 10];
/// The host's address towards the world, behind which earth is hidden.
pub const HOST: [u8; 4] = [192, 168, 0, 108];
/// The host's address towards earth.
const GATEWAY: [u8; 4] = [10, 10, 0, 1];
/// The addresses at which the world has servers.
pub const SERVERS: [[u8; 4]; 8] = {
    let mut all = [[8, 8, 8, 0]; 8];
    let mut index = 0;
    while index < 8 {
        all[index][3] = index as u8 + 1;
        index += 1;
    }
    all
};
/// Hardware addresses.
pub mod mac {
    /// Earth's.
    pub const EARTH: [u8; 6] = [2, 0x6e, 0x62, 0, 0, 0x0a];
    /// The bridge's, which is earth's gateway.
    pub const BRIDGE: [u8; 6] = [2, 0x6e, 0x62, 0, 0, 0x01];
    /// The host's towards the world.
    pub const HOST: [u8; 6] = [2, 0x6e, 0x62, 0, 0, 0x6c];
    /// The world's.
    pub const WORLD: [u8; 6] = [2, 0x6e, 0x62, 0, 0, 0xfe];
}
/// The host's port of the first forward; the others follow.
pub const FIRST_FORWARD: u16 = 20_000;
/// A port of the host's that is never forwarded.
pub const NOT_FORWARDED: u16 = 19_999;
/// Earth's port, to which all forwards lead.
pub const TARGET: u16 = 7_000;

/// Names of a lab's parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The lab.
    pub lab: String,
    /// The namespace that plays the host.
    pub host: String,
    /// The namespace that sends.
    pub earth: String,
    /// The namespace that receives.
    pub world: String,
}

impl Names {
    /// The names of a bench's lab; `bench` tells one bench from another, `number` its labs.
    pub fn new(bench: u32, number: usize) -> Self {
        let lab = format!("{PREFIX}{bench}-{number}");
        let part = |part| format!("{lab}-{part}");
        Names { host: part("host"), earth: part("earth"), world: part("world"), lab: lab.clone() }
    }
}

/// The host's side of a lab, as a netlab that looks finds it; the number is its bridge's.
pub fn host(bridge: u32) -> HostAddresses {
    let net = |address: [u8; 4], length| Ipv4Net::new_assert(dotted(address), length);
    let (inside, outside) = (net(GATEWAY, 16), net(HOST, 24));
    HostAddresses {
        uplink: "eth0".into(),
        uplink_addresses: vec![outside],
        lab_interfaces: vec![(bridge, GATEWAY)],
        all: vec![net([127, 0, 0, 1], 8), inside, outside],
    }
}

/// How the sockets at both ends control congestion, whatever the machine's default is. Reno is in every kernel and does not
/// pace. Where BBR was the default, which does, a stream was a quarter faster or slower each time, and no faster on one
/// cable than through a host.
const SOCKETS: &str = "sysctl = { \"net.ipv4.tcp_congestion_control\" = \"reno\" }";

/// How the names of all labs of a bench begin.
pub const PREFIX: &str = "netlab-bench-";

/// The lab file of a lab.
pub fn lab(spec: &Spec, names: &Names) -> String {
    let Names { lab, host, earth, world } = names;
    let mut text = format!("version = 1\nname = \"{lab}\"\n");
    let servers: Vec<String> = SERVERS.iter().map(|server| format!("\"{}/32\"", dotted(*server))).collect();
    let loopback = format!("loopback = [{}]\n", servers.join(", "));
    let node = |name: &str| format!("[node.{name}]\n{SOCKETS}\n");
    let (earth_node, world_node) = (node(earth), node(world));
    let ours =
        format!("name = \"earth-veth\", address = \"{}/16\", mac = \"{}\"", dotted(EARTH), hex(mac::EARTH));
    let theirs = |address| format!("name = \"eth0\", address = \"{address}\", mac = \"{}\"", hex(mac::WORLD));
    if spec.variant.made() == Made::Cable {
        // The world is earth's next hop itself.
        let theirs = theirs("10.10.0.1/16");
        let _ = writeln!(text, "{earth_node}links = [{{ to = \"{world}\", {ours}, peer = {{ {theirs} }} }}]");
        let _ = writeln!(text, "routes = [{{ to = \"default\", via = \"10.10.0.1\" }}]");
        let _ = write!(text, "{world_node}{loopback}");
        return text;
    }
    let theirs = theirs("192.168.0.1/24");
    let _ = write!(text, "[host]\nnamespace = \"{host}\"\nforwarding = true\n");
    let _ = writeln!(text, "routes = [{{ to = \"default\", via = \"192.168.0.1\" }}]");
    if let Made::Netlab(way) = spec.variant.made() {
        let counters = spec.variant != Variant::TcNoCounters;
        let _ = write!(text, "uplink = \"eth0\"\ndatapath = \"{way}\"\ncounters = {counters}\n");
    }
    let bridge = hex(mac::BRIDGE);
    let _ = write!(text, "[bridge.planet-br]\naddress = \"10.10.0.1/16\"\nmac = \"{bridge}\"\n{earth_node}");
    let _ =
        writeln!(text, "links = [{{ to = \"planet-br\", {ours}, peer = {{ name = \"earth-br-veth\" }} }}]");
    let port = format!("name = \"eth0\", address = \"{}/24\", mac = \"{}\"", dotted(HOST), hex(mac::HOST));
    let _ = writeln!(text, "{world_node}links = [{{ to = \"host\", {theirs}, peer = {{ {port} }} }}]");
    text.push_str(&loopback);
    if !spec.variant.translates() {
        let _ = writeln!(text, "routes = [{{ to = \"10.10.0.0/16\", via = \"{}\" }}]", dotted(HOST));
    }
    if matches!(spec.variant.made(), Made::Netlab(_)) {
        let _ = write!(text, "[flows]\nsize = {}\nquarantine = 1\n", spec.flows);
        let _ = write!(text, "[[masquerade]]\nfrom = \"planet-br\"\n");
        for port in ports(spec.forwards) {
            let host = dotted(HOST);
            let _ = write!(text, "[[forward]]\npublish = \"{host}:{port}:{earth}:{TARGET}/udp\"\n");
        }
    }
    text
}

/// The ports of so many forwards.
pub fn ports(forwards: u32) -> impl Iterator<Item = u32> {
    (0..forwards).map(|number| u32::from(FIRST_FORWARD) + number)
}

/// A rival's rules: the program that reads them from standard input, and the rules.
pub fn rules(rival: Rival, forwards: u32) -> String {
    let (host, earth) = (dotted(HOST), dotted(EARTH));
    let mut text = String::new();
    match rival {
        Rival::Iptables => {
            text.push_str("*nat\n-A POSTROUTING -s 10.10.0.0/16 -o eth0 -j MASQUERADE\n");
            for port in ports(forwards) {
                let wanted = format!("-d {host}/32 -p udp -m udp --dport {port}");
                let _ = writeln!(text, "-A PREROUTING {wanted} -j DNAT --to-destination {earth}:{TARGET}");
            }
            text.push_str("COMMIT\n");
        }
        Rival::NftRule | Rival::NftMap => {
            text.push_str("table ip nat {\n chain out {\n  type nat hook postrouting priority srcnat;\n");
            text.push_str("  ip saddr 10.10.0.0/16 oifname \"eth0\" masquerade\n }\n");
            text.push_str(" chain in {\n  type nat hook prerouting priority dstnat;\n");
            if rival == Rival::NftRule {
                for port in ports(forwards) {
                    let _ = writeln!(text, "  ip daddr {host} udp dport {port} dnat to {earth}:{TARGET}");
                }
            } else if forwards > 0 {
                let _ = write!(text, "  ip daddr {host} dnat ip to udp dport map {{ ");
                for port in ports(forwards) {
                    let _ = write!(text, "{port} : {earth} . {TARGET}, ");
                }
                text.push_str("}\n");
            }
            text.push_str(" }\n}\n");
        }
    }
    text
}

fn dotted(address: [u8; 4]) -> std::net::Ipv4Addr {
    address.into()
}

fn hex(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_every_variant_control_congestion_alike() {
        for variant in Variant::ALL {
            let text = lab(&Spec { variant, forwards: 0, flows: 65_536 }, &Names::new(7, 1));
            let lab = crate::lab::parse("bench", &text).expect("it is right");
            assert_eq!(lab.nodes.len(), 2, "{variant:?}");
            for node in &lab.nodes {
                let set = node.sysctls.iter().find(|one| one.0 == "net.ipv4.tcp_congestion_control");
                assert_eq!(set.map(|one| one.1.as_str()), Some("reno"), "{variant:?} {}", node.name);
            }
        }
    }

    #[test]
    fn every_variants_lab_is_right() {
        for variant in Variant::ALL {
            let spec = Spec { variant, forwards: 3, flows: 65_536 };
            let text = lab(&spec, &Names::new(7, 1));
            if let Err(failure) = crate::lab::parse("bench", &text) {
                panic!("{variant:?}\n{text}\n{failure}");
            }
        }
    }

    #[test]
    fn a_rival_has_a_rule_for_each_forward() {
        assert_eq!(rules(Rival::Iptables, 3).matches("DNAT").count(), 3);
        assert_eq!(rules(Rival::NftRule, 3).matches("dnat to").count(), 3);
        assert_eq!(rules(Rival::NftMap, 3).matches(" . 7000").count(), 3);
        assert!(rules(Rival::NftRule, 10_000).contains("dport 29999 "));
    }
}
