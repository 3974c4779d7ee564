//! `Tables` on the maps.

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::generated::bpf_jiffies64;
use netlab_common::abi::clock;
use netlab_common::abi::config::{Config, Timeout};
use netlab_common::abi::event::Event;
use netlab_common::abi::flow::{Direction, FlowRef, Glance, NO_SLOT, Status, Tuple, life};
use netlab_common::abi::hook::Hook;
use netlab_common::abi::packed::Packed;
use netlab_common::abi::verdict::{Verdict, received_index, verdict_index};
use netlab_common::conntrack::create::NewFlow;
use netlab_common::conntrack::end::{self, Ending, Fate};
use netlab_common::packet::Headers;
use netlab_common::tables::{Claim, Env, Tables, Traffic};

use crate::byhand::{no_tuple, word_of};
use crate::maps::{
    CONFIG, CONTACTS, DRAFT, FLOWS, FREE_SLOTS, FRESH_SLOT, HEADERS, KEYS, NOW, PORTS, PULSE, SOURCES,
};
use crate::{atomic, counts, slot};

/// The lab's maps.
pub struct MapTables;

/// What the kernel answers when a key is there already.
const EEXIST: i32 = -17;

impl Tables<4> for MapTables {
    type Draft = &'static NewFlow<4>;
    type Headers = &'static Headers<4>;

    #[inline(always)]
    fn set_headers(&self, headers: &Headers<4>) {
        if let Some(place) = HEADERS.get_ptr_mut(0) {
            // SAFETY: the pointer is to this CPU's own whole headers.
            unsafe { *place = *headers };
        }
    }

