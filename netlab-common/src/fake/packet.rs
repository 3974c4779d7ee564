//! A frame in memory.

use std::vec::Vec;

use crate::net::{checksum, eth};
use crate::packet::{Covered, Packet};

/// A frame in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BufPacket(pub Vec<u8>);

impl Packet for BufPacket {
    fn frame_len(&self) -> u32 {
        self.0.len() as u32
    }

    fn segments(&self) -> u32 {
        1
    }

    fn received_on(&self) -> u32 {
        0
    }

    // The loopback interface, on which the kernel runs programs that are attached nowhere.
    fn interface(&self) -> u32 {
        1
    }

    fn load<const L: usize>(&self, offset: usize) -> Option<[u8; L]> {
        self.0.get(offset..offset + L)?.try_into().ok()
    }

    fn store<const L: usize>(&mut self, offset: usize, bytes: [u8; L]) -> Option<()> {
        self.0.get_mut(offset..offset + L)?.copy_from_slice(&bytes);
        Some(())
    }

    fn wrap<const L: usize>(&mut self, keep: usize) -> Option<()> {
        if self.0.len() < eth::LEN + keep {
            return None;
        }
        self.0.truncate(eth::LEN + keep);
        self.0.splice(eth::LEN..eth::LEN, [0; L]);
        Some(())
    }

    fn update_header_checksum(&mut self, offset: usize, from: [u8; 4], to: [u8; 4]) -> Option<()> {
        let field = self.load(offset)?;
        self.store(offset, checksum::update(field, from, to))
    }

    fn update_transport_checksum<const L: usize>(
        &mut self,
        offset: usize,
        from: [u8; L],
        to: [u8; L],
        covered: Covered,
    ) -> Option<()> {
        let field = self.load(offset)?;
        let updated = if covered.udp {
            checksum::update_udp(field, from, to)
        } else {
            checksum::update(field, from, to)
        };
        self.store(offset, updated)
    }
}
