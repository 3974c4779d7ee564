//! The test kit: a private machine to run netlab on, what it had before and after, and what its wires carried.

pub mod capture;
pub mod labs;
pub mod machine;
