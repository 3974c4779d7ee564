//! Ways out in ordinary collections.

use super::MemTables;
use crate::abi::flow::{Direction, FlowRef};
use crate::abi::recent::Recent;
use crate::abi::way::{Exit, Learnt, Way};
use crate::tables::Ways;

impl Ways for MemTables {
    fn epoch(&self) -> u32 {
        self.epoch.get()
    }

    fn exit(&self, interface: u32) -> Exit {
        self.exits.borrow().get(&interface).copied().unwrap_or_default()
    }

    fn way(&self, number: u32) -> Way {
        self.ways.borrow().get(&number).copied().unwrap_or_default()
    }

    fn replace_way(&self, number: u32, version: u32, way: &Way) -> bool {
        let mut ways = self.ways.borrow_mut();
        let place = ways.entry(number).or_default();
        if place.version != version {
            return false;
        }
        *place = Way { version: version.wrapping_add(2), ..*way };
        true
    }

    fn touch_way(&self, number: u32, now: u32) {
        self.ways.borrow_mut().entry(number).or_default().seen = now;
    }

    fn learnt(&self, slot: u32, direction: Direction) -> Learnt {
        Learnt(self.flows.borrow()[slot as usize].counters.ways[direction as usize])
    }

    fn recent(&self, hash: u32) -> Recent {
        self.recent.borrow().get(&Recent::place(hash)).copied().unwrap_or_default()
    }

    fn set_recent(&self, hash: u32, recent: Recent) {
        let _ = self.recent.borrow_mut().insert(Recent::place(hash), recent);
    }

    fn set_learnt(&self, to: FlowRef, learnt: Learnt) {
        self.with(to.slot(), |flow| {
            if flow.head.generation == to.generation() {
                flow.counters.ways[to.direction() as usize] = learnt.0;
            }
        });
    }
}
