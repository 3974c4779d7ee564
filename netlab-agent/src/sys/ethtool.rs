//! What an interface's driver is called and does for the stack, and switching that: the requests of `ethtool`. Names
//! are looked up in the namespace that the thread was in when the socket was opened.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// `ETHTOOL_GDRVINFO`, and where in `struct ethtool_drvinfo` the driver's name is.
const GET_DRIVER: u32 = 0x03;
const DRIVER_INFO: usize = 196;
const DRIVER: std::ops::Range<usize> = 4..36;

/// `ETHTOOL_GSSET_INFO`, `ETHTOOL_GSTRINGS` and `ETHTOOL_GSTATS`; the set that statistics are; what a name takes; and how
/// many there is room for. The kernel writes as many as there are at that moment, whatever it was asked for, and a veth's
/// grow with its queues: there is room for 16 of each of 256, where one has less than 20 in all.
const GET_SETS: u32 = 0x37;
const GET_NAMES: u32 = 0x1b;
const GET_VALUES: u32 = 0x1d;
const STATISTICS: u32 = 1;
const NAME_LEN: usize = 32;
const ROOM: usize = 4_096;

/// Something that an interface may do, or leave to the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Writes transport checksums into packets that leave.
    Checksums,
    /// Cuts aggregates of TCP that leave into packets.
    Segmentation,
    /// Puts packets that arrive together into aggregates.
    Gro,
}

/// `ETHTOOL_GFLAGS`, `ETHTOOL_SFLAGS`, and `ETH_FLAG_TXVLAN` in their value.
const GET_FLAGS: u32 = 0x25;
const SET_FLAGS: u32 = 0x26;
const TAGS_BESIDE: u32 = 1 << 7;

impl Feature {
    /// The requests to get and to set it.
    fn requests(self) -> (u32, u32) {
        match self {
            Feature::Checksums => (0x16, 0x17),
            Feature::Segmentation => (0x1e, 0x1f),
            Feature::Gro => (0x2b, 0x2c),
        }
    }
}

/// A socket that takes these requests.
#[derive(Debug)]
pub struct Ethtool(OwnedFd);

impl Ethtool {
    /// Opens the socket in the namespace that the thread is in.
    ///
    /// # Errors
    /// When the kernel gives none.
    pub fn open() -> io::Result<Self> {
        Ok(Ethtool(socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?))
    }

    /// The name of an interface's driver.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn driver(&self, interface: &str) -> io::Result<String> {
        let mut info = [0; DRIVER_INFO];
        info[..4].copy_from_slice(&GET_DRIVER.to_ne_bytes());
        self.request(interface, &mut info)?;
        let name = &info[DRIVER];
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        Ok(String::from_utf8_lossy(&name[..end]).into_owned())
    }

    /// Whether an interface does something at the moment.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn does(&self, interface: &str, feature: Feature) -> io::Result<bool> {
        let mut value = [0; 8];
        value[..4].copy_from_slice(&feature.requests().0.to_ne_bytes());
        self.request(interface, &mut value)?;
        Ok(value[4..] != [0; 4])
    }

    /// Has an interface do something or leave it.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set(&self, interface: &str, feature: Feature, on: bool) -> io::Result<()> {
        let mut value = [0; 8];
        value[..4].copy_from_slice(&feature.requests().1.to_ne_bytes());
        value[4..].copy_from_slice(&u32::from(on).to_ne_bytes());
        self.request(interface, &mut value)
    }

    /// Has an interface write VLAN tags into the frames that it sends, rather than hand them on beside those.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn write_tags(&self, interface: &str) -> io::Result<()> {
        let mut value = request_of(GET_FLAGS, 8);
        self.request(interface, &mut value)?;
        let flags = word(&value, 4);
        if flags & TAGS_BESIDE == 0 {
            return Ok(());
        }
        let mut value = request_of(SET_FLAGS, 8);
        value[4..].copy_from_slice(&(flags & !TAGS_BESIDE).to_ne_bytes());
        self.request(interface, &mut value)
    }

    /// The sum of those of an interface's statistics whose names end so.
    ///
    /// # Errors
    /// What the kernel says; a driver without statistics has none to sum.
    pub fn sum(&self, interface: &str, ending: &str) -> io::Result<u64> {
        let mut sets = request_of(GET_SETS, 24);
        sets[8..16].copy_from_slice(&(1u64 << STATISTICS).to_ne_bytes());
        self.request(interface, &mut sets)?;
        let count = word(&sets, 16) as usize;
        if count > ROOM / 8 {
            return Err(io::Error::from_raw_os_error(libc::E2BIG));
        }
        let mut names = request_of(GET_NAMES, 12 + NAME_LEN * ROOM);
        names[4..8].copy_from_slice(&STATISTICS.to_ne_bytes());
        names[8..12].copy_from_slice(&(count as u32).to_ne_bytes());
        self.request(interface, &mut names)?;
        let mut values = request_of(GET_VALUES, 8 + 8 * ROOM);
        values[4..8].copy_from_slice(&(count as u32).to_ne_bytes());
        self.request(interface, &mut values)?;
        let is_wanted = |name: &[u8]| {
            let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
            name[..end].ends_with(ending.as_bytes())
        };
        let pairs = names[12..].chunks_exact(NAME_LEN).zip(values[8..].chunks_exact(8)).take(count);
        let wanted = pairs.filter(|(name, _)| is_wanted(name));
        Ok(wanted.filter_map(|(_, value)| Some(u64::from_ne_bytes(value.try_into().ok()?))).sum())
    }

    /// Makes a request. The kernel writes its answer over it, as far as requests of that kind go.
    fn request(&self, interface: &str, value: &mut [u8]) -> io::Result<()> {
        // Requests are structures of words of up to 64 bits.
        let mut aligned = vec![0u64; value.len().div_ceil(8)];
        // SAFETY: the words have room for the bytes, and any bytes make words.
        let bytes = unsafe { std::slice::from_raw_parts_mut(aligned.as_mut_ptr().cast::<u8>(), value.len()) };
        bytes.copy_from_slice(value);
        // SAFETY: all zeros is a valid `ifreq`: integers, bytes, and a null pointer.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        let name = interface.as_bytes();
        if name.len() >= request.ifr_name.len() {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        for (place, byte) in request.ifr_name.iter_mut().zip(name) {
            *place = byte.cast_signed();
        }
        request.ifr_ifru.ifru_data = bytes.as_mut_ptr().cast();
        // SAFETY: `request` and what it points to live for the whole call. The kernel reads the request's number
        // there, and no more bytes than its kind has, which is what the callers' arrays hold.
        let result =
            unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SIOCETHTOOL as libc::Ioctl, &raw mut request) };
        super::check(result.into())?;
        value.copy_from_slice(bytes);
        Ok(())
    }
}

/// A request of this number, with room for so many bytes in all.
fn request_of(number: u32, len: usize) -> Vec<u8> {
    let mut request = vec![0; len];
    request[..4].copy_from_slice(&number.to_ne_bytes());
    request
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
