//! `netlab down`: everything as it was before `up`.

use super::running::find_dir;
use super::{note, print, runtime};
use crate::agent;
use crate::datapath::bpffs;
use crate::error::{Explain as _, Result};
use crate::topology::{self, LabDir};

/// Takes a lab down.
pub fn down(name: Option<&str>) -> Result<u8> {
    let dir = find_dir(name)?;
    let lock = dir.lock()?;
    agent::stop(&dir)?;
    let clean = runtime()?.block_on(undo(&dir));
    drop(lock);
    if clean {
        print(&format!("lab {} is down\n", dir.name()))?;
    }
    Ok(u8::from(!clean))
}

/// Undoes all of a lab, and reports every part that resists; true when none did.
pub async fn undo(dir: &LabDir) -> bool {
    let mut clean = true;
    if let Err(error) = bpffs::remove(dir.name()) {
        note(&format!("error: {error}"));
        clean = false;
    }
    for problem in topology::teardown(dir).await {
        note(&format!("error: {problem}"));
        for hint in problem.hints() {
            note(&format!("  help: {hint}"));
        }
        clean = false;
    }
    clean
}
