//! What must hold before a lab may change the machine. It changes nothing itself, and tells all problems at
//! once.

use std::collections::HashMap;

use ipnet::IpNet;

use super::apply::{name_is_taken, owner};
use super::error::BuildError;
use super::folder::LabDir;
use crate::error::{Failure, Kind};
use crate::lab::{Lab, Place, Uplink};
use crate::netlink::{Link, Netlink, NetlinkError};
use crate::netns::Namespace;

/// What the kernel calls the capabilities that a lab needs, with their numbers.
const CAPABILITIES: [(&str, u32); 2] = [("CAP_NET_ADMIN", 12), ("CAP_SYS_ADMIN", 21)];

/// Checks that the lab can come up: privileges, free names, free networks, an uplink.
pub async fn preflight(lab: &Lab) -> Result<(), Failure> {
    privileges()?;
    let mut problems = Vec::new();
    if LabDir::new(&lab.name).journal().exists() {
        problems.push(BuildError::Exists(lab.name.clone()).into());
    } else {
        problems.extend(super::places(lab).filter_map(|place| taken(lab, place)));
    }
    if lab.host.namespace.is_none() {
        host_stack(lab, &mut problems).await?;
    }
    combine(problems)
}

/// One failure as it is, several as one report.
fn combine(mut problems: Vec<Failure>) -> Result<(), Failure> {
    if problems.len() < 2 {
        return problems.pop().map_or(Ok(()), Err);
    }
    // A conflict is what the user must clear before a mistake in the file even shows.
    let kinds = problems.iter().map(|problem| problem.kind);
    let kind = kinds.clone().find(|kind| *kind == Kind::Conflict).unwrap_or(problems[0].kind);
    let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
    Err(Failure::report(kind, texts.join("\n")))
}

fn privileges() -> Result<(), Failure> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let missing = missing_capabilities(&status);
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("building a lab needs privileges that are missing: {}", missing.join(", "));
    Err(Failure::new(Kind::Privilege, message).hint("run it as root: `sudo netlab …`"))
}

fn missing_capabilities(status: &str) -> Vec<&'static str> {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|text| u64::from_str_radix(text.trim(), 16).ok()).unwrap_or(0);
    let missing = CAPABILITIES.iter().filter(|(_, bit)| effective & (1 << bit) == 0);
    missing.map(|(name, _)| *name).collect()
}

fn taken(lab: &Lab, place: Place) -> Option<Failure> {
    let name = lab.namespace(place).filter(|name| name_is_taken(name))?;
    let other_name = match place {
        Place::Host => "give `[host]` another `namespace`",
        Place::Node(_) => "rename the node",
    };
    let failure = match owner(name) {
        Some(other) => {
            Failure::new(Kind::Conflict, format!("the namespace \"{name}\" belongs to the lab \"{other}\""))
                .hint(format!("take that lab down (`netlab down -l {other}`), or {other_name}"))
        }
        None => Failure::new(
            Kind::Conflict,
            format!("there is a namespace \"{name}\" already, and no lab made it"),
        )
        .hint(format!("{other_name}, or delete that namespace: `ip netns delete {name}`")),
    };
    Some(failure)
}

/// What a host stack that is not the lab's own has.
struct Stack {
    links: Vec<Link>,
    /// Networks with what has them, for the message.
    networks: Vec<(IpNet, String)>,
    /// Whether there is a way to everywhere.
    default_route: bool,
}

async fn host_stack(lab: &Lab, problems: &mut Vec<Failure>) -> Result<(), Failure> {
    let stack = look().await.map_err(|source| BuildError::Look { site: "the host".to_owned(), source })?;
    for name in super::host_interfaces(lab) {
        if let Some(link) = stack.links.iter().find(|link| link.name == name) {
            problems.push(taken_link(link));
        }
    }
    for (network, what) in own_networks(lab) {
        if let Some((other, whose)) = stack.networks.iter().find(|(other, _)| overlap(network, *other)) {
            let message = format!("{network} of {what} overlaps {other}, which {whose} has already");
            problems.push(Failure::new(Kind::Conflict, message).hint(
                "choose another network, or give the lab a host of its own: `[host] namespace = \"…\"`",
            ));
        }
    }
    problems.extend(missing_uplink(lab, &stack));
    // The thread's own namespace is the host; that it can be opened is part of what must hold.
    Namespace::current()?;
    Ok(())
}

