//! From samples to what can be said: medians, ratios with their confidence, the A/A controls, the targets. Pure.

use serde::Serialize;

use super::dice::Dice;
use super::machine::Machine;
use super::measure::Series;
use super::plan::Options;
use super::samples::{Failure, Samples};
use super::stats::{Estimate, estimate, median, ratios, ratios_without, same};
use super::targets::{self, Judged};
use super::variant::Variant;

/// The name of the JSON's form.
pub const SCHEMA: &str = "netlab.bench/1";

/// Everything that a run has to say.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The form of this.
    pub schema: &'static str,
    /// netlab's version.
    pub version: &'static str,
    /// Whether it was the short run.
    pub quick: bool,
    /// What the order of rounds was drawn from.
    pub seed: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What it ran on.
    pub machine: Machine,
    /// Whether anything may be concluded from it.
    pub valid: bool,
    /// Why not.
    pub problems: Vec<String>,
    /// The series.
    pub rows: Vec<Row>,
    /// The A/A controls.
    pub controls: Vec<Control>,
    /// The targets.
    pub targets: Vec<Judged>,
    /// Rounds that do not count.
    pub failures: Vec<Failure>,
}

/// One series.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What it is.
    #[serde(flatten)]
    pub series: Series,
    /// What the ratios are to.
    pub reference: Option<Variant>,
    /// The variants.
    pub cells: Vec<Cell>,
}

/// One variant in a series.
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    /// The variant.
    pub variant: Variant,
    /// Its values, round by round; none for a round that does not count.
    pub rounds: Vec<Option<f64>>,
    /// Their median.
    pub median: f64,
    /// The ratio to the reference.
    pub ratio: Option<Estimate>,
    /// The same without the time of generator and sink.
    pub ratio_without: Option<Estimate>,
    /// Which part of the time is the generator's and the sink's.
    pub share: Option<f64>,
}

/// An A/A control: the same thing measured twice, as if it were two.
#[derive(Clone, Debug, Serialize)]
pub struct Control {
    /// The series.
    pub series: String,
    /// What it is called.
    pub title: String,
    /// The ratio, which is 1 if the machine is quiet.
    pub ratio: Estimate,
    /// Whether it is near enough.
    pub good: bool,
}

