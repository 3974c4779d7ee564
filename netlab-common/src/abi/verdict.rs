//! The verdicts: the one list of everything that can happen to a packet, with a name and a counter each.
//!
//! The command line, the tests and the documents read the names here. A packet gets exactly one verdict a
//! hook, so at each hook `received = forwarded + passed + dropped` (invariant 8).

use super::hook::Hook;

/// What a verdict means for the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Translated, and on its way.
    Forwarded,
    /// Left as it is, for the kernel's own stack or bridge.
    Passed,
    /// Ended here.
    Dropped,
}

impl Disposition {
    /// The word users see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Disposition::Forwarded => "forwarded",
            Disposition::Passed => "passed",
            Disposition::Dropped => "dropped",
        }
    }
}

macro_rules! verdicts {
    ($($(#[doc = $doc:literal])* $variant:ident = $number:literal, $name:literal, $disposition:ident;)*) => {
        /// Everything that can happen to a packet at a hook.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum Verdict { $($(#[doc = $doc])* $variant = $number,)* }

        impl Verdict {
            /// All verdicts, in the order of their numbers.
            pub const ALL: &'static [Verdict] = &[$(Verdict::$variant,)*];

            /// The name users and other tools see; stable.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Verdict::$variant => $name,)* }
            }

            /// One sentence on what happened, the same as in this file.
            #[must_use]
            pub const fn explain(self) -> &'static str {
                match self { $(Verdict::$variant => concat!($($doc),*),)* }
            }

            /// The verdict of a number; of one that is none's, the first.
            #[inline(always)]
            #[must_use]
            pub const fn from_number(number: u32) -> Verdict {
                match number { $($number => Verdict::$variant,)* _ => Verdict::ALL[0] }
            }

            /// What it means for the packet.
            #[inline(always)]
            #[must_use]
            pub const fn disposition(self) -> Disposition {
                match self { $(Verdict::$variant => Disposition::$disposition,)* }
            }
        }
    };
}

verdicts! {
    /// Belongs to a known flow and was translated.
    Established = 0, "established", Forwarded;
    /// Opened a flow and was translated.
    Created = 1, "created", Forwarded;
    /// Belongs to a flow that is translated at another hook.
    InFlow = 2, "in_flow", Passed;
    /// Concerns no rule and no flow.
    NoRule = 3, "no_rule", Passed;
    /// Is not IPv4: ARP, IPv6 and the like.
    NotIpv4 = 4, "not_ipv4", Passed;
    /// Meets a forward in mid-connection without a flow; the host's stack answers it.
    NoFlow = 5, "no_flow", Passed;
    /// Has a broken IPv4 header, and stays among the nodes.
    MalformedPassed = 6, "malformed_passed", Passed;
    /// Belongs to a flow of the host's own.
    HostFlow = 7, "host_flow", Passed;
    /// Comes from a node and would leave untranslated, because no masquerade covers its source.
    PrivateSource = 8, "private_source", Dropped;
    /// Comes from the world to a node's address without a flow.
    Unsolicited = 9, "unsolicited", Dropped;
    /// Comes from the world with a node's source address.
    SpoofedSource = 10, "spoofed_source", Dropped;
    /// Is a TCP segment in mid-connection for which there is no flow to masquerade it by.
    NotSyn = 11, "not_syn", Dropped;
    /// Is a later fragment from a node, and the first one of its datagram did not come or did not get through.
    Fragment = 12, "fragment", Dropped;
    /// Is from a node and of a kind that is not translated, such as an ICMP redirect, or DCCP.
    Unsupported = 13, "unsupported", Dropped;
    /// Has a broken IPv4 header on the uplink.
    Malformed = 14, "malformed", Dropped;
    /// Opens a flow, but every port of the range is in use to this remote.
    PortsExhausted = 15, "ports_exhausted", Dropped;
    /// Opens a flow, but the flow table is full of flows that may not be evicted.
    TableFull = 16, "table_full", Dropped;
    /// Opens a flow whose place is still held by one that is ending.
    FlowEnding = 17, "flow_ending", Dropped;
    /// Could not be rewritten: the kernel refused to make its headers writable.
    RewriteFailed = 18, "rewrite_failed", Dropped;
    /// Opens a flow, but its source holds as many as one may.
    SourceQuota = 19, "source_quota", Dropped;
    /// Meets a forward whose allow list does not have its source.
    NotAllowed = 20, "not_allowed", Dropped;
    /// Comes to a mapped endpoint from somebody whom its filtering keeps out.
    Filtered = 21, "filtered", Dropped;
    /// Is an ICMP error about a known flow, and was translated with what it quotes.
    Related = 22, "related", Forwarded;
    /// Is an ICMP error that is about no known flow.
    Unrelated = 23, "unrelated", Dropped;
    /// Is a fragment that waits for the first one of its datagram; it comes to the hook again after that one.
    FragmentWaits = 24, "fragment_waits", Dropped;
    /// Is of a protocol without ports to choose, and another flow has the external address to this remote.
    AddressConflict = 25, "address_conflict", Dropped;
    /// Is from a node and to a multicast or broadcast address beyond the uplink.
    NotUnicast = 26, "not_unicast", Dropped;
    /// Crosses the uplink with an IP option that says by which way.
    SourceRoute = 27, "source_route", Dropped;
    /// Is of a VLAN, and so not of the network that the interface itself is in.
    Tagged = 28, "tagged", Passed;
}

/// Counters a hook has: one for received packets, then one a verdict.
pub const COUNTERS_PER_HOOK: u32 = Verdict::ALL.len() as u32 + 1;

/// Length of the counter array.
pub const COUNTERS: u32 = COUNTERS_PER_HOOK * Hook::ALL.len() as u32;

/// Where a hook counts what it received.
#[inline(always)]
#[must_use]
pub const fn received_index(hook: Hook) -> u32 {
    hook as u32 * COUNTERS_PER_HOOK
}

/// Where a hook counts a verdict.
#[inline(always)]
#[must_use]
pub const fn verdict_index(hook: Hook, verdict: Verdict) -> u32 {
    hook as u32 * COUNTERS_PER_HOOK + 1 + verdict as u32
}

/// Packets and bytes, one such pair a CPU; written by the datapath, summed by the agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Count {
    /// Packets as they are on the wire: each segment of an aggregate counts.
    pub packets: u64,
    /// Bytes of the frames as the hook saw them.
    pub bytes: u64,
}

const _: () = assert!(size_of::<Count>() == 16, "a count is a 16-byte map value");
