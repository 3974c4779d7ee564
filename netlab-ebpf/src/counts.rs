//! Counting on the maps: packets and bytes by rule and by verdict on each CPU, events for all of them together.

use netlab_common::abi::event::Event;
use netlab_common::abi::flow::Direction;
use netlab_common::tables::Traffic;

use crate::atomic;
use crate::maps::{EVENTS, RULE_COUNTERS, VERDICT_COUNTERS};

/// Whether packets and bytes are counted. The agent sets it when it loads the object; the verifier then knows it, and
/// drops what is not needed.
#[unsafe(no_mangle)]
static NL_COUNTING: u32 = 1;

/// Whether packets and bytes are counted.
#[inline(always)]
pub fn are_on() -> bool {
    // SAFETY: the static is a constant of the object. It is read anew, because LLVM believes its value here.
    unsafe { (&raw const NL_COUNTING).read_volatile() != 0 }
}

/// Adds a flow's packets to its rule, and the flow if it is new.
#[inline(always)]
pub fn add_to_rule(rule: u32, direction: Direction, traffic: Traffic, new_flow: u64) {
    if !are_on() {
        return;
    }
    let Some(counters) = RULE_COUNTERS.get_ptr_mut(rule) else { return };
    let index = direction as usize & 1;
    // SAFETY: the pointer is to this CPU's own copy, and the programs do not interrupt each other on
    // one CPU while they run with bottom halves off.
    unsafe {
        (*counters).flows += new_flow;
        (*counters).packets[index] += traffic.packets;
        (*counters).bytes[index] += traffic.bytes;
    }
}

/// Adds to one of the received and verdict counters.
#[inline(always)]
pub fn add(index: u32, traffic: Traffic) {
    if !are_on() {
        return;
    }
    if let Some(count) = VERDICT_COUNTERS.get_ptr_mut(index) {
        // SAFETY: the pointer is to this CPU's own copy; see `add_to_rule`.
        unsafe {
            (*count).packets += traffic.packets;
            (*count).bytes += traffic.bytes;
        }
    }
}

/// Adds to an event's counter.
#[inline(always)]
pub fn add_events(event: Event, times: u64) {
    if let Some(count) = EVENTS.get_ptr_mut(event as u32) {
        // SAFETY: the pointer is to an aligned word.
        unsafe { atomic::add(count, times) };
    }
}
