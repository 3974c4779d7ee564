//! The lab's folder in the BPF file system, and the file system itself where it is not mounted.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use netlab_common::abi::ABI_VERSION;
use netlab_common::abi::hook::Hook;
use nix::mount::{MsFlags, mount, umount};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use super::{Error, Result};

const ROOT: &str = "/sys/fs/bpf";
/// Source name of a mount that netlab made: the mark by which it may take it away again.
const MARK: &str = "netlab";

/// Where a lab's pins are.
pub fn folder(lab: &str) -> PathBuf {
    lab_folder(lab).join(format!("v{ABI_VERSION}"))
}

fn lab_folder(lab: &str) -> PathBuf {
    Path::new(ROOT).join("netlab").join(lab)
}

/// Mounts the file system if need be, and makes the lab's folder. Labs share the mount: the caller holds their lock,
/// so that no other lab's [`remove`] takes it away in between.
///
/// # Errors
/// When either is refused.
pub fn prepare(lab: &str) -> Result<()> {
    if !is_mounted() {
        mount(Some(MARK), ROOT, Some("bpf"), MsFlags::empty(), Some("mode=0700"))
            .map_err(|errno| failed(Path::new(ROOT), errno.into()))?;
    }
    // Pins without a lab are what is left where a journal was lost; they are ours, and nobody needs them.
    if lab_folder(lab).exists() {
        remove_tree(&lab_folder(lab)).map_err(|source| failed(&lab_folder(lab), source))?;
    }
    let folder = folder(lab);
    fs::create_dir_all(&folder).map_err(|source| failed(&folder, source))
}

/// Takes a lab's pins away, and with the last lab everything that netlab put into the file system. The caller holds
/// the lock that labs share. That a part is missing already is fine: an `up` that was killed may have mounted the file
/// system and put nothing into it yet: with Linux 6.1 on a slow machine the mount alone takes seconds. So the mount is
/// looked at whether or not there are pins.
///
/// # Errors
/// When a pin or folder cannot be removed.
pub fn remove(lab: &str) -> Result<()> {
    if !is_mounted() {
        return Ok(());
    }
    let folder = lab_folder(lab);
    if folder.exists() {
        remove_tree(&folder).map_err(|source| failed(&folder, source))?;
    }
    // Fails while another lab is there, which is as it should be.
    let _ = fs::remove_dir(Path::new(ROOT).join("netlab"));
    if is_ours() && is_empty(Path::new(ROOT)) {
        // A mount that is busy stays; it is empty.
        let _ = umount(ROOT);
    }
    Ok(())
}

/// Whether a lab's pins are there and of our version.
///
/// # Errors
/// When they are not, or may not be looked at.
pub fn look(lab: &str) -> Result<()> {
    let ours = folder(lab);
    match fs::metadata(&ours) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&ours, error)),
        Err(_) if lab_folder(lab).exists() => Err(Error::OtherAbi { lab: lab.into(), version: ABI_VERSION }),
        Err(_) => Err(Error::Unpinned { lab: lab.into() }),
    }
}

/// The pin of a program.
pub fn program(lab: &str, name: &str) -> PathBuf {
    folder(lab).join(name)
}

/// The pin of a program's link.
pub fn link(lab: &str, interface: &str, hook: Hook) -> PathBuf {
    // The file system takes no dots; an interface's name may have them, but never a colon.
    folder(lab).join(format!("{}@{}", hook.name(), interface.replace('.', ":")))
}

/// The pin of an XDP program's link.
pub fn xdp_link(lab: &str, interface: &str) -> PathBuf {
    folder(lab).join(format!("xdp@{}", interface.replace('.', ":")))
}

/// `fs::remove_dir_all` opens folders in a way the BPF file system does not know, so this walks by hand.
fn remove_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

fn is_mounted() -> bool {
    statfs(ROOT).is_ok_and(|status| status.filesystem_type() == BPF_FS_MAGIC)
}

fn is_ours() -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().any(|line| {
        let mut words = line.split(' ');
        words.next() == Some(MARK) && words.next() == Some(ROOT)
    })
}

/// Whether nobody has pinned anything. The kernel itself puts two iterators into each mount.
fn is_empty(folder: &Path) -> bool {
    const KERNELS_OWN: [&str; 2] = ["maps.debug", "progs.debug"];
    let mut entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.all(|entry| KERNELS_OWN.iter().any(|name| entry.file_name() == *name))
}

fn failed(path: &Path, source: io::Error) -> Error {
    Error::BpfFs { path: path.display().to_string(), source }
}
