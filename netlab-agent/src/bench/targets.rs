//! What netlab is to reach, as data, and whether it does. Pure.

use serde::Serialize;

use super::dice::Dice;
use super::samples::Samples;
use super::stats::{Estimate, estimate, median, ratios, ratios_without};
use super::variant::Variant;

/// A series and a variant.
type Point = (&'static str, Variant);

/// What a ratio must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// As much or more: the lower end of its interval is held against it.
    AtLeast(f64),
    /// As much or less: the upper end is.
    AtMost(f64),
}

/// Of what a ratio is made.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// Of two rates or times.
    Ratio(Point, Point),
    /// Of two rates, after the time of generator and sink was taken off both.
    Without(Point, Point),
    /// Of the rate that netlab reaches when it chooses, and the best of those that can be chosen by hand.
    Chosen(&'static str),
}

/// One target.
#[derive(Clone, Copy, Debug)]
struct Target {
    what: &'static str,
    goal: Goal,
    form: Form,
}

/// Whether a target is met.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Result {
    /// It is, at the end of the interval that counts.
    Met,
    /// It is not.
    Missed,
    /// The A/A control of what it is made of is off.
    Invalid,
    /// It was not measured, and why.
    NotMeasured(String),
}

/// A target with what was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Judged {
    /// What it is about.
    pub what: &'static str,
    /// The goal, such as `>= 7`.
    pub goal: String,
    /// The ratio.
    pub measured: Option<Estimate>,
    /// Whether it is met.
    pub result: Result,
}

/// Rounds without which nothing is said: an interval of one or two says nothing.
const FEWEST: usize = 3;

const P64: &str = "packets_64_1000";

/// All of them, in the order of the report.
fn all() -> Vec<Target> {
    use Goal::{AtLeast, AtMost};
    use Variant::{Auto, FloorTc, FloorXdp, Iptables, NftMap, Plain, Tc, TcNoCounters, Xdp};
    let ratio = |what, goal, above, below| Target { what, goal, form: Form::Ratio(above, below) };
    let user = |what, goal, series, below| ratio(what, goal, (series, Auto), (series, below));
    let without =
        |what, goal, above, below| Target { what, goal, form: Form::Without((P64, above), (P64, below)) };
    let chosen = |what, series| Target { what, goal: AtLeast(0.97), form: Form::Chosen(series) };
    let (last, first) = ("new_in_10000", "new_in_1");
    let (million, thousand) = ("spread_1000000", "spread_1000");
    vec![
        ratio("packets, XDP / iptables", AtLeast(7.0), (P64, Xdp), (P64, Iptables)),
        without("the same without generator, sink", AtLeast(12.0), Xdp, Iptables),
        ratio("packet's cost, XDP / redirect", AtMost(1.4), (P64, FloorXdp), (P64, Xdp)),
        ratio("packet's cost, TC / redirect", AtMost(1.2), (P64, FloorTc), (P64, Tc)),
        ratio("packets, TC / iptables", AtLeast(2.7), (P64, Tc), (P64, Iptables)),
        without("the same without generator, sink", AtLeast(3.2), Tc, Iptables),
        ratio("packets, TC / no NAT", AtLeast(1.9), (P64, Tc), (P64, Plain)),
        user("TCP stream out / iptables", AtLeast(1.2), "stream_out", Iptables),
        user("TCP stream out / no NAT", AtLeast(1.1), "stream_out", Plain),
        user("TCP stream in / iptables", AtLeast(1.2), "stream_in", Iptables),
        user("TCP stream in / no NAT", AtLeast(1.1), "stream_in", Plain),
        user("TCP requests / iptables", AtLeast(1.1), "requests", Iptables),
        user("TCP latency, 99 % / iptables", AtMost(0.9), "requests_p99", Iptables),
        user("TCP connections / iptables", AtLeast(1.3), "connections", Iptables),
        user("TCP connections / no NAT", AtLeast(1.1), "connections", Plain),
        user("new flows out / iptables", AtLeast(2.0), "new_out", Iptables),
        user("new flows, 10k forwards / iptables", AtLeast(80.0), last, Iptables),
        user("new flows, 10k forwards / nft map", AtLeast(1.5), last, NftMap),
        ratio("new flow's cost, 10k forwards / 1", AtMost(1.05), (first, Auto), (last, Auto)),
        ratio("packets, TC, 1M flows / 1k flows", AtLeast(0.6), (million, Tc), (thousand, Tc)),
        ratio("packets, XDP, 1M flows / 1k flows", AtLeast(0.6), (million, Xdp), (thousand, Xdp)),
        ratio("packets, TC / iptables, 1M flows", AtLeast(3.0), (million, Tc), (million, Iptables)),
        ratio("packets, XDP / iptables, 1M flows", AtLeast(3.0), (million, Xdp), (million, Iptables)),
        ratio("memory a flow / nf_conntrack", AtMost(1.0), ("memory", Tc), ("memory", Iptables)),
        ratio("cost of all counters, on / off", AtMost(1.05), (P64, TcNoCounters), (P64, Tc)),
        chosen("auto / best, packets", P64),
        chosen("auto / best, TCP stream out", "stream_out"),
        chosen("auto / best, TCP stream in", "stream_in"),
        chosen("auto / best, TCP requests", "requests"),
        chosen("auto / best, TCP connections", "connections"),
        chosen("auto / best, new flows", "new_out"),
        user("loading 10,000 forwards / nft map", AtMost(1.0), "load_10000", NftMap),
    ]
}

