//! An skb whose headers are read and written where they lie, past the kernel's helpers: for the shortcut, which looks
//! at nothing but the head, and wants it quickly. What is not in the head makes the packet go the whole way. The
//! transport's checksum is left to the helper, which alone knows whether it is partial or complete.

use aya_ebpf::bindings::__sk_buff;
use netlab_common::abi::way::Link;
use netlab_common::packet::{Covered, Front, Packet};

use crate::bytes;
use crate::tc::TcPacket;

/// An skb's head.
pub struct SkbHead {
    skb: *mut __sk_buff,
    whole: TcPacket,
}

impl SkbHead {
    /// That of a packet.
    #[inline(always)]
    pub fn new(skb: *mut __sk_buff, whole: TcPacket) -> Self {
        SkbHead { skb, whole }
    }

    #[inline(always)]
    fn at<const L: usize>(&self, offset: usize) -> Option<*mut [u8; L]> {
        // SAFETY: the context is the program's own.
        unsafe { bytes::at(self.skb, offset) }
    }
}

impl Packet for SkbHead {
    #[inline(always)]
    fn link_len(&self) -> usize {
        self.whole.link_len()
    }

    #[inline(always)]
    fn is_tagged(&self) -> bool {
        self.whole.is_tagged()
    }

    #[inline(always)]
    fn frame_len(&self) -> u32 {
        self.whole.frame_len()
    }

    #[inline(always)]
    fn segments(&self) -> u32 {
        self.whole.segments()
    }

    #[inline(always)]
    fn segment_size(&self) -> u32 {
        self.whole.segment_size()
    }

    #[inline(always)]
    fn received_on(&self) -> u32 {
        self.whole.received_on()
    }

    #[inline(always)]
    fn load<const L: usize>(&self, offset: usize) -> Option<[u8; L]> {
        // SAFETY: `at` compared the end with the head's, in the form the verifier follows.
        self.at::<L>(offset).map(|bytes| unsafe { *bytes })
    }

    #[inline(always)]
    fn store<const L: usize>(&mut self, offset: usize, bytes: [u8; L]) -> Option<()> {
        // SAFETY: as above. The kernel has unshared the head before the program began, because it writes there.
        self.at::<L>(offset).map(|place| unsafe { *place = bytes })
    }

    #[inline(always)]
    fn load_quickly<const L: usize>(&self, offset: usize) -> Option<[u8; L]> {
        // SAFETY: as for `load`.
        self.at::<L>(offset).map(|from| unsafe { bytes::read(from) })
    }

    #[inline(always)]
    fn front(&self) -> Option<Front> {
        // SAFETY: the context is the program's own.
        unsafe { bytes::front(self.skb) }
    }

    #[inline(always)]
    fn set_front(&mut self, link: Link, front: &Front) -> Option<()> {
        // SAFETY: as above, and as for `store`.
        unsafe { bytes::set_front(self.skb, link, front) }
    }

    #[inline(always)]
    fn wrap<const L: usize>(&mut self, keep: usize) -> Option<()> {
        self.whole.wrap::<L>(keep)
    }

    #[inline(always)]
    fn update_header_checksum(&mut self, offset: usize, from: [u8; 4], to: [u8; 4]) -> Option<()> {
        self.whole.update_header_checksum(offset, from, to)
    }

    #[inline(always)]
    fn update_transport_checksum<const L: usize>(
        &mut self,
        offset: usize,
        from: [u8; L],
        to: [u8; L],
        covered: Covered,
    ) -> Option<()> {
        self.whole.update_transport_checksum(offset, from, to, covered)
    }
}
