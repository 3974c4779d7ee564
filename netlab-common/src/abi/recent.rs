//! Where flows are that had a packet lately: a small table beside the keys, for packets that are in a hurry.
//!
//! An entry is one word, in the place that the tuple's hash says, and is overwritten by whoever comes. It is a hint and
//! no truth: the slot that it names shows whether the packet's tuple is there.

use super::flow::Direction;

/// Entries there are.
pub const RECENT: u32 = 1 << INDEX_BITS;

const INDEX_BITS: u32 = 16;
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

    /// The place of tuples with this hash.
    #[inline(always)]
    #[must_use]
    pub const fn place(hash: u32) -> u32 {
        hash >> (32 - INDEX_BITS)
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

#[cfg(test)]
mod tests {
    use super::*;

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
            assert!(Recent::place(hash) < RECENT);
        }
    }
}
