//! `netlab forward ls` and `netlab masquerade ls`: the rules and what they have done.

use super::running::{Running, find};
use super::{Format, print};
use crate::datapath::maps::Maps;
use crate::error::Result;
use crate::output::rules::{self, ForwardRow, MasqueradeRow};
use crate::{nat, stats};

/// Lists the port forwards.
pub fn forwards(lab: Option<&str>, format: Format) -> Result<u8> {
    let Running { lab, .. } = find(lab)?;
    let counters = match lab.forwards.is_empty() {
        true => Vec::new(),
        false => stats::rules(&Maps::open(&lab.name)?, lab.forwards.len() as u32)?,
    };
    let rows: Vec<ForwardRow<'_>> = lab
        .forwards
        .iter()
        .zip(counters)
        .enumerate()
        .map(|(index, (forward, counters))| ForwardRow {
            rule: index as u32,
            node: &lab.nodes[forward.node].name,
            forward,
            counters,
        })
        .collect();
    print(&match format {
        Format::Table => rules::forward_table(&rows),
        Format::Json => rules::forward_json(&lab.name, &rows),
    })?;
    Ok(0)
}

/// Lists the masquerades.
pub fn masquerades(lab: Option<&str>, format: Format) -> Result<u8> {
    let Running { lab, .. } = find(lab)?;
    let mut rows = Vec::new();
    if !lab.masquerades.is_empty() {
        let maps = Maps::open(&lab.name)?;
        for (index, masquerade) in lab.masquerades.iter().enumerate() {
            let rule = nat::masquerade_rule(&lab, index);
            rows.push(MasqueradeRow { rule, masquerade, counters: maps.rule(rule)? });
        }
    }
    print(&match format {
        Format::Table => rules::masquerade_table(&rows),
        Format::Json => rules::masquerade_json(&lab.name, &rows),
    })?;
    Ok(0)
}
