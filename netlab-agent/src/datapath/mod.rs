//! The datapath of one lab: loaded, filled with rules, attached, and pinned, so that it outlives the command
//! that made it and anyone can read its maps.
//!
//! Everything is pinned under `/sys/fs/bpf/netlab/<lab>/v<ABI>`: maps and programs by their names, links as
//! `<hook>@<interface>`. Removing the pins detaches the programs and frees the maps. Of a large lab only the
//! uplink has links, and where the kernel knows none, nothing has; there are filters instead (see `attach`).

pub mod attach;
pub mod bpffs;
pub mod exits;
mod filters;
pub mod hints;
mod links;
pub mod maps;
pub mod object;
pub mod programs;
pub mod rules;
pub mod sweep;
pub mod xdp;

use netlab_common::abi::hook::Hook;
use netlab_common::abi::rule::{Filtering, MasqueradeTarget};

use crate::error::{Explain, Kind};
use object::Traits;
use rules::Rules;

/// What goes wrong between netlab and the kernel's BPF side.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refuses the maps or the object.
    #[error("the kernel does not take netlab's eBPF maps")]
    Object(#[from] aya::EbpfError),
    /// The verifier refuses a program.
    #[error("the kernel does not take netlab's program {name}")]
    Program {
        /// The program.
        name: &'static str,
        /// What the kernel says.
        source: Box<aya::programs::ProgramError>,
    },
    /// A map or program that the object should have is not in it.
    #[error("netlab's eBPF object has no {name}")]
    Absent {
        /// What is missing.
        name: &'static str,
    },
    /// A program cannot be attached.
    #[error("the program for {hook} cannot be attached to interface {interface}")]
    Attach {
        /// Interface name.
        interface: String,
        /// Hook name.
        hook: &'static str,
        /// What the kernel says.
        source: Box<aya::programs::ProgramError>,
    },
    /// A program is attached by a way that ends with the process.
    #[error("the program for {hook} on interface {interface} cannot be kept attached")]
    Link {
        /// Interface name.
        interface: String,
        /// Hook name.
        hook: &'static str,
        /// What the kernel says.
        source: Box<aya::programs::links::LinkError>,
    },
    /// An interface's filters cannot be read or taken away.
    #[error("the traffic-control filters of interface {interface} cannot be reached")]
    Filter {
        /// Interface name.
        interface: String,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// The host's interfaces cannot be looked at.
    #[error("what the host's interfaces can do for XDP cannot be told")]
    Look {
        /// What the kernel says.
        source: std::io::Error,
    },
    /// A node's end of a link cannot be told what XDP at the host's end needs.
    #[error("the offloads of {interface}, the other end of {port}, cannot be switched for XDP")]
    Offloads {
        /// The node's interface.
        interface: String,
        /// The host's.
        port: String,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// XDP was asked for on an interface that has none.
    #[error("interface {interface} takes no XDP program: {cause}")]
    NoXdp {
        /// Interface name.
        interface: String,
        /// What the kernel says.
        cause: String,
    },
    /// An interface takes no clsact qdisc.
    #[error("interface {interface} takes no clsact qdisc, on which netlab's filters hang")]
    Clsact {
        /// Interface name.
        interface: String,
        /// What the kernel says.
        source: Box<aya::programs::tc::TcError>,
    },
    /// A map cannot be read or written.
    #[error("the map {name} cannot be used")]
    Map {
        /// Which map.
        name: &'static str,
        /// What the kernel says.
        source: Box<aya::maps::MapError>,
    },
    /// Something cannot be pinned.
    #[error("{path} cannot be pinned")]
    Pin {
        /// The pin.
        path: String,
        /// What the kernel says.
        source: Box<aya::pin::PinError>,
    },
    /// The BPF file system, or a folder in it, cannot be used.
    #[error("{path} cannot be used")]
    BpfFs {
        /// The path.
        path: String,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// There is no room for another rule.
    #[error(
        "lab {lab} has room for {room} rules, and for {} ports of forwards beside those of its file",
        rules::PORT_ROOM
    )]
    RulesFull {
        /// The lab.
        lab: String,
        /// How many rules.
        room: u32,
    },
    /// The lab's pins are gone: somebody removed them.
    #[error("lab {lab} has lost its datapath: nothing is pinned for it")]
    Unpinned {
        /// The lab.
        lab: String,
    },
    /// The lab's pins are of another version of netlab.
    #[error("lab {lab} has no maps of ABI version {version}")]
    OtherAbi {
        /// The lab.
        lab: String,
        /// The version this netlab speaks.
        version: u32,
    },
}

impl Explain for Error {
    fn kind(&self) -> Kind {
        match self {
            Error::Object(_)
            | Error::Program { .. }
            | Error::Attach { .. }
            | Error::Link { .. }
            | Error::Filter { .. }
            | Error::Look { .. }
            | Error::Offloads { .. }
            | Error::NoXdp { .. }
            | Error::BpfFs { .. } => Kind::Privilege,
            Error::OtherAbi { .. } | Error::Clsact { .. } => Kind::Conflict,
            Error::RulesFull { .. } => Kind::Failed,
            Error::Absent { .. } | Error::Map { .. } | Error::Pin { .. } | Error::Unpinned { .. } => {
                Kind::Failed
            }
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Error::Object(_) | Error::Program { .. } | Error::Attach { .. } | Error::Link { .. } => vec![
                "netlab's NAT needs Linux 6.1 or newer with BPF, tcx or clsact, and CAP_BPF; `uname -r` tells the \
                 version"
                    .into(),
            ],
            Error::Clsact { interface, .. } => vec![format!(
                "an `ingress` qdisc may have its place: see `tc qdisc show dev {interface}`; without one, the kernel \
                 may lack the module sch_ingress"
            )],
            Error::Filter { .. } => vec!["they are listed by `tc filter show dev INTERFACE ingress`".into()],
            Error::Offloads { .. } | Error::NoXdp { .. } => {
                vec!["write `datapath = \"tc\"` for the link, or under `[host]`".into()]
            }
            Error::Look { .. } => vec!["`ip -details link` shows the same".into()],
            Error::Unpinned { lab } => {
                vec![format!("take it down and up again: `netlab down -l {lab}`")]
            }
            Error::BpfFs { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                vec!["run it as root: `sudo netlab …`".into()]
            }
            Error::BpfFs { .. } => {
                vec!["the BPF file system is mounted with `mount -t bpf bpf /sys/fs/bpf`".into()]
            }
            Error::OtherAbi { lab, .. } => vec![
                "the lab was brought up by another version of netlab, whose maps this one cannot read".into(),
                format!("use that version, or take the lab down and up again: `netlab down -l {lab}`"),
            ],
            Error::RulesFull { .. } => vec![
                "put the forwards into the lab file and bring the lab up anew: then it has room for them"
                    .into(),
            ],
            Error::Absent { .. } | Error::Map { .. } | Error::Pin { .. } => Vec::new(),
        }
    }
}

/// The result of this module's work.
pub type Result<T> = std::result::Result<T, Error>;

/// Which side of the host an interface is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Towards a node.
    Port,
    /// Towards the world.
    Uplink,
    /// The host's way to itself.
    Loopback,
}

