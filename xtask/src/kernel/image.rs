//! Debian's kernels: which package is the newest of a version, fetching it, and unpacking it into the target
//! folder. Nothing of it is installed.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::process::Cmd;

/// A kernel, ready to be started.
#[derive(Debug)]
pub struct Kernel {
    /// Its full version, as `uname -r` says it.
    pub release: String,
    /// The image.
    pub image: PathBuf,
    /// The folder of its modules, listed for modprobe.
    pub modules: PathBuf,
    /// A folder that `lib/modules` is in.
    pub base: PathBuf,
    /// A shell and its commands in one program that needs no library.
    pub busybox: PathBuf,
}

/// The newest kernel of a version such as `6.1`: the one that was unpacked before, else Debian's newest.
pub fn fetch(cache: &Path, version: &str) -> Result<Kernel> {
    if !version.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())) {
        bail!("`{version}` is no kernel's version\n  help: such as `--kernel 6.1`");
    }
    let base = cache.join(version);
    if !base.join("complete").exists() {
        let package = newest(version)?;
        eprintln!("kernel: {package} is fetched and unpacked into {}", base.display());
        // What is left of an earlier try would be another kernel's.
        let _ = fs::remove_dir_all(&base);
        fs::create_dir_all(&base).with_context(|| format!("{} cannot be made", base.display()))?;
        unpack(&package, &base)?;
        unpack("busybox-static", &base)?;
        let release = release(&base)?;
        Cmd::new("depmod").arg("-b").arg(&base).arg(&release).run()?;
        fs::write(base.join("complete"), &package)?;
    }
    let release = release(&base)?;
    Ok(Kernel {
        image: base.join("boot").join(format!("vmlinuz-{release}")),
        modules: base.join("lib/modules").join(&release),
        busybox: base.join("bin/busybox"),
        release,
        base,
    })
}

/// Debian's newest package of that version, with the full set of modules.
fn newest(version: &str) -> Result<String> {
    let known = || Cmd::new("apt-cache").args(["pkgnames", &format!("linux-image-{version}.")]).ask();
    let newest_of = |names: Option<String>| choose(&names.unwrap_or_default(), version);
    if let Some(name) = newest_of(known()) {
        return Ok(name);
    }
    // The lists may be missing or old.
    Cmd::as_root("apt-get").args(["update", "-q"]).run()?;
    match newest_of(known()) {
        Some(name) => Ok(name),
        None => bail!(
            "Debian has no kernel {version} here\n  help: `apt-cache pkgnames linux-image-` lists those that it has"
        ),
    }
}

/// The newest of the packages `linux-image-VERSION.…-amd64`, which also exist in flavours with fewer modules.
fn choose(names: &str, version: &str) -> Option<String> {
    let begin = format!("linux-image-{version}.");
    let plain = |name: &&str| {
        name.strip_prefix(&begin).and_then(|rest| rest.strip_suffix("-amd64")).is_some_and(|rest| {
            rest.split(['.', '-', '+']).all(|part| part.starts_with("deb") || part.parse::<u32>().is_ok())
        })
    };
    let order = |name: &&str| -> Vec<u32> {
        name.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
    };
    names.lines().filter(plain).max_by_key(order).map(str::to_owned)
}

/// Fetches a package and unpacks it.
fn unpack(package: &str, into: &Path) -> Result<()> {
    let down = into.join("download");
    fs::create_dir_all(&down)?;
    // The folder is not open to the user that apt otherwise becomes.
    Cmd::new("apt-get")
        .args(["download", "-q", "-o", "APT::Sandbox::User=root", package])
        .dir(&down)
        .remedy("Debian's package archive is needed once for each kernel.")
        .run()?;
    for entry in fs::read_dir(&down)?.flatten().map(|entry| entry.path()) {
        if entry.extension() == Some(OsStr::new("deb")) {
            Cmd::new("dpkg-deb").arg("-x").arg(&entry).arg(into).run()?;
            fs::remove_file(entry)?;
        }
    }
    Ok(())
}

/// The version of the kernel that was unpacked.
fn release(base: &Path) -> Result<String> {
    let found = fs::read_dir(base.join("lib/modules")).into_iter().flatten().flatten().next();
    let entry = found.with_context(|| format!("no kernel lies in {}; remove that folder", base.display()))?;
    Ok(entry.file_name().to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_package_with_all_modules_is_chosen() {
        let names = "linux-image-6.1.0-9-amd64\nlinux-image-6.1.0-56-amd64\nlinux-image-6.1.0-56-cloud-amd64\n\
                     linux-image-6.1.0-57-amd64-unsigned\nlinux-image-6.1.0-57-rt-amd64\nlinux-image-6.1.0-56-amd64-dbg\n";
        assert_eq!(choose(names, "6.1").as_deref(), Some("linux-image-6.1.0-56-amd64"));
        let names =
            "linux-image-6.12.9+deb12-amd64\nlinux-image-6.12.117+deb12-amd64\nlinux-image-6.12-amd64\n";
        assert_eq!(choose(names, "6.12").as_deref(), Some("linux-image-6.12.117+deb12-amd64"));
        assert_eq!(choose(names, "6.1"), None);
    }
}
