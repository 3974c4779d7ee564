//! Ways out of the host that packets may take without its stack: what the agent says of interfaces, what the datapath
//! has learnt of neighbours, and what a flow remembers of that.
//!
//! A way is never made up. It is what the host's own routing gave the last packet of a flow that went by the stack:
//! an interface and two hardware addresses. It holds for as long as the agent's epoch stays what it is, and for
//! [`WAY_TICKS`] at the most; then a packet of the flow goes by the stack again, and shows whether it still holds.

/// Ways there is room for, less one: what a flow's word can say. The first one stays empty, so that zero is none.
pub const WAYS: u32 = 1 << WAY_BITS;

const WAY_BITS: u32 = 12;
const GENERATION_BITS: u32 = 8;
const AGE_BITS: u32 = 32 - WAY_BITS - GENERATION_BITS;
const AGE_MASK: u32 = (1 << AGE_BITS) - 1;
const GENERATION_MASK: u32 = (1 << GENERATION_BITS) - 1;

/// Ticks that a flow goes by what it has learnt: two seconds. So long at the most, a change goes unnoticed that the
/// agent did not hear of, and as often a packet of each flow keeps the host's neighbours and bridges from forgetting.
pub const WAY_TICKS: u32 = 30;

/// What the agent says of an interface by which packets may leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Exit {
    /// Bits of [`exit`].
    pub flags: u32,
    /// The largest packet that it takes, in bytes from the IP header on.
    pub mtu: u32,
    /// The one neighbour there is; zeros where there may be others. A bridge floods what it does not know the port of,
    /// and only by this a port tells what is meant for its own node.
    pub neighbour: [u8; 6],
    /// The hardware address by which the host is given packets that come in here to be routed; zeros where the host's
    /// stack wants to see for itself what it routes.
    pub gate: [u8; 6],
    /// The interface on which the host's stack sees those come: this one, or the bridge that it is a port of.
    pub routed_on: u32,
}

const _: () = assert!(size_of::<Exit>() == 24, "an exit is 24 bytes");

/// Bits of [`Exit::flags`].
pub mod exit {
    /// Packets may be sent there from another interface, with its queues and its captures.
    pub const REDIRECT: u32 = 1 << 0;
    /// Frames that are no skbs yet may be sent there: their receiver takes such.
    pub const FRAMES: u32 = 1 << 1;
    /// It leads to the world.
    pub const UPLINK: u32 = 1 << 2;
}

/// A way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Way {
    /// Rises by two with each change; odd while it is changed.
    pub version: u32,
    /// The agent's epoch in which it was learnt.
    pub epoch: u32,
    /// The interface.
    pub interface: u32,
    /// What the agent said of that.
    pub flags: u32,
    /// Likewise.
    pub mtu: u32,
    /// When the host's stack has sent a packet by it, in ticks.
    pub seen: u32,
    /// The Ethernet header up to its type: the neighbour's address, and the host's.
    pub ethernet: [u8; 12],
}

const _: () = assert!(size_of::<Way>() == 36, "a way is 36 bytes");

impl Way {
    /// Whether it says the same as another one that was learnt in the same epoch.
    #[inline(always)]
    #[must_use]
    pub fn is_same(&self, other: &Way) -> bool {
        (self.epoch, self.interface, self.flags, self.mtu, self.ethernet)
            == (other.epoch, other.interface, other.flags, other.mtu, other.ethernet)
    }
}

/// What a flow remembers for one direction, in one word: the number of a way, which generation of the slot has learnt
/// it, so that no late write sends another flow's packets there, and when. Zero is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learnt(pub u32);

impl Learnt {
    /// A way that a flow of this generation has learnt now, in ticks.
    #[inline(always)]
    #[must_use]
    pub fn new(way: u32, generation: u32, now: u32) -> Self {
        Learnt(way << (32 - WAY_BITS) | (generation & GENERATION_MASK) << AGE_BITS | now & AGE_MASK)
    }

    /// Whether a flow of this generation may have learnt it.
    #[inline(always)]
    #[must_use]
    pub fn is_of(self, generation: u32) -> bool {
        (self.0 >> AGE_BITS ^ generation) & GENERATION_MASK == 0
    }

    /// The way's number.
    #[inline(always)]
    #[must_use]
    pub fn way(self) -> u32 {
        self.0 >> (32 - WAY_BITS)
    }

    /// Ticks since it was learnt. The word has room for four minutes of them; a packet that comes by the stack meanwhile
    /// learns something new, or forgets.
    #[inline(always)]
    #[must_use]
    pub fn age(self, now: u32) -> u32 {
        now.wrapping_sub(self.0) & AGE_MASK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_knows_its_way_and_how_old_that_is_over_the_wrap_of_the_clock() {
        for now in [0, 5, AGE_MASK - 1, AGE_MASK, u32::MAX - 3] {
            let learnt = Learnt::new(WAYS - 1, 0x1234, now);
            assert_eq!((learnt.way(), learnt.age(now.wrapping_add(29))), (WAYS - 1, 29), "{now}");
            assert!(learnt.is_of(0x5634) && !learnt.is_of(0x1235));
        }
    }
}
