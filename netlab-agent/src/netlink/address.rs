//! Verbs on interface addresses: add and list.

use std::net::IpAddr;

use ipnet::IpNet;
use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{Netlink, NetlinkError};

/// An address and the interface that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// Index of the interface.
    pub index: u32,
    /// The address with its prefix length.
    pub address: IpNet,
}

impl Netlink {
    /// Adds an address to an interface. An IPv6 address is usable at once: a lab knows that its addresses
    /// are not taken, so nothing waits for duplicate address detection.
    pub async fn add_address(&self, index: u32, address: IpNet) -> Result<(), NetlinkError> {
        let mut message = AddressMessage::default();
        message.header.index = index;
        message.header.prefix_len = address.prefix_len();
        message.header.family = family(address.addr());
        match address.addr() {
            IpAddr::V4(v4) if v4.is_loopback() => message.header.scope = AddressScope::Host,
            IpAddr::V4(_) => {}
            IpAddr::V6(_) => message.header.flags = AddressHeaderFlags::Nodad,
        }
        message.attributes =
            vec![AddressAttribute::Local(address.addr()), AddressAttribute::Address(address.addr())];
        self.create(RouteNetlinkMessage::NewAddress(message)).await
    }

    /// All addresses of the namespace, both families.
    pub async fn addresses(&self) -> Result<Vec<InterfaceAddress>, NetlinkError> {
        let mut addresses = Vec::new();
        self.dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()), |answer| {
            if let RouteNetlinkMessage::NewAddress(message) = answer {
                addresses.extend(interface_address(&message));
            }
        })
        .await?;
        Ok(addresses)
    }
}

/// The kernel's number of an address's family.
pub(super) fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn interface_address(message: &AddressMessage) -> Option<InterfaceAddress> {
    let mut found = None;
    for attribute in &message.attributes {
        match attribute {
            // On a point-to-point link `Address` is the other side; `Local` is ours wherever it is given.
            AddressAttribute::Local(address) => {
                found = Some(*address);
                break;
            }
            AddressAttribute::Address(address) => found = Some(*address),
            _ => {}
        }
    }
    let address = IpNet::new(found?, message.header.prefix_len).ok()?;
    Some(InterfaceAddress { index: message.header.index, address })
}
