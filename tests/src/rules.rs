//! Rules by builder, the same for the host's tables and for the maps: who is masqueraded behind what, what
//! is forwarded where, and whose an address is.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::RangeInclusive;

use netlab_common::abi::rule::{ForwardKey, ForwardTarget, MasqueradeTarget, Zone};
use netlab_common::fake::MemTables;

/// An address and how many of its bits count.
pub type Prefix = ([u8; 4], u8);

/// A lab's rules. Each rule's counters are found by its place in the order in which rules were added.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Flows there is room for.
    pub room: u32,
    /// Who is hidden behind what.
    pub masquerades: Vec<(Prefix, MasqueradeTarget<4>)>,
    /// What is forwarded where.
    pub forwards: Vec<(ForwardKey<4>, ForwardTarget<4>)>,
    /// Whose an address is.
    pub zones: Vec<(Prefix, Zone)>,
}

impl Rules {
    /// No rules, and room for 64 flows. Nodes are in `10.10.0.0/16`; the host has `10.10.0.1` there and
    /// `192.168.0.108` on the uplink.
    #[must_use]
    pub fn none() -> Self {
        Rules { room: 64, masquerades: vec![], forwards: vec![], zones: vec![] }
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

    /// Room for so many flows.
    #[must_use]
    pub fn room(self, room: u32) -> Self {
        Rules { room, ..self }
    }

    /// One more masquerade.
    #[must_use]
    pub fn masquerade(mut self, from: &str, behind: &str, ports: RangeInclusive<u16>) -> Self {
        let target = MasqueradeTarget {
            address: address(behind),
            first_port: *ports.start(),
            last_port: *ports.end(),
            rule: self.count(),
        };
        self.masquerades.push((prefix(from), target));
        self
    }

    /// One more forward, from `address:port` of the host to `address:port` of a node; `0.0.0.0` is any of
    /// the host's addresses.
    #[must_use]
    pub fn forward(mut self, protocol: u8, from: &str, to: &str) -> Self {
        let (from, to) = (endpoint(from), endpoint(to));
        let key =
            ForwardKey { address: from.ip().octets(), port: from.port().to_be_bytes(), protocol, pad: 0 };
        let target = ForwardTarget {
            address: to.ip().octets(),
            port: to.port().to_be_bytes(),
            pad: [0; 2],
            rule: self.count(),
        };
        self.forwards.push((key, target));
        self
    }

    /// One more zone.
    #[must_use]
    pub fn zone(mut self, around: &str, zone: Zone) -> Self {
        self.zones.push((prefix(around), zone));
        self
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
        tables.forwards = self.forwards.iter().copied().collect();
        tables.masquerades = self.masquerades.iter().map(|((at, len), to)| (*at, *len, *to)).collect();
        tables.zones = self.zones.iter().map(|((at, len), zone)| (*at, *len, *zone)).collect();
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
