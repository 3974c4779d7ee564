//! Counting flows by what they have in common.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::View;

/// What flows that are counted together have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Their state's name.
    State(&'static str),
    /// The rule that made them; `None` is the host itself.
    Rule(Option<u32>),
    /// The IP protocol's number.
    Protocol(u8),
    /// The address of the side that opened them.
    Source(Ipv4Addr),
}

/// How many flows there are of each kind, the most frequent first.
pub fn tally(flows: impl Iterator<Item = View>, kind: impl Fn(&View) -> Kind) -> Vec<(Kind, u64)> {
    let mut counts = BTreeMap::new();
    for flow in flows {
        *counts.entry(kind(&flow)).or_insert(0) += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| Reverse(*count));
    counts
}

#[cfg(test)]
mod tests {
    use netlab_common::conntrack::state;

    use super::super::samples::{icmp, seen, tcp, udp};
    use super::{Kind, tally};

    #[test]
    fn a_tally_begins_with_the_most_frequent() {
        let flows = [seen(udp(), 0), seen(udp(), state::REPLIED), seen(icmp(), 0), seen(tcp(), 0)];
        assert_eq!(
            tally(flows.into_iter(), |flow| Kind::State(flow.state)),
            [("UNREPLIED", 2), ("REPLIED", 1), ("SYN_SENT", 1)]
                .map(|(name, count)| (Kind::State(name), count))
        );
    }
}
