//! The datapath in the kernel, unattached: a freshly loaded object with a case's rules in its maps, whose
//! programs are run on frames by `BPF_PROG_TEST_RUN`.

mod maps;

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use aya::Ebpf;
use aya::programs::{SchedClassifier, TestRun, TestRunOptions, Xdp};
use netlab_agent::datapath::object;
use netlab_common::abi::clock;
use netlab_common::abi::config::Config;
use netlab_common::abi::flow::life;
use netlab_common::abi::hook::Hook;
use netlab_common::abi::names;
use netlab_common::abi::port::{Order, Swept};
use netlab_common::abi::verdict::Disposition;
use nix::time::{ClockId, clock_gettime};

use crate::rules::Rules;
use crate::state::{self, Outcome, State};

const TC_ACT_UNSPEC: u32 = -1i32 as u32;
const TC_ACT_SHOT: u32 = 2;
const TC_ACT_REDIRECT: u32 = 7;
const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
const XDP_TX: u32 = 3;
const XDP_REDIRECT: u32 = 4;

/// Where the interface that a packet came by stands in the context of a program for skbs, in bytes.
const INGRESS_IFINDEX: usize = 36;

/// What is left of a tick at the least when a program runs: the clock's own step is shorter than that.
const MARGIN: u64 = 20_000_000;

/// Which of the two twins of a hook's program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The one for skbs.
    Tc,
    /// The one for frames that are no skbs yet.
    Xdp,
    /// Both, as they are attached: where packets come in, those that cross the host as frames do, and the rest become
    /// skbs.
    Across,
}

/// What the kernel is told to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    GoOn,
    Drop,
    SendBack,
    Cross,
}

/// A loaded object.
#[derive(Debug)]
pub struct Kernel {
    place: Place,
    object: Ebpf,
    rules: Rules,
}

impl Kernel {
    /// Loads the object and writes the rules into its maps.
    ///
    /// # Errors
    /// When the kernel refuses something.
    pub fn load(place: Place, rules: &Rules) -> anyhow::Result<Self> {
        let mut object = object::load(&maps::sizes(rules)).context("the object does not load")?;
        maps::fill(&mut object, rules)?;
        Ok(Kernel { place, object, rules: rules.clone() })
    }

    /// Whether the maps have the right size for these rules.
    #[must_use]
    pub fn fits(&self, place: Place, rules: &Rules) -> bool {
        self.place == place && maps::sizes(&self.rules) == maps::sizes(rules)
    }

    /// Empties the maps, and writes other rules into them: the verifier takes longer over the programs than
    /// all packets of a case.
    ///
    /// # Errors
    /// When a map cannot be written.
    pub fn begin_again(&mut self, rules: &Rules) -> anyhow::Result<()> {
        maps::empty(&mut self.object)?;
        maps::fill(&mut self.object, rules)?;
        self.rules = rules.clone();
        Ok(())
    }

    /// Which twins run.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// Runs a hook's program, at this tick, on a frame, which must be longer than an Ethernet header and has
    /// come by an interface or none.
    ///
    /// # Errors
    /// When the kernel refuses to, when the action is not the verdict's, or when counters do not add up.
    pub fn run(&mut self, hook: Hook, frame: &[u8], on: u32, tick: u32) -> anyhow::Result<Outcome> {
        self.verify(hook)?;
        let before = maps::counts(&self.object)?;
        let mut became = vec![0; frame.len() + 64];
        let mut context = [0; INGRESS_IFINDEX + 4];
        context[INGRESS_IFINDEX..].copy_from_slice(&on.to_ne_bytes());
        let mut options =
            TestRunOptions { data_in: Some(frame), data_out: Some(&mut became), ..TestRunOptions::default() };
        self.set_clock(tick)?;
        let result = match self.place {
            Place::Tc => {
                options.ctx_in = Some(&context);
                classifier(&mut self.object, names::TC_PROGRAMS[hook as usize])?.test_run(options)
            }
            Place::Xdp => xdp(&mut self.object, names::XDP_PROGRAMS[hook as usize])?.test_run(options),
            Place::Across => return self.run_across(hook, frame, on, tick),
        }
        .context("the program does not run")?;
        became.truncate(result.data_size_out as usize);

        let after = maps::counts(&self.object)?;
        let verdict = state::verdict_between(&before, &after, hook, frame.len())
            .with_context(|| format!("in {:?}", self.place))?;
        let action = match (self.place, result.return_value) {
            (Place::Tc, TC_ACT_UNSPEC) | (Place::Xdp, XDP_PASS) => Action::GoOn,
            (Place::Tc, TC_ACT_SHOT) | (Place::Xdp, XDP_DROP) => Action::Drop,
            (Place::Tc, TC_ACT_REDIRECT) | (Place::Xdp, XDP_TX) => Action::SendBack,
            (Place::Xdp, XDP_REDIRECT) => Action::Cross,
            (place, action) => bail!("{} in {place:?} gave action {action}", verdict.name()),
        };
        let drops = verdict.disposition() == Disposition::Dropped;
        // What is not dropped and sent elsewhere goes by the loopback interface.
        let fits = if drops { action != Action::GoOn } else { action != Action::Drop };
        ensure!(fits, "{} in {:?}: {action:?}", verdict.name(), self.place);
        Ok(Outcome { verdict, answered: drops && action == Action::SendBack, frame: became })
    }

