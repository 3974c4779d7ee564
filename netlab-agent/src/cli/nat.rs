//! The lab's NAT beside its topology: the datapath of a lab that comes up, and keeping a running one true to
//! the host's interfaces and addresses, and to this netlab's programs.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::Ipv4Addr;

use ipnet::IpNet;
use netlab_common::net::eth;

use super::ways;
use crate::datapath::maps::Maps;
use crate::datapath::object::Traits;
use crate::datapath::rules::RuleMaps;
use crate::datapath::sweep::Sweeper;
use crate::datapath::{self, Interface, object};
use crate::error::{Failure, Kind, Result};
use crate::lab::{self, Lab, Place};
use crate::nat::{self, HostAddresses};
use crate::netlink::{Link, Netlink};
use crate::netns::Namespace;
use crate::topology::folder::write_whole;
use crate::topology::journal::Journal;
use crate::topology::{Built, LabDir};
use crate::{conntrack, topology};

/// Makes room for the datapath of a lab that has an uplink. The caller holds the lock that labs share.
pub fn prepare(lab: &Lab, built: &Built) -> Result<()> {
    if built.uplink.is_some() {
        datapath::bpffs::prepare(&lab.name)?;
    }
    Ok(())
}

/// Loads, fills and attaches the datapath of a lab that has an uplink, and that there is room for. What is there when
/// it fails is the caller's to undo.
pub async fn install(lab: &Lab, dir: &LabDir, built: &Built) -> Result<()> {
    let Some(uplink) = &built.uplink else { return Ok(()) };
    let host = built.namespace(Place::Host);
    let (known, links) = look(lab, host, &uplink.name).await?;
    let traits = traits(lab, &links, &uplink.name)?;
    let follows = |masquerade: &lab::Masquerade| masquerade.to.is_none();
    if known.uplink_addresses.is_empty() && lab.masquerades.iter().any(follows) {
        return Err(Failure::new(
            Kind::Usage,
            format!("uplink {} has no IPv4 address to hide the masqueraded nodes behind", uplink.name),
        )
        .hint(format!("give {} an address, or name another `uplink` in `[host]`", uplink.name)));
    }
    let rules = nat::rules(lab, &known);
    let interfaces = nat::interfaces(lab, &uplink.name);
    note_clsact(dir, host, &uplink.name)?;
    host.enter(|| datapath::install(&lab.name, &interfaces, lab.flows.size, traits, &rules))??;
    ways::apply(lab, dir, host, &uplink.name, true)?;
    note_programs(dir)
}

/// What the programs are made for in this lab.
fn traits(lab: &Lab, links: &BTreeMap<String, Link>, uplink: &str) -> Result<Traits> {
    Ok(Traits { uplink_header: header_len(links, uplink)?, counting: u32::from(lab.host.counters) })
}

/// Bytes of the uplink's link header. An uplink that is not there at the moment is taken for what most are.
fn header_len(links: &BTreeMap<String, Link>, uplink: &str) -> Result<u32> {
    let Some(link) = links.get(uplink) else { return Ok(eth::LEN as u32) };
    link.header_len.ok_or_else(|| {
        Failure::new(
            Kind::Usage,
            format!(
                "uplink {uplink} is of a kind that netlab's NAT cannot read: neither Ethernet nor plain IP"
            ),
        )
        .hint("name an Ethernet interface, or a tun one, as `uplink` in `[host]`")
    })
}

/// Has the journal know of a qdisc that the uplink is about to get, so that `down` takes it away.
fn note_clsact(dir: &LabDir, host: &Namespace, uplink: &str) -> Result<()> {
    if host.enter(|| datapath::attach::lacks_clsact(uplink))?? {
        Journal::note_clsact(dir)?;
    }
    Ok(())
}

/// Likewise of an uplink that may be gone at the moment.
fn note_clsact_if_there(dir: &LabDir, host: &Namespace, uplink: &str, there: &[Interface]) -> Result<()> {
    if there.iter().any(|one| one.name == uplink) { note_clsact(dir, host, uplink) } else { Ok(()) }
}

