//! Hands the eBPF object to the compiler, which embeds it. The object is built apart, by a toolchain that
//! has the BPF target: `cargo xtask build` makes both.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-env-changed=NETLAB_EBPF_OBJECT");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("..");
    let object =
        env::var_os("NETLAB_EBPF_OBJECT").map_or_else(|| root.join("target/bpf/netlab.o"), PathBuf::from);
    println!("cargo:rerun-if-changed={}", object.display());
    let Ok(object) = object.canonicalize() else {
        println!("cargo:error={} is missing. Run `cargo xtask build` first.", object.display());
        return;
    };
    println!("cargo:rustc-env=NETLAB_EBPF_OBJECT={}", object.display());
}
