//! Rules and their counters.

use std::net::Ipv4Addr;

use ipnet::Ipv4Subnets;
use netlab_common::abi::rule::RuleCounters;
use serde_json::{Value, json};

use super::{json as document, size, table};
use crate::lab::{Filtering, Forward, ForwardTarget, Lab, Mapping, Masquerade, Protocol};

#[cfg(test)]
mod tests;

/// A port forward and what it has done.
pub struct ForwardRow<'a> {
    /// The rule.
    pub forward: &'a Forward,
    /// Its counters.
    pub counters: RuleCounters,
}

/// A masquerade and what it has done.
pub struct MasqueradeRow<'a> {
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

/// The forwards for reading.
pub fn forward_table(lab: &Lab, rows: &[ForwardRow<'_>]) -> String {
    let restricted = rows.iter().any(|row| !row.forward.allow.is_empty());
    let header: &[&str] = match restricted {
        true => &["RULE", "PUBLISHED", "TARGET", "ALLOW"],
        false => &["RULE", "PUBLISHED", "TARGET"],
    };
    let rows = rows.iter().map(|row| {
        let forward = row.forward;
        let mut cells = vec![Cell::one(forward.rule.to_string()), published(forward), targets(lab, forward)];
        if restricted {
            cells.push(match forward.allow.as_slice() {
                [] => Cell::one("all"),
                allow => Cell::list(allow.iter().map(ToString::to_string)),
            });
        }
        (cells, row.counters)
    });
    rule_table(header, &rows.collect::<Vec<_>>())
}

/// The forwards for programs.
pub fn forward_json(lab: &Lab, rows: &[ForwardRow<'_>]) -> String {
    let target = |forward: &Forward, target: &ForwardTarget| {
        json!({
            "node": lab.nodes[target.node].name,
            "address": target.address,
            "ports": ports(target_ports(forward, target)),
        })
    };
    let row = |row: &ForwardRow<'_>| {
        let forward = row.forward;
        json!({
            "rule": forward.rule,
            "publish": forward.publish,
            "address": forward.address,
            "ports": ports(forward.ports),
            "protocol": protocol(forward.protocol),
            "targets": forward.targets.iter().map(|one| target(forward, one)).collect::<Vec<_>>(),
            "allow": forward.allow,
            "counters": counters(&row.counters),
        })
    };
    document("forward", &lab.name, json!({ "forwards": rows.iter().map(row).collect::<Vec<_>>() }))
}

/// The masquerades for reading. Columns in which every rule has what it has by default are left out.
pub fn masquerade_table(rows: &[MasqueradeRow<'_>]) -> String {
    let pools = rows.iter().any(|row| row.masquerade.to.is_some());
    let mappings = rows.iter().any(|row| row.masquerade.mapping != Mapping::default());
    let mut header = vec!["RULE", "FROM", "PORTS"];
    header.extend(pools.then_some("TO"));
    header.extend(mappings.then_some("MAPPING"));
    let rows = rows.iter().map(|row| {
        let rule = row.masquerade;
        let (first, last) = rule.ports;
        let mut cells = vec![
            Cell::one(rule.rule.to_string()),
            Cell::one(rule.from_text.as_str()),
            Cell::one(format!("{first}-{last}")),
        ];
        cells.extend(pools.then(|| rule.to.map_or_else(|| Cell::one("uplink"), pool)));
        cells.extend(mappings.then(|| match rule.mapping {
            Mapping::EndpointDependent => Cell::broken(["endpoint-", "dependent"]),
            Mapping::EndpointIndependent => Cell::broken(["endpoint-", "independent"]),
        }));
        (cells, row.counters)
    });
    rule_table(&header, &rows.collect::<Vec<_>>())
}

/// The masquerades for programs.
pub fn masquerade_json(lab: &Lab, rows: &[MasqueradeRow<'_>]) -> String {
    let row = |row: &MasqueradeRow<'_>| {
        let rule = row.masquerade;
        json!({
            "rule": rule.rule,
            "from": rule.from,
            "to": rule.to.map(|(first, last)| json!({ "first": first, "last": last })),
            "ports": ports(rule.ports),
            "mapping": match rule.mapping {
                Mapping::EndpointDependent => "endpoint-dependent",
                Mapping::EndpointIndependent => "endpoint-independent",
            },
            "filtering": match rule.filtering {
                Filtering::EndpointIndependent => "endpoint-independent",
                Filtering::AddressDependent => "address-dependent",
                Filtering::AddressAndPortDependent => "address-and-port-dependent",
            },
            "counters": counters(&row.counters),
        })
    };
    document("masquerade", &lab.name, json!({ "masquerades": rows.iter().map(row).collect::<Vec<_>>() }))
}

/// The columns of most terminals.
const COLUMNS: usize = 80;

/// Rules with their counters: one line a rule if all fit, else two as for flows, with the replies below.
fn rule_table(header: &[&str], rows: &[(Vec<Cell>, RuleCounters)]) -> String {
    let words = header.len();
    let wide_header = [header, &["FLOWS", "PKTS", "BYTES", "REPLIES", "BYTES"]].concat();
    let wide = rows.iter().map(|(cells, counters)| {
        let [packets, replies] = counters.packets.map(|packets| packets.to_string());
        let [bytes, reply_bytes] = counters.bytes.map(size);
        let numbers = [counters.flows.to_string(), packets, bytes, replies, reply_bytes];
        cells.iter().map(Cell::on_one_line).chain(numbers).collect()
    });
    let numbers = [words, words + 1, words + 2, words + 3, words + 4];
    let text = table(&wide_header, wide, &numbers);
    if text.lines().all(|line| line.chars().count() <= COLUMNS) {
        return text;
    }
    let high_header = [header, &["FLOWS", "PKTS", "BYTES"]].concat();
    let high = rows.iter().map(|(cells, counters)| {
        let packets = counters.packets.map(|packets| packets.to_string()).join("\n");
        let bytes = counters.bytes.map(size).join("\n");
        cells.iter().map(Cell::on_lines).chain([counters.flows.to_string(), packets, bytes]).collect()
    });
    table(&high_header, high, &numbers[..3])
}

/// A cell that may be broken into lines where the table would be too wide.
struct Cell {
    parts: Vec<String>,
    /// What stands between the parts on one line.
    glue: &'static str,
}

impl Cell {
    fn one(part: impl Into<String>) -> Self {
        Cell { parts: vec![part.into()], glue: "" }
    }

    /// One word, with the places where it may be broken.
    fn broken<const N: usize>(parts: [impl Into<String>; N]) -> Self {
        Cell { parts: parts.map(Into::into).into(), glue: "" }
    }

    /// Several words with commas between.
    fn list(parts: impl ExactSizeIterator<Item = String>) -> Self {
        let last = parts.len().saturating_sub(1);
        let comma = |(index, part)| if index < last { format!("{part},") } else { part };
        Cell { parts: parts.enumerate().map(comma).collect(), glue: " " }
    }

    fn on_one_line(&self) -> String {
        self.parts.join(self.glue)
    }

    fn on_lines(&self) -> String {
        self.parts.join("\n")
    }
}

fn published(forward: &Forward) -> Cell {
    let address = forward.address.map_or_else(|| "*".to_owned(), |address| address.to_string());
    let ports = format!("{}/{}", span(forward.ports), protocol(forward.protocol));
    match forward.address {
        Some(_) => Cell::broken([format!("{address}:"), ports]),
        None => Cell::one(format!("{address}:{ports}")),
    }
}

fn targets(lab: &Lab, forward: &Forward) -> Cell {
    Cell::list(
        forward
            .targets
            .iter()
            .map(|target| format!("{}:{}", lab.nodes[target.node].name, span(target_ports(forward, target)))),
    )
}

/// The target's first and last port.
fn target_ports(forward: &Forward, target: &ForwardTarget) -> (u16, u16) {
    (target.port, target.port + (forward.ports.1 - forward.ports.0))
}

/// One port, or the first and last of several.
fn span((first, last): (u16, u16)) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

/// A pool as the file would have it: an address, a prefix, or else a range.
fn pool((first, last): (Ipv4Addr, Ipv4Addr)) -> Cell {
    if first == last {
        return Cell::one(first.to_string());
    }
    let mut nets = Ipv4Subnets::new(first, last, 0);
    match (nets.next(), nets.next()) {
        (Some(net), None) => Cell::one(net.to_string()),
        _ => Cell::broken([format!("{first}-"), last.to_string()]),
    }
}

fn ports((first, last): (u16, u16)) -> Value {
    json!({ "first": first, "last": last })
}

fn counters(counters: &RuleCounters) -> Value {
    json!({
        "flows": counters.flows,
        "packets": { "original": counters.packets[0], "reply": counters.packets[1] },
        "bytes": { "original": counters.bytes[0], "reply": counters.bytes[1] },
    })
}
