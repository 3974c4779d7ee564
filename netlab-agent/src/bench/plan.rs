//! What is measured, in which lab, how often and in which order. Pure: from the user's options to a list.

use super::dice::Dice;
use super::error::{BenchError, Result};
use super::measure::{Measure, Way};
use super::variant::{Hook, Variant};

/// What the user asks for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The short run.
    pub quick: bool,
    /// Words of groups and variants; empty is all.
    pub only: Vec<String>,
    /// How many rounds each group has, in place of its own number.
    pub rounds: Option<usize>,
    /// What the order of rounds is drawn from.
    pub seed: u64,
}

/// A lab of the bench: the variant and what it needs room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spec {
    /// What stands between earth and the world.
    pub variant: Variant,
    /// Port forwards to earth.
    pub forwards: u32,
    /// Flows that netlab's table has room for.
    pub flows: u32,
}

/// One measurement in one lab.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// The lab.
    pub spec: Spec,
    /// What is measured.
    pub measure: Measure,
}

/// Measurements whose rounds are interleaved: in each round all of them, in random order.
#[derive(Clone, Debug)]
pub struct Group {
    /// The word by which it is chosen.
    pub word: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// How often.
    pub rounds: usize,
    /// How long one measurement counts.
    pub seconds: f64,
    /// The measurements.
    pub cells: Vec<Cell>,
}

/// The groups' words.
pub const WORDS: [&str; 8] =
    ["packets", "newflows", "tcp", "memory", "programs", "flows", "rules", "loading"];

/// All variants that do what a user needs, each once, and the control.
const WHOLE: [Variant; 7] = [
    Variant::Plain,
    Variant::Iptables,
    Variant::IptablesAgain,
    Variant::NftRule,
    Variant::Tc,
    Variant::Xdp,
    Variant::Auto,
];

/// Room for flows: each packet may make one. The same in most groups, so that their labs can stay up.
const MANY: u32 = 262_144;
/// How long a burst of new flows takes, which is not chosen but counted.
const BURST: f64 = 0.5;
/// Room for a million.
const MILLION: u32 = 1_200_000;

/// All groups that the options choose.
///
/// # Errors
/// When a word chooses nothing.
pub fn groups(options: &Options) -> Result<Vec<Group>> {
    let is_variant = |word: &str| Variant::ALL.iter().any(|variant| variant.name() == word);
    if let Some(word) = options.only.iter().find(|word| !WORDS.contains(&word.as_str()) && !is_variant(word))
    {
        return Err(BenchError::NoSuch { word: word.clone() });
    }
    let (variants, words): (Vec<&String>, Vec<&String>) =
        options.only.iter().partition(|word| is_variant(word));
    let mut groups = all(options.quick);
    groups.retain(|group| words.is_empty() || words.iter().any(|word| *word == group.word));
    for group in &mut groups {
        group.rounds = options.rounds.unwrap_or(group.rounds);
        let chosen = |cell: &Cell| variants.iter().any(|word| *word == cell.spec.variant.name());
        group.cells.retain(|cell| variants.is_empty() || chosen(cell));
    }
    groups.retain(|group| !group.cells.is_empty());
    Ok(groups)
}

/// The order of one round's cells: one measurement after another, and of each all variants, both at random. Variants that
/// are divided by each other then lie within seconds, and a machine changes faster than a round goes by.
pub fn order(cells: &[Cell], dice: &mut Dice) -> Vec<usize> {
    let mut blocks: Vec<Vec<usize>> = Vec::new();
    for (index, cell) in cells.iter().enumerate() {
        let same = |block: &&mut Vec<usize>| cells[block[0]].measure == cell.measure;
        match blocks.iter_mut().find(same) {
            Some(block) => block.push(index),
            None => blocks.push(vec![index]),
        }
    }
    dice.shuffle(&mut blocks);
    blocks.iter_mut().for_each(|block| dice.shuffle(block));
    blocks.concat()
}

/// About how long the groups take, in seconds.
pub fn duration(groups: &[Group]) -> f64 {
    /// What a lab costs to come up and go.
    const LAB: f64 = 0.7;
    let mut before: Vec<Spec> = Vec::new();
    let mut sum = 0.0;
    for group in groups {
        let labs = specs(group);
        // Labs that the group before had, too, stay up.
        sum += labs.iter().filter(|lab| !before.contains(lab)).count() as f64 * LAB;
        let round: f64 = group.cells.iter().map(|cell| group.seconds + around(cell.measure)).sum();
        sum += group.rounds as f64 * round;
        before = labs;
    }
    sum
}

