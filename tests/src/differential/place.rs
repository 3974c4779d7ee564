//! Where the twins' packets come from and go to: ends, addresses, forwards, and talks between two parties. A
//! talk is told by numbers alone, so that a script stays a script when steps are taken out of it.

use netlab_common::net::protocol;

/// An IPv4 address; four numbers, so that a printed step is Rust.
pub type Address = [u8; 4];
/// An address and a port, or an identifier, or nothing.
pub type Endpoint = (Address, u16);

/// The host on its uplink.
pub const UPLINK: Address = [192, 168, 0, 108];
/// The host on the left bridge.
pub const LEFT: Address = [10, 10, 0, 1];
/// The host on the right bridge.
pub const RIGHT: Address = [10, 20, 0, 1];

/// What the world's frames are sent to.
pub const UPLINK_MAC: [u8; 6] = [2, 0, 0, 0, 1, 0];
const LEFT_MAC: [u8; 6] = [2, 0, 0, 0, 1, 1];
const RIGHT_MAC: [u8; 6] = [2, 0, 0, 0, 1, 2];

/// An end of a wire, which the test plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum End {
    /// A node on the left bridge.
    Earth,
    /// Another one there.
    Neptune,
    /// A node on the right bridge.
    Mars,
    /// All addresses beyond the uplink.
    World,
}

impl End {
    /// All of them, in the order of their numbers.
    pub const ALL: [End; 4] = [End::Earth, End::Neptune, End::Mars, End::World];
    /// The nodes among them.
    pub const NODES: [End; 3] = [End::Earth, End::Neptune, End::Mars];

    /// The namespace's name.
    pub fn name(self) -> &'static str {
        ["earth", "neptune", "mars", "world"][self as usize]
    }

    /// The address it has in the lab file.
    pub fn address(self) -> Address {
        [[10, 10, 0, 10], [10, 10, 0, 20], [10, 20, 0, 30], [192, 168, 0, 1]][self as usize]
    }

    /// The largest packet that its wire takes.
    pub fn mtu(self) -> u16 {
        [1500, 1500, 1300, 1400][self as usize]
    }

    /// Its hardware address.
    pub fn mac(self) -> [u8; 6] {
        [2, 0, 0, 0, 0, 10 + self as u8]
    }

    /// The host's hardware address on the same wire.
    pub fn gateway(self) -> [u8; 6] {
        [LEFT_MAC, LEFT_MAC, RIGHT_MAC, UPLINK_MAC][self as usize]
    }
}

/// A hardware address as text.
pub fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// An address as text.
pub fn text(address: Address) -> String {
    std::net::Ipv4Addr::from(address).to_string()
}

/// Ports of the host that lead to a node.
#[derive(Clone, Copy, Debug)]
pub struct Forward {
    /// The host's address, or any of them.
    pub on: Option<Address>,
    /// TCP or UDP.
    pub protocol: u8,
    /// The first and the last port.
    pub ports: (u16, u16),
    /// The node.
    pub target: End,
    /// Where the first port leads.
    pub to: u16,
}

const fn forward(on: Option<Address>, protocol: u8, ports: (u16, u16), target: End, to: u16) -> Forward {
    Forward { on, protocol, ports, target, to }
}

/// Both twins' forwards.
pub const FORWARDS: [Forward; 7] = [
    forward(Some(UPLINK), protocol::UDP, (5353, 5353), End::Earth, 53),
    forward(None, protocol::UDP, (5454, 5454), End::Earth, 53),
    forward(None, protocol::TCP, (8080, 8080), End::Earth, 80),
    forward(Some(UPLINK), protocol::TCP, (9000, 9010), End::Neptune, 9100),
    forward(None, protocol::TCP, (7000, 7000), End::Mars, 70),
    forward(None, protocol::TCP, (5201, 5201), End::Earth, 5201),
    forward(None, protocol::UDP, (5201, 5201), End::Mars, 5201),
];