impl Role {
    /// The hooks of such an interface.
    pub fn hooks(self) -> &'static [Hook] {
        match self {
            Role::Port => &[Hook::PortIn, Hook::PortOut],
            Role::Uplink => &[Hook::UplinkIn, Hook::UplinkOut],
            Role::Loopback => &[Hook::LocalOut],
        }
    }
}

/// An interface of the host's that programs are attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name in the host's namespace.
    pub name: String,
    /// Where it leads.
    pub role: Role,
}

/// Rules that there is room for beside a lab's own.
const RULE_ROOM: u32 = 1024;

/// Loads, fills, attaches and pins a lab's datapath in the folder that [`bpffs::prepare`] made, onto interfaces of the
/// network namespace that the calling thread is in. When it fails, what it came to stays: [`bpffs::remove`] takes the
/// pins away, and [`attach::detach`] the filters on the uplink.
///
/// # Errors
/// See [`Error`].
pub fn install(lab: &str, interfaces: &[Interface], flows: u32, traits: Traits, rules: &Rules) -> Result<()> {
    let filtered =
        |(_, target): &(_, MasqueradeTarget<4>)| target.filtering == Filtering::AddressDependent as u8;
    let sizes = object::Sizes {
        flows,
        contacts: if rules.masquerades.iter().any(filtered) { flows } else { 1 },
        forward_ports: (rules.forward_ports.len() + rules::PORT_ROOM) as u32,
        allow: rules.allow.len() as u32 + 16 * RULE_ROOM,
        // Addresses may come and go while the lab runs; what is not used takes no memory.
        masquerades: rules.masquerades.len() as u32 + RULE_ROOM,
        zones: (rules.zones.len() + rules.nodes.len()) as u32 + RULE_ROOM,
        interfaces: (rules.interfaces.len() + interfaces.len()) as u32 + 64,
        rules: rules.numbers() + RULE_ROOM,
        traits,
    };
    let mut object = object::load(&sizes)?;
    maps::begin(&mut object, flows)?;
    maps::pin(&object, lab)?;
    rules::RuleMaps::open(lab)?.apply(lab, rules)?;
    programs::install(&mut object, lab)?;
    attach::attach(lab, interfaces)
}

/// Puts this netlab's programs in the place of a running lab's, one after another and each in one step, over
/// the same maps: flows and counters stay.
///
/// # Errors
/// See [`Error`]; the lab then runs on, with the programs that it had or with some of the new ones.
pub fn upgrade(lab: &str, interfaces: &[Interface], traits: Traits) -> Result<()> {
    bpffs::look(lab)?;
    // Sizes of maps that are there already count for nothing.
    let sizes = object::Sizes {
        flows: maps::Maps::open(lab)?.flows.len() as u32,
        contacts: 1,
        forward_ports: 1,
        allow: 1,
        masquerades: 1,
        zones: 1,
        interfaces: 1,
        rules: 1,
        traits,
    };
    let mut object = object::load_onto(&bpffs::folder(lab), &sizes)?;
    programs::install(&mut object, lab)?;
    attach::attach(lab, interfaces)
}
