//! `cargo xtask tidy`: the conventions a program can check, over every file of the repository. The rules are in
//! the modules below, each a pure function from a file's text to what is wrong with it.

mod limits;
mod links;
mod manifest;
mod rust;
mod scan;
mod text;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Something wrong, and the line it is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, in words that say what is wanted.
    pub message: String,
    /// Whether it only warns.
    pub warning: bool,
}

impl Finding {
    /// A finding that fails the check.
    pub fn new(line: usize, message: impl Into<String>) -> Self {
        Finding { line, message: message.into(), warning: false }
    }

    /// A finding that is only shown.
    pub fn warning(line: usize, message: impl Into<String>) -> Self {
        Finding { line, message: message.into(), warning: true }
    }
}

/// Checks all files and prints what is wrong as `file:line: message`.
pub fn run() -> Result<()> {
    let root = workspace::root()?;
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();
    let mut wrong = 0;
    for file in &files {
        let path = file.strip_prefix(&root).unwrap_or(file);
        let Some(name) = path.to_str().filter(|name| is_text(name)) else { continue };
        let text = fs::read_to_string(file).with_context(|| format!("{name} is not text"))?;
        for finding in check_file(name, &text, |target| exists_beside(file, target)) {
            let mark = if finding.warning { "warning: " } else { "" };
            println!("{name}:{}: {mark}{}", finding.line, finding.message);
            wrong += usize::from(!finding.warning);
        }
    }
    match wrong {
        0 => Ok(()),
        1 => bail!("tidy found one place that breaks a convention"),
        _ => bail!("tidy found {wrong} places that break a convention"),
    }
}

/// All rules for one file, by its path from the root.
fn check_file(path: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = text::check(text);
    if path.ends_with(".rs") {
        findings.extend(limits::check(path, text));
        findings.extend(rust::check(path, text));
    } else if path.ends_with("Cargo.toml") && path != "Cargo.toml" {
        findings.extend(manifest::check(path, text));
    } else if path.ends_with(".md") {
        findings.extend(links::check(text, exists));
    }
    findings.sort_by_key(|finding| finding.line);
    findings
}

/// The files whose form is ours to choose. Snapshots hold a program's own output, licences their own words.
fn is_text(path: &str) -> bool {
    [".rs", ".toml", ".md", ".sh", ".yml", ".yaml", ".py"].iter().any(|ending| path.ends_with(ending))
        || path.starts_with(".ci/")
}

fn exists_beside(file: &Path, target: &str) -> bool {
    file.parent().is_some_and(|dir| dir.join(target).exists())
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(dir).with_context(|| format!("{} cannot be read", dir.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_symlink() || name == "target" || name == ".git" {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_file_meets_its_own_rules() {
        let nowhere = |_: &str| false;
        assert_eq!(check_file("xtask/src/a.rs", "//! A file.\n", nowhere), []);
        assert_eq!(check_file("xtask/src/a.rs", "fn a() {}\n", nowhere).len(), 1);
        assert_eq!(check_file("README.md", "[a](b.md)\n", nowhere).len(), 1);
        assert_eq!(check_file("Cargo.toml", "[dependencies]\na = \"1\"\n", nowhere), []);
        assert_eq!(check_file("tests/Cargo.toml", "[dependencies]\na = \"1\"\n", nowhere).len(), 1);
    }

    #[test]
    fn findings_come_in_the_order_of_lines() {
        let findings = check_file("a.rs", "//! A. \nfn f() { todo!() }\t\n", |_| true);
        let lines: Vec<usize> = findings.iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [1, 2, 2, 2]);
    }

    #[test]
    fn snapshots_and_pictures_are_left_alone() {
        assert!(is_text(".ci/run") && is_text("docs/a.md"));
        assert!(!is_text("tests/tests/snapshots/a.snap") && !is_text("LICENSE-MIT"));
    }
}
