//! Brings a lab up whole or not at all: builds it, and on an error or an interruption undoes it by the same
//! teardown that `down` uses.

use std::future::Future;

use super::build::{Builder, look, position};
use super::error::BuildError;
use super::folder::LabDir;
use super::journal::{Interface, Journal};
use super::{Plan, teardown};
use crate::error::{Explain, Failure, Kind};
use crate::lab::{Lab, Place};
use crate::netlink::Netlink;
use crate::netns;
use crate::netns::{Found, Namespace};

/// A lab that is up.
#[derive(Debug)]
pub struct Built {
    /// The host, then the nodes in order.
    namespaces: Vec<Namespace>,
    /// The uplink, if the lab has one.
    pub uplink: Option<Interface>,
    /// The lab's bridges, in the order of `Lab::bridges`.
    pub bridges: Vec<Interface>,
    /// Every cable end in the host's stack, in the order of `Lab::cables`.
    pub ports: Vec<Port>,
}

/// A cable's end in the host's stack: what the datapath attaches its programs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Interface name.
    pub name: String,
    /// Interface index in the host's stack.
    pub index: u32,
    /// Index into `Lab::cables`.
    pub cable: usize,
    /// Who is at the other end.
    pub other: Place,
    /// Index into `Lab::bridges` of the bridge that it is a port of.
    pub bridge: Option<usize>,
    /// Whether it is the cable's far end; the near end is in the node that declares the link.
    pub far: bool,
}

impl Built {
    /// The namespace of a place.
    pub fn namespace(&self, place: Place) -> &Namespace {
        &self.namespaces[position(place)]
    }

    /// The host's namespace and those of the nodes, with their places.
    pub fn namespaces(&self) -> impl Iterator<Item = (Place, &Namespace)> {
        let places = std::iter::once(Place::Host).chain((0..).map(Place::Node));
        places.zip(&self.namespaces)
    }
}

/// Makes everything in the plan. `cancel` interrupts it when it is ready. After an error or an interruption
/// nothing of the lab is left, or the failure says what is.
///
/// The caller holds the lab's lock (`LabDir::lock`) and has run `preflight`.
pub async fn apply(lab: &Lab, plan: &Plan, dir: &LabDir, cancel: impl Future) -> Result<Built, Failure> {
    // This comes before anything that an undo would follow: the journal is a running lab's.
    if dir.journal().exists() {
        return Err(BuildError::Exists(lab.name.clone()).into());
    }
    let outcome = tokio::select! {
        biased;
        _ = cancel => Err(BuildError::Interrupted),
        built = build(lab, plan, dir) => built,
    };
    let error = match outcome {
        Ok(built) => return Ok(built),
        Err(error) => error,
    };
    let mut failure = Failure::from(error);
    let problems = teardown::teardown(dir).await;
    if problems.is_empty() {
        failure.hints.insert(0, "what had been made of the lab was undone".to_owned());
    }
    for problem in problems {
        failure.hints.push(format!("while undoing it: {problem}"));
        failure.hints.extend(problem.hints());
    }
    Err(failure)
}

async fn build(lab: &Lab, plan: &Plan, dir: &LabDir) -> Result<Built, BuildError> {
    let mut builder = Builder::prepare(lab, plan, dir).await?;
    builder.write_journal()?;
    builder.run().await?;
    let uplink = builder.finish().await?;
    let namespaces = builder.stacks.into_iter();
    let (namespaces, mut indexes): (Vec<_>, Vec<_>) =
        namespaces.map(|stack| (stack.namespace, stack.indexes)).unzip();
    let indexes = indexes.swap_remove(position(Place::Host));
    assemble(lab, namespaces, uplink, |name| indexes.get(name).copied())
}

/// Opens a lab that is up already, for instance when the agent starts again.
pub async fn reopen(lab: &Lab, dir: &LabDir) -> Result<Built, Failure> {
    let journal = read(dir)?;
    let namespaces = super::places(lab).map(|place| open_own(&journal, lab.namespace(place)));
    let namespaces: Vec<_> = namespaces.collect::<Result<_, _>>()?;
    let netlink = namespaces[position(Place::Host)].enter(Netlink::open)?;
    let netlink = netlink.map_err(|source| BuildError::Look { site: "host".to_owned(), source })?;
    let indexes = look(&netlink, "host").await?;
    Ok(assemble(lab, namespaces, journal.uplink, |name| indexes.get(name).copied())?)
}

