//! A bench's report as text: tables for a terminal of 80 columns, JSON, and a page with a chart.

mod chart;
mod table;

pub use chart::page;
pub use table::table;

use crate::bench::report::Report;
use crate::bench::stats::Estimate;

/// The report for programs.
pub fn json(report: &Report) -> String {
    // A report holds numbers and strings only, which always have a form.
    let text = serde_json::to_string_pretty(report).unwrap_or_default();
    format!("{text}\n")
}

/// A value with its unit, in three figures.
fn amount(value: f64, unit: &str) -> String {
    let scaled = |steps: &[(f64, &str)]| {
        let least = steps[steps.len() - 1];
        let (step, prefix) = steps.iter().copied().find(|(step, _)| value >= *step).unwrap_or(least);
        let scaled = value / step;
        let digits = if scaled >= 100.0 { 0 } else { 2 - usize::from(scaled >= 10.0) };
        format!("{scaled:.digits$} {prefix}")
    };
    match unit {
        "s" => scaled(&[(1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")]),
        "bytes" => format!("{value:.0} B"),
        unit => {
            let short = unit.strip_suffix("/s").map_or(unit, |_| "/s");
            let short = if unit == "bits/s" { "b/s" } else { short };
            let text = scaled(&[(1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")]);
            format!("{}{short}", text.trim_end())
        }
    }
}

/// A ratio in three figures.
fn factor(value: f64) -> String {
    let digits = if value >= 100.0 { 0 } else { 2 - usize::from(value >= 10.0) };
    format!("{value:.digits$}")
}

/// A ratio's interval.
fn interval(found: &Estimate) -> String {
    format!("{}..{}", factor(found.low), factor(found.high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::report::tests::made_up;
    use crate::bench::variant::Variant;

    #[test]
    fn values_have_three_figures_and_a_unit() {
        assert_eq!(amount(1_083_000.0, "packets/s"), "1.08 M/s");
        assert_eq!(amount(380_000.0, "packets/s"), "380 k/s");
        assert_eq!(amount(16.04e9, "bits/s"), "16.0 Gb/s");
        assert_eq!(amount(0.000_031, "s"), "31.0 us");
        assert_eq!(amount(168.4, "bytes"), "168 B");
        assert_eq!(amount(12.0, "flows/s"), "12.0/s");
    }

    #[test]
    fn no_line_of_a_table_is_wider_than_a_terminal() {
        for line in table(&made_up(1.0)).lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }

    #[test]
    fn how_many_flows_the_kernel_has_room_for_is_said_only_where_it_kept_some() {
        let mut report = made_up(1.0);
        report.rows[0].series.id = "spread_1000000".into();
        report.machine.conntrack_max = 262_144;
        assert!(table(&report).contains("so iptables got 245760 flows where netlab got more"));
        report.rows[0].cells.retain(|cell| cell.variant == Variant::Tc);
        assert!(!table(&report).contains("245760"));
    }

    #[test]
    fn the_json_names_its_form_and_keeps_every_round() {
        let value: serde_json::Value = serde_json::from_str(&json(&made_up(1.0))).expect("it is JSON");
        assert_eq!(value["schema"], "netlab.bench/1");
        assert_eq!(value["rows"][0]["id"], "packets_64_1000");
        assert_eq!(value["rows"][0]["cells"][0]["rounds"].as_array().map(Vec::len), Some(8));
        assert_eq!(value["seed"], 7);
    }

    #[test]
    fn a_page_stands_alone() {
        let page = page(&made_up(1.0));
        assert!(page.starts_with("<!doctype html>") && page.contains("<svg"));
        assert!(
            !page.contains("http://") || page.matches("http://").count() == page.matches("xmlns").count()
        );
        assert!(!page.contains("<script"));
    }
}
