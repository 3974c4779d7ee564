//! The test kit: frames and rules by builder, the host's and the kernel's ways of running them, the table of
//! cases that must come out the same on each; a private machine for the whole program, and what its wires
//! carried.

pub mod dice;
pub mod need;
pub mod packet;
pub mod rules;

pub mod arrived;
pub mod host;
pub mod kernel;
pub mod progrun;
pub mod stack;
pub mod state;

pub mod cases;

pub mod capture;
pub mod labs;
pub mod machine;

pub mod attack;
pub mod differential;
pub mod hops;
pub mod inside;
pub mod live;
pub mod segment;
pub mod stream;
pub mod wire;
