//! Cases, and running one on the host, in TC and in XDP: the same rules, the same packets one after another,
//! and after each of them the same verdict and the same bytes. Nothing is attached and nothing is sent; the
//! kernel runs the programs on frames that are handed to it.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::process::Command;
use std::thread;

use anyhow::{Context as _, bail, ensure};
use netlab_common::abi::clock;
use netlab_common::abi::hook::Hook;
use netlab_common::abi::verdict::Verdict;
use netlab_common::net::protocol::{TCP, UDP};
use nix::sched::{CloneFlags, unshare};

use crate::host::Host;
use crate::kernel::{Kernel, Place};
use crate::packet::Packet;
use crate::rules::Rules;
use crate::state::Outcome;

/// A story of packets, each of which meets what those before it left behind.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it shows, as a sentence without its full stop.
    pub name: String,
    /// The rules at its start.
    pub rules: Rules,
    /// Sockets of the host's that are open throughout.
    pub sockets: Vec<(u8, SocketAddrV4)>,
    /// What happens.
    pub steps: Vec<Step>,
    /// Where in the kernel it is played.
    pub places: &'static [Place],
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Step {
    /// A packet comes to a hook.
    Packet {
        /// Where.
        hook: Hook,
        /// The frame.
        frame: Vec<u8>,
        /// The interface on which the host's stack received it, or zero.
        on: u32,
        /// What must become of it; without this it is enough that all agree.
        expected: Option<Outcome>,
    },
    /// So many ticks pass, in which the agent stays at work and comes upon nothing.
    Idle(u32),
    /// So many ticks pass without an agent.
    Alone(u32),
    /// The agent sweeps all slots, and takes so many flows away.
    Sweep(u32),
    /// A user ends every flow.
    EndFlows,
}

impl Case {
    /// A case in which nothing happens yet.
    #[must_use]
    pub fn new(name: impl Into<String>, rules: Rules) -> Self {
        Case { name: name.into(), rules, sockets: vec![], steps: vec![], places: &[Place::Tc, Place::Xdp] }
    }

    /// A packet that is translated.
    #[must_use]
    pub fn becomes(self, hook: Hook, packet: &Packet, verdict: Verdict, became: &Packet) -> Self {
        let expected = Outcome { verdict, answered: false, frame: became.frame() };
        self.packet(hook, packet.frame(), 0, Some(expected))
    }

    /// A packet that is left as it is.
    #[must_use]
    pub fn stays(self, hook: Hook, packet: &Packet, verdict: Verdict) -> Self {
        self.frame_stays(hook, packet.frame(), verdict)
    }

    /// As [`becomes`](Self::becomes), for bytes that no builder makes.
    #[must_use]
    pub fn frame_becomes(self, hook: Hook, frame: Vec<u8>, verdict: Verdict, became: Vec<u8>) -> Self {
        let expected = Outcome { verdict, answered: false, frame: became };
        self.packet(hook, frame, 0, Some(expected))
    }

    /// As [`stays`](Self::stays), for a packet that the host's stack has received on an interface.
    #[must_use]
    pub fn stays_from(self, on: u32, hook: Hook, packet: &Packet, verdict: Verdict) -> Self {
        let expected = Outcome { verdict, answered: false, frame: packet.frame() };
        self.packet(hook, packet.frame(), on, Some(expected))
    }

    /// As [`stays`](Self::stays), for bytes that no builder makes.
    #[must_use]
    pub fn frame_stays(self, hook: Hook, frame: Vec<u8>, verdict: Verdict) -> Self {
        let expected = Outcome { verdict, answered: false, frame: frame.clone() };
        self.packet(hook, frame, 0, Some(expected))
    }

    /// A packet that is refused, and answered with this frame.
    #[must_use]
    pub fn answered(self, hook: Hook, packet: &Packet, verdict: Verdict, answer: Vec<u8>) -> Self {
        self.answered_from(0, hook, packet, verdict, answer)
    }

    /// As [`answered`](Self::answered), for a packet that the host's stack has received on an interface.
    #[must_use]
    pub fn answered_from(
        self,
        on: u32,
        hook: Hook,
        packet: &Packet,
        verdict: Verdict,
        answer: Vec<u8>,
    ) -> Self {
        let expected = Outcome { verdict, answered: true, frame: answer };
        self.packet(hook, packet.frame(), on, Some(expected))
    }

    /// A packet about which all must agree, whatever it comes to.
    #[must_use]
    pub fn agrees(self, hook: Hook, frame: Vec<u8>) -> Self {
        self.packet(hook, frame, 0, None)
    }

