//! `netlab check`: try what the lab file says must work, and what must not.

use super::running::{Running, find};
use super::{Format, print, runtime};
use crate::check::{self, Outcome};
use crate::error::{Failure, Kind, Result};
use crate::lab::Lab;
use crate::output::checks;
use crate::topology::{self, LabDir};

/// Tries every check; the exit code is 1 if one of them failed.
pub fn check(lab: Option<&str>, format: Format) -> Result<u8> {
    let Running { lab, dir } = find(lab)?;
    if lab.checks.is_empty() {
        return Err(Failure::new(Kind::Missing, format!("lab {} has no checks", lab.name))
            .hint("add `[[check]]` entries to the lab file"));
    }
    let outcomes = runtime()?.block_on(run(&lab, &dir))?;
    print(&match format {
        Format::Table => checks::table(&lab, &outcomes),
        Format::Json => checks::json(&lab, &outcomes),
    })?;
    Ok(u8::from(outcomes.iter().any(|outcome| !outcome.passed)))
}

async fn run(lab: &Lab, dir: &LabDir) -> Result<Vec<Outcome>> {
    let built = topology::reopen(lab, dir).await?;
    lab.checks.iter().map(|one| Ok(built.namespace(one.from).enter(|| check::try_one(one))?)).collect()
}
