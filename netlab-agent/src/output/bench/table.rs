//! The report for reading.

use std::fmt::Write as _;

use super::{amount, factor, interval};
use crate::bench::report::{Cell, Report, Row};
use crate::bench::targets::{Judged, Result};
use crate::bench::variant::Made;
use crate::output::table as columns;

/// The whole report.
pub fn table(report: &Report) -> String {
    let mut text = String::new();
    for row in &report.rows {
        text.push_str(&series(row));
        text.push('\n');
    }
    if !report.controls.is_empty() {
        text.push_str(&controls(report));
        text.push('\n');
    }
    text.push_str(&targets(&report.targets));
    text.push('\n');
    text.push_str(&ending(report));
    text
}

fn series(row: &Row) -> String {
    let has_share = row.cells.iter().any(|cell| cell.share.is_some());
    let reference = row.reference.map_or("", |variant| variant.title());
    let mut header = vec!["VARIANT", "MEDIAN", "RATIO", "95 %"];
    if has_share {
        header.extend(["WITHOUT", "95 %", "SHARE"]);
    }
    let line = |cell: &Cell| {
        let is_reference = row.reference == Some(cell.variant);
        let ratio = cell.ratio.as_ref();
        let mut line = vec![
            cell.variant.title().to_owned(),
            amount(cell.median, row.series.unit),
            ratio.map_or_else(|| if is_reference { "1" } else { "" }.into(), |found| factor(found.median)),
            ratio.map(interval).unwrap_or_default(),
        ];
        if has_share {
            let without = cell.ratio_without.as_ref();
            line.push(without.map(|found| factor(found.median)).unwrap_or_default());
            line.push(without.map(interval).unwrap_or_default());
            line.push(cell.share.map(|share| format!("{:.0} %", share * 100.0)).unwrap_or_default());
        }
        line
    };
    let numbers = [1, 2, 3, 4, 5, 6];
    let ratio = if reference.is_empty() { String::new() } else { format!(", ratio to {reference}") };
    format!("{}{ratio}\n{}", row.series.title, columns(&header, row.cells.iter().map(line), &numbers))
}

fn controls(report: &Report) -> String {
    let line = |control: &crate::bench::report::Control| {
        vec![
            control.title.clone(),
            format!("{:.3}", control.ratio.median),
            format!("{:.3}..{:.3}", control.ratio.low, control.ratio.high),
            if control.good { "good" } else { "OFF" }.to_owned(),
        ]
    };
    let lines = report.controls.iter().map(line);
    columns(&["A/A CONTROL", "RATIO", "INTERVAL", ""], lines, &[1, 2])
}

fn targets(targets: &[Judged]) -> String {
    let mut reasons: Vec<&str> = Vec::new();
    let lines: Vec<Vec<String>> = targets
        .iter()
        .map(|judged| {
            let found = judged.measured.as_ref();
            vec![
                judged.what.to_owned(),
                judged.goal.clone(),
                found.map(|found| factor(found.median)).unwrap_or_default(),
                found.map(interval).unwrap_or_default(),
                match &judged.result {
                    Result::Met => "met".to_owned(),
                    Result::Missed => "missed".to_owned(),
                    Result::Invalid => "A/A off".to_owned(),
                    Result::NotMeasured(reason) => {
                        let known = reasons.iter().position(|known| known == reason);
                        let place = known.unwrap_or_else(|| {
                            reasons.push(reason);
                            reasons.len() - 1
                        });
                        format!("not measured ({})", place + 1)
                    }
                },
            ]
        })
        .collect();
    let mut text = columns(&["TARGET", "GOAL", "RATIO", "95 %", "RESULT"], lines, &[2, 3]);
    for (place, reason) in reasons.iter().enumerate() {
        let _ = writeln!(text, "({}) {reason}", place + 1);
    }
    text
}

/// The most flows that were asked of a variant whose connections the kernel keeps.
fn most_flows_of_the_kernel(report: &Report) -> Option<u32> {
    let kept = |row: &&Row| row.cells.iter().any(|cell| matches!(cell.variant.made(), Made::Kernel(Some(_))));
    let asked = |row: &Row| row.series.id.strip_prefix("spread_")?.parse().ok();
    report.rows.iter().filter(kept).filter_map(asked).max()
}

fn ending(report: &Report) -> String {
    let machine = &report.machine;
    let mut text = format!(
        "seed {}, {:.0} s, Linux {}, {} CPUs\nstolen by the hypervisor {:.1} %, waited for a CPU {:.1} %\n",
        report.seed,
        report.seconds,
        machine.kernel,
        machine.cpus,
        machine.steal * 100.0,
        machine.waited * 100.0
    );
    let room = machine.room();
    if most_flows_of_the_kernel(report).is_some_and(|asked| asked > room) {
        let _ = writeln!(
            text,
            "the kernel keeps {} connections at the most, so iptables got {room} flows where netlab got more",
            machine.conntrack_max
        );
    }
    for failure in report.failures.iter().take(10) {
        let _ = writeln!(
            text,
            "round {} of {}, {}: {}",
            failure.round,
            failure.series,
            failure.variant.title(),
            failure.what
        );
    }
    if report.valid && report.controls.is_empty() {
        text.push_str("every packet that counts was right; how noisy it was, no A/A control says\n");
    } else if report.valid {
        text.push_str("valid: the A/A controls are good, and every packet that counts was right\n");
    } else {
        text.push_str("NOT VALID: nothing can be concluded from this run\n");
        for problem in &report.problems {
            let _ = writeln!(text, "  {problem}");
        }
    }
    text
}
