//! A rule for Markdown: every relative link leads to a file that exists.

use super::Finding;

/// Follows the links of a document with `exists`, which takes a path relative to the document.
pub fn check(text: &str, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut fenced = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            for target in targets(&without_code(line)) {
                let path = target.split('#').next().unwrap_or_default();
                if !path.is_empty() && !exists(path) {
                    findings.push(Finding::new(number, format!("the link to `{path}` leads nowhere")));
                }
            }
        }
    }
    findings
}

/// The line without its `code`, in which brackets mean nothing.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}

/// The relative targets of a line: of `[text](target)`, and of a definition `[name]: target`.
fn targets(line: &str) -> Vec<String> {
    let inline = line.match_indices("](").filter_map(|(at, mark)| {
        let rest = &line[at + mark.len()..];
        Some(&rest[..rest.find(')')?])
    });
    let definition = line.strip_prefix('[').and_then(|rest| Some(rest.split_once("]:")?.1));
    inline
        .chain(definition)
        .filter_map(|target| target.split_whitespace().next())
        .map(|target| target.trim_matches(['<', '>']).to_owned())
        .filter(|target| !is_elsewhere(target))
        .collect()
}

/// Whether a target is an address on the network, which is not ours to follow.
fn is_elsewhere(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(text: &str) -> Vec<usize> {
        check(text, |path| path == "here.md").iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn links_to_files_that_exist_pass_with_or_without_an_anchor() {
        assert!(
            broken("[a](here.md) and [b](here.md#part), [c](#part), [d](here.md \"title\")\n").is_empty()
        );
    }

    #[test]
    fn links_that_lead_nowhere_are_found_in_both_forms() {
        assert_eq!(broken("text\n[a](gone.md) ![p](gone.svg)\n[b]: gone.md\n"), [2, 2, 3]);
    }

    #[test]
    fn addresses_and_code_are_not_followed() {
        assert!(broken("[a](https://example.org/x) [m](mailto:a@example.org)\n").is_empty());
        assert!(broken("`[a](gone.md)`\n```\n[a](gone.md)\n```\n").is_empty());
    }
}
