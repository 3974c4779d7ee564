//! `Tables` on the maps and `Env` on the kernel's helpers.

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::generated::{bpf_get_prandom_u32, bpf_ktime_get_coarse_ns};
use aya_ebpf::maps::lpm_trie::Key;
use netlab_common::abi::flow::{Counters, Direction, Flow, FlowRef, Head, Tuple, life};
use netlab_common::abi::hook::Hook;
use netlab_common::abi::rule::{ForwardKey, ForwardTarget, MasqueradeTarget, Zone};
use netlab_common::abi::verdict::{Verdict, received_index, verdict_index};
use netlab_common::tables::{Claim, Env, Tables, Traffic};

use crate::atomic;
use crate::maps::{
    FLOWS, FORWARDS, FREE_SLOTS, FRESH_SLOT, INTERFACES, KEYS, MASQUERADES, RULE_COUNTERS, VERDICT_COUNTERS,
    ZONES,
};

/// The lab's maps.
pub struct MapTables;

/// What the kernel answers when a key is there already.
const EEXIST: i32 = -17;

impl Tables<4> for MapTables {
    #[inline(always)]
    fn find_key(&self, key: &Tuple<4>) -> Option<FlowRef> {
        // SAFETY: the value is copied at once. Should its element be reused meanwhile, the generation in
        // the slot will not match a torn copy's, and that is a miss.
        unsafe { KEYS.get(key) }.copied()
    }

    #[inline(always)]
    fn claim_key(&self, key: &Tuple<4>, to: FlowRef) -> Claim {
        match KEYS.insert(key, to, u64::from(BPF_NOEXIST)) {
            Ok(()) => Claim::Won,
            Err(EEXIST) => Claim::Taken,
            Err(_) => Claim::Full,
        }
    }

    #[inline(always)]
    fn release_key(&self, key: &Tuple<4>) {
        // A key that is gone already is as good as released.
        let _ = KEYS.remove(key);
    }

    #[inline(always)]
    fn reserve_slot(&self) -> Option<(u32, u32)> {
        let slot = match FREE_SLOTS.pop() {
            Ok(Some(slot)) => slot,
            Ok(None) | Err(_) => {
                let fresh = FRESH_SLOT.get_ptr_mut(0)?;
                // SAFETY: the pointer is to the array's one aligned u64.
                let number = unsafe { atomic::fetch_add(fresh, 1) };
                if number > u64::from(u32::MAX) {
                    return None;
                }
                number as u32
            }
        };
        let flow = FLOWS.get_ptr(slot)?;
        // SAFETY: the pointer is to a whole aligned slot, and nobody else holds a reserved one.
        Some((slot, unsafe { (*flow).head.generation }))
    }

    #[inline(always)]
    fn release_slot(&self, slot: u32) {
        if let Some(flow) = FLOWS.get_ptr_mut(slot) {
            // SAFETY: the pointer is to a whole aligned slot, which is this packet's until it is pushed.
            unsafe {
                (*flow).head.life = life::FREE;
                (*flow).head.generation = (*flow).head.generation.wrapping_add(1);
            }
        }
        // The queue has room for every slot there is, so a push of one that was taken cannot fail.
        let _ = FREE_SLOTS.push(slot, 0);
    }

    #[inline(always)]
    fn write_flow(&self, slot: u32, head: &Head<4>, now: u64) {
        if let Some(flow) = FLOWS.get_ptr_mut(slot) {
            let counters = Counters { last_seen: now, packets: [0; 2], bytes: [0; 2] };
            // SAFETY: the pointer is to a whole aligned slot, and no key leads to it yet.
            unsafe { *flow = Flow { head: *head, counters } };
        }
    }

    #[inline(always)]
    fn write_reply(&self, slot: u32, reply: &Tuple<4>) {
        if let Some(flow) = FLOWS.get_ptr_mut(slot) {
            // SAFETY: the pointer is to a whole aligned slot, and no key leads to it yet.
            unsafe { (*flow).head.reply = *reply };
        }
    }

    #[inline(always)]
    fn read_flow(&self, slot: u32) -> Option<Head<4>> {
        let flow = FLOWS.get_ptr(slot)?;
        // SAFETY: the pointer is to a whole aligned slot, and the reads are of aligned words. The generation
        // is read once more after the rest: it changes before anything else of a slot that changes hands.
        let (head, generation) =
            unsafe { ((*flow).head, (&raw const (*flow).head.generation).read_volatile()) };
        (head.generation == generation).then_some(head)
    }

