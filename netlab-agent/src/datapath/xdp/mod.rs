//! Which interfaces take packets over at XDP, and their programs there. The programs at TC stay where they are: what
//! does not take the shortcut at XDP is theirs, as if there were no XDP.
//!
//! A veth is a special case. What its other end's sockets send comes as aggregates without checksums, which are made
//! good for by whoever hands them to a card; an XDP program sends on bytes. And a veth takes frames from XDP only while
//! its other end polls, which it does with GRO on. So the other ends of the lab's veths are told what they must not
//! leave undone. They vanish with the lab, and nothing has to be put back.

mod attach;
mod choose;
mod traffic;

use std::io;

pub use attach::{Refusal, apply};
pub use choose::{Facts, OtherEnd, choose, takes_frames};
pub use traffic::{Sent, sent};

use super::{Error, Interface, Result, Role, bpffs, links};
use crate::netlink::device::{self, Device};
use crate::netns::Namespace;
use crate::sys::ethtool::{Ethtool, Feature};

/// What is wished for an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// XDP where that costs nothing.
    Auto,
    /// TC.
    Tc,
    /// XDP wherever it can be had.
    Xdp,
}

/// Where an interface's packets are taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As socket buffers only.
    Tc,
    /// As frames too.
    Xdp,
}

impl Way {
    /// As the lab file has it.
    pub fn name(self) -> &'static str {
        match self {
            Way::Tc => "tc",
            Way::Xdp => "xdp",
        }
    }
}

/// An interface that a choice is made for.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// It.
    pub interface: Interface,
    /// What is wished for it.
    pub wish: Wish,
    /// Where its other end is, and what that is called there, if it is a veth into one of the lab's nodes.
    pub other: Option<(&'a Namespace, String)>,
    /// What has come from there lately.
    pub lately: Lately,
}

/// What a veth's other end has sent lately, as far as that matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lately {
    /// Nothing that would.
    #[default]
    Little,
    /// Frames, in great numbers.
    Frames,
    /// What sockets send, after frames, for which something was taken from them.
    Sockets,
}

/// What was chosen for an interface, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The interface.
    pub interface: Interface,
    /// Its index; 0 if it is not there.
    pub index: u32,
    /// What was wished.
    pub wish: Wish,
    /// What it is.
    pub way: Way,
    /// Why, in words.
    pub why: String,
    /// What is to be said against it.
    pub warning: Option<&'static str>,
    /// Frames may be sent there from another interface's XDP program, as it is at the moment.
    pub takes_frames: bool,
    /// The lab's program is on it.
    pub attached: bool,
    /// The lab has put one on an interface of this name, whether that is still this one or not.
    pub pinned: bool,
}

/// Looks at interfaces of the calling thread's network namespace and chooses for each. `refusals` are those of
/// [`apply`] before.
///
/// # Errors
/// When the kernel does not say what there is.
pub fn look(lab: &str, candidates: &[Candidate<'_>], refusals: &[Refusal]) -> Result<Vec<Choice>> {
    let failed = |source: io::Error| Error::Look { source };
    let devices = device::devices().map_err(failed)?;
    let ethtool = Ethtool::open().map_err(failed)?;
    let one = |candidate: &Candidate<'_>| {
        let name = &candidate.interface.name;
        let device = devices.iter().find(|device| device.name == *name);
        let facts = device.map(|device| facts(lab, candidate, device, &ethtool, refusals));
        let (way, why, warning) = choose(candidate.wish, facts.as_ref());
        Choice {
            interface: candidate.interface.clone(),
            index: device.map_or(0, |device| device.index),
            wish: candidate.wish,
            way,
            why,
            warning,
            takes_frames: facts.as_ref().is_some_and(takes_frames),
            attached: facts.as_ref().is_some_and(|facts| facts.ours),
            pinned: bpffs::xdp_link(lab, name).exists(),
        }
    };
    Ok(candidates.iter().filter(|one| one.interface.role != Role::Loopback).map(one).collect())
}

