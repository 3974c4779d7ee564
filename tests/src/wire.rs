//! A machine's wires by packet socket: whole frames out, and whatever comes in. It sends for any address and port,
//! which no other socket does, and loses nothing on the way in without saying so.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::libc;

use crate::inside::inside;
use crate::machine::Machine;
use crate::segment::{Seen, seen};

/// Frames that one system call sends.
const BATCH: usize = 32;

/// Bytes that an ear's socket may hold: what a test sends in a burst.
const ROOM: libc::c_int = 512 << 20;

/// A packet socket on one of a node's interfaces.
#[derive(Debug)]
pub struct Wire(OwnedFd);

fn check(result: libc::c_int, what: &str) -> libc::c_int {
    assert!(result >= 0, "{what}: {}", io::Error::last_os_error());
    result
}

impl Wire {
    /// A socket to send from; it hears nothing.
    pub fn open(machine: &Machine, node: &str, interface: &str) -> Self {
        Self::open_for(machine, node, interface, 0)
    }

    /// A socket that hears every frame that comes in, whatever it carries, and does not wait for any.
    pub fn open_to_all(machine: &Machine, node: &str, interface: &str) -> Self {
        Self::open_for(machine, node, interface, libc::ETH_P_ALL as u16)
    }

    fn open_for(machine: &Machine, node: &str, interface: &str, ethertype: u16) -> Self {
        inside(machine, node, || {
            let index = nix::net::if_::if_nametoindex(interface)
                .unwrap_or_else(|error| panic!("no interface {interface} in {node}: {error}"));
            // SAFETY: the call takes numbers; what it gives is nobody else's descriptor.
            let wire = unsafe {
                let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
                Wire(OwnedFd::from_raw_fd(check(fd, "a packet socket")))
            };
            wire.set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, ROOM);
            wire.set(libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1);
            // SAFETY: zero is a value of every field.
            let mut address: libc::sockaddr_ll = unsafe { zeroed() };
            address.sll_family = libc::AF_PACKET as u16;
            address.sll_protocol = ethertype.to_be();
            address.sll_ifindex = index as i32;
            let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            // SAFETY: the address is whole, and lives until the call is over.
            let bound = unsafe { libc::bind(wire.0.as_raw_fd(), (&raw const address).cast(), len) };
            check(bound, "binding to the interface");
            wire
        })
    }

    fn set(&self, level: libc::c_int, option: libc::c_int, value: libc::c_int) {
        let len = size_of::<libc::c_int>() as libc::socklen_t;
        // SAFETY: the option's value is one number, which lives until the call is over.
        let set =
            unsafe { libc::setsockopt(self.0.as_raw_fd(), level, option, (&raw const value).cast(), len) };
        check(set, "an option of a packet socket");
    }

    /// Sends frames, in their order, as fast as the kernel takes them.
    ///
    /// # Panics
    /// When the kernel refuses one.
    pub fn send(&self, frames: &[Vec<u8>]) {
        for batch in frames.chunks(BATCH) {
            let mut parts: Vec<libc::iovec> = batch
                .iter()
                .map(|frame| libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() })
                .collect();
            let mut messages: Vec<libc::mmsghdr> = parts
                .iter_mut()
                .map(|part| {
                    // SAFETY: zero is a value of every field.
                    let mut message: libc::mmsghdr = unsafe { zeroed() };
                    message.msg_hdr.msg_iov = part;
                    message.msg_hdr.msg_iovlen = 1;
                    message
                })
                .collect();
            let mut done = 0;
            while done < messages.len() {
                let rest = &mut messages[done..];
                // SAFETY: each message points to one part, and that to a frame; all live until the call is over,
                // and a sender only reads them.
                let sent =
                    unsafe { libc::sendmmsg(self.0.as_raw_fd(), rest.as_mut_ptr(), rest.len() as u32, 0) };
                done += check(sent, "sending frames") as usize;
            }
        }
    }

    /// The next frame, or nothing for a while.
    fn next(&self, buffer: &mut [u8], patience: Duration) -> Option<usize> {
        let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one descriptor, which lives until the call is over.
        if unsafe { libc::poll(&raw mut poll, 1, patience.as_millis() as libc::c_int) } <= 0 {
            return None;
        }
        self.take(buffer)
    }

    /// The next frame that has come in already.
    pub fn take(&self, buffer: &mut [u8]) -> Option<usize> {
        // SAFETY: the buffer is as long as it says, and lives until the call is over.
        let got = unsafe {
            libc::recvfrom(
                self.0.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                libc::MSG_DONTWAIT,
                null_mut(),
                null_mut(),
            )
        };
        usize::try_from(got).ok()
    }

    /// Packets that there was no room for.
    fn lost(&self) -> u32 {
        // SAFETY: zero is a value of every field.
        let mut figures: libc::tpacket_stats = unsafe { zeroed() };
        let mut len = size_of::<libc::tpacket_stats>() as libc::socklen_t;
        // SAFETY: the figures are as long as `len` says, and live until the call is over.
        let got = unsafe {
            libc::getsockopt(
                self.0.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut figures).cast(),
                &raw mut len,
            )
        };
        check(got, "a packet socket's figures");
        figures.tp_drops
    }
}

/// An ear on an interface: it writes down each IPv4 packet that comes in, from its beginning to its end.
pub struct Ear {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(Vec<Seen>, u32)>,
}

/// How long a wire must be silent before an ear believes that all is over.
const SILENCE: Duration = Duration::from_millis(150);

impl Ear {
    /// Begins to listen.
    pub fn on(machine: &Machine, node: &str, interface: &str) -> Self {
        let wire = Wire::open_for(machine, node, interface, libc::ETH_P_IP as u16);
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut heard = Vec::new();
            let mut buffer = [0u8; 2048];
            let mut last = Instant::now();
            loop {
                if let Some(len) = wire.next(&mut buffer, Duration::from_millis(20)) {
                    last = Instant::now();
                    heard.extend(seen(&buffer[..len.min(buffer.len())]));
                } else if told.load(Ordering::Relaxed) && last.elapsed() > SILENCE {
                    return (heard, wire.lost());
                }
            }
        });
        Ear { stop, thread }
    }

    /// What was heard, once the wire has been silent for a moment.
    ///
    /// # Panics
    /// When packets were lost because there were too many.
    pub fn heard(self) -> Vec<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        let (heard, lost) = self.thread.join().expect("an ear only listens");
        assert_eq!(lost, 0, "the ear was too slow; this says nothing about netlab");
        heard
    }
}