/// Opens one namespace of a lab that is up: by its name, or with `None` the host's stack if that is not the
/// lab's own. Refuses a namespace that somebody has put in the place of the lab's.
pub fn open(dir: &LabDir, namespace: Option<&str>) -> Result<Namespace, Failure> {
    open_own(&read(dir)?, namespace)
}

/// As [`open`] for several at once; one that is gone, or that was not named, is `None`.
pub fn open_all<'a>(
    dir: &LabDir,
    namespaces: impl Iterator<Item = Option<&'a str>>,
) -> Result<Vec<Option<Namespace>>, Failure> {
    let journal = read(dir)?;
    Ok(namespaces.map(|name| name.and_then(|name| open_own(&journal, Some(name)).ok())).collect())
}

fn read(dir: &LabDir) -> Result<Journal, Failure> {
    Journal::read(dir)?.ok_or_else(|| {
        let message = format!("the lab \"{}\" is not up", dir.name());
        Failure::new(Kind::Missing, message).hint("bring it up: `netlab up`")
    })
}

fn open_own(journal: &Journal, name: Option<&str>) -> Result<Namespace, Failure> {
    let lab = &journal.lab;
    let anew = format!("make the lab anew: `netlab down -l {lab}`, then `netlab up`");
    let Some(name) = name else {
        let gone = || Failure::new(Kind::Failed, format!("the host stack of the lab \"{lab}\" is gone"));
        return teardown::find_stack(journal.host).ok_or_else(|| gone().hint(anew));
    };
    let ours = journal.namespaces.iter().find(|record| record.name == name);
    let Some(ours) = ours else {
        let message = format!("the lab \"{lab}\" has no namespace \"{name}\"");
        return Err(Failure::new(Kind::Missing, message));
    };
    match netns::find(name, ours.identity)? {
        Found::Expected(namespace) => Ok(namespace),
        Found::Nothing | Found::Leftover => {
            let message = format!("the namespace \"{name}\" of the lab \"{lab}\" is gone");
            Err(Failure::new(Kind::Missing, message).hint(anew))
        }
        Found::Foreign => {
            let message =
                format!("the namespace \"{name}\" is no longer the one that the lab \"{lab}\" made");
            Err(Failure::new(Kind::Conflict, message).hint(anew))
        }
    }
}

fn assemble(
    lab: &Lab,
    namespaces: Vec<Namespace>,
    uplink: Option<Interface>,
    index: impl Fn(&str) -> Option<u32>,
) -> Result<Built, BuildError> {
    let interface = |name: &str| match index(name) {
        Some(index) => Ok(Interface { name: name.to_owned(), index }),
        None => Err(BuildError::NoInterface { site: "host".to_owned(), interface: name.to_owned() }),
    };
    let bridges = lab.bridges.iter().map(|bridge| interface(&bridge.name)).collect::<Result<_, _>>()?;
    let mut ports = Vec::new();
    for (cable, wire) in lab.cables.iter().enumerate() {
        for (end, other, far) in [(&wire.near, &wire.far, false), (&wire.far, &wire.near, true)] {
            if end.place == Place::Host {
                let Interface { name, index } = interface(&end.name)?;
                let bridge = wire.bridge.filter(|_| far);
                ports.push(Port { name, index, cable, other: other.place, bridge, far });
            }
        }
    }
    Ok(Built { namespaces, uplink, bridges, ports })
}

/// Whether the namespace with this name belongs to a running lab, and to which.
pub(super) fn owner(name: &str) -> Option<String> {
    let namespace = Namespace::open(name).ok()?;
    let journals = LabDir::list().into_iter().filter_map(|dir| Journal::read(&dir).ok().flatten());
    let owns = |journal: &Journal| {
        let mut records = journal.namespaces.iter();
        records.any(|record| record.name == name && record.identity == namespace.identity())
    };
    journals.into_iter().find(owns).map(|journal| journal.lab)
}

/// Whether anything has this namespace name.
pub(super) fn name_is_taken(name: &str) -> bool {
    netns::path(name).symlink_metadata().is_ok()
}