fn facts(
    lab: &str,
    candidate: &Candidate<'_>,
    device: &Device,
    ethtool: &Ethtool,
    refusals: &[Refusal],
) -> Facts {
    let pinned = links::program_of(&bpffs::xdp_link(lab, &device.name));
    let ours = pinned.is_some() && device.driver_program == pinned;
    let is_veth = device.kind == "veth";
    let driver = ethtool.driver(&device.name).unwrap_or_else(|_| device.kind.clone());
    let refusal = refusals.iter().find(|refusal| refusal.index == device.index);
    Facts {
        driver: if driver.is_empty() { device.name.clone() } else { driver },
        mtu: device.mtu,
        features: device.features,
        ours,
        held: !ours && device.program.is_some(),
        refused: refusal.map(|refusal| refusal.cause.clone()),
        lately: candidate.lately,
        other: match &candidate.other {
            _ if !is_veth => OtherEnd::None,
            Some((namespace, name)) => end(namespace, name).unwrap_or(OtherEnd::Foreign),
            None => OtherEnd::Foreign,
        },
    }
}

/// What the other end of a veth does; nothing if it cannot be looked at, as when somebody has moved it.
fn end(namespace: &Namespace, name: &str) -> Option<OtherEnd> {
    let look = || {
        let ethtool = Ethtool::open()?;
        Ok::<_, io::Error>(OtherEnd::Ours {
            checksums: ethtool.does(name, Feature::Checksums)?,
            segmentation: ethtool.does(name, Feature::Segmentation)?,
            gro: ethtool.does(name, Feature::Gro)?,
        })
    };
    namespace.enter(look).ok()?.ok()
}

/// Has the other ends of the lab's veths do what those need that are to run XDP, and those that are to take their
/// frames. To be called before the programs are attached. Whose checksums are taken over for frames' sake, and may be given
/// back, is told before it is done.
///
/// # Errors
/// When an end refuses.
pub fn prepare(candidates: &[Candidate<'_>], choices: &[Choice], mut takes: impl FnMut(&str)) -> Result<()> {
    if choices.iter().all(|choice| choice.way == Way::Tc) {
        return Ok(());
    }
    for candidate in candidates {
        let Some((namespace, name)) = &candidate.other else { continue };
        let choice = choices.iter().find(|choice| choice.interface == candidate.interface);
        // What was wished is done, and frames get what they need; what `auto` found otherwise needs nothing.
        let is_for_frames = candidate.lately == Lately::Frames;
        let is_xdp = choice.is_some_and(|choice| choice.way == Way::Xdp);
        let whole = is_xdp && (candidate.wish == Wish::Xdp || is_for_frames);
        let mut switch = || {
            let ethtool = Ethtool::open()?;
            if whole && ethtool.does(name, Feature::Checksums)? {
                if candidate.wish == Wish::Auto {
                    takes(&candidate.interface.name);
                }
                ethtool.set(name, Feature::Checksums, false)?;
            }
            if is_xdp {
                // A program sees the frame alone, and would take a tagged one for one without.
                ethtool.write_tags(name)?;
            }
            if !ethtool.does(name, Feature::Gro)? {
                ethtool.set(name, Feature::Gro, true)?;
            }
            Ok(())
        };
        let failed = |source| Error::Offloads {
            interface: name.clone(),
            port: candidate.interface.name.clone(),
            source,
        };
        match namespace.enter(&mut switch) {
            Ok(Err(source)) if is_xdp => {
                return Err(failed(source));
            }
            // One that cannot be switched takes no frames, and is not there to lose any.
            _ => {}
        }
    }
    Ok(())
}

/// Gives the sockets at the other ends the offloads back that were taken from them for frames, wherever the port is with
/// TC now; the ports for which that is done. To be called when no XDP program is there any more, which would send on what
/// they leave undone.
pub fn restore(candidates: &[Candidate<'_>], choices: &[Choice], taken: &[String]) -> Vec<String> {
    let mut done = Vec::new();
    for candidate in candidates {
        let port = &candidate.interface.name;
        let is_at_tc =
            choices.iter().any(|choice| choice.interface == candidate.interface && choice.way == Way::Tc);
        if !is_at_tc || !taken.contains(port) {
            continue;
        }
        // An end that is gone has taken them with it.
        let Some((namespace, name)) = &candidate.other else {
            done.push(port.clone());
            continue;
        };
        if matches!(namespace.enter(|| Ethtool::open()?.set(name, Feature::Checksums, true)), Ok(Ok(()))) {
            done.push(port.clone());
        }
    }
    done
}
