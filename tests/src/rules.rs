//! Rules by builder, the same for the host's tables and for the maps: who is masqueraded behind what, what
//! is forwarded where and for whom, whose an address is, and the lab's settings.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::RangeInclusive;

use netlab_common::abi::clock;
use netlab_common::abi::config::{Config, Timeout, flag};
use netlab_common::abi::port::{Shard, WORDS};
use netlab_common::abi::rule::{
    Filtering, Forward, ForwardKey, ForwardPort, Mapping, MasqueradeTarget, TARGETS, Target, Zone,
};
use netlab_common::abi::way::{Exit, exit};
use netlab_common::fake::MemTables;

/// The host's address that nodes know the way to.
const NEAR: [u8; 4] = [10, 10, 0, 1];

/// An address and how many of its bits count.
pub type Prefix = ([u8; 4], u8);

/// A lab's rules. Each rule's counters are found by its place in the order in which rules were added.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Flows there is room for.
    pub room: u32,
    /// The settings.
    pub config: Config,
    /// Who is hidden behind what.
    pub masquerades: Vec<(Prefix, MasqueradeTarget<4>)>,
    /// Which ports are forwarded by which rule.
    pub forward_ports: Vec<(ForwardKey<4>, ForwardPort)>,
    /// Forwards, with their rule.
    pub forwards: Vec<(u32, Forward<4>)>,
    /// Who may use which restricted forward.
    pub allow: Vec<(u32, Prefix)>,
    /// Whose an address is.
    pub zones: Vec<(Prefix, Zone)>,
    /// Addresses of nodes that have several, and the nodes' numbers.
    pub nodes: Vec<([u8; 4], u16)>,
    /// Interfaces on which nodes' packets arrive, and the host's addresses there.
    pub interfaces: Vec<(u32, [u8; 4])>,
    /// By which interfaces packets may leave past the host's stack.
    pub exits: Vec<(u32, Exit)>,
    /// What the port bitmaps hold at the start.
    pub ports: Shard,
}

/// The host's hardware address, by which packets come in that it is to route.
pub const DOOR: [u8; 6] = [2, 0, 0, 0, 0, 1];

impl Rules {
    /// No rules, and room for 64 flows. Nodes are in `10.10.0.0/16`; the host has `10.10.0.1` there and
    /// `192.168.0.108` on the uplink.
    #[must_use]
    pub fn none() -> Self {
        Rules {
            room: 64,
            config: Config::for_flows(64),
            masquerades: vec![],
            forward_ports: vec![],
            forwards: vec![],
            allow: vec![],
            zones: vec![],
            nodes: vec![],
            interfaces: vec![],
            exits: vec![],
            ports: Shard { words: [0; WORDS], scanned: 0, pad: 0 },
        }
        .zone("10.10.0.0/16", Zone::Nodes)
        .zone("10.10.0.1/32", Zone::Host)
        .zone("192.168.0.108/32", Zone::Host)
    }

    /// Rule 0 and no other: the nodes are masqueraded. Where a port is taken there is one more to choose,
    /// 40000, so that every run chooses the same.
    #[must_use]
    pub fn masquerading() -> Self {
        Rules::none().masquerade("10.10.0.0/16", "192.168.0.108", 40_000..=40_000)
    }

    /// Room for so many flows, and the limits that follow from it.
    #[must_use]
    pub fn room(self, room: u32) -> Self {
        let Config { per_source, shard_mask, source_mask, .. } = Config::for_flows(room);
        Rules { room, ..self }.with(|config| {
            config.per_source = per_source;
            config.shard_mask = shard_mask;
            config.source_mask = source_mask;
        })
    }

    /// One more masquerade. A port outside the range is kept where it is free.
    #[must_use]
    pub fn masquerade(self, from: &str, behind: &str, ports: RangeInclusive<u16>) -> Self {
        self.pool(from, behind, 1, ports)
    }

