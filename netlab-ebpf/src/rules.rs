//! `Rules` on the maps.

use aya_ebpf::maps::lpm_trie::Key;
use netlab_common::abi::rule::{AllowKey, ForwardKey, ForwardPort, MasqueradeTarget, TARGETS, Target, Zone};
use netlab_common::tables::Rules;

use crate::atomic;
use crate::maps::{ALLOW, FORWARD_PORTS, FORWARDS, INTERFACES, MASQUERADES, ZONES};
use crate::tables::MapTables;

impl Rules<4> for MapTables {
    #[inline(always)]
    fn forward_port(&self, key: &ForwardKey<4>) -> Option<ForwardPort> {
        // SAFETY: the value is copied at once; a rule replaced meanwhile gives the old or the new one.
        unsafe { FORWARD_PORTS.get(key) }.copied()
    }

    #[inline(always)]
    fn forward(&self, rule: u32) -> Option<(u32, bool)> {
        let forward = FORWARDS.get_ptr(rule)?;
        // SAFETY: the pointer is to a whole aligned entry.
        Some(unsafe { ((*forward).count, (*forward).restricted != 0) })
    }

    #[inline(always)]
    fn target(&self, rule: u32, index: u32) -> Target<4> {
        let nothing = Target { address: [0; 4], near: [0; 4], port: 0, node: 0 };
        let Some(forward) = FORWARDS.get_ptr(rule) else { return nothing };
        // SAFETY: the pointer is to a whole aligned entry, and the mask keeps the index within its targets.
        unsafe { (*forward).targets[index as usize & (TARGETS - 1)] }
    }

    #[inline(always)]
    fn next_turn(&self, rule: u32) -> u32 {
        let Some(forward) = FORWARDS.get_ptr_mut(rule) else { return 0 };
        // SAFETY: the pointer is to a whole aligned entry.
        unsafe { atomic::fetch_add_32(&raw mut (*forward).turn, 1) }
    }

    #[inline(always)]
    fn allows(&self, rule: u32, source: [u8; 4]) -> bool {
        ALLOW.get(Key::new(64, AllowKey { rule: rule.to_be_bytes(), source })).is_some()
    }

    #[inline(always)]
    fn masquerade(&self, source: [u8; 4]) -> Option<MasqueradeTarget<4>> {
        MASQUERADES.get(Key::new(32, source)).copied()
    }

    #[inline(always)]
    fn lab_interface(&self, index: u32) -> Option<[u8; 4]> {
        // SAFETY: the value is copied at once.
        unsafe { INTERFACES.get(index) }.copied()
    }

    #[inline(always)]
    fn zone(&self, address: [u8; 4]) -> Zone {
        ZONES.get(Key::new(32, address)).map_or(Zone::World, |number| Zone::from_number(*number))
    }

    #[inline(always)]
    fn node(&self, address: [u8; 4]) -> u16 {
        ZONES.get(Key::new(32, address)).map_or(0, |number| Zone::node(*number))
    }
}
