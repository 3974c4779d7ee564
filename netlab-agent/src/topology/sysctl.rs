//! Reads and writes `net.*` sysctls of the namespace that the thread is in: what `/proc/sys/net` shows
//! depends on who looks, so a caller enters the namespace first.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use thiserror::Error;

use crate::error::{Explain, Kind};

/// Why a sysctl could not be read or written.
#[derive(Debug, Error)]
pub enum SysctlError {
    /// The key is none of the network's.
    #[error("\"{0}\" is not a network sysctl")]
    Key(String),
    /// There is no such sysctl in this namespace.
    #[error("there is no sysctl {0} in this namespace")]
    Missing(String),
    /// It cannot be read.
    #[error("cannot read the sysctl {key}")]
    Read {
        /// Dotted name.
        key: String,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel does not take the value.
    #[error("cannot set the sysctl {key} to \"{value}\"")]
    Write {
        /// Dotted name.
        key: String,
        /// The refused value.
        value: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Explain for SysctlError {
    fn kind(&self) -> Kind {
        match self {
            SysctlError::Key(_) | SysctlError::Missing(_) => Kind::Usage,
            SysctlError::Write { source, .. } if source.kind() == io::ErrorKind::InvalidInput => Kind::Usage,
            SysctlError::Read { .. } | SysctlError::Write { .. } => Kind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            SysctlError::Key(_) => vec!["keys look like net.ipv4.ip_forward".to_owned()],
            SysctlError::Missing(_) => {
                vec!["some sysctls exist only in the machine's first namespace, or with a module".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}

/// The value of a sysctl in the thread's namespace, without the line's end.
pub fn read(key: &str) -> Result<String, SysctlError> {
    let path = path(key)?;
    match fs::read_to_string(path) {
        Ok(value) => Ok(value.trim_end().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(SysctlError::Missing(key.to_owned())),
        Err(source) => Err(SysctlError::Read { key: key.to_owned(), source }),
    }
}

/// Sets a sysctl in the thread's namespace.
pub fn write(key: &str, value: &str) -> Result<(), SysctlError> {
    let path = path(key)?;
    let written = OpenOptions::new().write(true).open(path).and_then(|mut file| {
        // One write call: the kernel parses each by itself.
        file.write_all(format!("{value}\n").as_bytes())
    });
    match written {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(SysctlError::Missing(key.to_owned())),
        Err(source) => Err(SysctlError::Write { key: key.to_owned(), value: value.to_owned(), source }),
    }
}

/// Whether two values are the same to the kernel, which prints a tab where a person writes a space.
pub fn same(left: &str, right: &str) -> bool {
    left.split_whitespace().eq(right.split_whitespace())
}

/// The interface whose own sysctl this is, for keys such as `net.ipv4.conf.eth0.rp_filter`.
pub fn interface(key: &str) -> Option<String> {
    let parts = parts(key);
    match parts.get(2).map(String::as_str) {
        Some("conf" | "neigh") => {}
        _ => return None,
    }
    let name = parts.get(3)?;
    (!matches!(name.as_str(), "all" | "default")).then(|| name.clone())
}

fn path(key: &str) -> Result<PathBuf, SysctlError> {
    let parts = parts(key);
    let harmless = |part: &String| !matches!(part.as_str(), "" | "." | "..") && !part.contains('\0');
    if parts.len() < 2 || parts[0] != "net" || !parts.iter().all(harmless) {
        return Err(SysctlError::Key(key.to_owned()));
    }
    Ok(["/proc/sys"].into_iter().chain(parts.iter().map(String::as_str)).collect())
}

/// A slash stands for a dot that belongs to a name, as in `net.ipv4.conf.eth0/100.forwarding`.
fn parts(key: &str) -> Vec<String> {
    key.split('.').map(|part| part.replace('/', ".")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dotted_name_becomes_a_path_and_a_slash_a_dot() {
        let path_of = |key| path(key).unwrap().display().to_string();
        assert_eq!(path_of("net.ipv4.ip_forward"), "/proc/sys/net/ipv4/ip_forward");
        assert_eq!(path_of("net.ipv4.conf.eth0/100.rp_filter"), "/proc/sys/net/ipv4/conf/eth0.100/rp_filter");
    }

    #[test]
    fn a_key_cannot_leave_the_network_folder() {
        for key in ["kernel.hostname", "net", "net.//.kernel.hostname", "net..x", "net./.x", ""] {
            assert!(matches!(path(key), Err(SysctlError::Key(_))), "{key}");
        }
    }

    #[test]
    fn the_interface_in_a_key_is_found() {
        assert_eq!(interface("net.ipv4.conf.eth0/1.rp_filter").as_deref(), Some("eth0.1"));
        assert_eq!(interface("net.ipv6.neigh.br0.gc_stale_time").as_deref(), Some("br0"));
        assert_eq!(interface("net.ipv4.conf.all.rp_filter"), None);
        assert_eq!(interface("net.ipv4.ip_forward"), None);
    }

    #[test]
    fn tabs_and_spaces_are_the_same_to_the_kernel() {
        assert!(same("4096\t16384\t4194304", "4096 16384 4194304"));
        assert!(!same("0", "1"));
    }
}
