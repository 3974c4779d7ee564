//! A flow's state as a set of bits that packets only ever add, so that two CPUs which see its packets in
//! another order come to the same state. A connection that begins anew on the same tuple, or that outlives a
//! reset, takes bits back.

use crate::abi::flow::Direction;
use crate::net::{protocol, tcp};
use crate::packet::{Segment, Transport};

/// The answering side has been heard.
pub const REPLIED: u32 = 1 << 0;
/// TCP: the opening side's SYN was answered by a SYN, with or without an acknowledgement (simultaneous open).
pub const SYN_ANSWERED: u32 = 1 << 1;
/// TCP: the opening side acknowledged that answer; the connection is established.
pub const ESTABLISHED: u32 = 1 << 2;
/// TCP: the opening side has no more data.
pub const FIN_ORIGINAL: u32 = 1 << 3;
/// TCP: the answering side has no more data.
pub const FIN_REPLY: u32 = 1 << 4;
/// Both sides' ends.
pub const FINS: u32 = FIN_ORIGINAL | FIN_REPLY;
/// TCP: the opening side ended the connection at once.
pub const RESET_ORIGINAL: u32 = 1 << 5;
/// TCP: the answering side did.
pub const RESET_REPLY: u32 = 1 << 6;
/// Either.
pub const RESETS: u32 = RESET_ORIGINAL | RESET_REPLY;
/// TCP: the opening side's sequence numbers are known.
pub const SEQUENCE_ORIGINAL: u32 = 1 << 7;
/// TCP: the answering side's are.
pub const SEQUENCE_REPLY: u32 = 1 << 8;
/// TCP: the flow was taken up in the middle; its beginning was not seen.
pub const PICKED_UP: u32 = 1 << 9;
/// The flow's bit in the port bitmap is its own, and goes back with it.
pub const OWNS_PORT: u32 = 1 << 16;

/// What a connection that begins anew forgets.
pub const OF_CONNECTION: u32 =
    REPLIED | SYN_ANSWERED | ESTABLISHED | FINS | RESETS | SEQUENCE_ORIGINAL | SEQUENCE_REPLY | PICKED_UP;

/// The reset bit of a direction.
#[inline(always)]
#[must_use]
pub const fn reset_of(direction: Direction) -> u32 {
    match direction {
        Direction::Original => RESET_ORIGINAL,
        Direction::Reply => RESET_REPLY,
    }
}

/// The bit that says that a direction's sequence numbers are known.
#[inline(always)]
#[must_use]
pub const fn sequence_of(direction: Direction) -> u32 {
    match direction {
        Direction::Original => SEQUENCE_ORIGINAL,
        Direction::Reply => SEQUENCE_REPLY,
    }
}

/// Whether a packet shows that the connection lives on after a reset, which then was a forgery that happened
/// to look right (RFC 6146, section 3.5.2.2: from TRANS back to ESTABLISHED). Only the side that is said to
/// have sent the reset can show that: the other side's segments may have been under way.
#[inline(always)]
#[must_use]
pub fn outlives_reset(state: u32, direction: Direction, transport: Transport) -> bool {
    state & reset_of(direction) != 0
        && matches!(transport, Transport::Tcp(flags) if flags & (tcp::SYN | tcp::RST | tcp::ACK) == tcp::ACK)
}

/// What is known of a TCP connection's numbers when a reset comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The end of what the resetting side has sent, where its numbers are known.
    pub end: Option<u32>,
    /// What the other side has acknowledged of it, if anything.
    pub acknowledged: Option<u32>,
    /// The end of what the other side has sent.
    pub other_end: Option<u32>,
}

/// Whether a reset is to be believed: its sequence number lies between what the other side has acknowledged
/// and the end of what this side has sent (RFC 5961, section 3.2: the receiver takes none but the next
/// expected number), or it acknowledges a SYN that nobody else has answered.
#[inline(always)]
#[must_use]
pub fn is_plausible_reset(segment: &Segment, flags: u8, expected: &Expected) -> bool {
    match (expected.acknowledged, expected.end) {
        // In the order of serial numbers (RFC 1982): acknowledged <= sequence <= end.
        (Some(acknowledged), Some(end)) => {
            segment.sequence.wrapping_sub(acknowledged) as i32 >= 0
                && end.wrapping_sub(segment.sequence) as i32 >= 0
        }
        (Some(acknowledged), None) => segment.sequence == acknowledged,
        (None, Some(end)) => segment.sequence == end,
        // Nothing came from this side yet: it refuses the other's SYN. Where not even that was seen, nothing
        // speaks against the reset.
        (None, None) => match expected.other_end {
            Some(end) => flags & tcp::ACK != 0 && segment.ack == end,
            None => true,
        },
    }
}

/// The bits that a packet adds. `reset_is_plausible` counts for resets only.
#[inline(always)]
#[must_use]
pub fn advance(state: u32, direction: Direction, transport: Transport, reset_is_plausible: bool) -> u32 {
    let replied = if matches!(direction, Direction::Reply) { REPLIED } else { 0 };
    let Transport::Tcp(flags) = transport else { return replied };
    if flags & tcp::RST != 0 {
        // A reset that is not believed does not even show that the other side is there.
        return if reset_is_plausible { replied | reset_of(direction) } else { 0 };
    }
    let mut bits = replied | sequence_of(direction);
    match direction {
        Direction::Original => {
            if flags & tcp::ACK != 0 && state & SYN_ANSWERED != 0 {
                bits |= ESTABLISHED;
            }
            if flags & tcp::FIN != 0 {
                bits |= FIN_ORIGINAL;
            }
        }
        Direction::Reply => {
            if flags & tcp::SYN != 0 {
                bits |= SYN_ANSWERED;
            }
            // Of a connection that was taken up in the middle there is no handshake left to see.
            if state & PICKED_UP != 0 {
                bits |= SYN_ANSWERED | ESTABLISHED;
            }
            if flags & tcp::FIN != 0 {
                bits |= FIN_REPLY;
            }
        }
    }
    bits
}

/// Whether a TCP connection is over or about to be.
#[inline(always)]
#[must_use]
pub const fn is_closing(state: u32) -> bool {
    state & RESETS != 0 || state & FINS == FINS
}

/// Whether both sides have shown that they mean it. Such a flow is never evicted while it lives; one that is
/// closing or has not come that far may make room for another.
#[inline(always)]
#[must_use]
pub const fn is_assured(number: u8, state: u32) -> bool {
    if number == protocol::TCP {
        state & ESTABLISHED != 0 && !is_closing(state)
    } else {
        state & REPLIED != 0
    }
}

/// The states' names for users, in conntrack's words.
pub const NAMES: [&str; 9] = [
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "TIME_WAIT",
    "CLOSE",
    "UNREPLIED",
    "REPLIED",
    "MAPPING",
];

/// The state's name, one of [`NAMES`].
#[must_use]
pub const fn name(number: u8, state: u32) -> &'static str {
    if number != protocol::TCP {
        return if state & REPLIED != 0 { "REPLIED" } else { "UNREPLIED" };
    }
    if state & RESETS != 0 {
        "CLOSE"
    } else if is_closing(state) {
        "TIME_WAIT"
    } else if state & FINS != 0 {
        "FIN_WAIT"
    } else if state & ESTABLISHED != 0 {
        "ESTABLISHED"
    } else if state & SYN_ANSWERED != 0 {
        "SYN_RECV"
    } else {
        "SYN_SENT"
    }
}
