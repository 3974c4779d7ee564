//! The lab's maps by name, opened from their pins: the flow table and the counters. The rules are `rules`'s.

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;
use std::sync::atomic::Ordering;

use aya::Ebpf;
use aya::maps::{Array, Map, MapData, MapError, PerCpuArray};
use netlab_common::abi::clock;
use netlab_common::abi::config::Config;
use netlab_common::abi::event::Event;
use netlab_common::abi::flow::Flow;
use netlab_common::abi::hook::Hook;
use netlab_common::abi::names;
use netlab_common::abi::port::Pulse;
use netlab_common::abi::rule::RuleCounters;
use netlab_common::abi::verdict::{COUNTERS_PER_HOOK, Count, Verdict, received_index, verdict_index};

use super::{Error, Result, bpffs};
use crate::sys;
use crate::sys::mapping::SharedArray;

/// Writes what freshly made maps begin with: settings, and a pulse, so that an agent counts as alive until it
/// had the time to start.
///
/// # Errors
/// When a map is absent or refuses an entry.
pub fn begin(object: &mut Ebpf, flows: u32) -> Result<()> {
    let config = Config { seed: sys::random(), ..Config::for_flows(flows) };
    let name = names::CONFIG;
    let map = object.map_mut(name).ok_or(Error::Absent { name })?;
    Array::<_, Config>::try_from(map)
        .and_then(|mut map| map.set(0, config, 0))
        .map_err(|e| failed(name, e))?;
    let pulse = Pulse { swept: clock::tick(sys::monotonic_now(), config.clock_offset), answered: 0 };
    let name = names::PULSE;
    let map = object.map_mut(name).ok_or(Error::Absent { name })?;
    Array::<_, Pulse>::try_from(map).and_then(|mut map| map.set(0, pulse, 0)).map_err(|e| failed(name, e))
}

/// Pins every map into the lab's folder.
///
/// # Errors
/// When a map is absent or the pin is refused.
pub fn pin(object: &Ebpf, lab: &str) -> Result<()> {
    for name in names::MAPS {
        let path = bpffs::folder(lab).join(name);
        object
            .map(name)
            .ok_or(Error::Absent { name })?
            .pin(&path)
            .map_err(|source| Error::Pin { path: path.display().to_string(), source: Box::new(source) })?;
    }
    Ok(())
}

pub(super) fn failed(name: &'static str, source: MapError) -> Error {
    Error::Map { name, source: Box::new(source) }
}

/// Maps whose size follows from the number of flows.
const OF_FLOWS: [&str; 7] = [
    names::FLOWS,
    names::KEYS,
    names::FREE_SLOTS,
    names::PORTS,
    names::SOURCES,
    names::CONTACTS,
    names::RECENT,
];

/// A running lab's maps.
pub struct Maps {
    /// The flow slots, shared with the kernel.
    pub flows: SharedArray<Flow<4>>,
    events: SharedArray<u64>,
    fresh_slot: Array<MapData, u64>,
    config: Array<MapData, Config>,
    rules: PerCpuArray<MapData, RuleCounters>,
    verdicts: PerCpuArray<MapData, Count>,
    memory: u64,
}

impl Maps {
    /// Opens a lab's pinned maps.
    ///
    /// # Errors
    /// [`Error::OtherAbi`] when the lab's pins are of another version, [`Error::Unpinned`] when there are none,
    /// else what the kernel says.
    pub fn open(lab: &str) -> Result<Self> {
        let folder = bpffs::folder(lab);
        bpffs::look(lab)?;
        let mut memory = 0;
        for name in OF_FLOWS {
            memory += locked(&open(&folder, name)?);
        }
        Ok(Maps {
            memory,
            flows: shared(&folder, names::FLOWS)?,
            events: shared(&folder, names::EVENTS)?,
            fresh_slot: typed(&folder, names::FRESH_SLOT, Map::Array)?,
            config: typed(&folder, names::CONFIG, Map::Array)?,
            rules: typed(&folder, names::RULE_COUNTERS, Map::PerCpuArray)?,
            verdicts: typed(&folder, names::VERDICT_COUNTERS, Map::PerCpuArray)?,
        })
    }

