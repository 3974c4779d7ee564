//! Labs cut short: Ctrl-C and `kill -9`, of the command and of the agent, at any moment.

use netlab_tests::labs::PORTS;
use netlab_tests::machine::Machine;

/// A machine with the lab's file ready and nothing up.
fn prepared() -> Machine {
    let machine = Machine::with_lab(PORTS);
    let _ = machine.netlab(["down"]).ok();
    machine
}

/// Delays in milliseconds that fall into every part of an `up`.
const DELAYS: [u32; 12] = [0, 5, 10, 20, 35, 50, 75, 100, 150, 200, 300, 400];

#[test]
fn ctrl_c_at_any_moment_leaves_all_or_nothing() {
    let machine = prepared();
    let before = machine.inventory();
    let mut codes = Vec::new();
    for delay in DELAYS {
        // `timeout` signals the whole group, as a terminal does.
        let script = format!("timeout --preserve-status -s INT 0.{delay:03} $NETLAB up >/dev/null 2>err");
        let code = machine.sh(&script).code;
        codes.push(code);
        match code {
            0 => {
                let _ = machine.netlab(["down"]).ok();
            }
            130 => {
                let said = machine.sh("cat err").ok();
                // A signal in its first moment ends it before it has begun, or has anything to say.
                assert!(
                    said.matches("error: interrupted").count() == 1 || said.is_empty(),
                    "after {delay} ms: {said}"
                );
            }
            _ => panic!("after {delay} ms: exit code {code}: {}", machine.sh("cat err").stdout),
        }
        machine.is_as_before(&before).unwrap_or_else(|error| panic!("after {delay} ms: {error}"));
    }
    assert!(codes.contains(&130), "no interruption came in time: {codes:?}");
}

#[test]
fn a_signal_to_the_command_alone_reaches_its_agent() {
    let machine = prepared();
    let before = machine.inventory();
    let script = "timeout --foreground --preserve-status -s TERM 0.05 $NETLAB up";
    let ran = machine.sh(script);
    assert!([0, 130].contains(&ran.code), "{ran:?}");
    if ran.code == 0 {
        let _ = machine.netlab(["down"]).ok();
    }
    machine.is_as_before(&before).expect("all or nothing");
}

#[test]
fn the_agent_undoes_a_lab_that_nobody_waits_for_any_more() {
    let machine = prepared();
    let before = machine.inventory();
    // The node's command keeps `up` waiting, so the parent dies while the agent is at work.
    machine.write("lab.toml", &PORTS.replace("wait = [\"tcp:70\"]", "wait = [\"tcp:71\"]"));
    let _ = machine.sh("$NETLAB up >/dev/null 2>&1 & echo $! >up.pid").ok();
    machine.wait_until("pidof python3 >/dev/null");
    let _ = machine.sh("kill -9 $(cat up.pid)").ok();
    machine.is_as_before(&before).expect("the agent took the lab down");
}

#[test]
fn down_clears_away_what_a_killed_up_has_left_at_any_moment() {
    let machine = prepared();
    let before = machine.inventory();
    let mut left = 0;
    for delay in DELAYS {
        let script = format!(
            "timeout -s KILL 0.{delay:03} $NETLAB up >/dev/null 2>&1; pkill -9 -x 'netlab|exe'; true"
        );
        let _ = machine.sh(&script).code;
        machine.wait_until("! pgrep -x 'netlab|exe' -r R,S,D >/dev/null");
        let again = machine.netlab(["up"]);
        if again.code != 0 {
            left += 1;
            assert!(again.stderr.contains("netlab down -l ports"), "after {delay} ms: {}", again.stderr);
        }
        let down = machine.netlab(["down"]);
        assert_eq!(down.code, 0, "after {delay} ms: {}", down.stderr);
        machine.is_as_before(&before).unwrap_or_else(|error| panic!("after {delay} ms: {error}"));
    }
    assert!(left > 0, "no kill came in the middle");
}

/// The mount is the first that an `up` makes of its datapath.
#[test]
fn down_takes_the_bpf_file_system_away_that_an_up_mounted_when_it_was_killed() {
    let machine = prepared();
    let before = machine.inventory();
    let _ = machine.netlab(["up"]).ok();
    let _ = machine.sh("kill -9 $(cut -d' ' -f1 /run/netlab/ports/agent.pid)").ok();
    let _ = machine
        .sh("find /sys/fs/bpf/netlab -depth -delete && grep -q ' /sys/fs/bpf bpf ' /proc/self/mounts")
        .ok();
    let _ = machine.netlab(["down"]).ok();
    machine.is_as_before(&before).expect("the mount goes, though nothing is in it");
}

/// It serves all labs that are up, also those without pins there.
#[test]
fn a_lab_without_a_datapath_leaves_the_bpf_file_system_to_the_one_that_has_it() {
    let machine = Machine::with_lab(PORTS);
    machine.write("plain.toml", "version = 1\nname = \"plain\"\n[node.alone]\n");
    let _ = machine.netlab(["up", "plain.toml"]).ok();
    let _ = machine.netlab(["down", "-l", "plain"]).ok();
    assert!(
        machine.netlab(["status", "-l", "ports"]).ok().contains("internet"),
        "the other lab has its maps"
    );
}

#[test]
fn a_killed_agent_stops_nothing_and_up_gives_the_lab_another() {
    let machine = Machine::new();
    let before = machine.inventory();
    machine.write("echo.py", include_str!("../src/echo.py"));
    machine.write("lab.toml", PORTS);
    let _ = machine.netlab(["up"]).ok();
    let _ = machine
        .sh_in(
            "earth",
            "(for i in 1 2 3 4 5 6; do echo $i; sleep 0.3; done) | nc -N -w5 8.8.8.8 80 >long.out &",
        )
        .ok();
    machine.wait_until("grep -q 'say 1' long.out");
    let _ = machine.sh("kill -9 $(cut -d' ' -f1 /run/netlab/ports/agent.pid)").ok();
    machine.wait_until("$NETLAB status | grep -q 'agent: dead'");
    assert_eq!(machine.json(&["status"])["agent"], serde_json::Value::Null);

    machine.wait_until("grep -q 'say 6' long.out");
    let new = machine.sh_in("neptune", "ping -c2 -i0.1 -W2 8.8.8.8").ok();
    assert!(new.contains(" 0% packet loss"), "{new}");
    let new = machine.sh_in("internet", "echo hello | nc -N -w5 192.168.0.108 8080").ok();
    assert!(new.starts_with("earth saw "), "{new}");

    let flows = machine.json(&["status"])["datapath"]["flows"].clone();
    let said = machine.netlab(["up"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stderr.contains("up without its agent; this one takes over"), "{}", said.stderr);
    let status = machine.json(&["status"]);
    assert!(status["agent"].is_u64(), "{status:#}");
    assert_eq!(status["datapath"]["flows"], flows, "the new agent goes on with the old one's flows");
    let again = machine.netlab(["up"]).ok();
    assert!(again.contains("is up already; nothing was changed"), "{again}");

    let objects = machine.bpf_objects();
    let _ = machine.sh("kill -9 $(cut -d' ' -f1 /run/netlab/ports/agent.pid)").ok();
    let _ = machine.netlab(["down"]).ok();
    machine.are_freed(&objects);
    machine.is_as_before(&before).expect("`down` needs no agent");
}
