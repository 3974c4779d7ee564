//! Packet stories on the host: what each packet may move is said in full, and anything else that moves is a
//! failure. Here are those that the kernel cannot play along with, or that look into the tables; the table of
//! cases in the test kit has the rest.

#[path = "scenarios/ahead.rs"]
mod ahead;
#[path = "scenarios/creation.rs"]
mod creation;
#[path = "scenarios/forward.rs"]
mod forward;
#[path = "scenarios/fragments.rs"]
mod fragments;
#[path = "scenarios/hooks.rs"]
mod hooks;
#[path = "scenarios/lifetime.rs"]
mod lifetime;
#[path = "scenarios/limits.rs"]
mod limits;
#[path = "scenarios/masquerade.rs"]
mod masquerade;
#[path = "scenarios/meddled.rs"]
mod meddled;
#[path = "scenarios/regressions.rs"]
mod regressions;
