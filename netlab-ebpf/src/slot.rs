//! A flow's slot in its map: read as one packet sees it, and written by the packet that makes it.

use netlab_common::abi::flow::{Direction, Glance, Status, life};
use netlab_common::abi::packed::Packed;
use netlab_common::abi::way::Learnt;
use netlab_common::conntrack::create::NewFlow;

use crate::maps::FLOWS;

/// Writes a new flow, to which no key leads yet, into its slot.
#[inline(always)]
pub fn write(slot: u32, new: &NewFlow<4>) {
    if let Some(flow) = FLOWS.get_ptr_mut(slot) {
        let head = new.head(0);
        // SAFETY: the pointer is to a whole aligned slot, and no key leads to it yet. Nobody but its
        // maker takes a forming slot for anything, in whatever order the words are written. Zero is a
        // value of every counter. The words that are left out are not the maker's to set: `generation`
        // is the slot's, and `users` may be counted at this moment.
        unsafe {
            let to = &raw mut (*flow).head;
            (*to).life = head.life;
            (*to).state = head.state;
            (*to).rule = head.rule;
            (*to).mapping = head.mapping;
            (*to).created = head.created;
            (*to).original_hook = head.original_hook;
            (*to).reply_hook = head.reply_hook;
            (*to).kind = head.kind;
            (*to).filtering = head.filtering;
            (*to).original = head.original;
            (*to).reply = head.reply;
            (&raw mut (*flow).counters).write_bytes(0, 1);
            (*flow).counters.last_seen = new.now;
        }
    }
}

/// Who holds a slot, but for the tuples.
#[inline(always)]
pub fn status(slot: u32) -> Option<Status> {
    let flow = FLOWS.get_ptr(slot)?;
    // SAFETY: the pointer is to a whole aligned slot, and the reads are of aligned words, in this order
    // and each time anew.
    unsafe {
        Some(Status {
            rule: (*flow).head.rule,
            mapping: (*flow).head.mapping,
            original_hook: (*flow).head.original_hook,
            reply_hook: (*flow).head.reply_hook,
            kind: (*flow).head.kind,
            filtering: (*flow).head.filtering,
            protocol: (*flow).head.original.protocol,
            life: (&raw const (*flow).head.life).read_volatile(),
            state: (&raw const (*flow).head.state).read_volatile(),
            users: (&raw const (*flow).head.users).read_volatile(),
            generation: (&raw const (*flow).head.generation).read_volatile(),
        })
    }
}

/// All that a packet needs of its flow to cross the host by it, of one moment.
#[inline(always)]
pub fn glance(slot: u32, direction: Direction) -> Glance {
    let Some(flow) = FLOWS.get_ptr(slot) else {
        return Glance {
            generation: 0,
            life: life::FREE,
            state: 0,
            rule: 0,
            kind: 0,
            original_hook: 0,
            reply_hook: 0,
            own: Packed { addresses: 0, rest: 0 },
            other: Packed { addresses: 0, rest: 0 },
            last_seen: 0,
            learnt: Learnt(0),
        };
    };
    let index = direction as usize & 1;
    // SAFETY: the pointer is to a whole aligned slot, whose two tuples lie one after the other, each of two aligned
    // words. The reads are in this order and each made anew.
    unsafe {
        let head = &raw const (*flow).head;
        let counters = &raw const (*flow).counters;
        let tuples = (&raw const (*head).original).cast::<u64>();
        let tuple = |index: usize| {
            let words = tuples.add(index * 2);
            Packed { addresses: words.read_volatile(), rest: words.add(1).read_volatile() }
        };
        let generation = &raw const (*head).generation;
        let before = generation.read_volatile();
        let glance = Glance {
            generation: before,
            last_seen: (&raw const (*counters).last_seen).read_volatile(),
            learnt: Learnt((&raw const (*counters).ways[index]).read_volatile()),
            state: (&raw const (*head).state).read_volatile(),
            rule: (&raw const (*head).rule).read_volatile(),
            kind: (&raw const (*head).kind).read_volatile(),
            original_hook: (&raw const (*head).original_hook).read_volatile(),
            reply_hook: (&raw const (*head).reply_hook).read_volatile(),
            own: tuple(index),
            other: tuple(index ^ 1),
            life: (&raw const (*head).life).read_volatile(),
        };
        if generation.read_volatile() != before {
            return Glance { life: life::FREE, ..glance };
        }
        glance
    }
}
