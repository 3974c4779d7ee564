//! Programs onto interfaces, and the links pinned, so that they stay attached without a process.

use aya::Ebpf;
use aya::programs::links::FdLink;
use aya::programs::tc::SchedClassifierLink;
use aya::programs::{SchedClassifier, TcAttachType};
use netlab_common::abi::hook::Hook;
use netlab_common::abi::names;

use super::{Error, Interface, Result, bpffs};

/// Loads the TC programs and attaches each interface's two. An interface's name is looked up in the network
/// namespace of the calling thread.
///
/// # Errors
/// See [`Error`]; links that were made before the failure are pinned already and go with the lab's folder.
pub fn attach(object: &mut Ebpf, lab: &str, interfaces: &[Interface]) -> Result<()> {
    for name in names::TC_PROGRAMS {
        program(object, name)?.load().map_err(|source| Error::Program { name, source: Box::new(source) })?;
    }
    for interface in interfaces {
        for hook in interface.role.hooks() {
            let link = attach_one(object, interface, hook)?;
            let path = bpffs::link(lab, &interface.name, hook);
            link.pin(&path).map_err(|source| Error::Pin {
                path: path.display().to_string(),
                source: Box::new(source),
            })?;
        }
    }
    Ok(())
}

fn attach_one(object: &mut Ebpf, interface: &Interface, hook: Hook) -> Result<FdLink> {
    let failed = |source| Error::Attach {
        interface: interface.name.clone(),
        hook: hook.name(),
        source: Box::new(source),
    };
    let program = program(object, names::TC_PROGRAMS[hook as usize])?;
    let side = if hook.is_ingress() { TcAttachType::Ingress } else { TcAttachType::Egress };
    let id = program.attach(&interface.name, side).map_err(failed)?;
    let link: SchedClassifierLink = program.take_link(id).map_err(failed)?;
    // The kernel before tcx would have given a link that cannot be pinned.
    FdLink::try_from(link).map_err(|source| Error::Link {
        interface: interface.name.clone(),
        hook: hook.name(),
        source: Box::new(source),
    })
}

fn program<'a>(object: &'a mut Ebpf, name: &'static str) -> Result<&'a mut SchedClassifier> {
    let program = object.program_mut(name).ok_or(Error::Absent { name })?;
    program.try_into().map_err(|source| Error::Program { name, source: Box::new(source) })
}
