//! Bad input: each mistake gets one clear message and the right exit code, and leaves nothing half-made. The
//! messages are kept as snapshots.

use netlab_tests::machine::{Machine, Ran};

/// A lab in which each test makes one mistake.
const GOOD: &str = r#"version = 1
name = "planets"

[host]
namespace = "planet-host"
uplink = "eth0"
forwarding = true

[bridge.planet-br]
address = "10.10.0.1/16"

[node.earth]
links = [{ to = "planet-br", address = "10.10.0.10/16" }]

[node.neptune]
links = [{ to = "planet-br", address = "10.10.0.20/16" }]

[node.internet]
links = [{ to = "host", name = "eth0", address = "192.168.0.1/24", peer = { name = "eth0", address = "192.168.0.108/24" } }]

[[masquerade]]
from = "planet-br"

[[forward]]
publish = "192.168.0.108:8000:earth:8000"
"#;

/// What is printed and the exit code, as a snapshot shows them.
fn shown(ran: &Ran) -> String {
    assert_eq!(ran.stdout, "", "a failure has no result");
    format!("{}exit code {}\n", ran.stderr, ran.code)
}

/// `up` of the good lab with one text replaced: it must fail and change nothing, and `lint` must say the same.
fn mistake(from: &str, to: &str) -> String {
    assert!(from.is_empty() || GOOD.contains(from), "{from} is not in the lab");
    let machine = Machine::new();
    let text = if from.is_empty() { to.to_owned() } else { GOOD.replacen(from, to, 1) };
    machine.write("lab.toml", &text);
    let before = machine.inventory();
    let up = machine.netlab(["up"]);
    machine.is_as_before(&before).expect("nothing is half-made");
    let lint = machine.netlab(["lint"]);
    assert_eq!((&up.stderr, up.code), (&lint.stderr, lint.code), "`up` and `lint` agree");
    shown(&up)
}

/// `up` of the good lab in a machine that something was done to: it must fail and change nothing.
fn obstacle(preparation: &str, up: &str) -> String {
    let machine = Machine::new();
    machine.write("lab.toml", GOOD);
    machine.write("deny.py", include_str!("../src/deny.py"));
    let _ = machine.sh(preparation).ok();
    let before = machine.inventory();
    let ran = machine.sh(up);
    machine.is_as_before(&before).expect("nothing is half-made");
    shown(&ran)
}

#[test]
fn the_lab_without_a_mistake_is_right() {
    let machine = Machine::new();
    machine.write("lab.toml", GOOD);
    let said = machine.netlab(["lint"]).ok();
    assert_eq!(
        said,
        "lab.toml: lab planets is right: 3 nodes, 1 bridge, 1 masquerade, 1 forward, 0 checks\n"
    );
    let _ = machine.netlab(["up"]).ok();
}

#[test]
fn no_file() {
    let machine = Machine::new();
    insta::assert_snapshot!(shown(&machine.netlab(["up"])));
    insta::assert_snapshot!("no_file_by_name", shown(&machine.netlab(["up", "-f", "other.toml"])));
}

#[test]
fn broken_toml() {
    insta::assert_snapshot!(mistake("name = \"planets\"", "name = \"planets"));
}

#[test]
fn an_unknown_key() {
    insta::assert_snapshot!(mistake("forwarding = true", "forwardign = true"));
}

#[test]
fn an_unknown_bridge() {
    insta::assert_snapshot!(mistake("to = \"planet-br\"", "to = \"plant-br\""));
}

#[test]
fn an_unknown_node() {
    insta::assert_snapshot!(mistake("8000:earth", "8000:earht"));
}

#[test]
fn a_duplicate_address() {
    insta::assert_snapshot!(mistake("10.10.0.20", "10.10.0.10"));
}

#[test]
fn a_duplicate_name() {
    insta::assert_snapshot!(mistake("[node.neptune]", "[node.earth]"));
}

#[test]
fn a_duplicate_interface_name() {
    insta::assert_snapshot!(mistake("\"10.10.0.20/16\"", "\"10.10.0.20/16\", peer = \"planet-br\""));
}

#[test]
fn an_address_outside_the_bridges_prefix() {
    insta::assert_snapshot!(mistake("10.10.0.20/16", "10.11.0.20/16"));
}

#[test]
fn an_interface_name_over_fifteen_bytes() {
    insta::assert_snapshot!(mistake(
        "address = \"10.10.0.20/16\"",
        "name = \"neptunes-only-veth\", address = \"10.10.0.20/16\""
    ));
}

#[test]
fn overlapping_subnets() {
    insta::assert_snapshot!(mistake(
        "[node.earth]",
        "[bridge.other-br]\naddress = \"10.10.128.1/24\"\n\n[node.earth]"
    ));
}

#[test]
fn two_forwards_on_one_port() {
    let second = "[[forward]]\npublish = \"8000:neptune:80\"\n\n[[forward]]";
    insta::assert_snapshot!(mistake("[[forward]]", second));
}

#[test]
fn port_zero() {
    insta::assert_snapshot!(mistake("108:8000:earth:8000", "108:0:earth:8000"));
}

