//! Which of a lab's interfaces take packets over at XDP: chosen anew at each look, because what it hangs on may change
//! while the lab runs, and kept up.

use std::collections::BTreeMap;
use std::fs;

use serde::{Deserialize, Serialize};

use crate::datapath;
use crate::datapath::xdp::{self, Candidate, Choice, Lately, Refusal, Sent, Wish};
use crate::error::Result;
use crate::lab::{Datapath, Lab};
use crate::nat;
use crate::netns::Namespace;
use crate::topology::folder::write_whole;
use crate::topology::{self, LabDir};

/// What each interface of the lab's datapath gets, and how it stands.
pub fn look(lab: &Lab, dir: &LabDir, host: &Namespace, uplink: &str) -> Result<Vec<Choice>> {
    let nodes = nodes(lab, dir, uplink)?;
    Ok(host.enter(|| xdp::look(&lab.name, &candidates(lab, dir, uplink, &nodes), &refusals(dir)))??)
}

/// Attaches, replaces and takes away XDP programs as it is chosen; gives the interfaces where there was none before. With
/// `strictly` an interface that refuses what was asked for is an error, otherwise it stays with TC.
pub fn apply(lab: &Lab, dir: &LabDir, host: &Namespace, uplink: &str, strictly: bool) -> Result<Vec<String>> {
    let nodes = nodes(lab, dir, uplink)?;
    let candidates = candidates(lab, dir, uplink, &nodes);
    let known = refusals(dir);
    let mut lately = lately(dir);
    let (choices, refused) = host.enter(|| {
        let choices = xdp::look(&lab.name, &candidates, &known)?;
        xdp::prepare(&candidates, &choices, |port| {
            lately.entry(port.to_owned()).or_default().taken = true;
            // What is not written down is not given back; that is no reason to leave frames where they are slow.
            let _ = note_lately(dir, &lately);
        })?;
        let refused = xdp::apply(&lab.name, &choices)?;
        Ok::<_, datapath::Error>((choices, refused))
    })??;
    let taken: Vec<String> =
        lately.iter().filter(|(_, note)| note.taken).map(|(port, _)| port.clone()).collect();
    if !taken.is_empty() {
        let given = host.enter(|| xdp::restore(&candidates, &choices, &taken))?;
        for port in &given {
            lately.entry(port.clone()).or_default().taken = false;
        }
        note_lately(dir, &lately)?;
    }
    let asked = |refusal: &&Refusal| {
        let mut of_it = choices.iter().filter(|choice| choice.interface.name == refusal.interface);
        of_it.any(|choice| choice.wish == Wish::Xdp)
    };
    if let Some(refusal) = refused.iter().find(asked).filter(|_| strictly) {
        let Refusal { interface, cause, .. } = refusal.clone();
        return Err(datapath::Error::NoXdp { interface, cause }.into());
    }
    if !refused.is_empty() {
        // They are not asked again: a card may reset at each try.
        note_refusals(dir, &[known, refused.clone()].concat())?;
    }
    let is_new = |choice: &&Choice| {
        choice.way == xdp::Way::Xdp
            && !choice.attached
            && refused.iter().all(|refusal| refusal.interface != choice.interface.name)
    };
    Ok(choices.iter().filter(is_new).map(|choice| choice.interface.name.clone()).collect())
}

/// The namespaces of the nodes at the other ends; one that is gone has none.
fn nodes(lab: &Lab, dir: &LabDir, uplink: &str) -> Result<Vec<Option<Namespace>>> {
    let ends = nat::ends(lab, uplink);
    let names = ends.iter().map(|end| end.other.as_ref().map(|(node, _)| lab.nodes[*node].name.as_str()));
    topology::open_all(dir, names)
}

fn candidates<'a>(
    lab: &Lab,
    dir: &LabDir,
    uplink: &str,
    nodes: &'a [Option<Namespace>],
) -> Vec<Candidate<'a>> {
    let lately = lately(dir);
    let ends = nat::ends(lab, uplink).into_iter().zip(nodes);
    let candidate = |(end, namespace): (nat::HostEnd, &'a Option<Namespace>)| Candidate {
        lately: match lately.get(&end.interface.name) {
            Some(Note { frames: true, .. }) => Lately::Frames,
            Some(Note { taken: true, .. }) => Lately::Sockets,
            _ => Lately::Little,
        },
        interface: end.interface,
        wish: match end.datapath {
            Datapath::Auto => Wish::Auto,
            Datapath::Tc => Wish::Tc,
            Datapath::Xdp => Wish::Xdp,
        },
        other: namespace.as_ref().zip(end.other.map(|(_, name)| name)),
    };
    ends.map(candidate).collect()
}

/// Looks at what has come by the interfaces whose way netlab chooses since it last looked, a second ago, and has those
/// taken over in another way to which something else comes now. Nothing is to be gained where packets do not cross past
/// the stack. Whether there were any.
pub fn follow_traffic(
    lab: &Lab,
    dir: &LabDir,
    host: &Namespace,
    uplink: &str,
    crosses: bool,
    before: &mut BTreeMap<String, Sent>,
) -> Result<bool> {
    if nat::ends(lab, uplink).len() > FEW {
        return Ok(false);
    }
    let nodes = nodes(lab, dir, uplink)?;
    let mut candidates = candidates(lab, dir, uplink, &nodes);
    candidates.retain(|candidate| candidate.wish == Wish::Auto);
    let now = xdp::sent(&candidates);
    let mut lately = lately(dir);
    let mut is_changed = false;
    for (name, sent) in &now {
        let Some(before) = before.get(name) else { continue };
        let note = lately.entry(name.clone()).or_default();
        let is = crosses && sent.since(*before).is_for_frames(note.frames);
        if note.frames != is {
            note.frames = is;
            is_changed = true;
        }
    }
    // Who changes rules may attach programs, too. If somebody is at it, the next second will show the same.
    let Some(_lock) = is_changed.then(|| dir.lock_rules().ok()).flatten() else {
        if !is_changed {
            *before = now;
        }
        return Ok(false);
    };
    *before = now;
    note_lately(dir, &lately)?;
    apply(lab, dir, host, uplink, false)?;
    Ok(true)
}

/// What is known of an interface's other end from one look to the next.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Note {
    /// Frames come from there.
    frames: bool,
    /// Its sockets' offloads were taken from them for that.
    taken: bool,
}

/// What is known of the interfaces; nothing if that cannot be read.
fn lately(dir: &LabDir) -> BTreeMap<String, Note> {
    let text = fs::read(dir.path().join(LATELY)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn note_lately(dir: &LabDir, lately: &BTreeMap<String, Note>) -> Result<()> {
    let text = serde_json::to_vec_pretty(lately).expect("names and truths can be written");
    Ok(write_whole(&dir.path().join(LATELY), &text)?)
}

/// Interfaces of a lab in which each is looked at every second. In larger ones it would take too much of the time that they
/// are there to measure.
const FEW: usize = 64;

/// The file in the lab's folder that says what has come lately.
const LATELY: &str = "lately.json";

/// Which interfaces have refused a program so far; none if that cannot be read.
fn refusals(dir: &LabDir) -> Vec<Refusal> {
    let text = fs::read(dir.path().join("xdp.json")).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn note_refusals(dir: &LabDir, refusals: &[Refusal]) -> Result<()> {
    let text = serde_json::to_vec_pretty(refusals).expect("texts and numbers can be written");
    Ok(write_whole(&dir.path().join("xdp.json"), &text)?)
}
