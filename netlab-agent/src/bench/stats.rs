//! Medians of ratios with their confidence, and whether the A/A control is in order. Pure.
//!
//! A ratio is taken within a round, where both sides met the same machine, and never between medians of rounds.

use serde::Serialize;

use super::dice::Dice;

/// How often the rounds are drawn anew for an interval.
const DRAWS: usize = 2000;
/// How far the A/A control's median may be off.
const TOLERANCE: f64 = 0.05;

/// A median with the interval that holds it at a confidence of 95 %, or of what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The median.
    pub median: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
    /// How many rounds it is made of.
    pub rounds: usize,
}

/// The median; `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// The value below which a share of the sorted values lies; `None` of nothing.
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    Some(sorted[((last as f64 * share).round() as usize).min(last)])
}

/// The median with its interval, by drawing rounds anew with repetition (a percentile bootstrap).
pub fn estimate(values: &[f64], confidence: f64, dice: &mut Dice) -> Option<Estimate> {
    let middle = median(values)?;
    let mut medians: Vec<f64> = (0..DRAWS)
        .filter_map(|_| {
            let drawn: Vec<f64> = values.iter().map(|_| values[dice.below(values.len())]).collect();
            median(&drawn)
        })
        .collect();
    medians.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    Some(Estimate {
        median: middle,
        low: quantile(&medians, tail)?,
        high: quantile(&medians, 1.0 - tail)?,
        rounds: values.len(),
    })
}

/// The ratios of the rounds in which both sides have a value.
pub fn ratios(above: &[Option<f64>], below: &[Option<f64>]) -> Vec<f64> {
    let both = above.iter().zip(below).filter_map(|(above, below)| Some(((*above)?, (*below)?)));
    both.filter(|(_, below)| *below > 0.0).map(|(above, below)| above / below).collect()
}

/// The same after a cost that both sides share was taken off both: values are rates, and so is the shared one. A round
/// in which nothing is left of a side says nothing, and is left out.
pub fn ratios_without(above: &[Option<f64>], below: &[Option<f64>], shared: &[Option<f64>]) -> Vec<f64> {
    let all = above.iter().zip(below).zip(shared);
    all.filter_map(|((above, below), shared)| {
        let (above, below, shared) = ((*above)?, (*below)?, (*shared)?);
        let (own_above, own_below) = (1.0 / above - 1.0 / shared, 1.0 / below - 1.0 / shared);
        (own_above > 0.0 && own_below > 0.0).then_some(own_below / own_above)
    })
    .collect()
}

/// Whether two runs of the same thing came out the same. The interval is wider the more controls a run has, so that
/// one good run in twenty is thrown away and not one in two (Bonferroni). Of too few rounds no interval is as wide as that;
/// then the median alone decides.
pub fn same(ratios: &[f64], controls: usize, dice: &mut Dice) -> Option<(Estimate, bool)> {
    let chance = chance(controls);
    let found = estimate(ratios, 1.0 - chance, dice)?;
    let near = (found.median - 1.0).abs() <= TOLERANCE;
    let holds = found.low <= 1.0 && found.high >= 1.0;
    Some((found, near && (holds || found.rounds < rounds_for(chance))))
}

/// The chance at which each of so many controls may be off without a reason.
fn chance(controls: usize) -> f64 {
    0.05 / controls.max(1) as f64
}

/// How many rounds an interval needs that misses its median by such a chance. The widest one is from the least to the
/// largest of the rounds, and misses it when all are on one side of it, as so many coins that fall alike.
fn rounds_for(chance: f64) -> usize {
    (1.0 + (1.0 / chance).log2()).ceil() as usize
}

