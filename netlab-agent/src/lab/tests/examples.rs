//! The files that newcomers start from, and files that are no lab files at all.

use std::path::{Path, PathBuf};

use crate::lab::{Expect, Loaded, load};

fn example(name: &str) -> Loaded {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    match load(&path) {
        Ok(loaded) => loaded,
        Err(failure) => panic!("{failure}"),
    }
}

#[test]
fn every_example_parses_and_checks_something() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("the examples are there") {
        let path: PathBuf = entry.expect("the folder can be read").path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let loaded = example(&path.file_name().expect("a file has a name").to_string_lossy());
            assert!(!loaded.lab.checks.is_empty(), "{} checks nothing", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 4, "only {seen} examples");
}

#[test]
fn the_first_three_sections_show_what_does_not_work_yet() {
    for name in ["1-pair.toml", "2-bridge.toml", "3-host.toml"] {
        let lab = example(name).lab;
        assert!(lab.checks.iter().any(|check| check.expect == Expect::Fail), "{name} has no failing check");
        assert!(lab.host.uplink.is_none() && lab.forwards.is_empty(), "{name} has NAT already");
        assert_eq!(lab.host.namespace.as_deref(), Some("planet-host"));
    }
}

#[test]
fn the_last_section_has_the_whole_lab() {
    let lab = example("4-internet.toml").lab;
    assert!(lab.host.uplink.is_some());
    assert_eq!(lab.masquerades.len(), 1);
    assert!(lab.forwards.len() >= 2);
    assert!(lab.checks.len() >= 7);
}

#[test]
fn a_missing_file_a_folder_and_a_picture_are_explained() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let picture = folder.path().join("picture.png");
    std::fs::write(&picture, b"\x89PNG\r\n").expect("the folder can be written");
    let show = |path: &Path| {
        let failure = load(path).expect_err("this is no lab file");
        assert_eq!(failure.kind.exit_code(), 2);
        failure.to_string().replace(&folder.path().display().to_string(), "FOLDER")
    };
    let shown = [show(&folder.path().join("none.toml")), show(folder.path()), show(&picture)];
    insta::assert_snapshot!(shown.join("\n\n"));
}

#[test]
fn the_whole_files_in_the_reference_parse() {
    let reference = include_str!("../../../../docs/lab-file.md");
    let blocks: Vec<&str> =
        reference.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        super::lab(block);
    }
}
