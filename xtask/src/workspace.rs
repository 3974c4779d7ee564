//! Where things are in the repository: its root, the eBPF object, the lowest Rust it is written for.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::machine::version::Version;

/// The repository's root.
///
/// Cargo says where this package is when it runs it; a binary started by hand looks upwards instead. The path
/// compiled into the binary is not used: a build directory shared by two checkouts would point into the wrong one.
pub fn root() -> Result<PathBuf> {
    let start = match env::var_os("CARGO_MANIFEST_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => env::current_dir().context("the current directory cannot be read")?,
    };
    for dir in start.ancestors() {
        let manifest = dir.join("Cargo.toml");
        if fs::read_to_string(&manifest).is_ok_and(|text| text.lines().any(|line| line == "[workspace]")) {
            return Ok(dir.to_path_buf());
        }
    }
    bail!("no workspace above {}; start this inside the repository", start.display())
}

/// The directory of everything built for the BPF target. Its own, because another toolchain fills it.
pub fn bpf_dir(root: &Path) -> PathBuf {
    root.join("target/bpf")
}

/// The object that the agent embeds; `netlab-agent/build.rs` reads it from here.
pub fn bpf_object(root: &Path) -> PathBuf {
    bpf_dir(root).join("netlab.o")
}

/// The object with the programs of `netlab bench`; it is embedded likewise.
pub fn bench_object(root: &Path) -> PathBuf {
    bpf_dir(root).join("netlab-bench.o")
}

/// The lowest Rust the workspace is written for, from its manifest.
pub fn rust_version(root: &Path) -> Result<Version> {
    let manifest = root.join("Cargo.toml");
    let text =
        fs::read_to_string(&manifest).with_context(|| format!("{} cannot be read", manifest.display()))?;
    quoted_value(&text, "rust-version")
        .and_then(|value| Version::parse(&value))
        .with_context(|| format!("{} names no rust-version", manifest.display()))
}

/// The first `key = "value"` of a TOML text that stands outside any table but its first ones. A line scan is
/// enough for the two keys asked for, and spares a TOML parser.
pub fn quoted_value(text: &str, key: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let rest = line.trim().strip_prefix(key)?.trim_start().strip_prefix('=')?;
        let inner = rest.trim_start().strip_prefix('"')?;
        Some(inner.split_once('"')?.0.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_value_is_found_by_its_whole_key() {
        let text = "version = 1\nnamespace = \"no\"\nname = \"planets\" # a comment\n[node.name]\nname = \"other\"\n";
        assert_eq!(quoted_value(text, "name").as_deref(), Some("planets"));
        assert_eq!(quoted_value(text, "version"), None);
        assert_eq!(quoted_value(text, "missing"), None);
    }
}
