//! Port forwards: the little language of `publish`, and no port promised twice.

use std::net::Ipv4Addr;

use super::inventory::About;
use super::nat::Nat;
use super::suggest;
use crate::lab::diagnostic::{Diagnostic, Span};
use crate::lab::text::{Piece, Text};
use crate::lab::{Forward, Place, Protocol, value};

const FORM: &str =
    "the form is `[HOST_IP:]HOST_PORT[-END]:NODE[:PORT][/tcp|udp]`, such as `8000:earth:80/tcp`";

/// One `publish`, taken apart.
struct Published {
    address: Option<Ipv4Addr>,
    ports: (u16, u16),
    /// Where the ports stand.
    span: Span,
    protocol: Protocol,
    node: usize,
    target: Ipv4Addr,
    target_first: u16,
}

/// The parts of a `publish`, not yet understood.
struct Fields<'t> {
    address: Option<Piece<'t>>,
    ports: Piece<'t>,
    node: Piece<'t>,
    target: Option<Piece<'t>>,
}

impl Nat<'_> {
    /// The checked forwards, one a port.
    pub fn forwards(&self) -> Vec<Forward> {
        let published: Vec<Published> =
            self.file.forwards.iter().filter_map(|publish| self.published(publish)).collect();
        self.none_twice(&published);
        published.iter().flat_map(Published::each_port).collect()
    }

    fn published(&self, publish: &Text) -> Option<Published> {
        let piece = publish.piece();
        let (front, protocol) = match piece.rsplit_once('/') {
            Some((front, name)) => (front, self.problems.note(protocol(name))),
            None => (piece, Some(Protocol::Tcp)),
        };
        let fields = self.problems.note(fields(front))?;
        // All parts are looked at before giving up on any, so that each mistake is reported.
        let address = fields.address.map(|piece| self.host_address(piece));
        let ports = self.problems.note(value::ports(fields.ports));
        let node = self.names.node_named(fields.node);
        let target = fields.target.map(|piece| (piece, self.problems.note(value::ports(piece))));
        let target_first = match target {
            Some((piece, there)) => ports.zip(there).and_then(|(ports, there)| {
                self.problems.note(first_target(fields.ports, ports, piece, there))
            }),
            None => ports.map(|(first, _)| first),
        };
        let target = node.and_then(|node| self.served_at(node, fields.node));
        Some(Published {
            address: match address {
                Some(address) => Some(address?),
                None => None,
            },
            ports: ports?,
            span: fields.ports.span(),
            protocol: protocol?,
            node: node?,
            target: target?,
            target_first: target_first?,
        })
    }

    fn host_address(&self, piece: Piece<'_>) -> Option<Ipv4Addr> {
        let address = self.problems.note(value::address(piece))?;
        let owned =
            self.file.host.namespace.is_some() && self.inventory.complete(Place::Host, About::Addresses);
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
                .also(self.file.nodes[node].name.span.clone(), "the node")
                .help("give one of its links an `address`"),
            );
        }
        address
    }

    fn none_twice(&self, published: &[Published]) {
        for (index, later) in published.iter().enumerate() {
            let Some(earlier) = published[..index].iter().find(|earlier| later.clashes_with(earlier)) else {
                continue;
            };
            let first = later.ports.0.max(earlier.ports.0);
            let anywhere = later.address.or(earlier.address).is_none() || later.address == earlier.address;
            let problem = Diagnostic::new(
                format!("{} port {first} of the host is forwarded twice", later.protocol_name()),
                later.span.clone(),
                "forwarded again here",
            )
            .also(earlier.span.clone(), "first forwarded here");
            self.problems.push(if anywhere {
                problem.help("each port of the host can lead to one node: choose another port")
            } else {
                problem.help("a forward without a host address takes the port on all of them")
            });
        }
    }
}

impl Published {
    fn clashes_with(&self, other: &Published) -> bool {
        let address = match (self.address, other.address) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        };
        let ports = self.ports.0 <= other.ports.1 && other.ports.0 <= self.ports.1;
        self.protocol == other.protocol && address && ports
    }

    fn protocol_name(&self) -> &'static str {
        match self.protocol {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
        }
    }

    fn each_port(&self) -> impl Iterator<Item = Forward> {
        let targets = self.target_first..=u16::MAX;
        (self.ports.0..=self.ports.1).zip(targets).map(|(port, target_port)| Forward {
            address: self.address,
            port,
            protocol: self.protocol,
            node: self.node,
            target: self.target,
            target_port,
        })
    }
}

fn protocol(name: Piece<'_>) -> Result<Protocol, Diagnostic> {
    match name.text {
        "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        other => {
            let message = format!("`{other}` is not a protocol that can be forwarded");
            let problem = Diagnostic::new(message, name.span(), "must be `tcp` or `udp`");
            Err(match suggest::nearest(other, ["tcp", "udp"]) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help(FORM),
            })
        }
    }
}

fn fields(piece: Piece<'_>) -> Result<Fields<'_>, Diagnostic> {
    let parts = piece.split(':');
    let problem = |message: &str, label: &str| Diagnostic::new(message, piece.span(), label).help(FORM);
    if parts.iter().any(|part| part.text.is_empty()) || piece.text.starts_with('[') {
        let ipv6 = piece.text.starts_with('[') || parts.len() > 4;
        return Err(match ipv6 {
            true => problem("netlab does not do IPv6 yet", "an IPv6 address"),
            false => problem(&format!("`{}` is not a port forward", piece.text), "a part of it is empty"),
        });
    }
    // Only an address has dots: ports are numbers, and the node comes after the port.
    let (address, rest) = match parts.split_first() {
        Some((first, rest)) if first.text.contains('.') => (Some(*first), rest),
        _ => (None, &parts[..]),
    };
    match *rest {
        [ports, node] => Ok(Fields { address, ports, node, target: None }),
        [ports, node, target] => Ok(Fields { address, ports, node, target: Some(target) }),
        _ => {
            let label = if rest.len() < 2 { "no node is named" } else { "too many `:`" };
            Err(problem(&format!("`{}` is not a port forward", piece.text), label))
        }
    }
}

/// The node's port for the first port of the host; the others follow in order.
fn first_target(
    written: Piece<'_>,
    ports: (u16, u16),
    piece: Piece<'_>,
    target: (u16, u16),
) -> Result<u16, Diagnostic> {
    let width = |(first, last): (u16, u16)| u32::from(last - first) + 1;
    let wanted = width(ports);
    if piece.text.contains('-') && width(target) != wanted {
        return Err(Diagnostic::new(
            format!("{wanted} ports of the host cannot lead to {} ports of the node", width(target)),
            piece.span(),
            format!("{} ports", width(target)),
        )
        .also(written.span(), format!("{wanted} ports"))
        .help(format!("give the first port alone: the others follow, so `{}` is enough", target.0)));
    }
    if u32::from(target.0) + wanted - 1 > u32::from(u16::MAX) {
        return Err(Diagnostic::new(
            "the port range runs past the last port of the node",
            piece.span(),
            format!("{wanted} ports from here end after 65535"),
        )
        .also(written.span(), format!("{wanted} ports"))
        .help(format!("start at {} or below", u32::from(u16::MAX) + 1 - wanted)));
    }
    Ok(target.0)
}
