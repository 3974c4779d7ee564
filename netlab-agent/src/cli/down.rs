//! `netlab down`: everything as it was before `up`.

use super::running::find_dir;
use super::{note, print, runtime};
use crate::agent;
use crate::datapath::bpffs;
use crate::error::{Explain as _, Result};
use crate::topology::journal::Journal;
use crate::topology::{self, LabDir};

/// Takes a lab down.
pub fn down(name: Option<&str>) -> Result<u8> {
    let dir = find_dir(name)?;
    let lock = dir.lock()?;
    // Without a journal that can be read nothing is undone, and so nothing is touched.
    Journal::read(&dir)?;
    agent::stop(&dir)?;
    let clean = runtime()?.block_on(undo(&dir))?;
    drop(lock);
    if clean {
        print(&format!("lab {} is down\n", dir.name()))?;
    }
    Ok(u8::from(!clean))
}

/// Undoes all of a lab, and reports every part that resists; true when none did.
///
/// The datapath goes last: as long as a node's process lives, nothing of it may leave untranslated.
pub async fn undo(dir: &LabDir) -> Result<bool> {
    let _shared = dir.lock_shared().await?;
    let mut clean = true;
    for problem in topology::teardown(dir).await {
        note(&format!("error: {problem}"));
        for hint in problem.hints() {
            note(&format!("  help: {hint}"));
        }
        clean = false;
    }
    if let Err(error) = bpffs::remove(dir.name()) {
        note(&format!("error: {error}"));
        clean = false;
    }
    dir.remove_shared();
    Ok(clean)
}
