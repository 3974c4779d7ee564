//! Programs onto interfaces, in a way that keeps them attached without a process.
//!
//! A tcx link is pinned, and can be seen and replaced. But the kernel waits for an RCU grace period at each,
//! under the lock for all of networking: some 16 ms, and 8 s for a lab of 250 nodes. So the many ports of a
//! large lab get classic filters instead, which the kernel takes at once and which go with the port. The uplink,
//! which may be somebody else's interface, always gets links.

use aya::Ebpf;
use aya::programs::links::FdLink;
use aya::programs::tc::{NlOptions, SchedClassifierLink, TcAttachOptions, qdisc_add_clsact};
use aya::programs::{SchedClassifier, TcAttachType};
use netlab_common::abi::hook::Hook;
use netlab_common::abi::names;

use super::{Error, Interface, Result, Role, bpffs};

/// Up to so many interfaces every one gets links.
const FEW: usize = 16;

/// Those of a lab's interfaces that are attached by pinned links.
pub fn by_link(interfaces: &[Interface]) -> impl Iterator<Item = &Interface> {
    interfaces.iter().filter(|one| one.role == Role::Uplink || interfaces.len() <= FEW)
}

/// Loads the TC programs and attaches each interface's two. An interface's name is looked up in the network
/// namespace of the calling thread.
///
/// # Errors
/// See [`Error`]; links that were made before the failure are pinned already and go with the lab's folder,
/// filters go with their interfaces.
pub fn attach(object: &mut Ebpf, lab: &str, interfaces: &[Interface]) -> Result<()> {
    for name in names::TC_PROGRAMS {
        program(object, name)?.load().map_err(|source| Error::Program { name, source: Box::new(source) })?;
    }
    for interface in by_link(interfaces) {
        for hook in interface.role.hooks() {
            let link = attach_link(object, interface, hook)?;
            let path = bpffs::link(lab, &interface.name, hook);
            link.pin(&path).map_err(|source| Error::Pin {
                path: path.display().to_string(),
                source: Box::new(source),
            })?;
        }
    }
    let linked: Vec<&Interface> = by_link(interfaces).collect();
    for interface in interfaces.iter().filter(|one| !linked.contains(one)) {
        qdisc_add_clsact(&interface.name)
            .map_err(|source| refused(interface, interface.role.hooks()[0], source.into()))?;
        for hook in interface.role.hooks() {
            let link = attach_by(object, interface, hook, TcAttachOptions::Netlink(NlOptions::default()))?;
            // Dropping it would take the filter away again.
            std::mem::forget(link);
        }
    }
    Ok(())
}

fn attach_link(object: &mut Ebpf, interface: &Interface, hook: Hook) -> Result<FdLink> {
    let link = attach_by(object, interface, hook, TcAttachOptions::TcxOrder(Default::default()))?;
    FdLink::try_from(link).map_err(|source| Error::Link {
        interface: interface.name.clone(),
        hook: hook.name(),
        source: Box::new(source),
    })
}

fn attach_by(
    object: &mut Ebpf,
    interface: &Interface,
    hook: Hook,
    way: TcAttachOptions,
) -> Result<SchedClassifierLink> {
    let program = program(object, names::TC_PROGRAMS[hook as usize])?;
    let side = if hook.is_ingress() { TcAttachType::Ingress } else { TcAttachType::Egress };
    let id = program
        .attach_with_options(&interface.name, side, way)
        .map_err(|source| refused(interface, hook, source))?;
    program.take_link(id).map_err(|source| refused(interface, hook, source))
}

fn refused(interface: &Interface, hook: Hook, source: aya::programs::ProgramError) -> Error {
    Error::Attach { interface: interface.name.clone(), hook: hook.name(), source: Box::new(source) }
}

fn program<'a>(object: &'a mut Ebpf, name: &'static str) -> Result<&'a mut SchedClassifier> {
    let program = object.program_mut(name).ok_or(Error::Absent { name })?;
    program.try_into().map_err(|source| Error::Program { name, source: Box::new(source) })
}
