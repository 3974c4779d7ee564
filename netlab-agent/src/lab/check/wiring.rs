//! Bridges and links: makes the checked bridges and cables, and the inventory of all interfaces, and gives
//! a name to every end that the file leaves nameless.

use std::collections::HashMap;

use ipnet::{IpNet, Ipv4Net};

use super::inventory::{About, Face, Inventory, Role};
use super::names::{Names, Target, Wanted};
use super::{derived, settings, suggest};
use crate::lab::diagnostic::{Diagnostic, Problems, Span};
use crate::lab::file::{EndTable, File, LinkTable};
use crate::lab::read::Texts;
use crate::lab::text::{Spanned, Text};
use crate::lab::{Bridge, Cable, Datapath, End, Mac, Place, value};

/// What the file's bridges and links come to.
pub struct Wiring {
    pub bridges: Vec<Bridge>,
    pub cables: Vec<Cable>,
    /// Loopback addresses of each node.
    pub loopbacks: Vec<Vec<IpNet>>,
    pub inventory: Inventory,
}

/// Reads all bridges, links and loopback addresses. `datapath` is for the links that say nothing about it.
pub fn wire(file: &File, names: Names<'_>, datapath: Datapath, problems: &Problems) -> Wiring {
    let mut wirer = Wirer {
        file,
        names,
        datapath,
        problems,
        macs: HashMap::new(),
        nameless: Vec::new(),
        wiring: Wiring {
            bridges: Vec::new(),
            cables: Vec::new(),
            loopbacks: Vec::new(),
            inventory: Inventory::default(),
        },
    };
    wirer.bridges();
    for (node, table) in file.nodes.iter().enumerate() {
        if !table.links_sound {
            for place in [Place::Node(node), Place::Host] {
                wirer.wiring.inventory.gap(place, About::Names);
                wirer.wiring.inventory.gap(place, About::Addresses);
            }
        }
        for (position, link) in table.links.iter().enumerate() {
            wirer.link(node, position, link);
        }
        wirer.loopback(node, &table.loopback);
    }
    wirer.name_the_nameless();
    wirer.wiring
}

struct Wirer<'f> {
    file: &'f File,
    names: Names<'f>,
    datapath: Datapath,
    problems: &'f Problems,
    macs: HashMap<Mac, Span>,
    /// Far ends whose name is made up once all given names are known: cable, face, first choice.
    nameless: Vec<(usize, usize, String)>,
    wiring: Wiring,
}

