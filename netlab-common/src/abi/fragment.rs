//! Fragments: which ports a datagram has whose first fragment was seen, and later ones that wait for it.

use crate::net::hash;

/// What the fragments of a datagram have in common, as they arrive at a hook (RFC 791).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C, align(4))]
pub struct FragmentKey<const N: usize> {
    /// Source address, network order.
    pub src: [u8; N],
    /// Destination address, network order.
    pub dst: [u8; N],
    /// The datagram's identification, network order.
    pub identification: [u8; 2],
    /// IP protocol number.
    pub protocol: u8,
    /// The hook's number. What one hook knows of a datagram is none of another's business: at that one, the first
    /// fragment may not have made its flow yet.
    pub hook: u8,
}

const _: () = assert!(size_of::<FragmentKey<4>>() == 12, "a v4 fragment key is 12 bytes");

/// What the first fragment says of the later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Fragment {
    /// Source port or identifier, network order.
    pub sport: [u8; 2],
    /// Destination port or identifier, network order.
    pub dport: [u8; 2],
    /// When the first fragment came, in ticks.
    pub seen: u32,
}

const _: () = assert!(size_of::<Fragment>() == 8, "what is known of a datagram is 8 bytes");

/// First fragments that are remembered, each at each hook; the least recently used is forgotten first.
pub const FRAGMENTS: u32 = 16_384;

/// Ticks for which it is: about 5 s. Identifications are used again, by a quick sender within seconds, so no
/// longer than fragments may be under way.
pub const FRAGMENT_TICKS: u32 = 75;

/// Later fragments that may wait for their first one at a time, in the whole lab.
pub const WAITING: u32 = 256;

const _: () = assert!(WAITING.is_power_of_two(), "a mask keeps a place within the array");

/// Bytes of a frame that can wait: one with an MTU of 9,000 and its Ethernet header fits.
pub const WAITING_LEN: usize = 9_216;

/// Places in which a datagram's fragments may wait, from one on that its key chooses: as many as a datagram of
/// 64 KiB has fragments at an MTU of 1,500, and some more.
pub const PLACES: u32 = 64;

/// A place in which a fragment waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Waiting<const N: usize> {
    /// One of [`place`]'s values, and whose turn it is.
    pub state: u32,
    /// Since when, in ticks.
    pub since: u32,
    /// Whose it is.
    pub key: FragmentKey<N>,
    /// Bytes of the frame.
    pub len: u32,
    /// Always zero.
    pub pad: [u32; 2],
    /// The frame.
    pub frame: [u8; WAITING_LEN],
}

const _: () = assert!(size_of::<Waiting<4>>() == 32 + WAITING_LEN, "a waiting fragment's head is 32 bytes");

impl<const N: usize> FragmentKey<N> {
    /// The first of the places in which fragments of this datagram wait.
    #[inline(always)]
    #[must_use]
    pub fn first_place(&self, seed: u32) -> u32 {
        let ends = hash::bytes(hash::bytes(seed, self.src), self.dst);
        let [high, low] = self.identification;
        hash::finish(hash::word(ends, u32::from_be_bytes([self.protocol, self.hook, high, low])))
            & (WAITING - 1)
    }
}

/// Values of the lowest byte of [`Waiting::state`]. The other three count the fragments that have had the place, so
/// that who has seen one of them there takes no other for it.
pub mod place {
    /// Nobody's.
    pub const FREE: u32 = 0;
    /// A frame is being copied there, or from there.
    pub const BUSY: u32 = 1;
    /// A fragment waits.
    pub const TAKEN: u32 = 2;
    /// The bits of these values.
    pub const WHAT: u32 = 0xff;
    /// What the next fragment's turn is more than the one before.
    pub const TURN: u32 = 0x100;
}
