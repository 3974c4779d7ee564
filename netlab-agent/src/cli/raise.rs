//! The way up, shared by both forms of `up`: file, checks, topology, datapath, commands; and all of it undone
//! when a step fails or a signal comes.

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;

use super::down::undo;
use super::{nat, note, running};
use crate::error::{Failure, Kind, Result};
use crate::lab::{self, Lab, Place};
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
    let room = match uplink_clash(&dir, &built) {
        Some(failure) => Err(failure),
        None => nat::prepare(&lab, &built),
    };
    drop(shared);
    if let Err(failure) = room {
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
    nat::install(lab, dir, built).await?;
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

/// `up` of a lab that is up: an agent that died gets a successor, and programs of another build make way for
/// this one's. Nothing else is changed.
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
    let uplink = Journal::read(&dir)?.and_then(|journal| journal.uplink);
    let outdated = uplink.filter(|_| !nat::is_current(&dir));
    if agent::find(&dir).is_some() && outdated.is_none() {
        return Ok(Raised::Already(format!("lab {name} is up already; nothing was changed\n")));
    }
    // Before anything is touched: maps of another layout are another netlab's to keep.
    if outdated.is_some() {
        datapath::bpffs::look(name)?;
    }
    let lock = dir.lock()?;
    if !dir.journal().exists() || (agent::find(&dir).is_some() && nat::is_current(&dir)) {
        // Another `up` or `down` was quicker.
        return Ok(Raised::Already(format!(
            "lab {name} is in another netlab's hands; nothing was changed\n"
        )));
    }
    // The lab as it runs, with the forwards that were added and taken away meanwhile.
    let lab = running::find(Some(name))?.lab;
    match outdated {
        Some(uplink) => {
            agent::stop(&dir)?;
            nat::upgrade(&lab, &dir, &uplink.name).await?;
            note(&format!(
                "lab {} is up with programs of another build; they were replaced, flows and counters stay",
                lab.name
            ));
        }
        None => note(&format!(
            "lab {} is up without its agent; this one takes over, nothing else was changed",
            lab.name
        )),
    }
    Ok(Raised::Up(Box::new(Up { dir, lab, started: Vec::new(), lock })))
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
