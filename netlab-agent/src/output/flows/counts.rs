//! Numbers of flows: how many there are, of which kind, and how many were ended.

use serde_json::{Value, json};

use super::{RuleName, number, protocol_name};
use crate::conntrack::Kind;
use crate::lab::Lab;
use crate::output::{json as document, table};

/// The numbers of flows of each kind for reading; `by` says what the kinds differ in.
pub fn count_table(lab: &Lab, by: &str, counts: &[(Kind, u64)]) -> String {
    let total = number(total(counts));
    if counts.is_empty() {
        return format!("{total}\n");
    }
    let rows = counts.iter().map(|(kind, count)| {
        let name = match kind {
            Kind::State(name) => (*name).to_owned(),
            Kind::Rule(rule) => RuleName(lab, *rule).to_string(),
            Kind::Protocol(number) => protocol_name(*number).into_owned(),
            Kind::Source(address) => address.to_string(),
        };
        vec![name, count.to_string()]
    });
    format!("{}{total}\n", table(&[&by.to_uppercase(), "FLOWS"], rows, &[1]))
}

/// The number of flows for programs, and how many there are of each kind where that was asked.
pub fn count_json(lab: &Lab, total: u64, by: Option<(&str, &[(Kind, u64)])>) -> String {
    let mut fields = json!({ "flows": total });
    if let Some((by, counts)) = by {
        let counts = counts.iter().map(|(kind, count)| json!({ "value": value(kind), "flows": count }));
        fields["by"] = by.into();
        fields["counts"] = counts.collect();
    }
    document("conntrack.count", &lab.name, fields)
}

/// How many flows a verb ended, for programs.
pub fn ended_json(lab: &Lab, verb: &str, ended: u64) -> String {
    document(&format!("conntrack.{verb}"), &lab.name, json!({ "ended": ended }))
}

/// The sum over all kinds.
pub fn total(counts: &[(Kind, u64)]) -> u64 {
    counts.iter().map(|(_, count)| count).sum()
}

fn value(kind: &Kind) -> Value {
    match kind {
        Kind::State(name) => (*name).into(),
        Kind::Rule(rule) => (*rule).into(),
        Kind::Protocol(number) => protocol_name(*number).into(),
        Kind::Source(address) => address.to_string().into(),
    }
}
