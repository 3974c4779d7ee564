//! `cargo xtask test --kernel VERSION`: the tests that need a kernel, in a virtual machine with one of Debian's
//! kernels. The machine around it is its file system, read-only and under a layer of memory, so that every tool
//! and everything that was built is there; there is no network, and nothing that happens in there stays.
//!
//! It runs without hardware support, because that is not there on every machine: some ten times slower.

mod guest;
mod image;
mod initramfs;
mod suite;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::build;
use crate::machine::Inventory;
use crate::setup::{self, packages};

pub use suite::Wanted;

/// How many times longer the tests' own limits are in there.
const PATIENCE: u32 = 6;

/// How long one test may take.
const ONE: Duration = Duration::from_secs(600);

/// How long all of it may take: what takes longer hangs.
const ALL: Duration = Duration::from_secs(90 * 60);

/// Sets up, builds, boots, and runs the tests that are wanted.
pub fn run(root: &Path, options: setup::Options, version: &str, wanted: Wanted<'_>) -> Result<()> {
    if std::env::consts::ARCH != "x86_64" || !Inventory::take(root)?.debian {
        bail!(
            "Debian's kernels are started on a Debian of this architecture only\n  \
             help: boot a machine with that kernel, and run `cargo xtask test` there"
        );
    }
    let toolchain = setup::ensure(root, options, setup::Purpose::Test)?;
    let groups = [packages::kernels()];
    // Another qemu serves as well. Debian's is not to be had beside a newer `qemu-utils`, which it excludes.
    let missing = packages::missing(&groups, &packages::by_program(&groups));
    if !missing.is_empty() {
        packages::install(&missing, !options.no_install)?;
        if options.no_install {
            bail!("something is missing, and --no-install forbids installing it; the commands are above");
        }
    }
    build::object(root, &toolchain)?;
    let kernel = image::fetch(&root.join("target/kernels"), version)?;

    let folder = root.join("target/kernels").join(format!("guest-{version}"));
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let netlab = suite::keep(&build::binary(root, "netlab")?, &folder.join("netlab"))?;
    let tests = suite::tests(root, &folder, wanted)?;
    let write = |name: &str, bytes: &[u8]| -> Result<PathBuf> {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(path)
    };
    let list = write("list", suite::list(&tests).as_bytes())?;
    write("guest.sh", include_bytes!("guest.sh"))?;
    write("environment", environment(root, version, &netlab, &list, &kernel).as_bytes())?;
    let initramfs = write("initramfs", &initramfs::make(&kernel)?)?;
    guest::run(&guest::Guest { kernel, initramfs, folder, tests: tests.len(), limit: ALL })
}

/// What the guest's first process knows, as a shell reads it.
fn environment(root: &Path, version: &str, netlab: &Path, list: &Path, kernel: &image::Kernel) -> String {
    let limit = ONE.as_secs().to_string();
    let patience = PATIENCE.to_string();
    let shown = |path: &Path| path.display().to_string();
    let mut text = String::new();
    for (name, value) in [
        ("NETLAB_BIN", shown(netlab)),
        ("NETLAB_LIST", shown(list)),
        ("NETLAB_MODULES", shown(&kernel.modules)),
        ("NETLAB_LIMIT", limit),
        ("NETLAB_PATIENCE", patience),
        // Here, a test that skips itself because something is missing is a failure.
        ("NETLAB_GATE", "1".to_owned()),
        ("NETLAB_KERNEL", version.to_owned()),
        ("RUST_BACKTRACE", "0".to_owned()),
        // Asking cargo for it takes seconds there, for each test.
        ("INSTA_WORKSPACE_ROOT", shown(root)),
        ("INSTA_UPDATE", "no".to_owned()),
    ] {
        text.push_str(&format!("export {name}='{}'\n", value.replace('\'', r"'\''")));
    }
    text
}
