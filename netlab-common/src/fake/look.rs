//! What tests look for in the tables.

use std::vec::Vec;

use super::MemTables;
use crate::abi::event::Event;
use crate::abi::flow::{Flow, life};
use crate::abi::hook::Hook;
use crate::abi::verdict::{Count, Verdict, verdict_index};

impl MemTables {
    /// A copy of a slot, if it is in use.
    #[must_use]
    pub fn flow(&self, slot: u32) -> Option<Flow<4>> {
        self.flows.borrow().get(slot as usize).copied().filter(|flow| flow.head.life != life::FREE)
    }

    /// Every live flow.
    #[must_use]
    pub fn live(&self) -> Vec<Flow<4>> {
        self.flows.borrow().iter().filter(|flow| flow.head.life == life::LIVE).copied().collect()
    }

    /// A verdict's count at a hook.
    #[must_use]
    pub fn count(&self, hook: Hook, verdict: Verdict) -> Count {
        self.verdicts.borrow().get(&verdict_index(hook, verdict)).copied().unwrap_or_default()
    }

    /// How often an event happened.
    #[must_use]
    pub fn event(&self, event: Event) -> u64 {
        self.events.borrow().get(&event).copied().unwrap_or(0)
    }

    /// Ports that are marked as in use, in all bitmaps.
    #[must_use]
    pub fn marked_ports(&self) -> u32 {
        self.ports.borrow().iter().flat_map(|shard| shard.words).map(u64::count_ones).sum()
    }
}
