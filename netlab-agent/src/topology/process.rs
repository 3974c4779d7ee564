//! Starts the nodes' own commands and waits until what the lab file asks for holds. Ending processes is not
//! done here: `down` finds them by namespace, whoever started them.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use thiserror::Error;
use tokio::time::{Instant, sleep};

use super::apply::Built;
use super::folder::LabDir;
use super::inside::{self, InsideError};
use crate::error::{Explain, Failure, Kind};
use crate::lab::{Lab, Place, Wait};
use crate::netlink::ListenSocket;
use crate::netns::NetnsError;

pub use super::ending::processes_in;

/// How long all nodes together have until what they wait for holds.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long commands that nothing waits for are watched for an early death, all together.
const FIRST_BREATH: Duration = Duration::from_millis(30);
/// Shortest and longest pause between two looks.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));
/// How much of a log is quoted in an error.
const QUOTED_LINES: usize = 10;
const QUOTED_BYTES: u64 = 4096;

/// Why the nodes' commands are not running as they should.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// A log file cannot be made.
    #[error("cannot write the log {path}")]
    Log {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The node cannot be entered.
    #[error("cannot prepare a command in {node}")]
    Inside {
        /// The node.
        node: String,
        /// Why.
        source: InsideError,
    },
    /// A command cannot be started.
    #[error("cannot start `{command}` in {node}")]
    Start {
        /// The node.
        node: String,
        /// The command.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// A command failed at once.
    #[error("`{command}` in {node} ended with {status}{}", quoted(.output))]
    Died {
        /// The node.
        node: String,
        /// The command.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its output.
        output: String,
    },
    /// The time is over.
    #[error("after {} s these are still waited for: {}{}", PATIENCE.as_secs(), .open.join(", "), quoted(.output))]
    Timeout {
        /// What does not hold.
        open: Vec<String>,
        /// The end of the output of the nodes' commands.
        output: String,
    },
    /// The kernel does not say who listens.
    #[error("cannot ask the kernel which ports of {node} have a listener")]
    Listeners {
        /// The node.
        node: String,
        /// What the system said.
        source: io::Error,
    },
    /// The namespace cannot be entered.
    #[error(transparent)]
    Netns(#[from] NetnsError),
}

impl Explain for ProcessError {
    fn kind(&self) -> Kind {
        match self {
            ProcessError::Netns(error) => error.kind(),
            _ => Kind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            // Its log goes with the lab, so it is not worth naming.
            ProcessError::Died { node, .. } => vec![format!(
                "take it out of `run`, bring the lab up, and try it by hand: `netlab exec {node} -- sh -c …`"
            )],
            ProcessError::Timeout { .. } => vec![
                "correct the node's `wait`, or leave it out and see by `netlab exec` what keeps the command"
                    .to_owned(),
            ],
            ProcessError::Netns(error) => error.hints(),
            _ => Vec::new(),
        }
    }
}

/// A command of a node that was started; a child of the calling process.
#[derive(Debug)]
pub struct Started {
    /// Index into `Lab::nodes`.
    pub node: usize,
    /// Which of the node's commands, from 0.
    pub number: usize,
    /// The process.
    pub child: Child,
    /// Where its output goes.
    pub log: PathBuf,
}

/// Starts the `run` commands of all nodes by `sh -c`, each in its own session, without input, with `workdir`
/// as its folder. On an error the ones that were started go on; `teardown` ends them.
pub fn start_all(lab: &Lab, built: &Built, dir: &LabDir, workdir: &Path) -> Result<Vec<Started>, Failure> {
    let mut started = Vec::new();
    for (index, node) in lab.nodes.iter().enumerate() {
        for (number, text) in node.run.iter().enumerate() {
            let log = dir.log(&node.name, number);
            let outputs = File::create(&log).and_then(|file| Ok((file.try_clone()?, file)));
            let (output, errors) =
                outputs.map_err(|source| ProcessError::Log { path: log.clone(), source })?;
            let namespace = built.namespace(Place::Node(index));
            let mut command = inside::command(namespace, &dir.hosts(), "sh", true)
                .map_err(|source| ProcessError::Inside { node: node.name.clone(), source })?;
            command.arg("-c").arg(text).current_dir(workdir);
            command.stdin(Stdio::null()).stdout(output).stderr(errors);
            let child = command.spawn().map_err(|source| ProcessError::Start {
                node: node.name.clone(),
                command: text.clone(),
                source,
            })?;
            started.push(Started { node: index, number, child, log });
        }
    }
    Ok(started)
}

/// A condition that does not hold yet.
struct Pending<'a> {
    node: &'a str,
    wait: &'a Wait,
    socket: ListenSocket,
}

/// Waits until every node's `wait` holds, at most 10 s for all, and fails as soon as a command fails.
pub async fn wait_all(lab: &Lab, built: &Built, started: &mut [Started]) -> Result<(), Failure> {
    let begin = Instant::now();
    let mut pending = pending(lab, built)?;
    let unwatched = started.iter().any(|command| lab.nodes[command.node].wait.is_empty());
    let (mut pause, longest) = PAUSES;
    loop {
        for command in started.iter_mut() {
            look_for_death(lab, command)?;
        }
        let mut left = Vec::with_capacity(pending.len());
        for condition in pending {
            if !condition.holds()? {
                left.push(condition);
            }
        }
        pending = left;
        let elapsed = begin.elapsed();
        if pending.is_empty() && (!unwatched || elapsed >= FIRST_BREATH) {
            return Ok(());
        }
        if elapsed >= PATIENCE {
            return Err(timeout(lab, &pending, started).into());
        }
        sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

fn pending<'a>(lab: &'a Lab, built: &Built) -> Result<Vec<Pending<'a>>, ProcessError> {
    let mut pending = Vec::new();
    for (index, node) in lab.nodes.iter().enumerate() {
        for wait in &node.wait {
            // The socket stays bound to the node, so the thread enters each only once.
            let socket = built.namespace(Place::Node(index)).enter(ListenSocket::open)?;
            let socket =
                socket.map_err(|source| ProcessError::Listeners { node: node.name.clone(), source })?;
            pending.push(Pending { node: &node.name, wait, socket });
        }
    }
    Ok(pending)
}

impl Pending<'_> {
    fn holds(&self) -> Result<bool, ProcessError> {
        let (ports, wanted) = match self.wait {
            Wait::Tcp(port) => (self.socket.tcp(), port),
            Wait::Udp(port) => (self.socket.udp(), port),
        };
        let ports = ports.map_err(|source| ProcessError::Listeners { node: self.node.to_owned(), source })?;
        Ok(ports.contains(wanted))
    }

    fn name(&self) -> String {
        match self.wait {
            Wait::Tcp(port) => format!("tcp:{port} in {}", self.node),
            Wait::Udp(port) => format!("udp:{port} in {}", self.node),
        }
    }
}

