//! What the rounds gave: one value a series, variant and round, or why there is none. Pure.

use std::collections::BTreeMap;

use super::measure::Series;
use super::variant::Variant;

/// The values of one variant in one series, round by round.
pub type Values = Vec<Option<f64>>;

/// Everything that was measured.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// The series, in the order in which they were announced.
    pub series: Vec<Series>,
    values: BTreeMap<(String, Variant), Values>,
    /// Rounds that do not count, with the reason.
    pub failures: Vec<Failure>,
}

/// A round that does not count.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Failure {
    /// What was measured.
    pub series: String,
    /// In which variant.
    pub variant: Variant,
    /// In which round, from 1.
    pub round: usize,
    /// What was wrong.
    pub what: String,
}

impl Samples {
    /// Names a series before it has values, so that reports have the plan's order and not that of a random round.
    pub fn announce(&mut self, series: &Series) {
        if !self.series.contains(series) {
            self.series.push(series.clone());
        }
    }

    /// Notes a value of a round, counted from 0.
    pub fn add(&mut self, series: &Series, variant: Variant, round: usize, value: f64) {
        self.announce(series);
        let values = self.values.entry((series.id.clone(), variant)).or_default();
        values.resize(values.len().max(round + 1), None);
        values[round] = Some(value);
    }

    /// Notes a round that does not count.
    pub fn fail(&mut self, series: &Series, variant: Variant, round: usize, what: String) {
        self.announce(series);
        self.failures.push(Failure { series: series.id.clone(), variant, round: round + 1, what });
    }

    /// The rounds of a variant; empty if there are none.
    pub fn of(&self, series: &str, variant: Variant) -> &[Option<f64>] {
        self.values.get(&(series.to_owned(), variant)).map_or(&[], Vec::as_slice)
    }

    /// The variants that have values in a series, in the order of tables.
    pub fn variants(&self, series: &str) -> Vec<Variant> {
        Variant::ALL
            .into_iter()
            .filter(|variant| self.of(series, *variant).iter().any(Option::is_some))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::measure::Measure;

    #[test]
    fn a_round_that_failed_leaves_a_gap() {
        let series = Measure::NewOut.series().remove(0);
        let mut samples = Samples::default();
        samples.add(&series, Variant::Tc, 0, 1.0);
        samples.fail(&series, Variant::Tc, 1, "two packets with a wrong port".into());
        samples.add(&series, Variant::Tc, 2, 3.0);
        assert_eq!(samples.of("new_out", Variant::Tc), [Some(1.0), None, Some(3.0)]);
        assert_eq!(samples.of("new_out", Variant::Plain), []);
        assert_eq!(samples.variants("new_out"), [Variant::Tc]);
        assert_eq!(samples.failures[0].round, 2);
    }
}
