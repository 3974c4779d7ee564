//! The queueing disciplines at the roots of a namespace's interfaces: through them goes what leaves by an interface,
//! unless it is put right into the namespace at the other end.

use std::io;

use nix::sys::socket::SockProtocol;

use super::raw::{RawSocket, attribute, text};

/// Length of `struct tcmsg`, and where in it the interface and the parent are.
const HEADER: usize = 20;
const INTERFACE: usize = 4;
const PARENT: usize = 12;
/// The parent of what has none.
const ROOT: u32 = u32::MAX;
/// `TCA_KIND`.
const KIND: u16 = 1;

/// For each interface of the thread's namespace the kind of its root qdisc.
///
/// # Errors
/// What the kernel says.
pub fn roots() -> io::Result<Vec<(u32, String)>> {
    let socket = RawSocket::open(SockProtocol::NetlinkRoute)?;
    let answers = socket.list(libc::RTM_GETQDISC, &[0; HEADER])?;
    Ok(answers.iter().filter_map(|(_, body)| root(body)).collect())
}

fn root(body: &[u8]) -> Option<(u32, String)> {
    let word = |at: usize| body.get(at..at + 4).and_then(super::raw::number);
    let kind = attribute(body.get(HEADER..)?, KIND)?;
    (word(PARENT)? == ROOT).then_some((word(INTERFACE)?, text(kind)))
}
