//! The lab's maps by name: filled with its rules when it comes up, opened from their pins afterwards.

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;

use aya::Ebpf;
use aya::maps::lpm_trie::Key;
use aya::maps::{Array, HashMap, LpmTrie, Map, MapData, MapError, PerCpuArray, Queue};
use netlab_common::abi::flow::{Flow, FlowRef, Tuple};
use netlab_common::abi::hook::Hook;
use netlab_common::abi::names;
use netlab_common::abi::rule::{ForwardKey, ForwardTarget, MasqueradeTarget, RuleCounters};
use netlab_common::abi::verdict::{COUNTERS_PER_HOOK, Count, Verdict, received_index, verdict_index};

use super::rules::Rules;
use super::{Error, Result, bpffs};
use crate::sys::mapping::SharedArray;

/// Writes the rules into freshly made maps.
///
/// # Errors
/// When a map is absent or refuses an entry.
pub fn fill(object: &mut Ebpf, rules: &Rules) -> Result<()> {
    let name = names::FORWARDS;
    let mut forwards: HashMap<_, ForwardKey<4>, ForwardTarget<4>> =
        HashMap::try_from(map_mut(object, name)?).map_err(|e| failed(name, e))?;
    for (key, target) in &rules.forwards {
        forwards.insert(key, target, 0).map_err(|e| failed(name, e))?;
    }
    let name = names::MASQUERADES;
    let mut masquerades: LpmTrie<_, [u8; 4], MasqueradeTarget<4>> =
        LpmTrie::try_from(map_mut(object, name)?).map_err(|e| failed(name, e))?;
    for (net, target) in &rules.masquerades {
        let key = Key::new(u32::from(net.prefix_len()), net.network().octets());
        masquerades.insert(&key, target, 0).map_err(|e| failed(name, e))?;
    }
    let name = names::ZONES;
    let mut zones: LpmTrie<_, [u8; 4], u32> =
        LpmTrie::try_from(map_mut(object, name)?).map_err(|e| failed(name, e))?;
    for (net, zone) in &rules.zones {
        let key = Key::new(u32::from(net.prefix_len()), net.network().octets());
        zones.insert(&key, *zone as u32, 0).map_err(|e| failed(name, e))?;
    }
    let name = names::INTERFACES;
    let mut interfaces: HashMap<_, u32, u32> =
        HashMap::try_from(map_mut(object, name)?).map_err(|e| failed(name, e))?;
    for index in &rules.lab_interfaces {
        interfaces.insert(index, 1, 0).map_err(|e| failed(name, e))?;
    }
    Ok(())
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

fn map_mut<'a>(object: &'a mut Ebpf, name: &'static str) -> Result<&'a mut Map> {
    object.map_mut(name).ok_or(Error::Absent { name })
}

fn failed(name: &'static str, source: MapError) -> Error {
    Error::Map { name, source: Box::new(source) }
}

/// A running lab's maps.
pub struct Maps {
    /// The flow slots, shared with the kernel.
    pub flows: SharedArray<Flow<4>>,
    keys: HashMap<MapData, Tuple<4>, FlowRef>,
    free_slots: Queue<MapData, u32>,
    fresh_slot: Array<MapData, u64>,
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
        let flows = open(&folder, names::FLOWS)?;
        let slots = flows.info().map_err(|e| failed(names::FLOWS, e))?.max_entries();
        let keys = open(&folder, names::KEYS)?;
        Ok(Maps {
            memory: locked(&flows) + locked(&keys),
            flows: SharedArray::map(flows.fd().as_fd(), slots as usize).map_err(|source| Error::BpfFs {
                path: folder.join(names::FLOWS).display().to_string(),
                source,
            })?,
            keys: HashMap::try_from(Map::HashMap(keys)).map_err(|e| failed(names::KEYS, e))?,
            free_slots: typed(&folder, names::FREE_SLOTS, Map::Queue)?,
            fresh_slot: typed(&folder, names::FRESH_SLOT, Map::Array)?,
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

    /// Takes a key away, if it still leads to this slot in this generation.
    ///
    /// # Errors
    /// What the kernel says, other than that the key is gone.
    pub fn remove_key(&mut self, key: &Tuple<4>, slot: u32, generation: u32) -> Result<()> {
        match self.keys.get(key, 0) {
            Ok(to) if to.slot == slot && to.generation == generation => {}
            Ok(_) | Err(MapError::KeyNotFound) => return Ok(()),
            Err(error) => return Err(failed(names::KEYS, error)),
        }
        match self.keys.remove(key) {
            Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
            Err(error) => Err(failed(names::KEYS, error)),
        }
    }

    /// Gives a slot back to the datapath.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn push_free(&mut self, slot: u32) -> Result<()> {
        self.free_slots.push(slot, 0).map_err(|e| failed(names::FREE_SLOTS, e))
    }

    /// Kernel memory of the flow table, slots and keys, in bytes.
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

fn open(folder: &Path, name: &'static str) -> Result<MapData> {
    MapData::from_pin(folder.join(name)).map_err(|e| failed(name, e))
}

fn typed<M>(folder: &Path, name: &'static str, wrap: fn(MapData) -> Map) -> Result<M>
where
    M: TryFrom<Map, Error = MapError>,
{
    M::try_from(wrap(open(folder, name)?)).map_err(|e| failed(name, e))
}
