//! `up --foreground`, and output into pipes: it stays, shows the lab, and Ctrl-C takes it down.

use netlab_tests::machine::{Machine, example};

#[test]
fn ctrl_c_takes_a_foreground_lab_down() {
    let machine = Machine::new();
    let before = machine.inventory();
    let lab = example("4-internet.toml");
    let script = format!(
        "$NETLAB up --foreground {} >out 2>err & echo $! >pid; wait $!; echo $? >code",
        lab.display()
    );
    let _ = machine.sh(&format!("({script}) >/dev/null 2>&1 &")).ok();
    machine.wait_until("grep -q 'is up' out");
    let said = machine.sh("ip netns exec earth ping -c1 -W2 8.8.8.8 && $NETLAB check").ok();
    assert!(said.contains("earth reaches the internet"), "{said}");
    let again = machine.netlab(["up".as_ref(), lab.as_os_str()]).ok();
    assert!(again.contains("is up already; nothing was changed"), "{again}");
    let objects = machine.bpf_objects();
    let _ = machine.sh("kill -INT $(cat pid)").ok();
    machine.wait_until("test -s code");
    assert_eq!(
        machine.sh("cat out code err").ok(),
        "lab planets is up: earth, neptune, internet; NAT in eBPF: 1 masquerade, 2 forwards\nlab planets is down\n0\n"
    );
    machine.are_freed(&objects);
    machine.is_as_before(&before).expect("as it was");
}

#[test]
fn a_foreground_lab_that_is_up_already_is_left_alone() {
    let machine = Machine::with_example("1-pair.toml");
    let before = machine.inventory();
    let said = machine.netlab(["up".as_ref(), "--foreground".as_ref(), example("1-pair.toml").as_os_str()]);
    let said = said.fails(6);
    assert!(said.contains("lab pair is up already"), "{said}");
    machine.is_as_before(&before).expect("the lab is as it was");
}

#[test]
fn the_live_view_fits_a_terminal_of_eighty_columns() {
    let machine = Machine::new();
    let lab = example("4-internet.toml");
    // A terminal whose Ctrl-C is typed once the view has been drawn with flows in it.
    let script = format!(
        "mkfifo keys; (script -qefc 'stty cols 80 rows 40; exec $NETLAB up --foreground {}' shown <keys >/dev/null; echo $? >code) & exec 3>keys
         until grep -q 'is up' shown; do sleep 0.02; done
         ip netns exec earth ping -c2 -i0.1 8.8.8.8
         ip netns exec internet curl -sS --max-time 5 http://192.168.0.108:3000/
         for i in $(seq 100); do grep -q 'TIME_WAIT' shown && break; sleep 0.05; done
         printf '\\003' >&3; wait",
        lab.display()
    );
    let _ = machine.sh(&script).ok();
    assert_eq!(machine.sh("cat code").ok(), "0\n");
    let shown = machine.sh("cat shown").ok();
    for words in [
        "Ctrl-C takes it down",
        "192.168.0.108:3000/tcp",
        "REPLIES  BYTES",
        "TIME_WAIT",
        "uplink_out",
        "lab planets is down",
    ] {
        assert!(shown.contains(words), "{words} is not in\n{shown}");
    }
    let lines = shown.lines().map(|line| line.rsplit("\u{1b}[2J").next().unwrap_or(line).trim_end());
    let wide: Vec<_> = lines
        .skip(1)
        .filter(|line| {
            !line.starts_with("Script")
                && !line.starts_with("lab planets is up:")
                && line.chars().count() > 80
        })
        .collect();
    assert_eq!(wide, Vec::<&str>::new(), "lines over 80 columns");
}

#[test]
fn tables_fit_eighty_columns_and_hold_no_escape_codes_in_a_pipe() {
    let machine = Machine::with_example("4-internet.toml");
    let _ = machine
        .sh("ip netns exec earth ping -c1 8.8.8.8; ip netns exec internet curl -sS http://192.168.0.108:3000/")
        .ok();
    for verb in [
        &["stats"][..],
        &["status"],
        &["conntrack", "ls"],
        &["forward", "ls"],
        &["masquerade", "ls"],
        &["check"],
    ] {
        let text = machine.netlab(verb).ok();
        // Flows have four addresses and checks have names of any length; the others fit. Sentences are no table.
        let is_wide = |line: &&str| line.chars().count() > 80 && !line.starts_with("aside: ");
        let wide: Vec<_> = text.lines().filter(is_wide).collect();
        assert!(
            wide.is_empty() || ["conntrack", "check"].contains(&verb[0]),
            "netlab {}: {wide:#?}",
            verb.join(" ")
        );
        assert!(!text.contains('\u{1b}'), "netlab {}: {text}", verb.join(" "));
    }
}

#[test]
fn every_verb_prints_json_with_its_schema() {
    let machine = Machine::with_example("4-internet.toml");
    for verb in [
        &["stats"][..],
        &["status"],
        &["conntrack", "ls"],
        &["forward", "ls"],
        &["masquerade", "ls"],
        &["check"],
    ] {
        let value = machine.json(verb);
        assert_eq!(value["schema"], format!("netlab.{}/1", verb[0]), "{value:#}");
        assert_eq!(value["lab"], "planets", "{value:#}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let machine = Machine::with_example("4-internet.toml");
    for verb in ["stats", "status", "conntrack ls", "check"] {
        let ran = machine.sh(&format!("$NETLAB {verb} 2>err | true; echo ${{PIPESTATUS[0]}}; cat err"));
        assert_eq!(ran.stdout, "0\n", "netlab {verb}");
    }
}
