//! `cargo xtask verifier`: how many instructions the kernel's verifier walks for each program, beside a budget
//! kept in the repository. A program that grows by more than a tenth fails the gate, so that nobody finds out on
//! an older kernel that it has become too large.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::build;
use crate::process::{Cmd, is_root};
use crate::setup::{self, Purpose};
use crate::workspace;

/// The budget, relative to the root.
const BUDGET: &str = "tests/budget.toml";
/// The document with the table, relative to the root.
const DOCUMENT: &str = "docs/verifier.md";
const BEGIN: &str = "<!-- verifier table: written by `cargo xtask verifier --write` -->";
const END: &str = "<!-- end of the verifier table -->";

/// Instructions by program.
type Counts = BTreeMap<String, u64>;

/// Options of `verifier`.
#[derive(Args, Debug)]
pub struct Options {
    /// Fail when a program is more than 10 % over its budget (the default is to print only)
    #[arg(long, conflicts_with = "write")]
    check: bool,
    /// Write what was measured into the budget and the document
    #[arg(long)]
    write: bool,
    #[command(flatten)]
    setup: setup::Options,
}

/// Sets up, builds, measures.
pub fn run(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    let toolchain = setup::ensure(&root, options.setup, Purpose::Build)?;
    build::object(&root, &toolchain)?;
    if options.check {
        return check(&root);
    }
    let measured = measure(&root)?;
    if options.write { write(&root, &measured) } else { report(&measured, &read_budget(&root)?).map(drop) }
}

/// Measures and compares; everything is built but the helper.
pub fn check(root: &Path) -> Result<()> {
    let problems = report(&measure(root)?, &read_budget(root)?)?;
    if problems.is_empty() {
        return Ok(());
    }
    bail!(
        "{}\n  help: make the program smaller, or accept the new size with `cargo xtask verifier --write`",
        problems.join("\n")
    )
}

fn measure(root: &Path) -> Result<Counts> {
    let helper = build::binary(root, "verifier-table")?;
    let cmd = if is_root() { Cmd::new(&helper) } else { Cmd::new("sudo").arg("-E").arg(&helper) };
    let counts = parse_measured(&cmd.read()?)?;
    if counts.is_empty() {
        bail!("{} loaded no program", helper.display());
    }
    Ok(counts)
}

fn report(measured: &Counts, budget: &Counts) -> Result<Vec<String>> {
    print!("{}", table(measured, budget));
    Ok(compare(measured, budget))
}

fn parse_measured(text: &str) -> Result<Counts> {
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let (program, count) = line.split_once('\t').with_context(|| format!("`{line}` has no tab"))?;
            let count = count.trim().parse().with_context(|| format!("`{line}` does not end in a number"))?;
            Ok((program.to_owned(), count))
        })
        .collect()
}

fn read_budget(root: &Path) -> Result<Counts> {
    let path = root.join(BUDGET);
    let text = fs::read_to_string(&path)
        .with_context(|| format!("{BUDGET} cannot be read; `cargo xtask verifier --write` makes it"))?;
    parse_budget(&text)
}

/// Reads the few lines of the budget file that are not comments, headings or blank: `program = number`.
fn parse_budget(text: &str) -> Result<Counts> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('['))
        .map(|line| {
            let (program, count) = line.split_once('=').with_context(|| format!("{BUDGET}: `{line}`"))?;
            let count = count.trim().replace('_', "").parse();
            Ok((program.trim().to_owned(), count.with_context(|| format!("{BUDGET}: `{line}`"))?))
        })
        .collect()
}

/// What is wrong with the measured programs, a sentence each.
fn compare(measured: &Counts, budget: &Counts) -> Vec<String> {
    let mut problems = Vec::new();
    for (program, &count) in measured {
        match budget.get(program) {
            None => problems.push(format!("{program} has no budget")),
            // In whole numbers: over 110 %.
            Some(&allowed) if count * 10 > allowed * 11 => problems.push(format!(
                "{program}: the verifier walks {count} instructions, more than 10 % over the budget of {allowed}"
            )),
            Some(_) => {}
        }
    }
    let gone = budget.keys().filter(|program| !measured.contains_key(*program));
    problems.extend(gone.map(|program| format!("{program} has a budget and was not loaded")));
    problems
}

