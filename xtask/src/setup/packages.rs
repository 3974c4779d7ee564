//! Debian's packages: which are wanted and for what, which of them are missing, and how they are installed.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::process::Cmd;

/// Packages that are wanted for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What they are for; completes "needed …".
    pub why: String,
    /// Their names.
    pub packages: Vec<String>,
}

impl Group {
    /// A group of fixed names.
    pub fn new(why: &str, packages: &[&str]) -> Self {
        Group { why: why.to_owned(), packages: packages.iter().map(|&name| name.to_owned()).collect() }
    }
}

/// The compiler with a `core` for the BPF target.
pub fn compiler() -> Group {
    Group::new("to compile the eBPF object", &["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf", "gcc"])
}

/// That compiler's clippy.
pub fn clippy() -> Group {
    Group::new("to lint the eBPF crate", &["rust-web-clippy"])
}

/// The LLVM that bpf-linker is built with.
pub fn llvm(major: u32) -> Group {
    Group {
        why: format!("to build bpf-linker with LLVM {major}"),
        packages: vec![format!("llvm-{major}-dev")],
    }
}

/// What the example labs run inside their nodes, and what a user looks at them with.
pub fn labs() -> Group {
    Group::new("by the example labs", &["iproute2", "iputils-ping", "curl", "python3"])
}

/// Second opinions and traffic for the tests.
pub fn tests() -> Group {
    Group::new(
        "by the tests",
        &[
            "iproute2",
            "iputils-ping",
            "iputils-tracepath",
            "traceroute",
            "curl",
            "iperf3",
            "netcat-openbsd",
            "tcpdump",
            "python3",
            "python3-scapy",
            "bpftool",
            "conntrack",
            "iptables",
            "nftables",
            "ethtool",
            "util-linux",
        ],
    )
}

/// What starts Debian's kernels in a virtual machine.
pub fn kernels() -> Group {
    Group::new("to start another kernel", &["qemu-system-x86", "kmod", "xz-utils"])
}

/// The groups reduced to what is not installed; empty ones are left out, a package is named once.
pub fn missing(groups: &[Group], installed: &[String]) -> Vec<Group> {
    let mut named: Vec<&String> = Vec::new();
    let mut result = Vec::new();
    for group in groups {
        let mut packages = Vec::new();
        for name in &group.packages {
            if !installed.contains(name) && !named.contains(&name) {
                named.push(name);
                packages.push(name.clone());
            }
        }
        if !packages.is_empty() {
            result.push(Group { why: group.why.clone(), packages });
        }
    }
    result
}

/// Which of the groups' packages are installed. dpkg fails when it does not know one of them, and still
/// answers for the others; so its status is not looked at.
pub fn installed(groups: &[Group]) -> Vec<String> {
    let names = groups.iter().flat_map(|group| &group.packages);
    let query = Cmd::new("dpkg-query").args(["-W", "-f", "${db:Status-Abbrev}\t${Package}\n"]).args(names);
    let output = query.into_inner().output().map(|output| output.stdout).unwrap_or_default();
    parse_dpkg(&String::from_utf8_lossy(&output))
}

fn parse_dpkg(output: &str) -> Vec<String> {
    output
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .filter(|(status, _)| status.trim_end() == "ii")
        .map(|(_, name)| name.to_owned())
        .collect()
}

/// Installs what is missing, or only says how.
pub fn install(missing: &[Group], really: bool) -> Result<()> {
    let update = apt(&["update", "-q"]);
    let install = apt_install(missing);
    if !really {
        eprintln!("$ {update}\n$ {install}");
        return Ok(());
    }
    // One broken source among many must not stop this: what is wanted may come from another.
    if let Err(error) = update.run() {
        eprintln!("set-up: {error:#}; going on with the lists as they are");
    }
    install.run()
}

/// The installation alone, for when the lists are known to be fresh. Says what and why: a line a group.
pub fn apt_install(missing: &[Group]) -> Cmd {
    for group in missing {
        eprintln!("set-up: needed {}: {}", group.why, group.packages.join(" "));
    }
    // Nothing of the user's may be removed to make room.
    let options = ["install", "-y", "-q", "--no-install-recommends", "--no-remove"];
    apt(&options).args(missing.iter().flat_map(|group| &group.packages)).remedy(
        "See apt's own message above. If it wants to remove packages (Debian's older `rustc`, `cargo` or `rustup` \
         exclude `rustc-web`), remove them yourself, or give rustup a nightly with rust-src and put bpf-linker on \
         PATH: then no compiler is taken from Debian.",
    )
}

fn apt(args: &[&str]) -> Cmd {
    // Set by `env`, because sudo keeps the environment only where its rules allow that.
    let cmd = Cmd::as_root("env").args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    cmd.args(["-o", "DPkg::Lock::Timeout=120"]).args(args)
}

/// The programs that stand for the packages on a system without dpkg, and are not there.
pub fn missing_programs(groups: &[Group]) -> Vec<String> {
    let mut result: Vec<String> = Vec::new();
    for name in groups.iter().flat_map(|group| &group.packages) {
        if let Some(program) = program_of(name).filter(|program| !is_there(program))
            && !result.iter().any(|known| known == program)
        {
            result.push(program.to_owned());
        }
    }
    result
}

/// Those of the groups' packages whose program is there, whoever installed it.
pub fn by_program(groups: &[Group]) -> Vec<String> {
    let names = groups.iter().flat_map(|group| &group.packages);
    names.filter(|name| program_of(name).is_some_and(is_there)).cloned().collect()
}

fn is_there(program: &str) -> bool {
    let dirs: Vec<_> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    let sbin = [Path::new("/usr/sbin"), Path::new("/sbin")];
    dirs.iter().map(PathBuf::as_path).chain(sbin).any(|dir| dir.join(program).is_file())
}

/// The program by which a package is known elsewhere; `None` for those without one, or only of use on Debian.
fn program_of(package: &str) -> Option<&str> {
    match package {
        "iproute2" => Some("ip"),
        "iputils-ping" => Some("ping"),
        "netcat-openbsd" => Some("nc"),
        "iputils-tracepath" => Some("tracepath"),
        "python3-scapy" => Some("scapy"),
        "nftables" => Some("nft"),
        "util-linux" => Some("nsenter"),
        "qemu-system-x86" => Some("qemu-system-x86_64"),
        "kmod" => Some("modprobe"),
        "xz-utils" => Some("xz"),
        "curl" | "iperf3" | "tcpdump" | "python3" | "bpftool" | "conntrack" | "iptables" | "ethtool"
        | "traceroute" => Some(package),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fully_installed_packages_count() {
        let output = "ii \tcurl\nrc \ttcpdump\nun \tbpftool\niU \tethtool\n";
        assert_eq!(parse_dpkg(output), ["curl"]);
    }

    #[test]
    fn a_package_wanted_twice_is_named_once_and_a_complete_group_not_at_all() {
        let groups =
            [Group::new("a", &["curl", "ip"]), Group::new("b", &["ip"]), Group::new("c", &["nc", "jq"])];
        let left = missing(&groups, &["curl".to_owned(), "jq".to_owned()]);
        assert_eq!(left, [Group::new("a", &["ip"]), Group::new("c", &["nc"])]);
    }

    #[test]
    fn the_llvm_package_follows_the_compiler() {
        assert_eq!(llvm(22).packages, ["llvm-22-dev"]);
    }

    #[test]
    fn every_test_tool_is_known_by_a_program_elsewhere() {
        assert!(tests().packages.iter().all(|name| program_of(name).is_some()));
    }
}
