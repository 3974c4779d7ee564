//! The lab's rules as the datapath takes them: pure translation from the checked lab and the host's
//! addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use netlab_common::abi::rule::{ForwardKey, ForwardTarget, MasqueradeTarget, Zone};
use netlab_common::net::protocol;

use crate::datapath::rules::Rules;
use crate::datapath::{Interface, Role};
use crate::lab::{End, Lab, Place, Protocol};

/// The host's side of things, as the machine has it once the lab's topology stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostAddresses {
    /// The uplink's interface name.
    pub uplink: String,
    /// The uplink's addresses; the first is the one that sources are hidden behind.
    pub uplink_addresses: Vec<Ipv4Net>,
    /// Indexes of the interfaces on which nodes' packets arrive at the host's stack: bridges and cable ends.
    pub lab_interfaces: Vec<u32>,
    /// Every address of the host, the uplink's too.
    pub all: Vec<Ipv4Addr>,
}

/// The rule number of the masquerade at `index`.
pub fn masquerade_rule(lab: &Lab, index: usize) -> u32 {
    (lab.forwards.len() + index) as u32
}

/// Makes the rules. A masquerade without an uplink address to hide behind is left out: its sources are then
/// dropped at the uplink, never let through.
pub fn rules(lab: &Lab, host: &HostAddresses) -> Rules {
    let forwards = lab
        .forwards
        .iter()
        .enumerate()
        .map(|(index, forward)| {
            let key = ForwardKey {
                address: forward.address.unwrap_or(Ipv4Addr::UNSPECIFIED).octets(),
                port: forward.port.to_be_bytes(),
                protocol: protocol_number(forward.protocol),
                pad: 0,
            };
            let target = ForwardTarget {
                address: forward.target.octets(),
                port: forward.target_port.to_be_bytes(),
                pad: [0; 2],
                rule: index as u32,
            };
            (key, target)
        })
        .collect();

    let mut masquerades = Vec::new();
    if let Some(hidden_behind) = host.uplink_addresses.first() {
        for (index, masquerade) in lab.masquerades.iter().enumerate() {
            let target = MasqueradeTarget {
                address: hidden_behind.addr().octets(),
                first_port: masquerade.ports.0,
                last_port: masquerade.ports.1,
                rule: masquerade_rule(lab, index),
            };
            masquerades.extend(masquerade.from.iter().filter_map(v4).map(|net| (net.trunc(), target)));
        }
    }

    Rules {
        forwards,
        masquerades,
        masquerade_count: lab.masquerades.len(),
        lab_interfaces: host.lab_interfaces.clone(),
        zones: zones(lab, host),
    }
}

/// The IP protocol number.
pub fn protocol_number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => protocol::TCP,
        Protocol::Udp => protocol::UDP,
    }
}

/// The nodes that are part of the world: those on the uplink, by a cable or as ports of an uplink that is a
/// bridge, and whatever is cabled to them without passing the host. A node that also has a way to the host
/// beside the uplink is not: it is a node like others, whatever else it reaches.
pub fn outside(lab: &Lab, uplink: &str) -> BTreeSet<usize> {
    let mut outside = BTreeSet::new();
    let mut inside = BTreeSet::new();
    for cable in &lab.cables {
        let bridge = cable.bridge.map(|bridge| lab.bridges[bridge].name.as_str());
        for (end, other) in [(&cable.near, &cable.far), (&cable.far, &cable.near)] {
            if let (Place::Host, Place::Node(node)) = (end.place, other.place) {
                let on_uplink = bridge.unwrap_or(&end.name) == uplink;
                if on_uplink {
                    outside.insert(node)
                } else {
                    inside.insert(node)
                };
            }
        }
    }
    outside.retain(|node| !inside.contains(node));
    loop {
        let before = outside.len();
        for cable in &lab.cables {
            if let (Place::Node(a), Place::Node(b)) = (cable.near.place, cable.far.place) {
                for (known, next) in [(a, b), (b, a)] {
                    if outside.contains(&known) && !inside.contains(&next) {
                        outside.insert(next);
                    }
                }
            }
        }
        if outside.len() == before {
            return outside;
        }
    }
}

/// The interfaces of the host's that get programs: the uplink, and every cable end towards a node that is not
/// part of the world.
pub fn interfaces(lab: &Lab, uplink: &str) -> Vec<Interface> {
    let outside = outside(lab, uplink);
    let mut interfaces = vec![Interface { name: uplink.to_owned(), role: Role::Uplink }];
    for cable in &lab.cables {
        for (end, other) in [(&cable.near, &cable.far), (&cable.far, &cable.near)] {
            if let (Place::Host, Place::Node(node)) = (end.place, other.place)
                && end.name != uplink
                && !outside.contains(&node)
            {
                interfaces.push(Interface { name: end.name.clone(), role: Role::Port });
            }
        }
    }
    interfaces
}

/// The host's addresses, and the networks of its nodes: those must not be seen beyond the uplink.
fn zones(lab: &Lab, host: &HostAddresses) -> Vec<(Ipv4Net, Zone)> {
    let outside = outside(lab, &host.uplink);
    let is_uplink = |net: &Ipv4Net| host.uplink_addresses.iter().any(|uplink| uplink.trunc() == *net);
    let inside_end = |end: &End| match end.place {
        Place::Host => end.name != host.uplink,
        Place::Node(node) => !outside.contains(&node),
    };
    let of_ends = lab
        .cables
        .iter()
        .flat_map(|cable| [&cable.near, &cable.far])
        .filter(|end| inside_end(end))
        .flat_map(|end| &end.addresses);
    let of_bridges =
        lab.bridges.iter().filter(|bridge| bridge.name != host.uplink).flat_map(|bridge| &bridge.addresses);
    let of_loopbacks = lab
        .nodes
        .iter()
        .enumerate()
        .filter(|(node, _)| !outside.contains(node))
        .flat_map(|(_, node)| &node.loopback);
    let mut nodes: BTreeSet<Ipv4Net> = of_ends
        .chain(of_bridges)
        .chain(of_loopbacks)
        .filter_map(v4)
        .map(|net| net.trunc())
        .filter(|net| !is_uplink(net))
        .collect();
    // What the host reaches by way of a node is a node's too.
    let behind_nodes: Vec<Ipv4Net> = lab
        .host
        .routes
        .iter()
        .filter(|route| route.to.prefix_len() > 0)
        .filter(|route| match route.via.and_then(v4_address) {
            Some(via) => nodes.iter().any(|net| net.contains(&via)),
            None => route.dev.as_deref().is_some_and(|dev| dev != host.uplink),
        })
        .filter_map(|route| v4(&route.to))
        .collect();
    nodes.extend(behind_nodes);

    // The most exact prefix decides: what nodes share with the world is the world's, and the host's own
    // addresses are the host's, wherever they lie.
    let world = host.uplink_addresses.iter().map(Ipv4Net::trunc);
    let hosts = host.all.iter().filter(|address| !address.is_loopback());
    let mut zones: BTreeMap<Ipv4Net, Zone> = nodes.into_iter().map(|net| (net, Zone::Nodes)).collect();
    zones.extend(world.map(|net| (net, Zone::World)));
    zones.extend(hosts.map(|&address| (address.into(), Zone::Host)));
    zones.into_iter().collect()
}

fn v4(net: &IpNet) -> Option<Ipv4Net> {
    match net {
        IpNet::V4(net) => Some(*net),
        IpNet::V6(_) => None,
    }
}

/// The IPv4 address of a lab address, if it is one.
pub fn v4_address(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}
