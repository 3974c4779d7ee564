//! What a user sees when something fails: a kind, which gives the exit code, a message, its causes, and
//! hints. Each module keeps its own error enum; this file turns any of them into one readable failure.

use std::error::Error as StdError;
use std::fmt;

/// Why a command failed, in the terms of its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The operation failed, or a check failed.
    Failed,
    /// The command line or the lab file is wrong.
    Usage,
    /// There is no such lab, node or rule.
    Missing,
    /// A privilege or a kernel capability is missing.
    Privilege,
    /// Something that is not ours is in the way.
    Conflict,
    /// The user interrupted the command, and what it had done was undone.
    Interrupted,
}

impl Kind {
    /// The process exit code of this kind.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Missing => 3,
            Kind::Privilege => 5,
            Kind::Conflict => 6,
            Kind::Interrupted => 130,
        }
    }
}

/// An error that knows its kind and what the user can do about it. Every module's enum implements it.
pub trait Explain: StdError {
    /// The kind, which gives the exit code.
    fn kind(&self) -> Kind;

    /// What the user can do, as whole sentences; may be empty.
    fn hints(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A failure on its way to the user.
#[derive(Debug)]
pub struct Failure {
    /// Gives the exit code.
    pub kind: Kind,
    /// What failed, on which object: one sentence, or a whole report of several lines (`report` set).
    pub message: String,
    /// The chain of causes below the message, outermost first.
    pub causes: Vec<String>,
    /// What to do about it.
    pub hints: Vec<String>,
    /// The message is a rendered report (several diagnostics with carets) and is printed as it is.
    pub report: bool,
}

impl Failure {
    /// A failure of one sentence.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Failure { kind, message: message.into(), causes: Vec::new(), hints: Vec::new(), report: false }
    }

    /// A failure whose text is already rendered, several problems at once.
    pub fn report(kind: Kind, rendered: impl Into<String>) -> Self {
        Failure { report: true, ..Failure::new(kind, rendered) }
    }

    /// The same failure with one more hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl<E: Explain> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut causes = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // Some libraries' errors repeat their cause in their own text.
            let known = causes.last().is_some_and(|last: &String| last.ends_with(&text));
            if !known {
                causes.push(text);
            }
            source = cause.source();
        }
        Failure {
            kind: error.kind(),
            message: error.to_string(),
            causes,
            hints: error.hints(),
            report: false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.report {
            return f.write_str(self.message.trim_end());
        }
        write!(f, "error: {}", self.message)?;
        for cause in &self.causes {
            write!(f, "\n  cause: {cause}")?;
        }
        for hint in &self.hints {
            write!(f, "\n  help: {hint}")?;
        }
        Ok(())
    }
}

/// The result of everything a command does.
pub type Result<T> = std::result::Result<T, Failure>;