    /// As [`run`](Self::run), first in the program for frames that cross the host, where there is one.
    fn run_across(&mut self, hook: Hook, frame: &[u8], on: u32, tick: u32) -> anyhow::Result<Outcome> {
        let program = match hook {
            Hook::PortIn => Some(names::CROSS_PROGRAMS[0]),
            Hook::UplinkIn => Some(names::CROSS_PROGRAMS[1]),
            _ => None,
        };
        if let Some(name) = program {
            let mut became = vec![0; frame.len() + 64];
            xdp(&mut self.object, name)?;
            self.set_clock(tick)?;
            let before = maps::counts(&self.object)?;
            let options = TestRunOptions {
                data_in: Some(frame),
                data_out: Some(&mut became),
                ..TestRunOptions::default()
            };
            let result =
                xdp(&mut self.object, name)?.test_run(options).context("the program does not run")?;
            became.truncate(result.data_size_out as usize);
            if result.return_value != XDP_PASS {
                ensure!(result.return_value == XDP_REDIRECT, "{name} gave action {}", result.return_value);
                let after = maps::counts(&self.object)?;
                let verdict = state::verdict_between(&before, &after, hook, frame.len())?;
                return Ok(Outcome { verdict, answered: false, frame: became });
            }
            ensure!(became == frame, "{name} changed a frame that did not cross");
        }
        self.place = Place::Tc;
        let outcome = self.run(hook, frame, on, tick);
        self.place = Place::Across;
        outcome
    }

    /// Runs the program that sweeps over all slots; how many flows it took away.
    ///
    /// # Errors
    /// When the kernel refuses to.
    pub fn sweep(&mut self, tick: u32) -> anyhow::Result<u32> {
        // Loaded before the clock is set: the verifier takes its time.
        classifier(&mut self.object, names::SWEEP_PROGRAM)?;
        let order = Order { first: 0, count: maps::used_slots(&self.object)? }.frame();
        let options = TestRunOptions { data_in: Some(&order), ..TestRunOptions::default() };
        self.set_clock(tick)?;
        let result = classifier(&mut self.object, names::SWEEP_PROGRAM)?.test_run(options)?;
        let swept = Swept::returned(result.return_value);
        Ok(swept.with_context(|| format!("{} did not know its order", names::SWEEP_PROGRAM))?.ended())
    }

    /// Says that the agent has swept at this tick and come upon nothing.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn tend(&mut self, tick: u32) -> anyhow::Result<()> {
        maps::set_swept(&mut self.object, tick)
    }

    /// A user ends every flow.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn end_flows(&mut self) -> anyhow::Result<()> {
        maps::change_live(&mut self.object, |flow| flow.head.life = life::DOOMED)
    }

    /// Everything that can be compared.
    ///
    /// # Errors
    /// When a map cannot be read, or the table is not whole.
    pub fn state(&self) -> anyhow::Result<State> {
        maps::state(&self.object, &self.rules).with_context(|| format!("in {:?}", self.place))
    }

    /// Has the verifier look at a hook's program, unless it has.
    fn verify(&mut self, hook: Hook) -> anyhow::Result<()> {
        match self.place {
            Place::Tc | Place::Across => {
                classifier(&mut self.object, names::TC_PROGRAMS[hook as usize]).map(drop)
            }
            Place::Xdp => xdp(&mut self.object, names::XDP_PROGRAMS[hook as usize]).map(drop),
        }
    }

    /// Has the datapath's clock show this tick, and not the next one for a while: the kernel's own cannot be
    /// stopped, but what the settings add to it can be chosen.
    fn set_clock(&mut self, tick: u32) -> anyhow::Result<()> {
        let now = loop {
            let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE)?).as_nanos() as u64;
            let left = (1 << clock::SHIFT) - now % (1 << clock::SHIFT);
            if left >= MARGIN {
                break now;
            }
            thread::sleep(Duration::from_nanos(left));
        };
        let clock_offset = tick.wrapping_sub(clock::tick(now, 0));
        maps::set_config(&mut self.object, Config { clock_offset, ..self.rules.config })?;
        maps::forget_the_time(&mut self.object)
    }
}

/// A program for skbs; it goes through the verifier when it is first needed.
fn classifier<'a>(object: &'a mut Ebpf, name: &str) -> anyhow::Result<&'a SchedClassifier> {
    let program = object.program_mut(name).with_context(|| format!("no program {name}"))?;
    let program: &mut SchedClassifier = program.try_into()?;
    if program.fd().is_err() {
        program.load().with_context(|| format!("{name} is refused"))?;
    }
    Ok(program)
}

/// A program for frames that are no skbs, likewise.
fn xdp<'a>(object: &'a mut Ebpf, name: &str) -> anyhow::Result<&'a Xdp> {
    let program = object.program_mut(name).with_context(|| format!("no program {name}"))?;
    let program: &mut Xdp = program.try_into()?;
    if program.fd().is_err() {
        program.load().with_context(|| format!("{name} is refused"))?;
    }
    Ok(program)
}
