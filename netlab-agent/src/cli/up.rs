//! `netlab up`: start the agent, which brings the lab up, and wait until it is ready.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use super::runtime;
use super::supervise::Interrupts;
use crate::error::{Failure, Kind, Result};

/// Brings a lab up. What goes wrong, the agent has said by itself; this only passes its exit code on.
pub fn up(path: &Path) -> Result<u8> {
    runtime()?.block_on(start(path))
}

async fn start(path: &Path) -> Result<u8> {
    let failed =
        |error: std::io::Error| Failure::new(Kind::Failed, format!("the agent cannot be started: {error}"));
    // Before there is anything to interrupt, or a signal in between would leave the agent without its `up`.
    let mut interrupts = Interrupts::new().map_err(failed)?;
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let mut agent = Command::new("/proc/self/exe")
        .arg0("netlab")
        .arg("agent")
        .arg(path)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .map_err(failed)?;
    ours.set_nonblocking(true).map_err(failed)?;
    let mut line = tokio::net::UnixStream::from_std(ours).map_err(failed)?;
    let mut answer = [0u8; 1];
    loop {
        tokio::select! {
            read = line.read(&mut answer) => return match read {
                Ok(1) => Ok(answer[0]),
                _ => Ok(exit_code(agent.wait().await.map_err(failed)?)),
            },
            // The agent undoes what it has done, then the line closes. On a terminal it got the signal too;
            // a second one changes nothing.
            () = interrupts.next() => interrupt(&agent),
        }
    }
}

fn interrupt(agent: &Child) {
    if let Some(pid) = agent.id() {
        // It may have ended by itself in this very moment.
        let _ = kill(Pid::from_raw(pid as i32), Signal::SIGINT);
    }
}

fn exit_code(status: ExitStatus) -> u8 {
    if let Some(code) = status.code() {
        return u8::try_from(code).unwrap_or(Kind::Failed.exit_code());
    }
    // The agent was interrupted before it could take signals: it had not begun.
    let asked = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];
    let interrupted = status.signal().is_some_and(|signal| asked.contains(&signal));
    (if interrupted { Kind::Interrupted } else { Kind::Failed }).exit_code()
}
