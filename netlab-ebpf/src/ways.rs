//! `Ways` on the maps.

use netlab_common::abi::flow::{Direction, FlowRef};
use netlab_common::abi::recent::{self, HINTS, Recent};
use netlab_common::abi::way::{Exit, Learnt, Link, Way};
use netlab_common::tables::Ways;

use crate::atomic;
use crate::maps::{EPOCH, EXITS, FLOWS, RECENT, WAYS};
use crate::tables::MapTables;

const NO_EXIT: Exit =
    Exit { flags: 0, mtu: 0, neighbour: [0; 6], gate: [0; 6], routed_on: 0, own: [0; 6], pad: [0; 2] };

/// One of a place's hints.
///
/// # Safety
/// The pointer is to a whole place of the map, and the index is one within it.
#[inline(always)]
unsafe fn hint(hints: *const [Recent; HINTS], index: usize) -> Recent {
    // SAFETY: the caller's promise; the read is of one aligned word.
    Recent(unsafe { hints.cast::<u64>().add(index).read_volatile() })
}

impl Ways for MapTables {
    #[inline(always)]
    fn epoch(&self) -> u32 {
        // SAFETY: the pointer is to an aligned word.
        EPOCH.get_ptr(0).map_or(0, |epoch| unsafe { epoch.read_volatile() })
    }

    #[inline(always)]
    fn place_bits(&self) -> u32 {
        // SAFETY: the pointer is to an aligned word.
        EPOCH.get_ptr(recent::BITS_AT).map_or(0, |bits| unsafe { bits.read_volatile() })
    }

    #[inline(always)]
    fn exit(&self, interface: u32) -> Exit {
        // SAFETY: the pointer is to a whole aligned entry, of which the agent writes nothing but other whole ones.
        EXITS.get_ptr(interface).map_or(NO_EXIT, |exit| unsafe { *exit })
    }

    #[inline(always)]
    fn way(&self, number: u32) -> Way {
        const NOTHING: Way =
            Way { version: 0, interface: 0, door: 0, link: Link([0; 3]), seen: 0, flags: 0, mtu: 0 };
        let Some(place) = WAYS.get_ptr(number) else { return NOTHING };
        // SAFETY: the pointer is to a whole aligned entry; the version is read before and after the rest, each time
        // anew.
        unsafe {
            let version = &raw const (*place).version;
            let before = version.read_volatile();
            let link = (&raw const (*place).link).cast::<u32>();
            let way = Way {
                version: before,
                interface: (&raw const (*place).interface).read_volatile(),
                door: (&raw const (*place).door).read_volatile(),
                link: Link([0, 1, 2].map(|index| link.add(index).read_volatile())),
                seen: (&raw const (*place).seen).read_volatile(),
                flags: (&raw const (*place).flags).read_volatile(),
                mtu: (&raw const (*place).mtu).read_volatile(),
            };
            if before & 1 != 0 || version.read_volatile() != before {
                return NOTHING;
            }
            way
        }
    }

    #[inline(always)]
    fn replace_way(&self, number: u32, version: u32, way: &Way) -> bool {
        let Some(place) = WAYS.get_ptr_mut(number) else { return false };
        // SAFETY: the pointer is to a whole aligned entry, which is this CPU's to write once its version is odd.
        unsafe {
            if version & 1 != 0 || !atomic::exchange_if(&raw mut (*place).version, version, version | 1) {
                return false;
            }
            (&raw mut (*place).interface).write_volatile(way.interface);
            (&raw mut (*place).door).write_volatile(way.door);
            (&raw mut (*place).link).write_volatile(way.link);
            (&raw mut (*place).seen).write_volatile(way.seen);
            (&raw mut (*place).flags).write_volatile(way.flags);
            (&raw mut (*place).mtu).write_volatile(way.mtu);
            atomic::exchange(&raw mut (*place).version, version.wrapping_add(2));
            true
        }
    }

    #[inline(always)]
    fn touch_way(&self, number: u32, now: u32) {
        if let Some(place) = WAYS.get_ptr_mut(number) {
            // SAFETY: the pointer is to a whole aligned entry. Should it become another way at this moment, that one has
            // been sent by just as lately.
            unsafe { (&raw mut (*place).seen).write_volatile(now) };
        }
    }

    #[inline(always)]
    fn learnt(&self, slot: u32, direction: Direction) -> Learnt {
        let Some(flow) = FLOWS.get_ptr(slot) else { return Learnt(0) };
        // SAFETY: the pointer is to a whole aligned slot; the read is of one aligned word.
        Learnt(unsafe { (&raw const (*flow).counters.ways[direction as usize & 1]).read_volatile() })
    }

    #[inline(always)]
    fn forget_learnt(&self, slot: u32, direction: Direction) {
        let Some(flow) = FLOWS.get_ptr_mut(slot) else { return };
        // SAFETY: as above, and so for the write.
        unsafe { (&raw mut (*flow).counters.ways[direction as usize & 1]).write_volatile(0) };
    }

    #[inline(always)]
    fn recent(&self, place: u32, hash: u32) -> Recent {
        let Some(hints) = RECENT.get_ptr(place) else { return Recent(0) };
        let mut index = 0;
        while index < HINTS {
            // SAFETY: the pointer is to a whole place, and the loop ends where it does.
            let hint = unsafe { hint(hints, index) };
            if hint.is_of(hash) {
                return hint;
            }
            index += 1;
        }
        Recent(0)
    }

    #[inline(always)]
    fn set_recent(&self, place: u32, hash: u32, recent: Recent, now: u32) {
        let Some(hints) = RECENT.get_ptr_mut(place) else { return };
        // SAFETY: the pointer is to a whole place, which has four.
        let index = recent::room([0, 1, 2, 3].map(|index| unsafe { hint(hints, index) }), hash, now);
        // SAFETY: the pointer is to a whole place, the mask keeps the index within it, and the write is of one aligned
        // word.
        unsafe { hints.cast::<u64>().add(index & (HINTS - 1)).write_volatile(recent.0) };
    }

    #[inline(always)]
    fn set_learnt(&self, to: FlowRef, learnt: Learnt) {
        let Some(flow) = FLOWS.get_ptr_mut(to.slot()) else { return };
        // SAFETY: as above. Should the slot change hands between the look and the write, what is written is of the
        // wrong generation.
        unsafe {
            if (&raw const (*flow).head.generation).read_volatile() == to.generation() {
                (&raw mut (*flow).counters.ways[to.direction() as usize & 1]).write_volatile(learnt.0);
            }
        }
    }
}
