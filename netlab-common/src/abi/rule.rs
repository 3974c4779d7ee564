//! The rules as the datapath looks them up, and their counters. The agent writes rules, the datapath
//! counters.

/// What a port forward is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct ForwardKey<const N: usize> {
    /// The host's address in the packet; all zero in a rule for any of the host's addresses.
    pub address: [u8; N],
    /// The port in the packet, network order.
    pub port: [u8; 2],
    /// IP protocol number.
    pub protocol: u8,
    /// Always zero.
    pub pad: u8,
}

const _: () = assert!(size_of::<ForwardKey<4>>() == 8, "a v4 forward key is 8 bytes");

/// Which forward a port belongs to. A range has one of these for each port, so that 10,000 ports cost a
/// packet no more than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct ForwardPort {
    /// Index into the forwards, and into the rule counters.
    pub rule: u32,
    /// Ports from the range's first one, in the machine's order.
    pub offset: u16,
    /// Always zero.
    pub pad: u16,
}

const _: () = assert!(size_of::<ForwardPort>() == 8, "a forward's port is 8 bytes");

/// Targets that a forward may have.
pub const TARGETS: usize = 16;

/// A forward: where it leads, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Forward<const N: usize> {
    /// Where it leads; `count` of them count. New flows take them in turn.
    pub targets: [Target<N>; TARGETS],
    /// How many targets there are, at least 1; zero in an entry that is not in use.
    pub count: u32,
    /// 1 if only sources in the allow list may use it.
    pub restricted: u32,
    /// Whose turn it is: the datapath counts its new flows here.
    pub turn: u32,
    /// Always zero.
    pub pad: u32,
}

const _: () = assert!(size_of::<Forward<4>>() == 208, "a v4 forward is 208 bytes");

/// A node's end of a forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Target<const N: usize> {
    /// The node's address, network order.
    pub address: [u8; N],
    /// The host's address that the node knows the way to, network order: what the host's own packets come from that
    /// had a loopback address. Zeros if there is none.
    pub near: [u8; N],
    /// The node's port for the range's first one, in the machine's order.
    pub port: u16,
    /// The node's number if it has several addresses, else zero.
    pub node: u16,
}

const _: () = assert!(size_of::<Target<4>>() == 12, "a v4 target is 12 bytes");

/// What an allow list is looked up by, in a longest-prefix trie: a rule, all of whose bits count, and a
/// source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(C)]
pub struct AllowKey<const N: usize> {
    /// The forward's rule number, network order.
    pub rule: [u8; 4],
    /// The source's address, network order.
    pub source: [u8; N],
}

const _: () = assert!(size_of::<AllowKey<4>>() == 8, "a v4 allow key is 8 bytes");

/// What a matching source is hidden behind. Found by longest prefix of the source address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct MasqueradeTarget<const N: usize> {
    /// The uplink's address, or the first one of a pool, network order.
    pub address: [u8; N],
    /// Addresses from there on; a source always gets the same one (RFC 4787 REQ-2, paired pooling).
    pub addresses: u32,
    /// First external port, in the machine's order.
    pub first_port: u16,
    /// Last external port, in the machine's order; at least `first_port`.
    pub last_port: u16,
    /// Index into the rule counters.
    pub rule: u32,
    /// A [`Mapping`] as a number.
    pub mapping: u8,
    /// A [`Filtering`] as a number.
    pub filtering: u8,
    /// 1 if a source keeps a port outside the range too, where it is free: the range was not the user's wish.
    pub keep_any: u8,
    /// Always zero.
    pub pad: u8,
}

const _: () = assert!(size_of::<MasqueradeTarget<4>>() == 20, "a v4 masquerade target is 20 bytes");

/// What an internal endpoint's external one depends on (RFC 4787, section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mapping {
    /// On the remote address and port too: each flow has its own, and remotes share ports.
    EndpointDependent = 0,
    /// On the internal endpoint alone: all its flows have the same.
    EndpointIndependent = 1,
}

/// Whose packets reach an internal endpoint through its mapping (RFC 4787, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Filtering {
    /// Only those of the address and port to which it has a flow.
    AddressAndPortDependent = 0,
    /// Those of each address that it has sent to.
    AddressDependent = 1,
    /// Anybody's.
    EndpointIndependent = 2,
}

/// Whose an address is. Found by longest prefix; an address in no zone belongs to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Zone {
    /// The rest of the world.
    World = 0,
    /// One of the host's own addresses.
    Host = 1,
    /// A network of nodes, which the world must never see as a source.
    Nodes = 2,
    /// An address that sources are hidden behind and that no interface of the host's has: a pool's.
    Pool = 3,
}

impl Zone {
    /// The number that is stored for an address in this zone: the zone's in the lower half, and above it the number of
    /// the node that has the address among others, or zero.
    #[inline(always)]
    #[must_use]
    pub fn stored(self, node: u16) -> u32 {
        self as u32 | (node as u32) << 16
    }

    /// The node in a stored number.
    #[inline(always)]
    #[must_use]
    pub fn node(number: u32) -> u16 {
        (number >> 16) as u16
    }

    /// The zone of a stored number.
    #[inline(always)]
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        match number & 0xffff {
            1 => Zone::Host,
            2 => Zone::Nodes,
            3 => Zone::Pool,
            _ => Zone::World,
        }
    }
}

/// A rule's counters, one such set a CPU; indexes are directions of the flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RuleCounters {
    /// Flows the rule made.
    pub flows: u64,
    /// Packets, as in [`Counters`](super::flow::Counters).
    pub packets: [u64; 2],
    /// Bytes, as in [`Counters`](super::flow::Counters).
    pub bytes: [u64; 2],
}

const _: () = assert!(size_of::<RuleCounters>() == 40, "a rule's counters are 40 bytes");
