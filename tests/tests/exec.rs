//! `exec` and `shell`: the command's own exit status, signals, input and terminal, and what it sees in there.

use netlab_tests::machine::Machine;

const PAIR: &str = r#"
version = 1
name = "pair"
[node.earth]
links = [{ to = "mars", address = "10.9.0.1/24", peer = { name = "back", address = "10.9.0.2/24" } }]
[node.mars]
"#;

/// Runs a script in a terminal of 80 columns and types the lines into it; gives what the terminal showed.
fn on_terminal(machine: &Machine, command: &str, typed: &str) -> String {
    machine.write("typed", typed);
    let ran = machine.sh(&format!(
        "script -qefc 'stty cols 80 rows 24; {command}' shown <typed >/dev/null; echo $? >code"
    ));
    assert_eq!(ran.code, 0, "{ran:?}");
    machine.sh("cat shown code").ok()
}

#[test]
fn the_commands_own_exit_status_comes_back() {
    let machine = Machine::with_lab(PAIR);
    for code in [0, 1, 7, 125, 200] {
        let ran = machine.netlab(["exec", "earth", "--", "sh", "-c", &format!("exit {code}")]);
        assert_eq!(ran.code, code, "{ran:?}");
    }
}

#[test]
fn a_command_ended_by_a_signal_is_seen_to_be() {
    let machine = Machine::with_lab(PAIR);
    let ran = machine.sh("$NETLAB exec earth -- sh -c 'kill -TERM $$'; echo $?").ok();
    assert_eq!(ran, "143\n");
    // The signal goes to the command itself: there is no netlab in between to pass it on.
    let ran = machine.sh(
        "timeout -s INT 0.2 $NETLAB exec earth -- sh -c 'trap \"echo got it; exit 9\" INT; sleep 5 >/dev/null 2>&1 & wait'",
    );
    assert_eq!(ran.stdout, "got it\n", "{ran:?}");
}

#[test]
fn what_cannot_be_run_has_a_status_of_its_own() {
    let machine = Machine::with_lab(PAIR);
    let said = machine.netlab(["exec", "earth", "no-such-command"]).fails(127);
    assert!(said.contains("there is no command \"no-such-command\""), "{said}");
    let said = machine.netlab(["exec", "earth", "/etc/passwd"]).fails(126);
    assert!(said.contains("cannot execute \"/etc/passwd\""), "{said}");
    let said = machine.sh("setpriv --reuid=65534 --clear-groups $NETLAB exec earth true").fails(125);
    assert!(said.contains("run it as root"), "{said}");
    let said = machine.netlab(["exec", "venus", "true"]).fails(3);
    assert!(said.contains("its nodes are earth, mars, and `host`"), "{said}");
    let said = machine.netlab(["-l", "nobody", "exec", "earth", "true"]).fails(3);
    assert!(said.contains("there is no running lab nobody"), "{said}");
}

#[test]
fn input_and_output_pass_through_untouched() {
    let machine = Machine::with_lab(PAIR);
    let ran = machine
        .sh("head -c 3000000 /dev/urandom >data; sha256sum <data; $NETLAB exec earth sha256sum <data
             $NETLAB exec earth cat <data | sha256sum")
        .ok();
    let sums: Vec<_> = ran.lines().collect();
    assert_eq!(sums.len(), 3);
    assert!(sums.iter().all(|sum| *sum == sums[0]), "{ran}");
    let ran = machine.netlab(["exec", "earth", "--", "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("out\n", "err\n"));
}

#[test]
fn a_command_is_in_the_nodes_network_with_its_sysfs_and_the_labs_names() {
    let machine = Machine::with_lab(PAIR);
    assert_eq!(machine.netlab(["exec", "earth", "ls", "/sys/class/net"]).ok(), "eth0\nlo\n");
    assert_eq!(machine.netlab(["exec", "mars", "ls", "/sys/class/net"]).ok(), "back\nlo\n");
    let said = machine.netlab(["exec", "earth", "ping", "-c1", "-W2", "mars"]).ok();
    assert!(said.contains("(10.9.0.2)"), "{said}");
    let before = machine.sh("cat /etc/hosts; ls /sys/class/net; cat /proc/self/mounts").ok();
    let _ = machine.netlab(["exec", "earth", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).ok();
    assert_eq!(machine.sh("cat /etc/hosts; ls /sys/class/net; cat /proc/self/mounts").ok(), before);
    let host = machine.netlab(["exec", "host", "readlink", "/proc/self/ns/net"]).ok();
    assert_eq!(host, machine.sh("readlink /proc/self/ns/net").ok());
}

#[test]
fn a_command_has_the_terminal() {
    let machine = Machine::with_lab(PAIR);
    let shown = on_terminal(&machine, "$NETLAB exec earth -- sh -c \"tty; stty size; exit 3\"", "");
    assert!(shown.contains("/dev/pts/") && shown.contains("24 80"), "{shown}");
    assert!(shown.ends_with("3\n"), "the status comes back through the terminal: {shown}");
}

#[test]
fn a_shell_says_which_node_it_is_in_and_ends_with_the_last_status() {
    let machine = Machine::with_lab(PAIR);
    for shell in ["/bin/bash", "/bin/sh"] {
        let shown = on_terminal(
            &machine,
            &format!("SHELL={shell} $NETLAB shell earth"),
            "echo in $NETLAB_NODE; ip -br addr show eth0\nexit 5\n",
        );
        assert!(shown.contains("earth# "), "the prompt: {shown}");
        assert!(shown.contains("in earth") && shown.contains("10.9.0.1/24"), "{shown}");
        assert!(shown.ends_with("5\n"), "{shown}");
    }
}
