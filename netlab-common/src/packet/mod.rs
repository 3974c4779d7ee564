//! The first trait, [`Packet`], and what is known of a packet once it is parsed.

mod front;
mod parse;
mod quote;

pub use front::Front;
pub use parse::{ParseError, parse_ipv4, read_ipv4};
pub use quote::{Quote, parse_quote};

use crate::abi::flow::Tuple;
use crate::abi::fragment::FragmentKey;
use crate::abi::hook::Hook;

use crate::abi::packed::Packed;
use crate::abi::way::{Link, exit};
use crate::conntrack::state;
use crate::net::{eth, ipv4, tcp};
use crate::tables::Traffic;

/// A frame that starts with its link header: Ethernet, or none. Offsets are bytes from there.
///
/// Everything is loaded by value, because the kernel's helpers invalidate pointers into a packet. Checksums
/// are operations rather than arithmetic: an skb's may be partial or complete, and only the kernel's helper
/// keeps that state right. That is the one true difference between the hooks.
pub trait Packet {
    /// Bytes of the link's header before the IP header: an Ethernet header's, or none on a link without one.
    #[inline(always)]
    fn link_len(&self) -> usize {
        eth::LEN
    }

    /// What the frame carries, as an EtherType.
    #[inline(always)]
    fn ether_type(&self) -> [u8; 2] {
        // Written with a default because a `match` on the `Option` lets LLVM compute on the bytes of the `None`
        // case, which are undefined, and the verifier refuses to read those.
        self.load(eth::TYPE).unwrap_or([0; 2])
    }

    /// Whether the frame has a VLAN tag beside its bytes.
    #[inline(always)]
    fn is_tagged(&self) -> bool {
        false
    }

    /// Bytes of the frame as it stands; of an aggregate, all of them.
    fn frame_len(&self) -> u32;

    /// Packets that the frame is on the wire: more than one for an aggregate (GSO, GRO).
    fn segments(&self) -> u32;

    /// Index of the interface on which the host's stack received the packet; zero if it made the packet
    /// itself, or if the hook does not know.
    fn received_on(&self) -> u32;

    /// Index of the interface that the hook is on; zero if that does not know.
    #[inline(always)]
    fn interface(&self) -> u32 {
        0
    }

    /// Bytes of data in each segment that the frame becomes on the wire; zero unless it is an aggregate.
    #[inline(always)]
    fn segment_size(&self) -> u32 {
        0
    }

    /// Whether it can leave by an interface of which the agent says this: bits of
    /// [`exit`](crate::abi::way::exit).
    #[inline(always)]
    fn may_leave_by(&self, flags: u32) -> bool {
        flags & exit::REDIRECT != 0
    }

    /// Whether the hook where it came in has translated it. That is said once, and forgotten then.
    #[inline(always)]
    fn take_translated(&mut self) -> bool {
        false
    }

    /// Notes that it is translated, for the hook where it leaves the host.
    #[inline(always)]
    fn set_translated(&mut self) {}

    /// `L` bytes from `offset`, or `None` past the end.
    fn load<const L: usize>(&self, offset: usize) -> Option<[u8; L]>;

    /// As [`load`](Packet::load), for whom speed counts more than what the verifier makes of it.
    #[inline(always)]
    fn load_quickly<const L: usize>(&self, offset: usize) -> Option<[u8; L]> {
        self.load(offset)
    }

    /// The first bytes of the frame, if it has as many where they can be had quickly.
    #[inline(always)]
    fn front(&self) -> Option<Front> {
        self.load(0).map(|bytes| Front::of(&bytes))
    }

    /// Overwrites what a translation changes of those, and the Ethernet header up to its type.
    #[inline(always)]
    fn set_front(&mut self, link: Link, front: &Front) -> Option<()> {
        self.store(Front::CHANGED, front.changed())?;
        self.store(0, link.bytes())
    }

    /// Overwrites `L` bytes at `offset`; `None` when they are not all there or cannot be made writable.
    fn store<const L: usize>(&mut self, offset: usize, bytes: [u8; L]) -> Option<()>;

    /// Makes room for `L` bytes after the Ethernet header, and cuts the frame off `keep` bytes after them;
    /// the room's bytes are undefined. `None` when it cannot be done, and then the frame must not go on.
    fn wrap<const L: usize>(&mut self, keep: usize) -> Option<()>;

