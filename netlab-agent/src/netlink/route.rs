//! Verbs on routes of the main table: add, delete, list, and find the default route's interface.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType, RouteVia,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use super::address::family;
use super::{Netlink, NetlinkError};

/// The origin written into every route of ours: `ip route` shows it as `proto 110`, and deleting with it
/// cannot hit a route that somebody else made.
const PROTOCOL: RouteProtocol = RouteProtocol::Other(110);

/// A route that is to be added or deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewRoute {
    /// Destination.
    pub to: IpNet,
    /// Next hop.
    pub via: Option<IpAddr>,
    /// Index of the outgoing interface.
    pub interface: Option<u32>,
}

/// A route as the kernel lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteEntry {
    /// Destination.
    pub to: IpNet,
    /// Index of the outgoing interface, where there is exactly one.
    pub interface: Option<u32>,
    /// Lower is preferred.
    pub metric: u32,
}

impl Netlink {
    /// Adds a route.
    pub async fn add_route(&self, route: NewRoute) -> Result<(), NetlinkError> {
        self.create(RouteNetlinkMessage::NewRoute(message(route))).await
    }

    /// Deletes a route that `add_route` made.
    pub async fn delete_route(&self, route: NewRoute) -> Result<(), NetlinkError> {
        self.change(RouteNetlinkMessage::DelRoute(message(route)), 0).await
    }

    /// The main table's unicast routes, both families.
    pub async fn routes(&self) -> Result<Vec<RouteEntry>, NetlinkError> {
        let mut routes = Vec::new();
        self.dump(RouteNetlinkMessage::GetRoute(RouteMessage::default()), |answer| {
            if let RouteNetlinkMessage::NewRoute(message) = answer {
                routes.extend(entry(&message));
            }
        })
        .await?;
        Ok(routes)
    }

    /// Indexes of the interfaces with an IPv4 default route in any table: the ways out, also those that only policy
    /// rules lead to.
    pub async fn ways_out(&self) -> Result<BTreeSet<u32>, NetlinkError> {
        let mut ways = BTreeSet::new();
        self.dump(RouteNetlinkMessage::GetRoute(RouteMessage::default()), |answer| {
            if let RouteNetlinkMessage::NewRoute(message) = answer
                && message.header.destination_prefix_length == 0
                && message.header.address_family == AddressFamily::Inet
                && message.header.kind == RouteType::Unicast
            {
                ways.extend(message.attributes.iter().filter_map(|attribute| match attribute {
                    RouteAttribute::Oif(index) => Some(*index),
                    _ => None,
                }));
            }
        })
        .await?;
        Ok(ways)
    }

    /// Index of the interface with the preferred IPv4 default route.
    pub async fn default_interface(&self) -> Result<Option<u32>, NetlinkError> {
        let routes = self.routes().await?;
        let defaults = routes.iter().filter(|route| route.to.prefix_len() == 0 && route.to.addr().is_ipv4());
        Ok(defaults
            .filter_map(|route| route.interface.map(|index| (route.metric, index)))
            .min_by_key(|(metric, _)| *metric)
            .map(|(_, index)| index))
    }
}

fn message(route: NewRoute) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(route.to.addr());
    message.header.destination_prefix_length = route.to.prefix_len();
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = PROTOCOL;
    message.header.kind = RouteType::Unicast;
    message.header.scope = match route.via {
        None if route.to.addr().is_ipv4() => RouteScope::Link,
        _ => RouteScope::Universe,
    };
    if route.to.prefix_len() > 0 {
        message.attributes.push(RouteAttribute::Destination(route.to.network().into()));
    }
    message.attributes.extend(route.via.map(|via| match via {
        // A next hop of the other family has an attribute of its own (IPv4 over IPv6, RFC 5549).
        IpAddr::V6(hop) if route.to.addr().is_ipv4() => RouteAttribute::Via(RouteVia::Inet6(hop)),
        IpAddr::V4(hop) if route.to.addr().is_ipv6() => RouteAttribute::Via(RouteVia::Inet(hop)),
        hop => RouteAttribute::Gateway(hop.into()),
    }));
    message.attributes.extend(route.interface.map(RouteAttribute::Oif));
    message
}

fn entry(message: &RouteMessage) -> Option<RouteEntry> {
    if message.header.kind != RouteType::Unicast {
        return None;
    }
    let mut table = u32::from(message.header.table);
    let mut address = match u8::from(message.header.address_family) {
        family if i32::from(family) == libc::AF_INET => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        family if i32::from(family) == libc::AF_INET6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let (mut interface, mut metric) = (None, 0);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::Destination(RouteAddress::Inet(v4)) => address = IpAddr::V4(*v4),
            RouteAttribute::Destination(RouteAddress::Inet6(v6)) => address = IpAddr::V6(*v6),
            RouteAttribute::Oif(index) => interface = Some(*index),
            RouteAttribute::Priority(priority) => metric = *priority,
            _ => {}
        }
    }
    if table != u32::from(RouteHeader::RT_TABLE_MAIN) {
        return None;
    }
    let to = IpNet::new(address, message.header.destination_prefix_length).ok()?;
    Some(RouteEntry { to, interface, metric })
}
