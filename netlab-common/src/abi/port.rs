//! External ports in use, as bitmaps; two clocks that are no lab's settings; and the agent's order to sweep.
//!
//! A port is in use for one combination of external address, protocol, remote address and remote port: the
//! rest of a reply tuple. All combinations share a number of bitmaps, each by the hash of what it is. A clear
//! bit says that the port is most likely free for every combination in the bitmap; a set bit, that a flow of one
//! of them has it. The bitmap is where to look, and no more: whether a port is taken is decided by the claim of
//! its reply key. So a set bit may be tried, two combinations in one bitmap may have the same port, and a flow
//! that found its bit set has its port without it.

/// 64-bit words of a bitmap: a bit for each of 65,536 ports.
pub const WORDS: usize = 1024;

/// One bitmap. Port `p` is bit `p % 64` of word `p / 64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Shard {
    /// The bits.
    pub words: [u64; WORDS],
    /// When all ports were last tried in vain, and for whom: see [`Fruitless`].
    pub scanned: u32,
    /// Always zero.
    pub pad: u32,
}

/// Searches through all ports of a bitmap that found none, in one word: from its lowest bit on, four bits of how many
/// there were in the last tick that had one, twelve bits of that tick, and sixteen bits of a hash of the combination
/// that had the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fruitless(pub u32);

/// Searches that may be in vain in one bitmap and one tick, for whomever.
const FRUITLESS_A_TICK: u32 = 4;

impl Fruitless {
    #[inline(always)]
    fn in_tick(self, now: u32) -> u32 {
        if (self.0 >> 4) & 0xfff == now & 0xfff { self.0 & 0xf } else { 0 }
    }

    /// Whether another search may be made, for a combination with this hash: not if it was in vain in this tick
    /// already, nor if several were. So those whose ports are all in use cost little, and do not keep others, who
    /// have the same bitmap and ports that are free, from finding them.
    #[inline(always)]
    #[must_use]
    pub fn allows(self, hash: u32, now: u32) -> bool {
        let before = self.in_tick(now);
        before == 0 || (self.0 >> 16 != hash >> 16 && before < FRUITLESS_A_TICK)
    }

    /// With one more that was in vain.
    #[inline(always)]
    #[must_use]
    pub fn with(self, hash: u32, now: u32) -> Self {
        let before = self.in_tick(now);
        let number = if before < FRUITLESS_A_TICK { before + 1 } else { before };
        Fruitless((hash & 0xffff_0000) | (now & 0xfff) << 4 | number)
    }
}

/// What is known of the agent and of answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Pulse {
    /// When the agent last swept, in ticks; the datapath sweeps by itself when that is long ago.
    pub swept: u32,
    /// When a refusal was last answered with ICMP, in ticks.
    pub answered: u32,
}

/// What the agent wants swept, as the frame on which it runs the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The first slot.
    pub first: u32,
    /// How many from there on.
    pub count: u32,
}

impl Order {
    /// Bytes of the frame: an Ethernet header, which the kernel insists on, and two numbers.
    pub const FRAME_LEN: usize = 22;
    /// The frame's EtherType: one for local experiments (IEEE 802).
    const TYPE: [u8; 2] = [0x88, 0xb5];

    /// The frame that says this.
    #[must_use]
    pub fn frame(&self) -> [u8; Self::FRAME_LEN] {
        let mut frame = [0; Self::FRAME_LEN];
        frame[12..14].copy_from_slice(&Self::TYPE);
        frame[14..18].copy_from_slice(&self.first.to_be_bytes());
        frame[18..22].copy_from_slice(&self.count.to_be_bytes());
        frame
    }

    /// What a frame says; `None` if it is no order.
    #[inline(always)]
    #[must_use]
    pub fn from_frame(frame: &[u8; Self::FRAME_LEN]) -> Option<Self> {
        if [frame[12], frame[13]] != Self::TYPE {
            return None;
        }
        let first = u32::from_be_bytes([frame[14], frame[15], frame[16], frame[17]]);
        let count = u32::from_be_bytes([frame[18], frame[19], frame[20], frame[21]]);
        Some(Order { first, count })
    }
}

/// What the program says when it has swept: bits 0 to 15 are flows taken away, bits 16 to 30 slots in use that stay so;
/// where there are more than that has room for, as many as it has. Negative as a signed number, there was no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept(pub u32);

impl Swept {
    const ENDED_MASK: u32 = 0xffff;
    const STAYED_MASK: u32 = 0x7fff;

    /// That so many are gone, and so many stay.
    #[inline(always)]
    #[must_use]
    pub fn new(ended: u32, stayed: u32) -> Self {
        let most = |number: u32, most: u32| if number < most { number } else { most };
        Swept(most(ended, Self::ENDED_MASK) | most(stayed, Self::STAYED_MASK) << 16)
    }

    /// What the program has returned; `None` if it was given no order.
    #[must_use]
    pub fn returned(value: u32) -> Option<Self> {
        (value as i32 >= 0).then_some(Swept(value))
    }

    /// Flows taken away.
    #[must_use]
    pub fn ended(self) -> u32 {
        self.0 & Self::ENDED_MASK
    }

    /// Slots that stay in use.
    #[must_use]
    pub fn stayed(self) -> u32 {
        self.0 >> 16
    }
}

#[cfg(test)]
mod tests {
    use super::{FRUITLESS_A_TICK, Fruitless, Swept};

    #[test]
    fn what_was_swept_is_told_in_one_number_and_never_looks_like_no_order() {
        let of =
            |ended, stayed| Swept::returned(Swept::new(ended, stayed).0).map(|s| (s.ended(), s.stayed()));
        assert_eq!(of(3, 4093), Some((3, 4093)));
        assert_eq!(of(u32::MAX, u32::MAX), Some((0xffff, 0x7fff)));
        assert_eq!(Swept::returned(u32::MAX), None);
    }

    #[test]
    fn who_has_searched_in_vain_waits_for_the_next_tick_and_others_do_not() {
        let (one, other) = (0x1234_5678, 0x4321_8765);
        let known = Fruitless::default().with(one, 7);
        assert!(!known.allows(one, 7) && known.allows(other, 7) && known.allows(one, 8));
    }

    #[test]
    fn searches_in_vain_are_few_in_a_tick_whoever_makes_them() {
        let mut known = Fruitless::default();
        for number in 1..=FRUITLESS_A_TICK {
            assert!(known.allows(number << 16, 7));
            known = known.with(number << 16, 7);
        }
        assert!(!known.allows(99 << 16, 7) && known.allows(99 << 16, 8));
    }
}
