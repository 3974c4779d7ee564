//! Network namespaces: make them, show them to iproute2 under a name, enter them and come back, and tell
//! one's own from somebody else's of the same name.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::statfs::{NSFS_MAGIC, fstatfs};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::error::{Explain, Kind};
use crate::sys;

/// Where iproute2 keeps namespaces with a name.
pub const FOLDER: &str = "/run/netns";

/// Why something with a namespace failed.
#[derive(Debug, Error)]
pub enum NetnsError {
    /// The kernel refused a new namespace.
    #[error("cannot make a network namespace")]
    Make(#[source] io::Error),
    /// The folder of names cannot be set up.
    #[error("cannot set up {FOLDER}, where namespaces have their names")]
    Folder(#[source] io::Error),
    /// The name is taken.
    #[error("the namespace name \"{0}\" is taken")]
    Taken(String),
    /// The name cannot be given.
    #[error("cannot give a namespace the name \"{name}\"")]
    Name {
        /// The name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The name cannot be taken back.
    #[error("cannot remove the namespace name \"{name}\"")]
    Remove {
        /// The name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be opened.
    #[error("cannot open the namespace at {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file exists and is no namespace.
    #[error("{0} is not a namespace")]
    NotOne(PathBuf),
    /// The thread cannot enter it.
    #[error("cannot enter a network namespace")]
    Enter(#[source] io::Error),
}

impl Explain for NetnsError {
    fn kind(&self) -> Kind {
        let permission = |source: &io::Error| match source.kind() {
            io::ErrorKind::PermissionDenied => Kind::Privilege,
            _ => Kind::Failed,
        };
        match self {
            NetnsError::Make(source) | NetnsError::Folder(source) | NetnsError::Enter(source) => {
                permission(source)
            }
            NetnsError::Open { source, .. } if source.kind() == io::ErrorKind::NotFound => Kind::Missing,
            NetnsError::Open { source, .. }
            | NetnsError::Name { source, .. }
            | NetnsError::Remove { source, .. } => permission(source),
            NetnsError::Taken(_) => Kind::Conflict,
            NetnsError::NotOne(_) => Kind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        match (self, self.kind()) {
            (NetnsError::Taken(name), _) => {
                vec![format!("rename the node, or delete the other one: `ip netns delete {name}`")]
            }
            (NetnsError::NotOne(path), _) => {
                vec![format!("if nothing uses it, delete it: `rm {}`", path.display())]
            }
            (_, Kind::Privilege) => vec!["run it as root: `sudo netlab …`".to_owned()],
            _ => Vec::new(),
        }
    }
}

/// What tells one namespace from every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Device of the nsfs file.
    pub device: u64,
    /// Inode of the nsfs file. The kernel gives it to another namespace once this one is gone.
    pub inode: u64,
    /// The kernel's cookie, which is never given again; 0 where the kernel has none.
    pub cookie: u64,
}

/// An open network namespace; it lives at least as long as this value.
#[derive(Debug)]
pub struct Namespace {
    file: OwnedFd,
    identity: Identity,
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Brings the thread back to the namespace it came from, also when the work in between panics.
struct WayBack(OwnedFd);

impl WayBack {
    /// Goes into a namespace. If that is refused, there is nowhere to come back from.
    fn enter(file: &OwnedFd) -> Result<Self, NetnsError> {
        let way_back = own_file()?;
        setns(file, CloneFlags::CLONE_NEWNET).map_err(|error| NetnsError::Enter(error.into()))?;
        Ok(WayBack(way_back))
    }
}

impl Drop for WayBack {
    fn drop(&mut self) {
        // Going on in the wrong namespace would change a stack that nobody asked to change, so this is the
        // one failure that must end the process.
        setns(&self.0, CloneFlags::CLONE_NEWNET)
            .expect("a thread that left a namespace by its privileges can return by them");
    }
}

impl Namespace {
    /// The namespace that the thread is in.
    pub fn current() -> Result<Self, NetnsError> {
        Self::from_inside(own_file()?)
    }

    /// The namespace that iproute2 knows by this name.
    pub fn open(name: &str) -> Result<Self, NetnsError> {
        Self::open_path(&path(name))
    }

    /// The namespace behind a file: a name, or a process's `ns/net`.
    pub fn open_path(path: &Path) -> Result<Self, NetnsError> {
        let file = File::open(path).map_err(|source| NetnsError::Open { path: path.to_owned(), source })?;
        let kind = fstatfs(&file).map_err(|error| NetnsError::Enter(error.into()))?.filesystem_type();
        if kind != NSFS_MAGIC {
            return Err(NetnsError::NotOne(path.to_owned()));
        }
        let file = OwnedFd::from(file);
        let way_back = match WayBack::enter(&file) {
            Err(NetnsError::Enter(error)) if error.raw_os_error() == Some(libc::EINVAL) => {
                return Err(NetnsError::NotOne(path.to_owned()));
            }
            entered => entered?,
        };
        let namespace = Self::from_inside(file);
        drop(way_back);
        namespace
    }

    /// Makes `count` namespaces without a name, and runs `work` inside each. They vanish with the values, so
    /// nothing is left if the process dies before it names them.
    pub fn make<T>(
        count: usize,
        mut work: impl FnMut(usize) -> T,
    ) -> Result<Vec<(Namespace, T)>, NetnsError> {
        // Only once the thread has left is there a way to go back.
        let mut home = Some(own_file()?);
        let mut way_back = None;
        let mut made = Vec::with_capacity(count);
        for index in 0..count {
            unshare(CloneFlags::CLONE_NEWNET).map_err(|error| NetnsError::Make(error.into()))?;
            if let Some(home) = home.take() {
                way_back = Some(WayBack(home));
            }
            let namespace = Self::current()?;
            made.push((namespace, work(index)));
        }
        drop(way_back);
        Ok(made)
    }

    /// What tells this namespace from every other.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Runs `work` with the thread inside the namespace. `work` is synchronous on purpose: an await would
    /// let other tasks run in the wrong namespace.
    pub fn enter<T>(&self, work: impl FnOnce() -> T) -> Result<T, NetnsError> {
        let _way_back = WayBack::enter(&self.file)?;
        Ok(work())
    }

    /// Gives the namespace a name that iproute2 shows. Never takes a name that exists.
    pub fn publish(&self, name: &str) -> Result<(), NetnsError> {
        let path = path(name);
        let failed = |source| NetnsError::Name { name: name.to_owned(), source };
        let file = OpenOptions::new().write(true).create_new(true).mode(0o444).open(&path);
        match file {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(NetnsError::Taken(name.to_owned()));
            }
            Err(error) => return Err(failed(error)),
        }
        let source = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        bind(Path::new(&source), &path).map_err(|error| {
            // The file is ours and names nothing; leaving it would block the name.
            let _ = fs::remove_file(&path);
            failed(error.into())
        })
    }

    fn from_inside(file: OwnedFd) -> Result<Self, NetnsError> {
        let identity = identity_of_own(&file).map_err(NetnsError::Enter)?;
        Ok(Namespace { file, identity })
    }
}

/// The file of the namespace with this name.
pub fn path(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

/// What is at a name, seen from the namespace that is expected there.
#[derive(Debug)]
pub enum Found {
    /// The expected namespace.
    Expected(Namespace),
    /// An empty file that names nothing: what is left when a process dies while it names a namespace.
    Leftover,
    /// Another namespace or file.
    Foreign,
    /// Nothing.
    Nothing,
}

/// Looks whether the namespace with this identity still has this name.
pub fn find(name: &str, identity: Identity) -> Result<Found, NetnsError> {
    match Namespace::open(name) {
        Ok(namespace) if namespace.identity() == identity => Ok(Found::Expected(namespace)),
        Ok(_) => Ok(Found::Foreign),
        Err(NetnsError::NotOne(path)) => match fs::symlink_metadata(&path) {
            Ok(file) if file.is_file() && file.len() == 0 => Ok(Found::Leftover),
            _ => Ok(Found::Foreign),
        },
        Err(NetnsError::Open { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(Found::Nothing)
        }
        Err(error) => Err(error),
    }
}

/// Takes a name back. A namespace without a name lives on while a process or a descriptor holds it.
pub fn withdraw(name: &str) -> Result<(), NetnsError> {
    let path = path(name);
    let failed = |source| NetnsError::Remove { name: name.to_owned(), source };
    match umount2(&path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        // EINVAL: not a mount, so only the file is there.
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => {}
        Err(error) => return Err(failed(error.into())),
    }
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(()),
    }
}

/// Makes the folder of names what iproute2 makes it: a mount of its own that is shared, so that a name made
/// or removed in one mount namespace is made or removed in all. Gives whether it was not there before.
pub fn prepare_folder() -> Result<bool, NetnsError> {
    let folder = Path::new(FOLDER);
    let made = !folder.exists();
    fs::DirBuilder::new().recursive(true).mode(0o755).create(folder).map_err(NetnsError::Folder)?;
    let share =
        || mount(None::<&str>, folder, None::<&str>, MsFlags::MS_SHARED | MsFlags::MS_REC, None::<&str>);
    match share() {
        Ok(()) => return Ok(made),
        // Not a mount yet.
        Err(Errno::EINVAL) => {}
        Err(error) => return Err(NetnsError::Folder(error.into())),
    }
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(folder), folder, None::<&str>, flags, None::<&str>)
        .and_then(|()| share())
        .map_err(|error| NetnsError::Folder(error.into()))?;
    Ok(made)
}

/// Takes the folder of names away again, if no name is in it.
pub fn remove_folder() {
    if fs::read_dir(FOLDER).is_ok_and(|mut names| names.next().is_none())
        && umount2(FOLDER, MntFlags::MNT_DETACH).is_ok()
    {
        // Somebody may have made a name in this very moment; then the folder stays.
        let _ = fs::remove_dir(FOLDER);
    }
}

fn bind(source: &Path, target: &Path) -> nix::Result<()> {
    mount(Some(source), target, None::<&str>, MsFlags::MS_BIND, None::<&str>)
}

fn own_file() -> Result<OwnedFd, NetnsError> {
    let path = Path::new("/proc/thread-self/ns/net");
    let file = File::open(path).map_err(|source| NetnsError::Open { path: path.to_owned(), source })?;
    Ok(file.into())
}

/// The identity of the namespace that the thread is in and `file` is open on.
fn identity_of_own(file: &OwnedFd) -> io::Result<Identity> {
    let status = File::from(file.try_clone()?).metadata()?;
    // A Unix socket belongs to a network namespace like any other and costs the least.
    let socket = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    let cookie = match sys::netns_cookie(socket.as_fd()) {
        Ok(cookie) => cookie,
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => 0,
        Err(error) => return Err(error),
    };
    Ok(Identity { device: status.dev(), inode: status.ino(), cookie })
}
