//! Ways out of the host that packets may take without its stack: what the agent says of interfaces, what the datapath
//! has learnt of neighbours, and what a flow remembers of that.
//!
//! A way is never made up. It is what the host's own routing gave the last packet of a flow that went by the stack:
//! where it came in, an interface, and two hardware addresses. It holds until the agent says that something has
//! changed, for [`HOLD_TICKS`] at the most; then the stack, or the host's routing, is asked for the flow again. And it
//! holds while packets of any flow go that way by the stack, one in [`WAY_TICKS`] at the least: that keeps
//! the host's neighbours and bridges from forgetting, and ends all ways soon when the agent does.

use super::clock;

/// Ways there is room for, less one: what a flow's word can say. The first one stays empty, so that zero is none.
pub const WAYS: u32 = 1 << WAY_BITS;

const WAY_BITS: u32 = 12;
const GENERATION_BITS: u32 = 4;
const AGE_BITS: u32 = 32 - WAY_BITS - GENERATION_BITS;
const AGE_MASK: u32 = (1 << AGE_BITS) - 1;
const GENERATION_MASK: u32 = (1 << GENERATION_BITS) - 1;

/// Ticks that a way is used after the stack has sent a packet by it: two seconds.
pub const WAY_TICKS: u32 = 30;

/// Ticks that a flow goes by what it has learnt: a minute. So long at the most, a change goes unnoticed that the agent did
/// not hear of. A flow among a million has a packet every few seconds, of which nearly all must find a way.
pub const HOLD_TICKS: u32 = 900;

/// The ticks that the flow of a slot goes by what it has learnt: somewhat fewer than [`HOLD_TICKS`], so that
/// flows which have learnt at once do not all ask again at once.
#[inline(always)]
#[must_use]
pub const fn hold(slot: u32) -> u32 {
    HOLD_TICKS - (slot.wrapping_mul(0x9e37_79b9) >> 24)
}

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
    /// The interface's own hardware address.
    pub own: [u8; 6],
    /// Always zero.
    pub pad: [u8; 2],
}

const _: () = assert!(size_of::<Exit>() == 32, "an exit is 32 bytes");

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
    /// The interface.
    pub interface: u32,
    /// The hardware address of the host's that its packets come in for, as [`door`] has it.
    pub door: u64,
    /// The neighbour's hardware address, and the host's.
    pub link: Link,
    /// When the host's stack has sent a packet by it, in ticks.
    pub seen: u32,
    /// What the agent said of the interface then.
    pub flags: u32,
    /// Likewise.
    pub mtu: u32,
}

const _: () = assert!(size_of::<Way>() == 40, "a way is 40 bytes");

/// An Ethernet header up to its type, in words of which the lower bits are the first bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Link(pub [u32; 3]);

impl Link {
    /// From its bytes.
    #[inline(always)]
    #[must_use]
    pub fn of(bytes: [u8; 12]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        Link([[a, b, c, d], [e, f, g, h], [i, j, k, l]].map(u32::from_le_bytes))
    }

    /// Its bytes.
    #[inline(always)]
    #[must_use]
    pub fn bytes(self) -> [u8; 12] {
        let [[a, b, c, d], [e, f, g, h], [i, j, k, l]] = self.0.map(u32::to_le_bytes);
        [a, b, c, d, e, f, g, h, i, j, k, l]
    }
}

/// A hardware address as a number whose upper 16 bits are zero: the bytes of a frame as they are read, in one word.
#[inline(always)]
#[must_use]
pub fn door(address: [u8; 6]) -> u64 {
    let [a, b, c, d, e, f] = address;
    u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
}

impl Way {
    /// Whether it leads from where the other one does to where the other one does.
    #[inline(always)]
    #[must_use]
    pub fn is_same(&self, other: &Way) -> bool {
        (self.interface, self.door, self.link) == (other.interface, other.door, other.link)
    }

    /// Whether the agent said the same of its interface when the other one was learnt.
    #[inline(always)]
    #[must_use]
    pub fn says_the_same(&self, other: &Way) -> bool {
        (self.flags, self.mtu) == (other.flags, other.mtu)
    }

    /// Whether the stack has sent a packet by it after the agent's epoch began, and within [`WAY_TICKS`].
    #[inline(always)]
    #[must_use]
    pub fn is_proven(&self, epoch: u32, now: u32) -> bool {
        clock::since(self.seen, epoch) > 0 && clock::since(now, self.seen) < WAY_TICKS
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

    /// Ticks since it was learnt. The word has room for an hour of them; long before that, the agent's sweep has a
    /// direction forget in which no packet came.
    #[inline(always)]
    #[must_use]
    pub fn age(self, now: u32) -> u32 {
        now.wrapping_sub(self.0) & AGE_MASK
    }

    /// Whether it was learnt after the agent's epoch began, less than so many ticks ago. What was learnt in the epoch's
    /// first tick may be older than the epoch.
    #[inline(always)]
    #[must_use]
    pub fn is_younger(self, ticks: u32, epoch: u32, now: u32) -> bool {
        let age = self.age(now);
        age < ticks && age < clock::since(now, epoch)
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

    #[test]
    fn flows_ask_again_at_different_times_and_none_later_than_after_a_minute() {
        for slot in 0..1000 {
            assert!((HOLD_TICKS - 255..=HOLD_TICKS).contains(&hold(slot)), "{slot}");
            assert_ne!(hold(slot), hold(slot + 1), "{slot}");
        }
    }

    #[test]
    fn what_was_learnt_in_the_tick_of_a_change_or_before_does_not_hold() {
        for epoch in [1, 1000, u32::MAX - 2] {
            let learnt = |at: u32| Learnt::new(7, 1, epoch.wrapping_add(at));
            let now = epoch.wrapping_add(5);
            let young = [u32::MAX, 0, 1, 4].map(|at| learnt(at).is_younger(HOLD_TICKS, epoch, now));
            assert_eq!(young, [false, false, true, true], "{epoch}");
            assert!(!learnt(1).is_younger(4, epoch, now));
        }
    }
}
