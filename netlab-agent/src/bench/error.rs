//! What stops a bench. A round that goes wrong does not: it is written down, and fails the run at its end.

use std::io;

use crate::error::{Explain, Kind};
use crate::netns::NetnsError;

/// Why the bench ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The user asked for it.
    #[error("the bench was interrupted; its labs are down again")]
    Interrupted,
    /// No measurement has such a name.
    #[error("no measurement has \"{word}\" in its name")]
    NoSuch {
        /// What `--only` said.
        word: String,
    },
    /// A lab of the bench does not come up.
    #[error("the lab for {variant} does not come up: {said}")]
    Lab {
        /// What was to be measured in it.
        variant: &'static str,
        /// What `netlab up` said.
        said: String,
    },
    /// A program that the bench compares with cannot be used.
    #[error("`{program}` failed: {said}")]
    Rival {
        /// The program.
        program: &'static str,
        /// What it said.
        said: String,
    },
    /// The bench's own eBPF programs.
    #[error("the bench's program {name} cannot be used")]
    Program {
        /// Its name.
        name: &'static str,
        /// What the kernel said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A namespace.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// Anything of the system's.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl BenchError {
    /// For `map_err` on calls of the system.
    pub fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| BenchError::System { what, source }
    }

    /// For `map_err` on calls of aya.
    pub fn program<E: std::error::Error + Send + Sync + 'static>(
        name: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |source| BenchError::Program { name, source: Box::new(source) }
    }
}

impl Explain for BenchError {
    fn kind(&self) -> Kind {
        match self {
            BenchError::Interrupted => Kind::Interrupted,
            BenchError::NoSuch { .. } => Kind::Usage,
            BenchError::Netns(error) => error.kind(),
            BenchError::System { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Kind::Privilege
            }
            _ => Kind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            BenchError::NoSuch { .. } => {
                vec![format!("words to choose by: {}", super::plan::WORDS.join(", "))]
            }
            BenchError::Rival { program, .. } => {
                vec![format!("the bench compares netlab with it: is `{program}` installed?")]
            }
            BenchError::Netns(error) => error.hints(),
            _ if self.kind() == Kind::Privilege => vec!["run it as root: `sudo netlab bench`".to_owned()],
            _ => Vec::new(),
        }
    }
}

/// What everything in the bench gives back.
pub type Result<T> = std::result::Result<T, BenchError>;
