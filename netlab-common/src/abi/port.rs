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
    /// When all ports were last tried for one combination in vain, in ticks: that is done once a tick at most.
    pub scanned: u32,
    /// Always zero.
    pub pad: u32,
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