    /// Brings the IPv4 header checksum at `offset` up to date after `from` became `to`.
    fn update_header_checksum(&mut self, offset: usize, from: [u8; 4], to: [u8; 4]) -> Option<()>;

    /// Brings the transport checksum at `offset` up to date after `from` became `to`; `L` is 2 or 4.
    fn update_transport_checksum<const L: usize>(
        &mut self,
        offset: usize,
        from: [u8; L],
        to: [u8; L],
        covered: Covered,
    ) -> Option<()>;

    /// Brings the transport checksum at `offset` up to date after the tuple became another one; `udp` as in
    /// [`Covered`].
    #[inline(always)]
    fn update_tuple_checksum(&mut self, offset: usize, from: Packed, to: Packed, udp: bool) -> Option<()> {
        let mut update = |from: u32, to: u32, pseudo_header| {
            if from == to {
                return Some(());
            }
            let covered = Covered { pseudo_header, udp };
            self.update_transport_checksum(offset, from.to_le_bytes(), to.to_le_bytes(), covered)
        };
        update(from.src(), to.src(), true)?;
        update(from.dst(), to.dst(), true)?;
        update(from.ports(), to.ports(), false)
    }
}

/// How a changed field is covered by a transport checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covered {
    /// As part of the pseudo-header (addresses), or of the segment itself (ports).
    pub pseudo_header: bool,
    /// The checksum is UDP's: zero means none.
    pub udp: bool,
}

/// What the pipeline knows of a packet once it is parsed. Without padding or payloads that may be undefined,
/// because it lies in a map: there every stage finds it, and the verifier knows nothing of how it came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Headers<const N: usize> {
    /// Addresses and ports as they arrived; ports are zero where `kind` has none.
    pub tuple: Tuple<N>,
    /// What a TCP header says of numbers; all zero for other kinds.
    pub segment: Segment,
    ip: u16,
    transport: u16,
    repeated: u16,
    /// The datagram's identification, network order: what its pieces have in common.
    pub identification: [u8; 2],
    kind: u8,
    tcp_flags: u8,
    /// Which piece of its datagram it is.
    pub piece: Piece,
    pad: u8,
}

const _: () = assert!(size_of::<Headers<4>>() == 40, "the fields of v4 headers fill them");

/// The numbers of a TCP segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Segment {
    /// Of its first byte.
    pub sequence: u32,
    /// What it acknowledges; says nothing without the ACK flag.
    pub ack: u32,
    /// Bytes of data.
    pub len: u32,
}

impl Segment {
    /// The number after its last byte, of which SYN and FIN each count as one (RFC 9293, section 3.4).
    #[inline(always)]
    #[must_use]
    pub fn end(&self, flags: u8) -> u32 {
        let controls = u32::from(flags & tcp::SYN != 0) + u32::from(flags & tcp::FIN != 0);
        self.sequence.wrapping_add(self.len).wrapping_add(controls)
    }
}

impl<const N: usize> Headers<N> {
    /// Offset of the IP header. The mask bounds it for the verifier, as does the next one's.
    #[inline(always)]
    #[must_use]
    pub fn ip(&self) -> usize {
        usize::from(self.ip) & 0x1f
    }

    /// Offset of the transport header.
    #[inline(always)]
    #[must_use]
    pub fn transport(&self) -> usize {
        usize::from(self.transport) & 0x7f
    }

    /// Bytes of IP and transport header together: what each segment of an aggregate repeats on the wire.
    #[inline(always)]
    #[must_use]
    pub fn repeated(&self) -> usize {
        usize::from(self.repeated)
    }

    /// What the transport is.
    #[inline(always)]
    #[must_use]
    pub fn kind(&self) -> Transport {
        match self.kind {
            kind::TCP => Transport::Tcp(self.tcp_flags),
            kind::UDP => Transport::Udp,
            kind::SCTP => Transport::Sctp,
            kind::QUERY => Transport::Query,
            kind::ANSWER => Transport::Answer,
            kind::ERROR => Transport::Error,
            kind::FRAGMENT => Transport::Fragment,
            kind::PORTLESS => Transport::Portless,
            _ => Transport::Other,
        }
    }

    /// Whether there are IP options.
    #[inline(always)]
    #[must_use]
    pub fn has_options(&self) -> bool {
        self.transport() > self.ip() + ipv4::MIN_LEN
    }

