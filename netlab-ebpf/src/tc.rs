//! A packet at a TC hook: an skb, read and written by the kernel's helpers, which see to clones, fragments
//! of data outside the head, and checksums that are partial or complete.

use core::mem::MaybeUninit;

use aya_ebpf::bindings::{
    __sk_buff, BPF_F_INGRESS, BPF_F_MARK_MANGLED_0, BPF_F_PSEUDO_HDR, TC_ACT_SHOT, TC_ACT_UNSPEC,
    bpf_adj_room_mode::BPF_ADJ_ROOM_MAC,
};
use aya_ebpf::helpers::generated::{
    bpf_l3_csum_replace, bpf_l4_csum_replace, bpf_redirect, bpf_redirect_neigh, bpf_skb_adjust_room,
    bpf_skb_change_tail, bpf_skb_load_bytes, bpf_skb_store_bytes,
};
use aya_ebpf::programs::TcContext;
use netlab_common::abi::hook::Hook;
use netlab_common::abi::verdict::Disposition;
use netlab_common::net::eth;
use netlab_common::packet::{Covered, Packet};
use netlab_common::pipeline::{Across, Decision, Way};

/// The loopback interface of every network namespace (`LOOPBACK_IFINDEX` of the kernel's).
const LOOPBACK_IFINDEX: u32 = 1;

/// Bytes of the uplink's link header. The agent sets it when it loads the object; the verifier then knows it.
#[unsafe(no_mangle)]
static NL_UPLINK_HEADER: u32 = eth::LEN as u32;

/// An skb.
pub struct TcPacket {
    skb: *mut __sk_buff,
    link_len: usize,
}

impl TcPacket {
    /// The packet of a program's context.
    #[inline(always)]
    pub fn new(skb: *mut __sk_buff) -> Self {
        TcPacket { skb, link_len: eth::LEN }
    }

    /// The packet of a program's context, on the uplink: it may have no link header.
    #[inline(always)]
    pub fn on_uplink(skb: *mut __sk_buff) -> Self {
        // SAFETY: the static is a constant of the object. It is read anew, because LLVM believes its value here.
        let header = unsafe { (&raw const NL_UPLINK_HEADER).read_volatile() };
        TcPacket { skb, link_len: if header == 0 { 0 } else { eth::LEN } }
    }
}

/// On to the next program on the hook.
pub const GO_ON: i32 = TC_ACT_UNSPEC;

/// What the kernel is told. `TC_ACT_UNSPEC` goes on to the next program on the hook, so that others keep
/// seeing the packets; `TC_ACT_OK` would end the chain.
///
/// An answer goes back where the packet came from: by the same interface where it arrives, and where it
/// leaves by the one on which the host had received it, to the neighbour that has its address.
#[inline(always)]
pub fn action(hook: Hook, decision: Decision, context: &TcContext) -> i32 {
    let skb = context.skb.skb;
    if decision.way == Way::Across {
        return cross(skb, decision.across);
    }
    if decision.way == Way::Loopback {
        // SAFETY: the helper takes the number of an interface, which is the same in every namespace.
        return unsafe { bpf_redirect(LOOPBACK_IFINDEX, u64::from(BPF_F_INGRESS)) as i32 };
    }
    if decision.way == Way::Back {
        // SAFETY: the helpers take interface numbers of the program's own context, which outlives them.
        return unsafe {
            if hook.is_ingress() {
                bpf_redirect((*skb).ifindex, 0) as i32
            } else {
                bpf_redirect_neigh((*skb).ingress_ifindex, core::ptr::null_mut(), 0, 0) as i32
            }
        };
    }
    match decision.verdict.disposition() {
        Disposition::Forwarded | Disposition::Passed => TC_ACT_UNSPEC,
        Disposition::Dropped => TC_ACT_SHOT,
    }
}

/// In an skb's `tc_index`: it has taken the shortcut, and the hook where it leaves has nothing to do with it. The field
/// is of use to nobody but traffic control. What a node's programs have put there is forgotten where its packet comes in.
const CROSSED: u32 = 0x6e6c;

/// There as well: the hook where it came in has translated it.
const TRANSLATED: u32 = 0x6e6d;

/// Sends a packet on that has taken the shortcut.
#[inline(always)]
fn cross(skb: *mut __sk_buff, across: Across) -> i32 {
    // SAFETY: the context is the program's own, and the helpers take numbers.
    unsafe {
        (*skb).tc_index = CROSSED;
        bpf_redirect(across.interface(), 0) as i32
    }
}

/// Whether a packet has taken the shortcut to the interface that it leaves by.
#[inline(always)]
pub fn has_crossed(context: &TcContext) -> bool {
    let skb = context.skb.skb;
    // SAFETY: the context is the program's own.
    unsafe {
        let has = (*skb).tc_index == CROSSED;
        if has {
            (*skb).tc_index = 0;
        }
        has
    }
}

