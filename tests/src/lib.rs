//! The test kit: a private machine to run netlab on, and what it had before and after.

pub mod machine;
