//! What programs see: TCP streams, requests and connections between a client in earth and a server in the world.
//! Sockets belong to the namespace they were made in, so both are threads of the bench.

mod server;
mod transactions;

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::bed::Bed;
use super::cpu;
use super::error::{BenchError, Result};
use super::measure::Way;
use super::packets::{Outcome, Tools};
use server::Server;

/// What a client asks the server for, with the first byte of its connection.
mod ask {
    /// Read what comes, to its end.
    pub const TAKE: u8 = b't';
    /// Send without end.
    pub const GIVE: u8 = b'g';
    /// Send each byte back.
    pub const ECHO: u8 = b'e';
    /// Send one byte back, on a connection that is for that alone.
    pub const ONCE: u8 = b'o';
}

/// How long any one call on a socket may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes that a stream writes and reads at once.
const PIECE: usize = 128 << 10;

/// One TCP connection that carries as much as it can, in bits per second.
///
/// # Errors
/// When the bench itself fails; what the sockets do is in the outcome.
pub fn stream(tools: &Tools<'_>, bed: &Bed, way: Way) -> Result<Outcome> {
    bed.flush()?;
    let server = Server::start(bed, cpu::other())?;
    let length = Duration::from_secs_f64(tools.seconds);
    let counter = server.counter();
    let measured = inside(bed, cpu::MEASURED, || {
        let mut socket = connect(server.address(0))?;
        socket.write_all(&[if way == Way::Out { ask::TAKE } else { ask::GIVE }])?;
        let mut piece = vec![0u8; PIECE];
        let begun = Instant::now();
        let warm = length / 4;
        let (mut bytes, mut from) = (0u64, None);
        loop {
            let elapsed = begun.elapsed();
            if elapsed >= warm && from.is_none() {
                bytes = 0;
                from = Some((Instant::now(), counter.get()));
            }
            if elapsed >= warm + length || tools.interrupt.is_set() {
                break;
            }
            bytes += match way {
                Way::Out => socket.write(&piece)?,
                Way::In => socket.read(&mut piece)?,
            } as u64;
        }
        let (begun, received) = from.unwrap_or((begun, 0));
        // What was sent and has not arrived does not count.
        let bytes = if way == Way::Out { counter.get() - received } else { bytes };
        Ok(bytes as f64 * 8.0 / begun.elapsed().as_secs_f64())
    })?;
    tools.interrupt.check()?;
    if let Err(what) = server.judge() {
        return Ok(Err(what));
    }
    Ok(match measured {
        Ok(rate) if rate > 0.0 => Ok(vec![rate]),
        Ok(_) => Err("nothing of the stream arrived".into()),
        Err(error) => Err(format!("the stream broke: {error}")),
    })
}

/// Requests per second on one connection, with their median and 99th percentile in seconds.
///
/// # Errors
/// As above.
pub fn requests(tools: &Tools<'_>, bed: &Bed) -> Result<Outcome> {
    bed.flush()?;
    // Both ends on one CPU: what is measured is then the way, and not how a CPU that sleeps is woken.
    let server = Server::start(bed, cpu::MEASURED)?;
    let measured = inside(bed, cpu::MEASURED, || transactions::requests(tools, &server))?;
    tools.interrupt.check()?;
    Ok(server.judge().and_then(|()| measured.map_err(|error| format!("the requests broke: {error}"))))
}

/// Connections per second, each for one request.
///
/// # Errors
/// As above.
pub fn connections(tools: &Tools<'_>, bed: &Bed) -> Result<Outcome> {
    bed.flush()?;
    let server = Server::start(bed, cpu::MEASURED)?;
    let measured = inside(bed, cpu::MEASURED, || transactions::connections(tools, &server))?;
    tools.interrupt.check()?;
    let rate = measured.map(|rate| vec![rate]);
    Ok(server.judge().and_then(|()| rate.map_err(|error| format!("the connections broke: {error}"))))
}

/// Runs a client in earth, on a thread of its own.
fn inside<T: Send>(
    bed: &Bed,
    on: usize,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> Result<io::Result<T>> {
    let thread = || {
        cpu::claim(on);
        bed.earth.enter(work)
    };
    let joined = std::thread::scope(|scope| scope.spawn(thread).join());
    match joined {
        Ok(entered) => Ok(entered?),
        Err(_) => Err(BenchError::system("run a client")(io::Error::other("it panicked"))),
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}
