//! The rules in ordinary collections.

use super::MemTables;
use crate::abi::rule::{AllowKey, ForwardKey, ForwardPort, MasqueradeTarget, TARGETS, Target, Zone};
use crate::tables::Rules;

/// The value of the longest prefix around an address.
fn longest<V: Copy>(entries: &[([u8; 4], u8, V)], address: [u8; 4]) -> Option<V> {
    entries
        .iter()
        .filter(|(prefix, len, _)| is_within(address, *prefix, *len))
        .max_by_key(|(_, len, _)| *len)
        .map(|(_, _, value)| *value)
}

fn is_within(address: [u8; 4], prefix: [u8; 4], len: u8) -> bool {
    let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
    u32::from_be_bytes(prefix) & mask == u32::from_be_bytes(address) & mask
}

impl Rules<4> for MemTables {
    fn forward_port(&self, key: &ForwardKey<4>) -> Option<ForwardPort> {
        self.forward_ports.get(key).copied()
    }

    fn forward(&self, rule: u32) -> Option<(u32, bool)> {
        self.forwards.borrow().get(&rule).map(|forward| (forward.count, forward.restricted != 0))
    }

    fn target(&self, rule: u32, index: u32) -> Target<4> {
        let none = Target { address: [0; 4], near: [0; 4], port: 0, node: 0 };
        self.forwards.borrow().get(&rule).map_or(none, |forward| forward.targets[index as usize % TARGETS])
    }

    fn next_turn(&self, rule: u32) -> u32 {
        let mut forwards = self.forwards.borrow_mut();
        let Some(forward) = forwards.get_mut(&rule) else { return 0 };
        forward.turn = forward.turn.wrapping_add(1);
        forward.turn.wrapping_sub(1)
    }

    fn allows(&self, rule: u32, source: [u8; 4]) -> bool {
        let key = AllowKey { rule: rule.to_be_bytes(), source };
        self.allow
            .iter()
            .any(|(of, prefix, len)| of.to_be_bytes() == key.rule && is_within(key.source, *prefix, *len))
    }

    fn masquerade(&self, source: [u8; 4]) -> Option<MasqueradeTarget<4>> {
        longest(&self.masquerades, source)
    }

    fn lab_interface(&self, index: u32) -> Option<[u8; 4]> {
        self.interfaces.get(&index).copied()
    }

    fn zone(&self, address: [u8; 4]) -> Zone {
        longest(&self.zones, address).unwrap_or(Zone::World)
    }

    fn node(&self, address: [u8; 4]) -> u16 {
        self.nodes.get(&address).copied().unwrap_or(0)
    }
}
