//! Requests to the kernel's routing netlink: one socket bound to one namespace, and verbs over it. It knows
//! interfaces, addresses and routes, but no lab; and it never reads back what a caller does not need.

mod address;
pub mod captures;
pub mod device;
mod filter;
pub mod firewall;
mod ipsec;
mod link;
mod listen;
mod monitor;
mod neighbours;
mod raw;
mod route;

use std::io;

use futures_util::StreamExt;
use nix::errno::Errno;
use rtnetlink::Handle;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use thiserror::Error;
use tokio::task::JoinHandle;

use crate::error::{Explain, Kind};

pub use address::InterfaceAddress;
pub use filter::{Filter, FilterSocket, Side};
pub use link::{Link, LinkChange, NewBridge, Peer, VethEnd};
pub use listen::ListenSocket;
pub use monitor::Monitor;
pub use route::{NewRoute, RouteEntry};

/// Why a request failed.
#[derive(Debug, Error)]
pub enum NetlinkError {
    /// The kernel refused the request.
    #[error("{}", sentence(*.0))]
    Refused(Errno),
    /// No socket.
    #[error("cannot open a netlink socket")]
    Open(#[source] io::Error),
    /// The socket broke, or the kernel dropped an answer.
    #[error("the kernel's answer was lost")]
    Lost,
}

impl Explain for NetlinkError {
    fn kind(&self) -> Kind {
        if self.is(Errno::EPERM) || self.is(Errno::EACCES) { Kind::Privilege } else { Kind::Failed }
    }
}

impl NetlinkError {
    /// Whether the kernel refused the request with this error.
    pub fn is(&self, errno: Errno) -> bool {
        matches!(self, NetlinkError::Refused(actual) if *actual == errno)
    }
}

/// What the kernel's refusal means to a person.
fn sentence(errno: Errno) -> String {
    let text = match errno {
        Errno::EEXIST => "it exists already",
        Errno::EPERM | Errno::EACCES => "the kernel does not permit it: CAP_NET_ADMIN is missing there",
        Errno::ENODEV => "there is no such interface",
        Errno::ESRCH | Errno::ENOENT => "there is no such object",
        Errno::EBUSY => "it is in use",
        Errno::EOPNOTSUPP => "this kernel does not support it; a module may be missing",
        Errno::ENETUNREACH | Errno::EHOSTUNREACH => "the next hop is on none of the stack's networks",
        Errno::ENETDOWN => "the interface is down",
        Errno::EADDRNOTAVAIL => "the address cannot be used there",
        Errno::EINVAL => "the kernel finds the values invalid",
        Errno::ENOMEM | Errno::ENOBUFS => "the kernel has no memory left for it",
        other => return format!("the kernel refused it: {}", other.desc()),
    };
    text.to_owned()
}

/// A request socket. Dropping it closes it: what was queued and not yet sent is never sent.
#[derive(Debug)]
pub struct Netlink {
    handle: Handle,
    connection: JoinHandle<()>,
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Netlink {
    /// Opens a socket in the namespace that the thread is in, and stays bound to it wherever the thread
    /// goes. Must be called inside a tokio runtime.
    pub fn open() -> Result<Self, NetlinkError> {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(NetlinkError::Open)?;
        Ok(Netlink { handle, connection: tokio::spawn(connection) })
    }

    /// Sends a request and waits for the kernel's yes or no.
    async fn change(&self, message: RouteNetlinkMessage, flags: u16) -> Result<(), NetlinkError> {
        self.exchange(message, NLM_F_REQUEST | NLM_F_ACK | flags, drop).await
    }

    /// Like `change`, for an object that must not exist yet.
    async fn create(&self, message: RouteNetlinkMessage) -> Result<(), NetlinkError> {
        self.change(message, NLM_F_CREATE | NLM_F_EXCL).await
    }

    /// Asks for one object.
    async fn get(
        &self,
        message: RouteNetlinkMessage,
        each: impl FnMut(RouteNetlinkMessage),
    ) -> Result<(), NetlinkError> {
        self.exchange(message, NLM_F_REQUEST | NLM_F_ACK, each).await
    }

    /// Asks for all objects of a kind and hands each to `each`.
    async fn dump(
        &self,
        message: RouteNetlinkMessage,
        each: impl FnMut(RouteNetlinkMessage),
    ) -> Result<(), NetlinkError> {
        self.exchange(message, NLM_F_REQUEST | NLM_F_DUMP, each).await
    }

    async fn exchange(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
        mut each: impl FnMut(RouteNetlinkMessage),
    ) -> Result<(), NetlinkError> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = flags;
        let mut handle = self.handle.clone();
        let mut answers = handle.request(request).map_err(|_| NetlinkError::Lost)?;
        // The stream ends after the acknowledgement or the last part of a dump, both of which the crate
        // keeps to itself; a socket that broke also ends it, so that is asked last.
        while let Some(answer) = answers.next().await {
            match answer.payload {
                NetlinkPayload::InnerMessage(message) => each(message),
                NetlinkPayload::Error(error) => {
                    if let Some(code) = error.code {
                        return Err(NetlinkError::Refused(Errno::from_raw(code.get().saturating_neg())));
                    }
                }
                NetlinkPayload::Overrun(_) => return Err(NetlinkError::Lost),
                _ => {}
            }
        }
        if self.connection.is_finished() { Err(NetlinkError::Lost) } else { Ok(()) }
    }
}
