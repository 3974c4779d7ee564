//! The rules in the datapath's own terms, and writing them into the maps of a lab that may be running. `nat`
//! makes them from a lab.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use aya::Pod;
use aya::maps::lpm_trie::Key;
use aya::maps::{Array, HashMap, LpmTrie, Map, MapData, MapError};
use ipnet::Ipv4Net;
use netlab_common::abi::config::Config;
use netlab_common::abi::names;
use netlab_common::abi::rule::{AllowKey, Forward, ForwardKey, ForwardPort, MasqueradeTarget, Zone};

use super::maps::{failed, open, typed};
use super::{Error, Result, bpffs};
use crate::sys::batch;

/// Everything the datapath looks up.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// The lab's settings.
    pub config: Config,
    /// Forwards by rule number.
    pub forwards: Vec<(u32, Forward<4>)>,
    /// Each port of each forward.
    pub forward_ports: Vec<(ForwardKey<4>, ForwardPort)>,
    /// Rule number and prefix: who may use restricted forwards.
    pub allow: Vec<(u32, Ipv4Net)>,
    /// Source prefixes, and what they are hidden behind.
    pub masquerades: Vec<(Ipv4Net, MasqueradeTarget<4>)>,
    /// Index and host's address of the interfaces on which nodes' packets arrive at the host's stack.
    pub interfaces: Vec<(u32, [u8; 4])>,
    /// Whose each address is.
    pub zones: Vec<(Ipv4Net, Zone)>,
    /// Addresses of forwards' targets that have several, their zones, and those nodes' numbers.
    pub nodes: Vec<(Ipv4Addr, Zone, u16)>,
}

impl Rules {
    /// No rules, for a table of so many flows.
    #[must_use]
    pub fn none(flows: u32) -> Self {
        Rules {
            config: Config::for_flows(flows),
            forwards: Vec::new(),
            forward_ports: Vec::new(),
            allow: Vec::new(),
            masquerades: Vec::new(),
            interfaces: Vec::new(),
            zones: Vec::new(),
            nodes: Vec::new(),
        }
    }

    /// Rule numbers in use: the highest, and one.
    #[must_use]
    pub fn numbers(&self) -> u32 {
        let forwards = self.forwards.iter().map(|(rule, _)| rule + 1);
        let masquerades = self.masquerades.iter().map(|(_, target)| target.rule + 1);
        forwards.chain(masquerades).max().unwrap_or(0)
    }
}

/// The maps that hold a lab's rules.
pub struct RuleMaps {
    config: Array<MapData, Config>,
    forwards: MapData,
    room: u32,
    forward_ports: HashMap<MapData, ForwardKey<4>, ForwardPort>,
    all_forward_ports: MapData,
    allow: LpmTrie<MapData, AllowKey<4>, u32>,
    masquerades: LpmTrie<MapData, [u8; 4], MasqueradeTarget<4>>,
    interfaces: HashMap<MapData, u32, [u8; 4]>,
    zones: LpmTrie<MapData, [u8; 4], u32>,
}

impl RuleMaps {
    /// Opens a lab's pinned maps.
    ///
    /// # Errors
    /// As [`Maps::open`](super::maps::Maps::open).
    pub fn open(lab: &str) -> Result<Self> {
        bpffs::look(lab)?;
        Self::open_in(&bpffs::folder(lab))
    }

    fn open_in(folder: &Path) -> Result<Self> {
        let forwards = open(folder, names::FORWARDS)?;
        Ok(RuleMaps {
            config: typed(folder, names::CONFIG, Map::Array)?,
            room: forwards.info().map_err(|e| failed(names::FORWARDS, e))?.max_entries(),
            forwards,
            forward_ports: typed(folder, names::FORWARD_PORTS, Map::HashMap)?,
            all_forward_ports: open(folder, names::FORWARD_PORTS)?,
            allow: typed(folder, names::ALLOW, Map::LpmTrie)?,
            masquerades: typed(folder, names::MASQUERADES, Map::LpmTrie)?,
            interfaces: typed(folder, names::INTERFACES, Map::HashMap)?,
            zones: typed(folder, names::ZONES, Map::LpmTrie)?,
        })
    }

    /// How many rule numbers the maps have room for.
    pub fn room(&self) -> u32 {
        self.room
    }

