//! Filling a loaded object's maps with a case's rules, and reading what its programs left in them.

use std::os::fd::AsFd as _;
use std::sync::atomic::Ordering;

use anyhow::{Context as _, bail};
use aya::maps::lpm_trie::Key;
use aya::maps::{Array, HashMap, LpmTrie, Map, PerCpuArray, PerCpuValues, Queue};
use aya::{Ebpf, Pod};
use bytemuck::Zeroable;
use netlab_agent::datapath::object::{Sizes, Traits};
use netlab_agent::sys::mapping::SharedArray;
use netlab_common::abi::config::Config;
use netlab_common::abi::event::Event;
use netlab_common::abi::flow::{Flow, FlowRef, Tuple, life};
use netlab_common::abi::fragment::{Fragment, FragmentKey, Waiting, place};
use netlab_common::abi::names;
use netlab_common::abi::port::{Pulse, Shard};
use netlab_common::abi::recent::{self, HINTS, Recent};
use netlab_common::abi::rule::{
    AllowKey, Forward, ForwardKey, ForwardPort, MasqueradeTarget, RuleCounters, Zone,
};
use netlab_common::abi::verdict::Count;
use netlab_common::abi::way::{Exit, Way};

use crate::rules::Rules;
use crate::state::{self, Counts, State, Table};

/// Room for the flows that are wanted, and for the rules of any case.
pub fn sizes(rules: &Rules) -> Sizes {
    Sizes {
        flows: rules.room,
        contacts: 64,
        forward_ports: 64,
        allow: 16,
        masquerades: 16,
        zones: 16,
        interfaces: 16,
        rules: 16,
        traits: Traits::default(),
    }
}

/// Leaves nothing in any map.
pub fn empty(object: &mut Ebpf) -> anyhow::Result<()> {
    clear_array::<Flow<4>>(object, names::FLOWS)?;
    clear_array::<u64>(object, names::FRESH_SLOT)?;
    clear_array::<u32>(object, names::SOURCES)?;
    clear_array::<Pulse>(object, names::PULSE)?;
    clear_array::<Forward<4>>(object, names::FORWARDS)?;
    clear_array::<u64>(object, names::EVENTS)?;
    clear_counters::<RuleCounters>(object, names::RULE_COUNTERS)?;
    clear_counters::<Count>(object, names::VERDICT_COUNTERS)?;
    clear_hash::<Tuple<4>, FlowRef>(object, names::KEYS)?;
    clear_hash::<Tuple<4>, FlowRef>(object, names::CONTACTS)?;
    clear_hash::<FragmentKey<4>, Fragment>(object, names::FRAGMENTS)?;
    clear_waiting(object)?;
    clear_hash::<ForwardKey<4>, ForwardPort>(object, names::FORWARD_PORTS)?;
    clear_hash::<u32, [u8; 4]>(object, names::INTERFACES)?;
    clear_hash::<u32, Exit>(object, names::EXITS)?;
    clear_array::<Way>(object, names::WAYS)?;
    clear_recent(object)?;
    clear_trie::<AllowKey<4>, u32>(object, names::ALLOW)?;
    clear_trie::<[u8; 4], MasqueradeTarget<4>>(object, names::MASQUERADES)?;
    clear_trie::<[u8; 4], u32>(object, names::ZONES)?;
    let mut free = Queue::<_, u32>::try_from(map_mut(object, names::FREE_SLOTS)?)?;
    while free.pop(0).is_ok() {}
    Ok(())
}

/// Has the programs ask the clock anew, which otherwise they do when the kernel's own has gone on.
pub fn forget_the_time(object: &mut Ebpf) -> anyhow::Result<()> {
    clear_array::<u64>(object, "NL_NOW")
}

fn clear_array<V: Pod + Zeroable>(object: &mut Ebpf, name: &str) -> anyhow::Result<()> {
    let mut map = Array::<_, V>::try_from(map_mut(object, name)?)?;
    for index in 0..map.len() {
        map.set(index, V::zeroed(), 0)?;
    }
    Ok(())
}

/// Takes all hints away, by the map's memory: there are too many to set them one by one.
fn clear_recent(object: &mut Ebpf) -> anyhow::Result<()> {
    let Map::Array(map) = map_mut(object, names::RECENT)? else { bail!("the hints are no array") };
    let places = map.info()?.max_entries() as usize;
    let hints = SharedArray::<[Recent; HINTS]>::map(map.fd().as_fd(), places)?;
    for (place, hint) in (0..places).flat_map(|place| (0..HINTS).map(move |hint| (place, hint))) {
        hints.long(place, hint * size_of::<Recent>()).store(0, Ordering::Relaxed);
    }
    Ok(())
}

