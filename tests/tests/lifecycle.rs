//! Labs among others: side by side, in the way of each other and of what is there already, as guests of a stack
//! that is not theirs, and when something fails. Either a lab comes up whole, or nothing of it stays.

use netlab_tests::labs::{GUEST, TO_A_WORLD};
use netlab_tests::machine::{Machine, Ran};

/// A lab of two cabled nodes; nothing else.
fn pair(lab: &str, nodes: [&str; 2], more: &str) -> String {
    let [a, b] = nodes;
    format!(
        r#"
version = 1
name = "{lab}"
[node.{a}]
links = [{{ to = "{b}", address = "10.9.0.1/24", peer = {{ name = "back", address = "10.9.0.2/24" }} }}]
[node.{b}]
{more}
"#
    )
}

/// `up` of a lab must fail with this code and change nothing.
fn refused(machine: &Machine, lab: &str, code: i32) -> String {
    machine.write("refused.toml", lab);
    let before = machine.inventory();
    let said = machine.netlab(["up", "refused.toml"]).fails(code);
    machine.is_as_before(&before).expect("a lab that does not come up leaves nothing");
    said
}

fn ping(machine: &Machine, namespace: &str, target: &str) -> Ran {
    machine.sh_in(namespace, &format!("ping -c1 -W2 {target}"))
}

#[test]
fn two_labs_with_the_same_addresses_run_side_by_side() {
    let machine = Machine::with_example("4-internet.toml");
    let planets =
        std::fs::read_to_string(netlab_tests::machine::example("4-internet.toml")).expect("an example");
    let mut stars = planets.replace("earth", "sun").replace("neptune", "vega").replace("planet", "star");
    stars = stars
        .replace("[node.internet]", "[node.outside]")
        .replace("from = \"internet\"", "from = \"outside\"");
    machine.write("stars.toml", &stars.replace("--directory site", ""));
    let between = machine.inventory();
    let _ = machine.netlab(["up", "stars.toml"]).ok();

    let which = machine.netlab(["check"]).fails(2);
    assert!(which.contains("2 labs are running: planets, stars"), "{which}");
    for lab in ["planets", "stars"] {
        let checks = machine.netlab(["-l", lab, "check"]);
        assert_eq!(checks.code, 0, "{}", checks.stdout);
    }
    let labs = machine.netlab(["status"]).ok();
    assert!(labs.contains("planets") && labs.contains("stars"), "{labs}");
    let _ = machine.netlab(["down", "-l", "stars"]).ok();
    machine.is_as_before(&between).expect("the other lab is as it was");
    let checks = machine.netlab(["check"]);
    assert_eq!(checks.code, 0, "{}", checks.stdout);
}

