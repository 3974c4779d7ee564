//! A lab's state folder: its paths, its lock, and files that are either whole or not there. What the files
//! say is the business of others.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use thiserror::Error;

use crate::error::{Explain, Kind};
use crate::netns;

/// Where all labs keep their state. It does not survive a reboot, and neither does a lab.
pub const ROOT: &str = "/run/netlab";

/// Why a state file could not be read or written.
#[derive(Debug, Error)]
pub enum FolderError {
    /// The disk behind the folder is full.
    #[error("no space is left for {0}")]
    Full(PathBuf),
    /// Another netlab works on the same lab.
    #[error("another netlab is working on the lab \"{0}\" right now")]
    Locked(String),
    /// The folder or a file cannot be made or written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl FolderError {
    fn write(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FolderError::Full(path.to_owned()),
            _ => FolderError::Write { path: path.to_owned(), source },
        }
    }
}

impl Explain for FolderError {
    fn kind(&self) -> Kind {
        match self {
            FolderError::Locked(_) => Kind::Conflict,
            FolderError::Write { source, .. } | FolderError::Read { source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                Kind::Privilege
            }
            _ => Kind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            FolderError::Full(path) => {
                let folder = path.parent().unwrap_or(path);
                vec![format!("make room, then try again: `df -h {}`", folder.display())]
            }
            FolderError::Locked(_) => vec!["wait until it is done, then try again".to_owned()],
            _ if self.kind() == Kind::Privilege => vec!["run it as root: `sudo netlab …`".to_owned()],
            _ => Vec::new(),
        }
    }
}

/// The state folder of one lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabDir {
    root: PathBuf,
    name: String,
}

/// Held while one process changes a lab; released when dropped, and by the kernel when the process dies.
#[derive(Debug)]
pub struct LabLock(#[expect(dead_code, reason = "held for its drop")] Flock<File>);

/// How often a lock that another process holds is tried again.
const RETRY: Duration = Duration::from_millis(10);
/// How long another command's or the agent's hold on a lab's rules is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a try at a lock came to.
enum Attempt {
    Held(Flock<File>),
    Busy,
    /// The file or its folder was deleted meanwhile.
    Gone,
}

fn try_lock(path: &Path) -> Result<Attempt, FolderError> {
    let failed = |source| FolderError::write(path, source);
    let mut options = OpenOptions::new();
    let file = match options.write(true).create(true).truncate(false).mode(0o644).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Attempt::Gone),
        Err(error) => return Err(failed(error)),
    };
    let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => lock,
        Err((_, Errno::EWOULDBLOCK)) => return Ok(Attempt::Busy),
        Err((_, error)) => return Err(failed(error.into())),
    };
    // A lock on a file that `down` has deleted keeps nobody out; only the one at the path counts.
    let held = lock.metadata().map_err(failed)?;
    let is_there =
        fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (held.dev(), held.ino()));
    Ok(if is_there { Attempt::Held(lock) } else { Attempt::Gone })
}

impl LabDir {
    /// The folder of the lab with this name; nothing is made yet.
    pub fn new(name: &str) -> Self {
        Self::under(ROOT, name)
    }

    /// The same below another root, for tests.
    pub fn under(root: impl Into<PathBuf>, name: &str) -> Self {
        LabDir { root: root.into(), name: name.to_owned() }
    }

    /// All labs with a journal, sorted by name.
    pub fn list() -> Vec<Self> {
        Self::list_under(Path::new(ROOT))
    }

    /// The other labs with a journal beside this one.
    pub fn others(&self) -> Vec<Self> {
        let mut labs = Self::list_under(&self.root);
        labs.retain(|lab| lab != self);
        labs
    }

    fn list_under(root: &Path) -> Vec<Self> {
        let entries = fs::read_dir(root).into_iter().flatten().flatten();
        let mut labs: Vec<_> = entries
            .filter_map(|entry| Some(Self::under(root, entry.file_name().to_str()?)))
            .filter(|lab| lab.journal().is_file())
            .collect();
        labs.sort_by(|left, right| left.name.cmp(&right.name));
        labs
    }

    /// The lab's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder itself.
    pub fn path(&self) -> PathBuf {
        self.root.join(&self.name)
    }

    /// What the lab made.
    pub fn journal(&self) -> PathBuf {
        self.path().join("journal.json")
    }

    /// A copy of the lab file that the lab was made from.
    pub fn lab_file(&self) -> PathBuf {
        self.path().join("lab.toml")
    }

    /// What nodes see as `/etc/hosts`.
    pub fn hosts(&self) -> PathBuf {
        self.path().join("hosts")
    }

    /// The folder of the commands' output.
    pub fn logs(&self) -> PathBuf {
        self.path().join("log")
    }

    /// The output of a node's command; `number` counts from 0.
    pub fn log(&self, node: &str, number: usize) -> PathBuf {
        self.logs().join(format!("{node}-{number}.log"))
    }

    /// The process id of the background agent.
    pub fn agent_pid(&self) -> PathBuf {
        self.path().join("agent.pid")
    }

