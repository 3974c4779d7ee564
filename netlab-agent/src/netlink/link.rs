//! Verbs on interfaces: make veth pairs and bridges, change, list and delete links.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{
    BridgePortState, InfoBridge, InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoVeth, LinkAttribute,
    LinkExtentMask, LinkFlags, LinkInfo, LinkLayerType, LinkMessage,
};

use netlab_common::net::eth;

use super::{Netlink, NetlinkError};

/// One end of a veth pair that is to be made.
#[derive(Clone, Copy, Debug)]
pub struct VethEnd<'a> {
    /// Interface name.
    pub name: &'a str,
    /// The namespace it is made in, at once and not by a later move.
    pub namespace: BorrowedFd<'a>,
    /// Hardware address; the kernel draws one otherwise.
    pub mac: Option<[u8; 6]>,
    /// MTU in bytes.
    pub mtu: Option<u32>,
    /// Device group.
    pub group: Option<u32>,
}

/// A bridge that is to be made, up and without the spanning tree protocol.
#[derive(Clone, Copy, Debug)]
pub struct NewBridge<'a> {
    /// Interface name.
    pub name: &'a str,
    /// Hardware address. Without a fixed one a bridge takes its lowest port's and changes it as ports join.
    pub mac: [u8; 6],
    /// Device group.
    pub group: Option<u32>,
}

/// What to change on a link; `None` leaves a property alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkChange<'a> {
    /// `true` is up, `false` is down.
    pub up: Option<bool>,
    /// The free text that `ip link` shows as alias.
    pub alias: Option<&'a str>,
    /// MTU in bytes.
    pub mtu: Option<u32>,
    /// Index of the bridge to become a port of; 0 leaves the bridge.
    pub master: Option<u32>,
}

/// A link as the kernel lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Interface index, unique in its namespace.
    pub index: u32,
    /// Interface name.
    pub name: String,
    /// The alias, which carries our mark.
    pub alias: Option<String>,
    /// Device group; 0 is the default one.
    pub group: u32,
    /// Its hardware address; zeros if it has none of Ethernet's.
    pub mac: [u8; 6],
    /// Index of the bridge it is a port of.
    pub master: Option<u32>,
    /// Bytes of its frames' link header: Ethernet's, or none; `None` for kinds that netlab does not read.
    pub header_len: Option<u32>,
    /// Whether it is administratively up.
    pub up: bool,
    /// The kind of queue that packets leave by; `noqueue` for none.
    pub queue: String,
    /// As a bridge: it hands up whatever comes to its own address. It filters no VLANs.
    pub is_plain_bridge: bool,
    /// As a bridge's port: it takes frames, from whomever.
    pub takes_all: bool,
    /// The largest packet that it takes, in bytes from the IP header on.
    pub mtu: u32,
    /// Of a veth whose other end is in another namespace: that one's number here, and the index there.
    pub peer: Option<(i32, u32)>,
}

/// What is known of a veth's other end, in whatever namespace it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Its hardware address.
    pub mac: [u8; 6],
}

impl Netlink {
    /// Makes a veth pair, each end in its own namespace; `first` may come up at once and be made a port of
    /// the bridge with index `master`. One message, so there is no moment with a half-made pair. `second` is
    /// down: the kernel makes it before `first`, and a veth without its other end cannot come up.
    pub async fn add_veth(
        &self,
        first: VethEnd<'_>,
        first_up: bool,
        master: Option<u32>,
        second: VethEnd<'_>,
    ) -> Result<(), NetlinkError> {
        let mut message = veth_end(first);
        if first_up {
            set_up(&mut message, true);
        }
        message.attributes.extend(master.map(LinkAttribute::Controller));
        message.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(veth_end(second)))),
        ]));
        self.create(RouteNetlinkMessage::NewLink(message)).await
    }

    /// Makes a bridge.
    pub async fn add_bridge(&self, bridge: NewBridge<'_>) -> Result<(), NetlinkError> {
        let mut message = LinkMessage::default();
        set_up(&mut message, true);
        message.attributes = vec![
            LinkAttribute::IfName(bridge.name.to_owned()),
            LinkAttribute::Address(bridge.mac.to_vec()),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Bridge),
                LinkInfo::Data(InfoData::Bridge(vec![InfoBridge::StpState(
                    rtnetlink::packet_route::link::BridgeStpState::Disabled,
                )])),
            ]),
        ];
        message.attributes.extend(bridge.group.map(LinkAttribute::Group));
        self.create(RouteNetlinkMessage::NewLink(message)).await
    }

    /// Changes a link.
    pub async fn change_link(&self, index: u32, change: LinkChange<'_>) -> Result<(), NetlinkError> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        if let Some(up) = change.up {
            set_up(&mut message, up);
        }
        let alias = change.alias.map(|alias| LinkAttribute::IfAlias(alias.to_owned()));
        message.attributes.extend(alias);
        message.attributes.extend(change.mtu.map(LinkAttribute::Mtu));
        message.attributes.extend(change.master.map(LinkAttribute::Controller));
        self.change(RouteNetlinkMessage::SetLink(message), 0).await
    }

    /// All links of the namespace.
    pub async fn links(&self) -> Result<Vec<Link>, NetlinkError> {
        let mut request = LinkMessage::default();
        // Counters are the largest part of an answer and nobody here reads them.
        request.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        let mut links = Vec::new();
        self.dump(RouteNetlinkMessage::GetLink(request), |answer| {
            if let RouteNetlinkMessage::NewLink(message) = answer {
                links.push(link(message));
            }
        })
        .await?;
        Ok(links)
    }

    /// A veth's other end, asked for by what [`Link::peer`] says; `None` when it is gone.
    pub async fn peer(&self, (namespace, index): (i32, u32)) -> Result<Option<Peer>, NetlinkError> {
        let mut request = LinkMessage::default();
        request.header.index = index;
        request.attributes = vec![
            LinkAttribute::IfNetnsId(namespace),
            LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]),
        ];
        let mut found = None;
        let asked = self.get(RouteNetlinkMessage::GetLink(request), |answer| {
            if let RouteNetlinkMessage::NewLink(message) = answer {
                found = Some(peer(message));
            }
        });
        match asked.await {
            Err(NetlinkError::Refused(Errno::ENODEV | Errno::EINVAL)) => Ok(None),
            Err(error) => Err(error),
            Ok(()) => Ok(found),
        }
    }

    /// Deletes a link; a veth's other end goes with it.
    pub async fn delete_link(&self, index: u32) -> Result<(), NetlinkError> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        self.change(RouteNetlinkMessage::DelLink(message), 0).await
    }

    /// Deletes all links of a device group at once. The kernel waits once for all of them, where deleting
    /// them one by one waits for each.
    pub async fn delete_group(&self, group: u32) -> Result<(), NetlinkError> {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::Group(group));
        self.change(RouteNetlinkMessage::DelLink(message), 0).await
    }
}