/// What a measurement costs beside the time that it counts, in seconds: empty tables, sinks, first packets.
fn around(measure: Measure) -> f64 {
    match measure {
        Measure::Spread { flows } => 0.5 + f64::from(flows) / 150_000.0,
        Measure::NewOut | Measure::NewIn { .. } | Measure::Miss { .. } => 0.8,
        Measure::Memory => 2.0,
        Measure::Load { .. } => 0.0,
        // The time in which the way gets warm.
        Measure::Packets { .. } => 0.35,
        _ => 0.25,
    }
}

/// The labs that a group needs, each once.
pub fn specs(group: &Group) -> Vec<Spec> {
    let mut specs: Vec<Spec> = group.cells.iter().map(|cell| cell.spec).collect();
    specs.sort_unstable();
    specs.dedup();
    specs
}

fn all(quick: bool) -> Vec<Group> {
    use Variant::{Auto, Direct, FloorTc, FloorXdp, Iptables, IptablesAgain, NftMap, Plain, Tc, Xdp};
    let many = |variant| Spec { variant, forwards: 0, flows: MANY };
    let each = |variants: &[Variant], spec: &dyn Fn(Variant) -> Spec, measure: Measure| -> Vec<Cell> {
        variants.iter().map(|variant| Cell { spec: spec(*variant), measure }).collect()
    };
    let rounds = |short, long| if quick { short } else { long };
    let seconds = |short, long| if quick { short } else { long };
    let packets = |bytes, flows, sink| Measure::Packets { bytes, flows, sink };

    let mut sending = each(&Variant::ALL, &many, packets(64, 1_000, Hook::Xdp));
    sending.retain(|cell| cell.spec.variant != NftMap);
    if !quick {
        let own = [Plain, Iptables, IptablesAgain, Tc, Xdp, FloorTc, FloorXdp];
        sending.extend(each(&own, &many, packets(64, 1_000, Hook::Tc)));
        sending.extend(each(&WHOLE, &many, packets(1_400, 1_000, Hook::Xdp)));
    }
    let sockets: &[Variant] = if quick { &[Plain, Iptables, IptablesAgain, Tc, Xdp, Auto] } else { &WHOLE };
    let tcp = [Measure::Stream(Way::Out), Measure::Stream(Way::In), Measure::Requests, Measure::Connections];
    let opening: &[Variant] = if quick { &[Iptables, IptablesAgain, Tc, Xdp, Auto] } else { &WHOLE };
    let mut talking: Vec<Cell> = tcp.iter().flat_map(|measure| each(sockets, &many, *measure)).collect();
    if !quick {
        // What the two ends cost by themselves.
        talking.extend(tcp.iter().flat_map(|measure| each(&[Direct], &many, *measure)));
    }
    let opening = each(opening, &many, Measure::NewOut);
    // What sockets send comes last of the three: `auto` takes its time to see that something else comes.
    let mut groups = vec![
        group("packets", "packets per second", rounds(3, 16), 0.3, sending),
        group("newflows", "new flows per second", rounds(3, 14), BURST, opening),
        group("tcp", "TCP", rounds(3, 17), seconds(0.3, 0.4), talking),
    ];
    groups.push(group("memory", "memory", 3, 1.0, each(&[Iptables, Tc], &many, Measure::Memory)));
    let programs = each(&[Tc], &many, Measure::Programs);
    groups.push(group("programs", "time in programs", rounds(3, 10), 0.2, programs));
    groups.extend(if quick { vec![] } else { thorough() });
    groups
}

