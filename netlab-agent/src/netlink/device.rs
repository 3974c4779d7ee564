//! What the interfaces of the thread's namespace are, as far as XDP goes: kind, which program is there, and what the
//! driver can do.

use std::collections::BTreeMap;
use std::io;

use nix::sys::socket::SockProtocol;

use super::raw::{RawSocket, attribute, number, text, written};

/// Length of `struct ifinfomsg`, and where in it the index is.
const HEADER: usize = 16;
const INDEX: usize = 4;
/// `IFLA_…`.
const NAME: u16 = 3;
const MTU: u16 = 4;
const INFO: u16 = 18;
const EXTENT: u16 = 29;
const XDP: u16 = 43;
/// `IFLA_INFO_KIND`, `IFLA_XDP_PROG_ID`, `IFLA_XDP_DRV_PROG_ID`.
const INFO_KIND: u16 = 1;
const XDP_PROGRAM: u16 = 4;
const XDP_DRIVER_PROGRAM: u16 = 5;
/// `RTEXT_FILTER_SKIP_STATS`.
const SKIP_STATS: u32 = 1 << 3;

/// What a driver can do for XDP: bits of `NETDEV_A_DEV_XDP_FEATURES`.
pub mod feature {
    /// It runs programs.
    pub const BASIC: u64 = 1 << 0;
    /// It takes frames from others.
    pub const TAKES_FRAMES: u64 = 1 << 2;
    /// Among them such as lie in several pieces.
    pub const TAKES_PIECES: u64 = 1 << 6;
}

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its MTU.
    pub mtu: u32,
    /// What it was made as, such as `veth`; nothing for hardware.
    pub kind: String,
    /// The number of an XDP program on it, run by whomever.
    pub program: Option<u32>,
    /// The number of an XDP program that its driver runs.
    pub driver_program: Option<u32>,
    /// What its driver can do for XDP: bits of [`feature`]. Kernels before Linux 6.3 do not say.
    pub features: Option<u64>,
}

/// The interfaces of the thread's namespace.
///
/// # Errors
/// What the kernel says.
pub fn devices() -> io::Result<Vec<Device>> {
    let socket = RawSocket::open(SockProtocol::NetlinkRoute)?;
    let mut body = vec![0; HEADER];
    body.extend(written(EXTENT, &SKIP_STATS.to_ne_bytes()));
    let mut devices: Vec<Device> =
        socket.list(libc::RTM_GETLINK, &body)?.iter().filter_map(|(_, body)| device(body)).collect();
    if let Some(features) = features()? {
        for device in &mut devices {
            device.features = features.get(&device.index).copied();
        }
    }
    Ok(devices)
}

fn device(body: &[u8]) -> Option<Device> {
    let index = number(body.get(INDEX..)?)?;
    let body = body.get(HEADER..)?;
    let word = |kind| attribute(body, kind).and_then(number);
    let kind = attribute(body, INFO).and_then(|info| attribute(info, INFO_KIND));
    let xdp = |kind| {
        attribute(body, XDP).and_then(|xdp| attribute(xdp, kind)).and_then(number).filter(|id| *id != 0)
    };
    Some(Device {
        index,
        name: text(attribute(body, NAME)?),
        mtu: word(MTU).unwrap_or(0),
        kind: kind.map(text).unwrap_or_default(),
        program: xdp(XDP_PROGRAM).or_else(|| xdp(XDP_DRIVER_PROGRAM)),
        driver_program: xdp(XDP_DRIVER_PROGRAM),
        features: None,
    })
}

/// What drivers can do for XDP, by interface; `None` from a kernel that does not say.
fn features() -> io::Result<Option<BTreeMap<u32, u64>>> {
    /// `GENL_ID_CTRL`, `CTRL_CMD_GETFAMILY`, `CTRL_ATTR_FAMILY_NAME` and `…_ID`.
    const CONTROL: u16 = 0x10;
    const GET_FAMILY: u8 = 3;
    const FAMILY_NAME: u16 = 2;
    const FAMILY_ID: u16 = 1;
    /// `NETDEV_CMD_DEV_GET`, `NETDEV_A_DEV_IFINDEX` and `…_XDP_FEATURES`.
    const GET_DEVICE: u8 = 1;
    const IFINDEX: u16 = 1;
    const XDP_FEATURES: u16 = 3;
    /// Length of `struct genlmsghdr`: command and version first.
    const HEADER: usize = 4;

    let socket = RawSocket::open(SockProtocol::NetlinkGeneric)?;
    let mut body = vec![GET_FAMILY, 1, 0, 0];
    body.extend(written(FAMILY_NAME, b"netdev\0"));
    let answers = match socket.ask(CONTROL, &body) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
        answers => answers?,
    };
    let family =
        answers.iter().find_map(|(_, body)| attribute(body.get(HEADER..)?, FAMILY_ID)?.first_chunk());
    let Some(family) = family.map(|bytes| u16::from_ne_bytes(*bytes)) else { return Ok(None) };
    let answers = socket.list(family, &[GET_DEVICE, 1, 0, 0])?;
    let of_one = |body: &[u8]| {
        let body = body.get(HEADER..)?;
        let features = attribute(body, XDP_FEATURES)?.first_chunk()?;
        Some((attribute(body, IFINDEX).and_then(number)?, u64::from_ne_bytes(*features)))
    };
    Ok(Some(answers.iter().filter_map(|(_, body)| of_one(body)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_the_first_and_runs_no_xdp() {
        let devices = devices().unwrap();
        let lo = devices.iter().find(|device| device.index == 1).unwrap();
        assert_eq!((lo.name.as_str(), lo.driver_program), ("lo", None));
        assert!(lo.features.is_none_or(|features| features & feature::BASIC == 0));
    }
}
