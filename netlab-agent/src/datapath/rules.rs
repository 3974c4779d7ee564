//! The rules in the datapath's own terms; `nat` makes them from a lab.

use ipnet::Ipv4Net;
use netlab_common::abi::rule::{ForwardKey, ForwardTarget, MasqueradeTarget, Zone};

/// Everything the datapath looks up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Port forwards, in the lab's order; a forward's rule number is its place.
    pub forwards: Vec<(ForwardKey<4>, ForwardTarget<4>)>,
    /// Source prefixes; their rule numbers follow the forwards', one a `[[masquerade]]`.
    pub masquerades: Vec<(Ipv4Net, MasqueradeTarget<4>)>,
    /// How many `[[masquerade]]`s there are; one may cover several prefixes.
    pub masquerade_count: usize,
    /// Indexes of the interfaces on which nodes' packets arrive at the host's stack.
    pub lab_interfaces: Vec<u32>,
    /// Whose each address is.
    pub zones: Vec<(Ipv4Net, Zone)>,
}