fn veth_end(end: VethEnd<'_>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes =
        vec![LinkAttribute::IfName(end.name.to_owned()), LinkAttribute::NetNsFd(end.namespace.as_raw_fd())];
    message.attributes.extend(end.mac.map(|mac| LinkAttribute::Address(mac.to_vec())));
    message.attributes.extend(end.mtu.map(LinkAttribute::Mtu));
    message.attributes.extend(end.group.map(LinkAttribute::Group));
    message
}

fn set_up(message: &mut LinkMessage, up: bool) {
    message.header.flags.set(LinkFlags::Up, up);
    message.header.change_mask.insert(LinkFlags::Up);
}

fn link(message: LinkMessage) -> Link {
    let mut link = Link {
        index: message.header.index,
        header_len: match message.header.link_layer_type {
            LinkLayerType::Ether => Some(eth::LEN as u32),
            LinkLayerType::None | LinkLayerType::Rawip | LinkLayerType::Tunnel => Some(0),
            _ => None,
        },
        name: String::new(),
        alias: None,
        group: 0,
        mac: [0; 6],
        master: None,
        up: message.header.flags.contains(LinkFlags::Up),
        queue: String::new(),
        is_plain_bridge: false,
        takes_all: true,
        mtu: 0,
        peer: None,
    };
    let (mut is_veth, mut namespace, mut index) = (false, None, None);
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::Link(other) => index = Some(other),
            LinkAttribute::LinkNetNsId(number) => namespace = Some(number),
            LinkAttribute::LinkInfo(infos) => {
                is_veth = infos.iter().any(|info| matches!(info, LinkInfo::Kind(InfoKind::Veth)));
                link.is_plain_bridge = is_plain_bridge(&infos);
                link.takes_all = infos.iter().all(takes_all);
            }
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Address(bytes) => link.mac = bytes.try_into().unwrap_or_default(),
            LinkAttribute::IfAlias(alias) => link.alias = Some(alias),
            LinkAttribute::Qdisc(kind) => link.queue = kind,
            LinkAttribute::Group(group) => link.group = group,
            LinkAttribute::Controller(master) => link.master = Some(master),
            _ => {}
        }
    }
    link.peer = namespace.zip(index).filter(|_| is_veth);
    link
}

fn is_plain_bridge(infos: &[LinkInfo]) -> bool {
    let filters = |info: &InfoBridge| matches!(info, InfoBridge::VlanFiltering(true));
    infos.iter().any(|info| matches!(info, LinkInfo::Kind(InfoKind::Bridge)))
        && !infos.iter().any(
            |info| matches!(info, LinkInfo::Data(InfoData::Bridge(settings)) if settings.iter().any(filters)),
        )
}

fn takes_all(info: &LinkInfo) -> bool {
    let LinkInfo::PortData(InfoPortData::BridgePort(settings)) = info else { return true };
    settings.iter().all(|setting| match setting {
        InfoBridgePort::State(state) => *state == BridgePortState::Forwarding,
        InfoBridgePort::Locked(locked) => !locked,
        _ => true,
    })
}

fn peer(message: LinkMessage) -> Peer {
    let mut peer = Peer::default();
    for attribute in message.attributes {
        if let LinkAttribute::Address(bytes) = attribute {
            peer.mac = bytes.try_into().unwrap_or_default();
        }
    }
    peer
}