/// Whether an address is the host's.
pub fn is_hosts(address: Address) -> bool {
    [UPLINK, LEFT, RIGHT].contains(&address)
}

/// Whether an address lies in a network of nodes.
pub fn is_private(address: Address) -> bool {
    matches!(address, [10, 10 | 20, ..])
}

/// Whether it is a broadcast or multicast address.
pub fn is_many(address: Address) -> bool {
    address[0] >= 224 || [[10, 10, 255, 255], [10, 20, 255, 255], [192, 168, 0, 255]].contains(&address)
}

/// Two parties and what they speak. The opener is who sends first, in a script that nothing was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Talk {
    /// Where the opener is.
    pub at: End,
    /// The address that the opener claims.
    pub from: Address,
    /// The address that it speaks to.
    pub to: Address,
    /// The IP protocol's number.
    pub protocol: u8,
    /// The opener's port and the other's; an ICMP query has its identifier first.
    pub ports: (u16, u16),
}

/// A talk's parties as the twins' rules put them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// Who answers, and where: nobody if it is the host, or is nowhere.
    pub far: Option<End>,
    /// The answerer's own endpoint, behind all forwards.
    pub target: Endpoint,
    /// The address that the answerer sees the opener at.
    pub seen: Address,
}

impl Talk {
    /// Where a forward leads this talk.
    pub fn forward(&self) -> Option<(End, u16)> {
        if !is_hosts(self.to) {
            return None;
        }
        let port = self.ports.1;
        FORWARDS
            .iter()
            .find(|forward| {
                forward.protocol == self.protocol
                    && forward.on.is_none_or(|on| on == self.to)
                    && (forward.ports.0..=forward.ports.1).contains(&port)
            })
            .map(|forward| (forward.target, forward.to + port - forward.ports.0))
    }

    /// The parties as the rules put them.
    pub fn path(&self) -> Path {
        if let Some((end, port)) = self.forward() {
            // Who speaks to itself by a forward sees the address that it speaks to.
            let seen = if end.address() == self.from { self.to } else { self.from };
            return Path { far: Some(end), target: (end.address(), port), seen };
        }
        let far = where_is(self.to);
        let hidden = far == Some(End::World) && self.at != End::World && is_private(self.from);
        let seen = if hidden { UPLINK } else { self.from };
        Path { far, target: (self.to, self.ports.1), seen }
    }

    /// Whether the rules change an address of it.
    pub fn is_translated(&self) -> bool {
        self.forward().is_some() || self.path().seen != self.from
    }
}

/// The end to which the host's routes lead, for an address of one host that is not its own.
pub fn where_is(address: Address) -> Option<End> {
    if is_hosts(address) || is_many(address) || address[0] == 0 || address[0] == 127 {
        return None;
    }
    if let Some(node) = End::NODES.into_iter().find(|node| node.address() == address) {
        return Some(node);
    }
    // A wire whose neighbour nobody has told the host of loses the packet.
    let lost = is_private(address) || (address[..3] == [192, 168, 0] && address != End::World.address());
    (!lost).then_some(End::World)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(at: End, to: Address, protocol: u8, port: u16) -> Talk {
        Talk { at, from: at.address(), to, protocol, ports: (4000, port) }
    }

    #[test]
    fn a_node_speaks_to_the_world_behind_the_host() {
        let path = talk(End::Mars, [8, 8, 8, 8], protocol::UDP, 53).path();
        assert_eq!(path, Path { far: Some(End::World), target: ([8, 8, 8, 8], 53), seen: UPLINK });
    }

    #[test]
    fn a_range_leads_port_by_port_and_on_its_address_only() {
        let path = talk(End::World, UPLINK, protocol::TCP, 9003).path();
        assert_eq!((path.far, path.target), (Some(End::Neptune), ([10, 10, 0, 20], 9103)));
        assert_eq!(talk(End::Mars, RIGHT, protocol::TCP, 9003).path().far, None);
    }
}
