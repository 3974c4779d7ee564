//! Routes and default gateways: each next hop must be a neighbour, and each interface must exist.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::inventory::{About, Inventory, Role};
use super::names::Names;
use super::suggest;
use crate::lab::diagnostic::{Diagnostic, Problems, Span};
use crate::lab::file::{NodeTable, RouteTable};
use crate::lab::text::{Piece, Text};
use crate::lab::{Place, Route, value};

/// Where routes are put, and what is known about it.
pub struct Routing<'f> {
    pub inventory: &'f Inventory,
    pub names: Names<'f>,
    pub problems: &'f Problems,
    pub place: Place,
    /// All interfaces of the place are in the inventory; not so for the stack netlab is started in.
    pub closed: bool,
}

impl Routing<'_> {
    /// The checked routes of the place.
    pub fn routes(&self, tables: &[RouteTable]) -> Vec<Route> {
        let on_link = self.on_link(tables);
        let mut found: Vec<(Ipv4Net, Span)> = Vec::new();
        let mut routes = Vec::new();
        for table in tables {
            let to = table.to.as_ref().and_then(|to| self.problems.note(destination(to.piece())));
            if let (Some(net), Some(text)) = (to, &table.to) {
                match found.iter().find(|(other, _)| *other == net) {
                    Some((_, first)) => self.second_route(net, text.span.clone(), first.clone()),
                    None => found.push((net, text.span.clone())),
                }
            }
            let via = table.via.as_ref().and_then(|via| self.next_hop(via, &on_link, "a route's `via`"));
            if let Some(dev) = &table.dev {
                self.device(dev);
            }
            if table.via.is_none() && table.dev.is_none() {
                self.problems.push(
                    Diagnostic::new("a route needs `via` or `dev`", table.span.clone(), "leads nowhere")
                        .help("add `via = \"10.10.0.1\"`, the next hop, or `dev = \"eth0\"`, the interface"),
                );
            }
            if let Some(net) = to {
                routes.push(Route {
                    to: IpNet::V4(net),
                    via: via.map(IpAddr::V4),
                    dev: table.dev.as_ref().map(|dev| dev.value.clone()),
                });
            }
        }
        routes
    }

    /// The node's default gateway: its own, or the address of the one bridge it is on.
    pub fn gateway(&self, node: &NodeTable, routes: &[Route]) -> Option<IpAddr> {
        let default = routes.iter().any(|route| route.to.prefix_len() == 0);
        let Some(text) = &node.gateway else {
            return self.bridge_address().filter(|_| !default).map(IpAddr::V4);
        };
        if text.value == "none" {
            return None;
        }
        let gateway = self.next_hop(text, &self.on_link(&node.routes), "the gateway")?;
        if default {
            let is_default = |route: &&RouteTable| {
                route.to.as_ref().is_some_and(|to| matches!(to.value.as_str(), "default" | "0.0.0.0/0"))
            };
            let route = node.routes.iter().find(is_default).and_then(|route| route.to.as_ref());
            let first = route.map_or(text.span.clone(), |to| to.span.clone());
            self.second_route(Ipv4Net::default(), text.span.clone(), first);
        }
        Some(IpAddr::V4(gateway))
    }

    fn bridge_address(&self) -> Option<Ipv4Addr> {
        let bridge = |role: Role| match role {
            Role::OnBridge(bridge) => {
                let mut faces = self.inventory.at(Place::Host);
                let face = faces.find(|face| face.role == Role::Bridge(bridge))?;
                Some((bridge, face.addresses.first()?.value.addr()))
            }
            _ => None,
        };
        // A link that starts down takes no routes.
        let mut gateways: Vec<(usize, Ipv4Addr)> = self
            .inventory
            .at(self.place)
            .filter(|face| face.up)
            .filter_map(|face| bridge(face.role))
            .collect();
        gateways.dedup();
        match gateways[..] {
            [(_, only)] => Some(only),
            _ => None,
        }
    }

    /// Networks that a route puts directly on an interface.
    fn on_link(&self, tables: &[RouteTable]) -> Vec<Ipv4Net> {
        let direct = tables.iter().filter(|table| table.via.is_none() && table.dev.is_some());
        direct.filter_map(|table| destination(table.to.as_ref()?.piece()).ok()).collect()
    }

    fn next_hop(&self, text: &Text, on_link: &[Ipv4Net], what: &str) -> Option<Ipv4Addr> {
        let hop = self.problems.note(value::address(text.piece()))?;
        let mut own = self.inventory.addresses(self.place);
        if let Some(own) = own.find(|address| address.value.addr() == hop) {
            self.problems.push(
                Diagnostic::new(
                    format!("{what} is `{}`'s own address", self.names.of(self.place)),
                    text.span.clone(),
                    "packets would be sent to their sender",
                )
                .also(own.span.clone(), "the address")
                .help("the next hop is a neighbour's address; to reach the own network no route is needed"),
            );
            return None;
        }
        if !self.closed || !self.inventory.complete(self.place, About::Addresses) {
            return Some(hop);
        }
        let networks: Vec<Ipv4Net> =
            self.inventory.addresses(self.place).map(|address| address.value.trunc()).collect();
        if networks.iter().chain(on_link).any(|network| network.contains(&hop)) {
            return Some(hop);
        }
        let problem = Diagnostic::new(
            format!("{what} `{hop}` is in no network of `{}`", self.names.of(self.place)),
            text.span.clone(),
            "not a neighbour",
        );
        self.problems.push(if networks.is_empty() {
            problem.help(format!(
                "`{}` has no address yet: give one of its links one",
                self.names.of(self.place)
            ))
        } else {
            let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
            problem.help(format!(
                "a next hop is directly on the wire, in {}",
                suggest::row(networks.iter().map(String::as_str))
            ))
        });
        None
    }

    fn device(&self, dev: &Text) {
        if self.problems.note(value::interface_name(dev.piece())).is_none()
            || !self.closed
            || !self.inventory.complete(self.place, About::Names)
            || dev.value == "lo"
        {
            return;
        }
        let names: Vec<&str> = self.inventory.at(self.place).map(|face| face.name.as_str()).collect();
        if names.contains(&dev.value.as_str()) {
            return;
        }
        let problem = Diagnostic::new(
            format!("`{}` has no interface called `{}`", self.names.of(self.place), dev.value),
            dev.span.clone(),
            "no such interface",
        );
        self.problems.push(match suggest::nearest(&dev.value, names.iter().copied()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help(format!("it has {}", suggest::row(names))),
        });
    }

    fn second_route(&self, net: Ipv4Net, span: Span, first: Span) {
        let place = self.names.of(self.place);
        let message = match net.prefix_len() {
            0 => format!("`{place}` has two default routes"),
            _ => format!("`{place}` has two routes to {net}"),
        };
        self.problems.push(
            Diagnostic::new(message, span, "the second").also(first, "the first").help("keep one of them"),
        );
    }
}

fn destination(piece: Piece<'_>) -> Result<Ipv4Net, Diagnostic> {
    if piece.text == "default" { Ok(Ipv4Net::default()) } else { value::network(piece) }
}
