//! What the lab file means, what its mistakes look like, and that nothing in it makes netlab panic.

mod address_errors;
mod examples;
mod flow_errors;
mod fuzz;
mod masquerade_errors;
mod meaning;
mod nat_errors;
mod publish;
mod shape_errors;
mod topology_errors;

/// A small lab without mistakes, for tests that need something around theirs.
const PLANETS: &str = r#"version = 1
name = "planets"

[host]
namespace = "planet-host"
uplink = "eth0"
forwarding = true
routes = [{ to = "default", via = "192.168.0.1" }]

[bridge.planet-br]
address = "10.10.0.1/16"

[node.earth]
links = [{ to = "planet-br", address = "10.10.0.10/16" }]

[node.neptune]
links = [{ to = "planet-br", address = "10.10.0.20/16" }]

[node.internet]
links = [{ to = "host", name = "eth0", address = "192.168.0.1/24", peer = { name = "eth0", address = "192.168.0.108/24" } }]
loopback = "8.8.8.8/32"
"#;

/// The checked lab of a text that must have no mistakes.
fn lab(text: &str) -> crate::lab::Lab {
    match crate::lab::parse("lab.toml", text) {
        Ok(lab) => lab,
        Err(failure) => panic!("the lab should be fine:\n{failure}"),
    }
}

/// What is shown for a text that must have mistakes.
fn report(text: &str) -> String {
    match crate::lab::parse("lab.toml", text) {
        Ok(lab) => panic!("the lab should be wrong, but is:\n{lab:#?}"),
        Err(failure) => {
            assert_eq!(failure.kind.exit_code(), 2);
            failure.to_string()
        }
    }
}

/// `PLANETS` with something appended.
fn planets_and(more: &str) -> String {
    format!("{PLANETS}\n{more}")
}

/// `PLANETS` with one part replaced, which must be in it.
fn planets_with(part: &str, other: &str) -> String {
    assert!(PLANETS.contains(part), "`{part}` is not in the lab");
    PLANETS.replace(part, other)
}