    /// The settings as they are.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn config(&self) -> Result<Config> {
        self.config.get(&0, 0).map_err(|e| failed(names::CONFIG, e))
    }

    /// Makes the maps say what the rules say, entry by entry: what is the same already is not touched, so
    /// packets that other rules concern see no change. The secret that the hashes are seeded with, the clock's
    /// offset and the sizes stay what they were.
    ///
    /// # Errors
    /// What the kernel says; [`Error::RulesFull`] when there is no room.
    pub fn apply(&mut self, lab: &str, rules: &Rules) -> Result<()> {
        if rules.numbers() > self.room() {
            return Err(Error::RulesFull { lab: lab.into(), room: self.room() });
        }
        let old = self.config()?;
        let config = Config {
            seed: old.seed,
            clock_offset: old.clock_offset,
            shard_mask: old.shard_mask,
            source_mask: old.source_mask,
            ..rules.config
        };
        if config != old {
            self.config.set(0, config, 0).map_err(|e| failed(names::CONFIG, e))?;
        }
        let zones = rules.zones.iter().map(|(net, zone)| (net_key(net), zone.stored(0)));
        let nodes = rules.nodes.iter().map(|(at, zone, node)| (net_key(&(*at).into()), zone.stored(*node)));
        trie(&mut self.zones, names::ZONES, zones.chain(nodes))?;
        hash(&mut self.interfaces, names::INTERFACES, rules.interfaces.iter().copied())?;
        let masquerades = rules.masquerades.iter().map(|(net, target)| (net_key(net), *target));
        trie(&mut self.masquerades, names::MASQUERADES, masquerades)?;
        let allow = rules.allow.iter().map(|(rule, net)| {
            let key = AllowKey { rule: rule.to_be_bytes(), source: net.network().octets() };
            (Key::new(32 + u32::from(net.prefix_len()), key), 1)
        });
        trie(&mut self.allow, names::ALLOW, allow)?;
        self.apply_forwards(rules)?;
        self.apply_forward_ports(rules).map_err(|error| match error {
            Error::Map { .. } if rules.forward_ports.len() > PORT_ROOM => {
                Error::RulesFull { lab: lab.into(), room: self.room }
            }
            other => other,
        })
    }

    /// Forwards are written before the ports that lead to them. One that is gone keeps its entry, which no
    /// port leads to any more, until its number is used again.
    fn apply_forwards(&mut self, rules: &Rules) -> Result<()> {
        let numbers = rules.forwards.iter().map(|(rule, _)| rule + 1).max().unwrap_or(0);
        let there: Vec<Forward<4>> = batch::read_array(&self.forwards, numbers)
            .map_err(|error| failed(names::FORWARDS, error.into()))?;
        if there.len() != numbers as usize {
            let error = io::Error::new(io::ErrorKind::UnexpectedEof, "the map was read in part");
            return Err(failed(names::FORWARDS, error.into()));
        }
        let changed = rules.forwards.iter().filter_map(|(rule, forward)| {
            let old = there.get(*rule as usize)?;
            // Whose turn it is goes on where it was.
            let new = Forward { turn: old.turn, ..*forward };
            (new != *old).then_some((*rule, new))
        });
        write(&self.forwards, names::FORWARDS, changed)
    }

    fn apply_forward_ports(&mut self, rules: &Rules) -> Result<()> {
        let wanted = rules.forward_ports.iter().copied();
        let changed = without_others(&mut self.forward_ports, names::FORWARD_PORTS, wanted)?;
        write(&self.all_forward_ports, names::FORWARD_PORTS, changed)
    }
}

/// Writes entries, however many, at once.
fn write<K: Pod, V: Pod>(
    map: &MapData,
    name: &'static str,
    entries: impl IntoIterator<Item = (K, V)>,
) -> Result<()> {
    let (keys, values): (Vec<K>, Vec<V>) = entries.into_iter().unzip();
    batch::write(map, &keys, &values).map_err(|error| failed(name, error.into()))
}

/// Ports of forwards that there is room for beside a lab's own.
pub const PORT_ROOM: usize = 16_384;

fn net_key(net: &Ipv4Net) -> Key<[u8; 4]> {
    Key::new(u32::from(net.prefix_len()), net.network().octets())
}

/// Makes a hash say exactly this.
pub(super) fn hash<K: Pod + Ord, V: Pod + PartialEq>(
    map: &mut HashMap<MapData, K, V>,
    name: &'static str,
    wanted: impl Iterator<Item = (K, V)>,
) -> Result<()> {
    for (key, value) in without_others(map, name, wanted)? {
        map.insert(key, value, 0).map_err(|e| failed(name, e))?;
    }
    Ok(())
}

/// Takes everything away from a hash that is not wanted there; gives what is wanted and not there.
fn without_others<K: Pod + Ord, V: Pod + PartialEq>(
    map: &mut HashMap<MapData, K, V>,
    name: &'static str,
    wanted: impl Iterator<Item = (K, V)>,
) -> Result<Vec<(K, V)>> {
    let wanted: BTreeMap<K, V> = wanted.collect();
    let there: BTreeSet<K> =
        map.keys().collect::<std::result::Result<_, _>>().map_err(|e| failed(name, e))?;
    for key in there.iter().filter(|key| !wanted.contains_key(key)) {
        gone(map.remove(key)).map_err(|e| failed(name, e))?;
    }
    let is_there = |key: &K, value: &V| there.contains(key) && map.get(key, 0).is_ok_and(|old| old == *value);
    Ok(wanted.into_iter().filter(|(key, value)| !is_there(key, value)).collect())
}

/// Makes a trie say exactly this.
fn trie<K: Pod + Ord, V: Pod + PartialEq>(
    map: &mut LpmTrie<MapData, K, V>,
    name: &'static str,
    wanted: impl Iterator<Item = (Key<K>, V)>,
) -> Result<()> {
    let wanted: BTreeMap<(u32, K), V> =
        wanted.map(|(key, value)| ((key.prefix_len(), key.data()), value)).collect();
    let there: Vec<(Key<K>, V)> =
        map.iter().collect::<std::result::Result<_, _>>().map_err(|e| failed(name, e))?;
    let there: BTreeMap<(u32, K), V> =
        there.into_iter().map(|(key, value)| ((key.prefix_len(), key.data()), value)).collect();
    for (len, data) in there.keys().filter(|key| !wanted.contains_key(key)) {
        gone(map.remove(&Key::new(*len, *data))).map_err(|e| failed(name, e))?;
    }
    for ((len, data), value) in wanted.iter().filter(|(key, value)| there.get(key) != Some(value)) {
        map.insert(&Key::new(*len, *data), value, 0).map_err(|e| failed(name, e))?;
    }
    Ok(())
}

fn gone(result: std::result::Result<(), MapError>) -> std::result::Result<(), MapError> {
    match result {
        Err(MapError::KeyNotFound) => Ok(()),
        other => other,
    }
}
