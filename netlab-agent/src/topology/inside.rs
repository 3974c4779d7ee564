//! How a command gets into a node: the node's network, a `/sys` that shows the node's interfaces, and the
//! lab's names in `/etc/hosts`. All of it is private to the command and its children.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::statvfs::{FsFlags, statvfs};
use thiserror::Error;

use crate::error::{Explain, Kind};
use crate::netns::Namespace;
use crate::sys;

/// Mounts that a fresh `/sys` would hide and that tools in a node want to see: pinned BPF objects, cgroups.
const KEPT: [&CStr; 2] = [c"/sys/fs/bpf", c"/sys/fs/cgroup"];

/// Why a command could not be run in a node.
#[derive(Debug, Error)]
pub enum InsideError {
    /// No command was given.
    #[error("no command was given")]
    Empty,
    /// The way into the node failed.
    #[error("cannot enter the node")]
    Enter(#[source] io::Error),
    /// There is no such command.
    #[error("there is no command \"{0}\"")]
    NotFound(String),
    /// The command cannot be executed.
    #[error("cannot execute \"{program}\"")]
    Execute {
        /// The command.
        program: String,
        /// What the system said.
        source: io::Error,
    },
}

impl InsideError {
    /// The exit status that shells and `env` use for this: 125 for our own failure, 126 for a command that
    /// cannot be executed, 127 for one that is not there.
    pub fn exit_status(&self) -> u8 {
        match self {
            InsideError::Empty | InsideError::Enter(_) => 125,
            InsideError::Execute { .. } => 126,
            InsideError::NotFound(_) => 127,
        }
    }
}

impl Explain for InsideError {
    fn kind(&self) -> Kind {
        match self {
            InsideError::Empty => Kind::Usage,
            InsideError::Enter(source) if source.kind() == io::ErrorKind::PermissionDenied => Kind::Privilege,
            _ => Kind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            InsideError::Empty => vec!["say what to run: `netlab exec NODE -- COMMAND`".to_owned()],
            _ if self.kind() == Kind::Privilege => vec!["run it as root: `sudo netlab …`".to_owned()],
            _ => Vec::new(),
        }
    }
}

/// Everything needed to enter a node, allocated beforehand: a forked child may only make system calls.
struct Door {
    namespace: OwnedFd,
    hosts: Option<CString>,
    sysfs: MsFlags,
}

impl Door {
    fn new(namespace: &Namespace, hosts: &Path) -> io::Result<Self> {
        // A read-only /sys, as in containers, stays read-only.
        let read_only = statvfs(c"/sys").is_ok_and(|sys| sys.flags().contains(FsFlags::ST_RDONLY));
        let hosts = hosts.is_file().then(|| CString::new(hosts.as_os_str().as_bytes())).transpose()?;
        Ok(Door {
            namespace: namespace.as_fd().try_clone_to_owned()?,
            hosts,
            sysfs: if read_only { MsFlags::MS_RDONLY } else { MsFlags::empty() },
        })
    }

    /// Takes the calling process inside. Only makes system calls.
    fn pass(&self) -> io::Result<()> {
        const NONE: Option<&CStr> = None;
        setns(&self.namespace, CloneFlags::CLONE_NEWNET)?;
        unshare(CloneFlags::CLONE_NEWNS)?;
        // Slave, not private: mounts that the machine makes later still appear, ours never get out.
        mount(NONE, c"/", NONE, MsFlags::MS_SLAVE | MsFlags::MS_REC, NONE)?;
        // What a new sysfs shows is fixed by the namespace it is mounted from, so the node needs its own.
        let kept = KEPT.map(|path| sys::clone_tree(path).ok());
        match mount(Some(c"netlab"), c"/sys", Some(c"sysfs"), self.sysfs, NONE) {
            Ok(()) => {
                for (tree, path) in kept.iter().zip(KEPT) {
                    // A path that the new sysfs does not have cannot have been a mount worth keeping.
                    let _ = tree.as_ref().map(|tree| sys::attach_tree(tree.as_fd(), path));
                }
            }
            // There is no /sys at all, or it is this node's already: netlab was called from inside the node.
            Err(Errno::ENOENT | Errno::EBUSY) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(hosts) = &self.hosts {
            match mount(Some(hosts.as_c_str()), c"/etc/hosts", NONE, MsFlags::MS_BIND, NONE) {
                // A machine without the file resolves names some other way.
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// A command that will run inside a node once it is spawned. With `new_session` it is cut off from the
/// terminal and from the signals that the terminal sends.
pub fn command(
    namespace: &Namespace,
    hosts: &Path,
    program: impl AsRef<OsStr>,
    new_session: bool,
) -> Result<Command, InsideError> {
    let door = Door::new(namespace, hosts).map_err(InsideError::Enter)?;
    let mut command = Command::new(program);
    sys::prepare_child(&mut command, new_session, move || door.pass());
    Ok(command)
}

/// Becomes the command, inside the node: no process stays in between, so its exit status, signals and
/// terminal are its own. Returns only if that fails.
pub fn exec(namespace: &Namespace, hosts: &Path, argv: &[OsString]) -> InsideError {
    let Some((program, arguments)) = argv.split_first() else { return InsideError::Empty };
    let entered = Door::new(namespace, hosts).and_then(|door| door.pass());
    if let Err(error) = entered {
        return InsideError::Enter(error);
    }
    let source = Command::new(program).args(arguments).exec();
    let program = program.to_string_lossy().into_owned();
    match source.kind() {
        io::ErrorKind::NotFound => InsideError::NotFound(program),
        _ => InsideError::Execute { program, source },
    }
}
