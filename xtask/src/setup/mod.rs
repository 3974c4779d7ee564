//! `cargo xtask setup`, and the set-up that the other verbs begin with: what is missing is installed, what is
//! there is used, and nothing is asked of the network when everything is there.

pub mod packages;

use std::path::Path;

use anyhow::{Result, bail};
use clap::Args;

use crate::machine::choice::{Choice, Kind, Toolchain, choose};
use crate::machine::version::Rustc;
use crate::machine::{Inventory, SYSTEM_CARGO, SYSTEM_RUSTC, tools_dir};
use crate::process::Cmd;
use crate::workspace;
use packages::Group;

/// The bpf-linker that is built when there is none for the compiler's LLVM.
const BPF_LINKER: &str = "0.13.0";

/// Options of the set-up, shared by all verbs that begin with it.
#[derive(Args, Clone, Copy, Debug)]
#[group(skip)] // it is flattened into structs of the same name, and clap names groups after structs
pub struct Options {
    /// Print what would be installed, and stop if something is missing
    #[arg(long)]
    pub no_install: bool,
}

/// What the verb is going to do, beyond building.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Nothing more.
    Build,
    /// Bring a lab up.
    Run,
    /// Run the tests.
    Test,
    /// Run tests and lints.
    Check,
}

impl Purpose {
    /// The packages wanted beside the toolchain.
    fn packages(self) -> Vec<Group> {
        match self {
            Purpose::Build => Vec::new(),
            Purpose::Run => vec![packages::labs()],
            Purpose::Test | Purpose::Check => vec![packages::tests()],
        }
    }
}

/// The verb itself: set up for everything.
pub fn run(options: Options) -> Result<()> {
    let root = workspace::root()?;
    ensure(&root, options, Purpose::Check)?;
    eprintln!("set-up: everything is in place");
    Ok(())
}

/// Makes sure that everything for the purpose is there, and says which toolchain builds the eBPF object.
pub fn ensure(root: &Path, options: Options, purpose: Purpose) -> Result<Toolchain> {
    let mut inventory = Inventory::take(root)?;
    let mut groups = purpose.packages();
    let choice = choose(&inventory);
    match &choice {
        Choice::Refuse(lines) => refuse(lines.clone(), &groups)?,
        Choice::InstallCompiler => groups.insert(0, packages::compiler()),
        Choice::InstallLinker(rustc) => groups.insert(0, packages::llvm(rustc.llvm)),
        Choice::Ready(_) => {}
    }
    if inventory.debian && wants_clippy(&choice, purpose) {
        groups.insert(0, packages::clippy());
    }

    if inventory.debian {
        let mut missing = packages::missing(&groups, &packages::installed(&groups));
        if choice == Choice::InstallCompiler
            && missing.iter().all(|group| group.why != packages::compiler().why)
        {
            // All there, and still not usable: too old. Asked for by name, apt takes the newest it has.
            missing.insert(0, packages::compiler());
        }
        if !missing.is_empty() {
            packages::install(&missing, !options.no_install)?;
        }
        let linker_missing = !matches!(choice, Choice::Ready(_));
        if options.no_install && (linker_missing || !missing.is_empty()) {
            return stop_before_installing(root, &choice);
        }
    } else {
        refuse(Vec::new(), &groups)?;
    }

    if choice == Choice::InstallCompiler {
        // Only now is the LLVM known that the linker must have.
        inventory = Inventory::take(root)?;
        if let Choice::InstallLinker(rustc) = choose(&inventory) {
            let llvm = [packages::llvm(rustc.llvm)];
            let missing = packages::missing(&llvm, &packages::installed(&llvm));
            if !missing.is_empty() {
                // The lists are fresh: the compiler came from them a moment ago.
                packages::apt_install(&missing).run()?;
            }
        }
    }
    if let Choice::InstallLinker(rustc) = choose(&inventory) {
        install_linker(root, &rustc).run()?;
    }
    let toolchain = settled(root)?;
    announce(&toolchain);
    Ok(toolchain)
}

/// Whether Debian's clippy is to be there as well: only for the gate, and only with Debian's compiler.
fn wants_clippy(choice: &Choice, purpose: Purpose) -> bool {
    let system = match choice {
        Choice::Ready(toolchain) => toolchain.kind == Kind::System && !toolchain.clippy,
        Choice::InstallCompiler | Choice::InstallLinker(_) => true,
        Choice::Refuse(_) => false,
    };
    system && purpose == Purpose::Check
}

