//! Which interfaces established flows may leave by past the host's stack, and how: pure, from what the machine has.
//!
//! The stack is more than a way. What else looks at packets there must not be passed over without the user's will: a
//! firewall, or a capture. So all goes by the stack where a rule of the host's looks at what is forwarded, and where
//! somebody captures all of it. An interface's own queue and captures are not passed over: packets are sent by them. They
//! are not put right into the namespace at a veth's other end, although the kernel could (`bpf_redirect_peer`): there
//! they would overtake what went by the stack a moment ago, and nobody would cut aggregates or fill in checksums.

use std::collections::BTreeMap;

use netlab_common::abi::way::{Exit, exit};

use crate::lab::Bypass;
use crate::netlink::{Link, Peer};

/// What the machine has, as far as it decides.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    /// The lab's ports and its uplink, with what is known of their other ends.
    pub interfaces: Vec<(Link, Option<Peer>)>,
    /// The interface that leads to the world.
    pub uplink: String,
    /// Interfaces that somebody captures on; zero is all of them.
    pub captures: Vec<u32>,
    /// Interfaces that take frames which are no skbs yet.
    pub frames: Vec<u32>,
    /// Where the host's stack takes what comes in by each of them, by index, if it routes that without asking where it
    /// came from.
    pub gates: BTreeMap<u32, Gate>,
    /// The hardware addresses of the bridges that they are ports of, by index.
    pub bridges: BTreeMap<u32, [u8; 6]>,
    /// What of the host's looks at packets that it forwards, in words.
    pub filters: Vec<String>,
    /// What the lab says about that.
    pub bypass: Bypass,
}

/// Where packets to be routed are given to the host's stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// The hardware address that they are for.
    pub mac: [u8; 6],
    /// The interface that the stack sees them on.
    pub index: u32,
}

impl Sight {
    /// Whether somebody captures where packets would not come by any more: on all interfaces, or on one that is not the
    /// lab's, such as a bridge.
    #[must_use]
    pub fn is_captured_between(&self) -> bool {
        let is_known = |index: &u32| self.interfaces.iter().any(|(link, _)| link.index == *index);
        self.captures.iter().any(|index| !is_known(index))
    }

    /// Why every packet goes by the stack, in words that go on from "because"; `None` if established flows do not.
    #[must_use]
    pub fn why_not(&self) -> Option<String> {
        match self.bypass {
            Bypass::Never => return Some("the lab file says `bypass = \"never\"`".into()),
            Bypass::Always => {}
            Bypass::Auto => {
                if let Some(filter) = self.filters.first() {
                    let more = match self.filters.len() {
                        1 => String::new(),
                        all => format!(" and {} more", all - 1),
                    };
                    return Some(format!(
                        "the host has {filter}{more}; `bypass = \"always\"` passes that over"
                    ));
                }
            }
        }
        self.is_captured_between().then(|| "somebody captures between the lab's interfaces".into())
    }

    /// The exits.
    #[must_use]
    pub fn exits(&self) -> BTreeMap<u32, Exit> {
        if self.why_not().is_some() {
            return BTreeMap::new();
        }
        let there = self.interfaces.iter().filter(|(link, _)| link.up && link.header_len == Some(ETHERNET));
        let exits = there.filter_map(|(link, peer)| Some((link.index, self.exit(link, peer.as_ref())?)));
        // Packets leave by these, and come in by bridges too.
        let bridges = self.bridges.iter().map(|(index, own)| (*index, Exit { own: *own, ..Exit::default() }));
        bridges.chain(exits).collect()
    }

    fn exit(&self, link: &Link, peer: Option<&Peer>) -> Option<Exit> {
        let is_uplink = link.name == self.uplink;
        let mut flags = exit::REDIRECT;
        if is_uplink {
            flags |= exit::UPLINK;
        }
        // Frames pass by queues, and by whoever captures where they come in or leave.
        let is_unseen = self.captures.is_empty() && QUICK.contains(&link.queue.as_str());
        if is_unseen && self.frames.contains(&link.index) {
            flags |= exit::FRAMES;
        }
        // A port that is a bridge's gets what the bridge floods, so it must be known for whom it is.
        let neighbour = match (is_uplink || link.master.is_none(), peer) {
            (true, _) => [0; 6],
            (false, Some(peer)) => peer.mac,
            (false, None) => return None,
        };
        let gate = self.gates.get(&link.index);
        let (gate, routed_on) = gate.map_or(([0; 6], 0), |gate| (gate.mac, gate.index));
        Some(Exit { flags, mtu: link.mtu, neighbour, gate, routed_on, own: link.mac, pad: [0; 2] })
    }
}

/// Queues that hold nothing back: what passes by them misses nothing.
const QUICK: [&str; 8] = ["noqueue", "noop", "mq", "pfifo_fast", "pfifo", "bfifo", "fq_codel", "fq"];

