//! The flow table: for reading, for programs, and in conntrack-tools' words. Each is written flow by flow,
//! because there may be a million of them.

mod conntrack;
mod counts;
mod json;
mod table;

use std::borrow::Cow;
use std::fmt;

use netlab_common::net::protocol;

use crate::lab::Lab;

pub use conntrack::write_conntrack;
pub use counts::{count_json, count_table, ended_json, total};
pub use json::write_json;
pub use table::{table_of, write_table};

fn protocol_name(number: u8) -> Cow<'static, str> {
    match number {
        protocol::TCP => "tcp".into(),
        protocol::UDP => "udp".into(),
        protocol::ICMP => "icmp".into(),
        other => other.to_string().into(),
    }
}

/// What made the flow: `masq` or `fwd`, with its number in `masquerade ls` or `forward ls`, or the host itself.
struct RuleName<'a>(&'a Lab, Option<u32>);

impl fmt::Display for RuleName<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(rule) if self.0.masquerades.iter().any(|masquerade| masquerade.rule == rule) => {
                write!(to, "masq {rule}")
            }
            Some(rule) => write!(to, "fwd {rule}"),
            None => to.write_str("host"),
        }
    }
}

/// A number of flows, in words.
pub fn number(flows: u64) -> String {
    format!("{flows} flow{}", if flows == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::io::{BufWriter, Write, sink};
    use std::time::Instant;

    use super::{write_conntrack, write_json, write_table};
    use crate::conntrack::samples::{shared, tcp, walk};
    use crate::conntrack::{Filter, TupleFilter};
    use crate::lab::parse;

    const FLOWS: u32 = 1_000_000;

    /// Says how long something takes.
    fn time(what: &str, work: impl FnOnce(&mut BufWriter<std::io::Sink>)) {
        let start = Instant::now();
        let mut out = BufWriter::with_capacity(1 << 16, sink());
        work(&mut out);
        out.flush().unwrap();
        println!("{what}: {:?}", start.elapsed());
    }

    #[test]
    #[ignore = "takes seconds, and only prints how long"]
    fn a_million_flows_are_shown_in_this_time() {
        let lab = parse("lab.toml", include_str!("../../../../examples/4-internet.toml")).unwrap();
        let flows: Vec<_> = (0..FLOWS)
            .map(|number| {
                let mut flow = tcp();
                flow.head.original.src = (0x0a0a_0000 + number).to_be_bytes();
                flow.head.original.sport = (number as u16).to_be_bytes();
                flow.counters.bytes = [u64::from(number) * 1000; 2];
                flow
            })
            .collect();
        let slots = shared(&flows);
        let side = TupleFilter { src: Some("10.0.0.0/8".parse().unwrap()), ..TupleFilter::default() };
        let filter = Filter { original: side, states: vec!["ESTABLISHED"], ..Filter::default() };
        let flows = walk(&slots).filter(|flow| filter.matches(flow));
        time("count", |_| assert_eq!(flows.clone().count(), FLOWS as usize));
        time("table", |out| write_table(out, &lab, flows.clone()).unwrap());
        time("json", |out| write_json(out, &lab, flows.clone()).unwrap());
        time("conntrack", |out| {
            assert_eq!(write_conntrack(out, flows.clone()).unwrap(), u64::from(FLOWS));
        });
    }
}
