//! Requests and connections, one after another, each timed.

use std::io::{self, Read as _, Write as _};
use std::time::{Duration, Instant};

use super::super::packets::Tools;
use super::super::stats::quantile;
use super::server::Server;
use super::{ask, connect};

/// Requests that are not timed: the first ones wait for ARP, for caches and for the congestion window.
const WARM: usize = 200;

/// Requests per second, and their median and 99th percentile in seconds.
pub fn requests(tools: &Tools<'_>, server: &Server) -> io::Result<Vec<f64>> {
    let mut socket = connect(server.address(0))?;
    socket.write_all(&[ask::ECHO])?;
    let mut byte = [ask::ECHO];
    let mut once = || -> io::Result<()> {
        socket.write_all(&byte)?;
        socket.read_exact(&mut byte)
    };
    for _ in 0..WARM {
        once()?;
    }
    let length = Duration::from_secs_f64(tools.seconds);
    let mut times = Vec::with_capacity(1 << 16);
    let begun = Instant::now();
    let mut last = begun;
    while last - begun < length && !tools.interrupt.is_set() {
        once()?;
        let now = Instant::now();
        times.push((now - last).as_secs_f64());
        last = now;
    }
    let rate = times.len() as f64 / (last - begun).as_secs_f64();
    times.sort_unstable_by(f64::total_cmp);
    let at = |share| quantile(&times, share).unwrap_or(0.0);
    Ok(vec![rate, at(0.5), at(0.99)])
}

/// Connections per second. They go to the world's addresses in turn, so that no NAT runs out of ports for one.
pub fn connections(tools: &Tools<'_>, server: &Server) -> io::Result<f64> {
    let once = |number: usize| -> io::Result<()> {
        let mut socket = connect(server.address(number))?;
        let mut byte = [ask::ONCE];
        socket.write_all(&byte)?;
        socket.read_exact(&mut byte)
    };
    for number in 0..WARM / 4 {
        once(number)?;
    }
    let length = Duration::from_secs_f64(tools.seconds);
    let begun = Instant::now();
    let mut done = 0;
    while begun.elapsed() < length && !tools.interrupt.is_set() {
        once(done)?;
        done += 1;
    }
    Ok(done as f64 / begun.elapsed().as_secs_f64())
}
