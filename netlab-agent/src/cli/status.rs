//! `netlab status`: a running lab at a glance, or which labs run.

use super::running::find;
use super::{Format, print};
use crate::datapath::maps::Maps;
use crate::error::Result;
use crate::output::status::{self, DatapathHealth, Health};
use crate::topology::folder::LabDir;
use crate::{agent, conntrack, sys};

/// Shows the lab of this name or the only one; of several, which there are.
pub fn status(lab: Option<&str>, format: Format) -> Result<u8> {
    let labs = LabDir::list();
    if lab.is_none() && labs.len() > 1 && format == Format::Table {
        let rows: Vec<_> = labs.iter().map(|dir| (dir.name().to_owned(), agent::find(dir))).collect();
        print(&status::labs(&rows))?;
        return Ok(0);
    }
    let running = find(lab)?;
    let datapath = match running.lab.host.uplink {
        None => None,
        Some(_) => {
            let maps = Maps::open(&running.lab.name)?;
            Some(DatapathHealth {
                flows: conntrack::list(&maps, sys::monotonic_now())?.len(),
                capacity: maps.flows.len(),
                memory: maps.memory(),
            })
        }
    };
    let health = Health { agent: agent::find(&running.dir), datapath };
    print(&match format {
        Format::Table => status::table(&running.lab, &health),
        Format::Json => status::json(&running.lab, &health),
    })?;
    Ok(0)
}
