//! netlab's library, in reading order: what a lab is, the machine below it, what netlab does with both, and
//! how it shows that. `main.rs` is only a shell around it.

pub mod error;
pub mod lab;

pub mod netlink;
pub mod netns;
pub mod sys;

pub mod datapath;
pub mod topology;
pub mod ways;

pub mod agent;
pub mod bench;
pub mod check;
pub mod conntrack;
pub mod nat;
pub mod stats;

pub mod output;

pub mod cli;
