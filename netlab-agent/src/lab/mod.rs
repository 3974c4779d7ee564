//! The checked lab: what a lab file means once every name is resolved and every rule of the format holds.
//! Nothing here is optional that the rest of netlab would have to guess. `file` and `check` make it.

mod check;
mod diagnostic;
mod file;
mod load;
mod publish;
mod read;
mod shapes;
mod suggest;
#[cfg(test)]
mod tests;
mod text;
mod value;
mod way;

pub use diagnostic::Look;
pub use load::{Loaded, load, load_for, parse};
pub use publish::publish;
pub use way::{Bypass, Datapath};

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
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
    /// How many flows there is room for, and how long they live.
    pub flows: Flows,
    /// Source-NAT rules, in file order.
    pub masquerades: Vec<Masquerade>,
    /// Port forwards, in file order.
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
    /// Where what the uplink brings is translated, unless that is a link that says otherwise.
    pub datapath: Datapath,
    /// Whether packets of established flows pass by its stack.
    pub bypass: Bypass,
    /// Whether packets and bytes are counted, by hook, rule and flow.
    pub counters: bool,
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
    /// Where what its end in the host brings is translated.
    pub datapath: Datapath,
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

/// `[flows]`: how many flows the lab has room for, and how long they may be idle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flows {
    /// Flows at one time.
    pub size: u32,
    /// Flows that one source address may hold.
    pub per_source: u32,
    /// Seconds for which a flow that is over keeps its port.
    pub quarantine: u32,
    /// Whether TCP connections are taken up that began unseen.
    pub pickup: bool,
    /// How long flows may be idle.
    pub timeouts: Timeouts,
}

impl Flows {
    /// The room for one source where the file does not say: an eighth is left to the others.
    pub fn share(size: u32) -> u32 {
        size - size / 8
    }
}

impl Default for Flows {
    fn default() -> Self {
        const SIZE: u32 = 65536;
        Flows {
            size: SIZE,
            per_source: Flows::share(SIZE),
            quarantine: 2,
            pickup: false,
            timeouts: Timeouts::default(),
        }
    }
}

/// Seconds after which an idle flow is over, by what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// A TCP connection that both sides have opened and at most one has closed.
    pub tcp_established: u32,
    /// A TCP connection that is being opened.
    pub tcp_transitory: u32,
    /// A TCP connection that both sides have closed.
    pub tcp_closed: u32,
    /// A TCP connection that was reset.
    pub tcp_reset: u32,
    /// UDP with an answer.
    pub udp: u32,
    /// UDP without an answer yet.
    pub udp_unreplied: u32,
    /// ICMP queries.
    pub icmp: u32,
    /// Protocols without ports, and SCTP.
    pub other: u32,
}

impl Default for Timeouts {
    /// The least that RFC 5382, RFC 4787 and RFC 5508 allow or recommend, where they say anything.
    fn default() -> Self {
        Timeouts {
            tcp_established: 7440,
            tcp_transitory: 240,
            tcp_closed: 120,
            tcp_reset: 60,
            udp: 300,
            udp_unreplied: 120,
            icmp: 60,
            other: 600,
        }
    }
}

/// Sources hidden behind the uplink's address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Masquerade {
    /// The sources, resolved from a prefix, a bridge or a node.
    pub from: Vec<IpNet>,
    /// How the file wrote `from`, for display.
    pub from_text: String,
    /// First and last address of the pool to hide behind; `None` follows the uplink's address.
    pub to: Option<(Ipv4Addr, Ipv4Addr)>,
    /// First and last external port to use when the source's own port is taken.
    pub ports: (u16, u16),
    /// When a source's port gets the same external port again.
    pub mapping: Mapping,
    /// Whose packets come in through an external port.
    pub filtering: Filtering,
    /// Rule number, as flows name it and counters are kept under it: masquerades have the first ones.
    pub rule: u32,
}

/// RFC 4787, section 4.1: which flows of one internal address and port share their external one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mapping {
    /// Each flow may have another external port.
    #[default]
    EndpointDependent,
    /// All of them share one, whatever their remote ends.
    EndpointIndependent,
}

/// RFC 4787, section 5: who may send to an external port that is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Filtering {
    /// Everybody.
    EndpointIndependent,
    /// Addresses that the internal end has sent to.
    AddressDependent,
    /// Addresses and ports that the internal end has sent to.
    #[default]
    AddressAndPortDependent,
}

/// Forwarded ports: one `[[forward]]`, whatever number of ports it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// As the user wrote it.
    pub publish: String,
    /// Only packets to this address; `None` is any address of the host.
    pub address: Option<Ipv4Addr>,
    /// First and last of the ports that the world uses.
    pub ports: (u16, u16),
    /// Transport.
    pub protocol: Protocol,
    /// Who serves it; several share the flows. At least one.
    pub targets: Vec<ForwardTarget>,
    /// Only packets from these; empty is everybody.
    pub allow: Vec<Ipv4Net>,
    /// Rule number, as flows name it and counters are kept under it: forwards follow the masquerades.
    pub rule: u32,
}

/// One of those who serve a forward.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardTarget {
    /// Index into `Lab::nodes`.
    pub node: usize,
    /// The node's address that serves it.
    pub address: Ipv4Addr,
    /// The node's port for the first port of the range; the others follow.
    pub port: u16,
}

/// A transport that has ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
