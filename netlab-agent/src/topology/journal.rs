//! What a lab made, written down before it is made, so that `down` can undo it even after `kill -9` at any
//! moment. The journal holds marks, not wishes: with them teardown tells the lab's own objects from others.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::folder::{FolderError, LabDir, write_whole};
use crate::error::{Explain, Kind};
use crate::lab::Route;
use crate::netns::Identity;

/// The journal's format; a journal of another one is not touched.
pub const VERSION: u32 = 1;

/// Why a journal could not be read.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The file cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The file is no journal.
    #[error("the journal of the lab \"{lab}\" cannot be understood")]
    Broken {
        /// The lab.
        lab: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Another netlab wrote it.
    #[error("the journal of the lab \"{lab}\" has format {found}, and this netlab knows format {VERSION}")]
    Version {
        /// The lab.
        lab: String,
        /// The journal's format.
        found: u32,
    },
}

impl Explain for JournalError {
    fn kind(&self) -> Kind {
        match self {
            JournalError::Folder(error) => error.kind(),
            _ => Kind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            JournalError::Folder(error) => error.hints(),
            JournalError::Broken { lab, .. } => vec![format!(
                "nothing was touched; delete the lab's namespaces with `ip netns delete`, then `rm -r {}`",
                LabDir::new(lab).path().display()
            )],
            JournalError::Version { .. } => vec!["take the lab down with the netlab that made it".to_owned()],
        }
    }
}

/// How far `up` came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// `up` is at work, or died at work.
    Building,
    /// Everything in the journal was made.
    Up,
}

/// A namespace of the lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceRecord {
    /// Its name.
    pub name: String,
    /// The mark: a namespace of this name and another identity is somebody else's.
    pub identity: Identity,
}

/// A sysctl that was changed in a host stack that is not the lab's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SysctlRecord {
    /// Dotted name.
    pub key: String,
    /// The value before.
    pub old: String,
    /// The value set.
    pub new: String,
}

/// What the lab puts into a host stack that is not its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    /// Names of its interfaces. The mark is the device group, which they have from their first moment, or
    /// the alias, which they get soon after.
    pub links: Vec<String>,
    /// The device group, drawn at random for this lab.
    pub group: u32,
    /// Its routes, which `proto` marks.
    pub routes: Vec<Route>,
    /// The sysctls it changes, in the order of the changes.
    pub sysctls: Vec<SysctlRecord>,
}

/// An interface in the host stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Interface name.
    pub name: String,
    /// Interface index.
    pub index: u32,
}

/// Everything needed to undo a lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// Format of this file.
    pub version: u32,
    /// The lab's name.
    pub lab: String,
    /// How far `up` came.
    pub state: State,
    /// When `up` began, in nanoseconds since 1970; orders labs that share a host stack.
    pub started: u64,
    /// The stack that plays the host.
    pub host: Identity,
    /// The lab's own namespaces.
    pub namespaces: Vec<NamespaceRecord>,
    /// What it puts into the host stack; `None` if that stack is one of `namespaces`.
    pub guest: Option<Guest>,
    /// The uplink, once it is known.
    pub uplink: Option<Interface>,
    /// Whether the uplink had no clsact qdisc before, and netlab has given it one.
    #[serde(default)]
    pub clsact: bool,
}

impl Journal {
    /// The alias of the lab's interfaces in a host stack that is not its own.
    pub fn alias(&self) -> String {
        alias(&self.lab)
    }

    /// Reads the journal of a lab; `None` if there is none.
    pub fn read(dir: &LabDir) -> Result<Option<Self>, JournalError> {
        let path = dir.journal();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(FolderError::Read { path, source }.into()),
        };
        #[derive(Deserialize)]
        struct Format {
            version: u32,
        }
        let broken = |source| JournalError::Broken { lab: dir.name().to_owned(), source };
        let format: Format = serde_json::from_slice(&text).map_err(broken)?;
        if format.version != VERSION {
            return Err(JournalError::Version { lab: dir.name().to_owned(), found: format.version });
        }
        serde_json::from_slice(&text).map(Some).map_err(broken)
    }

    /// Notes that the uplink is about to get a clsact qdisc, which it lacks.
    pub fn note_clsact(dir: &LabDir) -> Result<(), JournalError> {
        if let Some(mut journal) = Journal::read(dir)?.filter(|journal| !journal.clsact) {
            journal.clsact = true;
            journal.write(dir)?;
        }
        Ok(())
    }

    /// Writes the journal; the old one stays whole until the new one is.
    pub fn write(&self, dir: &LabDir) -> Result<(), FolderError> {
        let mut text = serde_json::to_vec_pretty(self).expect("a journal has string keys only");
        text.push(b'\n');
        write_whole(&dir.journal(), &text)
    }
}

/// The alias that marks an interface as this lab's.
pub fn alias(lab: &str) -> String {
    format!("netlab:{lab}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> Journal {
        let identity = Identity { device: 4, inode: 4_026_532_000, cookie: 17 };
        Journal {
            version: VERSION,
            lab: "planets".to_owned(),
            state: State::Building,
            started: 1,
            host: identity,
            namespaces: vec![NamespaceRecord { name: "earth".to_owned(), identity }],
            guest: Some(Guest { group: 9, ..Guest::default() }),
            uplink: None,
            clsact: false,
        }
    }

    #[test]
    fn a_journal_is_read_back_as_it_was_written() {
        let root = tempfile::tempdir().unwrap();
        let dir = LabDir::under(root.path(), "planets");
        dir.create().unwrap();
        assert_eq!(Journal::read(&dir).unwrap(), None);
        journal().write(&dir).unwrap();
        assert_eq!(Journal::read(&dir).unwrap(), Some(journal()));
    }

    #[test]
    fn a_truncated_journal_and_one_of_another_format_are_told_apart() {
        let root = tempfile::tempdir().unwrap();
        let dir = LabDir::under(root.path(), "planets");
        dir.create().unwrap();
        journal().write(&dir).unwrap();
        let text = fs::read(dir.journal()).unwrap();
        fs::write(dir.journal(), &text[..text.len() / 2]).unwrap();
        assert!(matches!(Journal::read(&dir), Err(JournalError::Broken { .. })));
        Journal { version: 2, ..journal() }.write(&dir).unwrap();
        assert!(matches!(Journal::read(&dir), Err(JournalError::Version { found: 2, .. })));
    }
}
