//! `cargo xtask build`: the eBPF object first, then the workspace that embeds it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::machine::choice::{Kind, Toolchain};
use crate::machine::{SYSTEM_CARGO, SYSTEM_CLIPPY, SYSTEM_RUSTC};
use crate::process::Cmd;
use crate::setup::{self, Purpose};
use crate::workspace;

/// Little-endian BPF: all machines that netlab supports are little-endian.
const TARGET: &str = "bpfel-unknown-none";

/// Options of `build`.
#[derive(Args, Debug)]
pub struct Options {
    /// Build the workspace with optimisation (the eBPF object always is)
    #[arg(long)]
    release: bool,
    #[command(flatten)]
    setup: setup::Options,
}

/// Sets up and builds both.
pub fn run(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    let toolchain = setup::ensure(&root, options.setup, Purpose::Build)?;
    object(&root, &toolchain)?;
    let mut cargo = Cmd::cargo(&root).args(["build", "--locked", "--workspace", "--exclude", "netlab-ebpf"]);
    if options.release {
        cargo = cargo.arg("--release");
    }
    cargo.run()
}

/// Builds the eBPF objects, the product's and the bench's, and puts them where the agent's build script looks for
/// them.
pub fn object(root: &Path, toolchain: &Toolchain) -> Result<()> {
    let flags = ["-C", "link-arg=--btf"];
    bpf_cargo(root, toolchain, "build", &workspace::bpf_dir(root), &flags).run()?;
    place(root, "netlab-ebpf", &workspace::bpf_object(root))?;
    place(root, "netlab-bench", &workspace::bench_object(root))
}

/// Copies a built object to its place. The copy is touched only when its bytes change, because cargo rebuilds the
/// agent whenever it is newer.
fn place(root: &Path, name: &str, object: &Path) -> Result<()> {
    let built = workspace::bpf_dir(root).join(TARGET).join("release").join(name);
    let bytes =
        fs::read(&built).with_context(|| format!("{} was built and cannot be read", built.display()))?;
    if !fs::read(object).is_ok_and(|old| old == bytes) {
        // Renamed into place, so that nobody ever reads half of it.
        let new = object.with_extension("o.new");
        fs::write(&new, &bytes).with_context(|| format!("{} cannot be written", new.display()))?;
        fs::rename(&new, object).with_context(|| format!("{} cannot be written", object.display()))?;
        eprintln!("build: {} is new ({} bytes)", object.display(), bytes.len());
    }
    Ok(())
}

/// Lints the eBPF crate for its own target. Where the toolchain has no clippy, the compiler's own warnings are
/// all there is, and that is said loudly.
pub fn lint_object(root: &Path, toolchain: &Toolchain) -> Result<()> {
    let dir = workspace::bpf_dir(root).join("lint");
    if toolchain.clippy {
        return bpf_cargo(root, toolchain, "clippy", &dir, &["-D", "warnings"]).run();
    }
    eprintln!(
        "check: NO CLIPPY for netlab-ebpf: its toolchain has none; the compiler's own warnings are checked"
    );
    bpf_cargo(root, toolchain, "check", &dir, &["-D", "warnings"]).run()
}

/// A cargo command for the eBPF crate with the chosen toolchain.
fn bpf_cargo(root: &Path, toolchain: &Toolchain, verb: &str, target_dir: &Path, flags: &[&str]) -> Cmd {
    let cmd = match &toolchain.kind {
        Kind::Nightly(name) => {
            let cmd = setup::host_neutral(Cmd::new("rustup")).args(["run", name, "cargo", verb]);
            cmd.args(["-Z", "build-std=core"])
        }
        Kind::System => {
            // The BPF target is tier 3, and its crates use unstable features: the stable compiler allows both
            // only with this variable. Cargo's own search prefers rustup's clippy, so Debian's is named.
            let program = if verb == "clippy" { SYSTEM_CLIPPY } else { SYSTEM_CARGO };
            let cmd = setup::host_neutral(Cmd::new(program)).env("RUSTC_BOOTSTRAP", "1");
            let cmd = if verb == "clippy" { cmd.env("CARGO", SYSTEM_CARGO) } else { cmd };
            cmd.env("RUSTC", SYSTEM_RUSTC).arg(verb)
        }
    };
    let arch = format!("--cfg=bpf_target_arch=\"{}\"", std::env::consts::ARCH);
    let mut all = vec!["-C", "debuginfo=2", "-C", "target-cpu=v3", &arch];
    all.extend(flags);
    cmd.env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", &toolchain.linker)
        // The encoded form wins over every other source of flags, a person's RUSTFLAGS included.
        .env("CARGO_ENCODED_RUSTFLAGS", all.join("\x1f"))
        .env("CARGO_TARGET_DIR", target_dir)
        .args(["--release", "--locked", "--target", TARGET, "--package", "netlab-ebpf"])
        .dir(root)
}

/// Builds one binary of the workspace and gives its path, wherever the user's settings put it. The whole workspace
/// is named, because cargo would choose other features for one package alone and build its dependencies again.
pub fn binary(root: &Path, name: &str) -> Result<PathBuf> {
    let args = ["build", "--locked", "--message-format", "json-render-diagnostics"];
    let which = ["--workspace", "--exclude", "netlab-ebpf", "--bin", name];
    let messages = Cmd::cargo(root).args(args).args(which).read()?;
    match executable(&messages, name) {
        Some(path) => Ok(path),
        None => bail!("cargo built {name} and did not say where it is"),
    }
}

/// The path of an executable in cargo's messages. Each is one line of JSON, and paths of programs hold nothing
/// that JSON would escape; a search for the key is enough.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages.lines().find_map(|line| {
        let (_, rest) = line.split_once("\"executable\":\"")?;
        let path = PathBuf::from(rest.split_once('"')?.0);
        (path.file_name()?.to_str()? == name).then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::version::{Rustc, Version};

    fn toolchain(kind: Kind) -> Toolchain {
        let rustc = Rustc { release: Version { major: 1, minor: 96 }, printed: "1.96.0".into(), llvm: 22 };
        Toolchain { kind, rustc, linker: "/own/bpf-linker".into(), clippy: true, reason: String::new() }
    }

    #[test]
    fn an_executable_is_found_in_cargos_messages() {
        let messages = "{\"reason\":\"compiler-artifact\",\"executable\":null}\n\
                        {\"reason\":\"compiler-artifact\",\"executable\":\"/t/debug/netlab\",\"fresh\":true}\n";
        assert_eq!(executable(messages, "netlab"), Some(PathBuf::from("/t/debug/netlab")));
        assert_eq!(executable(messages, "other"), None);
    }

    #[test]
    fn only_a_nightly_builds_core_itself() {
        let root = Path::new("/repo");
        let nightly = toolchain(Kind::Nightly("nightly-x".into()));
        let shown = bpf_cargo(root, &nightly, "build", root, &[]).to_string();
        assert!(shown.contains("rustup run nightly-x cargo build -Z build-std=core"));
        let shown = bpf_cargo(root, &toolchain(Kind::System), "build", root, &[]).to_string();
        assert!(shown.contains("RUSTC_BOOTSTRAP=1") && !shown.contains("build-std"));
    }
}
