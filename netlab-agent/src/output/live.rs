//! The view that `up --foreground` draws every second.

use super::{books, flows, rules};
use crate::datapath::{self, maps::Maps};
use crate::lab::Lab;
use crate::{conntrack, stats};

/// Flows that fit beside the rest on a terminal of common height.
const FLOWS_SHOWN: usize = 6;

/// Rules, the latest flows and the hooks' books as one screen.
///
/// # Errors
/// What the kernel says when the maps are read.
pub fn view(lab: &Lab, maps: Option<&Maps>) -> datapath::Result<String> {
    let mut text = format!("lab {} is up; Ctrl-C takes it down\n\n", lab.name);
    let Some(maps) = maps else { return Ok(text) };
    let mut forwards = Vec::new();
    for forward in &lab.forwards {
        forwards.push(rules::ForwardRow { forward, counters: maps.rule(forward.rule)? });
    }
    let mut masquerades = Vec::new();
    for masquerade in &lab.masquerades {
        masquerades.push(rules::MasqueradeRow { masquerade, counters: maps.rule(masquerade.rule)? });
    }
    if !forwards.is_empty() {
        text.push_str(&rules::forward_table(lab, &forwards));
        text.push('\n');
    }
    if !masquerades.is_empty() {
        text.push_str(&rules::masquerade_table(&masquerades));
        text.push('\n');
    }
    let mut flows = conntrack::walk(maps)?;
    let views: Vec<_> = flows.by_ref().take(FLOWS_SHOWN).collect();
    let all = views.len() + flows.count();
    text.push_str(&flows::table_of(lab, &views));
    if all > views.len() {
        text.push_str(&format!("… of {all}; `netlab conntrack ls` shows them all\n"));
    }
    text.push('\n');
    text.push_str(&books::table(&stats::hooks(maps)?));
    Ok(text)
}

/// The view with each line cut to the terminal's columns: a line that wraps pushes another off the screen.
pub fn fitted(text: &str, columns: Option<usize>) -> String {
    let Some(columns) = columns else { return text.to_owned() };
    let cut = |line: &str| match line.char_indices().nth(columns) {
        None => format!("{line}\n"),
        Some(_) => line.chars().take(columns.saturating_sub(1)).chain("…\n".chars()).collect(),
    };
    text.lines().map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::fitted;

    #[test]
    fn only_lines_that_are_too_long_are_cut() {
        assert_eq!(fitted("12345\n123456\n", Some(5)), "12345\n1234…\n");
        assert_eq!(fitted("12345\n", None), "12345\n");
    }
}
