//! One flow in the reader's terms.

use std::net::Ipv4Addr;

use netlab_common::abi::clock;
use netlab_common::abi::config::Config;
use netlab_common::abi::flow::{Flow, Kind, NO_RULE, Tuple, life};
use netlab_common::conntrack::{state, timeout};
use netlab_common::net::protocol::TCP;

/// What is needed to tell how long a flow has been and will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Now, in ticks of the lab's clock.
    pub now: u32,
    /// The lab's settings.
    pub config: Config,
}

/// One flow, as of when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// IP protocol number.
    pub protocol: u8,
    /// The state's name, in conntrack's words.
    pub state: &'static str,
    /// Whether the answering side was heard.
    pub replied: bool,
    /// Whether both sides have shown that they want the flow, and it lives: then nothing evicts it.
    pub assured: bool,
    /// Whether they have ever shown it.
    pub proven: bool,
    /// Seconds until it ends if nothing comes.
    pub expires_s: u64,
    /// Seconds since it was made.
    pub age_s: u64,
    /// What it is.
    pub kind: Kind,
    /// The rule that made it, if one did.
    pub rule: Option<u32>,
    /// The opener's packets as they arrive.
    pub original: TupleView,
    /// The answers as they arrive.
    pub reply: TupleView,
    /// Packets by direction.
    pub packets: [u64; 2],
    /// Bytes from the IP header on, by direction.
    pub bytes: [u64; 2],
}

/// A tuple in the reader's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TupleView {
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// Source port, or echo identifier.
    pub sport: u16,
    /// Destination port, or echo identifier.
    pub dport: u16,
}

impl From<&Tuple<4>> for TupleView {
    fn from(tuple: &Tuple<4>) -> Self {
        TupleView {
            src: tuple.src.into(),
            dst: tuple.dst.into(),
            sport: u16::from_be_bytes(tuple.sport),
            dport: u16::from_be_bytes(tuple.dport),
        }
    }
}

/// A flow for the reader, or `None` for one that is over at that moment or was made after it.
///
/// What was made since a listing began may be a flow that it has shown already, in another slot.
pub(super) fn view(flow: &Flow<4>, moment: &Moment) -> Option<View> {
    let left = time_left(flow, moment)?;
    let age = moment.now.wrapping_sub(flow.head.created);
    if (age as i32) < 0 {
        return None;
    }
    Some(shown(flow, left, age))
}

/// A flow whose keys are there, whether or not its time is up: its opener could still begin it anew.
pub(super) fn held(flow: &Flow<4>) -> Option<View> {
    matches!(flow.head.life, life::LIVE | life::DYING).then(|| shown(flow, 0, 0))
}

fn shown(flow: &Flow<4>, left: u32, age: u32) -> View {
    let status = flow.head.status();
    let protocol = status.protocol;
    let kind = match status.kind {
        kind if kind == Kind::Host as u8 => Kind::Host,
        kind if kind == Kind::Mapping as u8 => Kind::Mapping,
        _ => Kind::Flow,
    };
    View {
        protocol,
        state: if status.is_mapping() { "MAPPING" } else { state::name(protocol, status.state) },
        replied: status.state & state::REPLIED != 0,
        assured: state::is_assured(protocol, status.state) && kind == Kind::Flow,
        proven: status.state & (if protocol == TCP { state::ESTABLISHED } else { state::REPLIED }) != 0,
        expires_s: clock::to_seconds(left).into(),
        age_s: clock::to_seconds(age).into(),
        kind,
        rule: (status.rule != NO_RULE).then_some(status.rule),
        original: (&flow.head.original).into(),
        reply: (&flow.head.reply).into(),
        packets: flow.counters.packets,
        bytes: flow.counters.bytes,
    }
}

/// Ticks until a live flow ends; `None` for one that is over. A mapping lives as long as a flow uses it, and
/// then for its quarantine.
fn time_left(flow: &Flow<4>, moment: &Moment) -> Option<u32> {
    let status = flow.head.status();
    if !matches!(status.life, life::LIVE | life::FORMING) {
        return None;
    }
    let idle = clock::since(moment.now, flow.counters.last_seen);
    if status.is_mapping() {
        let quarantine = moment.config.quarantine;
        return if status.users > 0 { Some(quarantine) } else { quarantine.checked_sub(idle) };
    }
    let timeout = moment.config.timeouts[timeout::of(status.protocol, status.state) as usize];
    timeout.checked_sub(idle).filter(|left| *left > 0)
}

#[cfg(test)]
mod tests {
    use netlab_common::abi::clock::from_seconds;
    use netlab_common::abi::flow::{Kind, life};
    use netlab_common::conntrack::state;

    use super::super::samples::{NOW, icmp, moment, tcp, udp};
    use super::view;

    #[test]
    fn a_flow_says_how_long_it_has_been_and_will_be() {
        let mut flow = tcp();
        flow.head.created = NOW - from_seconds(90);
        flow.counters.last_seen = NOW - from_seconds(40);
        let seen = view(&flow, &moment()).unwrap();
        assert_eq!(seen.state, "ESTABLISHED");
        assert!((90..=91).contains(&seen.age_s), "{}", seen.age_s);
        assert!((7_399..=7_401).contains(&seen.expires_s), "{}", seen.expires_s);
    }

    #[test]
    fn what_is_over_or_made_after_the_look_is_not_seen() {
        for word in [life::DYING, life::DOOMED, life::ENDING, life::FREE] {
            let mut over = tcp();
            over.head.life = word;
            assert_eq!(view(&over, &moment()), None);
        }
        let mut idle = udp();
        idle.counters.last_seen = NOW - from_seconds(300);
        assert_eq!(view(&idle, &moment()), None);
        let mut later = tcp();
        later.head.created = NOW + 1;
        assert_eq!(view(&later, &moment()), None);
        later.head.created = NOW;
        assert!(view(&later, &moment()).is_some());
    }

    #[test]
    fn a_mapping_is_seen_as_one_for_as_long_as_a_flow_uses_it() {
        let mut mapping = udp();
        mapping.head.kind = Kind::Mapping as u8;
        mapping.counters.last_seen = NOW - from_seconds(60);
        assert_eq!(view(&mapping, &moment()), None);
        mapping.head.users = 1;
        assert_eq!(view(&mapping, &moment()).unwrap().state, "MAPPING");
    }

    #[test]
    fn tcp_is_assured_once_established_and_the_others_once_answered() {
        let assured = |mut flow: netlab_common::abi::flow::Flow<4>, bits| {
            flow.head.state = bits;
            view(&flow, &moment()).unwrap().assured
        };
        assert!(!assured(tcp(), state::REPLIED | state::SYN_ANSWERED));
        assert!(assured(tcp(), state::REPLIED | state::SYN_ANSWERED | state::ESTABLISHED));
        assert!(!assured(tcp(), state::ESTABLISHED | state::FINS), "a connection that is over");
        assert!(!assured(udp(), 0));
        assert!(assured(udp(), state::REPLIED));
        assert!(assured(icmp(), state::REPLIED));
    }
}
