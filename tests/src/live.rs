//! Connections that live through an attack: they talk all the time, and every word must be answered.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddrV4, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::inside::{dial, patient, serve_tcp};
use crate::machine::Machine;

/// Many connections from a node to a server in another that sends back whatever comes.
pub struct Live {
    streams: Vec<TcpStream>,
    served: Arc<AtomicU64>,
    _server: JoinHandle<()>,
}

/// Says a word on a connection, and hears it back.
///
/// # Errors
/// When it does not come back in time.
pub fn speak(mut stream: &TcpStream, word: u32) -> io::Result<()> {
    let mut back = [0; 4];
    stream.write_all(&word.to_be_bytes())?;
    stream.read_exact(&mut back)?;
    if back != word.to_be_bytes() {
        return Err(io::Error::other("another word came back"));
    }
    Ok(())
}

/// Sends back whatever comes on each connection to a server, one thread for all; until the test is over.
fn echo(server: &TcpListener, served: &AtomicU64) {
    let mut streams: Vec<TcpStream> = Vec::new();
    let mut buffer = [0u8; 4096];
    server.set_nonblocking(true).expect("a socket");
    loop {
        while let Ok((stream, _)) = server.accept() {
            stream.set_nonblocking(true).expect("a socket");
            stream.set_nodelay(true).expect("a socket");
            streams.push(stream);
        }
        let mut idle = true;
        streams.retain_mut(|stream| match stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(len) => {
                idle = false;
                served.fetch_add(1, Ordering::Relaxed);
                stream.write_all(&buffer[..len]).is_ok()
            }
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        });
        if idle {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Starts a server that sends back whatever comes; it ends with the test.
pub fn echo_server(machine: &Machine, node: &str, at: SocketAddrV4) -> JoinHandle<()> {
    let server = serve_tcp(machine, node, at);
    thread::spawn(move || echo(&server, &AtomicU64::new(0)))
}

impl Live {
    /// Opens so many connections, from the ports 20000 on.
    ///
    /// # Panics
    /// When one is not made.
    pub fn open(machine: &Machine, from: (&str, &str), to: (&str, SocketAddrV4), number: u16) -> Self {
        let server = serve_tcp(machine, to.0, to.1);
        let served = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&served);
        let server = thread::spawn(move || echo(&server, &count));
        let address = from.1.parse().expect("an address");
        let streams = (0..number)
            .map(|number| {
                let stream = dial(machine, from.0, (address, 20_000 + number), to.1)
                    .unwrap_or_else(|error| panic!("connection {number}: {error}"));
                stream.set_nodelay(true).expect("a socket");
                patient(&stream);
                stream
            })
            .collect();
        let live = Live { streams, served, _server: server };
        live.all_speak(0);
        live
    }

    /// One word on each connection.
    ///
    /// # Panics
    /// When one does not come back.
    pub fn all_speak(&self, word: u32) {
        for (number, stream) in self.streams.iter().enumerate() {
            speak(stream, word).unwrap_or_else(|error| panic!("connection {number} is lost: {error}"));
        }
    }

    /// Does something while the connections go on to speak; gives what came of it, and how many words were said.
    pub fn while_they_speak<T>(&self, work: impl FnOnce() -> T) -> (T, u64) {
        let over = AtomicBool::new(false);
        let before = self.served.load(Ordering::Relaxed);
        let result = thread::scope(|scope| {
            let speaking = scope.spawn(|| {
                let mut word = 1;
                while !over.load(Ordering::Relaxed) {
                    self.all_speak(word);
                    word += 1;
                    thread::sleep(Duration::from_millis(1));
                }
            });
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            over.store(true, Ordering::Relaxed);
            speaking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        self.all_speak(u32::MAX);
        (result, self.served.load(Ordering::Relaxed) - before)
    }
}