impl Wirer<'_> {
    fn bridges(&mut self) {
        for (index, table) in self.file.bridges.iter().enumerate() {
            if !table.sound {
                self.wiring.inventory.gap(Place::Host, About::Addresses);
            }
            self.problems.note(value::interface_name(table.name.piece()));
            self.claim(Place::Host, &table.name.value, table.name.span.clone());
            let addresses = self.addresses(Place::Host, &table.address);
            let bridge = Bridge {
                name: table.name.value.clone(),
                addresses: plain(&addresses),
                mtu: self.mtu(table.mtu.as_ref()),
                mac: self.mac(table.mac.as_ref()),
            };
            self.wiring.bridges.push(bridge);
            self.face(Place::Host, &table.name.value, Role::Bridge(index), addresses, true);
        }
    }

    fn link(&mut self, node: usize, position: usize, link: &LinkTable) {
        let target = link.to.as_ref().and_then(|to| self.names.find(to.piece(), Wanted::LINK_END));
        let target = match target {
            Some(Target::Node(other)) if other == node => {
                self.linked_to_itself(link);
                None
            }
            other => other,
        };
        let role = match target {
            Some(Target::Bridge(bridge)) => Role::OnBridge(bridge),
            Some(Target::Host) => Role::ToHost,
            Some(Target::Node(_)) | None => Role::Plain,
        };
        let mtu = self.mtu(link.near.mtu.as_ref());
        let near = self.near_end(node, position, link, role, mtu);
        match target {
            Some(target) => self.far_end(near, link, target, mtu),
            // The far end may hold what another rule will miss.
            None if link.peer.name.is_some() || link.peer.address.key.is_some() => {
                self.wiring.inventory.gap_everywhere();
            }
            None => {}
        }
    }

    fn near_end(
        &mut self,
        node: usize,
        position: usize,
        link: &LinkTable,
        role: Role,
        mtu: Option<u32>,
    ) -> End {
        let place = Place::Node(node);
        let name = match &link.near.name {
            Some(given) => self.given_name(place, given),
            None => {
                let name = format!("eth{position}");
                let span = link.to.as_ref().map_or(&link.span, |to| &to.span);
                self.claim(place, &name, span.clone());
                name
            }
        };
        let addresses = self.addresses(place, &link.near.address);
        self.end(place, name, role, addresses, &link.near, mtu)
    }

    fn far_end(&mut self, near: End, link: &LinkTable, target: Target, mtu: Option<u32>) {
        let (place, role, bridge) = match target {
            Target::Host => (Place::Host, Role::Plain, None),
            Target::Node(node) => (Place::Node(node), Role::Plain, None),
            Target::Bridge(bridge) => (Place::Host, Role::Port(bridge), Some(bridge)),
        };
        let owner = self.names.of(near.place);
        let wish = match bridge {
            Some(bridge) => format!("{owner}-{}", self.file.bridges[bridge].name.value),
            None => format!("{owner}-{}", near.name),
        };
        let name = link.peer.name.as_ref().map(|given| self.given_name(place, given));
        let addresses = match (&link.peer.address.key, bridge) {
            (Some(key), Some(bridge)) => {
                self.address_on_a_port(key.clone(), bridge);
                Vec::new()
            }
            _ => self.addresses(place, &link.peer.address),
        };
        let own_mtu = self.mtu(link.peer.mtu.as_ref());
        let nameless = name.is_none();
        let far = self.end(place, name.unwrap_or_default(), role, addresses, &link.peer, own_mtu.or(mtu));
        if nameless {
            let face = self.wiring.inventory.faces.len() - 1;
            self.nameless.push((self.wiring.cables.len(), face, wish));
        }
        let datapath = self.datapath(link, place);
        self.wiring.cables.push(Cable { near, far, bridge, datapath });
    }

    fn end(
        &mut self,
        place: Place,
        name: String,
        role: Role,
        addresses: Vec<Spanned<Ipv4Net>>,
        table: &EndTable,
        mtu: Option<u32>,
    ) -> End {
        let up = self.state(table.state.as_ref());
        let mac = self.mac(table.mac.as_ref());
        let plain = plain(&addresses);
        self.face(place, &name, role, addresses, up);
        End { place, name, addresses: plain, mtu, mac, up }
    }

    fn face(&mut self, place: Place, name: &str, role: Role, addresses: Vec<Spanned<Ipv4Net>>, up: bool) {
        self.wiring.inventory.faces.push(Face { place, name: name.to_owned(), role, addresses, up });
    }

    fn loopback(&mut self, node: usize, texts: &Texts) {
        let place = Place::Node(node);
        let before = self.problems.count();
        let addresses = parse_all(texts, self.problems);
        if self.problems.count() > before {
            self.wiring.inventory.gap(place, About::Addresses);
        }
        self.wiring.loopbacks.push(plain(&addresses));
        self.face(place, "lo", Role::Loopback, addresses, true);
    }

    /// Addresses for a cable or bridge; one that only works on `lo` is left out after the report.
    fn addresses(&mut self, place: Place, texts: &Texts) -> Vec<Spanned<Ipv4Net>> {
        let before = self.problems.count();
        let (inside, addresses): (Vec<_>, Vec<_>) = parse_all(texts, self.problems)
            .into_iter()
            .partition(|address| address.value.addr().is_loopback());
        for address in inside {
            self.problems.push(
                Diagnostic::new(
                    format!("`{}` cannot be reached over a cable", address.value.addr()),
                    address.span,
                    "a loopback address",
                )
                .help("addresses from 127.0.0.0/8 stay inside one namespace; take one from 10.0.0.0/8"),
            );
        }
        if self.problems.count() > before {
            self.wiring.inventory.gap(place, About::Addresses);
        }
        addresses
    }

    fn given_name(&mut self, place: Place, given: &Text) -> String {
        if self.problems.note(value::interface_name(given.piece())).is_some() {
            self.claim(place, &given.value, given.span.clone());
        } else {
            self.wiring.inventory.gap(place, About::Names);
        }
        given.value.clone()
    }

    fn claim(&mut self, place: Place, name: &str, span: Span) {
        let Err(holder) = self.wiring.inventory.claim(place, name, span.clone()) else { return };
        let stack = match place {
            Place::Host => "the host".to_owned(),
            Place::Node(_) => format!("node `{}`", self.names.of(place)),
        };
        let problem = Diagnostic::new(
            format!("two interfaces of {stack} are called `{name}`"),
            span,
            format!("`{name}` again"),
        );
        let problem = match holder {
            Some(holder) => problem.also(holder, format!("`{name}` for the first time")),
            None => problem.help("`lo` is in every namespace from the start"),
        };
        self.problems.push(match place {
            Place::Host => {
                problem.help("bridges, bridge ports and the host's ends of links share the host's namespace")
            }
            Place::Node(_) => problem
                .help("give each link its own `name`; without one it is `eth0`, `eth1`, … by its position"),
        });
    }

    fn name_the_nameless(&mut self) {
        for (cable, face, wish) in std::mem::take(&mut self.nameless) {
            let place = self.wiring.cables[cable].far.place;
            let name = derived::interface_name(&wish, |name| self.wiring.inventory.free(place, name));
            // The name was just found to be free; the span is never shown.
            let _ = self.wiring.inventory.claim(place, &name, 0..0);
            self.wiring.inventory.faces[face].name.clone_from(&name);
            self.wiring.cables[cable].far.name = name;
        }
    }

    fn mtu(&self, mtu: Option<&Spanned<i64>>) -> Option<u32> {
        let mtu = mtu?;
        match u32::try_from(mtu.value) {
            Ok(bytes @ 68..=65535) => Some(bytes),
            _ => {
                self.problems.push(
                    Diagnostic::new(
                        format!("an MTU of {} bytes is not possible", mtu.value),
                        mtu.span.clone(),
                        "must be from 68 to 65535",
                    )
                    .help("Ethernet's own is 1500"),
                );
                None
            }
        }
    }

    fn mac(&mut self, text: Option<&Text>) -> Option<Mac> {
        let text = text?;
        let mac = self.problems.note(value::mac(text.piece()))?;
        if let Some(first) = self.macs.insert(mac, text.span.clone()) {
            self.problems.push(
                Diagnostic::new(
                    format!("the hardware address `{}` is used twice", text.value),
                    text.span.clone(),
                    "used again here",
                )
                .also(first, "first used here")
                .help("without `mac` the kernel makes one up for each interface"),
            );
        }
        Some(mac)
    }

    fn state(&self, text: Option<&Text>) -> bool {
        match text.map(|text| text.value.as_str()) {
            None | Some("up") => true,
            Some("down") => false,
            Some(other) => {
                let span = text.map_or(0..0, |text| text.span.clone());
                let problem =
                    Diagnostic::new(format!("`{other}` is not a link state"), span, "must be `up` or `down`");
                self.problems.push(match suggest::nearest(other, ["up", "down"]) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => problem.help("a link that starts down can be set up later: `state = \"down\"`"),
                });
                true
            }
        }
    }

    /// What a link says of its end in the host, which one between nodes has not.
    fn datapath(&self, link: &LinkTable, far: Place) -> Datapath {
        let word = settings::word(link.datapath.as_ref(), "datapath", &Datapath::WORDS, self.problems);
        if let (Place::Node(_), Some(written)) = (far, &link.datapath) {
            self.problems.push(
                Diagnostic::new(
                    "a link between two nodes has no datapath",
                    written.span.clone(),
                    "its packets do not pass the host",
                )
                .help("drop `datapath`: it is for links to a bridge or to `host`"),
            );
        }
        word.unwrap_or(self.datapath)
    }

    fn linked_to_itself(&self, link: &LinkTable) {
        let span = link.to.as_ref().map_or(&link.span, |to| &to.span);
        self.problems.push(
            Diagnostic::new("a node cannot be linked to itself", span.clone(), "this is the same node")
                .help("for one more address inside the node use `loopback`"),
        );
    }

    fn address_on_a_port(&self, key: Span, bridge: usize) {
        let bridge = &self.file.bridges[bridge].name;
        self.problems.push(
            Diagnostic::new(
                format!("the end of a link in bridge `{}` cannot have an address", bridge.value),
                key,
                "not on a bridge's port",
            )
            .also(bridge.span.clone(), "the bridge takes the host's address")
            .help(format!("put it on the bridge: `address` under `[bridge.{}]`", bridge.value)),
        );
    }
}

fn parse_all(texts: &Texts, problems: &Problems) -> Vec<Spanned<Ipv4Net>> {
    let parse = |text: &Text| {
        let value = problems.note(value::interface_address(text.piece()))?;
        Some(Spanned { value, span: text.span.clone() })
    };
    texts.items.iter().filter_map(parse).collect()
}

fn plain(addresses: &[Spanned<Ipv4Net>]) -> Vec<IpNet> {
    addresses.iter().map(|address| IpNet::V4(address.value)).collect()
}
