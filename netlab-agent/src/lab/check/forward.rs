//! Port forwards: who serves them, who may use them, and no port promised twice. The same rules hold for those
//! of a file and for one that is added to a lab later.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::inventory::{About, Inventory};
use super::names::Names;
use super::publish::{self, Fields, TARGETS_MAX, TargetFields};
use super::suggest;
use crate::lab::diagnostic::{Diagnostic, Problems, Span};
use crate::lab::file::ForwardTable;
use crate::lab::read::Texts;
use crate::lab::text::{Piece, Text};
use crate::lab::{Forward, ForwardTarget, Place, Protocol, value};

/// What forwards refer to.
#[derive(Clone, Copy)]
pub struct Forwarding<'f> {
    pub inventory: &'f Inventory,
    pub names: Names<'f>,
    pub problems: &'f Problems,
    /// The host's namespace is the lab's own, so it has no addresses but the lab's.
    pub owned: bool,
}

/// A forward that others must not clash with.
pub struct Placed {
    pub forward: Forward,
    /// Where its ports stand, if there is a text.
    pub span: Option<Span>,
}

/// Forwards by their ports: of many thousands, each is held against those alone that may have one of its ports.
#[derive(Default)]
struct Taken {
    /// Places in the list, by protocol and first port.
    by_first: BTreeMap<(Protocol, u16), Vec<usize>>,
    /// How far the widest range goes beyond its first port.
    reach: u16,
}

impl Taken {
    fn add(&mut self, place: usize, forward: &Forward) {
        let (first, last) = forward.ports;
        self.reach = self.reach.max(last.saturating_sub(first));
        self.by_first.entry((forward.protocol, first)).or_default().push(place);
    }

    /// Places of those that may have a port of this one.
    fn near(&self, forward: &Forward) -> impl Iterator<Item = usize> {
        let (first, last) = forward.ports;
        let from = first.saturating_sub(self.reach);
        let near = self.by_first.range((forward.protocol, from)..=(forward.protocol, last.max(from)));
        near.flat_map(|(_, places)| places.iter().copied())
    }
}