/// What is still waited for, with the last that the nodes' commands said: their logs go with the lab.
fn timeout(lab: &Lab, pending: &[Pending<'_>], started: &[Started]) -> ProcessError {
    let is_late = |command: &&Started| pending.iter().any(|late| late.node == lab.nodes[command.node].name);
    let logs = started.iter().filter(is_late).filter_map(|command| last_lines(&command.log).ok());
    let output: Vec<_> = logs.filter(|log| !log.is_empty()).collect();
    ProcessError::Timeout { open: pending.iter().map(Pending::name).collect(), output: output.join("\n") }
}

/// A command that has done its work is fine, a set-up command for instance; one that failed is not.
fn look_for_death(lab: &Lab, command: &mut Started) -> Result<(), ProcessError> {
    let Ok(Some(status)) = command.child.try_wait() else { return Ok(()) };
    if status.success() {
        return Ok(());
    }
    let node = &lab.nodes[command.node];
    Err(ProcessError::Died {
        node: node.name.clone(),
        command: node.run[command.number].clone(),
        status,
        output: last_lines(&command.log).unwrap_or_default(),
    })
}

/// The last lines of a log, from a bounded piece of it.
fn last_lines(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(QUOTED_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(QUOTED_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(QUOTED_LINES)..].join("\n"))
}

/// Output below an error's sentence, each line set in; what a node prints cannot steer the terminal.
fn quoted(output: &str) -> String {
    let clean = |line: &str| line.replace(|letter: char| letter.is_control() && letter != '\t', "?");
    output.lines().map(|line| format!("\n    | {}", clean(line))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_lines_of_a_log_are_quoted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text: String = (0..2000).map(|number| format!("line {number}\n")).collect();
        std::fs::write(file.path(), text).unwrap();
        let last = last_lines(file.path()).unwrap();
        assert_eq!(last.lines().count(), QUOTED_LINES);
        assert!(last.starts_with("line 1990") && last.ends_with("line 1999"));
    }

    #[test]
    fn quoted_output_cannot_steer_the_terminal() {
        assert_eq!(quoted("\u{1b}[31mred\nplain"), "\n    | ?[31mred\n    | plain");
    }
}
