//! The first file system of the guest, as the kernel unpacks it from memory: a shell, the modules that reach the
//! machine's own file system, and the script that does so. The format is cpio's "newc".

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::image::Kernel;
use crate::process::Cmd;

/// What leads to the machine's file system, and to a layer of memory over it; each with all that it needs.
const MODULES: [&str; 4] = ["virtio_pci", "9pnet_virtio", "9p", "overlay"];

/// The archive for a kernel.
pub fn make(kernel: &Kernel) -> Result<Vec<u8>> {
    let busybox =
        fs::read(&kernel.busybox).with_context(|| format!("{} cannot be read", kernel.busybox.display()))?;
    let mut archive = Archive::default();
    archive.folder("bin");
    archive.folder("modules");
    archive.program("bin/busybox", &busybox);
    archive.program("init", include_bytes!("init.sh"));
    let mut order = String::new();
    for name in MODULES {
        let needs = Cmd::new("modprobe")
            .arg("-d")
            .arg(&kernel.base)
            .args(["-S", &kernel.release, "--show-depends", name])
            .read()?;
        // Those that are part of the kernel are listed as such.
        for path in needs.lines().filter_map(|line| line.strip_prefix("insmod ")).map(str::trim) {
            let file = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
            let file = file.trim_end_matches(".xz").to_owned();
            if !order.lines().any(|known| known == file) {
                archive.program(&format!("modules/{file}"), &module(Path::new(path))?);
                order.push_str(&file);
                order.push('\n');
            }
        }
    }
    archive.program("modules/order", order.as_bytes());
    Ok(archive.end())
}

/// A module's bytes. The little insmod in there does not unpack.
fn module(path: &Path) -> Result<Vec<u8>> {
    if path.extension().is_none_or(|ext| ext != "xz") {
        return fs::read(path).with_context(|| format!("{} cannot be read", path.display()));
    }
    let output = Cmd::new("xz").arg("-dc").arg(path).into_inner().output().context("xz is needed")?;
    if !output.status.success() {
        bail!("`xz -dc {}` failed", path.display());
    }
    Ok(output.stdout)
}

/// A cpio archive in the making.
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    files: u32,
}

impl Archive {
    fn folder(&mut self, name: &str) {
        self.entry(name, 0o040_755, &[]);
    }

    fn program(&mut self, name: &str, content: &[u8]) {
        self.entry(name, 0o100_755, content);
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.files += 1;
        self.bytes.extend_from_slice(b"070701");
        let size = content.len() as u32;
        let name_size = name.len() as u32 + 1;
        // Number, mode, owner, group, links, time, size, four of devices, the name's size, a checksum that is none.
        for field in [self.files, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0] {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn end(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_contents_begin_at_multiples_of_four() {
        let mut archive = Archive::default();
        archive.program("init", b"12345");
        let bytes = archive.end();
        let second = bytes.windows(6).skip(1).position(|window| window == b"070701").unwrap() + 1;
        assert_eq!((second % 4, bytes.len() % 4), (0, 0));
        // The header's 110 bytes and the name's five, padded.
        assert_eq!(&bytes[116..121], b"12345");
        assert!(bytes.windows(10).any(|window| window == b"TRAILER!!!"));
    }
}
