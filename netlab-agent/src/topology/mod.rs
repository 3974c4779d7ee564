//! The lab's namespaces, links, addresses and routes. `plan` says what to make, in order, and touches
//! nothing; `apply` makes it; `teardown` undoes it from the journal alone.

mod apply;
mod build;
mod ending;
mod error;
pub mod folder;
pub mod hosts;
pub mod inside;
pub mod journal;
pub mod preflight;
pub mod process;
pub mod sysctl;
pub mod teardown;

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::lab::{Cable, End, Lab, Mac, Place, Route, Uplink};

pub use apply::{Built, Port, apply, open, open_all, reopen};
pub use error::BuildError;
pub use folder::{LabDir, LabLock};
pub use preflight::preflight;
pub use teardown::{Problem, teardown};

/// What has to be done for a lab, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The lab's name.
    pub lab: String,
    /// The steps. Neighbours of the same `Stage` do not depend on each other.
    pub steps: Vec<Step>,
}

/// A place with the name that a user knows it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Which stack.
    pub place: Place,
    /// Node name or `host`.
    pub name: String,
}

/// One end of a cable, with everything the file left open decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedEnd {
    /// Where it is.
    pub site: Site,
    /// Interface name.
    pub name: String,
    /// MTU in bytes; a bridge's port takes the bridge's.
    pub mtu: Option<u32>,
    /// Hardware address, if the file gives one.
    pub mac: Option<Mac>,
    /// Whether it comes up.
    pub up: bool,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make a namespace with this name.
    Namespace {
        /// Who lives in it.
        site: Site,
        /// Its name.
        name: String,
    },
    /// Set a sysctl.
    Sysctl {
        /// In which stack.
        site: Site,
        /// Dotted name.
        key: String,
        /// Value.
        value: String,
        /// It belongs to an interface of the lab, so it waits until the interface is there.
        late: bool,
    },
    /// Make a bridge in the host's stack.
    Bridge {
        /// Interface name.
        name: String,
        /// Hardware address.
        mac: Mac,
        /// MTU in bytes.
        mtu: Option<u32>,
    },
    /// Make a veth pair.
    Cable {
        /// The end in the node that declares the link.
        near: PlannedEnd,
        /// The other end.
        far: PlannedEnd,
        /// The bridge that `far` is a port of.
        bridge: Option<String>,
    },
    /// Bring `lo` up.
    Loopback {
        /// In which stack.
        site: Site,
    },
    /// Add an address.
    Address {
        /// In which stack.
        site: Site,
        /// Interface name.
        interface: String,
        /// The address with its prefix length.
        address: IpNet,
    },
    /// Add a route.
    Route {
        /// In which stack.
        site: Site,
        /// The route.
        route: Route,
    },
}

/// Steps of one stage may run side by side; each stage needs the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Namespaces.
    Namespaces,
    /// Sysctls that need no interface of the lab.
    Sysctls,
    /// Bridges.
    Bridges,
    /// Veth pairs.
    Cables,
    /// `lo` and addresses.
    Addresses,
    /// Routes.
    Routes,
    /// Sysctls of the lab's interfaces.
    InterfaceSysctls,
}

impl Step {
    /// Which stage the step belongs to.
    pub fn stage(&self) -> Stage {
        match self {
            Step::Namespace { .. } => Stage::Namespaces,
            Step::Sysctl { late: false, .. } => Stage::Sysctls,
            Step::Bridge { .. } => Stage::Bridges,
            Step::Cable { .. } => Stage::Cables,
            Step::Loopback { .. } | Step::Address { .. } => Stage::Addresses,
            Step::Route { .. } => Stage::Routes,
            Step::Sysctl { late: true, .. } => Stage::InterfaceSysctls,
        }
    }
}

/// What to do for a lab. Looks at nothing but the lab, so the same lab gives the same plan everywhere.
pub fn plan(lab: &Lab) -> Plan {
    let mut steps = Vec::new();
    for place in places(lab) {
        stack_steps(lab, place, &mut steps);
    }
    for bridge in &lab.bridges {
        let mac = bridge.mac.unwrap_or_else(|| stable_mac(&lab.name, &bridge.name));
        steps.push(Step::Bridge { name: bridge.name.clone(), mac, mtu: bridge.mtu });
        let addresses = bridge.addresses.iter();
        steps.extend(addresses.map(|address| address_step(lab, Place::Host, &bridge.name, *address)));
    }
    for cable in &lab.cables {
        steps.push(cable_step(lab, cable));
        for end in [&cable.near, &cable.far] {
            let addresses = end.addresses.iter();
            steps.extend(addresses.map(|address| address_step(lab, end.place, &end.name, *address)));
        }
    }
    // The sort keeps the file's order within a stage.
    steps.sort_by_key(Step::stage);
    Plan { lab: lab.name.clone(), steps }
}

