//! Rules for the members' manifests: every dependency is justified where it is declared, and the workspace's
//! crates depend on each other in one direction.

use super::Finding;

/// What each member may depend on inside the workspace.
const DIRECTION: [(&str, &[&str]); 5] = [
    ("netlab-common/", &[]),
    ("netlab-ebpf/", &["netlab-common"]),
    ("netlab-agent/", &["netlab-common"]),
    ("tests/", &["netlab-agent", "netlab-common"]),
    ("xtask/", &[]),
];

/// Reads the manifest line by line. A comment justifies the dependencies below it up to the next empty line.
pub fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_dependencies = false;
    let mut justified = false;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            let table = header.trim_end_matches(']');
            in_dependencies = table.ends_with("dependencies");
            justified = false;
        } else if line.is_empty() {
            justified = false;
        } else if line.starts_with('#') {
            justified = true;
        } else if let Some(name) = dependency_name(line).filter(|_| in_dependencies) {
            // The workspace's own crates are justified by ARCHITECTURE.md, and held to its direction.
            if name.starts_with("netlab-") {
                findings.extend(direction(path, number, name));
            } else if !justified && !line.contains(" #") {
                let message = format!("`{name}` is not justified: say above it what it is for");
                findings.push(Finding::new(number, message));
            }
        }
    }
    findings
}

/// The name a line declares; `None` for the inner lines of a value that spans several.
fn dependency_name(line: &str) -> Option<&str> {
    let name = line.split_once('=')?.0.trim();
    let name = name.split('.').next()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (!name.is_empty() && name.chars().all(plain)).then_some(name)
}

fn direction(path: &str, number: usize, name: &str) -> Option<Finding> {
    let (member, allowed) = DIRECTION.iter().find(|(member, _)| path.starts_with(member))?;
    // A crate may name itself, to have more of its own features in its tests.
    let itself = member.trim_end_matches('/') == name;
    let forbidden = !itself && !allowed.contains(&name);
    forbidden.then(|| Finding::new(number, format!("{member} must not depend on `{name}` (ARCHITECTURE.md)")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(path, text).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_comment_justifies_its_group_until_an_empty_line() {
        let text = "[dependencies]\n# Why.\na = \"1\"\nb = { version = \"2\" }\n\nc = \"3\"\n";
        assert_eq!(lines("tests/Cargo.toml", text), [6]);
    }

    #[test]
    fn a_comment_does_not_reach_into_the_next_table() {
        let text = "[dependencies]\n# Why.\na = \"1\"\n[dev-dependencies]\nb = \"1\"\n";
        assert_eq!(lines("tests/Cargo.toml", text), [5]);
    }

    #[test]
    fn a_comment_behind_a_dependency_counts_and_other_tables_need_none() {
        let text = "[package]\nname = \"x\"\n[target.'cfg(unix)'.dependencies]\na.workspace = true # Why.\n";
        assert!(lines("tests/Cargo.toml", text).is_empty());
    }

    #[test]
    fn members_depend_on_each_other_in_one_direction() {
        let text = "[dependencies]\nnetlab-agent = { path = \"../netlab-agent\" }\n";
        assert_eq!(lines("netlab-common/Cargo.toml", text), [2]);
        assert_eq!(lines("xtask/Cargo.toml", text), [2]);
        assert!(lines("tests/Cargo.toml", text).is_empty());
    }
}
