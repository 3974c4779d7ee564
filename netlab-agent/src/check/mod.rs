//! The lab's checks: one probe from one place, and whether it came out as the lab file wants.

mod ping;

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::lab::{Check, Expect, Probe};

/// How long a probe may take. Long enough for a neighbour to be found, short enough to wait for in vain.
const PATIENCE: Duration = Duration::from_secs(2);

/// Bytes of a page that are read at the most.
const PAGE: u64 = 1 << 20;

/// How a check came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the probe did as the lab file wants.
    pub passed: bool,
    /// What the probe saw, in a few words.
    pub detail: String,
    /// How long it took.
    pub took: Duration,
}

/// Tries a check from the network namespace that the calling thread is in.
pub fn try_one(check: &Check) -> Outcome {
    let start = Instant::now();
    let result = probe(&check.probe);
    let wanted = match check.expect {
        Expect::Pass => result.is_ok(),
        Expect::Fail => result.is_err(),
    };
    Outcome { passed: wanted, detail: result.unwrap_or_else(|why| why), took: start.elapsed() }
}

/// What was seen; an error is a probe that did not get through, in the same few words.
fn probe(probe: &Probe) -> Result<String, String> {
    match probe {
        Probe::Ping(to) => ping::ping(*to, PATIENCE).map_err(|error| error.to_string()),
        Probe::Tcp(to) => tcp(*to),
        Probe::Http { url, status } => http(url, *status),
    }
}

fn tcp(to: SocketAddr) -> Result<String, String> {
    match TcpStream::connect_timeout(&to, PATIENCE) {
        Ok(_) => Ok("connected".into()),
        Err(error) => Err(in_words(&error)),
    }
}

fn http(url: &str, wanted: u16) -> Result<String, String> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .build();
    match ureq::Agent::new_with_config(config).get(url).call() {
        Ok(mut answer) => {
            // Read to its end, so that the connection closes as a browser's would and not by a reset.
            let _ = answer.body_mut().with_config().limit(PAGE).read_to_vec();
            match answer.status().as_u16() {
                status if status == wanted => Ok(format!("status {wanted}")),
                status => Err(format!("status {status}, not {wanted}")),
            }
        }
        Err(ureq::Error::Io(error)) => Err(in_words(&error)),
        Err(ureq::Error::Timeout(_)) => Err("no answer".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// The system's error without its number.
fn in_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock => "no answer".into(),
        std::io::ErrorKind::ConnectionRefused => "connection refused".into(),
        std::io::ErrorKind::NetworkUnreachable => "network is unreachable".into(),
        std::io::ErrorKind::HostUnreachable => "host is unreachable".into(),
        _ => error.to_string(),
    }
}
