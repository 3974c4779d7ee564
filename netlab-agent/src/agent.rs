//! The background agent's identity: who it is, and ending it. What it does is `cli::supervise`'s.
//!
//! Nothing that a packet needs depends on it (invariant 6). It may be killed at any moment; `up` starts
//! another, which goes on where the first stopped.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::{Explain, Kind};
use crate::topology::folder::{FolderError, LabDir, write_whole};

/// How long an agent may take to stop.
const PATIENCE: Duration = Duration::from_secs(3);

/// What goes wrong with an agent.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Its process id cannot be read or written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// It cannot be ended.
    #[error("the agent of lab {lab}, process {pid}, cannot be ended")]
    Stop {
        /// The lab.
        lab: String,
        /// The process.
        pid: i32,
        /// What the system says.
        source: io::Error,
    },
}

impl Explain for AgentError {
    fn kind(&self) -> Kind {
        match self {
            AgentError::Folder(error) => error.kind(),
            AgentError::Stop { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Kind::Privilege
            }
            AgentError::Stop { .. } => Kind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            AgentError::Folder(error) => error.hints(),
            AgentError::Stop { pid, .. } => vec![format!("end it with `kill -9 {pid}`, as root")],
        }
    }
}

/// Makes the calling process the lab's agent.
///
/// # Errors
/// When the state folder cannot be written.
pub fn register(dir: &LabDir) -> Result<(), AgentError> {
    let pid = std::process::id() as i32;
    let text = format!("{pid} {}\n", start_time(pid).unwrap_or_default());
    Ok(write_whole(&dir.agent_pid(), text.as_bytes())?)
}

/// The lab's agent, if it is alive. A process id that now is another process's does not count.
pub fn find(dir: &LabDir) -> Option<i32> {
    let text = fs::read_to_string(dir.agent_pid()).ok()?;
    let mut words = text.split_whitespace();
    let pid: i32 = words.next()?.parse().ok()?;
    let started: u64 = words.next()?.parse().ok()?;
    (start_time(pid)? == started).then_some(pid)
}

/// Ends the lab's agent and waits until it is gone; that there is none is fine.
///
/// # Errors
/// When it cannot be signalled, or does not go.
pub fn stop(dir: &LabDir) -> Result<(), AgentError> {
    let start = Instant::now();
    let mut signal = Signal::SIGTERM;
    while let Some(pid) = find(dir) {
        let failed = |source| AgentError::Stop { lab: dir.name().into(), pid, source };
        if start.elapsed() > 2 * PATIENCE {
            return Err(failed(io::ErrorKind::TimedOut.into()));
        }
        if start.elapsed() > PATIENCE {
            signal = Signal::SIGKILL;
        }
        match kill(Pid::from_raw(pid), signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => return Err(failed(errno.into())),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// When a process started, in clock ticks since boot; `None` when there is no such process, or it has ended
/// and only waits for its parent.
fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(PathBuf::from(format!("/proc/{pid}/stat"))).ok()?;
    // The second field is the command in parentheses and may itself hold spaces and parentheses.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}
