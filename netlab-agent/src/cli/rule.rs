//! `netlab forward add` and `rm`: rules of a running lab change without touching flows they do not concern.

use clap::Subcommand;

use super::running::{self, Running, find};
use super::{Output, nat, note, print, runtime};
use crate::conntrack;
use crate::datapath::maps::Maps;
use crate::datapath::rules::RuleMaps;
use crate::error::{Failure, Kind, Result};
use crate::lab::{self, Forward, Lab};
use crate::topology::LabLock;
use crate::topology::journal::Journal;

/// What to do with the forwards.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List them.
    Ls(Output),
    /// Add one to the running lab, until it is taken down.
    Add {
        /// `[HOST_IP:]HOST_PORT[-END]:NODE[:PORT][,NODE[:PORT]…][/tcp|udp]`, as in the lab file.
        publish: String,
        /// Only these sources may use it; may be given several times.
        #[arg(long, value_name = "NET")]
        allow: Vec<String>,
    },
    /// Take one away, and end its flows.
    Rm {
        /// Its number in `forward ls`, or what it was published with.
        forward: String,
        /// Let its flows live on until they end by themselves.
        #[arg(long)]
        keep_flows: bool,
    },
}

/// The running lab, locked so that nobody else changes its rules.
fn locked(name: Option<&str>) -> Result<(Running, LabLock, String)> {
    let Running { dir, .. } = find(name)?;
    let lock = dir.wait_for_rules()?;
    // Read anew: it may have been changed while this waited.
    let running = find(Some(dir.name()))?;
    let uplink = Journal::read(&dir)?.and_then(|journal| journal.uplink).ok_or_else(|| {
        Failure::new(Kind::Missing, format!("lab {} has no uplink, so nothing is forwarded", dir.name()))
            .hint("give `[host]` an `uplink` in the lab file")
    })?;
    Ok((running, lock, uplink.name))
}

/// Adds a forward.
pub fn add(name: Option<&str>, publish: &str, allow: &[String]) -> Result<u8> {
    let (running, _lock, uplink) = locked(name)?;
    let mut lab = running.lab.clone();
    let maps = Maps::open(&lab.name)?;
    let rule = free_number(&lab, &maps)?;
    let forward = lab::publish(&lab, publish, allow, rule)?;
    lab.forwards.push(forward);
    change(&running, &lab, &uplink)?;
    print(&format!("forward {rule} added: {publish}\n"))?;
    Ok(0)
}

/// Makes a running lab's rules those of `lab`, or leaves them as they were.
fn change(running: &Running, lab: &Lab, uplink: &str) -> Result<()> {
    let Running { dir, lab: before } = running;
    // Written down first: whoever is killed here finds that the agent applies it at its next look.
    running::update(dir, lab)?;
    let changed = runtime()?.block_on(nat::follow(lab, dir, uplink));
    if changed.is_err() {
        running::update(dir, before)?;
        // What was applied in part is taken back; the first failure is the one to report.
        let _ = runtime()?.block_on(nat::follow(before, dir, uplink));
    }
    changed.map(drop)
}

/// A number for another rule: the lowest that never counted anything, so that no old count is taken for the
/// new rule's.
fn free_number(lab: &Lab, maps: &Maps) -> Result<u32> {
    let room = RuleMaps::open(&lab.name)?.room();
    let taken = |number: u32| {
        lab.masquerades.iter().any(|one| one.rule == number)
            || lab.forwards.iter().any(|one| one.rule == number)
    };
    for number in (0..room).filter(|number| !taken(*number)) {
        let counted = maps.rule(number)?;
        if counted == Default::default() {
            return Ok(number);
        }
    }
    Err(crate::datapath::Error::RulesFull { lab: lab.name.clone(), room }.into())
}

/// Takes a forward away.
pub fn rm(name: Option<&str>, which: &str, keep_flows: bool) -> Result<u8> {
    let (running, _lock, uplink) = locked(name)?;
    let mut lab = running.lab.clone();
    let index = position(&lab, which)?;
    let Forward { rule, publish, .. } = lab.forwards.remove(index);
    change(&running, &lab, &uplink)?;
    let mut ended = 0;
    if !keep_flows {
        let maps = Maps::open(&lab.name)?;
        ended = conntrack::retire_rule(&maps, rule)?;
        runtime()?.block_on(nat::sweep(&lab.name, &maps))?;
    }
    print(&format!("forward {rule} removed: {publish}\n"))?;
    if ended > 0 {
        note(&format!("{} ended", crate::output::flows::number(ended)));
    }
    Ok(0)
}

/// Where the forward of this number, or published so, stands in the lab.
fn position(lab: &Lab, which: &str) -> Result<usize> {
    let number: Option<u32> = which.parse().ok();
    let found =
        lab.forwards.iter().position(|forward| Some(forward.rule) == number || forward.publish == which);
    found.ok_or_else(|| {
        let known: Vec<String> = lab
            .forwards
            .iter()
            .take(8)
            .map(|forward| format!("{} ({})", forward.rule, forward.publish))
            .collect();
        let failure = Failure::new(Kind::Missing, format!("lab {} has no forward {which}", lab.name));
        match known.is_empty() {
            true => failure.hint("it has no forwards at all"),
            false => failure.hint(format!("`netlab forward ls` lists them: {}", known.join(", "))),
        }
    })
}
