//! The table of cases that must come out the same on the host, in TC and in XDP, by story. A row reads: at
//! this hook, this packet, gets this verdict and becomes that packet.

pub mod across;
pub mod errors;
pub mod errors_in_vain;
pub mod errors_within;
pub mod forward;
pub mod fragments;
pub mod guard;
pub mod hairpin;
pub mod host;
pub mod lifetime;
pub mod limits;
pub mod mapping;
pub mod masquerade;
pub mod protocols;
pub mod random;
pub mod targets;
pub mod tcp;
pub mod wire;

use crate::progrun::Case;

/// A node.
pub const EARTH: &str = "10.10.0.10";
/// The same with a port.
pub const EARTH_5555: &str = "10.10.0.10:5555";
/// The server that forwards lead to.
pub const EARTH_8000: &str = "10.10.0.10:8000";
/// Another node with a port.
pub const NEPTUNE_5555: &str = "10.10.0.20:5555";
/// The host's address on the uplink.
pub const HOST: &str = "192.168.0.108";
/// The same with the nodes' port, kept.
pub const HOST_5555: &str = "192.168.0.108:5555";
/// The same with the one port that [`Rules::masquerading`](crate::rules::Rules::masquerading) may choose.
pub const HOST_40000: &str = "192.168.0.108:40000";
/// Somebody in the world.
pub const WORLD: &str = "8.8.8.8";
/// The same with a server's port.
pub const WORLD_80: &str = "8.8.8.8:80";
/// The same with a client's port.
pub const WORLD_7777: &str = "8.8.8.8:7777";

/// The cases written by hand, of all stories.
#[must_use]
pub fn table() -> Vec<Case> {
    [
        masquerade::cases(),
        mapping::cases(),
        forward::cases(),
        targets::cases(),
        host::cases(),
        hairpin::cases(),
        lifetime::cases(),
        tcp::cases(),
        limits::cases(),
        guard::cases(),
        wire::cases(),
        across::cases(),
        errors::cases(),
        errors_in_vain::cases(),
        errors_within::cases(),
        fragments::cases(),
        protocols::cases(),
    ]
    .concat()
}
