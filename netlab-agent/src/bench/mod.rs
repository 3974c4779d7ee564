//! `netlab bench`: netlab beside the kernel's own NAT, in labs of its own, in one run.
//!
//! `plan` says what is measured, `bed` brings a lab up, `packets`, `sockets` and their like measure in it, `stats`
//! and `report` make of the rounds what can be said. Every packet stays in namespaces that the bench made.

mod bed;
mod cpu;
mod dice;
mod error;
mod frames;
mod interrupt;
mod machine;
pub mod measure;
mod object;
mod owner;
mod packets;
pub mod plan;
mod programs;
pub mod report;
mod resources;
mod rivals;
mod run;
pub mod samples;
mod sockets;
pub mod stats;
pub mod targets;
mod text;
pub mod variant;
// One list of words for both sides of the kernel boundary.
#[path = "../../../netlab-ebpf/src/bench/words.rs"]
#[expect(dead_code, reason = "half of the words are for the programs only")]
mod words;

pub use error::{BenchError, Result};
pub use plan::Options;
pub use run::{Watch, run};
