//! Which toolchain builds the eBPF object: decided from an [`Inventory`] alone, with the reason in words.
//!
//! Two ways are known. A rustup nightly with `rust-src` builds `core` for the BPF target itself; Debian's
//! `rustc-web` has one ready-made. In both, bpf-linker must carry the compiler's own major version of LLVM, since
//! what it links is that LLVM's bitcode.

use std::path::PathBuf;

use super::Inventory;
use super::version::Rustc;

/// How the eBPF object is built on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// Whose compiler it is.
    pub kind: Kind,
    /// The compiler.
    pub rustc: Rustc,
    /// The linker.
    pub linker: PathBuf,
    /// Whether this toolchain has clippy.
    pub clippy: bool,
    /// Why this one, for the one line that set-up prints.
    pub reason: String,
}

/// Whose compiler builds the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A rustup nightly, by name; it builds `core` from source.
    Nightly(String),
    /// The distribution's, with a `core` for BPF beside it.
    System,
}

/// What an inventory leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Everything is there.
    Ready(Toolchain),
    /// The distribution's compiler is to be used, and its packages are missing or too old.
    InstallCompiler,
    /// The distribution's compiler is there; a linker for its LLVM is not.
    InstallLinker(Rustc),
    /// netlab cannot install what is missing here; what to do instead, line by line.
    Refuse(Vec<String>),
}

/// The linker for one LLVM, and whether netlab may take one whose LLVM it cannot see.
fn linker_for(inventory: &Inventory, llvm: u32, or_unseen: bool) -> Option<PathBuf> {
    let exact = inventory.linkers.iter().find(|linker| linker.llvm == Some(llvm));
    let unseen = || inventory.linkers.iter().find(|linker| or_unseen && linker.llvm.is_none());
    exact.or_else(unseen).map(|linker| linker.path.clone())
}

/// Chooses. The user's own nightly comes first, because it is what people who write eBPF in Rust have.
pub fn choose(inventory: &Inventory) -> Choice {
    if let Some(ready) = ready_nightly(inventory) {
        return Choice::Ready(ready);
    }
    let system = inventory.system_rustc.as_ref();
    match system
        .filter(|system| system.core_for_bpf && system.cargo && system.rustc.release >= inventory.needed)
    {
        Some(system) => match linker_for(inventory, system.rustc.llvm, false) {
            Some(linker) => Choice::Ready(Toolchain {
                kind: Kind::System,
                rustc: system.rustc.clone(),
                linker,
                clippy: system.clippy,
                reason: why_no_nightly(inventory),
            }),
            None if inventory.debian => Choice::InstallLinker(system.rustc.clone()),
            None => Choice::Refuse(advice(inventory)),
        },
        None if inventory.debian => Choice::InstallCompiler,
        None => Choice::Refuse(advice(inventory)),
    }
}

fn ready_nightly(inventory: &Inventory) -> Option<Toolchain> {
    inventory.nightlies.iter().filter(|nightly| nightly.rust_src).find_map(|nightly| {
        let rustc = nightly.rustc.clone().filter(|rustc| rustc.release >= inventory.needed)?;
        // A released bpf-linker has LLVM inside and cannot be asked which; whoever has rust-src chose the pair.
        let linker = linker_for(inventory, rustc.llvm, true)?;
        Some(Toolchain {
            kind: Kind::Nightly(nightly.name.clone()),
            rustc,
            linker,
            clippy: nightly.clippy,
            reason: "it has rust-src, and there is a bpf-linker for it".to_owned(),
        })
    })
}

fn why_no_nightly(inventory: &Inventory) -> String {
    let sourced: Vec<_> = inventory.nightlies.iter().filter(|nightly| nightly.rust_src).collect();
    if inventory.nightlies.is_empty() {
        "rustup has no nightly".to_owned()
    } else if sourced.is_empty() {
        "rustup's nightly has no rust-src".to_owned()
    } else {
        "rustup's nightly with rust-src is too old or has no bpf-linker of its LLVM".to_owned()
    }
}

