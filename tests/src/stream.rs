//! A stream of numbered datagrams out and back, at a steady rate: whatever happens to the lab meanwhile, it can be said
//! how many were lost on either way.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::inside::{at, bind_udp};
use crate::machine::Machine;

/// Datagrams a second.
const RATE: u32 = 500;

/// How long an answer may take at the end.
const LATE: Duration = Duration::from_millis(500);

/// A client and a server.
pub struct Stream {
    client: UdpSocket,
    server: UdpSocket,
}

/// What became of a stream.
#[derive(Debug)]
pub struct Told {
    /// Datagrams that were sent.
    pub sent: u32,
    /// Those that arrived.
    pub arrived: usize,
    /// Those whose answer came back.
    pub answered: usize,
    /// Whom the server saw.
    pub seen: BTreeSet<SocketAddr>,
}

impl Told {
    /// Fails if any was lost, or did not come from the one whom the server had seen before.
    ///
    /// # Panics
    /// See above.
    pub fn is_whole(&self) {
        assert!(self.sent > 0, "{self:?}");
        assert_eq!((self.arrived, self.answered), (self.sent as usize, self.sent as usize), "{self:?}");
        assert_eq!(self.seen.len(), 1, "{self:?}");
    }
}

fn number(buffer: &[u8]) -> u32 {
    u32::from_be_bytes(buffer[..4].try_into().expect("four bytes"))
}

impl Stream {
    /// From a node's port to the world's 8.8.8.8.
    pub fn open(machine: &Machine, node: &str, from: SocketAddrV4, port: u16) -> Self {
        let (client, server) =
            (bind_udp(machine, node, from), bind_udp(machine, "internet", at("8.8.8.8", port)));
        for socket in [&client, &server] {
            socket.set_read_timeout(Some(Duration::from_millis(20))).expect("not zero");
        }
        Stream { client, server }
    }

    /// Streams while some work is done.
    ///
    /// # Panics
    /// When the work does.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> (T, Told) {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let server = scope.spawn(|| self.serve(&over));
            let hearing = scope.spawn(|| self.hear(&over));
            let sending = scope.spawn(|| self.send(&over));
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            over.store(true, Ordering::Relaxed);
            let sent = sending.join().expect("a sender only sends");
            let (arrived, seen) = server.join().expect("a server only serves");
            let answered = hearing.join().expect("a client only hears");
            let result = result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (result, Told { sent, arrived: arrived.len(), answered: answered.len(), seen })
        })
    }

    fn send(&self, over: &AtomicBool) -> u32 {
        let to = self.server.local_addr().expect("it is bound");
        let (begun, mut number) = (Instant::now(), 0u32);
        while !over.load(Ordering::Relaxed) {
            // Refusals of earlier datagrams are told here; each of them is counted by its absence.
            let _ = self.client.send_to(&number.to_be_bytes(), to);
            number += 1;
            thread::sleep(
                (begun + Duration::from_secs(1) * number / RATE).saturating_duration_since(Instant::now()),
            );
        }
        number
    }

    fn serve(&self, over: &AtomicBool) -> (BTreeSet<u32>, BTreeSet<SocketAddr>) {
        let (mut arrived, mut seen) = (BTreeSet::new(), BTreeSet::new());
        until_silence(&self.server, over, |buffer, from| {
            arrived.insert(number(buffer));
            seen.insert(from);
            let _ = self.server.send_to(buffer, from);
        });
        (arrived, seen)
    }

    fn hear(&self, over: &AtomicBool) -> BTreeSet<u32> {
        let mut answered = BTreeSet::new();
        until_silence(&self.client, over, |buffer, _| {
            answered.insert(number(buffer));
        });
        answered
    }
}

/// Takes what a socket hears, until all is over and nothing has come for a while.
fn until_silence(socket: &UdpSocket, over: &AtomicBool, mut take: impl FnMut(&[u8], SocketAddr)) {
    let (mut buffer, mut last) = ([0; 64], Instant::now());
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((len, from)) if len >= 4 => {
                last = Instant::now();
                take(&buffer[..len], from);
            }
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {}
            _ if over.load(Ordering::Relaxed) && last.elapsed() > LATE => return,
            _ => {}
        }
    }
}