    fn packet(mut self, hook: Hook, frame: Vec<u8>, on: u32, expected: Option<Outcome>) -> Self {
        self.steps.push(Step::Packet { hook, frame, on, expected });
        self
    }

    /// Time passes, and the agent is about to sweep.
    #[must_use]
    pub fn idle(self, seconds: u32) -> Self {
        self.then(Step::Idle(clock::from_seconds(seconds)))
    }

    /// So little time passes, of which the datapath's clock can tell no less than one.
    #[must_use]
    pub fn ticks(self, ticks: u32) -> Self {
        self.then(Step::Idle(ticks))
    }

    /// Time passes, and there is no agent.
    #[must_use]
    pub fn alone(self, seconds: u32) -> Self {
        self.then(Step::Alone(clock::from_seconds(seconds)))
    }

    /// The agent sweeps, and takes so many flows away.
    #[must_use]
    pub fn sweep(self, flows: u32) -> Self {
        self.then(Step::Sweep(flows))
    }

    /// A user ends all flows.
    #[must_use]
    pub fn end_flows(self) -> Self {
        self.then(Step::EndFlows)
    }

    fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The host has a socket open there: a bound one of UDP, or a listening one of TCP.
    ///
    /// # Panics
    /// When that is no `address:port`.
    #[must_use]
    pub fn socket(mut self, protocol: u8, at: &str) -> Self {
        self.sockets.push((protocol, at.parse().expect("an address and a port")));
        self
    }

    /// The case is for the host and these places alone. The caller says why beside it.
    #[must_use]
    pub fn only_in(self, places: &'static [Place]) -> Self {
        Case { places, ..self }
    }

    /// The host that is compared with one of these twins.
    fn host(&self, place: Option<Place>) -> Host {
        let host = Host::new(&self.rules);
        host.env.impatient.set(place == Some(Place::Xdp));
        let sockets = self.sockets.iter();
        let bound = sockets.map(|(protocol, at)| (*protocol, at.ip().octets(), at.port().to_be_bytes()));
        host.env.bound.borrow_mut().extend(bound);
        host
    }
}

/// Plays a case on the host, and gives the verdicts it came to.
///
/// # Errors
/// At the first packet that does not come out as the case says.
pub fn play_on_host(case: &Case) -> anyhow::Result<Vec<Verdict>> {
    let host = case.host(case.places.first().copied().filter(|_| case.places.len() == 1));
    let mut verdicts = vec![];
    for (number, step) in (1..).zip(&case.steps) {
        if let Some(outcome) = host_step(&host, step).with_context(|| place(case, number, step))? {
            verdicts.push(outcome.verdict);
        }
    }
    Ok(verdicts)
}

/// The kernel's side of cases that are played one after another.
#[derive(Debug, Default)]
pub struct Stage {
    kernels: Vec<Kernel>,
}

impl Stage {
    /// Plays a case on the host and in the kernel, in a network of its own, because the programs look at the
    /// sockets of whoever runs them.
    ///
    /// # Errors
    /// At the first packet that does not come out as the case says, or not the same everywhere, and when the
    /// tables differ at the end.
    ///
    /// # Panics
    /// When the host's tables are not whole at the end.
    pub fn play(&mut self, case: &Case) -> anyhow::Result<()> {
        let player = || {
            unshare(CloneFlags::CLONE_NEWNET).context("no network of its own")?;
            // Fragments that have waited are sent on by the interface that the kernel runs programs on.
            let up = Command::new("ip").args(["link", "set", "lo", "up"]).status()?;
            ensure!(up.success(), "the loopback interface does not come up");
            let _sockets = open_sockets(case)?;
            self.play_here(case)
        };
        thread::scope(|scope| scope.spawn(player).join().expect("the host's tables are whole"))
    }

    fn play_here(&mut self, case: &Case) -> anyhow::Result<()> {
        if case.places.is_empty() {
            return play_on_host(case).map(drop);
        }
        case.places.iter().try_for_each(|place| self.play_at(*place, case))
    }