/// How a run went, beside its samples.
#[derive(Clone, Debug)]
pub struct Circumstances {
    /// What it ran on.
    pub machine: Machine,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// Steal above which a run is not valid.
const STEAL: f64 = 0.02;

/// Makes the report.
pub fn report(options: &Options, samples: &Samples, around: Circumstances) -> Report {
    let mut dice = Dice::new(options.seed);
    let rows = samples.series.iter().map(|series| row(samples, series, &mut dice));
    let rows = rows.filter(|row| !row.cells.is_empty()).collect();
    let controls = controls(samples, &mut dice);
    let off: Vec<String> =
        controls.iter().filter(|control| !control.good).map(|control| control.series.clone()).collect();
    let mut problems: Vec<String> = controls
        .iter()
        .filter(|control| !control.good)
        .map(|control| {
            let Estimate { median, low, high, .. } = control.ratio;
            format!("A/A control of {}: {median:.3} ({low:.3} to {high:.3})", control.title)
        })
        .collect();
    if !samples.failures.is_empty() {
        problems.push(format!("{} rounds do not count", samples.failures.len()));
    }
    if around.machine.steal > STEAL {
        problems.push(format!("the hypervisor took {:.0} % of the time away", around.machine.steal * 100.0));
    }
    Report {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        quick: options.quick,
        seed: options.seed,
        seconds: around.seconds,
        machine: around.machine,
        valid: problems.is_empty(),
        problems,
        rows,
        targets: targets::judge(samples, &off, &mut dice),
        controls,
        failures: samples.failures.clone(),
    }
}

fn row(samples: &Samples, series: &Series, dice: &mut Dice) -> Row {
    let variants = samples.variants(&series.id);
    let reference =
        [Variant::Iptables, Variant::Plain].into_iter().find(|variant| variants.contains(variant));
    let base = reference.map_or(&[][..], |reference| samples.of(&series.id, reference));
    // Of what takes less where it is better, the cable's part would be another quotient, and nobody asks for it.
    let direct = if series.more_is_better { samples.of(&series.id, Variant::Direct) } else { &[] };
    let cells = variants
        .into_iter()
        .map(|variant| {
            let rounds = samples.of(&series.id, variant);
            let known: Vec<f64> = rounds.iter().copied().flatten().collect();
            let is_other = reference.is_some_and(|reference| reference != variant);
            let ratio = is_other.then(|| estimate(&ratios(rounds, base), 0.95, dice)).flatten();
            let has_way = is_other && variant != Variant::Direct && !direct.is_empty();
            let without = has_way.then(|| estimate(&ratios_without(rounds, base, direct), 0.95, dice));
            let share = (!direct.is_empty()).then(|| median(&ratios(rounds, direct))).flatten();
            Cell {
                variant,
                rounds: rounds.to_vec(),
                median: median(&known).unwrap_or(0.0),
                ratio,
                ratio_without: without.flatten(),
                share,
            }
        })
        .collect();
    Row { series: series.clone(), reference, cells }
}

fn controls(samples: &Samples, dice: &mut Dice) -> Vec<Control> {
    let pairs: Vec<(&Series, Vec<f64>)> = samples
        .series
        .iter()
        .map(|series| {
            let of = |variant| samples.of(&series.id, variant);
            (series, ratios(of(Variant::IptablesAgain), of(Variant::Iptables)))
        })
        .filter(|(_, ratios)| !ratios.is_empty())
        .collect();
    let count = pairs.len();
    let control = |(series, ratios): (&Series, Vec<f64>)| {
        let (ratio, good) = same(&ratios, count, dice)?;
        Some(Control { series: series.id.clone(), title: series.title.clone(), ratio, good })
    };
    pairs.into_iter().filter_map(control).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::bench::measure::Measure;
    use crate::bench::variant::Hook;

    /// A report of made-up rates; `again` is what the second iptables has of the first one's.
    pub(crate) fn made_up(again: f64) -> Report {
        let series = Measure::Packets { bytes: 64, flows: 1_000, sink: Hook::Xdp }.series().remove(0);
        let mut samples = Samples::default();
        let rates = [
            (Variant::Direct, 6.2e6),
            (Variant::Plain, 0.54e6),
            (Variant::Iptables, 0.38e6),
            (Variant::IptablesAgain, 0.38e6 * again),
            (Variant::Tc, 1.08e6),
        ];
        for round in 0..8 {
            for (place, (variant, rate)) in rates.into_iter().enumerate() {
                let noise = 1.0 + ((round * 7 + place * 3) % 5) as f64 / 500.0;
                samples.add(&series, variant, round, rate * noise);
            }
        }
        let around = Circumstances { machine: Machine::default(), seconds: 61.0 };
        report(&Options { seed: 7, ..Options::default() }, &samples, around)
    }

    #[test]
    fn ratios_are_to_iptables_and_the_share_is_the_cables() {
        let report = made_up(1.0);
        assert!(report.valid, "{:?}", report.problems);
        let cell = report.rows[0].cells.iter().find(|cell| cell.variant == Variant::Tc).expect("it is there");
        let ratio = cell.ratio.expect("there are rounds").median;
        assert!((ratio - 1.08 / 0.38).abs() < 0.05, "{ratio}");
        assert!(cell.ratio_without.expect("the cable was measured").median > ratio);
        assert!((cell.share.expect("the cable was measured") - 1.08 / 6.2).abs() < 0.01);
    }

    #[test]
    fn a_control_that_is_off_makes_the_run_invalid() {
        let report = made_up(1.09);
        assert!(!report.valid);
        assert!(report.problems[0].starts_with("A/A control of 64-byte packets"), "{:?}", report.problems);
        assert!(report.targets.iter().all(|judged| judged.result != targets::Result::Met));
    }
}
