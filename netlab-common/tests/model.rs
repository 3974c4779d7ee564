//! CPUs at once: every interleaving of their steps, within a number of preemptions, through the real
//! pipeline. After each step the invariants must hold that hold at any moment, and after each run those that
//! hold at rest; and when all flows' time is up, nothing may be left.
//!
//! `NETLAB_LONG` has them interrupt each other once more.

#[path = "kit/mod.rs"]
mod kit;

#[path = "model/cpu.rs"]
mod cpu;
#[path = "model/explore.rs"]
mod explore;
#[path = "model/pieces.rs"]
mod pieces;
#[path = "model/plan.rs"]
mod plan;
#[path = "model/world.rs"]
mod world;

#[path = "model/creation.rs"]
mod creation;
#[path = "model/crossing.rs"]
mod crossing;
#[path = "model/crowds.rs"]
mod crowds;
#[path = "model/ending.rs"]
mod ending;
#[path = "model/fragments.rs"]
mod fragments;
#[path = "model/mapping.rs"]
mod mapping;
#[path = "model/searching.rs"]
mod searching;
