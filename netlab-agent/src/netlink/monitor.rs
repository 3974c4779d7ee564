//! Hearing of changes to interfaces, IPv4 addresses, routes and neighbours in one namespace.

use futures_util::StreamExt as _;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::sys::SocketAddr;
use rtnetlink::{MulticastGroup, new_multicast_connection};
use tokio::task::JoinHandle;

use super::NetlinkError;
use super::neighbours::Neighbours;

/// A socket that hears of changes. Dropping it closes it.
pub struct Monitor {
    messages: futures_util::stream::BoxStream<'static, (NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>,
    connection: JoinHandle<()>,
    neighbours: Neighbours,
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
        let connection = tokio::spawn(connection);
        Ok(Monitor { messages: messages.boxed(), connection, neighbours: Neighbours::default() })
    }

    /// Takes what else has been said already: it is one change to who asks.
    pub fn drain(&mut self) {
        use futures_util::FutureExt as _;
        while let Some(Some((message, _))) = self.messages.next().now_or_never() {
            self.is_news(&message);
        }
    }

    /// Waits for a change; for ever once the socket is broken.
    pub async fn changed(&mut self) {
        loop {
            match self.messages.next().await {
                Some((message, _)) if self.is_news(&message) => return,
                Some(_) => {}
                None => std::future::pending::<()>().await,
            }
        }
    }

    /// Whether a message tells of a change. One that cannot be understood may.
    fn is_news(&mut self, message: &NetlinkMessage<RouteNetlinkMessage>) -> bool {
        match &message.payload {
            NetlinkPayload::InnerMessage(message) => self.neighbours.is_news(message),
            _ => true,
        }
    }
}
