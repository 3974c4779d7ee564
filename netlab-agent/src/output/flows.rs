//! The flow table.

use netlab_common::net::protocol;
use serde_json::{Value, json};

use super::{json as document, size, table};
use crate::conntrack::{TupleView, View};
use crate::lab::Lab;

fn protocol_name(number: u8) -> String {
    match number {
        protocol::TCP => "tcp".into(),
        protocol::UDP => "udp".into(),
        protocol::ICMP => "icmp".into(),
        other => other.to_string(),
    }
}

/// What made the flow: its kind, and its number in `forward ls` or `masquerade ls`.
fn rule_name(lab: &Lab, rule: u32) -> String {
    let kind = if (rule as usize) < lab.forwards.len() { "fwd" } else { "masq" };
    format!("{kind} {rule}")
}

/// `a:1 > b:2`; for an echo, whose one number is an identifier, `a > b id 7`.
fn tuple(number: u8, tuple: &TupleView) -> String {
    let TupleView { src, dst, sport, dport } = tuple;
    if number == protocol::ICMP {
        return format!("{src} > {dst} id {}", sport.max(dport));
    }
    format!("{src}:{sport} > {dst}:{dport}")
}

/// Two lines a flow: the opener's packets as they arrive, and the answers as they arrive.
fn table_rows(lab: &Lab, flows: &[View]) -> String {
    let rows = flows.iter().map(|flow| {
        vec![
            protocol_name(flow.protocol),
            format!("{}\n{} s", flow.state, flow.expires_s),
            format!("{}\n{}", tuple(flow.protocol, &flow.original), tuple(flow.protocol, &flow.reply)),
            format!("{}\n{}", flow.packets[0], flow.packets[1]),
            format!("{}\n{}", size(flow.bytes[0]), size(flow.bytes[1])),
            rule_name(lab, flow.rule),
        ]
    });
    table(&["PROTO", "STATE", "ORIGINAL / REPLY", "PKTS", "BYTES", "RULE"], rows, &[3, 4])
}

/// The flows for reading, with their number.
pub fn table_of(lab: &Lab, flows: &[View]) -> String {
    match flows.len() {
        0 => "no flows\n".into(),
        1 => format!("{}1 flow\n", table_rows(lab, flows)),
        count => format!("{}{count} flows\n", table_rows(lab, flows)),
    }
}

/// The flows for programs.
pub fn json(lab: &Lab, flows: &[View]) -> String {
    let one = |tuple: &TupleView| json!({ "src": tuple.src, "dst": tuple.dst, "sport": tuple.sport, "dport": tuple.dport });
    let flows: Vec<Value> = flows
        .iter()
        .map(|flow| {
            json!({
                "slot": flow.slot,
                "protocol": protocol_name(flow.protocol),
                "state": flow.state,
                "expires_s": flow.expires_s,
                "rule": flow.rule,
                "original": one(&flow.original),
                "reply": one(&flow.reply),
                "packets": { "original": flow.packets[0], "reply": flow.packets[1] },
                "bytes": { "original": flow.bytes[0], "reply": flow.bytes[1] },
            })
        })
        .collect();
    document("conntrack", &lab.name, json!({ "flows": flows }))
}
