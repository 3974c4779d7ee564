//! From the file to the checked lab: resolves every name, applies every rule of the format, and notes all
//! that is wrong, going on after each mistake. A forward that is added later goes through the same rules.

mod addresses;
mod derived;
mod flows;
mod forward;
mod inventory;
mod masquerade;
mod names;
mod nat;
mod probe;
mod publish;
mod routes;
mod settings;
mod wiring;

use super::diagnostic::{Diagnostic, Problems};
use super::file::{File, ForwardTable};
use super::{Bypass, Datapath, Forward, Host, Lab, Node, Place, suggest, value};
use forward::{Forwarding, Placed, share_a_port};
use inventory::Inventory;
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
    let datapath = settings::word(file.host.datapath.as_ref(), "datapath", &Datapath::WORDS, problems);
    let datapath = datapath.unwrap_or_default();
    let Wiring { bridges, cables, loopbacks, inventory } = wiring::wire(file, names, datapath, problems);
    addresses::check(&inventory, names, problems);
    let nat = Nat { file, inventory: &inventory, names, problems };
    let owned = file.host.namespace.is_some();
    let forwarding = Forwarding { inventory: &inventory, names, problems, owned };
    let routing = |place, closed| Routing { inventory: &inventory, names, problems, place, closed };
    let host_routes = routing(Place::Host, owned).routes(&file.host.routes);
    let host = Host {
        namespace: host_namespace(file, problems),
        uplink: nat.uplink(&host_routes),
        forwarding: file.host.forwarding.as_ref().map(|flag| flag.value),
        datapath,
        bypass: settings::word(file.host.bypass.as_ref(), "bypass", &Bypass::WORDS, problems)
            .unwrap_or_default(),
        counters: file.host.counters.as_ref().is_none_or(|flag| flag.value),
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
        flows: flows::flows(&file.flows, problems),
        masquerades: nat.masquerades(),
        forwards: forwarding.all(&file.forwards, file.masquerades.len() as u32),
        checks: Probes { inventory: &inventory, names, problems }.all(file),
    }
}

/// One more forward for a lab that was checked before. It can be relied on only if `problems` is still empty.
pub fn one_more(lab: &Lab, table: &ForwardTable, rule: u32, problems: &Problems) -> Option<Forward> {
    if let (None, Some(publish)) = (&lab.host.uplink, &table.publish) {
        problems.push(
            Diagnostic::new(
                format!("the host of lab `{}` has no uplink", lab.name),
                publish.span.clone(),
                "nothing would ever arrive there",
            )
            .help("add `uplink = \"auto\"` under `[host]` of its file, and take the lab down and up again"),
        );
    }
    let forwarding = Forwarding {
        inventory: &Inventory::of_lab(lab),
        names: Names::of_lab(lab, problems),
        problems,
        owned: lab.host.namespace.is_some(),
    };
    let forward = forwarding.one(table, rule)?;
    if let Some(there) = lab.forwards.iter().find(|there| share_a_port(&forward.forward, there)) {
        forwarding.clash(&forward, &Placed { forward: there.clone(), span: None });
    }
    Some(forward.forward)
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
