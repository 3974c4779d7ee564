//! The text that nodes see as `/etc/hosts`: every node by name, so that `ping earth` works and that a
//! server's look-up of its own address finds an answer here instead of waiting for a name server.

use std::collections::HashSet;
use std::fmt::Write;
use std::net::IpAddr;

use crate::lab::{Lab, Place};

/// The file's text. `machine` is the machine's own host name: programs look it up at start.
pub fn text(lab: &Lab, machine: &str) -> String {
    let mut text = String::from("127.0.0.1 localhost\n::1 localhost ip6-localhost\n");
    let mut named = HashSet::new();
    for place in super::places(lab) {
        let first_name = names(lab, place);
        for (number, (interface, address)) in addresses(lab, place).into_iter().enumerate() {
            // Only the first address has the plain name: a program may take any that it is given, and a
            // second network need not be reachable from everywhere.
            let names = match number {
                0 => {
                    named.extend(first_name.iter().cloned());
                    first_name.join(" ")
                }
                _ => format!("{}.{interface}", first_name[0]),
            };
            writeln!(text, "{address} {names}").expect("writing to a string cannot fail");
        }
    }
    if !machine.is_empty() && !named.contains(machine) {
        writeln!(text, "127.0.1.1 {machine}").expect("writing to a string cannot fail");
    }
    text
}

fn names(lab: &Lab, place: Place) -> Vec<String> {
    let mut names = vec![lab.place_name(place).to_owned()];
    if let (Place::Host, Some(namespace)) = (place, &lab.host.namespace) {
        names.push(namespace.clone());
    }
    names
}

/// Addresses with their interface; a node's links before its loopback, the host's bridges before its cables.
fn addresses(lab: &Lab, place: Place) -> Vec<(&str, IpAddr)> {
    let bridges = lab.bridges.iter().filter(|_| place == Place::Host);
    let bridges = bridges.flat_map(|bridge| bridge.addresses.iter().map(|net| (bridge.name.as_str(), net)));
    let ends = lab.cables.iter().flat_map(|cable| [&cable.near, &cable.far]);
    let ends = ends.filter(|end| end.place == place);
    let ends = ends.flat_map(|end| end.addresses.iter().map(|net| (end.name.as_str(), net)));
    let loopback = match place {
        Place::Host => &[][..],
        Place::Node(index) => &lab.nodes[index].loopback,
    };
    let loopback = loopback.iter().map(|net| ("lo", net));
    bridges.chain(ends).chain(loopback).map(|(interface, net)| (interface, net.addr())).collect()
}