impl Form {
    fn points(self) -> Vec<Point> {
        match self {
            Form::Ratio(above, below) => vec![above, below],
            Form::Without(above, below) => vec![above, below, (P64, Variant::Direct)],
            Form::Chosen(series) => {
                [Variant::Auto, Variant::Tc, Variant::Xdp].map(|one| (series, one)).into()
            }
        }
    }

    fn ratios(self, samples: &Samples) -> Vec<f64> {
        let of = |(series, variant): Point| samples.of(series, variant);
        match self {
            Form::Ratio(above, below) => ratios(of(above), of(below)),
            Form::Without(above, below) => ratios_without(of(above), of(below), of((P64, Variant::Direct))),
            Form::Chosen(series) => {
                // The better one of the whole run: the larger of two numbers of a round is the luckier one as well.
                let middle =
                    |variant| median(&of((series, variant)).iter().copied().flatten().collect::<Vec<f64>>());
                let (Some(tc), Some(xdp)) = (middle(Variant::Tc), middle(Variant::Xdp)) else {
                    return Vec::new();
                };
                let best = if xdp > tc { Variant::Xdp } else { Variant::Tc };
                ratios(of((series, Variant::Auto)), of((series, best)))
            }
        }
    }
}

impl Goal {
    fn is_met(self, found: &Estimate) -> bool {
        match self {
            Goal::AtLeast(least) => found.low >= least,
            Goal::AtMost(most) => found.high <= most,
        }
    }

    fn text(self) -> String {
        match self {
            Goal::AtLeast(least) => format!(">= {least}"),
            Goal::AtMost(most) => format!("<= {most}"),
        }
    }
}

