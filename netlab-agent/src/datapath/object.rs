//! The eBPF object: its bytes, and loading it with maps of the lab's sizes.

use std::path::Path;

use aya::{Ebpf, EbpfLoader, VerifierLogLevel};
use netlab_common::abi::{config, names, recent};
use netlab_common::net::eth;

/// The object as `cargo xtask build` made it.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("NETLAB_EBPF_OBJECT"));

/// Constants of the programs: the verifier knows them, and drops what they make needless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// Bytes of the uplink's link header: Ethernet's, or none.
    pub uplink_header: u32,
    /// 1 if packets and bytes are counted, else 0.
    pub counting: u32,
}

impl Default for Traits {
    fn default() -> Self {
        Traits { uplink_header: eth::LEN as u32, counting: 1 }
    }
}

/// How many entries the maps shall have room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Flows: a slot and two keys each.
    pub flows: u32,
    /// Endpoints and whom they have sent to; needed for address-dependent filtering only.
    pub contacts: u32,
    /// Ports of forwards.
    pub forward_ports: u32,
    /// Entries of allow lists.
    pub allow: u32,
    /// Masqueraded prefixes.
    pub masquerades: u32,
    /// Prefixes of the host's and the nodes' addresses.
    pub zones: u32,
    /// Interfaces on which nodes' packets arrive.
    pub interfaces: u32,
    /// Rules.
    pub rules: u32,
    /// No sizes of maps, but they are fixed with them.
    pub traits: Traits,
}

/// Creates the maps, and has the programs ready for the verifier.
///
/// # Errors
/// Whatever the kernel says against the maps.
pub fn load(sizes: &Sizes) -> Result<Ebpf, aya::EbpfError> {
    loader(sizes).load(OBJECT)
}

/// As [`load`], with the maps that are pinned in a folder in place of new ones, whatever size they have.
///
/// # Errors
/// Whatever the kernel says against the maps, for example that one that is pinned is of another layout.
pub fn load_onto(folder: &Path, sizes: &Sizes) -> Result<Ebpf, aya::EbpfError> {
    let mut loader = loader(sizes);
    for name in names::MAPS {
        loader.map_pin_path(name, folder.join(name));
    }
    loader.load(OBJECT)
}

/// The environment variable by which the programs are made to tell what they decide: `debug` turns it on.
pub const LOG: &str = "NETLAB_LOG";

/// Whether the programs shall tell.
pub fn is_verbose() -> bool {
    std::env::var_os(LOG).is_some_and(|value| value == "debug")
}

/// What the programs' messages go through, and its size in bytes while there are none: a page.
const MESSAGES: (&str, u32) = ("AYA_LOGS", 4096);

fn loader(sizes: &Sizes) -> EbpfLoader<'_> {
    let mut loader = EbpfLoader::new();
    static SILENT: u8 = 0;
    static DEBUG: u8 = log::Level::Debug as u8;
    if is_verbose() {
        loader.override_global(aya_log::LEVEL, &DEBUG, true);
    } else {
        loader.override_global(aya_log::LEVEL, &SILENT, true).map_max_entries(MESSAGES.0, MESSAGES.1);
    }
    loader
        .override_global(names::UPLINK_HEADER, &sizes.traits.uplink_header, true)
        .override_global(names::COUNTING, &sizes.traits.counting, true)
        .map_max_entries(names::FLOWS, sizes.flows)
        .map_max_entries(names::KEYS, sizes.flows * 2)
        .map_max_entries(names::FREE_SLOTS, sizes.flows)
        .map_max_entries(names::PORTS, config::shards(sizes.flows))
        .map_max_entries(names::SOURCES, config::source_cells(sizes.flows) * config::SOURCE_ROWS)
        .map_max_entries(names::RECENT, 1 << recent::most_bits(sizes.flows))
        .map_max_entries(names::CONTACTS, sizes.contacts.max(1))
        .map_max_entries(names::FORWARD_PORTS, sizes.forward_ports.max(1))
        .map_max_entries(names::FORWARDS, sizes.rules.max(1))
        .map_max_entries(names::ALLOW, sizes.allow.max(1))
        .map_max_entries(names::MASQUERADES, sizes.masquerades.max(1))
        .map_max_entries(names::ZONES, sizes.zones.max(1))
        .map_max_entries(names::INTERFACES, sizes.interfaces.max(1))
        .map_max_entries(names::EXITS, sizes.interfaces.max(1))
        .map_max_entries(names::RULE_COUNTERS, sizes.rules.max(1))
        .verifier_log_level(VerifierLogLevel::STATS);
    loader
}
