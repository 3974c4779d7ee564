//! Masquerades: who is hidden, behind which addresses and ports, and how.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};

use super::inventory::{About, Role};
use super::names::{Target, Wanted};
use super::nat::Nat;
use super::suggest;
use crate::lab::diagnostic::{Diagnostic, Problems, Span};
use crate::lab::file::MasqueradeTable;
use crate::lab::text::Text;
use crate::lab::{Filtering, Mapping, Masquerade, Place, value};

/// Where masqueraded packets may take their external ports from, unless the file says another.
const DEFAULT_PORTS: (u16, u16) = (1024, 65535);

const MAPPINGS: [(&str, Mapping); 2] = [
    ("endpoint-dependent", Mapping::EndpointDependent),
    ("endpoint-independent", Mapping::EndpointIndependent),
];

const FILTERINGS: [(&str, Filtering); 3] = [
    ("endpoint-independent", Filtering::EndpointIndependent),
    ("address-dependent", Filtering::AddressDependent),
    ("address-and-port-dependent", Filtering::AddressAndPortDependent),
];

/// What takes part in the question who shares ports with whom.
struct Outside {
    to: Option<(Ipv4Addr, Ipv4Addr)>,
    ports: (u16, u16),
    mapping: Mapping,
    /// The words to point at.
    span: Span,
}

