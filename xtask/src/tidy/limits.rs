//! How long a Rust file may be. Long enough for one job; a file that does two is found here.

use super::Finding;

/// By the beginning of the path, the first that fits: warned about above the first number, refused above the
/// second. Tests tell stories and may be longer; they are split by story.
const LIMITS: [(&str, usize, usize); 2] = [("tests/tests/", 500, 600), ("", 400, 450)];

/// Compares a file's length with its limit.
pub fn check(path: &str, text: &str) -> Option<Finding> {
    let lines = text.lines().count();
    let (_, soft, hard) = LIMITS.iter().find(|(prefix, ..)| path.starts_with(prefix))?;
    if lines > *hard {
        Some(Finding::new(lines, format!("the file has {lines} lines; {hard} is the limit: split it by job")))
    } else if lines > *soft {
        Some(Finding::warning(lines, format!("the file has {lines} lines; above {hard} it is refused")))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str, lines: usize) -> Option<bool> {
        check(path, &"\n".repeat(lines)).map(|finding| finding.warning)
    }

    #[test]
    fn a_file_is_warned_about_before_it_is_refused() {
        assert_eq!(of("a/src/b.rs", 400), None);
        assert_eq!(of("a/src/b.rs", 401), Some(true));
        assert_eq!(of("a/src/b.rs", 450), Some(true));
        assert_eq!(of("a/src/b.rs", 451), Some(false));
    }

    #[test]
    fn tests_may_be_longer() {
        assert_eq!(of("tests/tests/b.rs", 451), None);
        assert_eq!(of("tests/tests/b.rs", 601), Some(false));
    }
}
