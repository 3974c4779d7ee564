//! System calls of the bench: waking one thread out of a long call, and the receive offload of an interface.

use std::ffi::CStr;
use std::io;
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::check;

/// A thread of this process, as a signal can reach it.
#[derive(Clone, Copy, Debug)]
pub struct Thread(libc::pthread_t);

/// The thread that asks.
pub fn this_thread() -> Thread {
    // SAFETY: the call takes nothing and cannot fail.
    Thread(unsafe { libc::pthread_self() })
}

extern "C" fn nothing(_signal: libc::c_int) {}

/// Makes [`wake`] end a system call instead of the process.
pub fn prepare_waking() -> io::Result<()> {
    // SAFETY: all zeroes is a valid `sigaction`: no flags, so that a call is ended and not begun again, and an
    // empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
    // SAFETY: the handler does nothing, which is safe at any moment; `action` lives for the whole call.
    let result = unsafe { libc::sigaction(libc::SIGUSR2, &raw const action, std::ptr::null_mut()) };
    check(result.into()).map(drop)
}

/// Ends the system call that a thread is in. The thread must not have been joined yet.
pub fn wake(thread: Thread) {
    // SAFETY: the callers hold the thread's scope open, so its id is valid.
    let _ = unsafe { libc::pthread_kill(thread.0, libc::SIGUSR2) };
}

/// Asks that the calling thread goes before all others that are no real-time threads. Without the privilege it is refused.
pub fn go_first() -> io::Result<()> {
    // SAFETY: the call takes three integers; process 0 is the calling thread.
    let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -20) };
    check(result.into()).map(drop)
}

/// Turns generic receive offload of an interface in the current namespace on or off. On a veth that is also what makes
/// it take frames that are redirected to its other end.
pub fn set_gro(interface: &CStr, on: bool) -> io::Result<()> {
    /// `ETHTOOL_SGRO` of linux/ethtool.h.
    const SET_GRO: u32 = 0x2c;
    #[repr(C)]
    struct Value {
        command: u32,
        data: u32,
    }
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    let mut value = Value { command: SET_GRO, data: on.into() };
    // SAFETY: all zeroes is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(interface.to_bytes().iter().take(15)) {
        *place = *byte as libc::c_char;
    }
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: `request` and the value it points to live for the whole call and are what this request reads.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut request) };
    check(result.into()).map(drop)
}
