//! Every decision netlab makes about a packet, and the types both sides of the kernel boundary share.
//!
//! The crate has no clock, no map and no context. It sees the world through three small traits: a
//! [`packet::Packet`] to read and rewrite, [`tables::Tables`] to look things up in, and an
//! [`tables::Env`] for time and chance. The TC programs, the XDP programs and the tests on the host
//! each implement them, so the NAT is written once. In reading order:
//!
//! * [`abi`]: what lies in the maps, and the names of maps, programs, hooks and verdicts;
//! * [`net`]: header layouts and checksum arithmetic;
//! * [`packet`] and [`tables`]: the three traits, and the parser;
//! * [`conntrack`]: flows, their states and their lifetimes;
//! * [`nat`]: which rule applies, and which port is taken;
//! * [`rewrite`]: what to change in a packet, and changing it;
//! * [`pipeline`]: the order of all that, ending in one verdict.
//!
//! Addresses are `[u8; N]`: 4 for IPv4, and 16 once IPv6 joins, through the same code.
#![no_std]
#![deny(unsafe_code)]

#[cfg(any(test, feature = "testing"))]
extern crate std;

pub mod abi;
pub mod net;
pub mod packet;
pub mod tables;

pub mod answer;
pub mod conntrack;
pub mod nat;
pub mod rewrite;

pub mod pipeline;

#[cfg(any(test, feature = "testing"))]
pub mod fake;
