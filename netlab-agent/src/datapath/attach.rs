//! Programs onto interfaces, in a way that keeps them attached without a process.
//!
//! There are two ways. A tcx link is pinned, and can be seen and replaced; but the kernel has it since Linux 6.6
//! only, and waits for an RCU grace period at each, under the lock for all of networking: some 16 ms, and 8 s for a
//! lab of 250 nodes. A clsact filter is older and taken at once, but lives as long as its interface, so that on
//! somebody else's interface it must be taken away by hand. So there are links where the kernel has them, except
//! for the many ports of a large lab, and filters everywhere else: but for the loopback
//! interface, which labs share, and on which filters of one priority would be in each other's way.
//!
//! An interface's name is looked up in the network namespace of the calling thread.

use aya::programs::{SchedClassifier, TcAttachType};
use netlab_common::abi::hook::Hook;

use super::{Error, Interface, Result, Role, filters, links, programs};

/// Up to so many interfaces every one gets links.
const FEW: usize = 16;

/// The environment variable that has filters used although the kernel has links, if its value is `clsact`: so the
/// older way can be tried on any kernel.
pub const WAY: &str = "NETLAB_ATTACH";

/// Attaches the lab's pinned programs to each interface: those of its role. Where a program is attached already, it
/// is replaced in one step, so that no packet passes without one.
///
/// # Errors
/// See [`Error`]; links that were made before the failure are pinned already and go with the lab's folder, filters
/// go with their interfaces, or by [`detach`].
pub fn attach(lab: &str, interfaces: &[Interface]) -> Result<()> {
    let mut opened = Vec::new();
    for hook in Hook::ALL {
        opened.push(programs::open(lab, programs::of(hook))?);
    }
    let few = interfaces.len() <= FEW;
    for interface in interfaces.iter().filter(|one| is_for(one)) {
        for &hook in interface.role.hooks() {
            let program = &mut opened[hook as usize];
            if links::is_there(lab, interface, hook) {
                links::replace(program, lab, interface, hook)?;
            } else if filters::is_there(interface, hook)? {
                filters::replace(program, interface, hook)?;
            } else if (few || interface.role != Role::Port) && takes_links(&interface.name) {
                links::make(program, lab, interface, hook)?;
            } else {
                filters::make(program, interface, hook)?;
            }
        }
    }
    Ok(())
}

/// Whether an interface has no clsact qdisc, and is going to get one of ours.
///
/// # Errors
/// When the kernel does not say.
pub fn lacks_clsact(interface: &str) -> Result<bool> {
    Ok(!takes_links(interface) && !filters::has_clsact(interface)?)
}

/// Takes netlab's filters off an uplink, which may outlive the lab; `clsact` says that the qdisc under them is
/// netlab's too, and goes unless somebody else has filters there by now. Links go with their pins.
///
/// # Errors
/// When the kernel refuses to take one away.
pub fn detach(uplink: &str, clsact: bool) -> Result<()> {
    filters::remove(uplink, clsact)
}

/// The places where one of the lab's programs should be attached and is not, each with the hook.
pub fn missing(lab: &str, interfaces: &[Interface]) -> Vec<(String, Hook)> {
    // A program that cannot be opened is nowhere.
    let numbers = Hook::ALL.map(|hook| {
        programs::open(lab, programs::of(hook)).ok().and_then(|program| program.info().ok()).map(|it| it.id())
    });
    let mut missing = Vec::new();
    for interface in interfaces.iter().filter(|one| is_for(one)) {
        for &hook in interface.role.hooks() {
            let attached = numbers[hook as usize].is_some_and(|number| {
                links::holds(lab, interface, hook, number) || filters::holds(interface, hook, number)
            });
            if !attached {
                missing.push((interface.name.clone(), hook));
            }
        }
    }
    missing
}

/// Whether an interface can be attached to at all: the loopback interface by a link only.
fn is_for(interface: &Interface) -> bool {
    interface.role != Role::Loopback || takes_links(&interface.name)
}

/// Whether the kernel has links for an interface, and may use them.
pub fn takes_links(interface: &str) -> bool {
    std::env::var_os(WAY).is_none_or(|way| way != "clsact")
        && SchedClassifier::query_tcx(interface, TcAttachType::Ingress).is_ok()
}

/// Which way of an interface a hook sees.
pub(super) fn side(hook: Hook) -> TcAttachType {
    if hook.is_ingress() { TcAttachType::Ingress } else { TcAttachType::Egress }
}

/// The error of a program that could not be attached.
pub(super) fn refused(interface: &Interface, hook: Hook, source: aya::programs::ProgramError) -> Error {
    Error::Attach { interface: interface.name.clone(), hook: hook.name(), source: Box::new(source) }
}
