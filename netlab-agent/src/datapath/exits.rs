//! What the datapath is told of ways out of the host past its stack: by which interfaces packets may leave so, and that
//! something has changed on which learnt ways depend.

use std::collections::BTreeMap;

use aya::maps::{Array, HashMap, Map, MapData};
use netlab_common::abi::config::Config;
use netlab_common::abi::way::Exit;
use netlab_common::abi::{clock, names};

use super::maps::{failed, typed};
use super::rules::hash;
use super::{Result, bpffs};
use crate::sys;

/// The maps that say so.
pub struct Exits {
    epoch: Array<MapData, u32>,
    exits: HashMap<MapData, u32, Exit>,
    config: Array<MapData, Config>,
    /// What they were last made to say.
    said: Option<BTreeMap<u32, Exit>>,
}

impl Exits {
    /// Opens a lab's pinned maps. What the agent before this one has said does not hold any more.
    ///
    /// # Errors
    /// As [`Maps::open`](super::maps::Maps::open).
    pub fn open(lab: &str) -> Result<Self> {
        bpffs::look(lab)?;
        let folder = bpffs::folder(lab);
        let mut exits = Exits {
            epoch: typed(&folder, names::EPOCH, Map::Array)?,
            exits: typed(&folder, names::EXITS, Map::HashMap)?,
            config: typed(&folder, names::CONFIG, Map::Array)?,
            said: None,
        };
        exits.set_epoch(0)?;
        Ok(exits)
    }

    /// Makes the maps say this, and has all that was learnt forgotten if it is something new; without an exit, every
    /// packet goes by the stack from now on. Whether it is new.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn say(&mut self, exits: &BTreeMap<u32, Exit>) -> Result<bool> {
        if self.said.as_ref() == Some(exits) {
            return Ok(false);
        }
        if exits.is_empty() {
            self.set_epoch(0)?;
        }
        hash(&mut self.exits, names::EXITS, exits.iter().map(|(index, exit)| (*index, *exit)))?;
        self.said = Some(exits.clone());
        self.forget()?;
        Ok(true)
    }

    /// Whether there are any, as they were last said.
    pub fn are_open(&self) -> bool {
        self.said.as_ref().is_some_and(|said| !said.is_empty())
    }

    /// Has all that was learnt until now forgotten: the next packet of each flow goes by the stack, and learns anew.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn forget(&mut self) -> Result<()> {
        if self.said.as_ref().is_none_or(BTreeMap::is_empty) {
            return Ok(());
        }
        let config = self.config.get(&0, 0).map_err(|error| failed(names::CONFIG, error))?;
        // Zero says that there are no ways.
        self.set_epoch(clock::tick(sys::monotonic_now(), config.clock_offset).max(1))
    }

    fn set_epoch(&mut self, epoch: u32) -> Result<()> {
        self.epoch.set(0, epoch, 0).map_err(|e| failed(names::EPOCH, e))
    }
}