/// Frees the places in which fragments wait; writing each of them, as long as they are, would take a while.
fn clear_waiting(object: &mut Ebpf) -> anyhow::Result<()> {
    let mut map = Array::<_, Waiting<4>>::try_from(map_mut(object, names::WAITING)?)?;
    for index in 0..map.len() {
        if map.get(&index, 0)?.state != place::FREE {
            map.set(index, Waiting::zeroed(), 0)?;
        }
    }
    Ok(())
}

fn clear_counters<V: Pod + Default>(object: &mut Ebpf, name: &str) -> anyhow::Result<()> {
    let mut map = PerCpuArray::<_, V>::try_from(map_mut(object, name)?)?;
    for index in 0..map.len() {
        let cpus = map.get(&index, 0)?.len();
        map.set(index, PerCpuValues::try_from(vec![V::default(); cpus])?, 0)?;
    }
    Ok(())
}

fn clear_hash<K: Pod, V: Pod>(object: &mut Ebpf, name: &str) -> anyhow::Result<()> {
    let mut map = HashMap::<_, K, V>::try_from(map_mut(object, name)?)?;
    let keys: Vec<K> = map.keys().collect::<Result<_, _>>()?;
    Ok(keys.iter().try_for_each(|key| map.remove(key))?)
}

fn clear_trie<K: Pod, V: Pod>(object: &mut Ebpf, name: &str) -> anyhow::Result<()> {
    let mut map = LpmTrie::<_, K, V>::try_from(map_mut(object, name)?)?;
    let keys: Vec<Key<K>> = map.keys().collect::<Result<_, _>>()?;
    Ok(keys.iter().try_for_each(|key| map.remove(key))?)
}

/// Writes the rules and the settings.
pub fn fill(object: &mut Ebpf, rules: &Rules) -> anyhow::Result<()> {
    set_config(object, rules.config)?;
    let mut ports = Array::<_, Shard>::try_from(map_mut(object, names::PORTS)?)?;
    for number in 0..ports.len() {
        ports.set(number, rules.ports, 0)?;
    }
    let mut epoch = Array::<_, u32>::try_from(map_mut(object, names::EPOCH)?)?;
    epoch.set(0, rules.epoch(), 0)?;
    epoch.set(recent::BITS_AT, recent::FEWEST_BITS, 0)?;
    let mut exits = HashMap::<_, u32, Exit>::try_from(map_mut(object, names::EXITS)?)?;
    for (index, exit) in &rules.exits {
        exits.insert(index, exit, 0)?;
    }
    let map = map_mut(object, names::FORWARD_PORTS)?;
    let mut ports = HashMap::<_, ForwardKey<4>, ForwardPort>::try_from(map)?;
    for (key, port) in &rules.forward_ports {
        ports.insert(key, port, 0)?;
    }
    let mut forwards = Array::<_, Forward<4>>::try_from(map_mut(object, names::FORWARDS)?)?;
    for (rule, forward) in &rules.forwards {
        forwards.set(*rule, forward, 0)?;
    }
    let mut allow = LpmTrie::<_, AllowKey<4>, u32>::try_from(map_mut(object, names::ALLOW)?)?;
    for (rule, (source, len)) in &rules.allow {
        let key = AllowKey { rule: rule.to_be_bytes(), source: *source };
        allow.insert(&Key::new(32 + u32::from(*len), key), 1, 0)?;
    }
    let map = map_mut(object, names::MASQUERADES)?;
    let mut masquerades = LpmTrie::<_, [u8; 4], MasqueradeTarget<4>>::try_from(map)?;
    for ((start, len), target) in &rules.masquerades {
        masquerades.insert(&Key::new(u32::from(*len), *start), target, 0)?;
    }
    let mut zones = LpmTrie::<_, [u8; 4], u32>::try_from(map_mut(object, names::ZONES)?)?;
    for ((start, len), zone) in &rules.zones {
        zones.insert(&Key::new(u32::from(*len), *start), zone.stored(0), 0)?;
    }
    for (address, node) in &rules.nodes {
        zones.insert(&Key::new(32, *address), Zone::Nodes.stored(*node), 0)?;
    }
    let mut interfaces = HashMap::<_, u32, [u8; 4]>::try_from(map_mut(object, names::INTERFACES)?)?;
    for (index, address) in &rules.interfaces {
        interfaces.insert(index, address, 0)?;
    }
    Ok(())
}