/// The host and every node, in file order.
pub(crate) fn places(lab: &Lab) -> impl Iterator<Item = Place> + use<> {
    std::iter::once(Place::Host).chain((0..lab.nodes.len()).map(Place::Node))
}

/// The steps that one stack needs whatever its links are.
fn stack_steps(lab: &Lab, place: Place, steps: &mut Vec<Step>) {
    let site = || site(lab, place);
    let owned = lab.namespace(place);
    if let Some(name) = owned {
        steps.push(Step::Namespace { site: site(), name: name.to_owned() });
        steps.push(Step::Loopback { site: site() });
    }
    let sysctl = |(key, value): (&str, &str)| {
        let late =
            sysctl::interface(key).is_some_and(|name| name != "lo" && has_interface(lab, place, &name));
        Step::Sysctl { site: site(), key: key.to_owned(), value: value.to_owned(), late }
    };
    let pairs = |list: &[(String, String)]| -> Vec<Step> {
        list.iter().map(|(key, value)| sysctl((key, value))).collect()
    };
    let add_routes = |routes: &[Route], steps: &mut Vec<Step>| {
        steps.extend(routes.iter().map(|route| Step::Route { site: site(), route: route.clone() }));
    };
    match place {
        Place::Host => {
            // The kernel resets other sysctls when ip_forward changes, so it goes first.
            let forwarding = lab.host.forwarding.map(|on| if on { "1" } else { "0" });
            steps.extend(forwarding.map(|value| sysctl(("net.ipv4.ip_forward", value))));
            // A node that uses a forward to another node of its bridge is routed back out where it came in, and
            // the kernel would tell it of the direct way by an ICMP redirect that it can make nothing of.
            // Only a host of the lab's own is told to keep silent; `default` is for the bridges to come.
            if lab.host.namespace.is_some() && !lab.forwards.is_empty() {
                let keys = ["net.ipv4.conf.all.send_redirects", "net.ipv4.conf.default.send_redirects"];
                steps.extend(keys.map(|key| sysctl((key, "0"))));
            }
            if let Some(uplink) = &lab.host.uplink {
                steps.extend(own_addresses(lab, uplink).iter().map(|key| sysctl((key, "1"))));
            }
            steps.extend(pairs(&lab.host.sysctls));
            add_routes(&lab.host.routes, steps);
        }
        Place::Node(index) => {
            let node = &lab.nodes[index];
            steps.extend(pairs(&node.sysctls));
            steps.extend(node.loopback.iter().map(|address| address_step(lab, place, "lo", *address)));
            // The kernel takes no route over a link that is down, and the gateway is often not the file's
            // own wish but follows from the bridge.
            let gateway = node.gateway.filter(|gateway| !only_behind_down(lab, place, *gateway));
            let gateway = gateway.map(default_route);
            add_routes(gateway.as_slice(), steps);
            add_routes(&node.routes, steps);
        }
    }
}

/// What lets the host's stack take translated packets that come from one of its own addresses: those of a node that
/// uses a forward to itself, and on the loopback interface those of the host's own processes that use one. There it
/// also takes loopback addresses from outside, as the answers to them come. No node can make use of it: the ports'
/// programs drop what claims to be the host's.
fn own_addresses(lab: &Lab, uplink: &Uplink) -> Vec<String> {
    let is_uplink = |name: &str| matches!(uplink, Uplink::Named(uplink) if uplink == name);
    let bridges = lab.bridges.iter().map(|bridge| &bridge.name);
    let ends =
        lab.cables.iter().filter(|cable| cable.bridge.is_none()).flat_map(|cable| [&cable.near, &cable.far]);
    let ends = ends.filter(|end| end.place == Place::Host).map(|end| &end.name);
    let accepting = bridges.chain(ends).filter(|name| !is_uplink(name));
    let mut keys =
        vec!["net.ipv4.conf.lo.accept_local".to_owned(), "net.ipv4.conf.lo.route_localnet".to_owned()];
    // A dot that belongs to a name is written as a slash.
    keys.extend(accepting.map(|name| format!("net.ipv4.conf.{}.accept_local", name.replace('.', "/"))));
    keys
}

