//! A flow: its two tuples, its state and its counters, in one slot; and the keys that lead to the slot.
//!
//! There is one truth per flow (invariant 1): the slot. Both directions' keys hold only the slot's number
//! and generation, so a reader that follows an old key finds another generation and treats it as a miss.

/// One direction of a flow as it stands in a packet: written by the datapath, read by anyone.
///
/// For ICMP echo, the identifier stands in the port of the side that asked, and the other port is zero;
/// so a request and its reply are each other's inverse, as with TCP and UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C, align(4))]
pub struct Tuple<const N: usize> {
    /// Source address, network order.
    pub src: [u8; N],
    /// Destination address, network order.
    pub dst: [u8; N],
    /// Source port or echo identifier, network order.
    pub sport: [u8; 2],
    /// Destination port or echo identifier, network order.
    pub dport: [u8; 2],
    /// IP protocol number.
    pub protocol: u8,
    /// Always zero: the kernel hashes every byte of a key.
    pub pad: [u8; 3],
}

const _: () = assert!(size_of::<Tuple<4>>() == 16, "a v4 tuple is a 16-byte map key");
const _: () = assert!(size_of::<Tuple<16>>() == 40, "a v6 tuple is a 40-byte map key");

impl<const N: usize> Tuple<N> {
    /// The tuple of an answer to a packet with this tuple.
    #[inline(always)]
    #[must_use]
    pub fn inverse(&self) -> Self {
        Tuple {
            src: self.dst,
            dst: self.src,
            sport: self.dport,
            dport: self.sport,
            protocol: self.protocol,
            pad: [0; 3],
        }
    }
}

/// Where a key leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FlowRef {
    /// Index into the flow array.
    pub slot: u32,
    /// The slot's generation when the key was made.
    pub generation: u32,
    /// [`Direction::Original`] or [`Direction::Reply`] as a number.
    pub direction: u32,
}

const _: () = assert!(size_of::<FlowRef>() == 12, "a flow reference is a 12-byte map value");

/// Which of a flow's two tuples a packet bears on arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Direction {
    /// From the side that opened the flow.
    Original = 0,
    /// From the side that answers.
    Reply = 1,
}

impl<const N: usize> Head<N> {
    /// The number of the hook that translates packets of this direction.
    #[inline(always)]
    #[must_use]
    pub fn hook(&self, direction: Direction) -> u32 {
        match direction {
            Direction::Original => self.original_hook,
            Direction::Reply => self.reply_hook,
        }
    }
}

impl Direction {
    /// The direction of a stored number; anything but zero is a reply.
    #[inline(always)]
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        if number == 0 { Direction::Original } else { Direction::Reply }
    }
}

/// A flow's slot. The datapath writes it; the agent reads it, and ends flows by way of `life`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Flow<const N: usize> {
    /// What says who the flow is; written once when it is made.
    pub head: Head<N>,
    /// What changes with each packet.
    pub counters: Counters,
}

const _: () = assert!(size_of::<Flow<4>>() == 104, "a v4 slot is 104 bytes");
const _: () = assert!(size_of::<Flow<4>>().is_multiple_of(8), "array values are 8-byte aligned");

/// The read-mostly part of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct Head<const N: usize> {
    /// Rises each time the slot is given back, so that old keys stop matching.
    pub generation: u32,
    /// One of [`life`]'s values.
    pub life: u32,
    /// The bits of [`state`](crate::conntrack::state).
    pub state: u32,
    /// The rule that made the flow: an index into the rule counters.
    pub rule: u32,
    /// The one [`Hook`](super::hook::Hook), as a number, that translates the opening side's packets.
    pub original_hook: u32,
    /// The one hook, as a number, that translates the answers.
    pub reply_hook: u32,
    /// When the flow was made, in nanoseconds of `CLOCK_MONOTONIC`.
    pub created: u64,
    /// The opening side's packets as they arrive.
    pub original: Tuple<N>,
    /// The answering side's packets as they arrive.
    pub reply: Tuple<N>,
}

/// Values of [`Head::life`].
pub mod life {
    /// The slot belongs to nobody.
    pub const FREE: u32 = 0;
    /// The slot holds a flow.
    pub const LIVE: u32 = 1;
    /// The flow is over; the opening side may still begin it anew, until the agent has marked it for a while.
    pub const DYING: u32 = 2;
    /// The agent is taking the flow's keys away.
    pub const ENDING: u32 = 3;
}

/// The part of a slot that every packet touches; indexes are [`Direction`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Counters {
    /// When the last packet came, in nanoseconds of `CLOCK_MONOTONIC` (coarse).
    pub last_seen: u64,
    /// Packets as they are on the wire: each segment of an aggregate counts.
    pub packets: [u64; 2],
    /// Bytes from the IP header on, as they are on the wire.
    pub bytes: [u64; 2],
}
