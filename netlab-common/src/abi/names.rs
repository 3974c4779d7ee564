//! Every map's and program's name, once. The kernel keeps 15 bytes of a name.

/// Array of flow slots.
pub const FLOWS: &str = "NL_FLOWS";
/// Hash from a tuple, as it arrives, to a slot.
pub const KEYS: &str = "NL_KEYS";
/// Queue of slots that were given back.
pub const FREE_SLOTS: &str = "NL_FREE";
/// One number: the first slot that was never used.
pub const FRESH_SLOT: &str = "NL_FRESH";
/// The lab's settings.
pub const CONFIG: &str = "NL_CONFIG";
/// Bitmaps of external ports in use, by a hash of all else that makes a reply tuple.
pub const PORTS: &str = "NL_PORTS";
/// How many flows sources hold, by hashes of their address.
pub const SOURCES: &str = "NL_SOURCES";
/// Whom an internal endpoint has sent to, for address-dependent filtering.
pub const CONTACTS: &str = "NL_CONTACTS";
/// When the agent last swept, and when a refusal was last answered.
pub const PULSE: &str = "NL_PULSE";
/// LRU hash from what the fragments of a datagram have in common to its ports.
pub const FRAGMENTS: &str = "NL_FRAGMENTS";
/// Array of places in which fragments wait for the first one of their datagram.
pub const WAITING: &str = "NL_WAITING";
/// Hash from address, port and protocol to a forward.
pub const FORWARD_PORTS: &str = "NL_FORWARD_PORT";
/// Array of forwards, by rule.
pub const FORWARDS: &str = "NL_FORWARDS";
/// Longest-prefix trie from rule and source to whether it may use a forward.
pub const ALLOW: &str = "NL_ALLOW";
/// Longest-prefix trie from a source address to a masquerade's target.
pub const MASQUERADES: &str = "NL_MASQUERADES";
/// Longest-prefix trie from an address to its zone.
pub const ZONES: &str = "NL_ZONES";
/// Hash of the interfaces on which nodes' packets arrive at the host's stack, with the host's address there.
pub const INTERFACES: &str = "NL_INTERFACES";
/// One number: the agent's count of changes to what ways out depend on.
pub const EPOCH: &str = "NL_EPOCH";
/// Hash of the interfaces by which packets may leave past the host's stack.
pub const EXITS: &str = "NL_EXITS";
/// Array of ways out that were learnt.
pub const WAYS: &str = "NL_WAYS";
/// [`Recent`](super::recent::Recent).
pub const RECENT: &str = "NL_RECENT";
/// Per-CPU array of rule counters.
pub const RULE_COUNTERS: &str = "NL_RULES";
/// Per-CPU array of received and verdict counters.
pub const VERDICT_COUNTERS: &str = "NL_VERDICTS";
/// Array of event counters.
pub const EVENTS: &str = "NL_EVENTS";

/// All maps.
pub const MAPS: [&str; 24] = [
    FLOWS,
    KEYS,
    FREE_SLOTS,
    FRESH_SLOT,
    CONFIG,
    PORTS,
    SOURCES,
    CONTACTS,
    PULSE,
    FRAGMENTS,
    WAITING,
    FORWARD_PORTS,
    FORWARDS,
    ALLOW,
    MASQUERADES,
    ZONES,
    INTERFACES,
    EPOCH,
    EXITS,
    WAYS,
    RECENT,
    RULE_COUNTERS,
    VERDICT_COUNTERS,
    EVENTS,
];

/// The constant that says how long the uplink's link header is.
pub const UPLINK_HEADER: &str = "NL_UPLINK_HEADER";

/// The constant that says whether packets and bytes are counted.
pub const COUNTING: &str = "NL_COUNTING";

/// The TC programs, in the order of [`Hook::ALL`](super::hook::Hook::ALL).
pub const TC_PROGRAMS: [&str; 5] =
    ["nl_tc_port_in", "nl_tc_port_out", "nl_tc_up_in", "nl_tc_up_out", "nl_tc_local_out"];

/// The XDP programs, in the same order, but for the loopback interface, which has none.
pub const XDP_PROGRAMS: [&str; 4] = ["nl_xdp_port_in", "nl_xdp_port_out", "nl_xdp_up_in", "nl_xdp_up_out"];

/// The XDP programs that are attached where frames cross the host before they are skbs: to lab ports and to the uplink.
pub const CROSS_PROGRAMS: [&str; 2] = ["nl_xdp_port_x", "nl_xdp_up_x"];

/// The program that takes away flows whose time is up. It is attached nowhere: the agent runs it.
pub const SWEEP_PROGRAM: &str = "nl_sweep";
