//! `Fragments` on the maps.

use netlab_common::abi::fragment::{Fragment, FragmentKey};
use netlab_common::tables::Fragments;

use crate::atomic;
use crate::maps::{FRAGMENTS, WAITING};
use crate::tables::MapTables;

/// No place's state: nothing is looked for in a place that is not there.
const NOWHERE: u32 = u32::MAX;

impl Fragments<4> for MapTables {
    #[inline(always)]
    fn fragment(&self, key: &FragmentKey<4>) -> Option<Fragment> {
        // SAFETY: the value is two aligned words, and is copied at once. Should its element be reused meanwhile, a
        // fragment gets the ports of another datagram, by which it belongs to another flow or to none.
        FRAGMENTS.get_ptr(key).map(|fragment| unsafe { *fragment })
    }

    #[inline(always)]
    fn note_fragment(&self, key: &FragmentKey<4>, fragment: Fragment) {
        // What cannot be remembered costs the datagram. The update takes a lock, and so comes before what follows.
        let _ = FRAGMENTS.insert(key, fragment, 0);
    }

    #[inline(always)]
    fn place_state(&self, place: u32) -> u32 {
        let Some(waiting) = WAITING.get_ptr(place) else { return NOWHERE };
        // SAFETY: the pointer is to a whole aligned place; the read is of one aligned word.
        unsafe { (&raw const (*waiting).state).read_volatile() }
    }

    #[inline(always)]
    fn change_place(&self, place: u32, from: u32, to: u32) -> bool {
        let Some(waiting) = WAITING.get_ptr_mut(place) else { return false };
        // SAFETY: the pointer is to a whole aligned place.
        unsafe { atomic::exchange_if(&raw mut (*waiting).state, from, to) }
    }

    #[inline(always)]
    fn waits_for(&self, place: u32, key: &FragmentKey<4>) -> bool {
        let Some(waiting) = WAITING.get_ptr(place) else { return false };
        // SAFETY: the pointer is to a whole aligned place. Should it change hands meanwhile, so does its state, which
        // the caller asks for afterwards.
        unsafe { (*waiting).key == *key }
    }

    #[inline(always)]
    fn waits_since(&self, place: u32) -> u32 {
        let Some(waiting) = WAITING.get_ptr(place) else { return 0 };
        // SAFETY: the pointer is to a whole aligned place; the read is of one aligned word.
        unsafe { (&raw const (*waiting).since).read_volatile() }
    }

    #[inline(always)]
    fn set_waits(&self, place: u32, key: &FragmentKey<4>, now: u32) {
        let Some(waiting) = WAITING.get_ptr_mut(place) else { return };
        // SAFETY: the pointer is to a whole aligned place, which is busy by this packet's hand: nobody else writes
        // there.
        unsafe {
            (*waiting).key = *key;
            (*waiting).since = now;
        }
    }
}
