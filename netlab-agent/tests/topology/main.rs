//! Labs made and undone for real. Each test runs again as root in a sandbox of its own: new mount, network
//! and process namespaces and an empty `/run`, so nothing of the machine can be touched, and everything dies
//! with the test.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod kit;
mod measure;
mod run;
mod undo;
