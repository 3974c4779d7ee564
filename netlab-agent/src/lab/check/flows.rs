//! `[flows]`: every number within its limits, and the defaults where the file says nothing.

use std::ops::RangeInclusive;

use crate::lab::diagnostic::{Diagnostic, Problems};
use crate::lab::file::FlowsTable;
use crate::lab::text::Spanned;
use crate::lab::{Flows, Timeouts};

/// Below the first a lab could not be used; the tables of the last fill about a gigabyte.
const SIZES: RangeInclusive<u32> = 64..=4_194_304;
/// A port that is kept for an hour is of no use to anybody.
const QUARANTINES: RangeInclusive<u32> = 1..=3600;
/// Up to a year: longer than any lab stands.
const TIMEOUTS: RangeInclusive<u32> = 1..=31_536_000;

/// The checked table; `table` is empty if the file has none.
pub fn flows(table: &FlowsTable, problems: &Problems) -> Flows {
    let default = Flows::default();
    let size = table.size.as_ref().map(|size| {
        let help = "it is the number of flows at one time, in all of the lab";
        problems.note(number("size", size, SIZES, help))
    });
    // After a wrong or misspelt size, what fits into it is not known: only what fits into none is wrong too.
    let (size, room) = match size {
        None if table.sound => (default.size, default.size),
        Some(Some(size)) => (size, size),
        None | Some(None) => (default.size, *SIZES.end()),
    };
    let quarantine = table.quarantine.as_ref().and_then(|seconds| {
        let help = "it is in seconds; a flow that is over keeps its port for so long";
        problems.note(number("quarantine", seconds, QUARANTINES, help))
    });
    Flows {
        size,
        per_source: per_source(table, room, problems).unwrap_or(Flows::share(size)),
        quarantine: quarantine.unwrap_or(default.quarantine),
        pickup: table.pickup.as_ref().map_or(default.pickup, |pickup| pickup.value),
        timeouts: timeouts(table, problems),
    }
}

fn per_source(table: &FlowsTable, room: u32, problems: &Problems) -> Option<u32> {
    let written = table.per_source.as_ref()?;
    let help = "it is the number of flows that one source address may hold, of the `size` for all";
    let checked = number("per_source", written, 1..=room, help);
    problems.note(checked.map_err(|problem| match &table.size {
        Some(size) if size.value == i64::from(room) && written.value > size.value => {
            problem.also(size.span.clone(), "the lab has no more")
        }
        _ => problem,
    }))
}

fn timeouts(table: &FlowsTable, problems: &Problems) -> Timeouts {
    let mut timeouts = Timeouts::default();
    for (key, seconds) in &table.timeouts {
        let place = match *key {
            "tcp_established" => &mut timeouts.tcp_established,
            "tcp_transitory" => &mut timeouts.tcp_transitory,
            "tcp_closed" => &mut timeouts.tcp_closed,
            "tcp_reset" => &mut timeouts.tcp_reset,
            "udp" => &mut timeouts.udp,
            "udp_unreplied" => &mut timeouts.udp_unreplied,
            "icmp" => &mut timeouts.icmp,
            "other" => &mut timeouts.other,
            other => unreachable!("`{other}` is no key of `timeouts`"),
        };
        let help = "it is in seconds, up to a year; such a flow is over when it has been idle for so long";
        if let Some(seconds) = problems.note(number(key, seconds, TIMEOUTS, help)) {
            *place = seconds;
        }
    }
    timeouts
}

fn number(
    key: &str,
    written: &Spanned<i64>,
    limits: RangeInclusive<u32>,
    help: &str,
) -> Result<u32, Diagnostic> {
    match u32::try_from(written.value) {
        Ok(number) if limits.contains(&number) => Ok(number),
        _ => Err(Diagnostic::new(
            format!("`{key}` cannot be {}", written.value),
            written.span.clone(),
            format!("must be from {} to {}", limits.start(), limits.end()),
        )
        .help(help)),
    }
}