/// How many rounds each of so many controls needs.
#[cfg(test)]
pub fn rounds_of(controls: usize) -> usize {
    rounds_for(chance(controls))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(values: &[f64]) -> Vec<Option<f64>> {
        values.iter().copied().map(Some).collect()
    }

    #[test]
    fn a_median_is_the_middle_one_or_between_the_two() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn an_interval_holds_its_median_and_lies_within_the_values() {
        for seed in 0..50 {
            let mut dice = Dice::new(seed);
            let values: Vec<f64> =
                (0..=dice.below(12)).map(|_| 0.5 + dice.below(1000) as f64 / 500.0).collect();
            let found = estimate(&values, 0.95, &mut dice).expect("there are values");
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let most = values.iter().copied().fold(0.0, f64::max);
            assert!(least <= found.low && found.low <= found.median, "{values:?} {found:?}");
            assert!(found.median <= found.high && found.high <= most, "{values:?} {found:?}");
        }
    }

    #[test]
    fn ten_times_as_noisy_is_an_interval_as_wide_or_wider() {
        let calm = [0.99, 1.0, 1.01, 1.0, 1.02, 0.98, 1.0, 1.01];
        let wild: Vec<f64> = calm.iter().map(|value| 1.0 + (value - 1.0) * 10.0).collect();
        let width = |values: &[f64]| {
            let found = estimate(values, 0.95, &mut Dice::new(1)).expect("there are values");
            found.high - found.low
        };
        assert!(width(&wild) > width(&calm));
    }

    #[test]
    fn a_round_without_one_side_is_left_out() {
        assert_eq!(ratios(&[Some(4.0), None, Some(9.0)], &[Some(2.0), Some(2.0), Some(3.0)]), [2.0, 3.0]);
        assert_eq!(ratios(&some(&[1.0]), &some(&[0.0])), [0.0; 0]);
    }

    #[test]
    fn a_shared_cost_is_taken_off_both_sides() {
        // 100 ns and 500 ns, of which 50 ns are the generator's and the sink's: 450 / 50.
        let found = ratios_without(&some(&[10e6]), &some(&[2e6]), &some(&[20e6]));
        assert!((found[0] - 9.0).abs() < 1e-9, "{found:?}");
        assert_eq!(ratios_without(&some(&[30e6]), &some(&[2e6]), &some(&[20e6])), [0.0; 0]);
    }

    #[test]
    fn a_control_that_is_off_is_told() {
        let mut dice = Dice::new(1);
        let (_, good) = same(&[1.01, 0.99, 1.0, 1.02, 0.98], 1, &mut dice).expect("there are values");
        assert!(good);
        let (_, far) = same(&[1.08, 1.07, 1.09, 1.1, 0.9], 1, &mut dice).expect("there are values");
        assert!(!far, "its median is off by eight hundredths");
        let (_, sure) = same(&[1.02, 1.03, 1.02, 1.03, 1.02, 1.03], 1, &mut dice).expect("there are values");
        assert!(!sure, "its interval leaves one out");
        assert_eq!(same(&[], 1, &mut dice), None);
    }

    #[test]
    fn of_few_rounds_that_lie_on_one_side_nothing_is_told() {
        let mut dice = Dice::new(1);
        let above = [1.01, 1.02, 1.03];
        assert!(same(&above, 10, &mut dice).is_some_and(|(_, good)| good), "three coins often fall alike");
        let often: Vec<f64> = above.into_iter().cycle().take(12).collect();
        assert!(same(&often, 10, &mut dice).is_some_and(|(_, good)| !good), "twelve seldom do");
    }

    #[test]
    fn equal_labs_are_seldom_found_unequal_whatever_the_number_of_rounds() {
        const CONTROLS: usize = 10;
        for rounds in [3, 6, 12, 20] {
            let off = (0..200).filter(|seed| {
                let mut dice = Dice::new(*seed);
                let ratios = |dice: &mut Dice| -> Vec<f64> {
                    (0..rounds).map(|_| 0.98 + dice.below(41) as f64 / 1000.0).collect()
                };
                (0..CONTROLS).any(|_| {
                    let ratios = ratios(&mut dice);
                    same(&ratios, CONTROLS, &mut dice).is_none_or(|(_, good)| !good)
                })
            });
            assert!(off.count() < 40, "a fifth of the runs with {rounds} rounds");
        }
    }
}
