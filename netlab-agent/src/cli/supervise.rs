//! Bringing a lab up and watching over it, in the background (what `up` starts) or in the foreground.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::sys::prctl::set_name;
use nix::unistd::{chdir, dup2_stderr, dup2_stdin, dup2_stdout, setsid};
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::down::undo;
use super::raise::{self, Up};
use super::{note, print, runtime};
use crate::agent;
use crate::datapath::maps::Maps;
use crate::error::{Failure, Kind, Result};
use crate::output::live;
use crate::sys;
use crate::topology::folder::LabDir;
use crate::topology::process::Started;

/// The signals by which a user or the system asks a process to stop.
pub struct Interrupts([Signal; 3]);

impl Interrupts {
    /// Takes the signals over from their default, which is to die at once.
    pub fn new() -> io::Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [a, b, c] = kinds.map(signal);
        Ok(Interrupts([a?, b?, c?]))
    }

    /// The next of them.
    pub async fn next(&mut self) {
        let [a, b, c] = &mut self.0;
        tokio::select! { _ = a.recv() => {}, _ = b.recv() => {}, _ = c.recv() => {} }
    }
}

fn interrupts() -> Result<Interrupts> {
    Interrupts::new()
        .map_err(|error| Failure::new(Kind::Failed, format!("signals cannot be received: {error}")))
}

/// Brings the lab up and stays as its agent. Standard input is a socket to the `up` that started this: one
/// byte, an exit code, tells it to go, and its closing means that nobody waits any more.
pub fn background(path: &Path) -> Result<u8> {
    // `up` starts this by `/proc/self/exe`, and `ps` and `top` would show "exe". It is only a name.
    let _ = set_name(c"netlab");
    // Whatever descriptors the caller's shell had open must not be held for as long as the lab lives.
    sys::close_inherited();
    runtime()?.block_on(async {
        let mut interrupts = interrupts()?;
        let line = waiting_line();
        let gone = async {
            match &line {
                Some(line) => closed(line).await,
                None => std::future::pending().await,
            }
        };
        let cancel = async {
            tokio::select! { () = interrupts.next() => {}, () = gone => {} }
        };
        let up = match raise::raise(path, cancel).await? {
            raise::Raised::Already(text) => {
                print(&text)?;
                return Ok(0);
            }
            raise::Raised::Up(up) => *up,
        };
        let dir = up.dir.clone();
        let maps = match register(&up, &mut interrupts).await.and_then(|maps| {
            detach(&dir, line).map_err(|error| {
                Failure::new(
                    Kind::Interrupted,
                    format!("nobody waits for lab {} any more: {error}", up.lab.name),
                )
            })?;
            Ok(maps)
        }) {
            Ok(maps) => maps,
            Err(failure) => {
                undo(&dir).await?;
                return Err(failure);
            }
        };
        let Up { lab, started, lock, .. } = up;
        drop(lock);
        watch(&lab.name, maps, started, &mut interrupts, |_| {}).await;
        Ok(0)
    })
}

/// Brings the lab up, shows it, and takes it down when asked to stop.
pub fn foreground(path: &Path) -> Result<u8> {
    runtime()?.block_on(async {
        let mut interrupts = interrupts()?;
        let up = match raise::raise(path, interrupts.next()).await? {
            raise::Raised::Already(text) => {
                return Err(Failure::new(Kind::Conflict, text.trim_end().to_owned())
                    .hint("take it down first with `netlab down`"));
            }
            raise::Raised::Up(up) => *up,
        };
        let dir = up.dir.clone();
        let maps = match register(&up, &mut interrupts).await {
            Ok(maps) => maps,
            Err(failure) => {
                undo(&dir).await?;
                return Err(failure);
            }
        };
        let Up { lab, started, lock, .. } = up;
        drop(lock);
        let on_terminal = io::stdout().is_terminal();
        watch(&lab.name, maps, started, &mut interrupts, |maps| {
            if on_terminal {
                // A view that cannot be drawn this second may be the next.
                let columns = sys::columns(io::stdout().as_fd());
                let _ = live::view(&lab, maps)
                    .map(|text| print(&format!("\x1b[H\x1b[2J{}", live::fitted(&text, columns))));
            }
        })
        .await;
        let _lock = dir.lock()?;
        if !undo(&dir).await? {
            return Ok(Kind::Failed.exit_code());
        }
        print(&format!("lab {} is down\n", lab.name))?;
        Ok(0)
    })
}

/// Makes this process the agent of a lab that came up, and says so. Any failure, and a signal that came too
/// late for `raise`, leaves it to the caller to take the lab down again.
async fn register(up: &Up, interrupts: &mut Interrupts) -> Result<Option<Maps>> {
    let maps = up.lab.host.uplink.as_ref().map(|_| Maps::open(&up.lab.name)).transpose()?;
    agent::register(&up.dir)?;
    let interrupted = tokio::select! {
        biased;
        () = interrupts.next() => true,
        () = std::future::ready(()) => false,
    };
    if interrupted {
        return Err(raise::interrupted());
    }
    print(&raise::summary(&up.lab))?;
    Ok(maps)
}

/// Ends flows, sees commands end, and shows the lab, until a signal comes.
async fn watch(
    lab: &str,
    mut maps: Option<Maps>,
    mut started: Vec<Started>,
    interrupts: &mut Interrupts,
    mut show: impl FnMut(Option<&Maps>),
) {
    let mut ticks = interval(agent::INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = interrupts.next() => return,
            _ = ticks.tick() => {}
        }
        if let Some(maps) = &mut maps
            && let Err(error) = agent::tick(maps)
        {
            note(&format!("lab {lab}: flows could not be ended: {error}"));
        }
        started.retain_mut(|command| match command.child.try_wait() {
            Ok(Some(status)) => {
                note(&format!(
                    "lab {lab}: command {} of node {} ended: {status}",
                    command.number, command.node
                ));
                false
            }
            Ok(None) | Err(_) => true,
        });
        show(maps.as_ref());
    }
}

/// The socket to the waiting `up`, or `None` when somebody runs the agent by hand.
fn waiting_line() -> Option<UnixStream> {
    let stdin = io::stdin().as_fd().try_clone_to_owned().ok()?;
    let line = UnixStream::from(stdin);
    line.peer_addr().is_ok().then_some(line)
}

/// Ready when the other end has closed.
async fn closed(line: &UnixStream) {
    let stream = line.try_clone().and_then(|line| {
        line.set_nonblocking(true)?;
        tokio::net::UnixStream::from_std(line)
    });
    match stream {
        // The other end never writes, so whatever comes is its end.
        Ok(mut stream) => drop(stream.read(&mut [0u8; 1]).await),
        Err(_) => std::future::pending::<()>().await,
    }
}

/// Lets go of the terminal, and tells the waiting `up` that all is ready.
fn detach(dir: &LabDir, line: Option<UnixStream>) -> io::Result<()> {
    let Some(mut line) = line else { return Ok(()) };
    let log = OpenOptions::new().create(true).append(true).open(dir.path().join("agent.log"))?;
    // Fails only for a leader of its group, and then there is no terminal to let go of.
    let _ = setsid();
    chdir("/")?;
    line.set_nonblocking(false)?;
    line.write_all(&[0])?;
    let nothing = OpenOptions::new().read(true).open("/dev/null")?;
    dup2_stdin(&nothing)?;
    dup2_stdout(&log)?;
    dup2_stderr(&log)?;
    Ok(())
}