impl Forwarding<'_> {
    /// The checked forwards; `first_rule` is the first one's number.
    pub fn all(&self, tables: &[ForwardTable], first_rule: u32) -> Vec<Forward> {
        let mut placed: Vec<Placed> = Vec::new();
        let mut taken = Taken::default();
        for (rule, table) in (first_rule..).zip(tables) {
            let Some(forward) = self.one(table, rule) else { continue };
            let near = taken.near(&forward.forward);
            let first = near.filter(|place| share_a_port(&forward.forward, &placed[*place].forward)).min();
            if let Some(first) = first {
                self.clash(&forward, &placed[first]);
            }
            taken.add(placed.len(), &forward.forward);
            placed.push(forward);
        }
        placed.into_iter().map(|placed| placed.forward).collect()
    }

    /// One forward, as far as it can be judged by itself.
    pub fn one(&self, table: &ForwardTable, rule: u32) -> Option<Placed> {
        let allow = self.allow(&table.allow, table.sound);
        let publish = table.publish.as_ref()?;
        let piece = publish.piece();
        let (front, protocol) = match piece.rsplit_once('/') {
            Some((front, name)) => (front, self.problems.note(publish::protocol(name))),
            None => (piece, Some(Protocol::Tcp)),
        };
        let fields = self.problems.note(publish::fields(front))?;
        // All parts are looked at before giving up on any, so that each mistake is reported.
        let address = fields.address.map(|piece| self.host_address(piece));
        let ports = self.problems.note(value::ports(fields.ports));
        let targets = self.targets(&fields, ports);
        Some(Placed {
            forward: Forward {
                publish: publish.value.clone(),
                address: match address {
                    Some(address) => Some(address?),
                    None => None,
                },
                ports: ports?,
                protocol: protocol?,
                targets: targets?,
                allow: allow?,
                rule,
            },
            span: Some(fields.ports.span()),
        })
    }

    /// Notes that an earlier one has a port of a later one.
    pub fn clash(&self, later: &Placed, earlier: &Placed) {
        let (forward, span) = (&later.forward, &later.span);
        let first = forward.ports.0.max(earlier.forward.ports.0);
        let protocol = match forward.protocol {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
        };
        let problem = Diagnostic::new(
            format!("{protocol} port {first} of the host is forwarded twice"),
            span.clone().unwrap_or_default(),
            "forwarded again here",
        )
        .also(earlier.span.clone(), "first forwarded here");
        let problem = match earlier.span {
            Some(_) => problem,
            None => problem.help(format!("the lab has it already, by `{}`", earlier.forward.publish)),
        };
        self.problems.push(if forward.address == earlier.forward.address {
            problem.help(
                "choose another port; if both nodes are to serve this one, name them in one forward, with a \
                 comma between",
            )
        } else {
            problem.help("a forward without a host address takes the port on all of them")
        });
    }

    fn allow(&self, texts: &Texts, sound: bool) -> Option<Vec<Ipv4Net>> {
        if let (Some(key), true, true) = (&texts.key, texts.items.is_empty(), sound) {
            self.problems.push(
                Diagnostic::new("`allow` allows nobody", key.clone(), "an empty list")
                    .help("drop it to let everybody in, or name who may come: `allow = \"192.168.0.0/24\"`"),
            );
        }
        let parse = |text: &Text| self.problems.note(value::network(text.piece()));
        // As everywhere, all of them are read before the first mistake counts.
        let parsed: Vec<Option<Ipv4Net>> = texts.items.iter().map(parse).collect();
        parsed.into_iter().collect()
    }

    fn host_address(&self, piece: Piece<'_>) -> Option<Ipv4Addr> {
        let address = self.problems.note(value::address(piece))?;
        let owned = self.owned && self.inventory.complete(Place::Host, About::Addresses);
        let own: Vec<Ipv4Addr> = self.inventory.addresses(Place::Host).map(|net| net.value.addr()).collect();
        if !owned || own.contains(&address) {
            return Some(address);
        }
        let problem = Diagnostic::new(
            format!("`{address}` is not an address of the host"),
            piece.span(),
            "nothing would ever arrive there",
        );
        let own: Vec<String> = own.iter().map(ToString::to_string).collect();
        self.problems.push(if own.is_empty() {
            problem.help("the host has no address yet: link a node to it, or give a bridge an `address`")
        } else {
            problem.help(format!(
                "the host has {}; without an address the port is open on all of them",
                suggest::row(own.iter().map(String::as_str))
            ))
        });
        Some(address)
    }

    fn targets(&self, fields: &Fields<'_>, ports: Option<(u16, u16)>) -> Option<Vec<ForwardTarget>> {
        let before = self.problems.count();
        let parse = |target: &TargetFields<'_>| self.target(fields.ports, ports, target);
        let targets: Vec<Option<ForwardTarget>> = fields.targets.iter().map(parse).collect();
        if let Some(over) = fields.targets.get(TARGETS_MAX) {
            self.problems.push(
                Diagnostic::new(
                    format!("a forward cannot have {} targets", targets.len()),
                    over.whole.span(),
                    format!("the first after {TARGETS_MAX}"),
                )
                .help(format!("at most {TARGETS_MAX} share a port")),
            );
        }
        // A misspelt name stands for the nearest one, which may be there as well.
        if self.problems.count() == before {
            self.none_twice(fields, &targets);
        }
        targets.into_iter().collect()
    }

    fn none_twice(&self, fields: &Fields<'_>, targets: &[Option<ForwardTarget>]) {
        for (index, target) in targets.iter().enumerate() {
            let Some(first) = targets[..index].iter().position(|earlier| earlier == target) else { continue };
            self.problems.push(
                Diagnostic::new(
                    format!("`{}` is a target twice", fields.targets[index].whole.text),
                    fields.targets[index].whole.span(),
                    "again here",
                )
                .also(fields.targets[first].whole.span(), "first here")
                .help("each target gets the same share: name it once"),
            );
        }
    }

    fn target(
        &self,
        written: Piece<'_>,
        ports: Option<(u16, u16)>,
        target: &TargetFields<'_>,
    ) -> Option<ForwardTarget> {
        let node = self.names.node_named(target.node);
        let there = target.port.map(|piece| (piece, self.problems.note(value::ports(piece))));
        let port = match there {
            Some((piece, there)) => ports.zip(there).and_then(|(ports, there)| {
                self.problems.note(publish::first_target(written, ports, piece, there))
            }),
            None => ports.map(|(first, _)| first),
        };
        let address = node.and_then(|node| self.served_at(node, target.node));
        Some(ForwardTarget { node: node?, address: address?, port: port? })
    }

    fn served_at(&self, node: usize, piece: Piece<'_>) -> Option<Ipv4Addr> {
        let address = self.inventory.address_for_host(node);
        if address.is_none() && self.inventory.complete(Place::Node(node), About::Addresses) {
            let name = self.names.of(Place::Node(node));
            self.problems.push(
                Diagnostic::new(
                    format!("node `{name}` has no address to forward to"),
                    piece.span(),
                    "has no address",
                )
                .also(self.names.node_span(node), "the node")
                .help("give one of its links an `address`"),
            );
        }
        address
    }
}

/// Whether two forwards take the same port of the host's.
pub fn share_a_port(one: &Forward, other: &Forward) -> bool {
    let address = match (one.address, other.address) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    };
    let ports = one.ports.0 <= other.ports.1 && other.ports.0 <= one.ports.1;
    one.protocol == other.protocol && address && ports
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn forward()(first in 1u16.., wide in 0u16..40, udp: bool, address in 0u8..3) -> Forward {
            // Near each other, and at both ends of the range.
            let first = if first < 32_768 { 1 + first % 60 } else { u16::MAX - first % 60 };
            Forward {
                publish: String::new(),
                address: (address > 0).then(|| Ipv4Addr::new(10, 0, 0, address)),
                ports: (first, first.saturating_add(wide)),
                protocol: if udp { Protocol::Udp } else { Protocol::Tcp },
                targets: Vec::new(),
                allow: Vec::new(),
                rule: 0,
            }
        }
    }

    proptest! {
        #[test]
        fn the_forward_that_has_a_port_already_is_found_as_if_each_were_asked(
            all in prop::collection::vec(forward(), 0..24),
            last in forward(),
        ) {
            let mut taken = Taken::default();
            for (place, forward) in all.iter().enumerate() {
                taken.add(place, forward);
            }
            let found = taken.near(&last).filter(|place| share_a_port(&last, &all[*place])).min();
            prop_assert_eq!(found, all.iter().position(|earlier| share_a_port(&last, earlier)));
        }
    }
}
