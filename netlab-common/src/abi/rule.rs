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

/// Where a port forward leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct ForwardTarget<const N: usize> {
    /// The node's address, network order.
    pub address: [u8; N],
    /// The node's port, network order.
    pub port: [u8; 2],
    /// Always zero.
    pub pad: [u8; 2],
    /// Index into the rule counters.
    pub rule: u32,
}

const _: () = assert!(size_of::<ForwardTarget<4>>() == 12, "a v4 forward target is 12 bytes");

/// What a matching source is hidden behind. Found by longest prefix of the source address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct MasqueradeTarget<const N: usize> {
    /// The uplink's address, network order.
    pub address: [u8; N],
    /// First external port, in the machine's order.
    pub first_port: u16,
    /// Last external port, in the machine's order; at least `first_port`.
    pub last_port: u16,
    /// Index into the rule counters.
    pub rule: u32,
}

const _: () = assert!(size_of::<MasqueradeTarget<4>>() == 12, "a v4 masquerade target is 12 bytes");

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
}

impl Zone {
    /// The zone of a stored number.
    #[inline(always)]
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        match number {
            1 => Zone::Host,
            2 => Zone::Nodes,
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
