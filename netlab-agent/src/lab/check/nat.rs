//! The uplink, without which there is no NAT.

use super::inventory::{About, Inventory, Role};
use super::names::Names;
use super::suggest;
use crate::lab::diagnostic::{Diagnostic, Problems};
use crate::lab::file::File;
use crate::lab::text::Text;
use crate::lab::{Place, Route, Uplink, value};

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
        let forwards = self.file.forwards.iter().filter_map(|table| table.publish.as_ref());
        let forwards = forwards.map(|publish| (publish.span.clone(), "this forward"));
        let mut rules = masquerades.chain(forwards);
        let Some((span, label)) = rules.next() else { return };
        let problem = Diagnostic::new("there are NAT rules, but the host has no uplink", span, label);
        let problem = rules.fold(problem, |problem, (span, label)| problem.also(span, label));
        self.problems.push(
            problem.help("add `uplink = \"auto\"` under `[host]`, or the name of the interface to the world"),
        );
    }
}
