//! Cases, and running one on the host, in TC and in XDP: the same rules, the same packets one after another,
//! and after each of them the same verdict and the same bytes. Nothing is attached and nothing is sent; the
//! kernel runs the programs on frames that are handed to it.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use netlab_common::abi::hook::Hook;
use netlab_common::abi::verdict::Verdict;
use nix::time::{ClockId, clock_gettime};

use crate::host::Host;
use crate::kernel::{Kernel, Place};
use crate::need::say;
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
        /// What must become of it; without this it is enough that all agree.
        expected: Option<Outcome>,
    },
    /// Every flow has been idle for so long.
    Idle(Duration),
    /// The agent begins to take every flow away.
    EndFlows,
}

impl Case {
    /// A case in which nothing happens yet.
    #[must_use]
    pub fn new(name: impl Into<String>, rules: Rules) -> Self {
        Case { name: name.into(), rules, steps: vec![], places: &[Place::Tc, Place::Xdp] }
    }

    /// A packet that is translated.
    #[must_use]
    pub fn becomes(mut self, hook: Hook, packet: &Packet, verdict: Verdict, became: &Packet) -> Self {
        let expected = Some(Outcome { verdict, frame: became.frame() });
        self.steps.push(Step::Packet { hook, frame: packet.frame(), expected });
        self
    }

    /// A packet that is left as it is.
    #[must_use]
    pub fn stays(self, hook: Hook, packet: &Packet, verdict: Verdict) -> Self {
        self.frame_stays(hook, packet.frame(), verdict)
    }

    /// As [`stays`](Self::stays), for bytes that no builder makes.
    #[must_use]
    pub fn frame_stays(mut self, hook: Hook, frame: Vec<u8>, verdict: Verdict) -> Self {
        let expected = Some(Outcome { verdict, frame: frame.clone() });
        self.steps.push(Step::Packet { hook, frame, expected });
        self
    }

    /// A packet about which all must agree, whatever it comes to.
    #[must_use]
    pub fn agrees(mut self, hook: Hook, frame: Vec<u8>) -> Self {
        self.steps.push(Step::Packet { hook, frame, expected: None });
        self
    }

    /// Time passes.
    #[must_use]
    pub fn idle(mut self, seconds: u64) -> Self {
        self.steps.push(Step::Idle(Duration::from_secs(seconds)));
        self
    }

    /// The agent begins to take the flows away.
    #[must_use]
    pub fn end_flows(mut self) -> Self {
        self.steps.push(Step::EndFlows);
        self
    }

    /// The case is for the host and these places alone. The caller says why beside it.
    #[must_use]
    pub fn only_in(self, places: &'static [Place]) -> Self {
        Case { places, ..self }
    }
}

/// Plays a case on the host, and gives the verdicts it came to.
///
/// # Errors
/// At the first packet that does not come out as the case says.
pub fn play_on_host(case: &Case) -> anyhow::Result<Vec<Verdict>> {
    let host = Host::new(&case.rules);
    let mut verdicts = vec![];
    for (number, step) in (1..).zip(&case.steps) {
        if let Some(outcome) = host_step(&host, step).with_context(|| place(case, number, step))? {
            verdicts.push(outcome.verdict);
        }
    }
    Ok(verdicts)
}

/// Plays a case on the host and in the kernel, with a freshly loaded object for TC and one for XDP.
///
/// # Errors
/// At the first packet that does not come out as the case says, or not the same everywhere, and when the
/// tables differ at the end.
pub fn play(case: &Case) -> anyhow::Result<()> {
    wait_for_uptime(case)?;
    let host = Host::new(&case.rules);
    let mut kernels = vec![];
    for place in case.places {
        kernels.push(Kernel::load(*place, &case.rules)?);
    }
    for (number, step) in (1..).zip(&case.steps) {
        let outcome = host_step(&host, step).with_context(|| place(case, number, step))?;
        for kernel in &mut kernels {
            kernel_step(kernel, step, outcome.as_ref()).with_context(|| place(case, number, step))?;
        }
    }
    for kernel in &kernels {
        if let Some(difference) = host.state().difference(&kernel.state()?) {
            bail!("{}: on the host and in {:?} the tables differ:\n{difference}", case.name, kernel.place());
        }
    }
    Ok(())
}

fn host_step(host: &Host, step: &Step) -> anyhow::Result<Option<Outcome>> {
    match step {
        Step::Packet { hook, frame, expected } => {
            let outcome = host.outcome(*hook, frame)?;
            if let Some(expected) = expected {
                same("the case", expected, "the host", &outcome)?;
            }
            return Ok(Some(outcome));
        }
        Step::Idle(time) => host.wait(*time),
        Step::EndFlows => host.end_flows(),
    }
    Ok(None)
}

fn kernel_step(kernel: &mut Kernel, step: &Step, on_host: Option<&Outcome>) -> anyhow::Result<()> {
    match step {
        Step::Packet { hook, frame, .. } => {
            let outcome = kernel.run(*hook, frame)?;
            let on_host = on_host.context("the host ran the packet before")?;
            same("the host", on_host, &format!("{:?}", kernel.place()), &outcome)
        }
        Step::Idle(time) => kernel.age(*time),
        Step::EndFlows => kernel.end_flows(),
    }
}

/// The same verdict and the same bytes. What is dropped has its bytes compared too: nothing may have
/// touched them.
fn same(one: &str, expected: &Outcome, other: &str, found: &Outcome) -> anyhow::Result<()> {
    let (says, comes_to) = (expected.verdict, found.verdict);
    ensure!(says == comes_to, "{one} says {}, {other} {}", says.name(), comes_to.name());
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
        Step::Idle(time) => format!("{}: step {number}, idle for {time:?}", case.name),
        Step::EndFlows => format!("{}: step {number}, flows end", case.name),
    }
}

fn hex(frame: &[u8]) -> String {
    frame.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The kernel's flows are aged by setting back when they were last seen, which cannot be before the machine
/// started. On one that is younger than the case this waits.
fn wait_for_uptime(case: &Case) -> anyhow::Result<()> {
    let idle = |step: &Step| if let Step::Idle(time) = step { *time } else { Duration::ZERO };
    let needed: Duration = case.steps.iter().map(idle).sum();
    let uptime = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
    // Less than a second over, so that a case's first packet cannot come within the clock's own tick.
    let missing = (needed + Duration::from_millis(500)).saturating_sub(uptime);
    if !needed.is_zero() && !missing.is_zero() {
        say(&format!("{}: waiting {missing:?}, because the machine has only just started", case.name));
        thread::sleep(missing);
    }
    Ok(())
}