/// Writes the settings.
pub fn set_config(object: &mut Ebpf, config: Config) -> anyhow::Result<()> {
    Ok(Array::<_, Config>::try_from(map_mut(object, names::CONFIG)?)?.set(0, config, 0)?)
}

/// Says that the agent has swept at this tick.
pub fn set_swept(object: &mut Ebpf, swept: u32) -> anyhow::Result<()> {
    let mut map = Array::<_, Pulse>::try_from(map_mut(object, names::PULSE)?)?;
    let pulse = map.get(&0, 0)?;
    Ok(map.set(0, Pulse { swept, ..pulse }, 0)?)
}

/// Changes every live flow.
pub fn change_live(object: &mut Ebpf, change: impl Fn(&mut Flow<4>)) -> anyhow::Result<()> {
    let flows = flows(object)?;
    let mut map = Array::<_, Flow<4>>::try_from(map_mut(object, names::FLOWS)?)?;
    for (slot, mut flow) in flows.into_iter().filter(|(_, flow)| flow.head.life == life::LIVE) {
        change(&mut flow);
        map.set(slot, flow, 0)?;
    }
    Ok(())
}

/// Slots that were ever used.
pub fn used_slots(object: &Ebpf) -> anyhow::Result<u32> {
    let fresh = Array::<_, u64>::try_from(map(object, names::FRESH_SLOT)?)?.get(&0, 0)?;
    Ok(fresh as u32)
}

/// Every slot that is in use.
fn flows(object: &Ebpf) -> anyhow::Result<Vec<(u32, Flow<4>)>> {
    let mut flows = vec![];
    for (slot, flow) in (0u32..).zip(values::<Flow<4>>(object, names::FLOWS)?) {
        if flow.head.life != life::FREE {
            flows.push((slot, flow));
        }
    }
    Ok(flows)
}

/// Everything that can be compared.
pub fn state(object: &Ebpf, rules: &Rules) -> anyhow::Result<State> {
    let keys = HashMap::<_, Tuple<4>, FlowRef>::try_from(map(object, names::KEYS)?)?;
    let table = Table {
        flows: flows(object)?,
        keys: keys.iter().collect::<Result<_, _>>()?,
        ports: state::marked(&values(object, names::PORTS)?),
        sources: values(object, names::SOURCES)?,
    };
    let mut counted = summed(object, names::RULE_COUNTERS, |sum: &mut RuleCounters, one| {
        sum.flows += one.flows;
        for direction in 0..2 {
            sum.packets[direction] += one.packets[direction];
            sum.bytes[direction] += one.bytes[direction];
        }
    })?;
    // A map has at least one entry, rules or not.
    counted.truncate(rules.count() as usize);
    let events: Vec<u64> = values(object, names::EVENTS)?;
    anyhow::ensure!(events.len() == Event::ALL.len(), "there are {} event counters", events.len());
    Ok(State { flows: table.views(rules)?, counts: counts(object)?, rules: counted, events })
}

/// The received and verdict counters.
pub fn counts(object: &Ebpf) -> anyhow::Result<Counts> {
    summed(object, names::VERDICT_COUNTERS, |sum: &mut Count, one| {
        sum.packets += one.packets;
        sum.bytes += one.bytes;
    })
}

/// An array's values.
fn values<V: Pod>(object: &Ebpf, name: &str) -> anyhow::Result<Vec<V>> {
    let map = Array::<_, V>::try_from(map(object, name)?)?;
    Ok((0..map.len()).map(|index| map.get(&index, 0)).collect::<Result<_, _>>()?)
}

/// A per-CPU array's values, all CPUs together.
fn summed<V: Pod + Default>(object: &Ebpf, name: &str, add: impl Fn(&mut V, &V)) -> anyhow::Result<Vec<V>> {
    let map = PerCpuArray::<_, V>::try_from(map(object, name)?)?;
    let mut sums = vec![];
    for index in 0..map.len() {
        let mut sum = V::default();
        map.get(&index, 0)?.iter().for_each(|one| add(&mut sum, one));
        sums.push(sum);
    }
    Ok(sums)
}

fn map<'a>(object: &'a Ebpf, name: &str) -> anyhow::Result<&'a Map> {
    object.map(name).with_context(|| format!("no map {name}"))
}

fn map_mut<'a>(object: &'a mut Ebpf, name: &str) -> anyhow::Result<&'a mut Map> {
    object.map_mut(name).with_context(|| format!("no map {name}"))
}
