//! The flow table for reading: two lines a flow, in columns as wide as what stands in them.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::iter::repeat_n;

use netlab_common::net::protocol;

use super::{RuleName, number, protocol_name};
use crate::conntrack::{TupleView, View};
use crate::lab::Lab;
use crate::output::size;

const COLUMNS: usize = 6;
const HEADER: [&str; COLUMNS] = ["PROTO", "STATE", "ORIGINAL / REPLY", "PKTS", "BYTES", "RULE"];
/// The columns of numbers, which are right-aligned.
const NUMBERS: [bool; COLUMNS] = [false, false, false, true, true, false];
/// Blanks before each column: one where the header makes it wider than what mostly stands there, so that two
/// common addresses fit a line of 80.
const GAPS: [usize; COLUMNS] = [0, 1, 2, 1, 2, 2];

/// One line's cells. They are filled anew for each line, so that a long table needs no more memory than a
/// short one.
#[derive(Default)]
struct Line {
    cells: [String; COLUMNS],
    padded: String,
}

impl Line {
    /// The opener's packets as they arrive, and what is said of the flow.
    fn original(&mut self, lab: &Lab, flow: &View) {
        self.clear();
        let [proto, state, tuple, packets, bytes, rule] = &mut self.cells;
        proto.push_str(&protocol_name(flow.protocol));
        state.push_str(flow.state);
        write_tuple(tuple, flow.protocol, &flow.original);
        push(packets, format_args!("{}", flow.packets[0]));
        push(bytes, format_args!("{}", size(flow.bytes[0])));
        push(rule, format_args!("{}", RuleName(lab, flow.rule)));
    }

    /// The answers as they arrive, and for how long they may be absent.
    fn reply(&mut self, flow: &View) {
        self.clear();
        let [_, state, tuple, packets, bytes, _] = &mut self.cells;
        push(state, format_args!("{} s", flow.expires_s));
        write_tuple(tuple, flow.protocol, &flow.reply);
        push(packets, format_args!("{}", flow.packets[1]));
        push(bytes, format_args!("{}", size(flow.bytes[1])));
    }

    fn clear(&mut self) {
        self.cells.iter_mut().for_each(String::clear);
    }

    fn widen(&self, widths: &mut [usize; COLUMNS]) {
        for (width, cell) in widths.iter_mut().zip(&self.cells) {
            *width = cell.len().max(*width);
        }
    }

    fn write(&mut self, out: &mut impl Write, widths: &[usize; COLUMNS]) -> io::Result<()> {
        self.padded.clear();
        for (column, cell) in self.cells.iter().enumerate() {
            let padding = widths[column].saturating_sub(cell.len());
            let (before, after) = if NUMBERS[column] { (padding, 0) } else { (0, padding) };
            self.padded.extend(repeat_n(' ', GAPS[column] + before));
            self.padded.push_str(cell);
            self.padded.extend(repeat_n(' ', after));
        }
        writeln!(out, "{}", self.padded.trim_end())
    }
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _ = text.write_fmt(arguments);
}

/// `a:1 > b:2`; for an echo, whose one number is an identifier, `a > b id 7`.
fn write_tuple(text: &mut String, number: u8, tuple: &TupleView) {
    let TupleView { src, dst, sport, dport } = tuple;
    if number == protocol::ICMP {
        push(text, format_args!("{src} > {dst} id {}", sport.max(dport)));
    } else {
        push(text, format_args!("{src}:{sport} > {dst}:{dport}"));
    }
}

/// Writes the flows and their number. They are gone through twice, first for the columns' widths; a flow that
/// comes or grows in between may stand out of line.
///
/// # Errors
/// What the writer says.
pub fn write_table(
    out: &mut impl Write,
    lab: &Lab,
    flows: impl Iterator<Item = View> + Clone,
) -> io::Result<()> {
    let mut line = Line::default();
    let mut widths = HEADER.map(str::len);
    for flow in flows.clone() {
        line.original(lab, &flow);
        line.widen(&mut widths);
        line.reply(&flow);
        line.widen(&mut widths);
    }
    let mut count = 0;
    for flow in flows {
        if count == 0 {
            line.cells = HEADER.map(str::to_owned);
            line.write(out, &widths)?;
        }
        count += 1;
        line.original(lab, &flow);
        line.write(out, &widths)?;
        line.reply(&flow);
        line.write(out, &widths)?;
    }
    writeln!(out, "{}", number(count))
}

/// The same as text, for few flows.
pub fn table_of(lab: &Lab, flows: &[View]) -> String {
    let mut text = Vec::new();
    // Writing into memory cannot fail.
    let _ = write_table(&mut text, lab, flows.iter().copied());
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use netlab_common::conntrack::state;

    use super::table_of;
    use crate::conntrack::samples::{icmp, seen, tcp, udp};
    use crate::lab::{Lab, parse};

    fn lab() -> Lab {
        parse("lab.toml", include_str!("../../../../examples/4-internet.toml")).expect("the example is right")
    }

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let flows = [seen(udp(), state::REPLIED), seen(icmp(), 0)];
        assert_eq!(
            table_of(&lab(), &flows),
            "\
PROTO STATE      ORIGINAL / REPLY                PKTS  BYTES  RULE
udp   REPLIED    10.10.0.10:5353 > 8.8.8.8:53       3  180 B  fwd 2
      300 s      8.8.8.8:53 > 192.168.0.108:1024    2  120 B
icmp  UNREPLIED  10.10.0.10 > 8.8.8.8 id 77         3  180 B  fwd 2
      60 s       8.8.8.8 > 192.168.0.108 id 77      2  120 B
2 flows
"
        );
    }

    #[test]
    fn common_addresses_fit_eighty_columns() {
        let mut flow = seen(tcp(), state::REPLIED | state::SYN_ANSWERED | state::ESTABLISHED);
        flow.original.src = [192, 168, 0, 1].into();
        flow.original.sport = 50_686;
        flow.original.dst = [192, 168, 0, 108].into();
        flow.original.dport = 3000;
        flow.packets = [9999; 2];
        flow.bytes = [1 << 50; 2];
        let text = table_of(&lab(), &[flow]);
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    }

    #[test]
    fn no_flows_have_no_header() {
        assert_eq!(table_of(&lab(), &[]), "0 flows\n");
        let one = table_of(&lab(), &[seen(tcp(), 0)]);
        assert!(one.ends_with("\n1 flow\n"), "{one}");
    }
}
