//! "Did you mean": the nearest of the names that exist, and the sentence that offers it.

/// The candidate that `wrong` most likely stands for, if any is near enough to be a slip of the finger.
pub fn nearest<'c>(wrong: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    // A third of the letters, as rustc does: `earht` finds `earth`, `moon` does not.
    let limit = (wrong.chars().count().max(3) / 3).min(5);
    candidates
        .into_iter()
        .map(|candidate| {
            let (a, b) = (wrong.to_lowercase(), candidate.to_lowercase());
            (strsim::damerau_levenshtein(&a, &b), candidate)
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Names in a row for a help line: `` `a`, `b` and `c` ``.
pub fn row<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    /// More than this many names help nobody.
    const LIMIT: usize = 12;
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    let over = names.len().saturating_sub(LIMIT);
    if over > 0 {
        return format!("{} and {over} more", names[..LIMIT].join(", "));
    }
    match names.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}
