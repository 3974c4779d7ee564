//! A packet at an XDP hook: bytes between two pointers. Checksums are arithmetic here, since there is no skb
//! whose state would have to be kept.

use aya_ebpf::bindings::{xdp_action, xdp_md};
use aya_ebpf::helpers::generated::{
    bpf_redirect, bpf_xdp_adjust_head, bpf_xdp_adjust_tail, bpf_xdp_get_buff_len,
};
use netlab_common::abi::packed::Packed;
use netlab_common::abi::verdict::Disposition;
use netlab_common::abi::way::{Link, exit};
use netlab_common::net::{checksum, eth};
use netlab_common::packet::{Covered, Front, Packet};
use netlab_common::pipeline::{Across, Decision, Way};

use crate::bytes;

/// A frame that has no skb yet.
pub struct XdpPacket {
    context: *mut xdp_md,
}

impl XdpPacket {
    /// The packet of a program's context.
    #[inline(always)]
    pub fn new(context: *mut xdp_md) -> Self {
        XdpPacket { context }
    }

    /// A pointer to `L` bytes at `offset`, if the frame has them.
    #[inline(always)]
    fn at<const L: usize>(&self, offset: usize) -> Option<*mut [u8; L]> {
        // SAFETY: the context is the program's own.
        unsafe { bytes::at(self.context, offset) }
    }
}

/// What the kernel is told. An answer leaves by the interface on which the packet came.
#[inline(always)]
pub fn action(decision: Decision) -> u32 {
    match decision.way {
        Way::Back => return xdp_action::XDP_TX,
        Way::Across => return cross(decision.across),
        _ => {}
    }
    match decision.verdict.disposition() {
        Disposition::Forwarded | Disposition::Passed => xdp_action::XDP_PASS,
        Disposition::Dropped => xdp_action::XDP_DROP,
    }
}

/// What the kernel is told of a frame that may have taken the shortcut.
#[inline(always)]
pub fn cross(across: Across) -> u32 {
    match across {
        Across::NOT | Across::UNKNOWN => xdp_action::XDP_PASS,
        Across::LOST | Across::ENDING => xdp_action::XDP_DROP,
        // SAFETY: the helper takes the number of an interface.
        across => unsafe { bpf_redirect(across.interface(), 0) as u32 },
    }
}

impl Packet for XdpPacket {
    #[inline(always)]
    fn frame_len(&self) -> u32 {
        // All of a frame in several buffers, of which `data` to `data_end` is only the first.
        // SAFETY: the helper takes the program's own context.
        unsafe { bpf_xdp_get_buff_len(self.context) as u32 }
    }

    #[inline(always)]
    fn segments(&self) -> u32 {
        1
    }

    #[inline(always)]
    fn received_on(&self) -> u32 {
        // At XDP no packet has been through the host's stack yet.
        0
    }

    #[inline(always)]
    fn interface(&self) -> u32 {
        // SAFETY: the context is the program's own.
        unsafe { (*self.context).ingress_ifindex }
    }

    #[inline(always)]
    fn may_leave_by(&self, flags: u32) -> bool {
        flags & exit::FRAMES != 0
    }

    #[inline(always)]
    fn load<const L: usize>(&self, offset: usize) -> Option<[u8; L]> {
        // SAFETY: `at` compared the end with the frame's, in the form the verifier follows.
        self.at::<L>(offset).map(|bytes| unsafe { *bytes })
    }

    #[inline(always)]
    fn store<const L: usize>(&mut self, offset: usize, bytes: [u8; L]) -> Option<()> {
        // SAFETY: as above.
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
        unsafe { bytes::front(self.context) }
    }

    #[inline(always)]
    fn set_front(&mut self, link: Link, front: &Front) -> Option<()> {
        // SAFETY: as above, and as for `store`.
        unsafe { bytes::set_front(self.context, link, front) }
    }

    #[inline(always)]
    fn wrap<const L: usize>(&mut self, keep: usize) -> Option<()> {
        let ethernet: [u8; eth::LEN] = self.load(0)?;
        let wanted = (eth::LEN + L + keep) as i32;
        // SAFETY: the helpers take the program's own context; pointers into the frame are read anew by `at`.
        unsafe {
            if bpf_xdp_adjust_head(self.context, -(L as i32)) != 0 {
                return None;
            }
            let now = bpf_xdp_get_buff_len(self.context) as i32;
            if bpf_xdp_adjust_tail(self.context, wanted - now) != 0 {
                return None;
            }
        }
        self.store(0, ethernet)
    }

    #[inline(always)]
    fn update_header_checksum(&mut self, offset: usize, from: [u8; 4], to: [u8; 4]) -> Option<()> {
        let field = self.load(offset)?;
        self.store(offset, checksum::update(field, from, to))
    }

    #[inline(always)]
    fn update_transport_checksum<const L: usize>(
        &mut self,
        offset: usize,
        from: [u8; L],
        to: [u8; L],
        covered: Covered,
    ) -> Option<()> {
        let place = self.at::<2>(offset)?;
        // SAFETY: `at` compared the end with the frame's, in the form the verifier follows.
        let field = unsafe { bytes::read(place) };
        let updated = if covered.udp {
            checksum::update_udp(field, from, to)
        } else {
            checksum::update(field, from, to)
        };
        // SAFETY: as above.
        unsafe { *place = updated };
        Some(())
    }

    // All at once, which comes to the same.
    #[inline(always)]
    fn update_tuple_checksum(&mut self, offset: usize, from: Packed, to: Packed, udp: bool) -> Option<()> {
        if from.is(to) {
            return Some(());
        }
        let changes = checksum::changes(from.src(), to.src())
            + checksum::changes(from.dst(), to.dst())
            + checksum::changes(from.ports(), to.ports());
        let place = self.at::<2>(offset)?;
        // SAFETY: `at` compared the end with the frame's, in the form the verifier follows.
        let field = u16::from_ne_bytes(unsafe { bytes::read(place) });
        let sum = if udp { checksum::changed_udp(field, changes) } else { checksum::changed(field, changes) };
        // SAFETY: as above.
        unsafe { *place = sum.to_ne_bytes() };
        Some(())
    }
}