impl Nat<'_> {
    /// The checked masquerade rules.
    pub fn masquerades(&self) -> Vec<Masquerade> {
        let mut outsides = Vec::new();
        let mut masquerades = Vec::new();
        for (rule, table) in (0..).zip(&self.file.masquerades) {
            let outside = self.outside(table);
            let filtering = self.filtering(table);
            if let Some(out) = &table.out {
                self.out_is_the_uplink(out);
            }
            let from = table.from.as_ref().and_then(|from| Some((from, self.sources(from)?)));
            if let (Some(outside), Some(filtering), Some((from, sources))) = (&outside, filtering, from) {
                masquerades.push(Masquerade {
                    from: sources.into_iter().map(IpNet::V4).collect(),
                    from_text: from.value.clone(),
                    to: outside.to,
                    ports: outside.ports,
                    mapping: outside.mapping,
                    filtering,
                    rule,
                });
            }
            outsides.extend(outside.filter(|_| table.sound));
        }
        self.mappings_part(&outsides);
        masquerades
    }

    fn outside(&self, table: &MasqueradeTable) -> Option<Outside> {
        let to = table.to.as_ref().map(|to| {
            let pool = self.problems.note(value::pool(to.piece()))?;
            self.nobody_has(to, pool);
            Some(pool)
        });
        let ports = table
            .ports
            .as_ref()
            .map_or(Some(DEFAULT_PORTS), |ports| self.problems.note(value::ports(ports.piece())));
        let mapping = word(table.mapping.as_ref(), "a mapping", &MAPPINGS, self.problems);
        let written = table.ports.as_ref().or(table.mapping.as_ref());
        Some(Outside {
            to: match to {
                Some(pool) => Some(pool?),
                None => None,
            },
            ports: ports?,
            mapping: mapping?,
            span: written.map_or(table.span.clone(), |text| text.span.clone()),
        })
    }

    fn filtering(&self, table: &MasqueradeTable) -> Option<Filtering> {
        let filtering = word(table.filtering.as_ref(), "a filtering", &FILTERINGS, self.problems)?;
        // A mapping that is no word of ours, or misspelt as a key, was reported and may have been meant well.
        let dependent = match &table.mapping {
            Some(mapping) => mapping.value == MAPPINGS[0].0,
            None => table.sound,
        };
        let written = table.filtering.as_ref().filter(|_| filtering != Filtering::default() && dependent);
        if let Some(written) = written {
            let problem = Diagnostic::new(
                format!("`filtering = \"{}\"` needs an endpoint-independent mapping", written.value),
                written.span.clone(),
                "lets in more than the flow's own remote end",
            )
            .also(
                table.mapping.as_ref().map(|mapping| mapping.span.clone()),
                "here each flow has a port of its own",
            );
            self.problems.push(problem.help(match table.mapping {
                Some(_) => "write `mapping = \"endpoint-independent\"`, or drop `filtering`",
                None => "add `mapping = \"endpoint-independent\"`, or drop `filtering`",
            }));
        }
        Some(filtering)
    }

    /// An answer to a node's own address would reach that node.
    fn nobody_has(&self, to: &Text, (first, last): (Ipv4Addr, Ipv4Addr)) {
        let mut faces = self.inventory.faces.iter().filter(|face| face.place != Place::Host);
        let taken = faces.find_map(|face| {
            let inside = |address: Ipv4Addr| first <= address && address <= last;
            face.addresses
                .iter()
                .find(|address| inside(address.value.addr()))
                .map(|found| (face.place, found))
        });
        let Some((place, address)) = taken else { return };
        self.problems.push(
            Diagnostic::new(
                format!("the address `{}` to hide behind is a node's own", address.value.addr()),
                to.span.clone(),
                "answers would go to that node",
            )
            .also(address.span.clone(), format!("`{}` has it here", self.names.of(place)))
            .help("take addresses that nobody has, or drop `to`: then it is the uplink's"),
        );
    }

    /// Ports of an endpoint-independent mapping are its own: a flow of another rule on one of them would get
    /// what the mapping lets in.
    fn mappings_part(&self, outsides: &[Outside]) {
        for (index, later) in outsides.iter().enumerate() {
            let clashes = |earlier: &&Outside| {
                earlier.mapping != later.mapping
                    && earlier.ports.0 <= later.ports.1
                    && later.ports.0 <= earlier.ports.1
                    && self.share_an_address(earlier, later)
            };
            let Some(earlier) = outsides[..index].iter().find(clashes) else { continue };
            let label = |outside: &Outside| {
                let kind = match outside.mapping {
                    Mapping::EndpointDependent => "an endpoint-dependent mapping",
                    Mapping::EndpointIndependent => "an endpoint-independent mapping",
                };
                format!("{kind} on ports {}-{}", outside.ports.0, outside.ports.1)
            };
            self.problems.push(
                Diagnostic::new(
                    "two masquerades of different `mapping` share ports",
                    later.span.clone(),
                    label(later),
                )
                .also(earlier.span.clone(), label(earlier))
                .help(
                    "give them disjoint `ports`, such as `\"1024-32767\"` and `\"32768-65535\"`, or the same \
                     `mapping`",
                ),
            );
        }
    }

    /// Whether two rules may hide behind one address; where the uplink's is not known, a pool is another.
    fn share_an_address(&self, one: &Outside, other: &Outside) -> bool {
        let inside = |address: Ipv4Addr, pool: (Ipv4Addr, Ipv4Addr)| pool.0 <= address && address <= pool.1;
        match (one.to, other.to) {
            (None, None) => true,
            (Some(one), Some(other)) => one.0 <= other.1 && other.0 <= one.1,
            (Some(pool), None) | (None, Some(pool)) => {
                self.uplink_address().is_some_and(|address| inside(address, pool))
            }
        }
    }

    /// The address that masquerades follow, as far as the file knows it.
    fn uplink_address(&self) -> Option<Ipv4Addr> {
        let uplink = self.file.host.uplink.as_ref()?;
        let face = self.inventory.at(Place::Host).find(|face| face.name == uplink.value)?;
        face.addresses.first().map(|address| address.value.addr())
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

/// One of the words that a key takes; the default if the file has none.
fn word<T: Copy + Default>(
    text: Option<&Text>,
    what: &str,
    words: &[(&str, T)],
    problems: &Problems,
) -> Option<T> {
    let Some(text) = text else { return Some(T::default()) };
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
        return Some(*value);
    }
    let all = || words.iter().map(|(word, _)| *word);
    let message = format!("`{}` is not {what} of a masquerade", text.value);
    let problem = Diagnostic::new(message, text.span.clone(), "no such behaviour");
    problems.push(match suggest::nearest(&text.value, all()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help(format!("these are known, from RFC 4787: {}", suggest::row(all()))),
    });
    None
}
