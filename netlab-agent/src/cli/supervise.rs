//! Bringing a lab up and watching over it, in the background (what `up` starts) or in the foreground.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::prctl::set_name;
use nix::unistd::{chdir, dup2_stderr, dup2_stdin, dup2_stdout, setsid};
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::down::undo;
use super::exits::Ways;
use super::messages::Messages;
use super::raise::{self, Up};
use super::{nat, note, print, running, runtime};
use crate::datapath::hints::Hints;
use crate::datapath::maps::Maps;
use crate::datapath::sweep::Sweeper;
use crate::datapath::xdp::Sent;
use crate::error::{Failure, Kind, Result};
use crate::lab::Lab;
use crate::netlink::Monitor;
use crate::netns::Namespace;
use crate::output::live;
use crate::topology::folder::LabDir;
use crate::topology::journal::Journal;
use crate::topology::process::Started;
use crate::{agent, sys, topology};

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
        let nat = match register(&up, &mut interrupts).await.and_then(|nat| {
            detach(&dir, line).map_err(|error| {
                Failure::new(
                    Kind::Interrupted,
                    format!("nobody waits for lab {} any more: {error}", up.lab.name),
                )
            })?;
            Ok(nat)
        }) {
            Ok(nat) => nat,
            Err(failure) => {
                undo(&dir).await?;
                return Err(failure);
            }
        };
        let Up { started, lock, .. } = up;
        drop(lock);
        watch(&dir, nat, started, &mut interrupts, |_| {}).await;
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
        let nat = match register(&up, &mut interrupts).await {
            Ok(nat) => nat,
            Err(failure) => {
                undo(&dir).await?;
                return Err(failure);
            }
        };
        let Up { lab, started, lock, .. } = up;
        drop(lock);
        let on_terminal = io::stdout().is_terminal();
        watch(&dir, nat, started, &mut interrupts, |maps| {
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
async fn register(up: &Up, interrupts: &mut Interrupts) -> Result<Option<Nat>> {
    let nat = Nat::open(&up.lab, &up.dir)?;
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
    Ok(nat)
}

/// How often the flow table is swept, and all else looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often somebody who has begun to capture is looked for.
const GLANCE: Duration = Duration::from_millis(200);

/// How long a change of the host's addresses may be followed by others that belong to it.
const SETTLING: Duration = Duration::from_millis(20);

/// The part of an agent's work that concerns a lab's NAT.
struct Nat {
    maps: Maps,
    sweeper: Sweeper,
    hints: Hints,
    uplink: String,
    host: Namespace,
    /// What had come by interfaces when that was last looked at.
    sent: BTreeMap<String, Sent>,
    changes: Monitor,
    messages: Option<Messages>,
    ways: Ways,
    lab: Lab,
    /// Something changed, or may have; the rules are to be looked at.
    unsettled: bool,
    /// When they were last looked at. That is done now and then in any case: a change that nobody heard of,
    /// or a command that was killed in the middle, is mended by it.
    looked: Instant,
}

/// How long nobody looks at the rules if nothing changes.
const REST: Duration = Duration::from_secs(10);

impl Nat {
    fn open(lab: &Lab, dir: &LabDir) -> Result<Option<Self>> {
        let Some(uplink) = Journal::read(dir)?.and_then(|journal| journal.uplink) else { return Ok(None) };
        let host = topology::open(dir, lab.host.namespace.as_deref())?;
        Ok(Some(Nat {
            maps: Maps::open(&lab.name)?,
            sweeper: Sweeper::open(&lab.name)?,
            hints: Hints::open(&lab.name)?,
            uplink: uplink.name.clone(),
            sent: BTreeMap::new(),
            changes: host.enter(Monitor::open)??,
            messages: Messages::open(&lab.name)?,
            ways: Ways::open(lab, dir, &uplink.name)?,
            lab: lab.clone(),
            host,
            // While no agent was there, addresses may have changed.
            unsettled: true,
            looked: Instant::now(),
        }))
    }

    /// Follows what ways out of the host depend on: after a change at once, else now and then.
    async fn follow_ways(&mut self, is_changed: bool) {
        let done = if is_changed {
            self.ways.follow(&self.lab).await
        } else {
            self.ways.look_now_and_then(&self.lab).await
        };
        if let Err(failure) = done {
            note(&format!("lab {}: the ways out of the host are not known: {failure}", self.lab.name));
        }
    }

    /// Has flows ended whose time is up.
    async fn sweep(&mut self) -> crate::datapath::Result<()> {
        let flows = self.sweeper.all(&self.maps).await?;
        self.hints.follow(flows)
    }

    /// Follows what comes: as frames or out of sockets.
    async fn follow_traffic(&mut self, dir: &LabDir) {
        let crosses = self.ways.are_open();
        match super::ways::follow_traffic(&self.lab, dir, &self.host, &self.uplink, crosses, &mut self.sent) {
            Ok(false) => {}
            // Frames may be taken elsewhere now.
            Ok(true) => self.follow_ways(true).await,
            Err(failure) => {
                note(&format!("lab {}: programs could not follow the traffic: {failure}", self.lab.name));
            }
        }
    }

    /// Follows the host's interfaces and addresses.
    async fn follow(&mut self, dir: &LabDir) -> Result<()> {
        // Who adds or takes away forwards holds the lock for a moment: then it is tried again.
        let Ok(_lock) = dir.lock_rules() else { return Ok(()) };
        let lab = running::find(Some(dir.name()))?.lab;
        self.lab = lab.clone();
        let changes = nat::follow(&lab, dir, &self.uplink).await?;
        if changes.unreachable > 0 {
            let flows = super::count(usize::try_from(changes.unreachable).unwrap_or(usize::MAX), "flow");
            note(&format!("lab {}: {flows} ended: the external address is gone", lab.name));
        }
        for interface in &changes.attached {
            note(&format!("lab {}: programs were attached to {interface} anew", lab.name));
        }
        self.unsettled = false;
        self.looked = Instant::now();
        Ok(())
    }
}

/// What an agent has heard of.
enum Heard {
    /// Interfaces or addresses have changed.
    Addresses,
    /// Something has on which ways out of the host depend.
    Ways,
}

/// Waits for a change; for ever in a lab without NAT.
async fn changed(nat: &mut Option<Nat>) -> Heard {
    let Some(nat) = nat else { return std::future::pending().await };
    tokio::select! {
        () = nat.changes.changed() => Heard::Addresses,
        () = nat.ways.changed() => Heard::Ways,
    }
}

/// Ends flows, follows the host's addresses, sees commands end, and shows the lab, until a signal comes.
async fn watch(
    dir: &LabDir,
    mut nat: Option<Nat>,
    mut started: Vec<Started>,
    interrupts: &mut Interrupts,
    mut show: impl FnMut(Option<&Maps>),
) {
    let lab = dir.name();
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut glances = interval(GLANCE);
    glances.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = interrupts.next() => return,
            heard = changed(&mut nat) => {
                tokio::time::sleep(SETTLING).await;
                if let Some(nat) = &mut nat {
                    match heard {
                        Heard::Addresses => nat.unsettled = true,
                        Heard::Ways => nat.follow_ways(true).await,
                    }
                }
            }
            _ = glances.tick() => {
                if let Some(nat) = &mut nat
                    && let Err(failure) = nat.ways.look_for_captures(&nat.lab).await
                {
                    note(&format!("lab {lab}: captures cannot be looked for: {failure}"));
                }
            }
            _ = ticks.tick() => {
                if let Some(nat) = &mut nat {
                    nat.follow_ways(false).await;
                    nat.follow_traffic(dir).await;
                }
                if let Some(nat) = &mut nat
                    && let Err(error) = nat.sweep().await
                {
                    note(&format!("lab {lab}: flows could not be ended: {error}"));
                }
                if let Some(messages) = nat.as_mut().and_then(|nat| nat.messages.as_mut()) {
                    messages.show();
                }
                started.retain_mut(|command| is_running(lab, command));
                show(nat.as_ref().map(|nat| &nat.maps));
            }
        }
        if let Some(nat) = nat.as_mut().filter(|nat| nat.unsettled || nat.looked.elapsed() > REST)
            && let Err(failure) = nat.follow(dir).await
        {
            // Said once a change: what fails now may work after the next one.
            nat.unsettled = false;
            nat.looked = Instant::now();
            note(&format!("lab {lab}: the rules could not follow the host's addresses: {failure}"));
        }
    }
}

/// Whether a node's command still runs; says so when it has ended.
fn is_running(lab: &str, command: &mut Started) -> bool {
    let Ok(Some(status)) = command.child.try_wait() else { return true };
    note(&format!("lab {lab}: command {} of node {} ended: {status}", command.number, command.node));
    false
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