    /// One more masquerade, behind so many addresses from the first on.
    #[must_use]
    pub fn pool(mut self, from: &str, first: &str, addresses: u32, ports: RangeInclusive<u16>) -> Self {
        let target = MasqueradeTarget {
            address: address(first),
            addresses,
            first_port: *ports.start(),
            last_port: *ports.end(),
            rule: self.count(),
            mapping: Mapping::EndpointDependent as u8,
            filtering: Filtering::AddressAndPortDependent as u8,
            keep_any: 1,
            pad: 0,
        };
        self.masquerades.push((prefix(from), target));
        self
    }

    /// The last masquerade keeps no port outside its range.
    #[must_use]
    pub fn within_range(mut self) -> Self {
        self.last_masquerade().keep_any = 0;
        self
    }

    /// The last masquerade's mappings are endpoint-independent, with this filtering.
    #[must_use]
    pub fn mapping(mut self, filtering: Filtering) -> Self {
        let target = self.last_masquerade();
        target.mapping = Mapping::EndpointIndependent as u8;
        target.filtering = filtering as u8;
        self.with(|config| config.flags |= flag::MAPPINGS)
    }

    /// One more forward, from `address:port` of the host to `address:port` of a node; `0.0.0.0` is any of
    /// the host's addresses.
    #[must_use]
    pub fn forward(self, protocol: u8, from: &str, to: &str) -> Self {
        self.targets(protocol, from, &[to])
    }

    /// One more forward, to several nodes in turn.
    #[must_use]
    pub fn targets(self, protocol: u8, from: &str, to: &[&str]) -> Self {
        self.range(protocol, from, 1, to)
    }

    /// One more forward, of so many ports from the one in `from` on. `to` has the nodes' ports for the first.
    #[must_use]
    pub fn range(mut self, protocol: u8, from: &str, ports: u16, to: &[&str]) -> Self {
        let (from, rule) = (endpoint(from), self.count());
        for offset in 0..ports {
            let port = (from.port() + offset).to_be_bytes();
            let key = ForwardKey { address: from.ip().octets(), port, protocol, pad: 0 };
            self.forward_ports.push((key, ForwardPort { rule, offset, pad: 0 }));
        }
        let mut targets = [Target { address: [0; 4], near: [0; 4], port: 0, node: 0 }; TARGETS];
        for (target, to) in targets.iter_mut().zip(to) {
            let to = endpoint(to);
            *target = Target { address: to.ip().octets(), near: NEAR, port: to.port(), node: 0 };
        }
        let forward = Forward { targets, count: to.len() as u32, restricted: 0, turn: 0, pad: 0 };
        self.forwards.push((rule, forward));
        self
    }

    /// The last forward is for sources in these prefixes only.
    ///
    /// # Panics
    /// When there is no forward yet.
    #[must_use]
    pub fn allow(mut self, sources: &[&str]) -> Self {
        let (rule, forward) = self.forwards.last_mut().expect("a forward comes before its allow list");
        forward.restricted = 1;
        let rule = *rule;
        self.allow.extend(sources.iter().map(|source| (rule, prefix(source))));
        self
    }

    /// One more zone.
    #[must_use]
    pub fn zone(mut self, around: &str, zone: Zone) -> Self {
        self.zones.push((prefix(around), zone));
        self
    }

    /// These are one node's addresses, to one of which a forward leads that is there already.
    #[must_use]
    pub fn one_node(mut self, addresses: &[&str]) -> Self {
        const NUMBER: u16 = 7;
        self.nodes = addresses.iter().map(|at| (address(at), NUMBER)).collect();
        for target in self.forwards.iter_mut().flat_map(|(_, forward)| &mut forward.targets) {
            if self.nodes.iter().any(|(at, _)| *at == target.address) {
                target.node = NUMBER;
            }
        }
        self
    }

