//! Work inside a machine's nodes, from the test's own process: what a thread opens there, sockets above all,
//! belongs to the node for as long as it lives. For many connections at once this is what a script cannot do.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket};
use nix::sys::socket::{Backlog, listen, sockopt::ReuseAddr};
use nix::unistd::Pid;

use crate::machine::Machine;
use crate::need;

/// How long a test's socket waits for its peer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Does some work in a node's network namespace, on a thread that ends with it.
///
/// # Panics
/// When there is no such node, and when the work does.
pub fn inside<T: Send>(machine: &Machine, node: &str, work: impl FnOnce() -> T + Send) -> T {
    let path = machine.root().join("run/netns").join(node);
    let namespace = File::open(&path).unwrap_or_else(|error| panic!("no node {node}: {error}"));
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            setns(&namespace, CloneFlags::CLONE_NEWNET).expect("root may enter the namespaces it made");
            work()
        });
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Keeps the calling thread on one of the machine's CPUs.
pub fn stay_on_cpu(number: usize) {
    let mut cpus = CpuSet::new();
    // Where there is no such CPU the thread stays where it is; then the test is as parallel as can be.
    let _ = cpus.set(number % cpus_there()).and_then(|()| sched_setaffinity(Pid::from_raw(0), &cpus));
}

/// How many CPUs there are.
pub fn cpus_there() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// A TCP connection from a port of a node's; the address is any of the node's.
///
/// # Errors
/// When nobody answers.
pub fn dial(
    machine: &Machine,
    node: &str,
    from: (Ipv4Addr, u16),
    to: SocketAddrV4,
) -> nix::Result<TcpStream> {
    inside(machine, node, || {
        let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        setsockopt(&fd, ReuseAddr, &true)?;
        bind(fd.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(from.0, from.1)))?;
        let stream = TcpStream::from(fd);
        patient(&stream);
        connect(stream.as_raw_fd(), &SockaddrIn::from(to))?;
        Ok(stream)
    })
}

/// Gives a connection's reader and writer the patience of a test, and no more.
///
/// # Panics
/// Never: the times are not zero.
pub fn patient(stream: &TcpStream) {
    stream.set_read_timeout(Some(need::patient(PATIENCE))).expect("not zero");
    stream.set_write_timeout(Some(need::patient(PATIENCE))).expect("not zero");
}

/// A node's TCP server, with room for many connections that are not accepted yet.
///
/// # Panics
/// When the port is taken.
pub fn serve_tcp(machine: &Machine, node: &str, at: SocketAddrV4) -> TcpListener {
    inside(machine, node, || {
        let fd =
            socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
        setsockopt(&fd, ReuseAddr, &true).expect("a flag");
        bind(fd.as_raw_fd(), &SockaddrIn::from(at)).unwrap_or_else(|error| panic!("{at}: {error}"));
        listen(&fd, Backlog::new(4096).expect("a backlog")).expect("it is bound");
        TcpListener::from(fd)
    })
}

/// A node's UDP socket.
///
/// # Panics
/// When the port is taken.
pub fn bind_udp(machine: &Machine, node: &str, at: SocketAddrV4) -> UdpSocket {
    inside(machine, node, || {
        let socket = UdpSocket::bind(at).unwrap_or_else(|error| panic!("{at}: {error}"));
        socket.set_read_timeout(Some(need::patient(PATIENCE))).expect("not zero");
        socket
    })
}

/// An address with a port, for short.
///
/// # Panics
/// When the text is no address.
pub fn at(address: &str, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(address.parse().unwrap_or_else(|_| panic!("{address} is no address")), port)
}
