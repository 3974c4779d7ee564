//! One ICMP echo over a raw socket (RFC 792).

use std::io::{self, ErrorKind, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use netlab_common::net::{checksum, icmp, protocol};
use socket2::{Domain, Protocol, Socket, Type};

/// Requests that this process has sent.
static SENT: AtomicU16 = AtomicU16::new(0);

/// Sends one echo request and waits for its reply; what was seen, in words.
///
/// # Errors
/// The system's refusal, an ICMP error that came back, or `TimedOut`.
pub fn ping(to: IpAddr, patience: Duration) -> io::Result<String> {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
    // The identifier tells the replies to this request from those to any other of this process.
    let identifier =
        (std::process::id() as u16).wrapping_add(SENT.fetch_add(1, Ordering::Relaxed)).to_be_bytes();
    let mut request = [0u8; icmp::LEN + 8];
    request[0] = icmp::ECHO_REQUEST;
    request[icmp::IDENTIFIER..icmp::IDENTIFIER + 2].copy_from_slice(&identifier);
    request[icmp::IDENTIFIER + 3] = 1;
    let sum = checksum::whole(0, &request);
    request[icmp::CHECKSUM..icmp::CHECKSUM + 2].copy_from_slice(&sum);

    let start = Instant::now();
    socket.send_to(&request, &SocketAddr::new(to, 0).into()).map_err(readable)?;
    let mut buffer = [0u8; 2048];
    loop {
        let left = patience.checked_sub(start.elapsed()).filter(|left| !left.is_zero());
        socket.set_read_timeout(Some(left.ok_or_else(no_answer)?))?;
        let length = match (&socket).read(&mut buffer) {
            Ok(length) => length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err(no_answer());
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(readable(error)),
        };
        match judge(&buffer[..length], identifier) {
            Some(Ok(())) => {
                let millis = start.elapsed().as_secs_f64() * 1000.0;
                return Ok(format!("reply in {millis:.2} ms"));
            }
            Some(Err(kind)) => return Err(io::Error::other(kind)),
            None => {}
        }
    }
}

/// Whether a received packet answers the request: with a reply, or with an ICMP error that quotes it.
fn judge(packet: &[u8], identifier: [u8; 2]) -> Option<Result<(), &'static str>> {
    let message = packet.get(usize::from(packet.first()? & 0x0f) * 4..)?;
    let has_identifier =
        |echo: &[u8]| echo.get(icmp::IDENTIFIER..icmp::IDENTIFIER + 2) == Some(&identifier[..]);
    match message.first()? {
        &icmp::ECHO_REPLY => has_identifier(message).then_some(Ok(())),
        kind @ (3 | 11) => {
            let quoted = message.get(icmp::LEN..)?;
            let quoted_header = usize::from(quoted.first()? & 0x0f) * 4;
            let ours = quoted.get(9) == Some(&protocol::ICMP) && has_identifier(quoted.get(quoted_header..)?);
            ours.then_some(Err(match (kind, message.get(1)) {
                (3, Some(0)) => "network is unreachable",
                (3, Some(1)) => "host is unreachable",
                (3, _) => "destination is unreachable",
                _ => "time to live exceeded",
            }))
        }
        _ => None,
    }
}

fn no_answer() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "no answer")
}

/// The system's error without its number.
fn readable(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::NetworkUnreachable => {
            io::Error::new(ErrorKind::NetworkUnreachable, "network is unreachable")
        }
        ErrorKind::HostUnreachable => io::Error::new(ErrorKind::HostUnreachable, "host is unreachable"),
        _ => error,
    }
}