    /// One more interface on which nodes' packets arrive, with the host's address there.
    #[must_use]
    pub fn interface(mut self, index: u32, at: &str) -> Self {
        self.interfaces.push((index, address(at)));
        self
    }

    /// Packets may leave past the host's stack by the one interface that there is in a run of a program, if they have
    /// 1,500 bytes or fewer.
    #[must_use]
    pub fn crossing(mut self) -> Self {
        let flags = exit::REDIRECT | exit::FRAMES;
        self.exits.push((1, Exit { flags, mtu: 1500, ..Exit::default() }));
        // To a run's own packets, it is interface number zero that they have come in by.
        self.exits.push((0, Exit { own: DOOR, ..Exit::default() }));
        self
    }

    /// The agent's epoch: long ago.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        u32::from(!self.exits.is_empty())
    }

    /// Every port but this one is marked as in use, so that every run chooses the same one where a rule names
    /// no range. What a flow wants to keep it can keep all the same.
    #[must_use]
    pub fn one_port(mut self, port: u16) -> Self {
        self.ports.words = [u64::MAX; WORDS];
        self.ports.words[usize::from(port >> 6)] &= !(1 << (port & 63));
        self
    }

    /// Another timeout.
    #[must_use]
    pub fn timeout(self, of: Timeout, seconds: u32) -> Self {
        self.with(|config| config.timeouts[of as usize] = clock::from_seconds(seconds))
    }

    /// Another quarantine, in seconds.
    #[must_use]
    pub fn quarantine(self, seconds: u32) -> Self {
        self.with(|config| config.quarantine = clock::from_seconds(seconds))
    }

    /// Another limit of a source's flows. [`room`](Self::room) sets it too, and so comes before.
    #[must_use]
    pub fn per_source(self, flows: u32) -> Self {
        self.with(|config| config.per_source = flows)
    }

    /// Connections are taken up in the middle.
    #[must_use]
    pub fn pickup(self) -> Self {
        self.with(|config| config.flags |= flag::PICKUP)
    }

    /// Ticks that the clock is ahead.
    #[must_use]
    pub fn clock_offset(self, ticks: u32) -> Self {
        self.with(|config| config.clock_offset = ticks)
    }

    fn with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    fn last_masquerade(&mut self) -> &mut MasqueradeTarget<4> {
        &mut self.masquerades.last_mut().expect("a masquerade comes before its options").1
    }

    /// How many rules there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        (self.masquerades.len() + self.forwards.len()) as u32
    }

    /// The host's tables with these rules.
    #[must_use]
    pub fn tables(&self) -> MemTables {
        let mut tables = MemTables::with_capacity(self.room);
        tables.config.set(self.config);
        tables.forward_ports = self.forward_ports.iter().copied().collect();
        tables.forwards.replace(self.forwards.iter().copied().collect());
        tables.allow = self.allow.iter().map(|(rule, (at, len))| (*rule, *at, *len)).collect();
        tables.masquerades = self.masquerades.iter().map(|((at, len), to)| (*at, *len, *to)).collect();
        tables.zones = self.zones.iter().map(|((at, len), zone)| (*at, *len, *zone)).collect();
        tables.nodes = self.nodes.iter().copied().collect();
        tables.interfaces = self.interfaces.iter().copied().collect();
        tables.exits.replace(self.exits.iter().copied().collect());
        tables.epoch.set(self.epoch());
        tables.ports.borrow_mut().fill(self.ports);
        tables
    }
}

fn address(text: &str) -> [u8; 4] {
    text.parse::<Ipv4Addr>().unwrap_or_else(|_| panic!("`{text}` is no address")).octets()
}

fn endpoint(text: &str) -> SocketAddrV4 {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is no address and port"))
}

fn prefix(text: &str) -> Prefix {
    let (start, len) = text.split_once('/').unwrap_or((text, "32"));
    (address(start), len.parse().unwrap_or_else(|_| panic!("`{text}` is no prefix")))
}