    /// Makes the folder, readable by everyone: nothing in it is secret.
    pub fn create(&self) -> Result<(), FolderError> {
        let logs = self.logs();
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&logs)
            .map_err(|source| FolderError::write(&logs, source))
    }

    /// Takes the lab's lock without waiting, and makes the folder where it is missing.
    pub fn lock(&self) -> Result<LabLock, FolderError> {
        loop {
            self.create()?;
            // The folder may go away in between, with the `down` of another process.
            if let Some(lock) = self.try_lock("lock")? {
                return Ok(lock);
            }
        }
    }

    /// Locks a running lab's rules, so that of the agent and the commands that change them one is at work. It is
    /// held for a moment only, and neither `up` nor `down` needs it.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    pub fn lock_rules(&self) -> Result<LabLock, FolderError> {
        self.try_lock("rules.lock")?.ok_or_else(|| FolderError::Locked(self.name.clone()))
    }

    /// Takes that lock, and waits a while for another's hold on it.
    ///
    /// # Errors
    /// As [`lock`](Self::lock), when that lasts.
    pub fn wait_for_rules(&self) -> Result<LabLock, FolderError> {
        let begun = Instant::now();
        loop {
            match self.lock_rules() {
                Err(FolderError::Locked(_)) if begun.elapsed() < PATIENCE => std::thread::sleep(RETRY),
                ended => return ended,
            }
        }
    }

    /// One of the lab's locks; `None` when its folder went away meanwhile.
    fn try_lock(&self, name: &str) -> Result<Option<LabLock>, FolderError> {
        match try_lock(&self.path().join(name))? {
            Attempt::Held(lock) => Ok(Some(LabLock(lock))),
            Attempt::Busy => Err(FolderError::Locked(self.name.clone())),
            Attempt::Gone => Ok(None),
        }
    }

    /// Waits for the lock on what labs share: the host stack's sysctls and routes, and each other's journals.
    /// It is held for no longer than a lab takes to be built or undone.
    pub async fn lock_shared(&self) -> Result<LabLock, FolderError> {
        let path = self.shared_lock();
        loop {
            DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(&self.root)
                .map_err(|source| FolderError::write(&self.root, source))?;
            match try_lock(&path)? {
                Attempt::Held(lock) => return Ok(LabLock(lock)),
                Attempt::Busy => tokio::time::sleep(RETRY).await,
                Attempt::Gone => {}
            }
        }
    }

    fn shared_lock(&self) -> PathBuf {
        self.root.join(".lock")
    }

    /// Where it is kept that netlab made iproute2's folder of namespaces.
    fn netns_note(&self) -> PathBuf {
        self.root.join(".made-netns-folder")
    }

    /// Keeps in mind that the folder of namespaces was not there before, so that the last lab takes it away.
    pub fn note_netns_folder(&self) -> Result<(), FolderError> {
        write_whole(&self.netns_note(), b"")
    }

    /// After the last lab, takes away what labs share: netlab's own folder, and iproute2's if netlab made it.
    /// The caller holds the shared lock.
    pub fn remove_shared(&self) {
        let ours = [self.netns_note(), self.shared_lock()];
        let mut entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        if entries.any(|entry| !ours.contains(&entry.path())) {
            return;
        }
        if fs::remove_file(self.netns_note()).is_ok() {
            netns::remove_folder();
        }
        // Another `up` may have begun in this very moment; then the folder stays.
        let _ = fs::remove_file(self.shared_lock());
        let _ = fs::remove_dir(&self.root);
    }

    /// Removes the folder with everything in it, the lock last: until then no other process gets in.
    pub fn remove(&self) -> Result<(), FolderError> {
        let path = self.path();
        let ignore_missing = |result: io::Result<()>| match result {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FolderError::write(&path, error)),
            _ => Ok(()),
        };
        for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
            if entry.file_name() == "lock" {
                continue;
            }
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let removed =
                if is_folder { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
            ignore_missing(removed)?;
        }
        ignore_missing(fs::remove_dir_all(&path))
    }
}

/// Writes a file so that a reader sees the old text or the new one, never a part, whatever happens.
pub fn write_whole(path: &Path, text: &[u8]) -> Result<(), FolderError> {
    let draft = path.with_extension("tmp");
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&draft)?;
        file.write_all(text)?;
        // Some file systems report a full disk only now.
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    write().map_err(|source| {
        let _ = fs::remove_file(&draft);
        FolderError::write(path, source)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_of_the_same_lab_is_refused_until_the_first_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let lab = LabDir::under(root.path(), "planets");
        let first = lab.lock().unwrap();
        assert!(matches!(lab.lock(), Err(FolderError::Locked(_))));
        drop(first);
        lab.lock().unwrap();
    }

    #[test]
    fn a_lock_taken_before_the_folder_was_removed_keeps_nobody_out() {
        let root = tempfile::tempdir().unwrap();
        let lab = LabDir::under(root.path(), "planets");
        let _stale = lab.lock().unwrap();
        lab.remove().unwrap();
        lab.lock().unwrap();
    }

    #[test]
    fn only_folders_with_a_journal_are_labs() {
        let root = tempfile::tempdir().unwrap();
        for name in ["b", "a", "empty"] {
            LabDir::under(root.path(), name).create().unwrap();
        }
        for name in ["b", "a"] {
            write_whole(&LabDir::under(root.path(), name).journal(), b"{}").unwrap();
        }
        let labs = LabDir::list_under(root.path());
        assert_eq!(labs.iter().map(LabDir::name).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn removing_a_folder_twice_is_fine() {
        let root = tempfile::tempdir().unwrap();
        let lab = LabDir::under(root.path(), "planets");
        lab.create().unwrap();
        write_whole(&lab.journal(), b"{}").unwrap();
        lab.remove().unwrap();
        lab.remove().unwrap();
        assert!(!lab.path().exists());
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_text_and_no_draft() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("missing").join("journal.json");
        assert!(matches!(write_whole(&path, b"x"), Err(FolderError::Write { .. })));
        assert!(!path.with_extension("tmp").exists());
    }
}
