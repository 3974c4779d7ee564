//! The way up, shared by both forms of `up`: file, checks, topology, datapath, commands; and all of it undone
//! when a step fails or a signal comes.

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;

use super::down::undo;
use super::{note, running};
use crate::error::{Failure, Kind, Result};
use crate::lab::{self, Lab, Place};
use crate::nat::{self, HostAddresses};
use crate::netlink::Netlink;
use crate::topology::journal::Journal;
use crate::topology::process::{self, Started};
use crate::topology::{self, Built, LabDir, LabLock};
use crate::{agent, datapath};

/// A lab that came up.
pub struct Up {
    /// Its state folder.
    pub dir: LabDir,
    /// What it is.
    pub lab: Lab,
    /// Its commands, children of this process.
    pub started: Vec<Started>,
    /// Held until the lab is registered.
    pub lock: LabLock,
}

/// What `raise` came to.
pub enum Raised {
    /// The lab was up already; the text says so.
    Already(String),
    /// The lab came up.
    Up(Box<Up>),
}

/// Brings a lab up whole, or leaves nothing. `cancel` interrupts it.
pub async fn raise(path: &Path, cancel: impl Future<Output = ()>) -> Result<Raised> {
    let mut cancel = pin!(cancel);
    let lab::Loaded { lab, text } = lab::load(path)?;
    let dir = LabDir::new(&lab.name);
    if nix::unistd::Uid::effective().is_root() && dir.journal().exists() {
        return again(dir, lab, &text).await;
    }
    // Without root not even the lock can be had, and the preflight says why in better words.
    if !nix::unistd::Uid::effective().is_root() {
        topology::preflight(&lab).await?;
    }
    // Of two `up`s at once, one gets the lock; the other is told so.
    let lock = dir.lock()?;
    if dir.journal().exists() {
        drop(lock);
        return again(dir, lab, &text).await;
    }
    // What labs share is looked at and changed by one of them at a time.
    let shared = dir.lock_shared().await?;
    if let Err(failure) = topology::preflight(&lab).await {
        dir.remove()?;
        dir.remove_shared();
        return Err(failure);
    }
    let plan = topology::plan(&lab);
    let built = match topology::apply(&lab, &plan, &dir, &mut cancel).await {
        Ok(built) => built,
        Err(failure) => {
            dir.remove_shared();
            return Err(failure);
        }
    };
    let clash = uplink_clash(&dir, &built);
    drop(shared);
    if let Some(failure) = clash {
        undo(&dir).await?;
        return Err(failure);
    }
    match finish(&lab, &dir, &built, path, &text, cancel).await {
        Ok(started) => Ok(Raised::Up(Box::new(Up { dir, lab, started, lock }))),
        Err(failure) => {
            undo(&dir).await?;
            Err(failure)
        }
    }
}

/// Two labs cannot do NAT on one uplink: each would take the answers to the other's flows.
fn uplink_clash(dir: &LabDir, built: &Built) -> Option<Failure> {
    let ours = built.uplink.as_ref()?;
    let host = built.namespace(Place::Host).identity();
    let other = dir.others().into_iter().find(|other| {
        Journal::read(other).ok().flatten().is_some_and(|journal| {
            journal.host == host && journal.uplink.is_some_and(|uplink| uplink.index == ours.index)
        })
    })?;
    let failure = Failure::new(
        Kind::Conflict,
        format!("lab {} does NAT on uplink {} already", other.name(), ours.name),
    );
    Some(
        failure
            .hint(format!("take that lab down (`netlab down -l {}`), or use another uplink", other.name())),
    )
}

/// Everything after the topology.
async fn finish(
    lab: &Lab,
    dir: &LabDir,
    built: &Built,
    path: &Path,
    text: &str,
    cancel: impl Future<Output = ()>,
) -> Result<Vec<Started>> {
    install_datapath(lab, built).await?;
    let mut started = process::start_all(lab, built, dir, &folder_of(path))?;
    tokio::select! {
        biased;
        () = cancel => return Err(interrupted()),
        waited = process::wait_all(lab, built, &mut started) => waited?,
    }
    running::remember(dir, lab, text)?;
    Ok(started)
}

/// What a lab comes to that was interrupted after its topology stood.
pub fn interrupted() -> Failure {
    Failure::new(Kind::Interrupted, "interrupted; the lab was taken down again")
}

/// Commands run where the lab file is, so that it can name files beside it.
fn folder_of(path: &Path) -> PathBuf {
    let absolute = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    absolute.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned)
}

