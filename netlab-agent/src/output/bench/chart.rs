//! The report as one page that stands alone: a bar for each variant of each series, with the spread of its rounds.

use std::fmt::Write as _;

use super::{amount, factor, interval};
use crate::bench::report::{Cell, Report, Row};
use crate::bench::targets::Result;

const STYLE: &str = "body{font:15px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}\
    h1{font-size:1.5rem}h2{font-size:1.05rem;margin:1.8rem 0 .3rem}svg{width:100%;height:auto}\
    text{font:12px sans-serif;fill:#222}table{border-collapse:collapse}td,th{padding:.1rem .8rem .1rem 0;text-align:left}\
    .met{color:#176b2c}.missed,.bad{color:#a11}.none{color:#777}";

/// The page.
pub fn page(report: &Report) -> String {
    let mut text = String::from("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
    let _ = writeln!(text, "<title>netlab bench</title><style>{STYLE}</style></head><body>");
    text.push_str("<h1>netlab bench</h1>\n");
    let machine = &report.machine;
    let _ = writeln!(
        text,
        "<p>netlab {}, Linux {}, {} CPUs of {}, seed {}.</p>",
        report.version,
        escape(&machine.kernel),
        machine.cpus,
        escape(&machine.processor),
        report.seed
    );
    if !report.valid {
        text.push_str(
            "<p class=\"bad\"><strong>Not valid: nothing can be concluded from this run.</strong></p><ul>",
        );
        for problem in &report.problems {
            let _ = write!(text, "<li>{}</li>", escape(problem));
        }
        text.push_str("</ul>\n");
    }
    for row in &report.rows {
        text.push_str(&series(row));
    }
    text.push_str(&targets(report));
    text.push_str("</body></html>\n");
    text
}

fn series(row: &Row) -> String {
    const HEIGHT: usize = 22;
    const LEFT: f64 = 170.0;
    const WIDTH: f64 = 400.0;
    let values = |cell: &Cell| cell.rounds.iter().copied().flatten().collect::<Vec<f64>>();
    let most = row.cells.iter().flat_map(values).fold(0.0, f64::max);
    let better = if row.series.more_is_better { "more is better" } else { "less is better" };
    let mut text = format!("<h2>{} <small>({better})</small></h2>\n", escape(&row.series.title));
    let _ = writeln!(
        text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 800 {}\" role=\"img\">",
        row.cells.len() * HEIGHT + 4
    );
    for (place, cell) in row.cells.iter().enumerate() {
        let top = place * HEIGHT;
        let long = |value: f64| if most > 0.0 { value / most * WIDTH } else { 0.0 };
        let of = values(cell);
        let (least, greatest) =
            (of.iter().copied().fold(f64::INFINITY, f64::min), of.iter().copied().fold(0.0, f64::max));
        let color = if cell.variant.name().starts_with("floor") || cell.variant.name() == "direct" {
            "#bbb"
        } else if cell.variant.title().starts_with("netlab") {
            "#2b7bba"
        } else {
            "#d08a2e"
        };
        let ratio = cell.ratio.as_ref().map(|found| format!(" — × {}", factor(found.median)));
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{LEFT}\" y=\"{}\" width=\"{:.1}\" height=\"14\" fill=\"{color}\"/>\
             <path d=\"M{:.1} {}H{:.1}\" stroke=\"#222\"/>\
             <text x=\"{:.1}\" y=\"{}\">{}{}</text>",
            LEFT - 6.0,
            top + 15,
            escape(cell.variant.title()),
            top + 4,
            long(cell.median),
            LEFT + long(least.min(greatest)),
            top + 11,
            LEFT + long(greatest),
            LEFT + long(greatest) + 6.0,
            top + 15,
            amount(cell.median, row.series.unit),
            ratio.unwrap_or_default()
        );
    }
    text.push_str("</svg>\n");
    text
}

fn targets(report: &Report) -> String {
    let mut text = String::from("<h2>Targets</h2>\n<table><tr><th>target</th><th>goal</th><th>ratio</th>");
    text.push_str("<th>95 %</th><th>result</th></tr>\n");
    for judged in &report.targets {
        let (class, result) = match &judged.result {
            Result::Met => ("met", "met".to_owned()),
            Result::Missed => ("missed", "missed".to_owned()),
            Result::Invalid => ("bad", "A/A off".to_owned()),
            Result::NotMeasured(reason) => ("none", format!("not measured: {reason}")),
        };
        let found = judged.measured.as_ref();
        let _ = writeln!(
            text,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"{class}\">{}</td></tr>",
            escape(judged.what),
            escape(&judged.goal),
            found.map(|found| factor(found.median)).unwrap_or_default(),
            found.map(interval).unwrap_or_default(),
            escape(&result)
        );
    }
    text.push_str("</table>\n");
    text
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