    #[inline(always)]
    fn last_seen(&self, slot: u32) -> u64 {
        // SAFETY: the pointer is to a whole aligned slot; the read is of one aligned word.
        FLOWS.get_ptr(slot).map_or(0, |flow| unsafe { (*flow).counters.last_seen })
    }

    #[inline(always)]
    fn retire(&self, slot: u32) {
        if let Some(flow) = FLOWS.get_ptr_mut(slot) {
            // SAFETY: the pointer is to a whole aligned slot.
            unsafe { atomic::exchange_if(&raw mut (*flow).head.life, life::LIVE, life::DYING) };
        }
    }

    #[inline(always)]
    fn revive(&self, slot: u32) -> bool {
        let Some(flow) = FLOWS.get_ptr_mut(slot) else { return false };
        // SAFETY: the pointer is to a whole aligned slot.
        unsafe { atomic::exchange_if(&raw mut (*flow).head.life, life::DYING, life::LIVE) }
    }

    #[inline(always)]
    fn reset_state(&self, slot: u32, state: u32) {
        if let Some(flow) = FLOWS.get_ptr_mut(slot) {
            // SAFETY: the pointer is to a whole aligned slot; the write is of one aligned word.
            unsafe { (*flow).head.state = state };
        }
    }

    #[inline(always)]
    fn record(&self, slot: u32, direction: Direction, state_bits: u32, traffic: Traffic, now: u64) {
        let Some(flow) = FLOWS.get_ptr_mut(slot) else { return };
        let index = direction as usize & 1;
        // SAFETY: the pointer is to a whole aligned slot; each operation is on one aligned word of it.
        unsafe {
            if state_bits != 0 {
                atomic::or(&raw mut (*flow).head.state, state_bits);
            }
            (*flow).counters.last_seen = now;
            atomic::add(&raw mut (*flow).counters.packets[index], traffic.packets);
            atomic::add(&raw mut (*flow).counters.bytes[index], traffic.bytes);
        }
    }

    #[inline(always)]
    fn forward(&self, key: &ForwardKey<4>) -> Option<ForwardTarget<4>> {
        // SAFETY: the value is copied at once; a rule replaced meanwhile gives the old or the new one.
        unsafe { FORWARDS.get(key) }.copied()
    }

    #[inline(always)]
    fn masquerade(&self, source: [u8; 4]) -> Option<MasqueradeTarget<4>> {
        MASQUERADES.get(Key::new(32, source)).copied()
    }

    #[inline(always)]
    fn is_lab_interface(&self, index: u32) -> bool {
        // SAFETY: only whether there is a value counts.
        unsafe { INTERFACES.get(index) }.is_some()
    }

    #[inline(always)]
    fn zone(&self, address: [u8; 4]) -> Zone {
        ZONES.get(Key::new(32, address)).map_or(Zone::World, |number| Zone::from_number(*number))
    }

    #[inline(always)]
    fn count_rule(&self, rule: u32, direction: Direction, traffic: Traffic, new_flow: u64) {
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

    #[inline(always)]
    fn count_received(&self, hook: Hook, traffic: Traffic) {
        count(received_index(hook), traffic);
    }

    #[inline(always)]
    fn count_verdict(&self, hook: Hook, verdict: Verdict, traffic: Traffic) {
        count(verdict_index(hook, verdict), traffic);
    }
}

#[inline(always)]
fn count(index: u32, traffic: Traffic) {
    if let Some(count) = VERDICT_COUNTERS.get_ptr_mut(index) {
        // SAFETY: the pointer is to this CPU's own copy; see `count_rule`.
        unsafe {
            (*count).packets += traffic.packets;
            (*count).bytes += traffic.bytes;
        }
    }
}

/// The kernel's clock and random numbers.
pub struct KernelEnv;

impl Env for KernelEnv {
    #[inline(always)]
    fn now(&self) -> u64 {
        // SAFETY: the helper takes nothing and cannot fail.
        unsafe { bpf_ktime_get_coarse_ns() }
    }

    #[inline(always)]
    fn random(&self) -> u32 {
        // SAFETY: the helper takes nothing and cannot fail.
        unsafe { bpf_get_prandom_u32() }
    }
}
