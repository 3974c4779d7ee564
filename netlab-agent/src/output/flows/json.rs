//! The flow table for programs: one object, in which each flow has a line.

use std::io::{self, Write};
use std::net::Ipv4Addr;

use netlab_common::abi::flow::Kind;
use serde::Serialize;

use super::protocol_name;
use crate::conntrack::{TupleView, View};
use crate::lab::Lab;

#[derive(Serialize)]
struct Flow<'a> {
    protocol: &'a str,
    state: &'a str,
    assured: bool,
    expires_s: u64,
    age_s: u64,
    kind: &'a str,
    rule: Option<u32>,
    original: Side,
    reply: Side,
}

#[derive(Serialize)]
struct Side {
    src: Ipv4Addr,
    dst: Ipv4Addr,
    sport: u16,
    dport: u16,
    packets: u64,
    bytes: u64,
}

fn side(flow: &View, tuple: &TupleView, direction: usize) -> Side {
    let TupleView { src, dst, sport, dport } = *tuple;
    Side { src, dst, sport, dport, packets: flow.packets[direction], bytes: flow.bytes[direction] }
}

/// Writes the flows.
///
/// # Errors
/// What the writer says.
pub fn write_json(out: &mut impl Write, lab: &Lab, flows: impl Iterator<Item = View>) -> io::Result<()> {
    out.write_all(b"{\n  \"schema\": \"netlab.conntrack/1\",\n  \"lab\": ")?;
    serde_json::to_writer(&mut *out, &lab.name)?;
    out.write_all(b",\n  \"flows\": [")?;
    let mut before = "\n    ";
    for flow in flows {
        out.write_all(before.as_bytes())?;
        before = ",\n    ";
        let shown = Flow {
            protocol: &protocol_name(flow.protocol),
            state: flow.state,
            assured: flow.assured,
            expires_s: flow.expires_s,
            age_s: flow.age_s,
            kind: match flow.kind {
                Kind::Flow => "flow",
                Kind::Host => "host",
                Kind::Mapping => "mapping",
            },
            rule: flow.rule,
            original: side(&flow, &flow.original, 0),
            reply: side(&flow, &flow.reply, 1),
        };
        serde_json::to_writer(&mut *out, &shown)?;
    }
    let end = if before.starts_with(',') { "\n  ]\n}\n" } else { "]\n}\n" };
    out.write_all(end.as_bytes())
}

#[cfg(test)]
mod tests {
    use netlab_common::conntrack::state;
    use serde_json::{Value, json};

    use super::write_json;
    use crate::conntrack::View;
    use crate::conntrack::samples::{seen, tcp, udp};
    use crate::lab::parse;

    fn written(flows: &[View]) -> (String, Value) {
        let lab = parse("lab.toml", include_str!("../../../../examples/4-internet.toml")).unwrap();
        let mut text = Vec::new();
        write_json(&mut text, &lab, flows.iter().copied()).unwrap();
        let text = String::from_utf8(text).unwrap();
        let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"));
        (text, value)
    }

    #[test]
    fn a_flow_is_one_object_on_one_line() {
        let (text, value) = written(&[seen(udp(), state::REPLIED), seen(tcp(), 0)]);
        assert_eq!(value["schema"], "netlab.conntrack/1");
        assert_eq!(value["lab"], "planets");
        assert_eq!(
            value["flows"][0],
            json!({
                "protocol": "udp",
                "state": "REPLIED",
                "assured": true,
                "expires_s": 300,
                "age_s": 0,
                "kind": "flow",
                "rule": 2,
                "original": {
                    "src": "10.10.0.10", "dst": "8.8.8.8", "sport": 5353, "dport": 53, "packets": 3, "bytes": 180
                },
                "reply": {
                    "src": "8.8.8.8", "dst": "192.168.0.108", "sport": 53, "dport": 1024, "packets": 2, "bytes": 120
                },
            })
        );
        assert_eq!(value["flows"][1]["state"], "SYN_SENT");
        assert_eq!(text.lines().filter(|line| line.contains("\"protocol\"")).count(), 2, "{text}");
    }

    #[test]
    fn no_flows_are_an_empty_list() {
        assert_eq!(written(&[]).1["flows"], json!([]));
    }
}
