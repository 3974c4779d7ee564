//! Programs onto interfaces, in a way that keeps them attached without a process.
//!
//! A tcx link is pinned, and can be seen and replaced. But the kernel waits for an RCU grace period at each,
//! under the lock for all of networking: some 16 ms, and 8 s for a lab of 250 nodes. So the many ports of a
//! large lab get classic filters instead, which the kernel takes at once and which go with the port. The uplink,
//! which may be somebody else's interface, always gets links, and so does the loopback interface.
//!
//! An interface's name is looked up in the network namespace of the calling thread.

use std::fs;

use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::tc::{NlOptions, SchedClassifierLink, TcAttachOptions, TcHandle, qdisc_add_clsact};
use aya::programs::{SchedClassifier, TcAttachType};
use netlab_common::abi::hook::Hook;

use super::{Error, Interface, Result, Role, bpffs, programs};

/// Up to so many interfaces every one gets links.
const FEW: usize = 16;

/// Priority of netlab's filters: like its routes' protocol number, by which they are known.
const PRIORITY: u16 = 110;

/// Those of a lab's interfaces that are attached by pinned links.
pub fn by_link(interfaces: &[Interface]) -> impl Iterator<Item = &Interface> {
    interfaces.iter().filter(|one| one.role != Role::Port || interfaces.len() <= FEW)
}

/// Attaches the lab's pinned programs to each interface: those of its role. Where a program is attached already, it
/// is replaced in one step, so that no packet passes without one.
///
/// # Errors
/// See [`Error`]; links that were made before the failure are pinned already and go with the lab's folder,
/// filters go with their interfaces.
pub fn attach(lab: &str, interfaces: &[Interface]) -> Result<()> {
    let mut opened = Vec::new();
    for hook in Hook::ALL {
        opened.push(programs::open(lab, programs::of(hook))?);
    }
    let linked: Vec<&Interface> = by_link(interfaces).collect();
    for interface in interfaces {
        for &hook in interface.role.hooks() {
            let program = &mut opened[hook as usize];
            if linked.contains(&interface) {
                attach_link(program, lab, interface, hook)?;
            } else {
                attach_filter(program, interface, hook)?;
            }
        }
    }
    Ok(())
}

/// The places where a program should be attached by a link and none of the lab's is, each with the hook.
pub fn missing(lab: &str, interfaces: &[Interface]) -> Vec<(String, Hook)> {
    let all =
        by_link(interfaces).flat_map(|one| one.role.hooks().iter().map(|&hook| (one.name.clone(), hook)));
    all.filter(|(name, hook)| !is_attached(lab, name, *hook)).collect()
}

/// Whether the lab's program for a hook is on an interface. A pin alone does not say so: the link of an
/// interface that was deleted stays pinned, and is attached to nothing.
fn is_attached(lab: &str, interface: &str, hook: Hook) -> bool {
    let ours = programs::open(lab, programs::of(hook)).and_then(|program| {
        program.info().map_err(|source| Error::Program { name: programs::of(hook), source: Box::new(source) })
    });
    let Ok(ours) = ours else { return false };
    bpffs::link(lab, interface, hook).exists()
        && SchedClassifier::query_tcx(interface, side(hook))
            .is_ok_and(|(_, there)| there.iter().any(|program| program.id() == ours.id()))
}

fn side(hook: Hook) -> TcAttachType {
    if hook.is_ingress() { TcAttachType::Ingress } else { TcAttachType::Egress }
}

fn attach_link(program: &mut SchedClassifier, lab: &str, interface: &Interface, hook: Hook) -> Result<()> {
    let path = bpffs::link(lab, &interface.name, hook);
    if path.exists() {
        if is_on_this_interface(&path, &interface.name, hook) {
            return replace(program, interface, hook, &path);
        }
        fs::remove_file(&path).map_err(|source| Error::BpfFs { path: path.display().to_string(), source })?;
    }
    let refused = |source| refused(interface, hook, source);
    let way = TcAttachOptions::TcxOrder(Default::default());
    let id = program.attach_with_options(&interface.name, side(hook), way).map_err(refused)?;
    let link = FdLink::try_from(program.take_link(id).map_err(refused)?).map_err(|source| Error::Link {
        interface: interface.name.clone(),
        hook: hook.name(),
        source: Box::new(source),
    })?;
    link.pin(&path)
        .map_err(|source| Error::Pin { path: path.display().to_string(), source: Box::new(source) })?;
    Ok(())
}

/// Whether a pinned link's program is among those on the interface.
fn is_on_this_interface(path: &std::path::Path, interface: &str, hook: Hook) -> bool {
    let Ok(link) = PinnedLink::from_pin(path) else { return false };
    let Ok(info) = FdLink::from(link).info() else { return false };
    SchedClassifier::query_tcx(interface, side(hook))
        .is_ok_and(|(_, there)| there.iter().any(|program| program.id() == info.program_id()))
}

/// Puts a program in the place of the one that a pinned link holds.
fn replace(
    program: &mut SchedClassifier,
    interface: &Interface,
    hook: Hook,
    path: &std::path::Path,
) -> Result<()> {
    let link_error = |source| Error::Link {
        interface: interface.name.clone(),
        hook: hook.name(),
        source: Box::new(source),
    };
    let pinned = PinnedLink::from_pin(path).map_err(link_error)?;
    let link = SchedClassifierLink::try_from(FdLink::from(pinned)).map_err(link_error)?;
    let id = program.attach_to_link(link).map_err(|source| refused(interface, hook, source))?;
    // The pin holds the link; this handle on it may go.
    drop(program.take_link(id).map_err(|source| refused(interface, hook, source))?);
    Ok(())
}

fn attach_filter(program: &mut SchedClassifier, interface: &Interface, hook: Hook) -> Result<()> {
    let refused = |source| refused(interface, hook, source);
    let handle = TcHandle::new(0, 1);
    if let Ok(there) = SchedClassifierLink::attached(&interface.name, side(hook), PRIORITY, handle, None)
        && let Ok(id) = program.attach_to_link(there)
    {
        // Dropping it would take the filter away.
        std::mem::forget(program.take_link(id).map_err(refused)?);
        return Ok(());
    }
    // That there is a clsact already is as good.
    let _ = qdisc_add_clsact(&interface.name);
    let options = NlOptions { priority: PRIORITY, handle, ..NlOptions::default() };
    let id = program
        .attach_with_options(&interface.name, side(hook), TcAttachOptions::Netlink(options))
        .map_err(refused)?;
    std::mem::forget(program.take_link(id).map_err(refused)?);
    Ok(())
}

fn refused(interface: &Interface, hook: Hook, source: aya::programs::ProgramError) -> Error {
    Error::Attach { interface: interface.name.clone(), hook: hook.name(), source: Box::new(source) }
}
