//! How rules are shown, and that the table stays within a terminal.

use insta::assert_snapshot;

use super::{ForwardRow, MasqueradeRow, forward_json, forward_table, masquerade_json, masquerade_table};
use crate::lab::Lab;
use netlab_common::abi::rule::RuleCounters;

fn lab(rules: &str) -> Lab {
    let text = include_str!("../../../../examples/4-internet.toml");
    let bare = text.split("[[masquerade]]").next().unwrap();
    crate::lab::parse("lab.toml", &format!("{bare}\n{rules}")).unwrap()
}

fn counters(bytes: u64) -> RuleCounters {
    RuleCounters { flows: 1, packets: [6, 5], bytes: [bytes, 2 * bytes] }
}

fn forwards(lab: &Lab, bytes: u64) -> Vec<ForwardRow<'_>> {
    lab.forwards.iter().map(|forward| ForwardRow { forward, counters: counters(bytes) }).collect()
}

fn masquerades(lab: &Lab, bytes: u64) -> Vec<MasqueradeRow<'_>> {
    lab.masquerades.iter().map(|masquerade| MasqueradeRow { masquerade, counters: counters(bytes) }).collect()
}

fn fits(table: &str) {
    assert!(table.lines().all(|line| line.chars().count() <= 80), "\n{table}");
}

#[test]
fn a_forward_is_a_row_whatever_its_ports() {
    let lab =
        lab("[[forward]]\npublish = \"8000:earth\"\n[[forward]]\npublish = \"9000-9010:earth:9100/udp\"\n\
                   [[forward]]\npublish = \"80:earth:8000,neptune:8000\"\n");
    let table = forward_table(&lab, &forwards(&lab, 400));
    fits(&table);
    assert_snapshot!(table);
}

#[test]
fn wide_forwards_have_two_lines() {
    let lab = lab("[[masquerade]]\nfrom = \"planet-br\"\n\
                   [[forward]]\npublish = \"192.168.0.108:9000-9010:earth/udp\"\n\
                   [[forward]]\npublish = \"192.168.0.108:8000:earth:8000,neptune:8000\"\n\
                   allow = [\"192.168.0.0/24\", \"8.8.8.8\"]\n");
    let table = forward_table(&lab, &forwards(&lab, 1700));
    fits(&table);
    assert_snapshot!(table);
}

#[test]
fn who_may_use_a_forward_is_a_column_only_if_it_is_not_everybody() {
    let lab = lab("[[forward]]\npublish = \"80:earth\"\nallow = \"192.168.0.0/24\"\n\
                   [[forward]]\npublish = \"81:earth\"\n");
    assert_snapshot!(forward_table(&lab, &forwards(&lab, 400)));
}

#[test]
fn masquerades_show_what_is_not_as_usual() {
    let plain = lab("[[masquerade]]\nfrom = \"planet-br\"\n");
    let pool = lab(
        "[[masquerade]]\nfrom = \"planet-br\"\n[[masquerade]]\nfrom = \"earth\"\nto = \"192.0.2.0/29\"\n\
                    [[masquerade]]\nfrom = \"neptune\"\nto = \"192.0.2.9\"\n",
    );
    let all = lab("[[masquerade]]\nfrom = \"10.10.0.0/16\"\nto = \"192.0.2.1-192.0.2.6\"\nmapping = \
                   \"endpoint-independent\"\n[[masquerade]]\nfrom = \"earth\"\n");
    let tables = [&plain, &pool, &all].map(|lab| masquerade_table(&masquerades(lab, 400)));
    tables.iter().for_each(|table| fits(table));
    assert_snapshot!(tables.join("\n"));
}

#[test]
fn programs_see_everything() {
    let lab = lab("[[masquerade]]\nfrom = \"planet-br\"\nports = \"2000-3000\"\n\
                   [[masquerade]]\nfrom = \"earth\"\nto = \"192.0.2.0/29\"\nmapping = \"endpoint-independent\"\n\
                   filtering = \"address-dependent\"\n\
                   [[forward]]\npublish = \"192.168.0.108:9000-9010:earth:9100,neptune\"\nallow = \"8.8.8.8\"\n");
    let shown = [forward_json(&lab, &forwards(&lab, 400)), masquerade_json(&lab, &masquerades(&lab, 400))];
    assert_snapshot!(shown.join("\n"));
}
