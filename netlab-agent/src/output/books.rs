//! The hooks' books: received, and what became of it.

use netlab_common::abi::verdict::{Disposition, Verdict};
use serde_json::{Value, json};

use super::{json as document, size, table as render};
use crate::stats::HookStats;

const DISPOSITIONS: [Disposition; 3] = [Disposition::Forwarded, Disposition::Passed, Disposition::Dropped];

/// One block a hook: its sum, then each verdict that occurred.
pub fn table(hooks: &[HookStats]) -> String {
    let mut rows = Vec::new();
    for hook in hooks {
        let received = &hook.received;
        rows.push(vec![
            hook.hook.name().into(),
            "received".into(),
            received.packets.to_string(),
            size(received.bytes),
        ]);
        for (verdict, count) in &hook.verdicts {
            rows.push(vec![
                String::new(),
                format!("{} {}", verdict.disposition().name(), verdict.name()),
                count.packets.to_string(),
                size(count.bytes),
            ]);
        }
    }
    let mut text = render(&["HOOK", "VERDICT", "PKTS", "BYTES"], rows, &[2, 3]);
    for hook in hooks {
        text.push_str(&sum(hook));
    }
    // Why packets went on is told by the verdict's name; why they ended wants a sentence.
    let mut dropped: Vec<Verdict> = hooks
        .iter()
        .flat_map(|hook| hook.verdicts.iter().map(|(verdict, _)| *verdict))
        .filter(|verdict| verdict.disposition() == Disposition::Dropped)
        .collect();
    dropped.sort();
    dropped.dedup();
    for verdict in dropped {
        text.push_str(&format!("{}: the packet{}\n", verdict.name(), lower_first(verdict.explain())));
    }
    text
}

/// The documentation's sentence as the rest of one.
fn lower_first(sentence: &str) -> String {
    let sentence = sentence.trim();
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| format!(" {}{}", first.to_lowercase(), letters.as_str()))
}

/// `received = forwarded + passed + dropped`, in numbers.
fn sum(hook: &HookStats) -> String {
    let parts: Vec<String> = DISPOSITIONS
        .iter()
        .map(|&disposition| format!("{} {}", hook.packets(disposition), disposition.name()))
        .collect();
    let name = hook.hook.name();
    let received = hook.received.packets;
    match hook.unexplained() {
        0 => format!("{name}: {received} received = {}\n", parts.join(" + ")),
        rest => format!("{name}: {received} received = {} + {rest} under way\n", parts.join(" + ")),
    }
}

/// The same for programs.
pub fn json(lab: &str, hooks: &[HookStats]) -> String {
    let hooks: Vec<Value> = hooks
        .iter()
        .map(|hook| {
            let verdicts: Vec<Value> = hook
                .verdicts
                .iter()
                .map(|(verdict, count)| {
                    json!({
                        "name": verdict.name(),
                        "disposition": verdict.disposition().name(),
                        "packets": count.packets,
                        "bytes": count.bytes,
                    })
                })
                .collect();
            json!({
                "hook": hook.hook.name(),
                "received": { "packets": hook.received.packets, "bytes": hook.received.bytes },
                "forwarded": hook.packets(Disposition::Forwarded),
                "passed": hook.packets(Disposition::Passed),
                "dropped": hook.packets(Disposition::Dropped),
                "verdicts": verdicts,
            })
        })
        .collect();
    document("stats", lab, json!({ "hooks": hooks }))
}
