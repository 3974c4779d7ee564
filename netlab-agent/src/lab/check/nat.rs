//! The uplink and who is hidden behind it.

use ipnet::{IpNet, Ipv4Net};

use super::inventory::{About, Inventory, Role};
use super::names::{Names, Target, Wanted};
use super::suggest;
use crate::lab::diagnostic::{Diagnostic, Problems};
use crate::lab::file::{File, MasqueradeTable};
use crate::lab::text::Text;
use crate::lab::{Masquerade, Place, Route, Uplink, value};

/// Where masqueraded packets may take their external ports from, unless the file says another.
const DEFAULT_PORTS: (u16, u16) = (1024, 65535);

/// What NAT rules refer to.
#[derive(Clone, Copy)]
pub struct Nat<'f> {
    pub file: &'f File,
    pub inventory: &'f Inventory,
    pub names: Names<'f>,
    pub problems: &'f Problems,
}

impl Nat<'_> {
    /// The checked uplink; `routes` are the host's.
    pub fn uplink(&self, routes: &[Route]) -> Option<Uplink> {
        let text = self.file.host.uplink.as_ref()?;
        if text.value == "auto" {
            let default = routes.iter().any(|route| route.to.prefix_len() == 0);
            if !default && self.file.host.namespace.is_some() && self.file.host.sound {
                self.problems.push(
                    Diagnostic::new(
                        "`uplink = \"auto\"` finds nothing: the host has no default route",
                        text.span.clone(),
                        "the interface with the default route",
                    )
                    .help(
                        "add `routes = [{ to = \"default\", via = \"192.168.0.1\" }]`, or name the interface",
                    ),
                );
            }
            return Some(Uplink::Auto);
        }
        let name = self.problems.note(value::interface_name(text.piece()))?;
        if self.file.host.namespace.is_some() && self.inventory.complete(Place::Host, About::Names) {
            self.uplink_must_exist(text);
        }
        Some(Uplink::Named(name))
    }

    fn uplink_must_exist(&self, text: &Text) {
        let faces: Vec<_> = self.inventory.at(Place::Host).collect();
        let usable =
            || faces.iter().filter(|face| !matches!(face.role, Role::Port(_))).map(|face| &*face.name);
        if usable().any(|name| name == text.value) {
            return;
        }
        let port = faces.iter().any(|face| face.name == text.value);
        let problem = Diagnostic::new(
            format!("the host's uplink `{}` does not lead to the world", text.value),
            text.span.clone(),
            if port { "the port of a bridge" } else { "the host has no such interface" },
        );
        self.problems.push(match suggest::nearest(&text.value, usable()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help(format!(
                "link a node to the host and name the host's end: `links = [{{ to = \"host\", peer = {{ name = \
                 \"{}\" }} }}]`",
                text.value
            )),
        });
    }

    /// Rules without an uplink cannot do anything: one report for all of them.
    pub fn rules_need_an_uplink(&self) {
        let host = &self.file.host;
        if host.uplink.is_some() || !host.sound {
            return;
        }
        let masquerades = self.file.masquerades.iter().map(|rule| (rule.span.clone(), "this rule"));
        let forwards = self.file.forwards.iter().map(|publish| (publish.span.clone(), "this forward"));
        let mut rules = masquerades.chain(forwards);
        let Some((span, label)) = rules.next() else { return };
        let problem = Diagnostic::new("there are NAT rules, but the host has no uplink", span, label);
        let problem = rules.fold(problem, |problem, (span, label)| problem.also(span, label));
        self.problems.push(
            problem.help("add `uplink = \"auto\"` under `[host]`, or the name of the interface to the world"),
        );
    }

    /// The checked masquerade rules.
    pub fn masquerades(&self) -> Vec<Masquerade> {
        self.file.masquerades.iter().filter_map(|table| self.masquerade(table)).collect()
    }

    fn masquerade(&self, table: &MasqueradeTable) -> Option<Masquerade> {
        let ports = table
            .ports
            .as_ref()
            .map_or(Some(DEFAULT_PORTS), |ports| self.problems.note(value::ports(ports.piece())));
        if let Some(out) = &table.out {
            self.out_is_the_uplink(out);
        }
        let from = table.from.as_ref()?;
        let sources = self.sources(from)?;
        Some(Masquerade {
            from: sources.into_iter().map(IpNet::V4).collect(),
            from_text: from.value.clone(),
            ports: ports?,
        })
    }

    fn sources(&self, from: &Text) -> Option<Vec<Ipv4Net>> {
        if value::looks_like_address(&from.value) {
            return Some(vec![self.problems.note(value::network(from.piece()))?]);
        }
        let (place, owner, kind, sources) = match self.names.find(from.piece(), Wanted::SOURCE)? {
            Target::Bridge(bridge) => {
                let role = Role::Bridge(bridge);
                let faces = self.inventory.at(Place::Host).filter(|face| face.role == role);
                let networks = faces.flat_map(|face| &face.addresses).map(|net| net.value.trunc());
                (Place::Host, "bridge", "network", networks.collect::<Vec<_>>())
            }
            Target::Node(node) => {
                let place = Place::Node(node);
                let own = self.inventory.addresses(place).map(|net| Ipv4Net::from(net.value.addr()));
                (place, "node", "address", own.collect())
            }
            Target::Host => return None,
        };
        if sources.is_empty() && self.inventory.complete(place, About::Addresses) {
            self.problems.push(
                Diagnostic::new(
                    format!("{owner} `{}` has no {kind} to masquerade", from.value),
                    from.span.clone(),
                    "has no address",
                )
                .help(format!(
                    "give the {owner} an `address`, or write the prefix: `from = \"10.10.0.0/16\"`"
                )),
            );
        }
        (!sources.is_empty()).then_some(sources)
    }

    fn out_is_the_uplink(&self, out: &Text) {
        let Some(uplink) = &self.file.host.uplink else { return };
        if uplink.value == out.value {
            return;
        }
        let problem = Diagnostic::new(
            format!("masquerade can only leave by the uplink, not by `{}`", out.value),
            out.span.clone(),
            "another interface",
        )
        .also(uplink.span.clone(), "the uplink");
        self.problems.push(if uplink.value == "auto" {
            problem.help(format!("drop `out`, or write `uplink = \"{}\"` under `[host]`", out.value))
        } else {
            problem.help(format!("drop `out`, or write `out = \"{}\"`", uplink.value))
        });
    }
}
