//! Rules and their counters.

use netlab_common::abi::rule::RuleCounters;
use serde_json::{Value, json};

use super::{json as document, size, table};
use crate::lab::{Forward, Masquerade, Protocol};

/// A port forward and what it has done.
pub struct ForwardRow<'a> {
    /// Rule number, as flows name it.
    pub rule: u32,
    /// The node that serves it.
    pub node: &'a str,
    /// The rule.
    pub forward: &'a Forward,
    /// Its counters.
    pub counters: RuleCounters,
}

/// A masquerade and what it has done.
pub struct MasqueradeRow<'a> {
    /// Rule number, as flows name it.
    pub rule: u32,
    /// The rule.
    pub masquerade: &'a Masquerade,
    /// Its counters.
    pub counters: RuleCounters,
}

/// The protocol's name.
pub fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}

fn published(forward: &Forward) -> String {
    let address = forward.address.map_or_else(|| "*".to_owned(), |address| address.to_string());
    format!("{address}:{}/{}", forward.port, protocol(forward.protocol))
}

/// Flows, then packets and bytes each way.
fn counted(counters: &RuleCounters) -> [String; 5] {
    [
        counters.flows.to_string(),
        counters.packets[0].to_string(),
        size(counters.bytes[0]),
        counters.packets[1].to_string(),
        size(counters.bytes[1]),
    ]
}

fn counters(counters: &RuleCounters) -> Value {
    json!({
        "flows": counters.flows,
        "packets": { "original": counters.packets[0], "reply": counters.packets[1] },
        "bytes": { "original": counters.bytes[0], "reply": counters.bytes[1] },
    })
}

const COUNTED: [&str; 5] = ["FLOWS", "PKTS", "BYTES", "REPLIES", "BYTES"];

/// The forwards for reading.
pub fn forward_table(rows: &[ForwardRow<'_>]) -> String {
    let header: Vec<&str> = ["RULE", "PUBLISHED", "TARGET"].into_iter().chain(COUNTED).collect();
    let rows = rows.iter().map(|row| {
        let target = format!("{}:{}", row.node, row.forward.target_port);
        let words = [row.rule.to_string(), published(row.forward), target];
        words.into_iter().chain(counted(&row.counters)).collect()
    });
    table(&header, rows, &[3, 4, 5, 6, 7])
}

/// The forwards for programs.
pub fn forward_json(lab: &str, rows: &[ForwardRow<'_>]) -> String {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "rule": row.rule,
                "address": row.forward.address,
                "port": row.forward.port,
                "protocol": protocol(row.forward.protocol),
                "node": row.node,
                "target": { "address": row.forward.target, "port": row.forward.target_port },
                "counters": counters(&row.counters),
            })
        })
        .collect();
    document("forward", lab, json!({ "forwards": rows }))
}

/// The masquerades for reading.
pub fn masquerade_table(rows: &[MasqueradeRow<'_>]) -> String {
    let header: Vec<&str> = ["RULE", "FROM", "PORTS"].into_iter().chain(COUNTED).collect();
    let rows = rows.iter().map(|row| {
        let (first, last) = row.masquerade.ports;
        let words = [row.rule.to_string(), row.masquerade.from_text.clone(), format!("{first}-{last}")];
        words.into_iter().chain(counted(&row.counters)).collect()
    });
    table(&header, rows, &[3, 4, 5, 6, 7])
}

/// The masquerades for programs.
pub fn masquerade_json(lab: &str, rows: &[MasqueradeRow<'_>]) -> String {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "rule": row.rule,
                "from": row.masquerade.from,
                "ports": { "first": row.masquerade.ports.0, "last": row.masquerade.ports.1 },
                "counters": counters(&row.counters),
            })
        })
        .collect();
    document("masquerade", lab, json!({ "masquerades": rows }))
}
