//! The tables of the older `iptables`, which the kernel tells of by socket options only.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

/// `IPT_SO_GET_INFO` and `IPT_SO_GET_ENTRIES`.
const GET_INFO: i32 = 64;
const GET_ENTRIES: i32 = 65;
/// Length of a table's name.
const NAME: usize = 32;
/// Netfilter's hooks.
const HOOKS: usize = 5;
/// Length of `struct ipt_getinfo`: name, valid hooks, two offsets a hook, number of entries, size.
const INFO: usize = NAME + 4 + 2 * 4 * HOOKS + 4 + 4;
/// Where the entries begin in `struct ipt_get_entries`, after name and size, aligned for 64-bit counters.
const ENTRIES: usize = 40;
/// Where in an entry the offset of its target is, and where in a standard target its verdict.
const TARGET_OFFSET: usize = 88;
const VERDICT: usize = 32;
/// What stands for dropping a packet.
const DROP: i32 = -1;

/// A table as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    info: [u8; INFO],
    entries: Vec<u8>,
}

/// What becomes of packets at a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// There are rules.
    pub has_rules: bool,
    /// What no rule decides is dropped.
    pub drops: bool,
}

/// Reads a table of the thread's namespace. One that is not there is made by the kernel, so ask for those that
/// it lists.
///
/// # Errors
/// What the kernel says.
pub fn table(name: &str) -> io::Result<Table> {
    let socket = socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw)?;
    let name = name.as_bytes();
    let name = &name[..name.len().min(NAME - 1)];
    loop {
        let mut info = [0; INFO];
        info[..name.len()].copy_from_slice(name);
        get(&socket, GET_INFO, &mut info)?;
        let size = word(&info, INFO - 4).unwrap_or(0);
        let mut entries = vec![0; ENTRIES + size as usize];
        entries[..NAME].copy_from_slice(&info[..NAME]);
        entries[NAME..NAME + 4].copy_from_slice(&size.to_ne_bytes());
        match get(&socket, GET_ENTRIES, &mut entries) {
            Ok(()) => return Ok(Table { info, entries: entries.split_off(ENTRIES) }),
            // Somebody has changed it in between.
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {}
            Err(error) => return Err(error),
        }
    }
}

impl Table {
    /// The chain of a hook, by netfilter's number, if the table has one.
    pub fn chain(&self, hook: usize) -> Option<Chain> {
        let valid = word(&self.info, NAME)?;
        if hook >= HOOKS || valid & (1 << hook) == 0 {
            return None;
        }
        let first = word(&self.info, NAME + 4 + 4 * hook)?;
        // The last entry of a chain is its policy.
        let last = word(&self.info, NAME + 4 + 4 * HOOKS + 4 * hook)?;
        Some(Chain { has_rules: first != last, drops: self.verdict(last as usize) == Some(DROP) })
    }

    fn verdict(&self, entry: usize) -> Option<i32> {
        let offset = self.entries.get(entry + TARGET_OFFSET..)?.first_chunk::<2>()?;
        let at = entry + usize::from(u16::from_ne_bytes(*offset)) + VERDICT;
        word(&self.entries, at).map(u32::cast_signed)
    }
}

/// Asks for an option. The kernel reads the name at the beginning of `value`, and writes the rest.
fn get(socket: &OwnedFd, option: i32, value: &mut [u8]) -> io::Result<()> {
    let mut length = libc::socklen_t::try_from(value.len()).map_err(io::Error::other)?;
    // SAFETY: `value` and `length` live for the whole call, and `length` holds the size of `value`.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_IP, option, value.as_mut_ptr().cast(), &raw mut length)
    };
    super::check(result.into()).map(drop)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table with one hook, FORWARD, whose chain has so many bytes of rules before its policy.
    fn one_chain(rules: u32, verdict: i32) -> Table {
        let mut info = [0; INFO];
        let mut set = |at: usize, value: u32| info[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        set(NAME, 1 << 2);
        set(NAME + 4 + 4 * 2, 0);
        set(NAME + 4 + 4 * HOOKS + 4 * 2, rules);
        let mut entries = vec![0; rules as usize + 152];
        let at = rules as usize + TARGET_OFFSET;
        entries[at..at + 2].copy_from_slice(&112u16.to_ne_bytes());
        let at = rules as usize + 112 + VERDICT;
        entries[at..at + 4].copy_from_slice(&verdict.to_ne_bytes());
        Table { info, entries }
    }

    #[test]
    fn rules_and_policies_are_told_apart() {
        let chain = |rules, verdict| one_chain(rules, verdict).chain(2).unwrap();
        assert_eq!(chain(0, -2), Chain { has_rules: false, drops: false });
        assert_eq!(chain(0, DROP), Chain { has_rules: false, drops: true });
        assert_eq!(chain(152, -2), Chain { has_rules: true, drops: false });
        assert_eq!(one_chain(0, -2).chain(0), None);
        assert_eq!(one_chain(0, -2).chain(9), None);
    }
}
