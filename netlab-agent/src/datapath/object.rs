//! The eBPF object: its bytes, and loading it with maps of the lab's sizes.

use aya::{Ebpf, EbpfLoader, VerifierLogLevel};
use netlab_common::abi::names;

/// The object as `cargo xtask build` made it.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("NETLAB_EBPF_OBJECT"));

/// How many entries the maps shall have room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Flows: a slot and two keys each.
    pub flows: u32,
    /// Port forwards.
    pub forwards: u32,
    /// Masqueraded prefixes.
    pub masquerades: u32,
    /// Prefixes of the host's and the nodes' addresses.
    pub zones: u32,
    /// Interfaces on which nodes' packets arrive.
    pub interfaces: u32,
    /// Rules that count.
    pub rules: u32,
}

impl Sizes {
    /// Flows a lab has room for: 64 Ki, about 20 MiB with their keys.
    pub const FLOWS: u32 = 65_536;
}

/// Creates the maps, and has the programs ready for the verifier.
///
/// # Errors
/// Whatever the kernel says against the maps.
pub fn load(sizes: &Sizes) -> Result<Ebpf, aya::EbpfError> {
    EbpfLoader::new()
        .map_max_entries(names::FLOWS, sizes.flows)
        .map_max_entries(names::KEYS, sizes.flows * 2)
        .map_max_entries(names::FREE_SLOTS, sizes.flows)
        .map_max_entries(names::FORWARDS, sizes.forwards.max(1))
        .map_max_entries(names::MASQUERADES, sizes.masquerades.max(1))
        .map_max_entries(names::ZONES, sizes.zones.max(1))
        .map_max_entries(names::INTERFACES, sizes.interfaces.max(1))
        .map_max_entries(names::RULE_COUNTERS, sizes.rules.max(1))
        .verifier_log_level(VerifierLogLevel::STATS)
        .load(OBJECT)
}
