//! netlab's NAT beside the kernel's: two labs that differ in nothing else get the same packets, and what comes
//! out must be the same, but for the port that each chooses and for differences that have a name.

pub mod explain;
pub mod generate;
pub mod place;
pub mod play;
pub mod shown;
pub mod shrink;
pub mod step;

mod canonical;
mod frame;
mod numbers;
mod past;
mod reasons;
mod spoil;
mod sums;
mod twin;
mod whole;

pub use explain::EXPLAINED;
pub use generate::{Kinds, script};
pub use play::{Divergence, Figures, Twins};
pub use shrink::shrink;
