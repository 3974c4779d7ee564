//! Time in netlab's programs by themselves: the kernel runs the ones that a lab has pinned on frames that are handed
//! to it, one frame a run, and says how long each run took.
//!
//! In a longer run each frame would meet what the last run made of it, so there are many runs of one frame each. What
//! a run costs by itself is known from a program that does nothing, and is taken off.

use aya::programs::SchedClassifier;
use aya::{TestRun as _, TestRunOptions};
use netlab_common::abi::hook::Hook;
use netlab_common::abi::names::TC_PROGRAMS;

use super::bed::Bed;
use super::error::{BenchError, Result};
use super::frames::{Course, Stream};
use super::object::index;
use super::packets::{Outcome, Tools};
use super::stats::median;
use super::text::mac;
use super::variant::Made;
use crate::datapath::bpffs;

/// Runs of one frame each.
const RUNS: u16 = 4_000;
/// Bytes of the context that a TC program is run with, and where in it the two interfaces stand: those of
/// `struct __sk_buff`.
const CONTEXT: usize = 192;
const ARRIVED: usize = 36;
const INTERFACE: usize = 40;

/// Seconds a run: earth's packet of a known flow where it enters the host, and where it leaves; and of a new flow
/// where it leaves.
///
/// # Errors
/// When a program cannot be run.
pub fn times(tools: &Tools<'_>, bed: &Bed) -> Result<Outcome> {
    let (Made::Netlab(_), Some(host)) = (bed.spec.variant.made(), &bed.host) else {
        return Ok(Err("netlab is not there".into()));
    };
    bed.flush()?;
    let (port, uplink) = (index(host, "earth-br-veth")?, index(host, "eth0")?);
    // The stack sees there what comes in by the port.
    let bridge = index(host, "planet-br")?;
    let pinned = |hook: Hook| {
        let path = bpffs::program(&bed.names.lab, TC_PROGRAMS[hook as usize]);
        SchedClassifier::from_pin(path).map_err(BenchError::program(TC_PROGRAMS[hook as usize]))
    };
    let (enters, leaves) = (pinned(Hook::PortIn)?, pinned(Hook::UplinkOut)?);
    let known = |_| 0;
    let each = |run| run;
    host.enter(|| -> Result<Outcome> {
        let empty = time(tools.object.empty()?, port, 0, known)?;
        let first = time(&leaves, uplink, bridge, known)?;
        let second = time(&enters, port, 0, known)?;
        let new = time(&leaves, uplink, bridge, each)?;
        Ok(Ok([second, first, new].map(|time| (time - empty).max(0.0)).into()))
    })?
}

/// The median time of a run in seconds; `flow` numbers the flow of each run.
fn time(program: &SchedClassifier, interface: u32, arrived: u32, flow: impl Fn(u16) -> u16) -> Result<f64> {
    let stream = Stream { course: Course::Out, bytes: 64, flows: 1, next: mac::BRIDGE };
    let mut context = [0u8; CONTEXT];
    context[ARRIVED..ARRIVED + 4].copy_from_slice(&arrived.to_ne_bytes());
    context[INTERFACE..INTERFACE + 4].copy_from_slice(&interface.to_ne_bytes());
    let mut times = Vec::with_capacity(RUNS.into());
    for run in 0..RUNS {
        let frame = stream.whole(flow(run));
        let mut options = TestRunOptions::new();
        options.data_in = Some(&frame);
        options.ctx_in = Some(&context);
        let ran = program.test_run(options).map_err(BenchError::program("of netlab"))?;
        times.push(ran.duration.as_secs_f64());
    }
    Ok(median(&times).unwrap_or(0.0))
}
