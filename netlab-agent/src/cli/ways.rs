//! Which of a lab's interfaces take packets over at XDP: chosen anew at each look, because what it hangs on may change
//! while the lab runs, and kept up.

use std::fs;

use crate::datapath;
use crate::datapath::xdp::{self, Candidate, Choice, Refusal, Wish};
use crate::error::Result;
use crate::lab::{Datapath, Lab};
use crate::nat;
use crate::netns::Namespace;
use crate::topology::folder::write_whole;
use crate::topology::{self, LabDir};

/// What each interface of the lab's datapath gets, and how it stands.
pub fn look(lab: &Lab, dir: &LabDir, host: &Namespace, uplink: &str) -> Result<Vec<Choice>> {
    let nodes = nodes(lab, dir, uplink)?;
    Ok(host.enter(|| xdp::look(&lab.name, &candidates(lab, uplink, &nodes), &refusals(dir)))??)
}

/// Attaches, replaces and takes away XDP programs as it is chosen; gives the interfaces where there was none before. With
/// `strictly` an interface that refuses what was asked for is an error, otherwise it stays with TC.
pub fn apply(lab: &Lab, dir: &LabDir, host: &Namespace, uplink: &str, strictly: bool) -> Result<Vec<String>> {
    let nodes = nodes(lab, dir, uplink)?;
    let candidates = candidates(lab, uplink, &nodes);
    let known = refusals(dir);
    let (choices, refused) = host.enter(|| {
        let choices = xdp::look(&lab.name, &candidates, &known)?;
        xdp::prepare(&candidates, &choices)?;
        let refused = xdp::apply(&lab.name, &choices)?;
        Ok::<_, datapath::Error>((choices, refused))
    })??;
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

fn candidates<'a>(lab: &Lab, uplink: &str, nodes: &'a [Option<Namespace>]) -> Vec<Candidate<'a>> {
    let ends = nat::ends(lab, uplink).into_iter().zip(nodes);
    let candidate = |(end, namespace): (nat::HostEnd, &'a Option<Namespace>)| Candidate {
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

/// Which interfaces have refused a program so far; none if that cannot be read.
fn refusals(dir: &LabDir) -> Vec<Refusal> {
    let text = fs::read(dir.path().join("xdp.json")).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn note_refusals(dir: &LabDir, refusals: &[Refusal]) -> Result<()> {
    let text = serde_json::to_vec_pretty(refusals).expect("texts and numbers can be written");
    Ok(write_whole(&dir.path().join("xdp.json"), &text)?)
}
