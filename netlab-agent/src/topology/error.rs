//! Why a lab could not come up, and what the user can do about it.

use std::io;

use nix::errno::Errno;
use thiserror::Error;

use super::folder::FolderError;
use super::journal::JournalError;
use super::sysctl::SysctlError;
use crate::error::{Explain, Kind};
use crate::netlink::NetlinkError;
use crate::netns::NetnsError;

/// Why a lab could not be built.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The lab has a journal.
    #[error("the lab \"{0}\" is up already, or an earlier `up` of it died")]
    Exists(String),
    /// The user interrupted.
    #[error("interrupted")]
    Interrupted,
    /// Something with a namespace.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// Something with the state folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Something with the journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The kernel refused a step.
    #[error("could not do this: {step}")]
    Step {
        /// The step as the plan shows it.
        step: String,
        /// What the kernel said.
        source: NetlinkError,
    },
    /// The kernel does not answer.
    #[error("cannot look at the interfaces of {site}")]
    Look {
        /// Whose interfaces.
        site: String,
        /// What the kernel said.
        source: NetlinkError,
    },
    /// A sysctl.
    #[error("cannot set the sysctls of {site}")]
    Sysctl {
        /// In whose stack.
        site: String,
        /// Why.
        source: SysctlError,
    },
    /// A step names an interface that is not there.
    #[error("{site} has no interface \"{interface}\"")]
    NoInterface {
        /// Whose stack.
        site: String,
        /// The missing name.
        interface: String,
    },
    /// `uplink = "auto"` and nothing to find.
    #[error("the host has no default route, so there is no uplink to find")]
    NoDefaultRoute,
    /// The open file limit.
    #[error("cannot open enough files for a lab of this size")]
    Files(#[source] io::Error),
}

impl Explain for BuildError {
    fn kind(&self) -> Kind {
        match self {
            BuildError::Exists(_) => Kind::Conflict,
            BuildError::Interrupted => Kind::Interrupted,
            BuildError::Netns(error) => error.kind(),
            BuildError::Folder(error) => error.kind(),
            BuildError::Journal(error) => error.kind(),
            BuildError::Sysctl { source, .. } => source.kind(),
            BuildError::Step { source, .. } if source.is(Errno::EEXIST) => Kind::Conflict,
            BuildError::Step { source, .. } | BuildError::Look { source, .. } => match source {
                NetlinkError::Refused(Errno::EPERM | Errno::EACCES) => Kind::Privilege,
                _ => Kind::Failed,
            },
            BuildError::NoInterface { .. } | BuildError::NoDefaultRoute => Kind::Usage,
            BuildError::Files(_) => Kind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            BuildError::Exists(lab) => vec![format!("take it down first: `netlab down -l {lab}`")],
            BuildError::Netns(error) => error.hints(),
            BuildError::Folder(error) => error.hints(),
            BuildError::Journal(error) => error.hints(),
            BuildError::Sysctl { source, .. } => source.hints(),
            BuildError::Step { source, .. } => match source {
                NetlinkError::Refused(Errno::EEXIST) => {
                    vec!["rename it in the lab file, or delete the one that is there".to_owned()]
                }
                NetlinkError::Refused(Errno::ENETUNREACH | Errno::EHOSTUNREACH) => {
                    vec!["give the stack an address on the next hop's network".to_owned()]
                }
                NetlinkError::Refused(Errno::EOPNOTSUPP) => {
                    vec!["load the module: `modprobe veth bridge`".to_owned()]
                }
                _ if self.kind() == Kind::Privilege => vec!["run it as root: `sudo netlab …`".to_owned()],
                _ => Vec::new(),
            },
            BuildError::NoDefaultRoute => vec!["name the interface: `uplink = \"eth0\"`".to_owned()],
            BuildError::Files(_) => vec!["raise the limit: `ulimit -n 65536`".to_owned()],
            _ => Vec::new(),
        }
    }
}
