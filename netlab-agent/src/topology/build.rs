//! Turns the steps of a plan into system calls and netlink requests. It keeps the journal ahead of every
//! change that outlives the process, and leaves undoing to `teardown`.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::fd::AsFd;
use std::time::SystemTime;

use futures_util::{StreamExt, stream};

use super::error::BuildError;
use super::folder::{LabDir, write_whole};
use super::journal::{self, Guest, Interface, Journal, NamespaceRecord, State, SysctlRecord};
use super::sysctl;
use super::{Plan, PlannedEnd, Site, Stage, Step, hosts};
use crate::lab::{Lab, Place, Uplink};
use crate::netlink::{LinkChange, Netlink, NetlinkError, NewBridge, NewRoute, VethEnd};
use crate::netns::{self, Namespace};
use crate::sys;

/// Requests that wait for an answer at the same time.
const WINDOW: usize = 64;
/// Namespaces made between two looks at whether the user has interrupted.
const CHUNK: usize = 16;
/// The index of `lo` in every namespace; the kernel promises it (`LOOPBACK_IFINDEX`).
const LOOPBACK: u32 = 1;

/// A stack that the lab works in.
pub(super) struct Stack {
    pub(super) namespace: Namespace,
    pub(super) netlink: Netlink,
    /// Interface indexes by name, as far as they were looked at.
    pub(super) indexes: HashMap<String, u32>,
}

/// A lab at work.
pub(super) struct Builder<'a> {
    lab: &'a Lab,
    plan: &'a Plan,
    dir: &'a LabDir,
    /// The host, then the nodes in order.
    pub(super) stacks: Vec<Stack>,
    /// Device group of the lab's links in a host stack that is not its own.
    group: Option<u32>,
}

impl<'a> Builder<'a> {
    /// Makes the namespaces, yet without names: up to here nothing outlives this process.
    pub(super) async fn prepare(lab: &'a Lab, plan: &'a Plan, dir: &'a LabDir) -> Result<Self, BuildError> {
        // Each stack takes a descriptor for its namespace, one for its socket, and one on the way.
        sys::allow_open_files(256 + 3 * lab.nodes.len() as u64).map_err(BuildError::Files)?;
        let owned = usize::from(lab.host.namespace.is_some());
        let total = lab.nodes.len() + owned;
        let mut stacks = Vec::with_capacity(total + 1);
        if owned == 0 {
            stacks.push(Stack::new(Namespace::current()?, Netlink::open())?);
        }
        let mut left = total;
        while left > 0 {
            let count = left.min(CHUNK);
            for (namespace, netlink) in Namespace::make(count, |_| Netlink::open())? {
                stacks.push(Stack::new(namespace, netlink)?);
            }
            left -= count;
            tokio::task::yield_now().await;
        }
        let group = (owned == 0).then(random_group);
        Ok(Builder { lab, plan, dir, stacks, group })
    }

    /// Writes what will be made into the state folder. Fails before anything was changed.
    pub(super) fn write_journal(&self) -> Result<(), BuildError> {
        self.dir.create()?;
        let machine = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        write_whole(&self.dir.hosts(), hosts::text(self.lab, machine.trim()).as_bytes())?;
        let record = |(stack, name): (&Stack, &str)| NamespaceRecord {
            name: name.to_owned(),
            identity: stack.namespace.identity(),
        };
        let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let journal = Journal {
            version: journal::VERSION,
            lab: self.lab.name.clone(),
            state: State::Building,
            started: started.as_nanos() as u64,
            host: self.stack(Place::Host).namespace.identity(),
            namespaces: self.named_stacks().map(record).collect(),
            guest: self.group.map(|group| self.guest(group)).transpose()?,
            uplink: None,
            clsact: false,
        };
        Ok(journal.write(self.dir)?)
    }

