//! A flow's state as a set of bits that are only ever added, so that two CPUs which see its packets in
//! another order come to the same state. A fresh connection on the same tuple starts from [`initial`].

use crate::abi::flow::Direction;
use crate::net::tcp;
use crate::packet::Transport;

/// The answering side has been heard.
pub const REPLIED: u32 = 1 << 0;
/// TCP: the opening side's SYN was answered by a SYN.
pub const SYN_ANSWERED: u32 = 1 << 1;
/// TCP: the opening side acknowledged that answer; the connection is established.
pub const ESTABLISHED: u32 = 1 << 2;
/// TCP: the opening side has no more data.
pub const FIN_ORIGINAL: u32 = 1 << 3;
/// TCP: the answering side has no more data.
pub const FIN_REPLY: u32 = 1 << 4;
/// Both sides' ends.
pub const FINS: u32 = FIN_ORIGINAL | FIN_REPLY;
/// TCP: one side ended the connection at once.
pub const RESET: u32 = 1 << 5;

/// The state that the opening packet itself makes.
#[inline(always)]
#[must_use]
pub const fn initial() -> u32 {
    0
}

/// Whether a packet shows that the connection lives on after a reset, which then was a forgery or out of its
/// window.
#[inline(always)]
#[must_use]
pub fn outlives_reset(state: u32, transport: Transport) -> bool {
    state & RESET != 0
        && matches!(transport, Transport::Tcp(flags) if flags & (tcp::SYN | tcp::RST | tcp::ACK) == tcp::ACK)
}

/// The bits that a packet adds.
#[inline(always)]
#[must_use]
pub fn advance(state: u32, direction: Direction, transport: Transport) -> u32 {
    let replied = if matches!(direction, Direction::Reply) { REPLIED } else { 0 };
    let Transport::Tcp(flags) = transport else { return replied };
    if flags & tcp::RST != 0 {
        return replied | RESET;
    }
    let mut bits = replied;
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
    state & RESET != 0 || state & FINS == FINS
}

/// The state's name for users, in conntrack's words.
#[must_use]
pub const fn name(protocol: u8, state: u32) -> &'static str {
    if protocol != crate::net::protocol::TCP {
        return if state & REPLIED != 0 { "REPLIED" } else { "UNREPLIED" };
    }
    if state & RESET != 0 {
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
