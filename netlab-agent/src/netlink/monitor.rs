//! Hearing of changes to interfaces and IPv4 addresses in one namespace.

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
        let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr];
        let (connection, _, messages) = new_multicast_connection(&groups).map_err(NetlinkError::Open)?;
        Ok(Monitor { messages: messages.boxed(), connection: tokio::spawn(connection) })
    }

    /// Waits for a change; for ever once the socket is broken.
    pub async fn changed(&mut self) {
        if self.messages.next().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}
