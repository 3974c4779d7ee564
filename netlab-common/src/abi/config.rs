//! What a lab sets for the datapath as a whole: timeouts, limits and switches. Written by the agent.

use super::clock;

/// What kind of idleness a timeout is for: an index into [`Config::timeouts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Timeout {
    /// TCP, established or closed by one side only.
    TcpEstablished = 0,
    /// TCP, being opened.
    TcpTransitory = 1,
    /// TCP, closed by both sides.
    TcpClosed = 2,
    /// TCP, reset by one side.
    TcpReset = 3,
    /// UDP, both sides heard.
    Udp = 4,
    /// UDP, one side heard.
    UdpUnreplied = 5,
    /// ICMP queries.
    Icmp = 6,
    /// Protocols without ports, and SCTP.
    Other = 7,
}

/// How many timeouts there are.
pub const TIMEOUTS: usize = 8;

/// Seconds that a flow may be idle unless the lab says otherwise, in the order of [`Timeout`].
///
/// TCP established: 2 h 4 min, and being opened: 4 min, the least that RFC 5382 REQ-5 allows. Closed: 2 min,
/// as netfilter has it; no byte can be under way any longer than that, and a SYN on the same tuple begins the
/// flow anew at once. Reset: 1 min, so that a connection that lives on after all has the time to say so. UDP:
/// 5 min as RFC 4787 REQ-5 recommends, and 2 min, the least that it allows, without an answer. ICMP queries:
/// 1 min, the least that RFC 5508 REQ-2 allows. Others: 10 min, as netfilter has it.
pub const DEFAULT_SECONDS: [u32; TIMEOUTS] = [7_440, 240, 120, 60, 300, 120, 60, 600];

/// Seconds that a flow keeps its port when it is over, unless the lab says otherwise.
pub const DEFAULT_QUARANTINE: u32 = 2;

/// Bits of [`Config::flags`].
pub mod flag {
    /// A TCP packet in mid-connection may open a flow.
    pub const PICKUP: u32 = 1 << 0;
    /// Some masquerade's mappings are endpoint-independent.
    pub const MAPPINGS: u32 = 1 << 1;
}

/// The lab's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Config {
    /// Ticks a flow may be idle, by [`Timeout`].
    pub timeouts: [u32; TIMEOUTS],
    /// Ticks a flow that is over keeps its keys and its port; at least 2, so that no packet that found it
    /// live is still under way when they go.
    pub quarantine: u32,
    /// Flows that one source address may hold.
    pub per_source: u32,
    /// [`flag`]s.
    pub flags: u32,
    /// Port bitmaps there are, less one; a power of two less one.
    pub shard_mask: u32,
    /// Cells in each row of the source counters, less one; a power of two less one.
    pub source_mask: u32,
    /// Secret of the hashes, so that nobody can aim at one bitmap or one counter.
    pub seed: u32,
    /// Added to the clock: zero but in tests.
    pub clock_offset: u32,
}

const _: () = assert!(size_of::<Config>() == 60, "the settings are 60 bytes");

impl Config {
    /// No settings: what a map would say that has no entry, which an array always has.
    pub const NOTHING: Config = Config {
        timeouts: [0; TIMEOUTS],
        quarantine: 0,
        per_source: 0,
        flags: 0,
        shard_mask: 0,
        source_mask: 0,
        seed: 0,
        clock_offset: 0,
    };

    /// The settings of a lab that says nothing, for a table of `flows`.
    #[must_use]
    pub fn for_flows(flows: u32) -> Self {
        Config {
            timeouts: DEFAULT_SECONDS.map(clock::from_seconds),
            quarantine: clock::from_seconds(DEFAULT_QUARANTINE),
            per_source: flows - flows / 8,
            flags: 0,
            shard_mask: shards(flows) - 1,
            source_mask: source_cells(flows) - 1,
            seed: 0,
            clock_offset: 0,
        }
    }
}

/// Port bitmaps for a table of so many flows: one for about a thousand flows, which is 8 bytes a flow.
#[must_use]
pub fn shards(flows: u32) -> u32 {
    (flows / 1024).max(1).next_power_of_two()
}

/// Cells in a row of the source counters.
#[must_use]
pub fn source_cells(flows: u32) -> u32 {
    (flows / 8).clamp(64, 1 << 20).next_power_of_two()
}

/// Rows of the source counters.
pub const SOURCE_ROWS: u32 = 2;