#[test]
fn a_node_that_another_lab_has_is_a_conflict_that_names_the_lab() {
    let machine = Machine::with_lab(&pair("first", ["earth", "mars"], ""));
    let said = refused(&machine, &pair("second", ["venus", "mars"], ""), 6);
    assert!(said.contains(r#"the namespace "mars" belongs to the lab "first""#), "{said}");
    assert!(said.contains("netlab down -l first"), "{said}");
    let _ = ping(&machine, "earth", "10.9.0.2").ok();
}

#[test]
fn a_namespace_that_no_lab_made_is_a_conflict_and_is_not_touched() {
    let machine = Machine::new();
    let _ = machine.sh("ip netns add earth && ip -n earth link add mine type bridge").ok();
    let said = refused(&machine, &pair("first", ["earth", "mars"], ""), 6);
    assert!(said.contains(r#"there is a namespace "earth" already, and no lab made it"#), "{said}");
    let _ = machine.sh("ip -n earth link show mine").ok();
}

#[test]
fn another_version_of_a_running_labs_file_is_refused() {
    let machine = Machine::with_lab(&pair("first", ["earth", "mars"], ""));
    let said = refused(&machine, &pair("first", ["earth", "venus"], ""), 1);
    assert!(said.contains("lab first is up already, from another version of its file"), "{said}");
}

#[test]
fn a_guest_masquerades_over_the_stacks_own_uplink_and_leaves_it_as_it_was() {
    for uplink in ["w0", "auto"] {
        let machine = Machine::new();
        let _ = machine.sh(TO_A_WORLD).ok();
        let before = machine.inventory();
        machine.write("lab.toml", &GUEST.replace("UPLINK", uplink));
        let _ = machine.netlab(["up"]).ok();
        assert_eq!(machine.sh("sysctl -n net.ipv4.ip_forward").ok(), "1\n");
        let _ = ping(&machine, "visitor", "192.168.9.1").ok();
        let _ = machine.sh("ping -c1 -W2 192.168.9.1 && ping -c1 -W2 10.44.0.2").ok();
        let objects = machine.bpf_objects();
        let _ = machine.netlab(["down"]).ok();
        machine.are_freed(&objects);
        machine.is_as_before(&before).expect("the stack is as it was, ip_forward too");
    }
}

#[test]
fn a_sysctl_that_somebody_else_changed_meanwhile_is_left_and_told() {
    let machine = Machine::new();
    let _ = machine.sh(TO_A_WORLD).ok();
    machine.write(
        "lab.toml",
        &GUEST
            .replace("UPLINK", "w0")
            .replace("forwarding = true", "sysctl = { \"net.ipv4.ip_default_ttl\" = 77 }"),
    );
    let _ = machine.netlab(["up"]).ok();
    let _ = machine.sh("sysctl -qw net.ipv4.ip_default_ttl=99").ok();
    let said = machine.netlab(["down"]).fails(1);
    assert!(said.contains("net.ipv4.ip_default_ttl was changed to \"99\""), "{said}");
    assert_eq!(machine.sh("sysctl -n net.ipv4.ip_default_ttl").ok(), "99\n");
    let said = machine.netlab(["down"]).fails(3);
    assert!(said.contains("no lab is running"), "{said}");
}

#[test]
fn a_guests_mistakes_about_the_stack_are_told_before_anything_changes() {
    let machine = Machine::new();
    let said = refused(&machine, &GUEST.replace("UPLINK", "auto"), 2);
    assert_eq!(
        said.lines().next(),
        Some("error: the host has no default route, so there is no uplink to find")
    );
    assert!(!said.contains("undone"), "nothing had been begun: {said}");
    let said = refused(&machine, &GUEST.replace("UPLINK", "nope0"), 2);
    assert!(said.contains(r#"the host has no interface "nope0" to be the uplink"#), "{said}");
    assert!(said.contains("it has none but lo"), "{said}");

    let _ = machine.sh(TO_A_WORLD).ok();
    let said = refused(&machine, &GUEST.replace("UPLINK", "nope0"), 2);
    assert!(said.contains("it has: w0;"), "{said}");
    let _ = machine.sh("ip link add guest-br type bridge; ip address add 10.44.7.7/24 dev w0").ok();
    let said = refused(&machine, &GUEST.replace("UPLINK", "w0"), 6);
    assert!(said.contains(r#"the host has an interface "guest-br" already"#), "{said}");
    assert!(
        said.contains("10.44.0.0/16 of the bridge guest-br overlaps 10.44.7.0/24"),
        "all at once: {said}"
    );
}

#[test]
fn a_command_that_dies_at_once_is_told_with_its_last_words_and_undone() {
    let machine = Machine::new();
    let run = "run = \"echo first words; echo last words >&2; exit 3\"";
    let said = refused(&machine, &pair("first", ["earth", "mars"], run), 1);
    for words in ["in mars ended with exit status: 3", "echo first words;", "| first words", "| last words"] {
        assert!(said.contains(words), "{words} is not in\n{said}");
    }
    assert!(!said.contains("/run/netlab"), "the log is gone with the lab: {said}");
}

#[test]
fn a_port_that_nobody_listens_on_is_told_with_the_commands_last_words_and_undone() {
    let machine = Machine::new();
    let run = "run = \"echo I listen elsewhere; exec sleep 60\"\nwait = \"tcp:80\"";
    let said = refused(&machine, &pair("first", ["earth", "mars"], run), 1);
    for words in ["tcp:80 in mars", "| I listen elsewhere"] {
        assert!(said.contains(words), "{words} is not in\n{said}");
    }
}

#[test]
fn a_commands_output_is_kept_in_the_labs_state_folder_while_the_lab_is_up() {
    let run = "run = [\"echo one; exec sleep 60\", \"echo two\"]";
    let machine = Machine::with_lab(&pair("first", ["earth", "mars"], run));
    machine.wait_until("grep -q two /run/netlab/first/log/mars-1.log");
    assert_eq!(machine.sh("cat /run/netlab/first/log/mars-0.log").ok(), "one\n");
}

#[test]
fn a_full_disk_under_the_state_folder_is_one_clear_message() {
    let machine = Machine::new();
    let _ = machine.sh("mkdir /run/netlab && mount -t tmpfs -o size=4k,nr_inodes=100 tmpfs /run/netlab").ok();
    let lab = pair("first", ["earth", "mars"], "");
    let said = refused(&machine, &lab, 1);
    assert!(said.contains("error: no space is left for /run/netlab/first/"), "{said}");
    assert_eq!(said.matches("error:").count(), 1, "{said}");
    let _ = machine.sh("mount -o remount,size=1m /run/netlab").ok();
    let _ = machine.netlab(["up", "refused.toml"]).ok();
}