fn table(measured: &Counts, budget: &Counts) -> String {
    let width = measured.keys().map(String::len).max().unwrap_or(0).max("program".len());
    let mut text =
        format!("{:width$}  {:>12}  {:>8}  {:>6}\n", "program", "instructions", "budget", "change");
    for (program, &count) in measured {
        let (allowed, change) = match budget.get(program) {
            Some(&allowed) => (allowed.to_string(), change(count, allowed)),
            None => ("-".to_owned(), "new".to_owned()),
        };
        text += &format!("{program:width$}  {count:>12}  {allowed:>8}  {change:>6}\n");
    }
    text
}

fn change(count: u64, allowed: u64) -> String {
    let percent = (count as f64 / allowed.max(1) as f64 - 1.0) * 100.0;
    format!("{percent:+.0}%")
}

fn write(root: &Path, measured: &Counts) -> Result<()> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // Its maker's suffix says nothing about the verifier.
    let kernel = release.split('-').next().unwrap_or_default();
    put(&root.join(BUDGET), &budget_text(measured, kernel.trim()))?;
    let document = root.join(DOCUMENT);
    let old = fs::read_to_string(&document).unwrap_or_else(|_| format!("# The verifier\n\n{BEGIN}\n{END}\n"));
    put(&document, &with_table(&old, &markdown(measured, kernel.trim()))?)
}

fn put(path: &Path, text: &str) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| format!("{} cannot be made", dir.display()))?;
    }
    fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

fn budget_text(measured: &Counts, kernel: &str) -> String {
    let mut text = format!(
        "# Instructions that the verifier walks for each program, measured on Linux {kernel}.\n\
         # Written by `cargo xtask verifier --write`; the gate fails at more than 10 % over.\n\n[instructions]\n"
    );
    for (program, count) in measured {
        text += &format!("{program} = {count}\n");
    }
    text
}

fn markdown(measured: &Counts, kernel: &str) -> String {
    let mut text = format!("| program | instructions walked (Linux {kernel}) |\n|---|---:|\n");
    for (program, count) in measured {
        text += &format!("| `{program}` | {count} |\n");
    }
    text
}

/// The document with the part between its two marks replaced.
fn with_table(document: &str, table: &str) -> Result<String> {
    let parts = document.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) =
        parts.with_context(|| format!("{DOCUMENT} lacks the lines `{BEGIN}` and `{END}`"))?;
    Ok(format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(list: &[(&str, u64)]) -> Counts {
        list.iter().map(|&(program, count)| (program.to_owned(), count)).collect()
    }

    #[test]
    fn a_program_may_grow_by_a_tenth_and_no_more() {
        let budget = counts(&[("port", 1000)]);
        assert!(compare(&counts(&[("port", 1100)]), &budget).is_empty());
        let problems = compare(&counts(&[("port", 1101)]), &budget);
        assert!(problems[0].contains("1101") && problems[0].contains("port"));
    }

    #[test]
    fn a_new_program_needs_a_budget_and_a_gone_one_must_lose_its_own() {
        let problems = compare(&counts(&[("new", 1)]), &counts(&[("old", 1)]));
        assert_eq!(problems, ["new has no budget", "old has a budget and was not loaded"]);
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let measured = counts(&[("port_ingress", 1804), ("xdp", 90)]);
        assert_eq!(parse_budget(&budget_text(&measured, "6.18.0")).unwrap(), measured);
    }

    #[test]
    fn the_helpers_lines_are_a_program_a_tab_and_a_number() {
        assert_eq!(parse_measured("a\t12\nb\t3\n").unwrap(), counts(&[("a", 12), ("b", 3)]));
        assert!(parse_measured("a 12\n").is_err());
        assert!(parse_measured("a\tmany\n").is_err());
    }

    #[test]
    fn only_the_marked_part_of_the_document_is_replaced() {
        let old = format!("# T\n\nbefore\n{BEGIN}\nold\n{END}\nafter\n");
        let new = with_table(&old, "| new |\n").unwrap();
        assert_eq!(new, format!("# T\n\nbefore\n{BEGIN}\n\n| new |\n\n{END}\nafter\n"));
        assert_eq!(with_table(&new, "| new |\n").unwrap(), new);
        assert!(with_table("# T\n", "").is_err());
    }

    #[test]
    fn the_table_shows_the_change_in_percent() {
        let text = table(&counts(&[("port", 1150), ("xdp", 5)]), &counts(&[("port", 1000)]));
        assert!(text.contains("+15%") && text.contains("new"), "{text}");
    }
}