/// What to do by hand where netlab cannot install a toolchain.
fn advice(inventory: &Inventory) -> Vec<String> {
    let mut lines = vec![format!(
        "netlab installs packages on Debian only, and {} is not one; the eBPF object needs:",
        inventory.system
    )];
    match inventory.nightlies.iter().find_map(|n| n.rustc.as_ref().filter(|_| n.rust_src)) {
        Some(rustc) => lines.push(format!(
            "  - a bpf-linker with LLVM {llvm}, as rustc {release} has it: LLVM {llvm}'s development files, then\n    \
             cargo install bpf-linker --no-default-features --features llvm-{llvm}",
            llvm = rustc.llvm,
            release = rustc.printed
        )),
        None => lines.push(format!(
            "  - a nightly Rust of {}.{} or later with rust-src: rustup toolchain install nightly --component rust-src",
            inventory.needed.major, inventory.needed.minor
        )),
    }
    if inventory.linkers.is_empty() {
        lines.push("  - bpf-linker on PATH, built with the LLVM that `rustc +nightly -vV` names".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::version::Version;
    use super::super::{Linker, Nightly, SystemRustc};
    use super::*;

    fn rustc(release: &str, llvm: u32) -> Rustc {
        Rustc { release: Version::parse(release).unwrap(), printed: release.to_owned(), llvm }
    }

    fn nightly(rust_src: bool) -> Nightly {
        let name = "nightly-x86_64-unknown-linux-gnu".to_owned();
        Nightly { name, rust_src, clippy: true, rustc: rust_src.then(|| rustc("1.97.0-nightly", 22)) }
    }

    fn system(release: &str, core_for_bpf: bool) -> SystemRustc {
        SystemRustc { rustc: rustc(release, 22), core_for_bpf, cargo: true, clippy: false }
    }

    fn linker(path: &str, llvm: Option<u32>) -> Linker {
        Linker { path: path.into(), llvm }
    }

    fn bare(debian: bool) -> Inventory {
        Inventory {
            debian,
            system: "Testix 1".to_owned(),
            needed: Version { major: 1, minor: 95 },
            nightlies: Vec::new(),
            system_rustc: None,
            linkers: Vec::new(),
        }
    }

    fn ready(inventory: &Inventory) -> Toolchain {
        match choose(inventory) {
            Choice::Ready(toolchain) => toolchain,
            other => panic!("not ready but {other:?}"),
        }
    }

    #[test]
    fn a_bare_debian_installs_its_compiler_first_and_a_linker_for_it_then() {
        let mut machine = bare(true);
        assert_eq!(choose(&machine), Choice::InstallCompiler);
        machine.system_rustc = Some(system("1.96.0", true));
        assert_eq!(choose(&machine), Choice::InstallLinker(rustc("1.96.0", 22)));
        machine.linkers = vec![linker("/own/bpf-linker", Some(22))];
        assert_eq!(ready(&machine).kind, Kind::System);
    }

    #[test]
    fn a_compiler_that_is_too_old_or_has_no_core_for_bpf_counts_as_missing() {
        let too_old = Inventory { system_rustc: Some(system("1.85.0", true)), ..bare(true) };
        assert_eq!(choose(&too_old), Choice::InstallCompiler);
        let no_core = Inventory { system_rustc: Some(system("1.96.0", false)), ..bare(true) };
        assert_eq!(choose(&no_core), Choice::InstallCompiler);
    }

    #[test]
    fn a_nightly_with_rust_src_wins_over_the_system() {
        let machine = Inventory {
            nightlies: vec![nightly(true)],
            system_rustc: Some(system("1.96.0", true)),
            linkers: vec![linker("/home/bpf-linker", Some(22))],
            ..bare(true)
        };
        assert!(matches!(ready(&machine).kind, Kind::Nightly(_)));
    }

    #[test]
    fn a_nightly_without_rust_src_is_passed_over_and_the_reason_says_so() {
        let machine = Inventory {
            nightlies: vec![nightly(false)],
            system_rustc: Some(system("1.96.0", true)),
            linkers: vec![linker("/home/bpf-linker", Some(22))],
            ..bare(true)
        };
        let toolchain = ready(&machine);
        assert_eq!(toolchain.kind, Kind::System);
        assert_eq!(toolchain.reason, "rustup's nightly has no rust-src");
    }

    #[test]
    fn a_linker_of_another_llvm_is_not_taken() {
        let machine = Inventory {
            system_rustc: Some(system("1.96.0", true)),
            linkers: vec![linker("/old/bpf-linker", Some(21)), linker("/static/bpf-linker", None)],
            ..bare(true)
        };
        assert_eq!(choose(&machine), Choice::InstallLinker(rustc("1.96.0", 22)));
    }

    #[test]
    fn a_nightly_takes_a_linker_with_llvm_inside_but_rather_one_that_matches() {
        let mut machine = Inventory {
            nightlies: vec![nightly(true)],
            linkers: vec![linker("/static/bpf-linker", None)],
            ..bare(false)
        };
        assert_eq!(ready(&machine).linker.to_str(), Some("/static/bpf-linker"));
        machine.linkers.push(linker("/matching/bpf-linker", Some(22)));
        assert_eq!(ready(&machine).linker.to_str(), Some("/matching/bpf-linker"));
    }

    #[test]
    fn a_system_that_is_not_debian_is_told_what_it_lacks() {
        let Choice::Refuse(lines) = choose(&bare(false)) else { panic!("it was not refused") };
        assert!(lines[0].contains("Testix 1"));
        assert!(lines.iter().any(|line| line.contains("--component rust-src")));
        let with_source = Inventory { nightlies: vec![nightly(true)], ..bare(false) };
        let Choice::Refuse(lines) = choose(&with_source) else { panic!("it was not refused") };
        assert!(lines.iter().any(|line| line.contains("--features llvm-22")));
    }
}
