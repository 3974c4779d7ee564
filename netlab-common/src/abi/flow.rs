//! A flow: its two tuples, its state and its counters, in one slot; and the keys that lead to the slot.
//!
//! There is one truth per flow (invariant 1): the slot. Both directions' keys hold only the slot's number
//! and generation, so a reader that follows an old key finds another generation and treats it as a miss.

use super::packed::Packed;
use super::way::Learnt;

/// One direction of a flow as it stands in a packet: written by the datapath, read by anyone.
///
/// For ICMP echo, the identifier stands in the port of the side that asked, and the other port is zero;
/// so a request and its reply are each other's inverse, as with TCP and UDP. A mapping (see [`Kind`]) has
/// zeros where a flow has the remote endpoint.
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

/// Where a key leads: slot, direction and the slot's generation when the key was made, in one word, so that
/// a reader never sees half of it. Bits 0 to 30 are the slot, bit 31 the direction, bits 32 to 63 the
/// generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct FlowRef(pub u64);

const DIRECTION_BIT: u64 = 1 << 31;

impl FlowRef {
    /// A reference to a slot.
    #[inline(always)]
    #[must_use]
    pub const fn new(slot: u32, generation: u32, direction: Direction) -> Self {
        FlowRef(slot as u64 | (direction as u64) << 31 | (generation as u64) << 32)
    }

    /// Index into the flow array.
    #[inline(always)]
    #[must_use]
    pub const fn slot(self) -> u32 {
        (self.0 & (DIRECTION_BIT - 1)) as u32
    }

    /// The slot's generation when the key was made.
    #[inline(always)]
    #[must_use]
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Whose tuple the key is.
    #[inline(always)]
    #[must_use]
    pub const fn direction(self) -> Direction {
        if self.0 & DIRECTION_BIT == 0 { Direction::Original } else { Direction::Reply }
    }
}

/// Which of a flow's two tuples a packet bears on arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Direction {
    /// From the side that opened the flow.
    Original = 0,
    /// From the side that answers.
    Reply = 1,
}

impl Direction {
    /// The other one.
    #[inline(always)]
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Direction::Original => Direction::Reply,
            Direction::Reply => Direction::Original,
        }
    }
}

/// A flow's slot: two cache lines, of which the first is read by every packet and seldom written. The datapath
/// writes it; the agent reads it, and may end a flow by way of `life`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Flow<const N: usize> {
    /// What says who the flow is; written once when it is made, but for `life`, `state` and `users`.
    pub head: Head<N>,
    /// What changes with each packet.
    pub counters: Counters,
}

const _: () = assert!(size_of::<Flow<4>>() == 128, "a v4 slot is two cache lines");
const _: () = assert!(size_of::<Head<4>>() == 64, "a v4 head is one cache line");

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
    /// The rule that made the flow: an index into the rule counters, or [`NO_RULE`].
    pub rule: u32,
    /// The slot of the mapping that the flow uses, or [`NO_SLOT`].
    pub mapping: u32,
    /// Of a mapping: how many flows use it. It is never set, only counted up and down, so that it comes out even
    /// however late somebody finds that the slot has changed hands.
    pub users: u32,
    /// When the flow was made, in [`ticks`](super::clock).
    pub created: u32,
    /// The one [`Hook`](super::hook::Hook), as a number, that translates the opening side's packets.
    pub original_hook: u8,
    /// The one hook, as a number, that translates the answers.
    pub reply_hook: u8,
    /// A [`Kind`] as a number.
    pub kind: u8,
    /// Of a mapping: its [`Filtering`](super::rule::Filtering) as a number.
    pub filtering: u8,
    /// The opening side's packets as they arrive.
    pub original: Tuple<N>,
    /// The answering side's packets as they arrive.
    pub reply: Tuple<N>,
}

impl<const N: usize> Head<N> {
    /// All but the tuples.
    #[inline(always)]
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            generation: self.generation,
            life: self.life,
            state: self.state,
            rule: self.rule,
            mapping: self.mapping,
            users: self.users,
            original_hook: self.original_hook,
            reply_hook: self.reply_hook,
            kind: self.kind,
            filtering: self.filtering,
            protocol: self.original.protocol,
        }
    }
}

