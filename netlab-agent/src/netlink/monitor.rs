//! Hearing of changes to interfaces, IPv4 addresses, routes and neighbours in one namespace.

use futures_util::StreamExt as _;
use rtnetlink::packet_core::NetlinkMessage;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::sys::SocketAddr;
use rtnetlink::{MulticastGroup, new_multicast_connection};
use tokio::task::JoinHandle;

use super::NetlinkError;

/// A socket that hears of changes. Dropping it closes it.
pub struct Monitor {
    messages: futures_util::stream::BoxStream<'static, (NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>,
    connection: JoinHandle<()>,
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Monitor {
    /// Opens a socket in the namespace that the thread is in. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the kernel gives no socket.
    pub fn open() -> Result<Self, NetlinkError> {
        Self::of(&[MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr])
    }

    /// As [`Monitor::open`], of all that decides which way a packet goes.
    ///
    /// # Errors
    /// Likewise.
    pub fn of_ways() -> Result<Self, NetlinkError> {
        Self::of(&[
            MulticastGroup::Link,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv4Route,
            MulticastGroup::Ipv4Rule,
            MulticastGroup::Neigh,
            MulticastGroup::Tc,
        ])
    }

    fn of(groups: &[MulticastGroup]) -> Result<Self, NetlinkError> {
        let (connection, _, messages) = new_multicast_connection(groups).map_err(NetlinkError::Open)?;
        Ok(Monitor { messages: messages.boxed(), connection: tokio::spawn(connection) })
    }

    /// Takes what else has been said already: it is one change to who asks.
    pub fn drain(&mut self) {
        use futures_util::FutureExt as _;
        while let Some(Some(_)) = self.messages.next().now_or_never() {}
    }

    /// Waits for a change; for ever once the socket is broken.
    pub async fn changed(&mut self) {
        if self.messages.next().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}
