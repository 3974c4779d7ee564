//! The tables of docs/datapath.md and docs/nat-behaviour.md that repeat the code say the same as the code.

use std::fs;
use std::path::Path;

use netlab_common::abi::config::DEFAULT_SECONDS;
use netlab_common::abi::event::Event;
use netlab_common::abi::hook::Hook;
use netlab_common::abi::names;
use netlab_common::abi::verdict::Verdict;
use netlab_tests::differential::EXPLAINED;
use netlab_tests::machine::workspace;

/// The rows of the first table below a heading of docs/datapath.md, without its head: their cells.
fn rows(heading: &str) -> Vec<Vec<String>> {
    rows_of("docs/datapath.md", heading)
}

fn rows_of(document: &str, heading: &str) -> Vec<Vec<String>> {
    let path = workspace().join(document);
    let text = fs::read_to_string(path).expect("the document is in the repository");
    let lines = text.lines().skip_while(|line| *line != heading).skip_while(|line| !line.starts_with("|--"));
    lines
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

fn first_cells(heading: &str) -> Vec<String> {
    rows(heading).into_iter().map(|cells| cells[0].clone()).collect()
}

#[track_caller]
fn assert_same_table(heading: &str, wanted: &[Vec<String>]) {
    let lines: Vec<_> = wanted.iter().map(|cells| format!("| {} |", cells.join(" | "))).collect();
    assert_eq!(rows(heading), wanted, "docs/datapath.md wants this table:\n{}", lines.join("\n"));
}

#[test]
fn the_verdict_table_is_the_enum() {
    let wanted: Vec<Vec<String>> = Verdict::ALL
        .iter()
        .map(|verdict| {
            let name = format!("`{}`", verdict.name());
            vec![name, verdict.disposition().name().to_owned(), verdict.explain().trim().to_owned()]
        })
        .collect();
    assert_same_table("## Verdicts", &wanted);
}

#[test]
fn the_map_table_names_every_map() {
    assert_eq!(first_cells("## Maps"), names::MAPS.map(|name| format!("`{name}`")));
}

#[test]
fn the_hook_table_names_every_hook_and_its_program() {
    let found: Vec<(String, String)> =
        rows("## Hooks").into_iter().map(|cells| (cells[0].clone(), cells[1].clone())).collect();
    let wanted = Hook::ALL
        .map(|hook| (format!("`{}`", hook.name()), format!("`{}`", names::TC_PROGRAMS[hook as usize])));
    assert_eq!(found, wanted);
}

#[test]
fn the_timeout_table_has_the_timeouts() {
    let seconds: Vec<u32> = rows("## A flow's life")
        .into_iter()
        .map(|cells| cells[1].trim_end_matches(" s").replace(',', "").parse().expect("seconds"))
        .collect();
    assert_eq!(seconds, DEFAULT_SECONDS);
}

#[test]
fn the_event_table_is_the_enum() {
    let wanted: Vec<Vec<String>> = Event::ALL
        .iter()
        .map(|event| vec![format!("`{}`", event.name()), event.explain().trim().to_owned()])
        .collect();
    assert_same_table("## Events", &wanted);
}

#[test]
fn the_table_of_differences_from_netfilter_has_those_that_the_twin_labs_allow() {
    let rows = rows_of("docs/nat-behaviour.md", "## Where netlab differs from netfilter");
    let named: Vec<_> = rows.into_iter().map(|cells| cells[0].clone()).collect();
    assert_eq!(named, EXPLAINED.each_ref().map(|difference| format!("`{}`", difference.name)));
}

/// All code of tests, in one text.
fn code_of_tests(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder of the repository").flatten() {
        let path = entry.path();
        if path.is_dir() && entry.file_name() != "target" {
            code_of_tests(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(&path).expect("it is text"));
        }
    }
}

#[test]
fn tests_that_the_documents_name_exist() {
    let mut code = String::new();
    for folder in ["tests", "netlab-common", "netlab-agent"] {
        code_of_tests(&workspace().join(folder), &mut code);
    }
    for document in ["docs/nat-behaviour.md", "docs/nat-state.md"] {
        let text = fs::read_to_string(workspace().join(document)).expect("it is in the repository");
        // Names of tests are sentences: nothing else in backticks has so many words.
        let is_name = |name: &&str| {
            name.matches('_').count() >= 4
                && name.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit())
        };
        let names = text.split('`').filter(is_name);
        let missing: Vec<&str> = names.filter(|name| !code.contains(&format!("fn {name}("))).collect();
        assert!(missing.is_empty(), "{document} names tests that are not there: {missing:#?}");
    }
}
