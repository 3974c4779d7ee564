//! How the lab's checks came out.

use serde_json::{Value, json};

use super::{json as document, table as render};
use crate::check::Outcome;
use crate::lab::{Expect, Lab};

/// One line a check, and a sum.
pub fn table(lab: &Lab, outcomes: &[Outcome]) -> String {
    let rows = lab.checks.iter().zip(outcomes).map(|(check, outcome)| {
        let detail = match check.expect {
            Expect::Pass => outcome.detail.clone(),
            Expect::Fail => format!("{} (must fail)", outcome.detail),
        };
        vec![if outcome.passed { "ok" } else { "FAILED" }.to_owned(), check.name.clone(), detail]
    });
    let failed = outcomes.iter().filter(|outcome| !outcome.passed).count();
    let mut text = render(&["RESULT", "CHECK", "SEEN"], rows, &[]);
    text.push_str(&format!("{} of {} checks ok\n", outcomes.len() - failed, outcomes.len()));
    text
}

/// The same for programs.
pub fn json(lab: &Lab, outcomes: &[Outcome]) -> String {
    let checks: Vec<Value> = lab
        .checks
        .iter()
        .zip(outcomes)
        .map(|(check, outcome)| {
            json!({
                "name": check.name,
                "from": lab.place_name(check.from),
                "expect": match check.expect { Expect::Pass => "pass", Expect::Fail => "fail" },
                "passed": outcome.passed,
                "detail": outcome.detail,
                "ms": outcome.took.as_secs_f64() * 1000.0,
            })
        })
        .collect();
    let passed = outcomes.iter().all(|outcome| outcome.passed);
    document("check", &lab.name, json!({ "passed": passed, "checks": checks }))
}
