//! The lab's rules as the datapath takes them: pure translation from the checked lab and the host's
//! addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net, Ipv4Subnets};
use netlab_common::abi::clock;
use netlab_common::abi::config::{Config, flag};
use netlab_common::abi::rule::{self, ForwardKey, ForwardPort, MasqueradeTarget, TARGETS, Zone};
use netlab_common::net::protocol;

use crate::datapath::rules::Rules;
use crate::datapath::{Interface, Role};
use crate::lab::{Datapath, End, Filtering, Forward, Lab, Mapping, Masquerade, Place, Protocol};

/// The host's side of things, as the machine has it once the lab's topology stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostAddresses {
    /// The uplink's interface name.
    pub uplink: String,
    /// The uplink's addresses; the first is the one that sources are hidden behind.
    pub uplink_addresses: Vec<Ipv4Net>,
    /// Index and first address of the interfaces on which nodes' packets arrive at the host's stack: bridges
    /// and cable ends.
    pub lab_interfaces: Vec<(u32, [u8; 4])>,
    /// Every address of the host, the uplink's too, with its network.
    pub all: Vec<Ipv4Net>,
}

/// Makes the rules. A masquerade without an uplink address to hide behind is left out: its sources are then
/// dropped at the uplink, never let through.
pub fn rules(lab: &Lab, host: &HostAddresses) -> Rules {
    let masquerades: Vec<_> =
        lab.masquerades.iter().flat_map(|masquerade| hidden(masquerade, host)).collect();
    let zones = zones(lab, host);
    Rules {
        config: config(lab),
        forwards: lab.forwards.iter().map(|forward| (forward.rule, targets(lab, forward, host))).collect(),
        forward_ports: lab.forwards.iter().flat_map(each_port).collect(),
        allow: lab
            .forwards
            .iter()
            .flat_map(|forward| forward.allow.iter().map(|net| (forward.rule, net.trunc())))
            .collect(),
        masquerades,
        interfaces: host.lab_interfaces.clone(),
        nodes: nodes(lab, &zones),
        zones,
    }
}

/// The lab's settings. What does not follow from the lab file is filled in where they are written.
fn config(lab: &Lab) -> Config {
    let flows = &lab.flows;
    let times = &flows.timeouts;
    let independent =
        lab.masquerades.iter().any(|masquerade| masquerade.mapping == Mapping::EndpointIndependent);
    let seconds = [
        times.tcp_established,
        times.tcp_transitory,
        times.tcp_closed,
        times.tcp_reset,
        times.udp,
        times.udp_unreplied,
        times.icmp,
        times.other,
    ];
    Config {
        timeouts: seconds.map(clock::from_seconds),
        quarantine: clock::from_seconds(flows.quarantine),
        per_source: flows.per_source,
        flags: if flows.pickup { flag::PICKUP } else { 0 } | if independent { flag::MAPPINGS } else { 0 },
        ..Config::for_flows(flows.size)
    }
}

/// One entry for each network that a masquerade covers.
fn hidden(masquerade: &Masquerade, host: &HostAddresses) -> Vec<(Ipv4Net, MasqueradeTarget<4>)> {
    let behind = match masquerade.to {
        Some(pool) => Some(pool),
        None => host.uplink_addresses.first().map(|net| (net.addr(), net.addr())),
    };
    let Some((first, last)) = behind else { return Vec::new() };
    let target = MasqueradeTarget {
        address: first.octets(),
        addresses: u32::from(last) - u32::from(first) + 1,
        first_port: masquerade.ports.0,
        last_port: masquerade.ports.1,
        rule: masquerade.rule,
        mapping: match masquerade.mapping {
            Mapping::EndpointDependent => rule::Mapping::EndpointDependent,
            Mapping::EndpointIndependent => rule::Mapping::EndpointIndependent,
        } as u8,
        filtering: match masquerade.filtering {
            Filtering::AddressAndPortDependent => rule::Filtering::AddressAndPortDependent,
            Filtering::AddressDependent => rule::Filtering::AddressDependent,
            Filtering::EndpointIndependent => rule::Filtering::EndpointIndependent,
        } as u8,
        // A range that the user did not narrow keeps well-known ports as they are, too.
        keep_any: u8::from(masquerade.ports == (1024, u16::MAX)),
        pad: 0,
    };
    masquerade.from.iter().filter_map(v4).map(|net| (net.trunc(), target)).collect()
}

/// Where a forward leads.
fn targets(lab: &Lab, forward: &Forward, host: &HostAddresses) -> rule::Forward<4> {
    let mut targets = [rule::Target { address: [0; 4], near: [0; 4], port: 0, node: 0 }; TARGETS];
    for (place, target) in targets.iter_mut().zip(&forward.targets) {
        let near = near(host, target.address).octets();
        let node = if addresses(lab, target.node).len() > 1 { number(target.node) } else { 0 };
        *place = rule::Target { address: target.address.octets(), near, port: target.port, node };
    }
    rule::Forward {
        targets,
        count: forward.targets.len().min(TARGETS) as u32,
        restricted: u32::from(!forward.allow.is_empty()),
        turn: 0,
        pad: 0,
    }
}

/// The host's address that a node knows the way to: the one in the node's network, else any that is not a loopback
/// one, which it reaches by its gateway.
fn near(host: &HostAddresses, node: Ipv4Addr) -> Ipv4Addr {
    let mut candidates = host.all.iter().filter(|net| !net.addr().is_loopback());
    let same = candidates.clone().filter(|net| net.contains(&node)).max_by_key(|net| net.prefix_len());
    same.or_else(|| candidates.next()).map_or(Ipv4Addr::UNSPECIFIED, Ipv4Net::addr)
}

