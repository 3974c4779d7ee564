//! netlab's NAT is like the kernel's where it does not say why not: random packets and flows through both.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use netlab_tests::attack::{long, size};
use netlab_tests::differential::shown::SHOWN;
use netlab_tests::differential::step::{Step, listing};
use netlab_tests::differential::{Divergence, EXPLAINED, Figures, Kinds, Twins, script, shrink};
use netlab_tests::need::{need_root, say};

/// Steps of one script.
const STEPS: usize = 250;

/// Packets after which both labs are made anew: a private machine does not live for ever.
const PACKETS_OF_A_MACHINE: u64 = 200_000;

/// The seed of the first script: `NETLAB_SEED`, or always the same one, so that the gate does not depend on luck.
/// The long run begins with another one each time.
fn seed() -> u64 {
    let given = std::env::var("NETLAB_SEED").ok().map(|text| text.parse().expect("NETLAB_SEED is a number"));
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    given.unwrap_or_else(|| if long() { now() } else { 1 })
}

/// Plays a script; once more if chance may have made the difference.
fn play(twins: &mut Twins, steps: &[Step], figures: &mut Figures) -> Option<Divergence> {
    let found = twins.play(steps, figures)?;
    if twins.were_unlucky(steps) { twins.play(steps, figures) } else { Some(found) }
}

/// Fails with the shortest script that shows a difference.
fn fail(twins: &mut Twins, seed: u64, steps: &[Step], divergence: Divergence) -> ! {
    let mut last = divergence;
    let short = shrink(steps, 300, |steps| match play(twins, steps, &mut Figures::default()) {
        Some(divergence) => {
            last = divergence;
            true
        }
        None => false,
    });
    panic!("NETLAB_SEED={seed}: the twins differ at {last}\n{}", listing(&short));
}

/// Plays random scripts until so many packets were sent.
fn run(new: fn() -> Twins, wanted: u64) -> Figures {
    let (first, begun) = (seed(), Instant::now());
    let (mut figures, mut twins) = (Figures::default(), new());
    let (mut seed, mut renewed) = (first, 0);
    while figures.packets < wanted {
        if figures.packets - renewed > PACKETS_OF_A_MACHINE {
            twins = new();
            renewed = figures.packets;
        }
        let steps = script(seed, Kinds::ALL, STEPS);
        if let Some(divergence) = play(&mut twins, &steps, &mut figures) {
            fail(&mut twins, seed, &steps[..=divergence.at], divergence);
        }
        seed += 1;
    }
    let seconds = begun.elapsed().as_secs_f32();
    say(&format!("differential: seeds {first}..{seed}, {seconds:.1} s, {}", told(&figures)));
    figures
}

/// The figures, on a few lines.
fn told(figures: &Figures) -> String {
    let Figures { packets, outputs, talks, renamed, explained } = figures;
    let reasons =
        EXPLAINED.iter().zip(explained).map(|(reason, count)| format!("\n  {:<27}{count}", reason.name));
    let reasons: String = reasons.collect();
    format!("{packets} packets, {outputs} frames compared, {talks} talks, {renamed} ports chosen{reasons}")
}

#[test]
fn random_packets_come_out_of_netlab_as_out_of_netfilter_or_the_difference_has_a_name() {
    if need_root() {
        run(Twins::new, size(10_000, 1_000_000).into());
    }
}

#[test]
fn netfilter_beside_itself_shows_no_difference() {
    if need_root() {
        let figures = run(Twins::alike, size(3_000, 50_000).into());
        assert_eq!(figures.explained.iter().sum::<u64>(), 0, "what differs here is made by the test");
    }
}

#[test]
fn each_difference_has_a_script_that_shows_it() {
    if !need_root() {
        return;
    }
    let shown: Vec<_> = SHOWN.iter().map(|(name, _)| *name).collect();
    assert_eq!(shown, EXPLAINED.each_ref().map(|difference| difference.name));
    let mut twins = Twins::new();
    for (number, (name, steps)) in SHOWN.iter().enumerate() {
        let mut figures = Figures::default();
        let unexplained = twins.play(steps, &mut figures);
        assert!(unexplained.is_none(), "{name}: {}", unexplained.expect("there is one"));
        assert!(figures.explained[number] > 0, "{name} does not occur: {}", told(&figures));
    }
}

/// All differences of some scripts at a glance: for whoever changes the datapath, or the list of explanations.
#[test]
#[ignore = "a tool: it shows differences and does not judge them"]
fn survey_of_what_has_no_name() {
    if !need_root() {
        return;
    }
    let (first, mut twins, mut figures) = (seed(), Twins::new(), Figures::default());
    let mut found: BTreeMap<String, (u32, String)> = BTreeMap::new();
    for seed in first..first + u64::from(size(40, 400)) {
        twins.survey(&script(seed, Kinds::ALL, STEPS), &mut figures, |divergence| {
            let example = format!("seed {seed}, {divergence}");
            found.entry(divergence.kind()).or_insert((0, example)).0 += 1;
            true
        });
    }
    for (kind, (count, example)) in found {
        say(&format!("{count:6} {kind}\n{example}"));
    }
    say(&told(&figures));
}
