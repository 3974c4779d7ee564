//! Fragments in ordinary collections.

use super::MemTables;
use crate::abi::fragment::{Fragment, FragmentKey};
use crate::tables::Fragments;

impl Fragments<4> for MemTables {
    fn fragment(&self, key: &FragmentKey<4>) -> Option<Fragment> {
        self.fragments.borrow().get(key).copied()
    }

    fn note_fragment(&self, key: &FragmentKey<4>, fragment: Fragment) {
        self.fragments.borrow_mut().insert(*key, fragment);
    }
}
