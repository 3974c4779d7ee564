//! `Fragments` on the maps.

use netlab_common::abi::fragment::{Fragment, FragmentKey};
use netlab_common::tables::Fragments;

use crate::maps::FRAGMENTS;
use crate::tables::MapTables;

impl Fragments<4> for MapTables {
    #[inline(always)]
    fn fragment(&self, key: &FragmentKey<4>) -> Option<Fragment> {
        // SAFETY: the value is two aligned words, and is copied at once. Should its element be reused meanwhile, a
        // fragment gets the ports of another datagram, by which it belongs to another flow or to none.
        FRAGMENTS.get_ptr(key).map(|fragment| unsafe { *fragment })
    }

    #[inline(always)]
    fn note_fragment(&self, key: &FragmentKey<4>, fragment: Fragment) {
        // What cannot be remembered costs the datagram.
        let _ = FRAGMENTS.insert(key, fragment, 0);
    }
}
