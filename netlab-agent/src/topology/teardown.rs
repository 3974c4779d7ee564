//! Undoes a lab from its journal alone. It never stops at the first problem, touches only what carries the
//! lab's mark, and may be run again at any time.

use std::fmt::Write;
use std::path::Path;

use ipnet::IpNet;
use nix::errno::Errno;
use thiserror::Error;

use super::ending;
use super::folder::{FolderError, LabDir};
use super::journal::{Guest, Journal, JournalError, NamespaceRecord, State, SysctlRecord};
use super::sysctl::{self, SysctlError};
use crate::datapath::{self, attach};
use crate::error::{Explain, Kind};
use crate::netlink::{Link, Netlink, NetlinkError, NewRoute};
use crate::netns::{self, Found, Identity, Namespace, NetnsError};
use crate::sys;

/// Something that could not be undone.
#[derive(Debug, Error)]
pub enum Problem {
    /// The journal cannot be read, so nothing was touched.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The state folder cannot be removed.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A namespace cannot be looked at or removed.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// A namespace has been replaced.
    #[error("the namespace \"{0}\" is not the one that the lab made; it was left alone")]
    Replaced(String),
    /// Processes survive being killed.
    #[error("these processes cannot be ended: {}", list(.0))]
    Processes(Vec<i32>),
    /// The links of the host cannot be listed.
    #[error("cannot look at the host's interfaces")]
    Look(#[source] NetlinkError),
    /// A link cannot be deleted.
    #[error("cannot delete the interface \"{name}\"")]
    Link {
        /// Its name.
        name: String,
        /// What the kernel said.
        source: NetlinkError,
    },
    /// A route cannot be deleted.
    #[error("cannot delete the route to {to}")]
    Route {
        /// Its destination.
        to: IpNet,
        /// What the kernel said.
        source: NetlinkError,
    },
    /// The uplink cannot be freed of the lab's filters.
    #[error(transparent)]
    Datapath(#[from] datapath::Error),
    /// A sysctl cannot be put back.
    #[error("cannot put back a sysctl of the host")]
    Sysctl(#[from] SysctlError),
    /// A sysctl was changed by somebody else meanwhile.
    #[error(
        "the sysctl {key} was changed to \"{found}\" since the lab set it; it was left so, and was \"{old}\" before"
    )]
    Changed {
        /// Dotted name.
        key: String,
        /// Its value now.
        found: String,
        /// Its value before the lab.
        old: String,
    },
}

impl Problem {
    /// Whether another try may succeed, so that the journal must stay.
    fn is_worth_a_retry(&self) -> bool {
        !matches!(self, Problem::Replaced(_) | Problem::Changed { .. })
    }
}

impl Explain for Problem {
    fn kind(&self) -> Kind {
        match self {
            Problem::Journal(error) => error.kind(),
            Problem::Folder(error) => error.kind(),
            Problem::Netns(error) => error.kind(),
            Problem::Sysctl(error) => error.kind(),
            Problem::Datapath(error) => error.kind(),
            Problem::Replaced(_) | Problem::Changed { .. } => Kind::Conflict,
            _ => Kind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Problem::Journal(error) => error.hints(),
            Problem::Folder(error) => error.hints(),
            Problem::Netns(error) => error.hints(),
            Problem::Sysctl(error) => error.hints(),
            Problem::Datapath(error) => error.hints(),
            Problem::Processes(_) => vec!["they may wait for a device; try `netlab down` again".to_owned()],
            Problem::Look(_) | Problem::Link { .. } | Problem::Route { .. } => {
                vec!["the lab's journal was kept; try `netlab down` again".to_owned()]
            }
            Problem::Replaced(_) | Problem::Changed { .. } => Vec::new(),
        }
    }
}

/// Takes a lab down; what could not be undone is the answer. The caller holds the lab's lock.
pub async fn teardown(dir: &LabDir) -> Vec<Problem> {
    let mut problems = Vec::new();
    match Journal::read(dir) {
        Ok(Some(journal)) => undo(dir, &journal, &mut problems).await,
        // Without a journal nothing was made; a folder may be left of an `up` that failed early.
        Ok(None) => {}
        Err(error) => problems.push(error.into()),
    }
    if !problems.iter().any(Problem::is_worth_a_retry) {
        problems.extend(dir.remove().err().map(Problem::from));
    }
    problems
}

async fn undo(dir: &LabDir, journal: &Journal, problems: &mut Vec<Problem>) {
    // A lab with many processes needs a descriptor for each; with fewer, waiting is only less exact.
    let _ = sys::allow_open_files(4096);
    let identities: Vec<_> = journal.namespaces.iter().map(|record| record.identity).collect();
    let alive = ending::end_processes(&identities).await;
    if !alive.is_empty() {
        problems.push(Problem::Processes(alive));
    }
    // A host stack that is gone has taken everything with it.
    let host = find_stack(journal.host);
    if let (Some(guest), Some(host)) = (&journal.guest, &host) {
        undo_links(journal, guest, host, problems).await;
        undo_sysctls(dir, journal, guest, host, problems);
    }
    for record in &journal.namespaces {
        problems.extend(undo_namespace(record, journal.state).err());
    }
    // Last, for the same reason as the rest of the datapath: see `cli::down`.
    if let (Some(uplink), Some(host)) = (&journal.uplink, &host) {
        match host.enter(|| attach::detach(&uplink.name, journal.clsact)) {
            Ok(done) => problems.extend(done.err().map(Problem::from)),
            Err(error) => problems.push(error.into()),
        }
    }
}

/// Removes a name if the lab's namespace, or nothing at all, is behind it.
fn undo_namespace(record: &NamespaceRecord, state: State) -> Result<(), Problem> {
    match netns::find(&record.name, record.identity)? {
        Found::Expected(_) | Found::Leftover => Ok(netns::withdraw(&record.name)?),
        Found::Nothing => Ok(()),
        // While the lab was being built the name was never ours, and `up` has said so.
        Found::Foreign if state == State::Building => Ok(()),
        Found::Foreign => Err(Problem::Replaced(record.name.clone())),
    }
}

async fn undo_links(journal: &Journal, guest: &Guest, host: &Namespace, problems: &mut Vec<Problem>) {
    let netlink = match host.enter(Netlink::open) {
        Ok(Ok(netlink)) => netlink,
        Ok(Err(error)) => return problems.push(Problem::Look(error)),
        Err(error) => return problems.push(error.into()),
    };
    let links = match netlink.links().await {
        Ok(links) => links,
        Err(error) => return problems.push(Problem::Look(error)),
    };
    undo_routes(guest, &links, &netlink, problems).await;
    let alias = journal.alias();
    let in_group = |link: &&Link| link.group == guest.group;
    let ours = |link: &&Link| in_group(link) || link.alias.as_ref() == Some(&alias);
    // One request for all, then each that is still there by itself, which also says which one it was.
    let mut left: Vec<_> = links.iter().filter(ours).collect();
    if left.iter().any(in_group) && netlink.delete_group(guest.group).await.is_ok() {
        left.retain(|link| !in_group(link));
    }
    for link in left {
        match netlink.delete_link(link.index).await {
            Err(error) if !error.is(Errno::ENODEV) => {
                problems.push(Problem::Link { name: link.name.clone(), source: error });
            }
            _ => {}
        }
    }
}

async fn undo_routes(guest: &Guest, links: &[Link], netlink: &Netlink, problems: &mut Vec<Problem>) {
    for route in &guest.routes {
        let interface = match &route.dev {
            None => None,
            Some(name) => match links.iter().find(|link| link.name == *name) {
                Some(link) => Some(link.index),
                // The route went with its interface.
                None => continue,
            },
        };
        match netlink.delete_route(NewRoute { to: route.to, via: route.via, interface }).await {
            Ok(()) => {}
            Err(error) if error.is(Errno::ESRCH) || error.is(Errno::ENODEV) => {}
            Err(source) => problems.push(Problem::Route { to: route.to, source }),
        }
    }
}

/// Puts the host's sysctls back, last changed first.
fn undo_sysctls(
    dir: &LabDir,
    journal: &Journal,
    guest: &Guest,
    host: &Namespace,
    problems: &mut Vec<Problem>,
) {
    for record in guest.sysctls.iter().rev() {
        match hand_over(dir, journal, record) {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => problems.push(error),
        }
        match host.enter(|| put_back(record)) {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => problems.push(problem),
            Err(error) => problems.push(error.into()),
        }
    }
}

fn put_back(record: &SysctlRecord) -> Result<(), Problem> {
    let found = match sysctl::read(&record.key) {
        // It went with its interface.
        Err(SysctlError::Missing(_)) => return Ok(()),
        found => found?,
    };
    if sysctl::same(&found, &record.old) {
        return Ok(());
    }
    if !sysctl::same(&found, &record.new) {
        let (key, old) = (record.key.clone(), record.old.clone());
        return Err(Problem::Changed { key, found, old });
    }
    Ok(sysctl::write(&record.key, &record.old)?)
}

/// If another lab has set the same sysctl after this one, it still needs its value, and it has noted ours as
/// the one to put back. It gets our old value instead, and the last of the labs puts that back.
fn hand_over(dir: &LabDir, journal: &Journal, record: &SysctlRecord) -> Result<bool, Problem> {
    let mut heir: Option<(LabDir, Journal)> = None;
    for other_dir in dir.others() {
        // A broken journal of another lab is that lab's problem.
        let Ok(Some(other)) = Journal::read(&other_dir) else { continue };
        let guest = other.guest.as_ref().filter(|_| other.host == journal.host);
        let has_it = guest.is_some_and(|guest| guest.sysctls.iter().any(|entry| entry.key == record.key));
        let sooner = heir.as_ref().is_none_or(|(_, heir)| other.started < heir.started);
        if has_it && other.started > journal.started && sooner {
            heir = Some((other_dir, other));
        }
    }
    let Some((heir_dir, mut heir)) = heir else { return Ok(false) };
    let entries = heir.guest.iter_mut().flat_map(|guest| &mut guest.sysctls);
    for entry in entries.filter(|entry| entry.key == record.key) {
        entry.old.clone_from(&record.old);
    }
    heir.write(&heir_dir)?;
    Ok(true)
}

/// Finds a host stack by its identity: the thread's own, one with a name, or one that a process lives in.
pub(super) fn find_stack(identity: Identity) -> Option<Namespace> {
    let is_it = |namespace: &Namespace| namespace.identity() == identity;
    if let Some(own) = Namespace::current().ok().filter(is_it) {
        return Some(own);
    }
    let list = |folder: &str| std::fs::read_dir(folder).into_iter().flatten().flatten();
    let named = list(netns::FOLDER).map(|entry| entry.path());
    let lived_in = list("/proc").map(|entry| entry.path().join("ns/net"));
    let open = |path: std::path::PathBuf| Namespace::open_path(Path::new(&path)).ok();
    named.chain(lived_in).filter_map(open).find(is_it)
}

fn list(ids: &[i32]) -> String {
    let mut text = String::new();
    for (number, id) in ids.iter().enumerate() {
        let comma = if number == 0 { "" } else { ", " };
        write!(text, "{comma}{id}").expect("writing to a string cannot fail");
    }
    text
}
