//! `netlab forward ls` and `netlab masquerade ls`: the rules and what they have done.

use super::running::{Running, find};
use super::{Format, print};
use crate::datapath::maps::Maps;
use crate::error::Result;
use crate::output::rules::{self, ForwardRow, MasqueradeRow};

/// Lists the port forwards.
pub fn forwards(lab: Option<&str>, format: Format) -> Result<u8> {
    let Running { lab, .. } = find(lab)?;
    let mut rows = Vec::new();
    if !lab.forwards.is_empty() {
        let maps = Maps::open(&lab.name)?;
        for forward in &lab.forwards {
            rows.push(ForwardRow { forward, counters: maps.rule(forward.rule)? });
        }
    }
    print(&match format {
        Format::Table => rules::forward_table(&lab, &rows),
        Format::Json => rules::forward_json(&lab, &rows),
    })?;
    Ok(0)
}

/// Lists the masquerades.
pub fn masquerades(lab: Option<&str>, format: Format) -> Result<u8> {
    let Running { lab, .. } = find(lab)?;
    let mut rows = Vec::new();
    if !lab.masquerades.is_empty() {
        let maps = Maps::open(&lab.name)?;
        for masquerade in &lab.masquerades {
            rows.push(MasqueradeRow { masquerade, counters: maps.rule(masquerade.rule)? });
        }
    }
    print(&match format {
        Format::Table => rules::masquerade_table(&rows),
        Format::Json => rules::masquerade_json(&lab, &rows),
    })?;
    Ok(0)
}
