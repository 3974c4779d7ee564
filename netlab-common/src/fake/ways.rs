//! Ways out in ordinary collections.

use super::MemTables;
use crate::abi::flow::{Direction, FlowRef};
use crate::abi::recent::{self, Recent};
use crate::abi::way::{Exit, Learnt, Way};
use crate::tables::Ways;

impl Ways for MemTables {
    fn epoch(&self) -> u32 {
        self.epoch.get()
    }

    fn place_bits(&self) -> u32 {
        self.place_bits.get()
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
        // A sweep may go beyond the last slot.
        let flows = self.flows.borrow();
        flows.get(slot as usize).map_or(Learnt(0), |flow| Learnt(flow.counters.ways[direction as usize]))
    }

    fn forget_learnt(&self, slot: u32, direction: Direction) {
        self.with(slot, |flow| flow.counters.ways[direction as usize] = 0);
    }

    fn recent(&self, place: u32, hash: u32) -> Recent {
        let places = self.recent.borrow();
        let there = places.get(&place).copied().unwrap_or_default();
        there.into_iter().find(|hint| hint.is_of(hash)).unwrap_or_default()
    }

    fn set_recent(&self, place: u32, hash: u32, recent: Recent, now: u32) {
        let mut places = self.recent.borrow_mut();
        let there = places.entry(place).or_default();
        there[recent::room(*there, hash, now)] = recent;
    }

    fn set_learnt(&self, to: FlowRef, learnt: Learnt) {
        self.with(to.slot(), |flow| {
            if flow.head.generation == to.generation() {
                flow.counters.ways[to.direction() as usize] = learnt.0;
            }
        });
    }
}
