//! The agent's only `unsafe`: system calls that no safe crate wraps, each behind a safe function. It knows
//! nothing of labs; what the calls mean is the business of the callers.

pub mod batch;
pub mod bench;
pub mod ethtool;
pub mod iptables;
pub mod mapping;

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Nanoseconds of `CLOCK_MONOTONIC`, on the coarse clock that the datapath reads.
pub fn monotonic_now() -> u64 {
    // The clock exists since Linux 2.6.32; without it nothing would count as expired.
    clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE).map_or(0, |time| Duration::from(time).as_nanos() as u64)
}

/// An unpredictable number; zero from a kernel that has none to give.
pub fn random() -> u32 {
    let mut bytes = [0u8; 4];
    // SAFETY: the buffer is four bytes long and lives for the whole call.
    let _ = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    u32::from_ne_bytes(bytes)
}

/// The cookie of the network namespace that `socket` belongs to: unlike an inode number it is never used
/// again while the kernel runs.
///
/// Fails with `ENOPROTOOPT` before Linux 5.14.
pub fn netns_cookie(socket: BorrowedFd<'_>) -> io::Result<u64> {
    let mut cookie = 0u64;
    let mut length = size_of::<u64>() as libc::socklen_t;
    // SAFETY: `cookie` and `length` live for the whole call and `length` holds the size of `cookie`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    check(result.into())?;
    Ok(cookie)
}

/// A netlink socket of a family that no crate here names.
pub fn netlink_socket(family: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: the call takes three integers and reads no memory of ours.
    let result = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, family) };
    own(check(result.into())?)
}

/// How many columns a terminal has; `None` for what is no terminal or does not know.
pub fn columns(terminal: BorrowedFd<'_>) -> Option<usize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: `size` lives for the whole call and is what this request writes.
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (result == 0 && size.ws_col > 0).then_some(size.ws_col.into())
}

/// A descriptor of the process, which keeps meaning this process even when its id is used again.
pub fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two integers and reads no memory of ours.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    own(check(result)?)
}

/// Sends a signal to the process behind a pidfd.
pub fn pidfd_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: a null `siginfo` is allowed and makes the call behave like kill(2).
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    check(result).map(drop)
}

/// Closes every descriptor beyond standard error. For a process that has opened none of its own yet.
pub fn close_inherited() {
    // SAFETY: the call takes three integers. Nothing in this process knows of the descriptors it closes: it is
    // called first thing, before the process has opened any.
    let _ = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
}

/// Lets a task wait until a descriptor is readable.
pub fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` answers the same open descriptor until it is dropped, and nobody else has it.
    unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }.map_err(Into::into)
}

/// A detached copy of the mounts at and below `path`, as open_tree(2) makes it.
pub fn clone_tree(path: &CStr) -> io::Result<OwnedFd> {
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | libc::AT_RECURSIVE as libc::c_uint;
    // SAFETY: `path` is a nul-terminated string that outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
    own(check(result)?)
}

/// Attaches a detached copy of mounts at `path`.
pub fn attach_tree(tree: BorrowedFd<'_>, path: &CStr) -> io::Result<()> {
    // SAFETY: both paths are nul-terminated strings that outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::MOVE_MOUNT_F_EMPTY_PATH,
        )
    };
    check(result).map(drop)
}

/// Raises the soft limit of open files to at least `wanted`, as far as the hard limit goes.
pub fn allow_open_files(wanted: u64) -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the answer.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }.into())?;
    if limit.rlim_cur >= wanted {
        return Ok(());
    }
    limit.rlim_cur = wanted.min(limit.rlim_max);
    // SAFETY: `limit` is a valid limit whose soft part is not above the hard one.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }.into()).map(drop)
}

/// Makes the child that `command` starts run `preparation` between fork and exec, in its own session.
///
/// `preparation` must only make system calls: it runs in a forked child, where another thread's lock on the
/// allocator would stay taken forever.
pub(crate) fn prepare_child(
    command: &mut Command,
    new_session: bool,
    preparation: impl Fn() -> io::Result<()> + Send + Sync + 'static,
) {
    let prepare = move || {
        if new_session {
            nix::unistd::setsid()?;
        }
        preparation()
    };
    // SAFETY: setsid and, by this function's rule, `preparation` only make system calls; the one caller,
    // `topology::inside`, has everything they need allocated beforehand.
    unsafe { command.pre_exec(prepare) };
}

/// -1 becomes the error that `errno` names.
fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Takes ownership of a descriptor that a system call has just returned.
fn own(descriptor: libc::c_long) -> io::Result<OwnedFd> {
    let descriptor = i32::try_from(descriptor).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us, so nothing else owns it.
    let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
    debug_assert!(owned.as_fd().as_raw_fd() >= 0);
    Ok(owned)
}