/// `up` of a lab that is up: changes nothing, except that an agent that died gets a successor.
async fn again(dir: LabDir, lab: Lab, text: &str) -> Result<Raised> {
    let name = &lab.name;
    if !dir.path().join("lab.json").exists() {
        return Err(Failure::new(
            Kind::Failed,
            format!("lab {name} is being brought up, or was left half-made"),
        )
        .hint(format!("if no other `netlab up` is at work, clear it away with `netlab down -l {name}`")));
    }
    if fs::read_to_string(dir.lab_file()).is_ok_and(|known| known != text) {
        return Err(Failure::new(
            Kind::Failed,
            format!("lab {name} is up already, from another version of its file"),
        )
        .hint(format!("take it down first with `netlab down -l {name}`")));
    }
    if agent::find(&dir).is_some() {
        return Ok(Raised::Already(format!("lab {name} is up already; nothing was changed\n")));
    }
    let lock = dir.lock()?;
    if agent::find(&dir).is_some() || !dir.journal().exists() {
        // Another `up` or `down` was quicker.
        return Ok(Raised::Already(format!(
            "lab {name} is in another netlab's hands; nothing was changed\n"
        )));
    }
    note(&format!("lab {name} is up without its agent; this one takes over, nothing else was changed"));
    Ok(Raised::Up(Box::new(Up { dir, lab, started: Vec::new(), lock })))
}

/// Loads, fills and attaches the datapath of a lab that has an uplink.
async fn install_datapath(lab: &Lab, built: &Built) -> Result<()> {
    let Some(uplink) = &built.uplink else { return Ok(()) };
    let host = built.namespace(Place::Host);
    let netlink = host.enter(Netlink::open)??;
    if netlink.links().await?.iter().any(|link| link.index == uplink.index && !link.ethernet) {
        return Err(Failure::new(
            Kind::Usage,
            format!(
                "uplink {} is not an Ethernet interface, the only kind that netlab's NAT reads",
                uplink.name
            ),
        )
        .hint("name an Ethernet interface as `uplink` in `[host]`"));
    }
    let addresses = netlink.addresses().await?;
    let mut known = HostAddresses {
        uplink: uplink.name.clone(),
        uplink_addresses: Vec::new(),
        lab_interfaces: lab_interfaces(lab, built, uplink.index),
        all: Vec::new(),
    };
    for found in addresses {
        if let ipnet::IpNet::V4(net) = found.address {
            known.all.push(net.addr());
            if found.index == uplink.index {
                known.uplink_addresses.push(net);
            }
        }
    }
    if known.uplink_addresses.is_empty() && !lab.masquerades.is_empty() {
        return Err(Failure::new(
            Kind::Usage,
            format!("uplink {} has no IPv4 address to hide the masqueraded nodes behind", uplink.name),
        )
        .hint(format!("give {} an address, or name another `uplink` in `[host]`", uplink.name)));
    }
    let rules = nat::rules(lab, &known);
    let interfaces = nat::interfaces(lab, &uplink.name);
    host.enter(|| datapath::install(&lab.name, &interfaces, &rules))??;
    Ok(())
}

/// Where nodes' packets arrive at the host's stack: the bridges, and the cable ends that are no bridge's port.
fn lab_interfaces(lab: &Lab, built: &Built, uplink: u32) -> Vec<u32> {
    let outside = built.uplink.as_ref().map(|uplink| nat::outside(lab, &uplink.name)).unwrap_or_default();
    let ends = built.ports.iter().filter(|port| match port.other {
        Place::Node(node) => !outside.contains(&node),
        Place::Host => false,
    });
    let bridges = built.bridges.iter().map(|bridge| bridge.index);
    let mut indexes: Vec<u32> =
        bridges.chain(ends.map(|port| port.index)).filter(|index| *index != uplink).collect();
    indexes.sort_unstable();
    indexes.dedup();
    indexes
}

/// What `up` says when it is done.
pub fn summary(lab: &Lab) -> String {
    let nodes: Vec<&str> = lab.nodes.iter().map(|node| node.name.as_str()).collect();
    let nat = match &lab.host.uplink {
        Some(_) => {
            let masquerades = super::count(lab.masquerades.len(), "masquerade");
            format!("NAT in eBPF: {masquerades}, {}", super::count(lab.forwards.len(), "forward"))
        }
        None => "no uplink, so no NAT".into(),
    };
    format!("lab {} is up: {}; {nat}\n", lab.name, nodes.join(", "))
}
