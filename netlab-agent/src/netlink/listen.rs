//! Which ports have a listener: a `sock_diag` socket, bound to the namespace it was opened in. It asks for
//! listening sockets only, where `/proc/net/tcp` would walk the table of all connections of the machine.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

/// `SOCK_DIAG_BY_FAMILY` of `linux/sock_diag.h`.
const BY_FAMILY: u16 = 20;
/// Length of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Length of `struct inet_diag_req_v2`.
const REQUEST: usize = 56;
/// Offset of the source port in `struct inet_diag_msg`; it is in network order.
const SOURCE_PORT: usize = 4;
/// The state of a listening TCP socket, and of an unconnected UDP one.
const TCP_LISTEN: u32 = 10;
const UDP_UNCONNECTED: u32 = 7;

/// A socket that answers which ports have a listener in its namespace.
#[derive(Debug)]
pub struct ListenSocket(OwnedFd);

impl ListenSocket {
    /// Opens the socket in the namespace that the thread is in.
    pub fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkSockDiag)?;
        Ok(ListenSocket(socket))
    }

    /// Ports with a listening TCP socket, IPv4 and IPv6 together.
    pub fn tcp(&self) -> io::Result<Vec<u16>> {
        self.ports(libc::IPPROTO_TCP, TCP_LISTEN)
    }

    /// Ports with a bound, unconnected UDP socket, IPv4 and IPv6 together.
    pub fn udp(&self) -> io::Result<Vec<u16>> {
        self.ports(libc::IPPROTO_UDP, UDP_UNCONNECTED)
    }

    fn ports(&self, protocol: i32, state: u32) -> io::Result<Vec<u16>> {
        let mut ports = Vec::new();
        for family in [libc::AF_INET, libc::AF_INET6] {
            let request = request(family as u8, protocol as u8, 1 << state);
            send(self.0.as_raw_fd(), &request, MsgFlags::empty())?;
            let mut buffer = vec![0; 32 * 1024];
            loop {
                let length = recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
                if read_answer(&buffer[..length], &mut ports)? {
                    break;
                }
            }
        }
        Ok(ports)
    }
}

fn request(family: u8, protocol: u8, states: u32) -> [u8; HEADER + REQUEST] {
    let mut bytes = [0; HEADER + REQUEST];
    bytes[0..4].copy_from_slice(&((HEADER + REQUEST) as u32).to_ne_bytes());
    bytes[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
    bytes[6..8].copy_from_slice(&((libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16).to_ne_bytes());
    bytes[HEADER] = family;
    bytes[HEADER + 1] = protocol;
    bytes[HEADER + 4..HEADER + 8].copy_from_slice(&states.to_ne_bytes());
    bytes
}

/// Reads one datagram of answers; true when the dump is at its end.
fn read_answer(mut bytes: &[u8], ports: &mut Vec<u16>) -> io::Result<bool> {
    while let Some((header, _)) = bytes.split_first_chunk::<HEADER>() {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let kind = i32::from(u16::from_ne_bytes([header[4], header[5]]));
        let Some(body) = bytes.get(HEADER..length) else { return Err(truncated()) };
        if kind == libc::NLMSG_DONE {
            return Ok(true);
        }
        if kind == libc::NLMSG_ERROR {
            let code = body.first_chunk::<4>().ok_or_else(truncated)?;
            return Err(io::Error::from_raw_os_error(-i32::from_ne_bytes(*code)));
        }
        let port = body.get(SOURCE_PORT..SOURCE_PORT + 2).ok_or_else(truncated)?;
        ports.push(u16::from_be_bytes([port[0], port[1]]));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

fn truncated() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the kernel's list of sockets ends in the middle")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_socket_of_this_process_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(ListenSocket::open().unwrap().tcp().unwrap().contains(&port));
    }

    #[test]
    fn a_truncated_answer_is_an_error_and_not_an_endless_loop() {
        let mut bytes = request(2, 6, 0);
        bytes[0..4].copy_from_slice(&400u32.to_ne_bytes());
        assert!(read_answer(&bytes, &mut Vec::new()).is_err());
        bytes[0..4].copy_from_slice(&4u32.to_ne_bytes());
        assert!(read_answer(&bytes, &mut Vec::new()).is_err());
    }
}
