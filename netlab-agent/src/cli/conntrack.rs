//! `netlab conntrack`: the flow table, and ending flows.

use clap::{Args, Subcommand, ValueEnum};
use netlab_common::abi::event::Event;

use super::matching::Matching;
use super::running::find;
use super::{Format, Output, nat, note, print, runtime, stream};
use crate::conntrack::{self, Filter, Kind, View};
use crate::datapath::maps::Maps;
use crate::error::{Failure, Kind as FailureKind, Result};
use crate::lab::Lab;
use crate::output::flows;

/// What to do with the flows.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List them.
    Ls(Listing),
    /// Count them.
    Count {
        /// Count them by what they have in common.
        #[arg(long, value_enum, value_name = "WHAT")]
        by: Option<By>,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        matching: Matching,
    },
    /// End those that match.
    Rm {
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        matching: Matching,
    },
    /// End all.
    Flush(Output),
}

/// Which flows to list, and how.
#[derive(Debug, Args)]
pub struct Listing {
    /// No more than so many.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// How to show the result.
    #[arg(short = 'o', long = "output", value_enum, default_value = "table", value_name = "FORMAT")]
    format: ListFormat,
    #[command(flatten)]
    matching: Matching,
}

/// How flows are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    /// For reading.
    Table,
    /// For programs; stable, with a `schema` field.
    Json,
    /// As `conntrack -L` prints it.
    Conntrack,
}

/// What flows that are counted together have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// The state.
    State,
    /// The rule that made them.
    Rule,
    /// The protocol.
    Proto,
    /// The address of the side that opened them.
    Source,
}

impl By {
    fn name(self) -> &'static str {
        match self {
            By::State => "state",
            By::Rule => "rule",
            By::Proto => "proto",
            By::Source => "source",
        }
    }

    fn kind(self, flow: &View) -> Kind {
        match self {
            By::State => Kind::State(flow.state),
            By::Rule => Kind::Rule(flow.rule),
            By::Proto => Kind::Protocol(flow.protocol),
            By::Source => Kind::Source(flow.original.src),
        }
    }
}

/// Does what the command line says.
pub fn run(lab: Option<&str>, verb: Verb) -> Result<u8> {
    match verb {
        Verb::Ls(listing) => ls(lab, listing),
        Verb::Count { matching, by, output } => count(lab, &matching.into(), by, output.format),
        Verb::Rm { matching, output } => {
            let filter = matching.into();
            if filter == Filter::default() {
                return Err(Failure::new(
                    FailureKind::Usage,
                    "`conntrack rm` is not told which flows to end",
                )
                .hint("`netlab conntrack rm --help` lists what they can be chosen by")
                .hint("`netlab conntrack flush` ends all"));
            }
            end(lab, "rm", &filter, output.format)
        }
        Verb::Flush(output) => end(lab, "flush", &Filter::default(), output.format),
    }
}

fn ls(lab: Option<&str>, listing: Listing) -> Result<u8> {
    let (lab, maps) = open(lab)?;
    let filter = listing.matching.into();
    let flows = matching(maps.as_ref(), &filter)?.take(listing.limit.unwrap_or(usize::MAX));
    match listing.format {
        ListFormat::Table => stream(|out| flows::write_table(out, &lab, flows))?,
        ListFormat::Json => stream(|out| flows::write_json(out, &lab, flows))?,
        ListFormat::Conntrack => {
            let mut shown = None;
            stream(|out| {
                shown = Some(flows::write_conntrack(out, flows)?);
                Ok(())
            })?;
            // Beside the lines, as conntrack does it; to a reader that went away they have no number.
            if let Some(shown) = shown {
                note(&flows::number(shown));
            }
        }
    }
    Ok(0)
}

fn count(lab: Option<&str>, filter: &Filter, by: Option<By>, format: Format) -> Result<u8> {
    let (lab, maps) = open(lab)?;
    let flows = matching(maps.as_ref(), filter)?;
    let Some(by) = by else {
        let number = flows.count() as u64;
        print(&match format {
            Format::Table => format!("{number}\n"),
            Format::Json => flows::count_json(&lab, number, None),
        })?;
        return Ok(0);
    };
    let counts = conntrack::tally(flows, |flow| by.kind(flow));
    print(&match format {
        Format::Table => flows::count_table(&lab, by.name(), &counts),
        Format::Json => flows::count_json(&lab, flows::total(&counts), Some((by.name(), &counts))),
    })?;
    Ok(0)
}

fn end(lab: Option<&str>, verb: &str, filter: &Filter, format: Format) -> Result<u8> {
    let (lab, maps) = open(lab)?;
    let ended = match maps {
        Some(maps) => {
            let ended = conntrack::retire_all(&maps, filter)?;
            maps.add_events(Event::Removed, ended);
            runtime()?.block_on(nat::sweep(&lab.name, &maps))?;
            ended
        }
        None => 0,
    };
    print(&match format {
        Format::Table => format!("{} ended\n", flows::number(ended)),
        Format::Json => flows::ended_json(&lab, verb, ended),
    })?;
    Ok(0)
}

/// The running lab and its maps; a lab without an uplink has none.
fn open(name: Option<&str>) -> Result<(Lab, Option<Maps>)> {
    let lab = find(name)?.lab;
    let maps = lab.host.uplink.as_ref().map(|_| Maps::open(&lab.name)).transpose()?;
    Ok((lab, maps))
}

/// A walk through the flows that match.
fn matching<'a>(
    maps: Option<&'a Maps>,
    filter: &'a Filter,
) -> Result<impl Iterator<Item = View> + Clone + use<'a>> {
    let walk = maps.map(conntrack::walk).transpose()?;
    Ok(walk.into_iter().flatten().filter(|flow| filter.matches(flow)))
}
