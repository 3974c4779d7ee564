//! `netlab stats`: what each hook received, and what became of it.

use super::running::find;
use super::{Format, print};
use crate::datapath::maps::Maps;
use crate::error::{Failure, Kind, Result};
use crate::output::books;
use crate::stats;

/// Shows every hook's books.
pub fn stats(lab: Option<&str>, format: Format) -> Result<u8> {
    let running = find(lab)?;
    if running.lab.host.uplink.is_none() {
        return Err(Failure::new(
            Kind::Missing,
            format!("lab {} has no uplink, so no program counts its packets", running.lab.name),
        )
        .hint("give `[host]` an `uplink` in the lab file"));
    }
    let hooks = stats::hooks(&Maps::open(&running.lab.name)?)?;
    print(&match format {
        Format::Table => books::table(&hooks),
        Format::Json => books::json(&running.lab.name, &hooks),
    })?;
    Ok(0)
}