    /// What the pieces of the datagram are recognised by at a hook.
    #[inline(always)]
    #[must_use]
    pub fn fragment_key(&self, hook: Hook) -> FragmentKey<N> {
        FragmentKey {
            src: self.tuple.src,
            dst: self.tuple.dst,
            identification: self.identification,
            protocol: self.tuple.protocol,
            hook: hook as u8,
        }
    }

    /// What the packet is on the wire from its IP header on, with every segment's own headers.
    #[inline(always)]
    #[must_use]
    pub fn traffic<P: Packet>(&self, packet: &P) -> Traffic {
        let packets = u64::from(packet.segments());
        let bytes = u64::from(packet.frame_len()) - self.ip() as u64 + (packets - 1) * self.repeated() as u64;
        Traffic { packets, bytes }
    }
}

/// Which piece of a datagram a packet is (RFC 791, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Piece {
    /// All of it.
    Whole,
    /// The first fragment, with the transport header.
    First,
    /// A later fragment. Its ports are in the first one.
    Later,
}

/// The transport, as far as translation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP, with its flag byte.
    Tcp(u8),
    /// UDP, and UDP-Lite (RFC 3828), whose ports and checksum stand in the same places.
    Udp,
    /// SCTP. Its checksum covers the ports and not the addresses, so the ports stay what they are.
    Sctp,
    /// An ICMP query: an echo request, or one for a timestamp, information or an address mask.
    Query,
    /// The answer to one.
    Answer,
    /// An ICMP error, which quotes the packet it is about.
    Error,
    /// A later fragment of a protocol that has ports.
    Fragment,
    /// A protocol without ports that netlab knows, such as GRE and ESP: translated by its addresses.
    Portless,
    /// Other ICMP messages, and DCCP, whose checksum nobody here computes: not translated.
    Other,
}

/// Kinds of transport as numbers.
mod kind {
    pub const TCP: u8 = 0;
    pub const UDP: u8 = 1;
    pub const SCTP: u8 = 2;
    pub const QUERY: u8 = 3;
    pub const ANSWER: u8 = 4;
    pub const ERROR: u8 = 5;
    pub const FRAGMENT: u8 = 6;
    pub const PORTLESS: u8 = 7;
    pub const OTHER: u8 = 8;
}

impl Transport {
    /// The kind's number.
    #[inline(always)]
    fn number(self) -> u8 {
        match self {
            Transport::Tcp(_) => kind::TCP,
            Transport::Udp => kind::UDP,
            Transport::Sctp => kind::SCTP,
            Transport::Query => kind::QUERY,
            Transport::Answer => kind::ANSWER,
            Transport::Error => kind::ERROR,
            Transport::Fragment => kind::FRAGMENT,
            Transport::Portless => kind::PORTLESS,
            Transport::Other => kind::OTHER,
        }
    }

    /// Whether a packet of this kind may open a flow. TCP opens with a SYN and nothing else (RFC 5382);
    /// an ICMP query opens with its request (RFC 5508).
    #[inline(always)]
    #[must_use]
    pub fn opens(self) -> bool {
        match self {
            Transport::Tcp(flags) => flags & (tcp::SYN | tcp::ACK | tcp::RST | tcp::FIN) == tcp::SYN,
            Transport::Udp | Transport::Sctp | Transport::Query | Transport::Portless => true,
            Transport::Answer | Transport::Error | Transport::Fragment | Transport::Other => false,
        }
    }

    /// Whether another port than the sender's would do for the receiver.
    #[inline(always)]
    #[must_use]
    pub fn has_free_port(self) -> bool {
        matches!(self, Transport::Tcp(_) | Transport::Udp | Transport::Query)
    }

    /// Whether a packet of this kind shows a TCP connection in its middle.
    #[inline(always)]
    #[must_use]
    pub fn continues(self) -> bool {
        matches!(self, Transport::Tcp(flags) if flags & (tcp::SYN | tcp::ACK | tcp::RST) == tcp::ACK)
    }

    /// The state bits of a flow that a packet of this kind opens.
    #[inline(always)]
    #[must_use]
    pub fn opening_state(self) -> u32 {
        if self.continues() { state::PICKED_UP } else { 0 }
    }

    /// Whether a packet of this kind can belong to a flow at all.
    #[inline(always)]
    #[must_use]
    pub fn is_tracked(self) -> bool {
        !matches!(self, Transport::Error | Transport::Other)
    }
}