/// What a reader of a slot takes with it beside the tuples: the fields of [`Head`] by the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are those of `Head`")]
pub struct Status {
    pub generation: u32,
    pub life: u32,
    pub state: u32,
    pub rule: u32,
    pub mapping: u32,
    pub users: u32,
    pub original_hook: u8,
    pub reply_hook: u8,
    pub kind: u8,
    pub filtering: u8,
    pub protocol: u8,
}

impl Status {
    /// That of a slot that holds nothing.
    pub const NOTHING: Status = Status {
        generation: 0,
        life: life::FREE,
        state: 0,
        rule: NO_RULE,
        mapping: NO_SLOT,
        users: 0,
        original_hook: 0,
        reply_hook: 0,
        kind: 0,
        filtering: 0,
        protocol: 0,
    };

    /// The number of the hook that translates packets of this direction.
    #[inline(always)]
    #[must_use]
    pub fn hook(&self, direction: Direction) -> u32 {
        match direction {
            Direction::Original => self.original_hook as u32,
            Direction::Reply => self.reply_hook as u32,
        }
    }

    /// Whether the slot holds a mapping.
    #[inline(always)]
    #[must_use]
    pub fn is_mapping(&self) -> bool {
        self.kind == Kind::Mapping as u8
    }

    /// Whether the flow was told to end, for good or not.
    #[inline(always)]
    #[must_use]
    pub fn is_told_to_end(&self) -> bool {
        self.life == life::DYING || self.life == life::DOOMED
    }
}

/// What a packet of a known flow needs to know of it, taken from the slot at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance {
    /// The slot's generation, before and after all the rest was read. If it was not the same, the glance is of nothing.
    pub generation: u32,
    /// As in [`Head`].
    pub life: u32,
    /// As in [`Head`].
    pub state: u32,
    /// As in [`Head`].
    pub rule: u32,
    /// As in [`Head`].
    pub kind: u8,
    /// As in [`Head`].
    pub original_hook: u8,
    /// As in [`Head`].
    pub reply_hook: u8,
    /// What the packet's direction bears on arrival.
    pub own: Packed,
    /// What the other one does.
    pub other: Packed,
    /// When the last packet came, in ticks.
    pub last_seen: u32,
    /// The way out that the packet's direction has learnt.
    pub learnt: Learnt,
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A flow that a rule translates.
    Flow = 0,
    /// A flow of the host's own, in the table so that no translated flow takes its answers.
    Host = 1,
    /// An endpoint-independent mapping (RFC 4787): an internal endpoint and the external one that all its
    /// flows share. Its tuples have no remote side.
    Mapping = 2,
}

/// A slot that no table has.
pub const NO_SLOT: u32 = u32::MAX;

/// The rule of flows that no rule made: the host's own.
pub const NO_RULE: u32 = u32::MAX;

/// Values of [`Head::life`].
///
/// ```text
/// FREE ─> FORMING ─> LIVE ───────────> ENDING ─> FREE
///                     │ ↖                ↗
///                     ├> DYING ─────────┤
///                     └> DOOMED ────────┘
/// ```
pub mod life {
    /// The slot belongs to nobody.
    pub const FREE: u32 = 0;
    /// The slot holds a flow.
    pub const LIVE: u32 = 1;
    /// The flow was told to end. Its opener may still begin it anew, until its quarantine is over.
    pub const DYING: u32 = 2;
    /// Somebody is taking the flow's keys away.
    pub const ENDING: u32 = 3;
    /// A packet is making the flow; its keys are being claimed.
    pub const FORMING: u32 = 4;
    /// A user or the agent has ended the flow. Nothing begins it anew, and its place may be taken at once.
    pub const DOOMED: u32 = 5;
}

/// The part of a slot that every packet touches; indexes are [`Direction`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct Counters {
    /// When the last packet came, in [`ticks`](super::clock).
    pub last_seen: u32,
    /// Always zero.
    pub pad: u32,
    /// Packets as they are on the wire: each segment of an aggregate counts.
    pub packets: [u64; 2],
    /// Bytes from the IP header on, as they are on the wire.
    pub bytes: [u64; 2],
    /// TCP: the sequence number after the last byte that this direction sent.
    pub end: [u32; 2],
    /// TCP: the last acknowledgement that this direction sent.
    pub ack: [u32; 2],
    /// The way out that packets of this direction take without the host's stack: a [`Learnt`](super::way::Learnt).
    pub ways: [u32; 2],
}
