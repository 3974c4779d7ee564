//! Looks at the machine and writes down what it finds as one plain value, the [`Inventory`]. Decides nothing:
//! `choice.rs` does, on values alone, so that every kind of machine can be tried in a unit test.

pub mod choice;
pub mod version;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::process::Cmd;
use crate::workspace;
use version::{Rustc, Version, llvm_of_ldd};

/// The compiler that Debian's packages install.
pub const SYSTEM_RUSTC: &str = "/usr/bin/rustc";
/// Its cargo.
pub const SYSTEM_CARGO: &str = "/usr/bin/cargo";
/// Its clippy, when installed.
pub const SYSTEM_CLIPPY: &str = "/usr/bin/cargo-clippy";

/// What was found.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// Whether packages come from Debian or a descendant.
    pub debian: bool,
    /// The system's name for messages.
    pub system: String,
    /// The lowest Rust that will do.
    pub needed: Version,
    /// rustup's nightlies.
    pub nightlies: Vec<Nightly>,
    /// The compiler of the system's packages.
    pub system_rustc: Option<SystemRustc>,
    /// Every bpf-linker in sight, netlab's own first, then those of PATH in its order.
    pub linkers: Vec<Linker>,
}

/// A nightly toolchain of rustup's.
#[derive(Clone, Debug)]
pub struct Nightly {
    /// Its name, as after the `+`.
    pub name: String,
    /// Whether it can build `core` itself.
    pub rust_src: bool,
    /// Whether `cargo clippy` is there.
    pub clippy: bool,
    /// Its compiler; not asked for without `rust_src`.
    pub rustc: Option<Rustc>,
}

/// The compiler of the system's packages.
#[derive(Clone, Debug)]
pub struct SystemRustc {
    /// Version and LLVM.
    pub rustc: Rustc,
    /// Whether a built `core` for the BPF target lies beside it.
    pub core_for_bpf: bool,
    /// Whether cargo lies beside it.
    pub cargo: bool,
    /// Whether clippy lies beside it.
    pub clippy: bool,
}

/// A bpf-linker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linker {
    /// Where it is.
    pub path: PathBuf,
    /// The LLVM it loads; `None` when that cannot be seen from outside.
    pub llvm: Option<u32>,
}

impl Inventory {
    /// Looks at this machine. Starts a handful of short commands, changes nothing, asks no network.
    pub fn take(root: &Path) -> Result<Self> {
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        Ok(Inventory {
            debian: is_debian(&release) && Path::new("/usr/bin/apt-get").exists(),
            system: os_value(&release, "PRETTY_NAME").unwrap_or_else(|| "this system".to_owned()),
            needed: workspace::rust_version(root)?,
            nightlies: nightlies(),
            system_rustc: system_rustc(),
            linkers: linkers(&tools_dir(root)),
        })
    }
}

/// Where netlab keeps the tools it builds for itself: in the user's cache, so that the next clone finds them.
pub fn tools_dir(root: &Path) -> PathBuf {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map_or_else(|| root.join("target/tools"), |cache| cache.join("netlab/tools"))
}

fn is_debian(os_release: &str) -> bool {
    ["ID", "ID_LIKE"]
        .iter()
        .filter_map(|key| os_value(os_release, key))
        .any(|value| value.split_whitespace().any(|word| word == "debian"))
}

fn os_value(os_release: &str, key: &str) -> Option<String> {
    os_release.lines().find_map(|line| {
        let value = line.strip_prefix(key)?.strip_prefix('=')?;
        Some(value.trim_matches('"').to_owned())
    })
}

fn nightlies() -> Vec<Nightly> {
    let list = Cmd::new("rustup").args(["toolchain", "list", "-v"]).ask().unwrap_or_default();
    let nightly_dirs = nightly_dirs(&list).into_iter();
    nightly_dirs
        .map(|(name, dir)| {
            let rust_src = dir.join("lib/rustlib/src/rust/library/core/Cargo.toml").exists();
            let clippy = dir.join("bin/cargo-clippy").exists();
            let rustc = rust_src.then(|| ask_rustc(&dir.join("bin/rustc"))).flatten();
            Nightly { name, rust_src, clippy, rustc }
        })
        .collect()
}

/// The nightlies among the lines of `rustup toolchain list -v`: a name, marks in brackets, a directory.
fn nightly_dirs(list: &str) -> Vec<(String, PathBuf)> {
    list.lines()
        .filter_map(|line| {
            let name = line.split_whitespace().next().filter(|name| name.starts_with("nightly"))?;
            let dir = line.find(" /").or_else(|| line.find("\t/"))?;
            Some((name.to_owned(), PathBuf::from(line[dir + 1..].trim())))
        })
        .collect()
}

fn system_rustc() -> Option<SystemRustc> {
    let rustc = ask_rustc(Path::new(SYSTEM_RUSTC))?;
    let sysroot = Cmd::new(SYSTEM_RUSTC).args(["--print", "sysroot"]).ask()?;
    let bpf = Path::new(sysroot.trim()).join("lib/rustlib/bpfel-unknown-none/lib");
    let core_for_bpf = fs::read_dir(bpf).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|e| e.file_name().to_string_lossy().starts_with("libcore-")))
    });
    let exists = |path| Path::new(path).exists();
    Some(SystemRustc { rustc, core_for_bpf, cargo: exists(SYSTEM_CARGO), clippy: exists(SYSTEM_CLIPPY) })
}

fn ask_rustc(rustc: &Path) -> Option<Rustc> {
    Rustc::parse(&Cmd::new(rustc).arg("-vV").ask()?)
}

fn linkers(tools: &Path) -> Vec<Linker> {
    let own = fs::read_dir(tools).into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let on_path = env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<Linker> = Vec::new();
    for dir in own.chain(env::split_paths(&on_path)) {
        let path = dir.join("bpf-linker");
        if path.is_file() && !found.iter().any(|linker| linker.path == path) {
            found.push(look_at_linker(path));
        }
    }
    found
}

fn look_at_linker(path: PathBuf) -> Linker {
    let llvm = Cmd::new("ldd").arg(&path).ask().and_then(|text| llvm_of_ldd(&text));
    Linker { path, llvm }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_and_its_descendants_are_known_by_their_release_file() {
        assert!(is_debian("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n"));
        assert!(is_debian("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"));
        assert!(!is_debian("ID=fedora\nNAME=\"not debian\"\n"));
    }

    #[test]
    fn nightlies_are_found_among_the_toolchains() {
        let list = "stable-x86_64-unknown-linux-gnu (active, default)\t/home/me/.rustup/toolchains/stable\n\
                    nightly-x86_64-unknown-linux-gnu /home/me/.rustup/toolchains/nightly\n";
        let found = nightly_dirs(list);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, "nightly-x86_64-unknown-linux-gnu");
        assert_eq!(found[0].1, Path::new("/home/me/.rustup/toolchains/nightly"));
    }
}