fn taken_link(link: &Link) -> Failure {
    let name = &link.name;
    match link.alias.as_deref().and_then(|alias| alias.strip_prefix("netlab:")) {
        Some(other) => {
            Failure::new(Kind::Conflict, format!("the interface \"{name}\" belongs to the lab \"{other}\""))
                .hint(format!("take that lab down (`netlab down -l {other}`), or rename the interface"))
        }
        None => Failure::new(
            Kind::Conflict,
            format!("the host has an interface \"{name}\" already, and no lab made it"),
        )
        .hint("rename it in the lab file, or give the lab a host of its own: `[host] namespace = \"…\"`"),
    }
}

fn missing_uplink(lab: &Lab, stack: &Stack) -> Option<Failure> {
    let name = match lab.host.uplink.as_ref()? {
        Uplink::Named(name) => name,
        Uplink::Auto => {
            let own = lab.host.routes.iter().any(|route| route.to.prefix_len() == 0);
            return (!own && !stack.default_route).then(|| BuildError::NoDefaultRoute.into());
        }
    };
    let exists = stack.links.iter().any(|link| link.name == *name);
    if exists || super::host_interfaces(lab).contains(name) {
        return None;
    }
    let names: Vec<_> =
        stack.links.iter().map(|link| link.name.as_str()).filter(|name| *name != "lo").collect();
    let failure = Failure::new(Kind::Usage, format!("the host has no interface \"{name}\" to be the uplink"));
    Some(match names.is_empty() {
        true => failure.hint("it has none but lo; cable a node to `host` and name the host's end"),
        false => failure.hint(format!(
            "it has: {}; `uplink = \"auto\"` takes the one with the default route",
            names.join(", ")
        )),
    })
}

async fn look() -> Result<Stack, NetlinkError> {
    let netlink = Netlink::open()?;
    let links = netlink.links().await?;
    let names: HashMap<u32, &str> = links.iter().map(|link| (link.index, link.name.as_str())).collect();
    let name = |index: u32| format!("the interface {}", names.get(&index).copied().unwrap_or("?"));
    let mut networks = Vec::new();
    for entry in netlink.addresses().await? {
        networks.push((entry.address.trunc(), name(entry.index)));
    }
    for route in netlink.routes().await? {
        // A default route overlaps everything and stands in nobody's way.
        if route.to.prefix_len() > 0 {
            let whose =
                route.interface.map_or("a route".to_owned(), |index| format!("a route over {}", name(index)));
            networks.push((route.to, whose));
        }
    }
    let default_route = netlink.default_interface().await?.is_some();
    Ok(Stack { links, networks, default_route })
}

/// The networks that the lab brings into the host's stack, with what brings them.
fn own_networks(lab: &Lab) -> Vec<(IpNet, String)> {
    let bridges = lab.bridges.iter().flat_map(|bridge| {
        bridge.addresses.iter().map(|net| (net.trunc(), format!("the bridge {}", bridge.name)))
    });
    let ends = lab.cables.iter().flat_map(|cable| [&cable.near, &cable.far]);
    let ends = ends.filter(|end| end.place == Place::Host);
    let ends = ends
        .flat_map(|end| end.addresses.iter().map(|net| (net.trunc(), format!("the interface {}", end.name))));
    bridges.chain(ends).collect()
}

fn overlap(left: IpNet, right: IpNet) -> bool {
    left.contains(&right) || right.contains(&left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_capability_is_named() {
        assert_eq!(missing_capabilities("CapEff:\t000001ffffffffff\n"), Vec::<&str>::new());
        assert_eq!(missing_capabilities("CapEff:\t0000000000001000\n"), ["CAP_SYS_ADMIN"]);
        assert_eq!(missing_capabilities("Name:\tsh\n"), ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"]);
    }

    #[test]
    fn several_problems_are_one_report_and_a_conflict_decides_its_kind() {
        let usage = Failure::new(Kind::Usage, "first");
        let conflict = Failure::new(Kind::Conflict, "second").hint("do this");
        let report = combine(vec![usage, conflict]).unwrap_err();
        assert_eq!(report.kind, Kind::Conflict);
        assert_eq!(report.to_string(), "error: first\nerror: second\n  help: do this");
    }

    #[test]
    fn networks_overlap_when_one_contains_the_other() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        assert!(overlap(net("10.0.0.0/8"), net("10.10.0.0/16")));
        assert!(overlap(net("10.10.0.0/16"), net("10.10.0.0/16")));
        assert!(!overlap(net("10.10.0.0/16"), net("10.11.0.0/16")));
        assert!(!overlap(net("0.0.0.0/1"), net("fd00::/8")));
    }
}