    /// Carries out the plan.
    pub(super) async fn run(&mut self) -> Result<(), BuildError> {
        let plan = self.plan;
        for steps in plan.steps.chunk_by(|left, right| left.stage() == right.stage()) {
            match steps[0].stage() {
                Stage::Namespaces => self.publish().await?,
                Stage::Sysctls | Stage::InterfaceSysctls => self.set_sysctls(steps)?,
                Stage::Bridges => {
                    self.run_stage(steps).await?;
                    self.look(Place::Host).await?;
                    self.finish_bridges(steps).await?;
                }
                Stage::Cables => {
                    self.run_stage(steps).await?;
                    self.look_where_needed(steps).await?;
                    self.raise_near_ends(steps).await?;
                }
                Stage::Addresses | Stage::Routes => self.run_stage(steps).await?,
            }
        }
        self.mark_links().await
    }

    /// Resolves the uplink and notes that the lab is complete.
    pub(super) async fn finish(&self) -> Result<Option<Interface>, BuildError> {
        let host = self.stack(Place::Host);
        let uplink = uplink(self.lab, host).await?;
        // Another lab's `down` may have changed the journal meanwhile (see `teardown`), so it is read again.
        if let Some(mut journal) = Journal::read(self.dir)? {
            journal.state = State::Up;
            journal.uplink.clone_from(&uplink);
            if let Some(guest) = &mut journal.guest {
                // The kernel may show a value otherwise than it was written; `down` compares with this.
                host.namespace.enter(|| {
                    for record in &mut guest.sysctls {
                        record.new = sysctl::read(&record.key).unwrap_or_else(|_| record.new.clone());
                    }
                })?;
            }
            journal.write(self.dir)?;
        }
        Ok(uplink)
    }

    fn stack(&self, place: Place) -> &Stack {
        &self.stacks[position(place)]
    }

    /// The lab's own namespaces with their names.
    fn named_stacks(&self) -> impl Iterator<Item = (&Stack, &str)> {
        super::places(self.lab)
            .filter_map(|place| self.lab.namespace(place).map(|name| (self.stack(place), name)))
    }

    fn guest(&self, group: u32) -> Result<Guest, BuildError> {
        let mut sysctls = Vec::new();
        for step in &self.plan.steps {
            // A late sysctl belongs to an interface of the lab and goes with it.
            if let Step::Sysctl { site: site @ Site { place: Place::Host, .. }, key, value, late: false } =
                step
            {
                let read = self.stack(Place::Host).namespace.enter(|| sysctl::read(key))?;
                let old = read.map_err(|source| BuildError::Sysctl { site: site.name.clone(), source })?;
                sysctls.push(SysctlRecord { key: key.clone(), old, new: value.clone() });
            }
        }
        Ok(Guest {
            links: super::host_interfaces(self.lab),
            group,
            routes: self.lab.host.routes.clone(),
            sysctls,
        })
    }

