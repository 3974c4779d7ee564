//! Where flows are that had a packet lately: a table beside the keys, for packets that are in a hurry.
//!
//! An entry is one word, in the place that the tuple's hash says, where four have room, and is overwritten by whoever
//! comes. It is a hint and no truth: the slot that it names shows whether the packet's tuple is there.

use super::flow::Direction;
use crate::net::hash as mix;

/// Hints that have room in one place.
pub const HINTS: usize = 4;

/// The fewest places that are made use of, as a power of two.
pub const FEWEST_BITS: u32 = 10;

/// Where in `NL_EPOCH` the agent says how many are made use of.
pub const BITS_AT: u32 = 1;

/// Places for a table of so many flows, as a power of two: half of one for each, which is one hint for each direction.
#[must_use]
pub fn most_bits(flows: u32) -> u32 {
    (flows / 2).clamp(1 << FEWEST_BITS, 1 << 22).next_power_of_two().ilog2()
}

/// Places that are made use of while there are so many flows, as a power of two: one for each, so that few places are
/// full. The more memory hints lie in, the more often a CPU waits for one, so it is no more than that.
#[must_use]
pub fn place_bits(flows: u32, most: u32) -> u32 {
    flows.clamp(1 << FEWEST_BITS, 1 << 31).next_power_of_two().ilog2().min(most)
}

const DIRECTION_BIT: u64 = 1 << 31;

/// A hint: bits 0 to 30 are a slot, bit 31 the direction, bits 32 to 63 the tuple's hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Recent(pub u64);

impl Recent {
    /// That a tuple with this hash is a slot's in this direction.
    #[inline(always)]
    #[must_use]
    pub const fn new(hash: u32, slot: u32, direction: Direction) -> Self {
        Recent(slot as u64 & (DIRECTION_BIT - 1) | (direction as u64) << 31 | (hash as u64) << 32)
    }

    /// Whether it is of a tuple with this hash.
    #[inline(always)]
    #[must_use]
    pub const fn is_of(self, hash: u32) -> bool {
        (self.0 >> 32) as u32 == hash
    }

    /// The slot.
    #[inline(always)]
    #[must_use]
    pub const fn slot(self) -> u32 {
        (self.0 & (DIRECTION_BIT - 1)) as u32
    }

    /// Which of its tuples it is.
    #[inline(always)]
    #[must_use]
    pub const fn direction(self) -> Direction {
        if self.0 & DIRECTION_BIT == 0 { Direction::Original } else { Direction::Reply }
    }
}

/// The place in which hints of tuples with this hash are; `bits` are those of [`place_bits`]. No bits make a
/// place that there is not.
#[inline(always)]
#[must_use]
pub const fn place(hash: u32, bits: u32) -> u32 {
    hash >> (bits.wrapping_neg() & 31)
}

/// Where in its place a hint of this hash goes: over one of the same hash, which must not outlive it; else where there is
/// none, or else over another: which, the hash and the tick say.
///
/// Nobody takes away hints of flows that have ended, so places are full before long. A choice by the hash alone would
/// then let two flows overwrite each other's for as long as they live, beside hints that nobody uses.
#[inline(always)]
#[must_use]
pub fn room(there: [Recent; HINTS], hash: u32, now: u32) -> usize {
    let mut room = mix::finish(hash ^ now) as usize % HINTS;
    let mut index = HINTS;
    while index > 0 {
        index -= 1;
        if there[index].0 == 0 {
            room = index;
        }
    }
    while index < HINTS {
        if there[index].0 != 0 && there[index].is_of(hash) {
            room = index;
        }
        index += 1;
    }
    room
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_one_of_those_there_are() {
        for bits in FEWEST_BITS..=22 {
            assert_eq!((place(0, bits), place(u32::MAX, bits)), (0, (1 << bits) - 1));
        }
    }

    #[test]
    fn there_are_hints_for_the_whole_table_and_use_is_made_of_as_many_as_there_are_flows() {
        for (flows, most, used) in
            [(0, 10, 10), (64, 10, 10), (40_000, 15, 15), (1 << 20, 19, 19), (u32::MAX, 22, 22)]
        {
            assert_eq!((most_bits(flows), place_bits(flows, most)), (most, used), "{flows}");
        }
        assert_eq!([0, 1000, 1025, 5000].map(|flows| place_bits(flows, 19)), [10, 10, 11, 13]);
    }

    #[test]
    fn a_new_hint_takes_its_own_room_or_what_is_free_before_it_takes_anothers() {
        let of = |hash| Recent::new(hash, 9, Direction::Reply);
        let full = [of(1), of(2), of(3), of(4)];
        assert_eq!(room(full, 3, 0), 2);
        assert_eq!(room([of(1), of(2), Recent::default(), of(4)], 5, 0), 2);
        // No two flows have to do with each other for long.
        let is_shared = |tick: &u32| room(full, 5, *tick) == room(full, 9, *tick);
        assert!((10..40).contains(&(0..100).filter(is_shared).count()));
        assert_eq!(room([Recent::default(), of(2), Recent::default(), of(4)], 2, 0), 1);
    }

    #[test]
    fn a_hint_says_what_it_was_made_of() {
        for (hash, slot, direction) in [
            (0, 0, Direction::Original),
            (u32::MAX, (1 << 31) - 1, Direction::Reply),
            (7, 1, Direction::Reply),
        ] {
            let hint = Recent::new(hash, slot, direction);
            assert_eq!((hint.slot(), hint.direction()), (slot, direction));
            assert!(hint.is_of(hash) && !hint.is_of(hash ^ 1));
        }
    }
}