/// One entry a port, so that a packet finds its forward in one look-up, however many there are.
fn each_port(forward: &Forward) -> impl Iterator<Item = (ForwardKey<4>, ForwardPort)> {
    let (first, last) = forward.ports;
    (first..=last).map(move |port| {
        let key = ForwardKey {
            address: forward.address.unwrap_or(Ipv4Addr::UNSPECIFIED).octets(),
            port: port.to_be_bytes(),
            protocol: protocol_number(forward.protocol),
            pad: 0,
        };
        (key, ForwardPort { rule: forward.rule, offset: port - first, pad: 0 })
    })
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

/// The name of the loopback interface, in every namespace.
pub const LOOPBACK: &str = "lo";

/// The interfaces of the host's that get programs: the uplink, every cable end towards a node that is not part of
/// the world, and, for its own packets to forwards, the loopback interface.
pub fn interfaces(lab: &Lab, uplink: &str) -> Vec<Interface> {
    let outside = outside(lab, uplink);
    let mut interfaces = vec![Interface { name: uplink.to_owned(), role: Role::Uplink }];
    if !lab.forwards.is_empty() {
        interfaces.push(Interface { name: LOOPBACK.to_owned(), role: Role::Loopback });
    }
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

/// An interface of the host's that packets come in at from outside of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostEnd {
    /// It.
    pub interface: Interface,
    /// Where the lab file wants its packets to be translated.
    pub datapath: Datapath,
    /// The node at its other end, by its index, and the interface there.
    pub other: Option<(usize, String)>,
}

/// The interfaces of [`interfaces`] that have another end, with what the lab file says of them. An uplink that is no end
/// of a link has what it says of the host.
pub fn ends(lab: &Lab, uplink: &str) -> Vec<HostEnd> {
    let host_ends = lab.cables.iter().flat_map(|cable| {
        let ends = [(&cable.near, &cable.far), (&cable.far, &cable.near)];
        ends.into_iter().map(move |(end, other)| (cable, end, other))
    });
    let host_ends: BTreeMap<&str, _> = host_ends
        .filter(|(_, end, _)| end.place == Place::Host)
        .map(|(cable, end, other)| (end.name.as_str(), (cable.datapath, other)))
        .collect();
    let ends = interfaces(lab, uplink).into_iter().filter(|interface| interface.role != Role::Loopback);
    ends.map(|interface| {
        let found = host_ends.get(interface.name.as_str());
        let node = |other: &End| match other.place {
            Place::Node(node) => Some((node, other.name.clone())),
            Place::Host => None,
        };
        HostEnd {
            datapath: found.map_or(lab.host.datapath, |(datapath, _)| *datapath),
            other: found.and_then(|(_, other)| node(other)),
            interface,
        }
    })
    .collect()
}

/// The names of the host's interfaces on which nodes' packets arrive at its stack: the bridges, and the cable
/// ends that are no bridge's port.
pub fn arrivals(lab: &Lab, uplink: &str) -> BTreeSet<String> {
    let outside = outside(lab, uplink);
    let mut names: BTreeSet<String> = lab.bridges.iter().map(|bridge| bridge.name.clone()).collect();
    for cable in &lab.cables {
        for (end, other) in [(&cable.near, &cable.far), (&cable.far, &cable.near)] {
            if let (Place::Host, Place::Node(node)) = (end.place, other.place)
                && !outside.contains(&node)
            {
                names.insert(end.name.clone());
            }
        }
    }
    names.remove(uplink);
    names
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
    let hosts = host.all.iter().map(Ipv4Net::addr).filter(|address| !address.is_loopback());
    let mut zones: BTreeMap<Ipv4Net, Zone> = nodes.into_iter().map(|net| (net, Zone::Nodes)).collect();
    zones.extend(world.map(|net| (net, Zone::World)));
    zones.extend(pools(lab).map(|net| (net, Zone::Pool)));
    zones.extend(hosts.map(|address| (address.into(), Zone::Host)));
    zones.into_iter().collect()
}

/// The addresses of forwards' targets that have several. Whoever uses a forward to a node by one of its other addresses
/// is that node, and the datapath cannot see it from the target's.
fn nodes(lab: &Lab, zones: &[(Ipv4Net, Zone)]) -> Vec<(Ipv4Addr, Zone, u16)> {
    let zone = |address: Ipv4Addr| {
        let around = zones.iter().filter(|(net, _)| net.contains(&address));
        around.max_by_key(|(net, _)| net.prefix_len()).map_or(Zone::World, |(_, zone)| *zone)
    };
    let targets: BTreeSet<usize> =
        lab.forwards.iter().flat_map(|forward| &forward.targets).map(|target| target.node).collect();
    let several =
        targets.into_iter().map(|node| (node, addresses(lab, node))).filter(|(_, all)| all.len() > 1);
    several
        .flat_map(|(node, all)| all.into_iter().map(move |at| (at, node)))
        .map(|(at, node)| (at, zone(at), number(node)))
        .collect()
}

/// Every address of a node.
fn addresses(lab: &Lab, node: usize) -> BTreeSet<Ipv4Addr> {
    let ends = lab.cables.iter().flat_map(|cable| [&cable.near, &cable.far]);
    let of_ends = ends.filter(|end| end.place == Place::Node(node)).flat_map(|end| &end.addresses);
    of_ends.chain(&lab.nodes[node].loopback).filter_map(v4).map(|net| net.addr()).collect()
}

/// A node's number, which is not zero.
fn number(node: usize) -> u16 {
    node as u16 + 1
}

/// The prefixes that pools consist of.
fn pools(lab: &Lab) -> impl Iterator<Item = Ipv4Net> {
    lab.masquerades
        .iter()
        .filter_map(|masquerade| masquerade.to)
        .flat_map(|(first, last)| Ipv4Subnets::new(first, last, 0))
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
