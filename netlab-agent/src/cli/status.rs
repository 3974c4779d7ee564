//! `netlab status`: a running lab at a glance, or which labs run.

use netlab_common::abi::event::Event;

use super::running::{Running, find};
use super::{Format, exits, nat as nat_programs, print, runtime, ways};
use crate::datapath::xdp::{Choice, Way, Wish};
use crate::datapath::{self, maps::Maps};
use crate::error::{Failure, Result};
use crate::netlink::Netlink;
use crate::output::status::{self, DatapathHealth, Health};
use crate::topology::journal::Journal;
use crate::topology::{self, LabDir, sysctl};
use crate::{agent, conntrack, nat};

/// Shows the lab of this name or the only one; of several, which there are.
pub fn status(lab: Option<&str>, format: Format) -> Result<u8> {
    let labs = LabDir::list();
    if lab.is_none() && labs.len() > 1 && format == Format::Table {
        let rows: Vec<_> = labs.iter().map(|dir| (dir.name().to_owned(), agent::find(dir))).collect();
        print(&status::labs(&rows))?;
        return Ok(0);
    }
    let running = find(lab)?;
    let ways = ways_of(&running)?;
    let mut drift = drift(&running)?;
    drift.extend(lost(&ways));
    let datapath = match running.lab.host.uplink {
        None => None,
        Some(_) => match Maps::open(&running.lab.name) {
            Err(datapath::Error::Unpinned { .. }) => None,
            opened => {
                let maps = opened?;
                Some(DatapathHealth {
                    flows: conntrack::walk(&maps)?.count(),
                    capacity: maps.flows.len(),
                    memory: maps.memory(),
                    events: Event::ALL
                        .iter()
                        .map(|event| (event.name(), maps.event(*event)))
                        .filter(|(_, count)| *count > 0)
                        .collect(),
                    current: nat_programs::is_current(&running.dir),
                })
            }
        },
    };
    let drifted = !drift.is_empty();
    let mut aside = aside(&running)?;
    aside.extend(warnings(&ways));
    let health = Health { agent: agent::find(&running.dir), datapath, ways, drift, aside };
    print(&match format {
        Format::Table => status::table(&running.lab, &health),
        Format::Json => status::json(&running.lab, &health),
    })?;
    Ok(if drifted { DRIFT } else { 0 })
}

/// What netlab leaves alone, or cannot do as the host is set up now.
fn aside(running: &Running) -> Result<Vec<String>> {
    let Running { lab, dir } = running;
    let Some(uplink) = Journal::read(dir)?.and_then(|journal| journal.uplink) else { return Ok(Vec::new()) };
    let host = topology::open(dir, lab.host.namespace.as_deref())?;
    let (links, ways, by_stack) = runtime()?.block_on(async {
        let netlink = host.enter(Netlink::open)??;
        let links = netlink.links().await?;
        let by_stack = exits::why_not(lab, dir, &host, &uplink.name).await?;
        Ok::<_, Failure>((links, netlink.ways_out().await?, by_stack))
    })?;
    let mut aside: Vec<String> = links
        .iter()
        .filter(|link| ways.contains(&link.index) && link.name != uplink.name)
        .map(|link| {
            format!(
                "{} leads out too, and what is routed there leaves as it is: {} is the uplink",
                link.name, uplink.name
            )
        })
        .collect();
    if !lab.host.counters {
        aside.push(
            "packets and bytes are not counted, because the lab file says `counters = false`".to_owned(),
        );
    }
    aside.extend(by_stack.map(|why| format!("every packet goes by the host's stack, because {why}")));
    let read = |key: &str| host.enter(|| sysctl::read(key)).ok().and_then(std::result::Result::ok);
    if read("net.ipv4.ip_forward").as_deref() == Some("0") {
        aside.push(
            "the host does not forward (net.ipv4.ip_forward = 0), so nodes reach only the host".to_owned(),
        );
    }
    if read("net.ipv4.conf.all.rp_filter").as_deref() == Some("1") {
        aside.push(
            "net.ipv4.conf.all.rp_filter = 1 keeps the host and a forward's own target from using forwards; 2 does not"
                .to_owned(),
        );
    }
    if !lab.forwards.is_empty() && !host.enter(|| datapath::attach::takes_links(nat::LOOPBACK))? {
        aside.push(
            "the kernel has no tcx links (Linux 6.6), without which the host's own processes cannot use forwards"
                .to_owned(),
        );
    }
    Ok(aside)
}

/// How packets come into the datapath at each interface; a lab without a datapath has none.
fn ways_of(running: &Running) -> Result<Vec<Choice>> {
    let Running { lab, dir } = running;
    let Some(uplink) = Journal::read(dir)?.and_then(|journal| journal.uplink) else { return Ok(Vec::new()) };
    let host = topology::open(dir, lab.host.namespace.as_deref())?;
    ways::look(lab, dir, &host, &uplink.name)
}

/// XDP programs that are not where they were. What `auto` has only just found is not lost: the agent attaches it.
fn lost(ways: &[Choice]) -> impl Iterator<Item = String> {
    let lost = ways.iter().filter(|choice| {
        choice.way == Way::Xdp && !choice.attached && (choice.wish == Wish::Xdp || choice.pinned)
    });
    lost.map(|choice| format!("the program for XDP is not attached to {} any more", choice.interface.name))
}

/// What is to be said against the ways, once for all interfaces that it is said of.
fn warnings(ways: &[Choice]) -> Vec<String> {
    let mut said: Vec<(&str, Vec<&str>)> = Vec::new();
    for choice in ways {
        let Some(warning) = choice.warning else { continue };
        let name = choice.interface.name.as_str();
        match said.iter_mut().find(|(known, _)| *known == warning) {
            Some((_, names)) => names.push(name),
            None => said.push((warning, vec![name])),
        }
    }
    said.into_iter().map(|(warning, names)| format!("{}: {warning}", names.join(", "))).collect()
}

/// Exit code of a lab that is not what it was when it came up.
const DRIFT: u8 = 4;

/// What of the lab is not there any more: namespaces, interfaces of the host's, attached programs.
fn drift(running: &Running) -> Result<Vec<String>> {
    let Running { lab, dir } = running;
    let mut drift = Vec::new();
    for node in &lab.nodes {
        if let Err(failure) = topology::open(dir, Some(&node.name)) {
            drift.push(failure.message);
        }
    }
    match runtime()?.block_on(topology::reopen(lab, dir)) {
        Err(failure) if !drift.contains(&failure.message) => drift.push(failure.message),
        _ => {}
    }
    if let Some(uplink) = Journal::read(dir)?.and_then(|journal| journal.uplink) {
        let host = topology::open(dir, lab.host.namespace.as_deref())?;
        let interfaces = nat::interfaces(lab, &uplink.name);
        for (interface, hook) in host.enter(|| datapath::attach::missing(&lab.name, &interfaces))? {
            drift.push(format!("the program for {} is not attached to {interface} any more", hook.name()));
        }
    }
    Ok(drift)
}
