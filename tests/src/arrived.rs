//! A frame that the host's stack has received on an interface, which one in memory does not know by itself.

use netlab_common::fake::BufPacket;
use netlab_common::packet::{Covered, Packet};

/// Such a frame.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Its bytes.
    pub frame: BufPacket,
    /// The interface; zero for one that the host made itself.
    pub on: u32,
    /// Whether it has a VLAN tag beside its bytes.
    pub tagged: bool,
    /// Whether the hook where it came in has translated it.
    pub translated: bool,
}

impl Packet for Arrived {
    fn is_tagged(&self) -> bool {
        self.tagged
    }
    fn take_translated(&mut self) -> bool {
        std::mem::take(&mut self.translated)
    }
    fn set_translated(&mut self) {
        self.translated = true;
    }
    fn frame_len(&self) -> u32 {
        self.frame.frame_len()
    }
    fn segments(&self) -> u32 {
        self.frame.segments()
    }
    fn received_on(&self) -> u32 {
        self.on
    }
    fn interface(&self) -> u32 {
        self.frame.interface()
    }
    fn load<const L: usize>(&self, offset: usize) -> Option<[u8; L]> {
        self.frame.load(offset)
    }
    fn store<const L: usize>(&mut self, offset: usize, bytes: [u8; L]) -> Option<()> {
        self.frame.store(offset, bytes)
    }
    fn wrap<const L: usize>(&mut self, keep: usize) -> Option<()> {
        self.frame.wrap::<L>(keep)
    }
    fn update_header_checksum(&mut self, offset: usize, from: [u8; 4], to: [u8; 4]) -> Option<()> {
        self.frame.update_header_checksum(offset, from, to)
    }
    fn update_transport_checksum<const L: usize>(
        &mut self,
        offset: usize,
        from: [u8; L],
        to: [u8; L],
        covered: Covered,
    ) -> Option<()> {
        self.frame.update_transport_checksum(offset, from, to, covered)
    }
}