    #[inline(always)]
    fn headers(&self) -> Option<&'static Headers<4>> {
        // SAFETY: the pointer is to this CPU's own whole headers, which this packet has written and nothing changes
        // before the packet is done with them. Maps live as long as the program.
        HEADERS.get_ptr(0).map(|headers| unsafe { &*headers })
    }

    #[inline(always)]
    fn find_key(&self, key: &Tuple<4>) -> Option<FlowRef> {
        // SAFETY: the value is one aligned word and is copied at once. Should its element be reused meanwhile,
        // it is another key's whole reference, and the generation or the tuple in the slot will not match.
        KEYS.get_ptr(key).map(|word| FlowRef(unsafe { word.cast::<u64>().read_volatile() }))
    }

    #[inline(always)]
    fn find_packed_key(&self, key: Packed) -> Option<FlowRef> {
        let words = [key.addresses, key.rest];
        // SAFETY: a tuple is these two words.
        self.find_key(unsafe { &*(&raw const words).cast::<Tuple<4>>() })
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
    fn reserve_slot(&self) -> Option<u32> {
        let slot = match FREE_SLOTS.pop() {
            Ok(Some(slot)) => slot,
            Ok(None) | Err(_) => {
                let fresh = FRESH_SLOT.get_ptr_mut(0)?;
                // The mark is read first, so that a full table does not count it up for ever.
                // SAFETY: the pointer is to the array's one aligned u64.
                let next = unsafe { fresh.read_volatile() };
                FLOWS.get_ptr(next as u32)?;
                // SAFETY: as above.
                let number = unsafe { atomic::fetch_add(fresh, 1) };
                if number > u64::from(u32::MAX) {
                    return None;
                }
                number as u32
            }
        };
        FLOWS.get_ptr(slot).map(|_| slot)
    }

    #[inline(always)]
    fn release_slot(&self, slot: u32) {
        if let Some(flow) = FLOWS.get_ptr_mut(slot) {
            // SAFETY: the pointer is to a whole aligned slot, which is this packet's until it is pushed. The
            // generation changes before the slot counts as free.
            unsafe {
                let next = (*flow).head.generation.wrapping_add(1);
                (&raw mut (*flow).head.generation).write_volatile(next);
                (&raw mut (*flow).head.life).write_volatile(life::FREE);
            }
        }
        // The queue has room for every slot there is, so a push of one that was taken cannot fail.
        let _ = FREE_SLOTS.push(slot, 0);
    }

    #[inline(always)]
    fn used_slots(&self) -> u32 {
        // SAFETY: the pointer is to the array's one aligned u64.
        FRESH_SLOT.get_ptr(0).map_or(0, |fresh| unsafe { fresh.read_volatile() } as u32)
    }

    #[inline(always)]
    fn set_draft(&self, new: &NewFlow<4>) {
        if let Some(draft) = DRAFT.get_ptr_mut(0) {
            // SAFETY: the pointer is to this CPU's own whole draft.
            unsafe { (&raw mut (*draft).0).write(*new) };
        }
    }

    #[inline(always)]
    fn set_place(&self, slot: u32) {
        if let Some(draft) = DRAFT.get_ptr_mut(0) {
            // SAFETY: as above.
            unsafe { (*draft).1 = slot };
        }
    }

    #[inline(always)]
    fn draft(&self) -> Option<&'static NewFlow<4>> {
        // SAFETY: the pointer is to this CPU's own whole draft, which this packet has written and nothing
        // changes before the packet is done with it. Maps live as long as the program.
        DRAFT.get_ptr(0).map(|draft| unsafe { &(*draft).0 })
    }

    #[inline(always)]
    fn forget(&self, value: u32) -> u32 {
        let Some(draft) = DRAFT.get_ptr_mut(0) else { return value };
        // SAFETY: the pointer is to this CPU's own whole draft. What lies in a map is unknown to the verifier.
        unsafe {
            let note = &raw mut (*draft).2;
            note.write_volatile(value);
            note.read_volatile()
        }
    }

    #[inline(always)]
    fn place(&self) -> u32 {
        // SAFETY: the pointer is to this CPU's own whole draft.
        DRAFT.get_ptr(0).map_or(NO_SLOT, |draft| unsafe { (*draft).1 })
    }

    #[inline(always)]
    fn write_flow(&self, slot: u32, new: &NewFlow<4>) {
        slot::write(slot, new);
    }

    #[inline(always)]
    fn write_reply(&self, slot: u32, reply: &Tuple<4>) {
        if let Some(flow) = FLOWS.get_ptr_mut(slot) {
            // SAFETY: the pointer is to a whole aligned slot, and no key leads to it yet.
            unsafe { (*flow).head.reply = *reply };
        }
    }

    #[inline(always)]
    fn status(&self, slot: u32) -> Option<Status> {
        slot::status(slot)
    }

    #[inline(always)]
    fn generation(&self, slot: u32) -> u32 {
        let Some(flow) = FLOWS.get_ptr(slot) else { return 0 };
        // SAFETY: the pointer is to a whole aligned slot; the read is of one aligned word.
        unsafe { (&raw const (*flow).head.generation).read_volatile() }
    }

    #[inline(always)]
    fn tuple(&self, slot: u32, direction: Direction) -> Tuple<4> {
        let Some(flow) = FLOWS.get_ptr(slot) else { return no_tuple() };
        // SAFETY: the pointer is to a whole aligned slot.
        unsafe {
            match direction {
                Direction::Original => (*flow).head.original,
                Direction::Reply => (*flow).head.reply,
            }
        }
    }

    #[inline(always)]
    fn glance(&self, slot: u32, direction: Direction) -> Glance {
        slot::glance(slot, direction)
    }

    #[inline(always)]
    fn change_life(&self, slot: u32, from: u32, to: u32) -> bool {
        let Some(flow) = FLOWS.get_ptr_mut(slot) else { return false };
        // SAFETY: the pointer is to a whole aligned slot.
        unsafe { atomic::exchange_if(&raw mut (*flow).head.life, from, to) }
    }

    #[inline(always)]
    fn last_seen(&self, slot: u32) -> u32 {
        // SAFETY: the pointer is to a whole aligned slot; the read is of one aligned word.
        FLOWS
            .get_ptr(slot)
            .map_or(0, |flow| unsafe { (&raw const (*flow).counters.last_seen).read_volatile() })
    }

    #[inline(always)]
    fn touch(&self, slot: u32, now: u32) {
        if let Some(flow) = FLOWS.get_ptr_mut(slot) {
            // SAFETY: the pointer is to a whole aligned slot.
            unsafe { atomic::exchange(&raw mut (*flow).counters.last_seen, now) };
        }
    }

    #[inline(always)]
    fn add_state(&self, slot: u32, bits: u32) -> u32 {
        let Some(flow) = FLOWS.get_ptr_mut(slot) else { return 0 };
        // SAFETY: the pointer is to a whole aligned slot.
        unsafe { atomic::or(&raw mut (*flow).head.state, bits) }
    }

    #[inline(always)]
    fn clear_state(&self, slot: u32, bits: u32) {
        if let Some(flow) = FLOWS.get_ptr_mut(slot) {
            // SAFETY: the pointer is to a whole aligned slot.
            unsafe { atomic::and(&raw mut (*flow).head.state, !bits) };
        }
    }

    #[inline(always)]
    fn record(&self, to: FlowRef, traffic: Traffic, now: u32) {
        let Some(flow) = FLOWS.get_ptr_mut(to.slot()) else { return };
        let index = to.direction() as usize & 1;
        // SAFETY: the pointer is to a whole aligned slot; each operation is on one aligned word of it.
        unsafe {
            if (&raw const (*flow).head.generation).read_volatile() != to.generation() {
                return;
            }
            // Written only when it changes: most packets of a flow then leave this word alone.
            let seen = &raw mut (*flow).counters.last_seen;
            if seen.read_volatile() != now {
                seen.write_volatile(now);
            }
            if counts::are_on() {
                atomic::add(&raw mut (*flow).counters.packets[index], traffic.packets);
                atomic::add(&raw mut (*flow).counters.bytes[index], traffic.bytes);
            }
        }
    }

    #[inline(always)]
    fn numbers(&self, slot: u32, direction: Direction) -> (u32, u32) {
        let Some(flow) = FLOWS.get_ptr(slot) else { return (0, 0) };
        let index = direction as usize & 1;
        // SAFETY: the pointer is to a whole aligned slot; the reads are of aligned words.
        unsafe {
            (
                (&raw const (*flow).counters.end[index]).read_volatile(),
                (&raw const (*flow).counters.ack[index]).read_volatile(),
            )
        }
    }

    #[inline(always)]
    fn note_numbers(&self, slot: u32, direction: Direction, end: u32, ack: u32) {
        let Some(flow) = FLOWS.get_ptr_mut(slot) else { return };
        let index = direction as usize & 1;
        // SAFETY: the pointer is to a whole aligned slot; the writes are of aligned words.
        unsafe {
            (&raw mut (*flow).counters.end[index]).write_volatile(end);
            (&raw mut (*flow).counters.ack[index]).write_volatile(ack);
        }
    }

    #[inline(always)]
    fn count_user(&self, slot: u32, up: bool) {
        if let Some(flow) = FLOWS.get_ptr_mut(slot) {
            let by = if up { 1 } else { u32::MAX };
            // SAFETY: the pointer is to a whole aligned slot.
            unsafe { atomic::fetch_add_32(&raw mut (*flow).head.users, by) };
        }
    }

    #[inline(always)]
    fn port_word(&self, shard: u32, word: u32) -> u64 {
        let Some(bits) = PORTS.get_ptr(shard) else { return u64::MAX };
        // SAFETY: the pointer is to a whole bitmap, the mask keeps the index within it, and the read is of one
        // aligned word.
        unsafe { (&raw const (*bits).words[word as usize & 1023]).read_volatile() }
    }

    #[inline(always)]
    fn take_port(&self, shard: u32, port: u16) -> bool {
        let Some(bits) = PORTS.get_ptr_mut(shard) else { return false };
        let bit = 1u64 << (port & 63);
        // SAFETY: as above.
        let before = unsafe { atomic::fetch_or(word_of(bits, port), bit) };
        before & bit == 0
    }

    #[inline(always)]
    fn give_port(&self, shard: u32, port: u16) {
        let Some(bits) = PORTS.get_ptr_mut(shard) else { return };
        let bit = 1u64 << (port & 63);
        // SAFETY: as above.
        unsafe { atomic::fetch_and(word_of(bits, port), !bit) };
    }

    #[inline(always)]
    fn fruitless_scan(&self, shard: u32) -> u32 {
        // SAFETY: the pointer is to a whole bitmap; the read is of one aligned word.
        PORTS.get_ptr(shard).map_or(0, |bits| unsafe { (&raw const (*bits).scanned).read_volatile() })
    }

    #[inline(always)]
    fn set_fruitless_scan(&self, shard: u32, now: u32) {
        if let Some(bits) = PORTS.get_ptr_mut(shard) {
            // SAFETY: as above.
            unsafe { (&raw mut (*bits).scanned).write_volatile(now) };
        }
    }

    #[inline(always)]
    fn source_cell(&self, cell: u32) -> u32 {
        // SAFETY: the pointer is to an aligned word.
        SOURCES.get_ptr(cell).map_or(0, |count| unsafe { count.read_volatile() })
    }

    #[inline(always)]
    fn count_source(&self, cell: u32, up: bool) {
        if let Some(count) = SOURCES.get_ptr_mut(cell) {
            // SAFETY: the pointer is to an aligned word.
            unsafe { atomic::fetch_add_32(count, if up { 1 } else { u32::MAX }) };
        }
    }

    #[inline(always)]
    fn contact(&self, key: &Tuple<4>) -> Option<FlowRef> {
        // SAFETY: the value is one aligned word and is copied at once.
        CONTACTS.get_ptr(key).map(|word| FlowRef(unsafe { word.cast::<u64>().read_volatile() }))
    }

    #[inline(always)]
    fn add_contact(&self, key: &Tuple<4>, mapping: FlowRef) {
        // What cannot be remembered keeps a guest out, which is the safe side.
        let _ = CONTACTS.insert(key, mapping, 0);
    }

    #[inline(always)]
    fn config(&self) -> Config {
        // SAFETY: the pointer is to a whole aligned entry. Settings that change meanwhile are old or new ones.
        CONFIG.get_ptr(0).map_or(Config::NOTHING, |config| unsafe { *config })
    }

    /// The clock is asked once for each of its steps, and that is a count of the kernel's that programs read like a
    /// variable (since Linux 5.6); a call is what most of the time for it goes to. The count's lower half is as before
    /// after weeks: should no packet at all come in between, and one in that very step, it is taken for an old one.
    #[inline(always)]
    fn now<E: Env<4>>(&self, env: &E) -> u32 {
        // SAFETY: the helper takes nothing and cannot fail.
        let step = unsafe { bpf_jiffies64() } as u32;
        let Some(place) = NOW.get_ptr_mut(0) else { return 0 };
        // SAFETY: the pointer is to an aligned word, which is read and written as a whole.
        let seen = unsafe { place.read_volatile() };
        if seen == 0 || (seen >> 32) as u32 != step {
            let now = clock::tick(env.now(), self.config().clock_offset);
            // The step was read before: what is written for it is what the clock showed then, or later.
            // SAFETY: as above.
            unsafe { place.write_volatile(u64::from(step) << 32 | u64::from(now)) };
        }
        // Read from where it lies either way: the verifier of Linux 6.1 would else follow all that comes next twice.
        // SAFETY: as above.
        unsafe { place.read_volatile() as u32 }
    }

    #[inline(always)]
    fn timeout(&self, of: Timeout) -> u32 {
        let Some(config) = CONFIG.get_ptr(0) else { return 0 };
        // SAFETY: the pointer is to a whole aligned entry, and the enum has a number for each timeout. The
        // mask keeps the index within the 15 words of the entry for the verifier.
        unsafe { config.cast::<u32>().add(of as usize & 7).read_volatile() }
    }

    #[inline(always)]
    fn last_sweep(&self) -> u32 {
        // SAFETY: the pointer is to a whole aligned entry.
        PULSE.get_ptr(0).map_or(0, |pulse| unsafe { (&raw const (*pulse).swept).read_volatile() })
    }

    #[inline(always)]
    fn last_answer(&self, now: u32) -> u32 {
        let Some(pulse) = PULSE.get_ptr_mut(0) else { return now };
        // SAFETY: the pointer is to a whole aligned entry.
        unsafe { atomic::exchange(&raw mut (*pulse).answered, now) }
    }

    #[inline(always)]
    fn reclaim(&self, slot: u32, now: u32, how: Ending) -> Fate {
        Fate::from_number(reclaim_slot(slot, now, how as u32) as u32)
    }

    #[inline(always)]
    fn count_rule(&self, rule: u32, direction: Direction, traffic: Traffic, new_flow: u64) {
        counts::add_to_rule(rule, direction, traffic, new_flow);
    }

    #[inline(always)]
    fn count_received(&self, hook: Hook, traffic: Traffic) {
        counts::add(received_index(hook), traffic);
    }

    #[inline(always)]
    fn count_verdict(&self, hook: Hook, verdict: Verdict, traffic: Traffic) {
        counts::add(verdict_index(hook, verdict), traffic);
    }

    #[inline(always)]
    fn count_events(&self, event: Event, times: u64) {
        counts::add_events(event, times);
    }
}

/// Takes a flow away if it may go. A function of its own, because several places in a program need it; and a global
/// one, so that the verifier walks it once, for any slot, and not once for each place with all that is known there.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn reclaim_slot(slot: u32, now: u32, how: u32) -> u64 {
    let how = if how == Ending::Evicted as u32 { Ending::Evicted } else { Ending::Expired };
    end::reclaim(&MapTables, slot, now, how) as u64
}
