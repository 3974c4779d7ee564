//! `netlab conntrack ls`: the flow table.

use super::running::find;
use super::{Format, print};
use crate::conntrack;
use crate::datapath::maps::Maps;
use crate::error::Result;
use crate::output::flows;
use crate::sys;

/// Lists every flow whose time is not up.
pub fn ls(lab: Option<&str>, format: Format) -> Result<u8> {
    let running = find(lab)?;
    let views = match running.lab.host.uplink {
        Some(_) => conntrack::list(&Maps::open(&running.lab.name)?, sys::monotonic_now())?,
        None => Vec::new(),
    };
    print(&match format {
        Format::Table => flows::table_of(&running.lab, &views),
        Format::Json => flows::json(&running.lab, &views),
    })?;
    Ok(0)
}
