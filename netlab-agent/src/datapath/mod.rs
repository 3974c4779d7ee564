//! The datapath: loading, attaching, and reading the eBPF object.

pub mod object;
