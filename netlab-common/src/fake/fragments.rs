//! Fragments in ordinary collections.

use super::MemTables;
use crate::abi::fragment::{Fragment, FragmentKey, place};
use crate::tables::Fragments;

/// A place in which a fragment waits, without its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// See [`place`].
    pub state: u32,
    /// Whose fragment was the last there, and since when, if there ever was one.
    pub whose: Option<(FragmentKey<4>, u32)>,
}

impl MemTables {
    /// Places in which a fragment waits.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let places = self.places.borrow();
        places.values().filter(|spot| spot.state & place::WHAT == place::TAKEN).count()
    }

    fn at<R>(&self, place: u32, work: impl FnOnce(&mut Spot) -> R) -> R {
        let free = Spot { state: place::FREE, whose: None };
        work(self.places.borrow_mut().entry(place).or_insert(free))
    }
}

impl Fragments<4> for MemTables {
    fn fragment(&self, key: &FragmentKey<4>) -> Option<Fragment> {
        self.fragments.borrow().get(key).copied()
    }

    fn note_fragment(&self, key: &FragmentKey<4>, fragment: Fragment) {
        self.fragments.borrow_mut().insert(*key, fragment);
    }

    fn place_state(&self, place: u32) -> u32 {
        self.places.borrow().get(&place).map_or(place::FREE, |spot| spot.state)
    }

    fn change_place(&self, place: u32, from: u32, to: u32) -> bool {
        self.at(place, |spot| {
            let is = spot.state == from;
            if is {
                spot.state = to;
            }
            is
        })
    }

    fn waits_for(&self, place: u32, key: &FragmentKey<4>) -> bool {
        self.at(place, |spot| spot.whose.is_some_and(|(whose, _)| whose == *key))
    }

    fn waits_since(&self, place: u32) -> u32 {
        self.at(place, |spot| spot.whose.map_or(0, |(_, since)| since))
    }

    fn set_waits(&self, place: u32, key: &FragmentKey<4>, now: u32) {
        self.at(place, |spot| spot.whose = Some((*key, now)));
    }
}