    fn play_at(&mut self, at: Place, case: &Case) -> anyhow::Result<()> {
        let host = case.host(Some(at));
        let number = self.begin(at, &case.rules)?;
        let kernel = &mut self.kernels[number];
        kernel.tend(host.now())?;
        for (number, step) in (1..).zip(&case.steps) {
            // At the loopback interface there is no XDP.
            if at == Place::Xdp && matches!(step, Step::Packet { hook: Hook::LocalOut, .. }) {
                continue;
            }
            let outcome = host_step(&host, step).with_context(|| place(case, number, step))?;
            kernel_step(kernel, step, host.now(), outcome.as_ref())
                .with_context(|| place(case, number, step))?;
        }
        if let Some(difference) = host.state().difference(&kernel.state()?) {
            bail!("{}: on the host and in {at:?} the tables differ:\n{difference}", case.name);
        }
        Ok(())
    }

    /// Has a kernel begin with these rules, and gives its number.
    fn begin(&mut self, place: Place, rules: &Rules) -> anyhow::Result<usize> {
        if let Some(number) = self.kernels.iter().position(|kernel| kernel.fits(place, rules)) {
            self.kernels[number].begin_again(rules)?;
            return Ok(number);
        }
        self.kernels.push(Kernel::load(place, rules)?);
        Ok(self.kernels.len() - 1)
    }
}

/// The host's sockets, which last as long as what is given back. They are at any address, because the network
/// has none.
fn open_sockets(case: &Case) -> anyhow::Result<(Vec<TcpListener>, Vec<UdpSocket>)> {
    let at = |protocol| {
        let of = move |socket: &&(u8, SocketAddrV4)| socket.0 == protocol;
        case.sockets.iter().filter(of).map(|(_, at)| (Ipv4Addr::UNSPECIFIED, at.port()))
    };
    let tcp = at(TCP).map(TcpListener::bind).collect::<Result<_, _>>()?;
    Ok((tcp, at(UDP).map(UdpSocket::bind).collect::<Result<_, _>>()?))
}

fn host_step(host: &Host, step: &Step) -> anyhow::Result<Option<Outcome>> {
    match step {
        Step::Packet { hook, frame, on, expected } => {
            let outcome = host.outcome(*hook, frame, *on)?;
            if let Some(expected) = expected {
                same("the case", expected, "the host", &outcome)?;
            }
            return Ok(Some(outcome));
        }
        Step::Idle(ticks) => host.wait(*ticks),
        Step::Alone(ticks) => host.wait_alone(*ticks),
        Step::Sweep(expected) => {
            let ended = host.sweep();
            ensure!(ended == *expected, "the sweep ends {ended} flows rather than {expected}");
        }
        Step::EndFlows => host.end_flows(),
    }
    Ok(None)
}

fn kernel_step(kernel: &mut Kernel, step: &Step, now: u32, on_host: Option<&Outcome>) -> anyhow::Result<()> {
    match step {
        Step::Packet { hook, frame, on, .. } => {
            let outcome = kernel.run(*hook, frame, *on, now)?;
            let on_host = on_host.context("the host ran the packet before")?;
            same("the host", on_host, &format!("{:?}", kernel.place()), &outcome)
        }
        Step::Idle(_) => kernel.tend(now),
        // The kernel is told the time with each packet.
        Step::Alone(_) => Ok(()),
        Step::Sweep(expected) => {
            let ended = kernel.sweep(now)?;
            ensure!(ended == *expected, "in {:?} the sweep ends {ended} flows", kernel.place());
            Ok(())
        }
        Step::EndFlows => kernel.end_flows(),
    }
}

/// The same verdict and the same bytes. What is dropped has its bytes compared too: nothing may have
/// touched them, unless they are an answer now.
fn same(one: &str, expected: &Outcome, other: &str, found: &Outcome) -> anyhow::Result<()> {
    let (says, comes_to) = (expected.verdict, found.verdict);
    ensure!(says == comes_to, "{one} says {}, {other} {}", says.name(), comes_to.name());
    let (says, comes_to) = (expected.answered, found.answered);
    ensure!(says == comes_to, "{one} says answered {says}, {other} {comes_to}");
    if expected.frame == found.frame {
        return Ok(());
    }
    let first = expected.frame.iter().zip(&found.frame).take_while(|(a, b)| a == b).count();
    bail!(
        "the bytes differ from offset {first} on\n{one}: {}\n{other}: {}",
        hex(&expected.frame),
        hex(&found.frame)
    )
}

fn place(case: &Case, number: usize, step: &Step) -> String {
    match step {
        Step::Packet { hook, frame, .. } => {
            format!("{}: step {number}, at {}: {}", case.name, hook.name(), hex(frame))
        }
        other => format!("{}: step {number}, {other:?}", case.name),
    }
}

fn hex(frame: &[u8]) -> String {
    frame.iter().map(|byte| format!("{byte:02x}")).collect()
}
