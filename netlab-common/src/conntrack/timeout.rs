//! Which timeout a flow has: from its protocol and state at each look-up, never stored in the flow.

use super::state;
use crate::abi::config::Timeout;
use crate::net::protocol;

/// The timeout of a flow of this protocol in this state.
#[inline(always)]
#[must_use]
pub const fn of(number: u8, bits: u32) -> Timeout {
    match number {
        protocol::TCP => {
            if bits & state::RESETS != 0 {
                Timeout::TcpReset
            } else if state::is_closing(bits) {
                Timeout::TcpClosed
            } else if bits & state::ESTABLISHED != 0 {
                Timeout::TcpEstablished
            } else {
                Timeout::TcpTransitory
            }
        }
        protocol::UDP | protocol::UDPLITE => {
            if bits & state::REPLIED != 0 {
                Timeout::Udp
            } else {
                Timeout::UdpUnreplied
            }
        }
        protocol::ICMP => Timeout::Icmp,
        _ => Timeout::Other,
    }
}
