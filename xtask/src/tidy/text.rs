//! Rules for every text file: no trailing white space, no tabs, a newline at the end.

use super::Finding;

/// Looks at the lines alone.
pub fn check(text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.split('\n')) {
        if line.ends_with([' ', '\t', '\r']) {
            findings.push(Finding::new(number, "white space at the end of the line"));
        }
        if line.contains('\t') {
            findings.push(Finding::new(number, "a tab; indent with spaces, write \\t in strings"));
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        findings.push(Finding::new(text.lines().count(), "no newline at the end of the file"));
    }
    if text.ends_with("\n\n") {
        findings.push(Finding::new(text.lines().count(), "empty lines at the end of the file"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        check(text).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_clean_text_passes_and_so_does_an_empty_one() {
        assert!(lines("a\n\n  b\n").is_empty());
        assert!(lines("").is_empty());
    }

    #[test]
    fn white_space_at_the_end_and_tabs_are_found() {
        assert_eq!(lines("a \nb\r\nc\n"), [1, 2]);
        assert_eq!(lines("a\n\tb\n"), [2]);
    }

    #[test]
    fn the_end_of_the_file_is_one_newline() {
        assert_eq!(lines("a\nb"), [2]);
        assert_eq!(lines("a\n\n"), [2]);
    }
}
