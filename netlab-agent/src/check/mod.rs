//! The lab's checks: one probe from one place, and whether it came out as the lab file wants.

mod ping;

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::lab::{Check, Expect, Probe};

/// How long a probe may take. Long enough for a neighbour to be found, short enough to wait for in vain.
const PATIENCE: Duration = Duration::from_secs(2);

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
        Ok(answer) if answer.status().as_u16() == wanted => Ok(format!("status {wanted}")),
        Ok(answer) => Err(format!("status {}, not {wanted}", answer.status().as_u16())),
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
