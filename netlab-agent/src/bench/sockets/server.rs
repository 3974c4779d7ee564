//! The server in the world: one thread, one connection after another, which ends with its value.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::super::bed::Bed;
use super::super::cpu;
use super::super::error::{BenchError, Result};
use super::{PATIENCE, PIECE, ask};

/// How often a server that waits looks whether it shall end.
const GLANCE: Duration = Duration::from_millis(20);

/// A server at work.
#[derive(Debug)]
pub struct Server {
    port: u16,
    counter: Counter,
    end: Arc<AtomicBool>,
    strange: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Bytes that a server has received.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// How many by now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Server {
    /// Starts a server on all of the world's addresses.
    ///
    /// # Errors
    /// When the system gives no socket or thread.
    pub fn start(bed: &Bed, on: usize) -> Result<Self> {
        let listen = || TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0));
        let listener = bed.world.enter(listen)?.map_err(BenchError::system("listen in the world"))?;
        let port = listener.local_addr().map_err(BenchError::system("listen in the world"))?.port();
        // On a listening socket this is how long `accept` waits.
        socket2::SockRef::from(&listener)
            .set_read_timeout(Some(GLANCE))
            .map_err(BenchError::system("limit a wait"))?;
        let (counter, end) = (Counter::default(), Arc::new(AtomicBool::new(false)));
        let strange = Arc::new(AtomicBool::new(false));
        let (bytes, ending, is_strange) = (counter.clone(), Arc::clone(&end), Arc::clone(&strange));
        let expected = IpAddr::from(bed.seen());
        let serve = move || {
            cpu::claim(on);
            while !ending.load(Ordering::Relaxed) {
                match listener.accept() {
                    // A client that goes away in the middle is the usual end of a measurement.
                    Ok((socket, peer)) => {
                        if peer.ip() != expected {
                            is_strange.store(true, Ordering::Relaxed);
                        }
                        drop(answer(socket, &bytes, &ending));
                    }
                    Err(error) if is_a_wait(&error) => {}
                    Err(_) => break,
                }
            }
        };
        let thread = thread::Builder::new().name("bench-server".into()).spawn(serve);
        let thread = Some(thread.map_err(BenchError::system("start a thread"))?);
        Ok(Server { port, counter, end, strange, thread })
    }

    /// Where it is, at one of the world's addresses.
    pub fn address(&self, number: usize) -> SocketAddr {
        (Bed::server(number), self.port).into()
    }

    /// Whether all that it was asked came from the address that it must come from; if not, the round does not count.
    ///
    /// # Errors
    /// With the reason, if it did not.
    pub fn judge(&self) -> std::result::Result<(), String> {
        if self.strange.load(Ordering::Relaxed) {
            Err("a connection came from a wrong address".into())
        } else {
            Ok(())
        }
    }

    /// What it receives.
    pub fn counter(&self) -> Counter {
        self.counter.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A server that panicked has nothing more to say; the client has seen its connection end.
            let _ = thread.join();
        }
    }
}

fn answer(mut socket: TcpStream, counter: &Counter, ending: &AtomicBool) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut asked = [0u8; 1];
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.read_exact(&mut asked)?;
    if asked[0] == ask::ONCE {
        socket.write_all(&asked)?;
        // The client closes first, as browsers do, and keeps the TIME_WAIT.
        return socket.read(&mut asked).map(drop);
    }
    let mut piece = vec![0u8; PIECE];
    socket.set_write_timeout(Some(PATIENCE))?;
    while !ending.load(Ordering::Relaxed) {
        match asked[0] {
            ask::TAKE => match socket.read(&mut piece)? {
                0 => break,
                read => {
                    counter.0.fetch_add(read as u64, Ordering::Relaxed);
                }
            },
            ask::GIVE => socket.write_all(&piece)?,
            ask::ECHO => match socket.read(&mut asked[..])? {
                0 => break,
                _ => {
                    socket.write_all(&asked)?;
                    asked[0] = ask::ECHO;
                }
            },
            _ => break,
        }
    }
    Ok(())
}

fn is_a_wait(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}
