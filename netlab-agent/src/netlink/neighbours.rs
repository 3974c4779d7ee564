//! Which of the kernel's messages about neighbours are news. It tells each time that it has asked one again whether it is
//! still there, several times a minute; only another address, or another port of a bridge, changes where packets go.

use std::collections::HashMap;
use std::net::IpAddr;

use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

/// Neighbours that are remembered. Whoever has more of them hears of each one that is new.
const ROOM: usize = 65_536;

/// Whom a message is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Whom {
    /// An IP address on an interface.
    Neighbour(u32, IpAddr),
    /// A hardware address behind a bridge, in one of its VLANs.
    Behind(Option<u32>, Vec<u8>, Option<u16>),
}

/// Where that one is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Nowhere,
    Address(Vec<u8>),
    Port(u32),
}

/// What was last heard of each neighbour.
#[derive(Debug, Default)]
pub struct Neighbours(HashMap<Whom, Place>);

impl Neighbours {
    /// Whether a message says anything new that matters to where packets go. What is not about neighbours does.
    pub fn is_news(&mut self, message: &RouteNetlinkMessage) -> bool {
        match message {
            RouteNetlinkMessage::NewNeighbour(neighbour) => self.is_moved(neighbour),
            // Packets ask for it again, and if the answer is another one, that is news.
            RouteNetlinkMessage::DelNeighbour(_) => false,
            _ => true,
        }
    }

    fn is_moved(&mut self, message: &NeighbourMessage) -> bool {
        let Some((whom, place)) = read(message) else { return false };
        if self.0.len() >= ROOM {
            self.0.clear();
        }
        if place == Place::Nowhere && !self.0.contains_key(&whom) {
            return false;
        }
        match self.0.insert(whom, place.clone()) {
            Some(before) => before != place,
            // Where it was before anybody listened, nobody knows. But who was behind another port is not proved there any
            // more: ways go by ports.
            None => !matches!(place, Place::Port(_)),
        }
    }
}

fn read(message: &NeighbourMessage) -> Option<(Whom, Place)> {
    let header = &message.header;
    let hardware = message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(address) => Some(address.clone()),
        _ => None,
    });
    if header.family == AddressFamily::Bridge {
        let bridge = message.attributes.iter().find_map(|attribute| match attribute {
            NeighbourAttribute::Controller(index) => Some(*index),
            _ => None,
        });
        let vlan = message.attributes.iter().find_map(|attribute| match attribute {
            NeighbourAttribute::Vlan(number) => Some(*number),
            _ => None,
        });
        return Some((Whom::Behind(bridge, hardware?, vlan), Place::Port(header.ifindex)));
    }
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => Some(IpAddr::V4(*address)),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    });
    let place = match header.state {
        // It is being asked for; what was known of it is not told.
        NeighbourState::Incomplete => return None,
        NeighbourState::Failed => Place::Nowhere,
        _ => Place::Address(hardware?),
    };
    Some((Whom::Neighbour(header.ifindex, address?), place))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 2];

    fn message(family: AddressFamily, ifindex: u32, state: NeighbourState) -> NeighbourMessage {
        let mut message = NeighbourMessage::default();
        message.header.family = family;
        message.header.ifindex = ifindex;
        message.header.state = state;
        message
    }

    /// What is heard of 10.0.0.1 on interface 3.
    fn heard(state: NeighbourState, mac: Option<[u8; 6]>) -> RouteNetlinkMessage {
        let mut message = message(AddressFamily::Inet, 3, state);
        message.attributes =
            vec![NeighbourAttribute::Destination(NeighbourAddress::Inet([10, 0, 0, 1].into()))];
        message.attributes.extend(mac.map(|mac| NeighbourAttribute::LinkLayerAddress(mac.to_vec())));
        RouteNetlinkMessage::NewNeighbour(message)
    }

    fn behind(port: u32, mac: [u8; 6]) -> RouteNetlinkMessage {
        let mut message = message(AddressFamily::Bridge, port, NeighbourState::Reachable);
        message.attributes =
            vec![NeighbourAttribute::LinkLayerAddress(mac.to_vec()), NeighbourAttribute::Controller(9)];
        RouteNetlinkMessage::NewNeighbour(message)
    }

    #[test]
    fn a_neighbour_is_news_once_and_again_when_its_hardware_address_is_another() {
        use NeighbourState::{Delay, Probe, Reachable, Stale};
        let mut known = Neighbours::default();
        assert!(known.is_news(&heard(Reachable, Some(MAC))));
        for state in [Stale, Delay, Probe, Reachable] {
            assert!(!known.is_news(&heard(state, Some(MAC))), "{state:?}");
        }
        let RouteNetlinkMessage::NewNeighbour(gone) = heard(Stale, Some(MAC)) else { unreachable!() };
        assert!(!known.is_news(&RouteNetlinkMessage::DelNeighbour(gone)));
        assert!(!known.is_news(&heard(NeighbourState::Incomplete, None)));
        assert!(known.is_news(&heard(Reachable, Some(OTHER))));
        assert!(!known.is_news(&heard(Reachable, Some(OTHER))));
    }

    #[test]
    fn a_neighbour_that_does_not_answer_any_more_is_news_and_one_that_never_did_is_none() {
        let mut known = Neighbours::default();
        assert!(!known.is_news(&heard(NeighbourState::Failed, None)));
        assert!(known.is_news(&heard(NeighbourState::Reachable, Some(MAC))));
        assert!(known.is_news(&heard(NeighbourState::Failed, None)));
        assert!(!known.is_news(&heard(NeighbourState::Failed, None)));
    }

    #[test]
    fn what_moves_to_another_port_of_a_bridge_is_news() {
        let mut known = Neighbours::default();
        assert!(!known.is_news(&behind(4, MAC)) && !known.is_news(&behind(5, OTHER)));
        assert!(!known.is_news(&behind(4, MAC)));
        assert!(known.is_news(&behind(5, MAC)));
    }

    #[test]
    fn all_that_is_not_about_neighbours_is_news() {
        assert!(Neighbours::default().is_news(&RouteNetlinkMessage::NewRoute(Default::default())));
    }
}
