//! Finds and ends every process that lives in given namespaces, by id and never by name: first asks, then
//! kills. A process is known by its namespace's identity, so a recycled process id or inode hits nobody.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use tokio::time::timeout;

use super::netns::{Identity, Namespace};
use crate::sys;

/// How long processes have after SIGTERM before they are killed.
const GRACE: Duration = Duration::from_secs(1);
/// How long the kernel has to end a killed process.
const KILL: Duration = Duration::from_secs(2);
/// A process may fork while it is being ended; its child is found in the next round.
const KILL_ROUNDS: usize = 3;

/// Ends the processes in these namespaces; answers the ids of those that are still there.
pub(super) async fn end_processes(namespaces: &[Identity]) -> Vec<i32> {
    signal_and_wait(find(namespaces), Signal::SIGTERM, GRACE).await;
    for _ in 0..KILL_ROUNDS {
        let left = find(namespaces);
        if left.is_empty() {
            return Vec::new();
        }
        signal_and_wait(left, Signal::SIGKILL, KILL).await;
    }
    find(namespaces).into_iter().map(|process| process.id).collect()
}

/// A process that is certain to live in one of the namespaces.
struct Process {
    id: i32,
    handle: OwnedFd,
}

/// The ids of the processes that live in a namespace, the calling one among them.
pub fn processes_in(namespace: &Namespace) -> Vec<i32> {
    let identity = namespace.identity();
    process_ids().into_iter().filter(|id| lives_in(*id, &[identity])).collect()
}

fn find(namespaces: &[Identity]) -> Vec<Process> {
    let own = std::process::id().cast_signed();
    let mut found = Vec::new();
    for id in process_ids() {
        // A `down` that runs inside one of the lab's nodes must live to its end.
        if id == own || !lives_in(id, namespaces) {
            continue;
        }
        let Ok(handle) = sys::pidfd_open(id) else { continue };
        // The id may have changed hands before the handle was there; from now on it cannot.
        if lives_in(id, namespaces) {
            found.push(Process { id, handle });
        }
    }
    found
}

fn process_ids() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn lives_in(id: i32, namespaces: &[Identity]) -> bool {
    let path = PathBuf::from(format!("/proc/{id}/ns/net"));
    // Most processes are elsewhere, and looking at the file is much cheaper than entering the namespace.
    let Ok(file) = fs::metadata(&path) else { return false };
    let near = |identity: &&Identity| identity.device == file.dev() && identity.inode == file.ino();
    let Some(identity) = namespaces.iter().find(near) else { return false };
    Namespace::open_path(&path).is_ok_and(|namespace| namespace.identity() == *identity)
}

async fn signal_and_wait(processes: Vec<Process>, signal: Signal, limit: Duration) {
    let waits = processes.into_iter().filter_map(|process| {
        // A process that is gone already is what is wanted.
        sys::pidfd_signal(process.handle.as_fd(), signal as i32).ok()?;
        sys::watch(process.handle).ok()
    });
    let waits = waits.map(|handle| async move {
        // A pidfd is readable once its process has ended.
        let _ = handle.readable().await;
    });
    let _ = timeout(limit, join_all(waits)).await;
}
