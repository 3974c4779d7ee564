//! Keeping the datapath's ways out true to the host: looking at it now and then and after each change, and telling the
//! maps.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::datapath::exits::Exits;
use crate::datapath::{Interface, Role};
use crate::error::Result;
use crate::lab::Lab;
use crate::netlink::{Monitor, Netlink};
use crate::netns::Namespace;
use crate::topology::LabDir;
use crate::ways::Sight;
use crate::{nat, topology};

/// What follows the ways of one lab.
pub struct Ways {
    exits: Exits,
    host: Namespace,
    uplink: String,
    changes: Monitor,
    looked: Option<Instant>,
}

/// Interfaces that are looked at each second; of a larger lab only every ten seconds, and after changes.
const FEW: usize = 64;
const REST: Duration = Duration::from_secs(10);

impl Ways {
    /// Opens a lab's maps, and hears of changes in its host's stack from now on.
    pub fn open(lab: &Lab, dir: &LabDir, uplink: &str) -> Result<Self> {
        let host = topology::open(dir, lab.host.namespace.as_deref())?;
        let changes = host.enter(Monitor::of_ways)??;
        Ok(Ways { exits: Exits::open(&lab.name)?, host, uplink: uplink.to_owned(), changes, looked: None })
    }

    /// Waits for a change.
    pub async fn changed(&mut self) {
        self.changes.changed().await;
    }

    /// Something has changed: what was learnt may be wrong.
    pub async fn follow(&mut self, lab: &Lab) -> Result<()> {
        self.changes.drain();
        self.exits.forget()?;
        self.look(lab).await
    }

    /// Looks at what nobody tells of.
    pub async fn look_now_and_then(&mut self, lab: &Lab) -> Result<()> {
        let interfaces = nat::interfaces(lab, &self.uplink).len();
        if interfaces > FEW && self.looked.is_some_and(|looked| looked.elapsed() < REST) {
            return Ok(());
        }
        self.look(lab).await
    }

    async fn look(&mut self, lab: &Lab) -> Result<()> {
        self.looked = Some(Instant::now());
        let interfaces = nat::interfaces(lab, &self.uplink);
        let sight = sight(&self.host, &self.uplink, &interfaces).await?;
        self.exits.say(&sight.exits())?;
        Ok(())
    }
}

/// The host's side as it is now.
async fn sight(host: &Namespace, uplink: &str, interfaces: &[Interface]) -> Result<Sight> {
    let netlink = host.enter(Netlink::open)??;
    let mut links: BTreeMap<_, _> =
        netlink.links().await?.into_iter().map(|link| (link.name.clone(), link)).collect();
    let mut sight = Sight { uplink: uplink.to_owned(), ..Sight::default() };
    for interface in interfaces.iter().filter(|one| one.role != Role::Loopback) {
        let Some(link) = links.remove(&interface.name) else { continue };
        let peer = match link.peer {
            Some(at) => netlink.peer(at).await?,
            None => None,
        };
        sight.interfaces.push((link, peer));
    }
    Ok(sight)
}
