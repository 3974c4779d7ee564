//! clsact filters: made, given another program, found again, and taken away. A filter lives as long as its
//! interface. netlab's are known by their priority, handle and name;
//! an uplink is one lab's at a time, so they are that lab's.

use std::io;

use aya::programs::tc::{NlOptions, SchedClassifierLink, TcAttachOptions, TcHandle, qdisc_add_clsact};
use aya::programs::{SchedClassifier, TcAttachType};
use netlab_common::abi::hook::Hook;
use nix::net::if_::if_nametoindex;

use super::attach::{refused, side};
use super::{Error, Interface, Result, Role, programs};
use crate::netlink::{Filter, FilterSocket, Side};

/// Priority of netlab's filters: like its routes' protocol number, by which they are known.
const PRIORITY: u16 = 110;

/// Their handle among those of this priority.
const HANDLE: u32 = 1;

/// What the qdisc is called that netlab's filters hang on.
const CLSACT: &str = "clsact";

/// Whether the lab has a filter for a hook on an interface.
///
/// # Errors
/// When the kernel does not say.
pub fn is_there(interface: &Interface, hook: Hook) -> Result<bool> {
    Ok(find(&interface.name, hook)?.is_some())
}

/// Whether the lab's filter for a hook on an interface is this program.
pub fn holds(interface: &Interface, hook: Hook, program: u32) -> bool {
    find(&interface.name, hook).is_ok_and(|found| found.is_some_and(|filter| filter.program == program))
}

/// Whether an interface has what filters hang on.
///
/// # Errors
/// When the kernel does not say.
pub fn has_clsact(interface: &str) -> Result<bool> {
    let asked = index(interface).and_then(|index| FilterSocket::open()?.hook(index));
    Ok(asked.map_err(|source| failed(interface, source))?.is_some_and(|kind| kind == CLSACT))
}

/// Attaches a program by a filter.
///
/// # Errors
/// When the kernel refuses it, or when something that is not the lab's has its place.
pub fn make(program: &mut SchedClassifier, interface: &Interface, hook: Hook) -> Result<()> {
    if !has_clsact(&interface.name)? {
        qdisc_add_clsact(&interface.name).map_err(|source| Error::Clsact {
            interface: interface.name.clone(),
            source: Box::new(source),
        })?;
    }
    let refused = |source| refused(interface, hook, source);
    let options = NlOptions { priority: PRIORITY, handle: TcHandle::from(HANDLE), ..NlOptions::default() };
    let id = program
        .attach_with_options(&interface.name, side(hook), TcAttachOptions::Netlink(options))
        .map_err(refused)?;
    // Dropping it would take the filter away.
    std::mem::forget(program.take_link(id).map_err(refused)?);
    Ok(())
}

/// Puts a program in the place of the one that the lab's filter holds.
///
/// # Errors
/// When the kernel refuses it.
pub fn replace(program: &mut SchedClassifier, interface: &Interface, hook: Hook) -> Result<()> {
    let refused = |source| refused(interface, hook, source);
    let handle = TcHandle::from(HANDLE);
    let there = SchedClassifierLink::attached(&interface.name, side(hook), PRIORITY, handle, None)
        .map_err(|source| failed(&interface.name, source))?;
    let id = program.attach_to_link(there).map_err(refused)?;
    std::mem::forget(program.take_link(id).map_err(refused)?);
    Ok(())
}

/// Takes the lab's filters off an uplink, and the qdisc if that is netlab's and has no filter left. An interface
/// that is gone has none.
///
/// # Errors
/// When the kernel refuses to take one away; the others are gone then.
pub fn remove(uplink: &str, clsact: bool) -> Result<()> {
    let Ok(index) = index(uplink) else { return Ok(()) };
    let work = || {
        let socket = FilterSocket::open()?;
        let mut done = Ok(());
        for &hook in Role::Uplink.hooks() {
            if let Some(filter) = ours(hook, socket.filters(index, direction(hook))?.1) {
                done = done.and(socket.delete(index, direction(hook), &filter));
            }
        }
        done?;
        let mut left = 0;
        for side in [Side::Ingress, Side::Egress] {
            left += socket.filters(index, side)?.0;
        }
        if clsact && left == 0 && socket.hook(index)?.as_deref() == Some(CLSACT) {
            socket.delete_clsact(index)?;
        }
        Ok(())
    };
    work().map_err(|source| failed(uplink, source))
}

fn find(interface: &str, hook: Hook) -> Result<Option<Filter>> {
    let look = || FilterSocket::open()?.filters(index(interface)?, direction(hook));
    let (_, there) = look().map_err(|source| failed(interface, source))?;
    Ok(ours(hook, there))
}

/// netlab's own among filters. One in its place that bears another name is somebody else's.
fn ours(hook: Hook, there: Vec<Filter>) -> Option<Filter> {
    there
        .into_iter()
        .find(|one| one.priority == PRIORITY && one.handle == HANDLE && one.name == programs::of(hook))
}

fn direction(hook: Hook) -> Side {
    match side(hook) {
        TcAttachType::Ingress => Side::Ingress,
        _ => Side::Egress,
    }
}

fn index(interface: &str) -> io::Result<u32> {
    if_nametoindex(interface).map_err(io::Error::from)
}

fn failed(interface: &str, source: io::Error) -> Error {
    Error::Filter { interface: interface.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_in_our_place_with_another_name_is_not_ours() {
        let name = programs::of(Hook::UplinkIn).to_owned();
        let ours_of =
            |name: &str| Filter { priority: PRIORITY, handle: HANDLE, name: name.to_owned(), program: 7 };
        assert!(ours(Hook::UplinkIn, vec![ours_of(&name)]).is_some());
        assert_eq!(ours(Hook::UplinkIn, vec![ours_of("theirs")]), None);
    }
}
