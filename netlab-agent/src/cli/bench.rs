//! `netlab bench`: netlab beside the kernel's own NAT.

use std::fs;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clap::Args;

use super::{Format, note, print};
use crate::bench::plan::{self, Cell, Group};
use crate::bench::targets::Result as Judgement;
use crate::bench::{self, Options as Plan, Watch};
use crate::error::{Failure, Kind, Result};
use crate::output::bench as shown;

/// What to measure, and where to.
#[derive(Debug, Args)]
pub struct Options {
    /// Measure less, in under two minutes.
    #[arg(long)]
    quick: bool,
    /// Only these, parted by commas: `packets`, `tcp`, `newflows`, `flows`, `rules`, `loading`, `memory`,
    /// `programs`, and names of variants such as `iptables` or `xdp`.
    #[arg(long, value_name = "WORDS", value_delimiter = ',')]
    only: Vec<String>,
    /// So many rounds of everything.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: Option<u16>,
    /// What the order of measurements is drawn from; each report names its seed.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Write the report as JSON to a file, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write it as a page with a chart to a file, too.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// End with status 1 if a target is missed, too.
    #[arg(long)]
    gate: bool,
    #[command(flatten)]
    output: super::Output,
}

/// Progress on standard error: on a terminal one line that changes, otherwise a line a round.
struct Progress {
    begun: Instant,
    seconds: f64,
    is_terminal: bool,
}

impl Progress {
    fn clear(&self) {
        if self.is_terminal {
            // Whoever closed standard error does not want to know.
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

impl Watch for Progress {
    fn group(&self, group: &Group, labs: usize) {
        self.clear();
        let rounds = super::count(group.rounds, "round");
        let labs = super::count(labs, "lab");
        note(&format!(
            "{}: {labs}, {rounds} of {}",
            group.title,
            super::count(group.cells.len(), "measurement")
        ));
    }

    fn cell(&self, group: &Group, round: usize, done: usize, cell: &Cell) {
        let elapsed = self.begun.elapsed().as_secs();
        let text = format!(
            "{elapsed:>4} s of about {:.0}  {} round {}/{}",
            self.seconds,
            group.word,
            round + 1,
            group.rounds
        );
        if self.is_terminal {
            let title = cell.spec.variant.title();
            let _ = write!(std::io::stderr(), "\r\x1b[K{text} {}/{} {title}", done + 1, group.cells.len());
        } else if done == 0 {
            note(&text);
        }
    }

    fn failed(&self, cell: &Cell, round: usize, what: &str) {
        self.clear();
        note(&format!("{} in round {}: {what}", cell.spec.variant.title(), round + 1));
    }
}

/// Runs the bench, and shows what came of it.
pub fn bench(options: &Options) -> Result<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let plan = Plan {
        quick: options.quick,
        only: options.only.clone(),
        rounds: options.rounds.map(usize::from),
        seed: options.seed.unwrap_or(now),
    };
    let seconds = plan::duration(&plan::groups(&plan)?);
    let is_terminal = std::io::stderr().is_terminal();
    let progress = Progress { begun: Instant::now(), seconds, is_terminal };
    note(&format!("seed {}, about {seconds:.0} s", plan.seed));
    let ran = bench::run(&plan, &progress);
    progress.clear();
    let report = ran?;
    if let Some(path) = &options.json {
        write(path, &shown::json(&report))?;
    }
    if let Some(path) = &options.html {
        write(path, &shown::page(&report))?;
    }
    print(&match options.output.format {
        Format::Table => shown::table(&report),
        Format::Json => shown::json(&report),
    })?;
    let missed = options.gate && report.targets.iter().any(|judged| judged.result == Judgement::Missed);
    Ok(u8::from(!report.valid || missed))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)
        .map_err(|error| Failure::new(Kind::Failed, format!("cannot write {}: {error}", path.display())))
}