/// What only a full run has.
fn thorough() -> Vec<Group> {
    use Variant::{Auto, Iptables, IptablesAgain, NftMap, NftRule, Tc, Xdp};
    let mut flows = Vec::new();
    for count in [1, 1_000, 10_000, 100_000, 1_000_000] {
        for variant in [Iptables, IptablesAgain, Tc, Xdp] {
            let spec = Spec { variant, forwards: 0, flows: MILLION };
            let measure = Measure::Spread { flows: count };
            flows.push(Cell { spec, measure });
        }
    }
    let mut rules = Vec::new();
    for forwards in [1, 100, 1_000, 10_000] {
        for variant in [Iptables, IptablesAgain, NftRule, NftMap, Auto] {
            let spec = Spec { variant, forwards, flows: MANY };
            rules.push(Cell { spec, measure: Measure::NewIn { forwards } });
            if variant != IptablesAgain {
                rules.push(Cell { spec, measure: Measure::Miss { forwards } });
            }
        }
    }
    let loading = [Iptables, NftRule, NftMap, Auto].map(|variant| {
        let spec = Spec { variant, forwards: 10_000, flows: MANY };
        Cell { spec, measure: Measure::Load { forwards: 10_000 } }
    });
    vec![
        group("flows", "packets per second by flows", 10, 0.4, flows),
        group("rules", "new flows per second by forwards", 10, BURST, rules),
        group("loading", "loading 10,000 forwards", 12, 0.3, loading.to_vec()),
    ]
}

fn group(word: &'static str, title: &'static str, rounds: usize, seconds: f64, cells: Vec<Cell>) -> Group {
    Group { word, title, rounds, seconds, cells }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::stats::rounds_of;

    fn chosen(quick: bool, only: &[&str]) -> Vec<Group> {
        let only = only.iter().map(|word| (*word).to_owned()).collect();
        groups(&Options { quick, only, ..Options::default() }).expect("the words are right")
    }

    #[test]
    fn every_word_chooses_its_group() {
        let mut words: Vec<&str> = chosen(false, &[]).iter().map(|group| group.word).collect();
        words.sort_unstable();
        let mut wanted = WORDS;
        wanted.sort_unstable();
        assert_eq!(words, wanted);
        for word in WORDS {
            assert_eq!(chosen(false, &[word]).len(), 1, "{word}");
        }
    }

    #[test]
    fn words_choose_variants_too_and_unknown_ones_are_told() {
        let found = chosen(true, &["packets", "iptables", "plain"]);
        let variants: Vec<_> = found[0].cells.iter().map(|cell| cell.spec.variant).collect();
        assert_eq!(variants, [Variant::Plain, Variant::Iptables]);
        let only = vec!["pakets".to_owned()];
        assert!(groups(&Options { only, ..Options::default() }).is_err());
    }

    #[test]
    fn a_quick_run_is_short_and_a_full_one_bounded() {
        assert!(duration(&chosen(true, &[])) < 120.0, "{}", duration(&chosen(true, &[])));
        assert!(duration(&chosen(false, &[])) < 1800.0, "{}", duration(&chosen(false, &[])));
    }

    #[test]
    fn whatever_is_compared_by_rounds_has_its_control() {
        for group in chosen(false, &["packets", "flows", "tcp", "newflows", "rules"]) {
            for cell in group.cells.iter().filter(|cell| cell.spec.variant == Variant::Iptables) {
                let control = |other: &&Cell| {
                    other.measure == cell.measure && other.spec.variant == Variant::IptablesAgain
                };
                let has = group.cells.iter().find(control).is_some();
                assert!(has || matches!(cell.measure, Measure::Miss { .. }), "{:?}", cell.measure);
            }
        }
    }

    #[test]
    fn a_full_run_has_as_many_rounds_as_its_controls_need() {
        let groups = chosen(false, &[]);
        let controls = |group: &Group| {
            let again = group.cells.iter().filter(|cell| cell.spec.variant == Variant::IptablesAgain);
            again.map(|cell| cell.measure.series().len()).sum::<usize>()
        };
        let needed = rounds_of(groups.iter().map(controls).sum());
        for group in groups.iter().filter(|group| controls(group) > 0) {
            assert!(group.rounds >= needed, "{}: {} rounds of {needed}", group.word, group.rounds);
        }
    }

    #[test]
    fn an_order_has_every_cell_once_and_what_is_compared_side_by_side() {
        let cells = &chosen(false, &["packets"])[0].cells;
        let mut found = order(cells, &mut Dice::new(3));
        let measures: Vec<Measure> = found.iter().map(|index| cells[*index].measure).collect();
        let changes = measures.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!(changes, 2, "three measurements, each in one piece: {measures:?}");
        assert_ne!(found, order(cells, &mut Dice::new(4)));
        found.sort_unstable();
        assert_eq!(found, (0..cells.len()).collect::<Vec<_>>());
    }
}