/// The toolchain after everything was installed.
fn settled(root: &Path) -> Result<Toolchain> {
    match choose(&Inventory::take(root)?) {
        Choice::Ready(toolchain) => Ok(toolchain),
        Choice::InstallCompiler => bail!(
            "the packages are installed, and {SYSTEM_RUSTC} is still too old or has no `core` for the BPF target\n  \
             help: apt-cache policy rustc-web libstd-rust-web-dev-bpf (the newest is in Debian's security archive)"
        ),
        Choice::InstallLinker(rustc) => {
            bail!("bpf-linker is installed, and still is not one that loads LLVM {}", rustc.llvm)
        }
        Choice::Refuse(lines) => bail!("{}", lines.join("\n")),
    }
}

/// Where netlab installs nothing: the whole list of what is missing, then the end. No list, no end.
fn refuse(mut lines: Vec<String>, groups: &[Group]) -> Result<()> {
    let programs = packages::missing_programs(groups);
    if !programs.is_empty() {
        lines.push(format!("  - these programs on PATH: {}", programs.join(" ")));
    }
    if lines.is_empty() {
        return Ok(());
    }
    bail!("set-up cannot go on\n{}", lines.join("\n"))
}

fn stop_before_installing(root: &Path, choice: &Choice) -> Result<Toolchain> {
    match choice {
        Choice::InstallLinker(rustc) => eprintln!("$ {}", install_linker(root, rustc)),
        Choice::InstallCompiler => {
            eprintln!("then, with N the LLVM that `{SYSTEM_RUSTC} -vV` names by then:");
            eprintln!("$ apt-get install llvm-N-dev");
            eprintln!(
                "$ LLVM_PREFIX=/usr/lib/llvm-N cargo install bpf-linker --version {BPF_LINKER} --features llvm-N"
            );
        }
        Choice::Ready(_) | Choice::Refuse(_) => {}
    }
    bail!("something is missing, and --no-install forbids installing it; the commands are above")
}

/// The command that builds bpf-linker for a compiler, into a directory named after both: a newer compiler finds
/// no linker there and gets its own.
fn install_linker(root: &Path, rustc: &Rustc) -> Cmd {
    let llvm = rustc.llvm;
    let into = tools_dir(root).join(format!("bpf-linker-{BPF_LINKER}-llvm-{llvm}"));
    host_neutral(Cmd::new(SYSTEM_CARGO))
        .env("RUSTC", SYSTEM_RUSTC)
        .env("LLVM_PREFIX", format!("/usr/lib/llvm-{llvm}"))
        // It only drives LLVM, which is built already: optimising it would cost time and bring none.
        .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .args(["install", "bpf-linker", "--version", BPF_LINKER, "--locked", "--force"])
        .args(["--no-default-features", "--features", &format!("llvm-{llvm}"), "--root"])
        .arg(into)
        .remedy("It needs the package registry once, and the LLVM development files named above.")
}

/// A command for a cargo other than the one around this tool: nothing of the outer one's settings may reach it.
pub fn host_neutral(mut cmd: Cmd) -> Cmd {
    for name in [
        "CARGO_BUILD_BUILD_DIR",
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "RUSTC",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTDOC",
        "RUSTDOCFLAGS",
        "RUSTFLAGS",
        "RUSTUP_TOOLCHAIN",
    ] {
        cmd = cmd.env_remove(name);
    }
    cmd
}

fn announce(toolchain: &Toolchain) {
    let whose = match &toolchain.kind {
        Kind::Nightly(name) => format!("rustup's {name}"),
        Kind::System => format!("the system's {SYSTEM_RUSTC}"),
    };
    eprintln!(
        "set-up: the eBPF object is built by {whose} {} (LLVM {}) and {}, because {}",
        toolchain.rustc.printed,
        toolchain.rustc.llvm,
        toolchain.linker.display(),
        toolchain.reason
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::version::Version;

    #[test]
    fn the_linker_is_installed_beside_the_compilers_llvm_and_apart_from_the_users_own() {
        let rustc = Rustc { release: Version { major: 1, minor: 96 }, printed: "1.96.0".into(), llvm: 22 };
        let shown = install_linker(Path::new("/repo"), &rustc).to_string();
        assert!(shown.contains("LLVM_PREFIX=/usr/lib/llvm-22 "));
        assert!(shown.contains("/usr/bin/cargo install bpf-linker"));
        assert!(shown.contains("--features llvm-22"));
        assert!(shown.ends_with("bpf-linker-0.13.0-llvm-22"));
    }

    #[test]
    fn each_purpose_wants_only_its_own_packages() {
        assert!(Purpose::Build.packages().is_empty());
        let run = Purpose::Run.packages();
        assert!(run.iter().all(|group| !group.packages.iter().any(|name| name == "iptables")));
    }
}
