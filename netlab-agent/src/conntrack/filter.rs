//! Which flows a command means. How that is written on the command line is `cli`'s to say.

use std::ops::RangeInclusive;

use ipnet::Ipv4Net;
use netlab_common::net::protocol;

use super::{TupleView, View};

/// All states' names: those of TCP in a connection's order, then those of the other protocols.
pub const STATES: [&str; 9] = netlab_common::conntrack::state::NAMES;

/// What must hold of a flow; what is not given holds of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The IP protocol's number.
    pub protocol: Option<u8>,
    /// The opener's packets as they arrive.
    pub original: TupleFilter,
    /// The answers as they arrive.
    pub reply: TupleFilter,
    /// Any of these, unless there are none.
    pub states: Vec<&'static str>,
    /// The rule that made it.
    pub rule: Option<u32>,
}

/// What must hold of one tuple.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TupleFilter {
    /// Where it comes from.
    pub src: Option<Ipv4Net>,
    /// Where it goes to.
    pub dst: Option<Ipv4Net>,
    /// By which port; an echo has none.
    pub sport: Option<RangeInclusive<u16>>,
    /// To which port.
    pub dport: Option<RangeInclusive<u16>>,
}

impl Filter {
    /// Whether all of it holds of a flow.
    pub fn matches(&self, flow: &View) -> bool {
        let ports = flow.protocol != protocol::ICMP;
        self.protocol.is_none_or(|number| number == flow.protocol)
            && self.rule.is_none_or(|rule| Some(rule) == flow.rule)
            && (self.states.is_empty() || self.states.contains(&flow.state))
            && self.original.matches(&flow.original, ports)
            && self.reply.matches(&flow.reply, ports)
    }
}

impl TupleFilter {
    fn matches(&self, tuple: &TupleView, ports: bool) -> bool {
        let port = |wanted: &Option<RangeInclusive<u16>>, port| {
            wanted.as_ref().is_none_or(|range| ports && range.contains(&port))
        };
        self.src.is_none_or(|net| net.contains(&tuple.src))
            && self.dst.is_none_or(|net| net.contains(&tuple.dst))
            && port(&self.sport, tuple.sport)
            && port(&self.dport, tuple.dport)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use netlab_common::conntrack::state;
    use netlab_common::net::protocol;

    use super::super::samples::{icmp, seen, tcp, udp};
    use super::{Filter, STATES, TupleFilter};

    const ESTABLISHED: u32 = state::REPLIED | state::SYN_ANSWERED | state::ESTABLISHED;

    /// Which of an established TCP, an answered UDP and an unanswered ICMP flow it takes.
    fn takes(filter: &Filter) -> [bool; 3] {
        [seen(tcp(), ESTABLISHED), seen(udp(), state::REPLIED), seen(icmp(), 0)]
            .map(|flow| filter.matches(&flow))
    }

    fn original(side: TupleFilter) -> Filter {
        Filter { original: side, ..Filter::default() }
    }

    fn reply(side: TupleFilter) -> Filter {
        Filter { reply: side, ..Filter::default() }
    }

    #[test]
    fn nothing_given_takes_all() {
        assert_eq!(takes(&Filter::default()), [true; 3]);
    }

    #[test]
    fn protocol_rule_and_states_are_compared() {
        let none = Filter::default;
        assert_eq!(takes(&Filter { protocol: Some(protocol::UDP), ..none() }), [false, true, false]);
        assert_eq!(takes(&Filter { protocol: Some(0), ..none() }), [false; 3]);
        assert_eq!(takes(&Filter { rule: Some(2), ..none() }), [true; 3]);
        assert_eq!(takes(&Filter { rule: Some(0), ..none() }), [false; 3]);
        assert_eq!(takes(&Filter { states: vec!["UNREPLIED"], ..none() }), [false, false, true]);
        assert_eq!(
            takes(&Filter { states: vec!["UNREPLIED", "ESTABLISHED"], ..none() }),
            [true, false, true],
            "any of the states"
        );
    }

    #[test]
    fn addresses_are_compared_by_network_and_side() {
        let net = |text: &str| Some(text.parse().unwrap());
        let side = TupleFilter::default;
        assert_eq!(takes(&original(TupleFilter { src: net("10.10.0.0/16"), ..side() })), [true; 3]);
        assert_eq!(takes(&reply(TupleFilter { src: net("10.10.0.0/16"), ..side() })), [false; 3]);
        assert_eq!(takes(&original(TupleFilter { dst: net("8.8.8.8/32"), ..side() })), [true; 3]);
        assert_eq!(takes(&original(TupleFilter { dst: net("8.8.8.9/32"), ..side() })), [false; 3]);
        assert_eq!(takes(&reply(TupleFilter { dst: net("192.168.0.108/32"), ..side() })), [true; 3]);
        assert_eq!(takes(&reply(TupleFilter { dst: net("0.0.0.0/0"), ..side() })), [true; 3]);
    }

    #[test]
    fn ports_are_compared_by_range_and_side_and_an_echo_has_none() {
        let side = TupleFilter::default;
        assert_eq!(takes(&original(TupleFilter { sport: Some(5353..=5555), ..side() })), [true, true, false]);
        assert_eq!(takes(&original(TupleFilter { sport: Some(77..=77), ..side() })), [false; 3]);
        assert_eq!(takes(&original(TupleFilter { dport: Some(53..=53), ..side() })), [false, true, false]);
        assert_eq!(takes(&reply(TupleFilter { sport: Some(80..=80), ..side() })), [true, false, false]);
        assert_eq!(takes(&reply(TupleFilter { dport: Some(1024..=1024), ..side() })), [false, true, false]);
        assert_eq!(takes(&reply(TupleFilter { dport: Some(0..=65535), ..side() })), [true, true, false]);
    }

    #[test]
    fn all_that_is_given_must_hold() {
        let filter = Filter {
            protocol: Some(protocol::TCP),
            states: vec!["REPLIED"],
            ..original(TupleFilter { dport: Some(80..=80), ..TupleFilter::default() })
        };
        assert_eq!(takes(&filter), [false; 3]);
    }

    #[test]
    fn the_states_are_all_that_a_flow_can_be_in() {
        let names: BTreeSet<&str> = [protocol::TCP, protocol::UDP, protocol::ICMP]
            .iter()
            .flat_map(|number| (0..1 << 16).map(|bits| state::name(*number, bits)))
            .chain(["MAPPING"])
            .collect();
        assert_eq!(names, BTreeSet::from(STATES));
    }
}
