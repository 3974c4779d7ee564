//! `netlab lint`: is the lab file right?

use std::path::Path;

use super::{count, print};
use crate::error::Result;
use crate::lab;

/// Checks a lab file and says what is in it.
pub fn lint(path: &Path) -> Result<u8> {
    let lab = lab::load(path)?.lab;
    print(&format!(
        "{}: lab {} is right: {}, {}, {}, {}, {}\n",
        path.display(),
        lab.name,
        count(lab.nodes.len(), "node"),
        count(lab.bridges.len(), "bridge"),
        count(lab.masquerades.len(), "masquerade"),
        count(lab.forwards.len(), "forward"),
        count(lab.checks.len(), "check"),
    ))?;
    Ok(0)
}
