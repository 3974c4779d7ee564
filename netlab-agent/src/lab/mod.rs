//! The checked lab: what a lab file means once every name is resolved and every rule of the format holds.
//! Nothing here is optional that the rest of netlab would have to guess. `file` and `check` make it.

mod check;
mod diagnostic;
mod file;
mod load;
mod read;
mod suggest;
#[cfg(test)]
mod tests;
mod text;
mod value;

pub use diagnostic::Look;
pub use load::{Loaded, load, load_for, parse};

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// A whole lab, ready to be planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lab {
    /// Names the lab's state folder and pins; letters, digits, `-`, `_`, at most 32 bytes.
    pub name: String,
    /// The stack that plays the host.
    pub host: Host,
    /// Bridges, all in the host's namespace, in file order.
    pub bridges: Vec<Bridge>,
    /// Nodes, each a namespace of that name, in file order.
    pub nodes: Vec<Node>,
    /// Every veth pair, in file order.
    pub cables: Vec<Cable>,
    /// Source-NAT rules, in file order.
    pub masquerades: Vec<Masquerade>,
    /// Port forwards, in file order; ranges are already one entry a port.
    pub forwards: Vec<Forward>,
    /// What `netlab check` tries, in file order.
    pub checks: Vec<Check>,
}

/// The stack between the nodes and the world.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// A namespace made and owned by the lab; `None` is the stack that netlab was started in.
    pub namespace: Option<String>,
    /// The interface towards the world; without one the lab has no NAT.
    pub uplink: Option<Uplink>,
    /// Value for `net.ipv4.ip_forward`; `None` leaves it as it is.
    pub forwarding: Option<bool>,
    /// Routes to add in the host's namespace.
    pub routes: Vec<Route>,
    /// `net.*` sysctls to set in the host's namespace, put back by `down`: dotted name, value.
    pub sysctls: Vec<(String, String)>,
}

/// Which interface is the uplink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Uplink {
    /// The interface with the default route when the lab comes up.
    Auto,
    /// This interface; in an owned host namespace a cable's end has this name.
    Named(String),
}

/// A route as `ip route add` would take it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Destination; `0.0.0.0/0` for `default`.
    pub to: IpNet,
    /// Next hop; `None` for a destination on the link.
    pub via: Option<IpAddr>,
    /// Outgoing interface; `None` lets the kernel find it from `via`.
    pub dev: Option<String>,
}

/// A bridge in the host's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// Interface name.
    pub name: String,
    /// The host's addresses on it, with prefix length.
    pub addresses: Vec<IpNet>,
    /// MTU in bytes.
    pub mtu: Option<u32>,
    /// Fixed hardware address.
    pub mac: Option<Mac>,
}

/// A node: one namespace, visible to iproute2 under its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// The node's and its namespace's name.
    pub name: String,
    /// Default gateway, already resolved: the file's own, else the address of the one bridge it hangs on.
    pub gateway: Option<IpAddr>,
    /// Addresses put on `lo`.
    pub loopback: Vec<IpNet>,
    /// Further routes.
    pub routes: Vec<Route>,
    /// `net.*` sysctls of the namespace: dotted name, value.
    pub sysctls: Vec<(String, String)>,
    /// Commands started when the lab is up, each by `sh -c`.
    pub run: Vec<String>,
    /// What must hold before `up` returns.
    pub wait: Vec<Wait>,
}

/// A condition on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wait {
    /// Something in the node listens on this TCP port.
    Tcp(u16),
    /// Something in the node has bound this UDP port.
    Udp(u16),
}

/// A veth pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cable {
    /// The end in the node that declares the link.
    pub near: End,
    /// The other end: in another node, in the host, or (with `bridge`) in the host as a bridge's port.
    pub far: End,
    /// Index into `Lab::bridges` of the bridge that `far` is a port of.
    pub bridge: Option<usize>,
}

/// One end of a veth pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Whose namespace it is in.
    pub place: Place,
    /// Interface name, unique in its place.
    pub name: String,
    /// Addresses with prefix length.
    pub addresses: Vec<IpNet>,
    /// MTU in bytes.
    pub mtu: Option<u32>,
    /// Fixed hardware address.
    pub mac: Option<Mac>,
    /// Link state after `up`; true unless the file says `state = "down"`.
    pub up: bool,
}

/// Where an interface lives or a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Place {
    /// The host's namespace.
    Host,
    /// The node at this index of `Lab::nodes`.
    Node(usize),
}

/// A hardware address, in wire order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Mac(pub [u8; 6]);

/// Sources hidden behind the uplink's address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Masquerade {
    /// The sources, resolved from a prefix, a bridge or a node.
    pub from: Vec<IpNet>,
    /// How the file wrote `from`, for display.
    pub from_text: String,
    /// First and last external port to use when the source's own port is taken.
    pub ports: (u16, u16),
}

/// One forwarded port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// Only packets to this address; `None` is any address of the host.
    pub address: Option<Ipv4Addr>,
    /// The port the world uses.
    pub port: u16,
    /// Transport.
    pub protocol: Protocol,
    /// Index into `Lab::nodes`.
    pub node: usize,
    /// The node's address that serves it.
    pub target: Ipv4Addr,
    /// The node's port.
    pub target_port: u16,
}

/// A transport that has ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Something to try in the running lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What the check shows, as the user words it.
    pub name: String,
    /// Where it is tried from.
    pub from: Place,
    /// What is tried.
    pub probe: Probe,
    /// Whether it must work or must fail.
    pub expect: Expect,
}

/// What a check does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Probe {
    /// One ICMP echo; a node's name is already its first address.
    Ping(IpAddr),
    /// A GET of this URL; works when the answer's status is `status`.
    Http {
        /// The whole URL, `http://` only.
        url: String,
        /// The wanted status, 200 unless the file says another.
        status: u16,
    },
    /// A TCP connection to this address and port.
    Tcp(std::net::SocketAddr),
}

/// The wanted outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expect {
    /// The probe must work.
    Pass,
    /// The probe must fail.
    Fail,
}

impl Lab {
    /// The namespace that a place stands for; `None` is the stack netlab was started in.
    pub fn namespace(&self, place: Place) -> Option<&str> {
        match place {
            Place::Host => self.host.namespace.as_deref(),
            Place::Node(index) => Some(&self.nodes[index].name),
        }
    }

    /// The name a user knows a place by.
    pub fn place_name(&self, place: Place) -> &str {
        match place {
            Place::Host => "host",
            Place::Node(index) => &self.nodes[index].name,
        }
    }
}
