//! Keeping the datapath's ways out true to the host: looking at it now and then and after each change, and telling the
//! maps.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::{Duration, Instant};

use super::ways;
use crate::datapath::Role;
use crate::datapath::exits::Exits;
use crate::error::{Failure, Kind, Result};
use crate::lab::Lab;
use crate::netlink::{Link, Monitor, Netlink, captures, firewall};
use crate::netns::Namespace;
use crate::topology::{LabDir, sysctl};
use crate::ways::{Gate, Sight};
use crate::{nat, topology};

/// What follows the ways of one lab.
pub struct Ways {
    exits: Exits,
    dir: LabDir,
    host: Namespace,
    uplink: String,
    changes: Monitor,
    looked: Option<Instant>,
    captures: Vec<u32>,
}

/// Interfaces that are looked at each second; of a larger lab only every ten seconds, and after changes.
const FEW: usize = 64;
const REST: Duration = Duration::from_secs(10);

impl Ways {
    /// Opens a lab's maps, and hears of changes in its host's stack from now on.
    pub fn open(lab: &Lab, dir: &LabDir, uplink: &str) -> Result<Self> {
        let host = topology::open(dir, lab.host.namespace.as_deref())?;
        let changes = host.enter(Monitor::of_ways)??;
        Ok(Ways {
            exits: Exits::open(&lab.name)?,
            dir: dir.clone(),
            host,
            uplink: uplink.to_owned(),
            changes,
            looked: None,
            captures: Vec::new(),
        })
    }

    /// Whether packets may cross past the stack at all.
    pub fn are_open(&self) -> bool {
        self.exits.are_open()
    }

    /// Waits for a change.
    pub async fn changed(&mut self) {
        self.changes.changed().await;
    }

    /// Something has changed: what was learnt may be wrong.
    pub async fn follow(&mut self, lab: &Lab) -> Result<()> {
        self.changes.drain();
        self.exits.forget()?;
        self.look(lab).await
    }

    /// Looks at what nobody tells of.
    pub async fn look_now_and_then(&mut self, lab: &Lab) -> Result<()> {
        let interfaces = nat::interfaces(lab, &self.uplink).len();
        if interfaces > FEW && self.looked.is_some_and(|looked| looked.elapsed() < REST) {
            return Ok(());
        }
        self.look(lab).await
    }

    /// Looks whether somebody has begun to capture, of which nobody tells, and who wants to see packets soon.
    pub async fn look_for_captures(&mut self, lab: &Lab) -> Result<()> {
        let now = self.host.enter(captures::open)?;
        if now.is_ok_and(|now| now != self.captures) {
            self.look(lab).await?;
        }
        Ok(())
    }

    async fn look(&mut self, lab: &Lab) -> Result<()> {
        self.looked = Some(Instant::now());
        let sight = sight(lab, &self.dir, &self.host, &self.uplink).await?;
        self.captures.clone_from(&sight.captures);
        self.exits.say(&sight.exits())?;
        Ok(())
    }
}

/// Why every packet of a running lab goes by the host's stack, in words that go on from "because"; `None` if established
/// flows do not.
pub async fn why_not(lab: &Lab, dir: &LabDir, host: &Namespace, uplink: &str) -> Result<Option<String>> {
    Ok(sight(lab, dir, host, uplink).await?.why_not())
}

/// The host's side as it is now.
async fn sight(lab: &Lab, dir: &LabDir, host: &Namespace, uplink: &str) -> Result<Sight> {
    let interfaces = nat::interfaces(lab, uplink);
    let names: Vec<String> = interfaces.iter().map(|one| one.name.clone()).collect();
    let (captures, filters) = host
        .enter(|| Ok::<_, io::Error>((captures::open()?, firewall::looks_at_forwarded(&names)?)))?
        .map_err(|error| {
            Failure::new(Kind::Failed, format!("the host's captures and filters cannot be read: {error}"))
        })?;
    let netlink = host.enter(Netlink::open)??;
    let links = netlink.links().await?;
    let gates = host.enter(|| gates(&links, &names))?;
    let bridges = masters(&links, &names);
    let mut links: BTreeMap<_, _> = links.into_iter().map(|link| (link.name.clone(), link)).collect();
    let bypass = lab.host.bypass;
    let choices = ways::look(lab, dir, host, uplink)?;
    let frames = choices.iter().filter(|choice| choice.takes_frames).map(|choice| choice.index).collect();
    let mut sight = Sight {
        uplink: uplink.to_owned(),
        captures,
        filters,
        bypass,
        frames,
        gates,
        bridges,
        interfaces: vec![],
    };
    for interface in interfaces.iter().filter(|one| one.role != Role::Loopback) {
        let Some(link) = links.remove(&interface.name) else { continue };
        let peer = match link.peer {
            Some(at) => netlink.peer(at).await?,
            None => None,
        };
        sight.interfaces.push((link, peer));
    }
    Ok(sight)
}

/// The hardware addresses of what these interfaces are ports of, by index.
fn masters(links: &[Link], names: &[String]) -> BTreeMap<u32, [u8; 6]> {
    let ports = links.iter().filter(|link| names.contains(&link.name));
    let masters: BTreeSet<u32> = ports.filter_map(|link| link.master).collect();
    let found = links.iter().filter(|link| masters.contains(&link.index));
    found.map(|link| (link.index, link.mac)).collect()
}

/// Where the thread's stack takes what comes in by each of the lab's interfaces. One that is to ask where packets would be
/// answered to (RFC 3704) has none if the answer may be no: that is for the stack to ask. Neither has one whose packets
/// the stack, or the bridge before it, might not take.
fn gates(links: &[Link], names: &[String]) -> BTreeMap<u32, Gate> {
    // What cannot be read is taken for strict.
    let asks = |name: &str| {
        let value = sysctl::read(&format!("net.ipv4.conf.{}.rp_filter", name.replace('.', "/")));
        value.ok().and_then(|value| value.parse().ok()).unwrap_or(1u32)
    };
    let everywhere = asks("all");
    // Loosely asked, whoever comes is right while there is a route to everybody.
    let is_anybody_right = has_default_route();
    let mut known: BTreeMap<u32, bool> = BTreeMap::new();
    let mut takes = |taker: &Link| {
        *known.entry(taker.index).or_insert_with(|| {
            // The kernel goes by the larger of the two values.
            let asked = everywhere.max(asks(&taker.name));
            taker.up && (asked == 0 || (asked > 1 && is_anybody_right))
        })
    };
    let gate = |link: &Link| {
        let taker = match link.master {
            None => link,
            Some(master) => links.iter().find(|other| other.index == master && other.is_plain_bridge)?,
        };
        (link.takes_all && takes(taker)).then_some((link.index, Gate { mac: taker.mac, index: taker.index }))
    };
    links.iter().filter(|link| names.contains(&link.name)).filter_map(gate).collect()
}

/// Whether the thread's stack has a default route.
fn has_default_route() -> bool {
    let table = std::fs::read_to_string("/proc/thread-self/net/route").unwrap_or_default();
    // Interface, destination, gateway, …, and the mask in the eighth column.
    table.lines().skip(1).any(|row| {
        let columns: Vec<_> = row.split_whitespace().collect();
        (columns.get(1), columns.get(7)) == (Some(&"00000000"), Some(&"00000000"))
    })
}