/// The host's side as it is now, with its interfaces by name.
async fn look(lab: &Lab, host: &Namespace, uplink: &str) -> Result<(HostAddresses, BTreeMap<String, Link>)> {
    let netlink = host.enter(Netlink::open)??;
    let links: BTreeMap<String, Link> =
        netlink.links().await?.into_iter().map(|link| (link.name.clone(), link)).collect();
    let mut all = Vec::new();
    let mut of_uplink = Vec::new();
    let mut first = BTreeMap::new();
    let uplink_index = links.get(uplink).map(|link| link.index);
    for found in netlink.addresses().await? {
        let IpNet::V4(net) = found.address else { continue };
        all.push(net);
        first.entry(found.index).or_insert(net.addr());
        if Some(found.index) == uplink_index {
            of_uplink.push(net);
        }
    }
    let address = |index| first.get(&index).map_or([0; 4], Ipv4Addr::octets);
    let lab_interfaces = nat::arrivals(lab, uplink)
        .into_iter()
        .filter_map(|name| links.get(&name))
        .map(|link| (link.index, address(link.index)))
        .collect();
    let known = HostAddresses { uplink: uplink.to_owned(), uplink_addresses: of_uplink, lab_interfaces, all };
    Ok((known, links))
}

/// What a look at a running lab's NAT changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// Flows that ended because their external address is gone.
    pub unreachable: u64,
    /// Interfaces that programs were attached to anew.
    pub attached: Vec<String>,
}

/// Makes a running lab's rules and programs follow the host's addresses and interfaces: the uplink may have
/// got another address, or been deleted and made anew.
pub async fn follow(lab: &Lab, dir: &LabDir, uplink: &str) -> Result<Changes> {
    let host = topology::open(dir, lab.host.namespace.as_deref())?;
    let (known, links) = look(lab, &host, uplink).await?;
    let rules = nat::rules(lab, &known);
    RuleMaps::open(&lab.name)?.apply(&lab.name, &rules)?;
    let there: Vec<Interface> =
        nat::interfaces(lab, uplink).into_iter().filter(|one| links.contains_key(&one.name)).collect();
    let missing = host.enter(|| datapath::attach::missing(&lab.name, &there))?;
    let mut attached: Vec<String> = missing.into_iter().map(|(name, _)| name).collect();
    attached.dedup();
    if !attached.is_empty() {
        note_clsact_if_there(dir, &host, uplink, &there)?;
        host.enter(|| datapath::attach::attach(&lab.name, &there))??;
    }
    for interface in ways::apply(lab, dir, &host, uplink, false)? {
        if !attached.contains(&interface) {
            attached.push(interface);
        }
    }
    let pools: Vec<_> = lab.masquerades.iter().filter_map(|masquerade| masquerade.to).collect();
    let is_ours = |address: Ipv4Addr| {
        address.is_loopback()
            || known.all.iter().any(|net| net.addr() == address)
            || pools.iter().any(|(first, last)| (first..=last).contains(&&address))
    };
    let maps = Maps::open(&lab.name)?;
    let unreachable = conntrack::retire_unreachable(&maps, is_ours)?;
    if unreachable > 0 {
        sweep(&lab.name, &maps).await?;
    }
    Ok(Changes { unreachable, attached })
}

/// Sweeps what was doomed out of the table: flows first, then the mappings that they used.
pub async fn sweep(lab: &str, maps: &Maps) -> Result<()> {
    let sweeper = Sweeper::open(lab)?;
    sweeper.all(maps).await?;
    sweeper.all(maps).await?;
    Ok(())
}

/// What the programs that this netlab carries are known by.
fn digest() -> String {
    let mut hasher = DefaultHasher::new();
    object::OBJECT.hash(&mut hasher);
    format!("{:016x}\n", hasher.finish())
}

fn note_programs(dir: &LabDir) -> Result<()> {
    Ok(write_whole(&dir.path().join("programs"), digest().as_bytes())?)
}

/// Whether a running lab's programs are those that this netlab carries.
pub fn is_current(dir: &LabDir) -> bool {
    std::fs::read_to_string(dir.path().join("programs")).is_ok_and(|noted| noted == digest())
}

/// Puts this netlab's programs in the place of a running lab's; flows and counters stay.
pub async fn upgrade(lab: &Lab, dir: &LabDir, uplink: &str) -> Result<()> {
    let host = topology::open(dir, lab.host.namespace.as_deref())?;
    let (_, links) = look(lab, &host, uplink).await?;
    let there: Vec<Interface> =
        nat::interfaces(lab, uplink).into_iter().filter(|one| links.contains_key(&one.name)).collect();
    note_clsact_if_there(dir, &host, uplink, &there)?;
    let traits = traits(lab, &links, uplink)?;
    host.enter(|| datapath::upgrade(&lab.name, &there, traits))??;
    ways::apply(lab, dir, &host, uplink, false)?;
    note_programs(dir)
}
