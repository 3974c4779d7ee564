//! netlab's library, in reading order: the lab file, the plan for it, the machine, the datapath, and what
//! they show. `main.rs` is only a shell around it.

pub mod error;
pub mod lab;
pub mod netlink;
pub mod sys;
pub mod topology;
