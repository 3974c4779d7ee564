//! Makes a script that fails as short and as plain as it can be while it still fails.

use super::generate::fitting;
use super::step::{Body, PLAIN, Shape, Step};

/// The shortest script found that `fails` still holds for, with at most so many tries.
pub fn shrink(script: &[Step], mut tries: usize, mut fails: impl FnMut(&[Step]) -> bool) -> Vec<Step> {
    let mut best = script.to_vec();
    let mut attempt = |candidate: Vec<Step>, best: &mut Vec<Step>| {
        if tries == 0 || candidate == *best {
            return false;
        }
        tries -= 1;
        let better = fails(&candidate);
        if better {
            *best = candidate;
        }
        better
    };
    let mut chunk = best.len().div_ceil(2);
    loop {
        let mut begin = 0;
        let mut found = false;
        while begin < best.len() {
            let end = (begin + chunk).min(best.len());
            let candidate = [&best[..begin], &best[end..]].concat();
            if attempt(candidate, &mut best) {
                found = true;
            } else {
                begin = end;
            }
        }
        if chunk == 1 && !found {
            break;
        }
        chunk = chunk.div_ceil(2).max(1);
        if chunk == 1 && best.is_empty() {
            break;
        }
    }
    for at in 0..best.len() {
        for plainer in plainer(&best[at]) {
            let mut candidate = best.clone();
            candidate[at] = plainer;
            if attempt(candidate, &mut best) {
                break;
            }
        }
    }
    best
}

/// A step in plainer forms, the plainest first.
fn plainer(step: &Step) -> Vec<Step> {
    let shape = step.shape;
    let mut body = step.body;
    if let Body::Tcp { len, .. } | Body::Udp { len, .. } | Body::Query { len, .. } | Body::Other { len } =
        &mut body
    {
        *len = (*len).min(4);
    }
    let shapes = [
        PLAIN,
        Shape { id: shape.id, ..PLAIN },
        Shape { tos: 0, padding: 0, ..shape },
        Shape { ttl: 64, ..shape },
        Shape { df: true, ..shape },
    ];
    let bodies = [body, step.body];
    bodies.into_iter().flat_map(|body| shapes.map(|shape| fitting(Step { body, shape, ..*step }))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::generate::{Kinds, script};
    use super::*;

    #[test]
    fn a_failure_of_two_steps_shrinks_to_these_two() {
        let long = script(3, Kinds::ALL, 120);
        let (first, last) = (long[17].talk, long[101].talk);
        let fails = |script: &[Step]| {
            let first = script.iter().position(|step| step.talk == first);
            first.is_some_and(|at| script[at..].iter().any(|step| step.talk == last))
        };
        let short = shrink(&long, 1000, fails);
        assert!(short.len() <= 2, "{short:?}");
        assert!(short.iter().all(|step| step.shape == PLAIN));
    }
}
