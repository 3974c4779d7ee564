//! A lab's programs: through the verifier, and pinned, so that whoever comes later can attach or run them.

use std::fs;
use std::path::Path;

use aya::Ebpf;
use aya::pin::PinError;
use aya::programs::{SchedClassifier, Xdp};
use aya_obj::programs::XdpAttachType;
use netlab_common::abi::hook::Hook;
use netlab_common::abi::names;

use super::{Error, Result, bpffs};

/// The program of a hook.
pub fn of(hook: Hook) -> &'static str {
    names::TC_PROGRAMS[hook as usize]
}

/// Loads all programs and pins them, in place of earlier ones if there are any.
///
/// # Errors
/// When the kernel refuses a program or a pin. Programs that were replaced before stay replaced.
pub fn install(object: &mut Ebpf, lab: &str) -> Result<()> {
    for name in names::TC_PROGRAMS.into_iter().chain([names::SWEEP_PROGRAM]) {
        let refused = |source| Error::Program { name, source: Box::new(source) };
        let program: &mut SchedClassifier =
            object.program_mut(name).ok_or(Error::Absent { name })?.try_into().map_err(refused)?;
        program.load().map_err(refused)?;
        pin(lab, name, |path| program.pin(path))?;
    }
    for name in names::CROSS_PROGRAMS {
        let refused = |source| Error::Program { name, source: Box::new(source) };
        let program: &mut Xdp =
            object.program_mut(name).ok_or(Error::Absent { name })?.try_into().map_err(refused)?;
        program.load().map_err(refused)?;
        pin(lab, name, |path| program.pin(path))?;
    }
    Ok(())
}

/// Pins a program by another file in the earlier one's place, so that there is one by this name at any moment.
fn pin(lab: &str, name: &str, pin: impl FnOnce(&Path) -> std::result::Result<(), PinError>) -> Result<()> {
    let (path, fresh) = (bpffs::program(lab, name), bpffs::program(lab, "fresh"));
    let _ = fs::remove_file(&fresh);
    pin(&fresh)
        .map_err(|source| Error::Pin { path: path.display().to_string(), source: Box::new(source) })?;
    fs::rename(&fresh, &path).map_err(|source| Error::BpfFs { path: path.display().to_string(), source })
}

/// A lab's pinned program.
///
/// # Errors
/// When it is not there.
pub fn open(lab: &str, name: &'static str) -> Result<SchedClassifier> {
    SchedClassifier::from_pin(bpffs::program(lab, name))
        .map_err(|source| Error::Program { name, source: Box::new(source) })
}

/// A lab's pinned XDP program.
///
/// # Errors
/// When it is not there.
pub fn open_xdp(lab: &str, name: &'static str) -> Result<Xdp> {
    Xdp::from_pin(bpffs::program(lab, name), XdpAttachType::Interface)
        .map_err(|source| Error::Program { name, source: Box::new(source) })
}
