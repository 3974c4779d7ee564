//! How long a flow may be idle. Derived from its state at each look-up, never stored.

use super::state;
use crate::net::protocol;

const SECOND: u64 = 1_000_000_000;

/// TCP, established or closed by one side only: 2 h 4 min, the least that RFC 5382 REQ-5 allows.
pub const TCP_ESTABLISHED: u64 = 7_440 * SECOND;
/// TCP, being opened: 4 min, the least that RFC 5382 REQ-5 allows.
pub const TCP_TRANSITORY: u64 = 240 * SECOND;
/// TCP, closed by both sides: 2 min, as netfilter has it. No byte can be under way any longer than that, and
/// a SYN on the same tuple begins the flow anew at once.
pub const TCP_CLOSED: u64 = 120 * SECOND;
/// TCP, reset by one side: 1 min. Longer than netfilter's 10 s, because the reset's sequence number is not
/// checked, and a connection that lives on after all has this long to say so.
pub const TCP_RESET: u64 = 60 * SECOND;
/// UDP with traffic both ways: 5 min, as RFC 4787 REQ-5 recommends.
pub const UDP_REPLIED: u64 = 300 * SECOND;
/// UDP without an answer yet: 2 min, the least that RFC 4787 REQ-5 allows.
pub const UDP_UNREPLIED: u64 = 120 * SECOND;
/// ICMP queries: 1 min, the least that RFC 5508 REQ-2 allows.
pub const ICMP: u64 = 60 * SECOND;

/// Nanoseconds that a flow of this protocol in this state may be idle.
#[inline(always)]
#[must_use]
pub const fn of(number: u8, bits: u32) -> u64 {
    match number {
        protocol::TCP => {
            if bits & state::RESET != 0 {
                TCP_RESET
            } else if state::is_closing(bits) {
                TCP_CLOSED
            } else if bits & state::ESTABLISHED != 0 {
                TCP_ESTABLISHED
            } else {
                TCP_TRANSITORY
            }
        }
        protocol::UDP => {
            if bits & state::REPLIED != 0 {
                UDP_REPLIED
            } else {
                UDP_UNREPLIED
            }
        }
        _ => ICMP,
    }
}