    /// How many slots were ever used: the rest need not be looked at.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn used_slots(&self) -> Result<usize> {
        let fresh = self.fresh_slot.get(&0, 0).map_err(|e| failed(names::FRESH_SLOT, e))?;
        Ok(usize::try_from(fresh).unwrap_or(usize::MAX).min(self.flows.len()))
    }

    /// The lab's settings.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn config(&self) -> Result<Config> {
        self.config.get(&0, 0).map_err(|e| failed(names::CONFIG, e))
    }

    /// How often an event happened.
    pub fn event(&self, event: Event) -> u64 {
        self.events.long(event as usize, 0).load(Ordering::Relaxed)
    }

    /// Counts events that the agent or a command brought about.
    pub fn add_events(&self, event: Event, count: u64) {
        self.events.long(event as usize, 0).fetch_add(count, Ordering::Relaxed);
    }

    /// Kernel memory of the flow table, in bytes: slots, keys, and what is sized by them.
    pub fn memory(&self) -> u64 {
        self.memory
    }

    /// A rule's counters, over all CPUs.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn rule(&self, rule: u32) -> Result<RuleCounters> {
        let each = self.rules.get(&rule, 0).map_err(|e| failed(names::RULE_COUNTERS, e))?;
        let mut sum = RuleCounters::default();
        for cpu in each.iter() {
            sum.flows += cpu.flows;
            for direction in 0..2 {
                sum.packets[direction] += cpu.packets[direction];
                sum.bytes[direction] += cpu.bytes[direction];
            }
        }
        Ok(sum)
    }

    /// What a hook received, and what became of it in the order of [`Verdict::ALL`], over all CPUs.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn hook(&self, hook: Hook) -> Result<(Count, Vec<Count>)> {
        debug_assert_eq!(Verdict::ALL.len() as u32 + 1, COUNTERS_PER_HOOK);
        let received = self.count(received_index(hook))?;
        let verdicts = Verdict::ALL
            .iter()
            .map(|verdict| self.count(verdict_index(hook, *verdict)))
            .collect::<Result<Vec<Count>>>()?;
        Ok((received, verdicts))
    }

    fn count(&self, index: u32) -> Result<Count> {
        let each = self.verdicts.get(&index, 0).map_err(|e| failed(names::VERDICT_COUNTERS, e))?;
        Ok(each.iter().fold(Count::default(), |sum, cpu| Count {
            packets: sum.packets + cpu.packets,
            bytes: sum.bytes + cpu.bytes,
        }))
    }
}

/// Memory that the kernel charges for a map, in bytes; zero where it does not say.
fn locked(map: &MapData) -> u64 {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", map.fd().as_fd().as_raw_fd()));
    let info = info.unwrap_or_default();
    let line = info.lines().find_map(|line| line.strip_prefix("memlock:"));
    line.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

/// A pinned map.
pub(super) fn open(folder: &Path, name: &'static str) -> Result<MapData> {
    MapData::from_pin(folder.join(name)).map_err(|e| failed(name, e))
}

/// An array that was made mappable.
fn shared<T: bytemuck::Pod>(folder: &Path, name: &'static str) -> Result<SharedArray<T>> {
    let map = open(folder, name)?;
    let len = map.info().map_err(|e| failed(name, e))?.max_entries();
    SharedArray::map(map.fd().as_fd(), len as usize)
        .map_err(|source| Error::BpfFs { path: folder.join(name).display().to_string(), source })
}

/// A pinned map as what it is.
pub(super) fn typed<M>(folder: &Path, name: &'static str, wrap: fn(MapData) -> Map) -> Result<M>
where
    M: TryFrom<Map, Error = MapError>,
{
    M::try_from(wrap(open(folder, name)?)).map_err(|e| failed(name, e))
}