#[test]
fn port_65536() {
    insta::assert_snapshot!(mistake("108:8000:earth:8000", "108:8000:earth:65536"));
}

#[test]
fn a_forward_to_a_node_without_an_address() {
    insta::assert_snapshot!(mistake("to = \"planet-br\", address = \"10.10.0.10/16\"", "to = \"neptune\""));
}

#[test]
fn an_uplink_that_is_missing() {
    insta::assert_snapshot!(mistake("uplink = \"eth0\"", "uplink = \"eth7\""));
}

#[test]
fn many_mistakes_at_once() {
    let text = GOOD
        .replace("8000:earth", "8000:earht")
        .replace("10.10.0.20", "10.10.0.10")
        .replace("forwarding", "forwardign");
    insta::assert_snapshot!(mistake("", &text));
}

#[test]
fn a_namespace_that_is_somebody_elses() {
    insta::assert_snapshot!(obstacle("ip netns add neptune", "$NETLAB up"));
}

#[test]
fn not_root() {
    insta::assert_snapshot!(obstacle("chmod 755 .", "setpriv --reuid=65534 --clear-groups $NETLAB up"));
}

#[test]
fn without_root_every_verb_says_that_it_needs_it() {
    let machine = Machine::new();
    machine.write("lab.toml", GOOD);
    let _ = machine.sh("chmod 755 . && $NETLAB up").ok();
    let before = machine.inventory();
    for verb in ["status", "stats", "conntrack ls", "conntrack flush", "forward ls", "masquerade ls", "down"]
    {
        let said = machine.sh(&format!("setpriv --reuid=65534 --clear-groups $NETLAB {verb}")).fails(5);
        assert!(said.contains("help: run it as root: `sudo netlab …`"), "netlab {verb}: {said}");
        assert_eq!(said.matches("error:").count(), 1, "netlab {verb}: {said}");
    }
    machine.is_as_before(&before).expect("the lab is as it was");
}

#[test]
fn a_kernel_without_bpf() {
    const ENOSYS: u32 = 38;
    let said = obstacle("true", &format!("python3 deny.py {ENOSYS} -1 $NETLAB up"));
    // Which of the maps is made first is left to chance.
    let (before, after) = said.split_once("NL_").expect("a map's name");
    let after = after.trim_start_matches(|letter: char| letter.is_ascii_uppercase() || letter == '_');
    insta::assert_snapshot!(format!("{before}NL_MAP{after}"));
}

#[test]
fn a_full_disk() {
    insta::assert_snapshot!(obstacle(
        "mkdir /run/netlab && mount -t tmpfs -o size=4k,nr_inodes=100 tmpfs /run/netlab",
        "$NETLAB up"
    ));
}

#[test]
fn a_nodes_command_that_dies_at_once() {
    let dies = "[node.neptune]\nrun = \"echo no such planet >&2; exit 4\"";
    let machine = Machine::new();
    machine.write("lab.toml", &GOOD.replace("[node.neptune]", dies));
    let before = machine.inventory();
    insta::assert_snapshot!(shown(&machine.netlab(["up"])));
    machine.is_as_before(&before).expect("nothing is half-made");
}

#[test]
fn wrong_command_lines() {
    let machine = Machine::new();
    for (arguments, code) in [
        (&["frobnicate"][..], 2),
        (&[], 2),
        (&["up", "a.toml", "b.toml"], 2),
        (&["up", "a.toml", "-f", "b.toml"], 2),
        (&["status", "-o", "yaml"], 2),
        (&["exec"], 2),
        (&["exec", "earth"], 2),
        (&["down"], 3),
        (&["status"], 3),
        (&["stats"], 3),
        (&["-l", "planets", "down"], 3),
        (&["--help"], 0),
        (&["--version"], 0),
    ] {
        let ran = machine.netlab(arguments);
        assert_eq!(ran.code, code, "netlab {}: {}{}", arguments.join(" "), ran.stdout, ran.stderr);
        let (said, silent) = if code == 0 { (&ran.stdout, &ran.stderr) } else { (&ran.stderr, &ran.stdout) };
        assert!(!said.is_empty() && silent.is_empty(), "netlab {}: {ran:?}", arguments.join(" "));
    }
}

#[test]
fn the_file_comes_from_the_option_or_the_variable_or_the_folder() {
    let machine = Machine::new();
    for name in ["lab", "option", "variable"] {
        machine.write(&format!("{name}.toml"), &format!("version = 1\nname = \"{name}\"\n"));
    }
    for (command, lab) in [
        ("$NETLAB lint", "lab"),
        ("NETLAB_FILE=variable.toml $NETLAB lint", "variable"),
        ("NETLAB_FILE=variable.toml $NETLAB lint -f option.toml", "option"),
        ("NETLAB_FILE=variable.toml $NETLAB lint option.toml", "option"),
        ("$NETLAB lint option.toml", "option"),
    ] {
        let ran = machine.sh(command);
        assert!(ran.stdout.starts_with(&format!("{lab}.toml: lab {lab} is right")), "{command}: {ran:?}");
    }
}