/// Bytes of an Ethernet header.
const ETHERNET: u32 = netlab_common::net::eth::LEN as u32;

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str, master: Option<u32>) -> Link {
        Link {
            index,
            name: name.into(),
            alias: None,
            group: 0,
            mac: [2, 0, 0, 0, 1, index as u8],
            master,
            header_len: Some(ETHERNET),
            up: true,
            queue: "noqueue".into(),
            is_plain_bridge: false,
            takes_all: true,
            mtu: 1500,
            peer: Some((0, 2)),
        }
    }

    fn sight() -> Sight {
        let peer = Some(Peer { mac: [2, 0, 0, 0, 0, 9] });
        let interfaces = vec![(link(5, "eth0", None), peer), (link(6, "port", Some(4)), peer)];
        Sight { interfaces, uplink: "eth0".into(), ..Sight::default() }
    }

    #[test]
    fn a_bridges_port_is_for_its_own_node_and_the_uplink_for_whoever_is_there() {
        let exits = sight().exits();
        let flags = exit::REDIRECT | exit::UPLINK;
        assert_eq!(exits[&5], Exit { flags, mtu: 1500, own: [2, 0, 0, 0, 1, 5], ..Exit::default() });
        assert_eq!(exits[&6].neighbour, [2, 0, 0, 0, 0, 9]);
    }

    #[test]
    fn frames_go_where_they_are_taken() {
        let exits = Sight { frames: vec![6], ..sight() }.exits();
        let flags = [exits[&5].flags, exits[&6].flags].map(|flags| flags & !exit::UPLINK);
        assert_eq!(flags, [exit::REDIRECT, exit::REDIRECT | exit::FRAMES]);
    }

    #[test]
    fn frames_go_by_skbs_where_a_queue_holds_them_back_or_somebody_captures() {
        let mut shaped = Sight { frames: vec![5, 6], ..sight() };
        shaped.interfaces[0].0.queue = "tbf".into();
        let exits = shaped.exits();
        assert_eq!([5, 6].map(|index| exits[&index].flags & exit::FRAMES != 0), [false, true]);
        let exits = Sight { captures: vec![6], frames: vec![5, 6], ..sight() }.exits();
        assert!(exits.len() == 2 && exits.values().all(|exit| exit.flags & exit::FRAMES == 0));
    }

    #[test]
    fn packets_come_in_by_the_gate_of_the_bridge_that_an_interface_is_a_port_of() {
        let gates = BTreeMap::from([(6, Gate { mac: [2, 0, 0, 0, 1, 4], index: 4 })]);
        let exits = Sight { gates, ..sight() }.exits();
        assert_eq!((exits[&6].gate, exits[&6].routed_on), ([2, 0, 0, 0, 1, 4], 4));
        assert_eq!((exits[&5].gate, exits[&5].routed_on), ([0; 6], 0));
    }

    #[test]
    fn packets_come_in_by_a_bridge_and_leave_by_its_ports() {
        let bridges = BTreeMap::from([(4, [2, 0, 0, 0, 1, 4])]);
        let exits = Sight { bridges: bridges.clone(), ..sight() }.exits();
        assert_eq!(exits[&4], Exit { own: [2, 0, 0, 0, 1, 4], ..Exit::default() });
        assert_eq!((exits[&6].own, exits.len()), ([2, 0, 0, 0, 1, 6], 3));
        let sight = Sight { bypass: Bypass::Never, bridges, ..sight() };
        assert!(sight.exits().is_empty());
    }

    #[test]
    fn all_goes_by_the_stack_while_somebody_captures_on_a_bridge_or_everywhere() {
        for index in [0, 4] {
            let sight = Sight { captures: vec![index], ..sight() };
            assert!(sight.exits().is_empty());
        }
    }

    #[test]
    fn a_firewall_of_the_hosts_is_passed_over_only_if_the_lab_says_so() {
        let filters = vec!["nft table inet guard, chain forward".to_owned(), "another".to_owned()];
        let with = |bypass| Sight { bypass, filters: filters.clone(), ..sight() };
        assert!(with(Bypass::Auto).exits().is_empty() && !with(Bypass::Always).exits().is_empty());
        assert!(Sight { bypass: Bypass::Never, ..sight() }.exits().is_empty());
        let why = with(Bypass::Auto).why_not().expect("there is a reason");
        assert!(why.contains("nft table inet guard, chain forward and 1 more"), "{why}");
    }

    #[test]
    fn a_bridges_port_without_a_known_neighbour_and_a_link_that_is_down_are_no_exits() {
        let mut sight = sight();
        sight.interfaces[0].0.up = false;
        sight.interfaces[1].1 = None;
        assert!(sight.exits().is_empty());
    }
}
