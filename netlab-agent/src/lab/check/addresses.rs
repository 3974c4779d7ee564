//! Rules about addresses that look at more than one of them: none twice, all on a bridge inside its network,
//! and no two networks of the host in each other's way.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::inventory::{Face, Inventory, Role};
use super::names::Names;
use crate::lab::Place;
use crate::lab::diagnostic::{Diagnostic, Problems, Span};
use crate::lab::text::Spanned;

/// Notes every address that breaks one of the rules.
pub fn check(inventory: &Inventory, names: Names<'_>, problems: &Problems) {
    twice(inventory, names, problems);
    outside_the_bridge(inventory, problems);
    overlaps(inventory, problems);
}

fn twice(inventory: &Inventory, names: Names<'_>, problems: &Problems) {
    let mut seen: HashMap<Ipv4Addr, (Span, Place)> = HashMap::new();
    for face in &inventory.faces {
        for address in &face.addresses {
            let ip = address.value.addr();
            // Every namespace has its own 127.0.0.0/8.
            if ip.is_loopback() {
                continue;
            }
            let Some((first, place)) = seen.get(&ip) else {
                seen.insert(ip, (address.span.clone(), face.place));
                continue;
            };
            let problem = Diagnostic::new(
                format!("the address `{ip}` is used twice"),
                address.span.clone(),
                format!("`{}` has it here", names.of(face.place)),
            )
            .also(first.clone(), format!("`{}` has it here", names.of(*place)));
            problems.push(match inventory.spare_address(address.value.trunc()) {
                Some(spare) => problem.help(format!("`{spare}/{}` is free", address.value.prefix_len())),
                None => problem.help("each address can be on one interface of the lab"),
            });
        }
    }
}

fn outside_the_bridge(inventory: &Inventory, problems: &Problems) {
    for face in &inventory.faces {
        let Role::OnBridge(bridge) = face.role else { continue };
        let bridge = inventory.faces.iter().find(|other| other.role == Role::Bridge(bridge));
        let Some(bridge) = bridge.filter(|bridge| !bridge.addresses.is_empty()) else { continue };
        for address in &face.addresses {
            if !inside_any(address.value, &bridge.addresses) {
                problems.push(outside(inventory, bridge, address));
            }
        }
    }
}

fn inside_any(address: Ipv4Net, networks: &[Spanned<Ipv4Net>]) -> bool {
    networks.iter().any(|network| network.value.contains(&address.addr()))
}

fn outside(inventory: &Inventory, bridge: &Face, address: &Spanned<Ipv4Net>) -> Diagnostic {
    let network = bridge.addresses[0].value;
    let problem = Diagnostic::new(
        format!("`{}` is not in the network of bridge `{}`", address.value.addr(), bridge.name),
        address.span.clone(),
        format!("outside {}", network.trunc()),
    )
    .also(bridge.addresses[0].span.clone(), "the bridge's address");
    match inventory.spare_address(network.trunc()) {
        Some(spare) => problem.help(format!(
            "take an address of the bridge's network, such as `{spare}/{}`",
            network.prefix_len()
        )),
        None => problem,
    }
}

fn overlaps(inventory: &Inventory, problems: &Problems) {
    let faces: Vec<&Face> = inventory.at(Place::Host).collect();
    for (index, face) in faces.iter().enumerate() {
        for earlier in &faces[..index] {
            if let Some((a, b)) = overlapping(earlier, face) {
                problems.push(
                    Diagnostic::new(
                        format!(
                            "the networks {} and {} overlap on the host",
                            a.value.trunc(),
                            b.value.trunc()
                        ),
                        b.span.clone(),
                        format!("on `{}`", face.name),
                    )
                    .also(a.span.clone(), format!("on `{}`", earlier.name))
                    .help("the host could not tell which of the two a packet is for: choose another network"),
                );
            }
        }
    }
}

/// The first pair of addresses whose networks overlap. A /32 is a route to one machine and in nobody's way,
/// and one address on both has been reported already.
fn overlapping<'f>(one: &'f Face, other: &'f Face) -> Option<(&'f Spanned<Ipv4Net>, &'f Spanned<Ipv4Net>)> {
    let wide = |address: &&Spanned<Ipv4Net>| address.value.prefix_len() < 32;
    one.addresses.iter().filter(wide).find_map(|a| {
        let clash = |b: &&Spanned<Ipv4Net>| {
            let (a, b) = (a.value, b.value);
            a.addr() != b.addr() && (a.contains(&b.network()) || b.contains(&a.network()))
        };
        other.addresses.iter().filter(wide).find(clash).map(|b| (a, b))
    })
}
