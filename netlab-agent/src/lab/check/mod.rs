//! From the file to the checked lab: resolves every name, applies every rule of the format, and notes all
//! that is wrong, going on after each mistake.

mod addresses;
mod derived;
mod forward;
mod inventory;
mod names;
mod nat;
mod probe;
mod routes;
mod settings;
mod wiring;

use super::diagnostic::{Diagnostic, Problems};
use super::file::File;
use super::{Host, Lab, Node, Place, suggest, value};
use names::Names;
use nat::Nat;
use probe::Probes;
use routes::Routing;
use wiring::Wiring;

/// The version of the format that this netlab reads.
const VERSION: i64 = 1;
/// Longest name of a lab: it is part of file names.
const LAB_NAME_MAX: usize = 32;

/// The checked lab. It can be relied on only if `problems` is still empty afterwards.
pub fn check(file: &File, problems: &Problems) -> Lab {
    version(file, problems);
    let names = Names::new(file, problems);
    let Wiring { bridges, cables, loopbacks, inventory } = wiring::wire(file, names, problems);
    addresses::check(&inventory, names, problems);
    let nat = Nat { file, inventory: &inventory, names, problems };
    let routing = |place, closed| Routing { inventory: &inventory, names, problems, place, closed };
    let host_routes = routing(Place::Host, file.host.namespace.is_some()).routes(&file.host.routes);
    let host = Host {
        namespace: host_namespace(file, problems),
        uplink: nat.uplink(&host_routes),
        forwarding: file.host.forwarding.as_ref().map(|flag| flag.value),
        routes: host_routes,
        sysctls: settings::sysctls(&file.host.sysctls, file.host.forwarding.as_ref(), problems),
    };
    nat.rules_need_an_uplink();
    let nodes = file.nodes.iter().zip(loopbacks).enumerate().map(|(index, (table, loopback))| {
        let routing = routing(Place::Node(index), true);
        let routes = routing.routes(&table.routes);
        Node {
            name: table.name.value.clone(),
            gateway: routing.gateway(table, &routes),
            loopback,
            routes,
            sysctls: settings::sysctls(&table.sysctls, None, problems),
            run: settings::commands(table, problems),
            wait: settings::waits(table, problems),
        }
    });
    Lab {
        name: lab_name(file, problems),
        host,
        bridges,
        nodes: nodes.collect(),
        cables,
        masquerades: nat.masquerades(),
        forwards: nat.forwards(),
        checks: Probes { inventory: &inventory, names, problems }.all(file),
    }
}

fn version(file: &File, problems: &Problems) {
    if let Some(version) = file.version.as_ref().filter(|version| version.value != VERSION) {
        problems.push(
            Diagnostic::new(
                format!("version {} of the lab file is not known", version.value),
                version.span.clone(),
                "this netlab reads version 1",
            )
            .help("write `version = 1`, or use a netlab that knows the other"),
        );
    }
}

fn lab_name(file: &File, problems: &Problems) -> String {
    let name = file.name.as_ref();
    let checked = name
        .and_then(|name| problems.note(value::namespace_name("a lab", name.piece(), false, LAB_NAME_MAX)));
    checked.unwrap_or_default()
}

fn host_namespace(file: &File, problems: &Problems) -> Option<String> {
    let name = file.host.namespace.as_ref()?;
    problems.note(value::namespace_name("a namespace", name.piece(), true, 64))
}
