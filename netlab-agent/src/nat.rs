//! The lab's rules as the datapath takes them: pure translation from the checked lab and the host's
//! addresses.

use std::collections::BTreeSet;
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

    Rules { forwards, masquerades, masquerade_count: lab.masquerades.len(), zones: zones(lab, host) }
}

/// The IP protocol number.
pub fn protocol_number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => protocol::TCP,
        Protocol::Udp => protocol::UDP,
    }
}

/// The nodes that are part of the world: the one at the other end of the uplink's cable, and whatever is
/// cabled to it without passing the host.
pub fn outside(lab: &Lab, uplink: &str) -> BTreeSet<usize> {
    let mut outside = BTreeSet::new();
    for cable in &lab.cables {
        if cable.bridge.is_some() {
            continue;
        }
        for (end, other) in [(&cable.near, &cable.far), (&cable.far, &cable.near)] {
            if let (Place::Host, Place::Node(node)) = (end.place, other.place)
                && end.name == uplink
            {
                outside.insert(node);
            }
        }
    }
    loop {
        let before = outside.len();
        for cable in &lab.cables {
            if let (Place::Node(a), Place::Node(b)) = (cable.near.place, cable.far.place) {
                if outside.contains(&a) {
                    outside.insert(b);
                } else if outside.contains(&b) {
                    outside.insert(a);
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
    let of_bridges = lab.bridges.iter().flat_map(|bridge| &bridge.addresses);
    let of_loopbacks = lab
        .nodes
        .iter()
        .enumerate()
        .filter(|(node, _)| !outside.contains(node))
        .flat_map(|(_, node)| &node.loopback);
    let of_masquerades = lab.masquerades.iter().flat_map(|masquerade| &masquerade.from);

    let nodes: BTreeSet<Ipv4Net> = of_ends
        .chain(of_bridges)
        .chain(of_loopbacks)
        .chain(of_masquerades)
        .filter_map(v4)
        .map(|net| net.trunc())
        // A network that the world shares cannot be kept from it.
        .filter(|net| !host.uplink_addresses.iter().any(|uplink| uplink.trunc() == *net))
        .collect();
    let hosts: BTreeSet<Ipv4Net> =
        host.all.iter().filter(|address| !address.is_loopback()).map(|&address| address.into()).collect();
    // A host address and a node network of one length would be one entry; the host's must win.
    let networks = nodes.difference(&hosts).map(|net| (*net, Zone::Nodes));
    networks.chain(hosts.iter().map(|net| (*net, Zone::Host))).collect()
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