/// Whether the only links of a place on this address's network are down.
fn only_behind_down(lab: &Lab, place: Place, address: IpAddr) -> bool {
    let ends = lab.cables.iter().flat_map(|cable| [&cable.near, &cable.far]);
    let mut reaching = ends
        .filter(|end| end.place == place && end.addresses.iter().any(|net| net.contains(&address)))
        .peekable();
    reaching.peek().is_some() && reaching.all(|end| !end.up)
}

fn default_route(via: IpAddr) -> Route {
    let to = match via {
        IpAddr::V4(_) => "0.0.0.0/0",
        IpAddr::V6(_) => "::/0",
    };
    Route { to: to.parse().expect("a constant prefix"), via: Some(via), dev: None }
}

fn address_step(lab: &Lab, place: Place, interface: &str, address: IpNet) -> Step {
    Step::Address { site: site(lab, place), interface: interface.to_owned(), address }
}

fn cable_step(lab: &Lab, cable: &Cable) -> Step {
    let bridge = cable.bridge.map(|index| &lab.bridges[index]);
    let planned = |end: &End| PlannedEnd {
        site: site(lab, end.place),
        name: end.name.clone(),
        // A bridge drops what is larger than its smallest port, so both ends of a port's cable follow it.
        mtu: end.mtu.or_else(|| bridge.and_then(|bridge| bridge.mtu)),
        mac: end.mac,
        up: end.up,
    };
    Step::Cable {
        near: planned(&cable.near),
        far: planned(&cable.far),
        bridge: bridge.map(|bridge| bridge.name.clone()),
    }
}

fn site(lab: &Lab, place: Place) -> Site {
    Site { place, name: lab.place_name(place).to_owned() }
}

fn has_interface(lab: &Lab, place: Place, name: &str) -> bool {
    let ends = lab.cables.iter().flat_map(|cable| [&cable.near, &cable.far]);
    let is_bridge = place == Place::Host && lab.bridges.iter().any(|bridge| bridge.name == name);
    is_bridge || ends.into_iter().any(|end| end.place == place && end.name == name)
}

/// The interfaces that the lab puts into the host's stack, bridges first.
pub(crate) fn host_interfaces(lab: &Lab) -> Vec<String> {
    let ends = lab.cables.iter().flat_map(|cable| [&cable.near, &cable.far]);
    let ends = ends.filter(|end| end.place == Place::Host).map(|end| end.name.clone());
    lab.bridges.iter().map(|bridge| bridge.name.clone()).chain(ends).collect()
}

/// A locally administered unicast address that follows from the names, by the FNV-1a hash: the bridge of a
/// lab has the same one each time, so neighbours' caches stay right over `down` and `up`.
fn stable_mac(lab: &str, bridge: &str) -> Mac {
    let bytes = lab.bytes().chain([0]).chain(bridge.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let [_, _, _, a, b, c, d, e] = hash.to_be_bytes();
    Mac([0x02, a, b, c, d, e])
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Namespace { site, name } => {
                write!(f, "make namespace {name}")?;
                if site.name == *name { Ok(()) } else { write!(f, " for the {}", site.name) }
            }
            Step::Sysctl { site, key, value, .. } => write!(f, "in {}: set {key} = {value}", site.name),
            Step::Bridge { name, mac, mtu } => {
                write!(f, "in host: make bridge {name}, address {}", Octets(*mac))?;
                mtu.map_or(Ok(()), |mtu| write!(f, ", mtu {mtu}"))
            }
            Step::Cable { near, far, bridge } => {
                write!(f, "make cable {near} -- {far}")?;
                bridge.as_ref().map_or(Ok(()), |bridge| write!(f, ", port of {bridge}"))
            }
            Step::Loopback { site } => write!(f, "in {}: bring lo up", site.name),
            Step::Address { site, interface, address } => {
                write!(f, "in {}: add address {address} to {interface}", site.name)
            }
            Step::Route { site, route } => {
                write!(f, "in {}: add route to {}", site.name, route.to)?;
                if let Some(via) = route.via {
                    write!(f, " via {via}")?;
                }
                route.dev.as_ref().map_or(Ok(()), |dev| write!(f, " dev {dev}"))
            }
        }
    }
}

impl fmt::Display for PlannedEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.site.name, self.name)?;
        let mac = self.mac.map(|mac| format!("address {}", Octets(mac)));
        let mtu = self.mtu.map(|mtu| format!("mtu {mtu}"));
        let down = (!self.up).then(|| "down".to_owned());
        let details: Vec<_> = [mac, mtu, down].into_iter().flatten().collect();
        if details.is_empty() { Ok(()) } else { write!(f, " ({})", details.join(", ")) }
    }
}

/// A hardware address as people write it.
struct Octets(Mac);

impl fmt::Display for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests;
