//! What an interface's driver is called and does for the stack, and switching that: the requests of `ethtool`. Names
//! are looked up in the namespace that the thread was in when the socket was opened.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// `ETHTOOL_GDRVINFO`, and where in `struct ethtool_drvinfo` the driver's name is.
const GET_DRIVER: u32 = 0x03;
const DRIVER_INFO: usize = 196;
const DRIVER: std::ops::Range<usize> = 4..36;

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

    /// Makes a request. The kernel writes its answer over it, as far as requests of that kind go.
    fn request<const L: usize>(&self, interface: &str, value: &mut [u8; L]) -> io::Result<()> {
        // Requests are structures of 32-bit words.
        let mut aligned = Aligned { value: *value };
        // SAFETY: all zeros is a valid `ifreq`: integers, bytes, and a null pointer.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        let name = interface.as_bytes();
        if name.len() >= request.ifr_name.len() {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        for (place, byte) in request.ifr_name.iter_mut().zip(name) {
            *place = byte.cast_signed();
        }
        request.ifr_ifru.ifru_data = (&raw mut aligned).cast();
        // SAFETY: `request` and what it points to live for the whole call. The kernel reads the request's number
        // there, and no more bytes than its kind has, which is what the callers' arrays hold.
        let result =
            unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SIOCETHTOOL as libc::Ioctl, &raw mut request) };
        super::check(result.into())?;
        *value = aligned.value;
        Ok(())
    }
}

/// Bytes at an address that a 32-bit word may have.
#[repr(C, align(4))]
struct Aligned<const L: usize> {
    value: [u8; L],
}
