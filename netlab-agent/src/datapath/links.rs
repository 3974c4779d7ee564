//! tcx links: made, pinned, and given another program. What is attached by a link stays so until its pin goes.

use std::fs;
use std::path::Path;

use aya::programs::SchedClassifier;
use aya::programs::links::{FdLink, LinkError, PinnedLink};
use aya::programs::tc::{SchedClassifierLink, TcAttachOptions};
use netlab_common::abi::hook::Hook;

use super::attach::{refused, side};
use super::{Error, Interface, Result, bpffs};

/// Whether a link of the lab's is on an interface. A pin alone does not say so: the link of an interface that was
/// deleted stays pinned, and is attached to nothing.
pub fn is_there(lab: &str, interface: &Interface, hook: Hook) -> bool {
    let path = bpffs::link(lab, &interface.name, hook);
    path.exists() && program_of(&path).is_some_and(|number| is_on(interface, hook, number))
}

/// Whether a link of the lab's holds this program on an interface.
pub fn holds(lab: &str, interface: &Interface, hook: Hook, program: u32) -> bool {
    bpffs::link(lab, &interface.name, hook).exists() && is_on(interface, hook, program)
}

/// Attaches a program by a link, and pins that.
///
/// # Errors
/// When the kernel refuses it.
pub fn make(program: &mut SchedClassifier, lab: &str, interface: &Interface, hook: Hook) -> Result<()> {
    let path = bpffs::link(lab, &interface.name, hook);
    if path.exists() {
        fs::remove_file(&path).map_err(|source| Error::BpfFs { path: shown(&path), source })?;
    }
    let refused = |source| refused(interface, hook, source);
    let way = TcAttachOptions::TcxOrder(Default::default());
    let id = program.attach_with_options(&interface.name, side(hook), way).map_err(refused)?;
    let link = program.take_link(id).map_err(refused)?;
    let link = FdLink::try_from(link).map_err(|source| broken(interface, hook, source))?;
    link.pin(&path).map_err(|source| Error::Pin { path: shown(&path), source: Box::new(source) })?;
    Ok(())
}

/// Puts a program in the place of the one that a pinned link holds.
///
/// # Errors
/// When the kernel refuses it.
pub fn replace(program: &mut SchedClassifier, lab: &str, interface: &Interface, hook: Hook) -> Result<()> {
    let broken = |source| broken(interface, hook, source);
    let pinned = PinnedLink::from_pin(bpffs::link(lab, &interface.name, hook)).map_err(broken)?;
    let link = SchedClassifierLink::try_from(FdLink::from(pinned)).map_err(broken)?;
    let id = program.attach_to_link(link).map_err(|source| refused(interface, hook, source))?;
    // The pin holds the link; this handle on it may go.
    drop(program.take_link(id).map_err(|source| refused(interface, hook, source))?);
    Ok(())
}

/// The number of a pinned link's program.
pub fn program_of(path: &Path) -> Option<u32> {
    Some(FdLink::from(PinnedLink::from_pin(path).ok()?).info().ok()?.program_id())
}

fn is_on(interface: &Interface, hook: Hook, program: u32) -> bool {
    SchedClassifier::query_tcx(&interface.name, side(hook))
        .is_ok_and(|(_, there)| there.iter().any(|one| one.id() == program))
}

fn broken(interface: &Interface, hook: Hook, source: LinkError) -> Error {
    Error::Link { interface: interface.name.clone(), hook: hook.name(), source: Box::new(source) }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
