//! A lab's programs: through the verifier, and pinned, so that whoever comes later can attach or run them.

use std::fs;
use std::path::Path;

use aya::Ebpf;
use aya::pin::PinError;
use aya::programs::{ProgramError, SchedClassifier, Xdp};
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
        uninterrupted(|| program.load()).map_err(refused)?;
        pin(lab, name, |path| program.pin(path))?;
    }
    for name in names::CROSS_PROGRAMS {
        let refused = |source| Error::Program { name, source: Box::new(source) };
        let program: &mut Xdp =
            object.program_mut(name).ok_or(Error::Absent { name })?.try_into().map_err(refused)?;
        uninterrupted(|| program.load()).map_err(refused)?;
        pin(lab, name, |path| program.pin(path))?;
    }
    Ok(())
}

/// Loads a program, again and again while signals end the attempt: the verifier gives up with `EAGAIN` when one is
/// pending (since Linux 5.0), and whether Ctrl-C ends anything is for others to say.
fn uninterrupted(
    mut load: impl FnMut() -> std::result::Result<(), ProgramError>,
) -> std::result::Result<(), ProgramError> {
    /// So many signals come in no second or two.
    const ATTEMPTS: usize = 16;
    let again = |failure: &ProgramError| matches!(failure, ProgramError::LoadError { io_error, .. } if io_error.raw_os_error() == Some(libc::EAGAIN));
    for _ in 1..ATTEMPTS {
        match load() {
            Err(failure) if again(&failure) => {}
            done => return done,
        }
    }
    load()
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

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn failed(number: i32) -> ProgramError {
        ProgramError::LoadError {
            io_error: io::Error::from_raw_os_error(number),
            verifier_log: aya_obj::VerifierLog::new(String::new()),
        }
    }

    #[test]
    fn a_signal_while_the_verifier_works_ends_no_load_and_a_refusal_does_at_once() {
        let mut attempts = 0;
        let loaded = uninterrupted(|| {
            attempts += 1;
            if attempts < 3 { Err(failed(libc::EAGAIN)) } else { Ok(()) }
        });
        assert!(loaded.is_ok() && attempts == 3);
        let mut attempts = 0;
        let refused = uninterrupted(|| {
            attempts += 1;
            Err(failed(libc::EINVAL))
        });
        assert!(refused.is_err() && attempts == 1);
        let mut attempts = 0;
        let never = uninterrupted(|| {
            attempts += 1;
            Err(failed(libc::EAGAIN))
        });
        assert!(never.is_err() && attempts == 16);
    }
}
