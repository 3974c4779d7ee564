//! `netlab bench` from outside: that it runs, what its report is made of, that a wrong packet fails it, and that it
//! leaves nothing. How fast anything is, is nobody's business here.

use netlab_tests::machine::{Machine, Ran};
use netlab_tests::need::need_root;
use serde_json::Value;

/// The report of a run that may be invalid: on a busy machine its A/A control is off.
fn report(ran: &Ran) -> Value {
    assert!([0, 1].contains(&ran.code), "{}{}", ran.stdout, ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", ran.stdout, ran.stderr))
}

#[test]
fn a_bench_reports_and_leaves_nothing_behind() {
    if !need_root() {
        return;
    }
    let machine = Machine::new();
    let before = machine.inventory();
    let only = "--only=packets,newflows,direct,plain,iptables,iptables-again,tc";
    let files = ["--json=bench.json", "--html=bench.html"];
    let ran = machine.netlab([
        "bench",
        "--quick",
        only,
        "--rounds=1",
        "--seed=7",
        "-o",
        "json",
        files[0],
        files[1],
    ]);
    let report = report(&ran);
    assert_eq!(report["schema"], "netlab.bench/1");
    assert_eq!(report["seed"], 7);
    assert_eq!(report["failures"], Value::Array(vec![]), "{}", ran.stderr);
    let rows = report["rows"].as_array().expect("there are rows");
    let ids: Vec<&str> = rows.iter().filter_map(|row| row["id"].as_str()).collect();
    assert_eq!(ids, ["packets_64_1000", "new_out"]);
    let variants: Vec<&str> = rows[0]["cells"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|cell| cell["variant"].as_str())
        .collect();
    assert_eq!(variants, ["direct", "plain", "iptables", "iptables-again", "tc"]);
    assert_eq!(report["controls"].as_array().map(Vec::len), Some(2));
    assert!(report["targets"].as_array().is_some_and(|targets| targets.len() > 20));
    let written = std::fs::read_to_string(machine.folder().join("bench.json")).expect("it was written");
    assert_eq!(written, ran.stdout);
    let page = std::fs::read_to_string(machine.folder().join("bench.html")).expect("it was written");
    assert!(page.contains("<svg") && page.ends_with("</html>\n"));
    machine.is_as_before(&before).expect("the bench leaves nothing");
}

#[test]
fn packets_that_are_not_as_expected_fail_their_round() {
    if !need_root() {
        return;
    }
    let machine = Machine::new();
    // The bench is told to expect what nobody sends.
    let ran =
        machine.sh("NETLAB_BENCH_EXPECT=wrong $NETLAB bench --quick --only packets,plain --rounds 1 -o json");
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    let report = report(&ran);
    assert_eq!(report["valid"], false);
    let what = report["failures"][0]["what"].as_str().expect("a round failed");
    assert!(what.ends_with("packets with a wrong source address"), "{what}");
}

#[test]
fn a_bench_that_is_cut_short_leaves_nothing_or_what_the_next_one_takes_away() {
    if !need_root() {
        return;
    }
    let machine = Machine::new();
    let before = machine.inventory();
    let only = "bench --quick --only packets,plain,tc --rounds 50";
    let ran = machine.sh(&format!("timeout --preserve-status -s INT 2 $NETLAB {only}"));
    assert_eq!(ran.code, 130, "{}{}", ran.stdout, ran.stderr);
    machine.is_as_before(&before).expect("Ctrl-C takes everything down");

    let ran = machine.sh(&format!("$NETLAB {only} & sleep 3; kill -9 $!; wait $!"));
    assert_eq!(ran.code, 137, "{}{}", ran.stdout, ran.stderr);
    assert_ne!(machine.inventory(), before, "something was there to be left behind");
    let ran = machine
        .sh("timeout --preserve-status -s INT 3 $NETLAB bench --quick --only packets,plain --rounds 50");
    assert_eq!(ran.code, 130, "{}{}", ran.stdout, ran.stderr);
    machine.is_as_before(&before).expect("the next one takes away what a killed one left");
}

#[test]
fn a_word_that_chooses_nothing_is_told() {
    if !need_root() {
        return;
    }
    let machine = Machine::new();
    let said = machine.netlab(["bench", "--only", "pakets"]).fails(2);
    assert!(said.contains("no measurement has \"pakets\"") && said.contains("newflows"), "{said}");
}
