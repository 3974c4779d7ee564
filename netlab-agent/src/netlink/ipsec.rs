//! IPsec's policies in the thread's namespace: what they cover leaves the host's stack encrypted, and must not pass by it.

use std::io;

use super::raw::RawSocket;
use crate::sys;

/// `XFRM_MSG_GETPOLICY`, and the length of the `struct xfrm_userpolicy_id` that it comes with.
const GET_POLICY: u16 = 0x15;
const POLICY_ID: usize = 64;
/// Where `struct xfrm_userpolicy_info` has the direction, and the values of those that packets on their way through meet:
/// `XFRM_POLICY_OUT` and `XFRM_POLICY_FWD`. Others are for what is for the host, or a socket's own.
const DIRECTION: usize = 160;
const OUT: u8 = 1;
const FORWARD: u8 = 2;

/// Whether a policy of IPsec looks at packets on their way through.
///
/// # Errors
/// What the kernel says; one without IPsec has no policy.
pub(super) fn has_policies() -> io::Result<bool> {
    let socket = match sys::netlink_socket(libc::NETLINK_XFRM) {
        Err(error) if error.raw_os_error() == Some(libc::EPROTONOSUPPORT) => return Ok(false),
        opened => RawSocket::from(opened?),
    };
    let policies = socket.list(GET_POLICY, &[0; POLICY_ID])?;
    Ok(policies.iter().any(|(_, policy)| matches!(policy.get(DIRECTION), Some(&(OUT | FORWARD)))))
}
