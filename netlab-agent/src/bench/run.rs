//! The run: group by group, the labs of a group up together, and in each round all of its measurements in random
//! order.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::bed::Bed;
use super::cpu;
use super::dice::Dice;
use super::error::Result;
use super::frames::Course;
use super::interrupt::Interrupt;
use super::machine::{Account, Machine};
use super::measure::Measure;
use super::object::Object;
use super::owner::Owner;
use super::packets::{self, Outcome, Tools};
use super::plan::{self, Cell, Group, Options, Spec};
use super::report::{self, Circumstances, Report};
use super::samples::Samples;
use super::variant::{Hook, Variant};
use super::{programs, resources, sockets, text};

/// Whoever wants to know how far it is.
pub trait Watch {
    /// A group begins.
    fn group(&self, group: &Group, labs: usize);
    /// A measurement begins.
    fn cell(&self, group: &Group, round: usize, done: usize, cell: &Cell);
    /// A round does not count.
    fn failed(&self, cell: &Cell, round: usize, what: &str);
}

/// Runs everything, and says what came of it.
///
/// # Errors
/// When the bench itself fails, or is interrupted. All of its labs are down then.
pub fn run(options: &Options, watch: &dyn Watch) -> Result<Report> {
    let (begun, before) = (Instant::now(), Account::now());
    let (samples, waited) = measure_all(options, watch)?;
    let steal = Account::now().stolen_since(before);
    let around =
        Circumstances { machine: Machine::look(steal, waited), seconds: begun.elapsed().as_secs_f64() };
    Ok(report::report(options, &samples, around))
}

/// Runs all groups. Gives also how much of its time the generator had to wait for its CPU.
fn measure_all(options: &Options, watch: &dyn Watch) -> Result<(Samples, f64)> {
    let groups = plan::groups(options)?;
    let interrupt = Interrupt::watch()?;
    let owner = Owner::new()?;
    cpu::pin(cpu::other());
    let mut object = Object::load()?;
    let mut dice = Dice::new(options.seed);
    let mut samples = Samples::default();
    let mut number = 0;
    let mut beds: Vec<Bed> = Vec::new();
    for group in &groups {
        group
            .cells
            .iter()
            .flat_map(|cell| cell.measure.series())
            .for_each(|series| samples.announce(&series));
        let specs = plan::specs(group);
        watch.group(group, specs.len());
        // A lab that the group before had, too, stays up.
        let (stay, go) = beds.into_iter().partition(|bed| specs.contains(&bed.spec));
        beds = stay;
        take_down(go);
        for spec in specs {
            interrupt.check()?;
            if bed_of(&beds, spec).is_some() {
                continue;
            }
            number += 1;
            beds.push(Bed::new(&owner, number, spec, &mut object)?);
        }
        for round in 0..group.rounds {
            let order = plan::order(&group.cells, &mut dice);
            for (done, index) in order.into_iter().enumerate() {
                let cell = group.cells[index];
                watch.cell(group, round, done, &cell);
                let mut tools = Tools { object: &mut object, interrupt: &interrupt, seconds: group.seconds };
                let outcome = measure(&owner, &mut tools, &cell, bed_of(&beds, cell.spec))?;
                note(&mut samples, watch, &cell, round, outcome);
            }
        }
    }
    take_down(beds);
    Ok((samples, object.waited()))
}

/// Takes labs down, all at once: most of that is waiting for the kernel.
fn take_down(beds: Vec<Bed>) {
    std::thread::scope(|scope| {
        for bed in beds {
            scope.spawn(|| drop(bed));
        }
    });
}

fn bed_of(beds: &[Bed], spec: Spec) -> Option<&Bed> {
    beds.iter().find(|bed| bed.spec == spec)
}

fn note(samples: &mut Samples, watch: &dyn Watch, cell: &Cell, round: usize, outcome: Outcome) {
    let series = cell.measure.series();
    match outcome {
        Ok(values) => {
            for (series, value) in series.iter().zip(values) {
                samples.add(series, cell.spec.variant, round, value);
            }
        }
        Err(what) => {
            watch.failed(cell, round, &what);
            if let Some(series) = series.first() {
                samples.fail(series, cell.spec.variant, round, what);
            }
        }
    }
}

fn measure(owner: &Owner, tools: &mut Tools<'_>, cell: &Cell, bed: Option<&Bed>) -> Result<Outcome> {
    let Some(bed) = bed else { return Ok(Err("its lab is not up".into())) };
    accustom(owner, tools, cell, bed)?;
    once(owner, tools, cell, bed)
}

/// How long netlab may take to notice that something else is sent: it looks each second at the one before.
const NOTICE: Duration = Duration::from_millis(3_200);

/// Where netlab chooses by what comes, has that come for a while before it is measured.
fn accustom(owner: &Owner, tools: &mut Tools<'_>, cell: &Cell, bed: &Bed) -> Result<()> {
    let traffic = cell.measure.traffic();
    let mut used_to = bed.used_to.lock().unwrap_or_else(PoisonError::into_inner);
    if cell.spec.variant != Variant::Auto || traffic.is_none() || *used_to == traffic {
        return Ok(());
    }
    let begun = Instant::now();
    while begun.elapsed() < NOTICE {
        // What comes of it does not count; what is wrong will be so again.
        let _ = once(owner, tools, cell, bed)?;
    }
    *used_to = traffic;
    Ok(())
}

fn once(owner: &Owner, tools: &mut Tools<'_>, cell: &Cell, bed: &Bed) -> Result<Outcome> {
    match cell.measure {
        Measure::Packets { bytes, flows, sink } => packets::established(tools, bed, bytes, flows, sink),
        Measure::NewOut => packets::opening(tools, bed, Course::Out),
        Measure::NewIn { forwards } => {
            let port = text::FIRST_FORWARD + forwards as u16 - 1;
            packets::opening(tools, bed, Course::In { port })
        }
        Measure::Miss { .. } => packets::missing(tools, bed),
        Measure::Spread { flows } => {
            bed.flush()?;
            packets::established(tools, bed, 64, flows, Hook::Xdp)
        }
        Measure::Stream(way) => sockets::stream(tools, bed, way),
        Measure::Requests => sockets::requests(tools, bed),
        Measure::Connections => sockets::connections(tools, bed),
        Measure::Memory => resources::memory(tools, bed),
        Measure::Load { forwards } => resources::load(owner, bed, forwards),
        Measure::Programs => programs::times(tools, bed),
    }
}
