//! XDP links: made in the driver's own mode, pinned, given another program, and taken away. Generic XDP would cost more
//! than it saves.

use std::fs;
use std::path::Path;

use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::xdp::{XdpLink, XdpMode};
use aya::programs::{ProgramError, Xdp};
use netlab_common::abi::names;
use serde::{Deserialize, Serialize};

use super::{Choice, Way};
use crate::datapath::{Error, Interface, Result, Role, bpffs, programs};

/// What the programs' hook is called where an error names it.
const HOOK: &str = "XDP";

/// An interface that takes no program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Its name.
    pub interface: String,
    /// Its index.
    pub index: u32,
    /// What the kernel says.
    pub cause: String,
}

/// Attaches the lab's pinned programs to the interfaces that were chosen for XDP, each in the place of an earlier one of
/// the lab's, and takes them off the others. What refuses is the answer.
///
/// # Errors
/// When a pin cannot be made or taken away. What was attached before stays so, and goes with the lab's folder.
pub fn apply(lab: &str, choices: &[Choice]) -> Result<Vec<Refusal>> {
    let mut refusals = Vec::new();
    for choice in choices {
        let path = bpffs::xdp_link(lab, &choice.interface.name);
        let done = match choice.way {
            Way::Xdp if choice.attached => replace(lab, &choice.interface, &path),
            Way::Xdp => make(lab, choice, &path),
            Way::Tc => remove(&path),
        };
        match done {
            Err(Error::Attach { source, .. }) => refusals.push(Refusal {
                interface: choice.interface.name.clone(),
                index: choice.index,
                cause: cause(&source),
            }),
            done => done?,
        }
    }
    Ok(refusals)
}

/// What is left to say of an error: what the kernel means.
fn cause(error: &ProgramError) -> String {
    let mut error: &dyn std::error::Error = error;
    while let Some(deeper) = error.source() {
        error = deeper;
    }
    error.to_string()
}

/// The pinned program of an interface's role.
fn open(lab: &str, interface: &Interface) -> Result<Xdp> {
    let [port, uplink] = names::CROSS_PROGRAMS;
    programs::open_xdp(lab, if interface.role == Role::Uplink { uplink } else { port })
}

fn make(lab: &str, choice: &Choice, path: &Path) -> Result<()> {
    let interface = &choice.interface;
    // The link of an interface that was deleted.
    remove(path)?;
    let mut program = open(lab, interface)?;
    let refused = |source| refused(interface, source);
    let id = program.attach_to_if_index(choice.index, XdpMode::Driver).map_err(refused)?;
    let link = program.take_link(id).map_err(refused)?;
    // A kernel that gave no link would give one that ends with this process.
    let link = FdLink::try_from(link).map_err(|source| broken(interface, source))?;
    link.pin(path)
        .map_err(|source| Error::Pin { path: path.display().to_string(), source: Box::new(source) })?;
    Ok(())
}

fn replace(lab: &str, interface: &Interface, path: &Path) -> Result<()> {
    let mut program = open(lab, interface)?;
    let number = program.info().map_err(|source| refused(interface, source))?.id();
    let link = FdLink::from(PinnedLink::from_pin(path).map_err(|source| broken(interface, source))?);
    if link.info().is_ok_and(|info| info.program_id() == number) {
        return Ok(());
    }
    let link = XdpLink::try_from(link).map_err(|source| broken(interface, source))?;
    let id = program.attach_to_link(link).map_err(|source| refused(interface, source))?;
    // The pin holds the link; this handle on it may go.
    drop(program.take_link(id).map_err(|source| refused(interface, source))?);
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::BpfFs { path: path.display().to_string(), source })
        }
        _ => Ok(()),
    }
}

fn refused(interface: &Interface, source: ProgramError) -> Error {
    Error::Attach { interface: interface.name.clone(), hook: HOOK, source: Box::new(source) }
}

fn broken(interface: &Interface, source: aya::programs::links::LinkError) -> Error {
    Error::Link { interface: interface.name.clone(), hook: HOOK, source: Box::new(source) }
}