/// Holds all targets against what was measured. `off` are the series whose A/A control is off.
pub fn judge(samples: &Samples, off: &[String], dice: &mut Dice) -> Vec<Judged> {
    let judge = |target: Target| {
        let points = target.form.points();
        let measured = estimate(&target.form.ratios(samples), 0.95, dice);
        let result = match &measured {
            None => Result::NotMeasured("not part of this run".to_owned()),
            Some(found) if found.rounds < FEWEST => Result::NotMeasured("fewer than three rounds".to_owned()),
            Some(_) if points.iter().any(|(series, _)| off.iter().any(|off| off == series)) => {
                Result::Invalid
            }
            Some(found) if target.goal.is_met(found) => Result::Met,
            Some(_) => Result::Missed,
        };
        Judged { what: target.what, goal: target.goal.text(), measured, result }
    };
    all().into_iter().map(judge).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::measure::Measure;
    use crate::bench::plan::{self, Options};
    use crate::bench::variant::Hook;

    fn judged(samples: &Samples, off: &[String], what: &str) -> Judged {
        let all = judge(samples, off, &mut Dice::new(1));
        all.into_iter().find(|judged| judged.what == what).expect("there is such a target")
    }

    fn rates(values: &[(Variant, f64)]) -> Samples {
        let series = Measure::Packets { bytes: 64, flows: 1_000, sink: Hook::Xdp }.series().remove(0);
        let mut samples = Samples::default();
        for round in 0..6 {
            for (variant, value) in values {
                samples.add(&series, *variant, round, value * (1.0 + round as f64 / 1000.0));
            }
        }
        samples
    }

    #[test]
    fn a_target_is_met_missed_invalid_or_not_measured() {
        let samples = rates(&[(Variant::Tc, 1.1e6), (Variant::Iptables, 0.38e6), (Variant::Plain, 0.6e6)]);
        assert_eq!(judged(&samples, &[], "packets, TC / iptables").result, Result::Met);
        assert_eq!(judged(&samples, &[], "packets, TC / no NAT").result, Result::Missed);
        let off = [P64.to_owned()];
        assert_eq!(judged(&samples, &off, "packets, TC / iptables").result, Result::Invalid);
        let not = |why: &str| Result::NotMeasured(why.to_owned());
        assert_eq!(judged(&samples, &[], "packets, XDP / iptables").result, not("not part of this run"));
    }

    #[test]
    fn what_netlab_chooses_is_held_against_the_best_choice_by_hand() {
        let samples = rates(&[(Variant::Auto, 2.0e6), (Variant::Tc, 1.0e6), (Variant::Xdp, 2.5e6)]);
        let found = judged(&samples, &[], "auto / best, packets");
        assert_eq!(found.result, Result::Missed);
        assert!(found.measured.is_some_and(|found| (found.median - 0.8).abs() < 1e-9));
    }

    #[test]
    fn without_both_choices_nobody_knows_the_best() {
        let samples = rates(&[(Variant::Auto, 2.0e6), (Variant::Tc, 1.0e6)]);
        let found = judged(&samples, &[], "auto / best, packets");
        assert_eq!(found.result, Result::NotMeasured("not part of this run".to_owned()));
    }

    #[test]
    fn noise_of_two_equal_choices_does_not_make_a_third_worse_than_both() {
        let series = Measure::NewOut.series().remove(0);
        let mut samples = Samples::default();
        for round in 0..10 {
            // Where one is up, the other is down, and both are as good as the third.
            let off = if round % 2 == 0 { 0.1 } else { -0.1 };
            samples.add(&series, Variant::Tc, round, 1.0 + off);
            samples.add(&series, Variant::Xdp, round, 1.0 - off);
            samples.add(&series, Variant::Auto, round, 1.0);
        }
        let found = judged(&samples, &[], "auto / best, new flows").measured.expect("there are rounds");
        assert!(found.median > 0.99, "{found:?}");
    }

    #[test]
    fn every_target_is_part_of_the_full_run() {
        let groups = plan::groups(&Options::default()).expect("no word is wrong");
        let cells = || groups.iter().flat_map(|group| &group.cells);
        for target in all() {
            for (series, variant) in target.form.points() {
                let is_it = |cell: &&plan::Cell| {
                    cell.spec.variant == variant && cell.measure.series().iter().any(|one| one.id == series)
                };
                assert!(cells().find(is_it).is_some(), "{}: {series} {variant:?}", target.what);
            }
        }
    }
}
