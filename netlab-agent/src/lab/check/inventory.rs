//! Every interface that the lab will have, with its place in the file: what the rules about names and
//! addresses look at.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};

use crate::lab::diagnostic::Span;
use crate::lab::text::Spanned;
use crate::lab::{Lab, Place};

/// What an interface is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The bridge of this index.
    Bridge(usize),
    /// The host's end of a link to this bridge.
    Port(usize),
    /// A node's end of a link to this bridge.
    OnBridge(usize),
    /// A node's end of a link to the host.
    ToHost,
    /// The end of a link to a node.
    Plain,
    /// `lo`.
    Loopback,
}

/// One interface.
#[derive(Clone, Debug)]
pub struct Face {
    /// Whose namespace it is in.
    pub place: Place,
    /// Its name; empty while it is still to be made up.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Its addresses, each with its place in the file.
    pub addresses: Vec<Spanned<Ipv4Net>>,
    /// Whether it is up after `netlab up`.
    pub up: bool,
}

/// What may be missing in the inventory after a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum About {
    /// Interfaces and their names.
    Names,
    /// Addresses of interfaces.
    Addresses,
}

/// All interfaces.
#[derive(Debug, Default)]
pub struct Inventory {
    /// In file order: bridges first, then for each link its near and its far end.
    pub faces: Vec<Face>,
    names: HashMap<(Place, String), Option<Span>>,
    gaps: HashSet<(Place, About)>,
    gaps_everywhere: bool,
}

impl Inventory {
    /// The interfaces of a lab that was checked before, in the order in which its file gave them. Nothing of
    /// it is wrong any more, so no place will be shown.
    pub fn of_lab(lab: &Lab) -> Self {
        let mut faces = Vec::new();
        let mut face = |place, name: &str, role, addresses: &[IpNet], up| {
            let v4 = |net: &IpNet| match net {
                IpNet::V4(value) => Some(Spanned { value: *value, span: 0..0 }),
                IpNet::V6(_) => None,
            };
            let addresses = addresses.iter().filter_map(v4).collect();
            faces.push(Face { place, name: name.to_owned(), role, addresses, up });
        };
        for (index, bridge) in lab.bridges.iter().enumerate() {
            face(Place::Host, &bridge.name, Role::Bridge(index), &bridge.addresses, true);
        }
        for cable in &lab.cables {
            let (near, far) = match (cable.bridge, cable.far.place) {
                (Some(bridge), _) => (Role::OnBridge(bridge), Role::Port(bridge)),
                (None, Place::Host) => (Role::ToHost, Role::Plain),
                (None, Place::Node(_)) => (Role::Plain, Role::Plain),
            };
            for (end, role) in [(&cable.near, near), (&cable.far, far)] {
                face(end.place, &end.name, role, &end.addresses, end.up);
            }
        }
        for (index, node) in lab.nodes.iter().enumerate() {
            face(Place::Node(index), "lo", Role::Loopback, &node.loopback, true);
        }
        Inventory { faces, ..Inventory::default() }
    }

    /// Takes an interface's name in its namespace; gives the place of the one that already has it (`None`
    /// inside for `lo`, which no file mentions).
    pub fn claim(&mut self, place: Place, name: &str, span: Span) -> Result<(), Option<Span>> {
        self.names.entry((place, "lo".to_owned())).or_insert(None);
        match self.names.get(&(place, name.to_owned())) {
            Some(holder) => Err(holder.clone()),
            None => {
                self.names.insert((place, name.to_owned()), Some(span));
                Ok(())
            }
        }
    }

    /// Whether no interface of the place has this name.
    pub fn free(&self, place: Place, name: &str) -> bool {
        name != "lo" && !self.names.contains_key(&(place, name.to_owned()))
    }

    /// Notes that something about the place could not be read: what is missing there may be no mistake.
    pub fn gap(&mut self, place: Place, about: About) {
        self.gaps.insert((place, about));
    }

    /// Notes that an interface of an unknown place could not be read.
    pub fn gap_everywhere(&mut self) {
        self.gaps_everywhere = true;
    }

    /// Whether all of this about the place was read, so that what is not here does not exist.
    pub fn complete(&self, place: Place, about: About) -> bool {
        !self.gaps_everywhere && !self.gaps.contains(&(place, about))
    }

    /// The interfaces of a place.
    pub fn at(&self, place: Place) -> impl Iterator<Item = &Face> + Clone {
        self.faces.iter().filter(move |face| face.place == place)
    }

    /// The addresses of a place that others can reach, with their prefix lengths, in file order.
    pub fn addresses(&self, place: Place) -> impl Iterator<Item = &Spanned<Ipv4Net>> {
        self.at(place).flat_map(|face| &face.addresses).filter(|address| !address.value.addr().is_loopback())
    }

    /// Where a node is reached by name: its first address, one on `lo` only if it has no other.
    pub fn first_address(&self, node: usize) -> Option<Ipv4Addr> {
        let place = Place::Node(node);
        let (loopback, cabled): (Vec<_>, Vec<_>) = self.at(place).partition(|f| f.role == Role::Loopback);
        let mut addresses = cabled.iter().chain(&loopback).flat_map(|face| &face.addresses);
        addresses.find(|address| !address.value.addr().is_loopback()).map(|address| address.value.addr())
    }

    /// Where the host reaches a node: the first address on a link to a bridge or to the host, else the first.
    pub fn address_for_host(&self, node: usize) -> Option<Ipv4Addr> {
        let near = |face: &&Face| matches!(face.role, Role::OnBridge(_) | Role::ToHost);
        let mut addresses = self.at(Place::Node(node)).filter(near).flat_map(|face| &face.addresses);
        addresses.next().map(|address| address.value.addr()).or_else(|| self.first_address(node))
    }

    /// An address of the network that nobody in the lab has, for advice.
    pub fn spare_address(&self, net: Ipv4Net) -> Option<Ipv4Addr> {
        /// Advice is not worth a walk through a whole /8.
        const TRIES: usize = 4096;
        let taken: HashSet<Ipv4Addr> =
            self.faces.iter().flat_map(|face| &face.addresses).map(|address| address.value.addr()).collect();
        net.hosts().take(TRIES).find(|address| !taken.contains(address))
    }
}