/// Bytes that changed, as the checksum helpers take them: in a register, in wire order.
#[inline(always)]
fn word<const L: usize>(bytes: [u8; L]) -> u64 {
    let mut padded = [0u8; 4];
    let mut i = 0;
    while i < L && i < 4 {
        padded[i] = bytes[i];
        i += 1;
    }
    u64::from(u32::from_ne_bytes(padded))
}

impl Packet for TcPacket {
    #[inline(always)]
    fn link_len(&self) -> usize {
        self.link_len
    }

    #[inline(always)]
    fn ether_type(&self) -> [u8; 2] {
        if self.link_len == 0 {
            // SAFETY: the context outlives the program's run, and the verifier checks the access.
            let protocol = unsafe { (*self.skb).protocol };
            return (protocol as u16).to_ne_bytes();
        }
        self.load(eth::TYPE).unwrap_or([0; 2])
    }

    #[inline(always)]
    fn is_tagged(&self) -> bool {
        // SAFETY: the context outlives the program's run, and the verifier checks the access.
        unsafe { (*self.skb).vlan_present != 0 }
    }

    #[inline(always)]
    fn frame_len(&self) -> u32 {
        // SAFETY: the context outlives the program's run, and the verifier checks the access.
        unsafe { (*self.skb).len }
    }

    #[inline(always)]
    fn segments(&self) -> u32 {
        // SAFETY: as above.
        let segments = unsafe { (*self.skb).gso_segs };
        if segments == 0 { 1 } else { segments }
    }

    #[inline(always)]
    fn interface(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.skb).ifindex }
    }

    #[inline(always)]
    fn segment_size(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.skb).gso_size }
    }

    #[inline(always)]
    fn received_on(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.skb).ingress_ifindex }
    }

    #[inline(always)]
    fn take_translated(&mut self) -> bool {
        // SAFETY: as above.
        unsafe {
            let said = (*self.skb).tc_index;
            if said == TRANSLATED || said == CROSSED {
                (*self.skb).tc_index = 0;
            }
            said == TRANSLATED
        }
    }

    #[inline(always)]
    fn set_translated(&mut self) {
        // SAFETY: as above.
        unsafe { (*self.skb).tc_index = TRANSLATED };
    }

    #[inline(always)]
    fn load<const L: usize>(&self, offset: usize) -> Option<[u8; L]> {
        let mut bytes = MaybeUninit::<[u8; L]>::uninit();
        // SAFETY: the buffer has L bytes, and the helper fills them all or fails.
        unsafe {
            let done =
                bpf_skb_load_bytes(self.skb.cast(), offset as u32, bytes.as_mut_ptr().cast(), L as u32);
            if done == 0 { Some(bytes.assume_init()) } else { None }
        }
    }

    #[inline(always)]
    fn store<const L: usize>(&mut self, offset: usize, bytes: [u8; L]) -> Option<()> {
        // SAFETY: the buffer has L bytes; the helper checks the skb's bounds and unshares its data.
        let done = unsafe {
            bpf_skb_store_bytes(self.skb.cast(), offset as u32, bytes.as_ptr().cast(), L as u32, 0)
        };
        (done == 0).then_some(())
    }

    #[inline(always)]
    fn wrap<const L: usize>(&mut self, keep: usize) -> Option<()> {
        // SAFETY: the helpers check the skb's bounds and unshare its data.
        unsafe {
            let cut = bpf_skb_change_tail(self.skb, (self.link_len + keep) as u32, 0) == 0;
            let grown = cut && bpf_skb_adjust_room(self.skb, L as i32, BPF_ADJ_ROOM_MAC, 0) == 0;
            grown.then_some(())
        }
    }

    #[inline(always)]
    fn update_header_checksum(&mut self, offset: usize, from: [u8; 4], to: [u8; 4]) -> Option<()> {
        // SAFETY: the helper checks the skb's bounds and unshares its data.
        let done = unsafe { bpf_l3_csum_replace(self.skb.cast(), offset as u32, word(from), word(to), 4) };
        (done == 0).then_some(())
    }

    #[inline(always)]
    fn update_transport_checksum<const L: usize>(
        &mut self,
        offset: usize,
        from: [u8; L],
        to: [u8; L],
        covered: Covered,
    ) -> Option<()> {
        let mut flags = L as u64;
        if covered.pseudo_header {
            flags |= u64::from(BPF_F_PSEUDO_HDR);
        }
        if covered.udp {
            flags |= u64::from(BPF_F_MARK_MANGLED_0);
        }
        // SAFETY: the helper checks the skb's bounds and unshares its data.
        let done =
            unsafe { bpf_l4_csum_replace(self.skb.cast(), offset as u32, word(from), word(to), flags) };
        (done == 0).then_some(())
    }
}