    async fn publish(&self) -> Result<(), BuildError> {
        if netns::prepare_folder()? {
            self.dir.note_netns_folder()?;
        }
        for (number, (stack, name)) in self.named_stacks().enumerate() {
            stack.namespace.publish(name)?;
            if number % CHUNK == 0 {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    fn set_sysctls(&self, steps: &[Step]) -> Result<(), BuildError> {
        for step in steps {
            let Step::Sysctl { site, key, value, .. } = step else { continue };
            let written = self.stack(site.place).namespace.enter(|| sysctl::write(key, value))?;
            written.map_err(|source| BuildError::Sysctl { site: site.name.clone(), source })?;
        }
        Ok(())
    }

    /// Sends the requests of one stage, many at a time. Requests of one stack keep their order, because the
    /// futures are started in order and each queues its request when it starts.
    async fn run_stage(&self, steps: &[Step]) -> Result<(), BuildError> {
        all(steps.iter().map(|step| self.run_step(step))).await
    }

    async fn run_step(&self, step: &Step) -> Result<(), BuildError> {
        let result = match step {
            Step::Bridge { name, mac, .. } => {
                let bridge = NewBridge { name, mac: mac.0, group: self.group };
                self.stack(Place::Host).netlink.add_bridge(bridge).await
            }
            Step::Cable { near, far, bridge } => {
                let master = match bridge {
                    Some(bridge) => Some(self.index(&far.site, bridge)?),
                    None => None,
                };
                let netlink = &self.stack(Place::Host).netlink;
                // Only the first end can be made a bridge's port in the same message.
                netlink.add_veth(self.veth_end(far), far.up, master, self.veth_end(near)).await
            }
            Step::Loopback { site } => {
                let up = LinkChange { up: Some(true), ..LinkChange::default() };
                self.stack(site.place).netlink.change_link(LOOPBACK, up).await
            }
            Step::Address { site, interface, address } => {
                let index = self.index(site, interface)?;
                self.stack(site.place).netlink.add_address(index, *address).await
            }
            Step::Route { site, route } => {
                let interface = match &route.dev {
                    Some(name) => Some(self.index(site, name)?),
                    None => None,
                };
                let route = NewRoute { to: route.to, via: route.via, interface };
                self.stack(site.place).netlink.add_route(route).await
            }
            Step::Namespace { .. } | Step::Sysctl { .. } => Ok(()),
        };
        result.map_err(|source| BuildError::Step { step: step.to_string(), source })
    }

    fn veth_end<'e>(&'e self, end: &'e PlannedEnd) -> VethEnd<'e> {
        VethEnd {
            name: &end.name,
            namespace: self.stack(end.site.place).namespace.as_fd(),
            mac: end.mac.map(|mac| mac.0),
            mtu: end.mtu,
            group: self.group.filter(|_| end.site.place == Place::Host),
        }
    }

    fn index(&self, site: &Site, interface: &str) -> Result<u32, BuildError> {
        if interface == "lo" {
            return Ok(LOOPBACK);
        }
        let found = self.stack(site.place).indexes.get(interface).copied();
        found.ok_or_else(|| BuildError::NoInterface {
            site: site.name.clone(),
            interface: interface.to_owned(),
        })
    }

    /// A bridge's MTU set after its making is the user's and stays; one given at its making would follow the
    /// smallest port.
    async fn finish_bridges(&self, steps: &[Step]) -> Result<(), BuildError> {
        let host = self.stack(Place::Host);
        for step in steps {
            let Step::Bridge { name, mtu: Some(mtu), .. } = step else { continue };
            let Some(index) = host.indexes.get(name) else { continue };
            let change = LinkChange { mtu: Some(*mtu), ..LinkChange::default() };
            let changed = host.netlink.change_link(*index, change).await;
            changed.map_err(|source| BuildError::Step { step: step.to_string(), source })?;
        }
        Ok(())
    }

    async fn look(&mut self, place: Place) -> Result<(), BuildError> {
        let stack = &mut self.stacks[position(place)];
        stack.indexes = look(&stack.netlink, self.lab.place_name(place)).await?;
        Ok(())
    }

    /// Learns the interface indexes of the host, whose ports the datapath needs, and of every stack whose
    /// interfaces later steps name: each that has an end of a cable.
    async fn look_where_needed(&mut self, cables: &[Step]) -> Result<(), BuildError> {
        let mut needed = HashSet::from([position(Place::Host)]);
        for step in cables {
            let Step::Cable { near, far, .. } = step else { continue };
            needed.extend([position(near.site.place), position(far.site.place)]);
        }
        let lab = self.lab;
        let stacks = self.stacks.iter_mut().zip(super::places(lab));
        let looks = stacks.filter(|(_, place)| needed.contains(&position(*place)));
        let looks = looks.map(|(stack, place)| async move {
            stack.indexes = look(&stack.netlink, lab.place_name(place)).await?;
            Ok(())
        });
        all(looks).await
    }

    /// Brings up the ends that the kernel could not bring up while it made the pair.
    async fn raise_near_ends(&self, cables: &[Step]) -> Result<(), BuildError> {
        let raises = cables.iter().filter_map(|step| match step {
            Step::Cable { near, .. } if near.up => Some((step, near)),
            _ => None,
        });
        let up = LinkChange { up: Some(true), ..LinkChange::default() };
        let raises = raises.map(|(step, near)| async move {
            let index = self.index(&near.site, &near.name)?;
            let raised = self.stack(near.site.place).netlink.change_link(index, up).await;
            raised.map_err(|source| BuildError::Step { step: step.to_string(), source })
        });
        all(raises).await
    }

    /// Gives the lab's links in a host stack that is not its own the alias that says whose they are. The
    /// kernel takes an alias only for a link that exists; until then the device group is the mark.
    async fn mark_links(&self) -> Result<(), BuildError> {
        if self.group.is_none() {
            return Ok(());
        }
        let host = self.stack(Place::Host);
        let alias = journal::alias(&self.lab.name);
        let names = super::host_interfaces(self.lab);
        let marks = names.iter().filter_map(|name| Some((name, *host.indexes.get(name)?)));
        let marks = marks.map(|(name, index)| {
            let change = LinkChange { alias: Some(&alias), ..LinkChange::default() };
            let marked = host.netlink.change_link(index, change);
            async move {
                let step = || format!("mark the interface {name}");
                marked.await.map_err(|source| BuildError::Step { step: step(), source })
            }
        });
        all(marks).await
    }
}

/// Runs requests side by side, up to `WINDOW` at a time, until one fails.
async fn all<F>(requests: impl Iterator<Item = F>) -> Result<(), BuildError>
where
    F: Future<Output = Result<(), BuildError>>,
{
    let mut running = stream::iter(requests).buffer_unordered(WINDOW);
    while let Some(result) = running.next().await {
        result?;
    }
    Ok(())
}

impl Stack {
    fn new(namespace: Namespace, netlink: Result<Netlink, NetlinkError>) -> Result<Self, BuildError> {
        let netlink =
            netlink.map_err(|source| BuildError::Look { site: "a new stack".to_owned(), source })?;
        Ok(Stack { namespace, netlink, indexes: HashMap::new() })
    }
}

/// Where a place's stack is in the list: the host comes first.
pub(super) fn position(place: Place) -> usize {
    match place {
        Place::Host => 0,
        Place::Node(index) => index + 1,
    }
}

/// Interface indexes of a stack, by name.
pub(super) async fn look(netlink: &Netlink, site: &str) -> Result<HashMap<String, u32>, BuildError> {
    let links = netlink.links().await;
    let links = links.map_err(|source| BuildError::Look { site: site.to_owned(), source })?;
    Ok(links.into_iter().map(|link| (link.name, link.index)).collect())
}

async fn uplink(lab: &Lab, host: &Stack) -> Result<Option<Interface>, BuildError> {
    let missing =
        |name: &str| BuildError::NoInterface { site: "host".to_owned(), interface: name.to_owned() };
    // A lab without cables has not looked at the host yet.
    let indexes = look(&host.netlink, "host").await?;
    match &lab.host.uplink {
        None => Ok(None),
        Some(Uplink::Named(name)) => {
            let index = *indexes.get(name).ok_or_else(|| missing(name))?;
            Ok(Some(Interface { name: name.clone(), index }))
        }
        Some(Uplink::Auto) => {
            let found = host.netlink.default_interface().await;
            let found = found.map_err(|source| BuildError::Look { site: "host".to_owned(), source })?;
            let named = indexes.into_iter().find(|(_, index)| Some(*index) == found);
            named.map(|(name, index)| Some(Interface { name, index })).ok_or(BuildError::NoDefaultRoute)
        }
    }
}

/// A device group that nothing else uses: large and random. Groups that people choose are small numbers.
fn random_group() -> u32 {
    let random = RandomState::new().build_hasher().finish() as u32;
    (random & 0x3fff_ffff) | 0x4000_0000
}
