//! Hands the eBPF objects to the compiler, which embeds them. They are built apart, by a toolchain that has the BPF
//! target: `cargo xtask build` makes everything.

use std::env;
use std::path::PathBuf;

/// The variable that names an object, and where it is without one.
const OBJECTS: [(&str, &str); 2] =
    [("NETLAB_EBPF_OBJECT", "target/bpf/netlab.o"), ("NETLAB_BENCH_OBJECT", "target/bpf/netlab-bench.o")];

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("..");
    for (variable, place) in OBJECTS {
        println!("cargo:rerun-if-env-changed={variable}");
        let object = env::var_os(variable).map_or_else(|| root.join(place), PathBuf::from);
        println!("cargo:rerun-if-changed={}", object.display());
        let Ok(object) = object.canonicalize() else {
            println!("cargo:error={} is missing. Run `cargo xtask build` first.", object.display());
            return;
        };
        println!("cargo:rustc-env={variable}={}", object.display());
    }
}
