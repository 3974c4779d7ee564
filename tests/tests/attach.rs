//! The two ways by which programs are attached: tcx links, and clsact filters where the kernel has no links or is
//! not asked for them. What the filters are on may be somebody else's interface, so that nothing of netlab's stays
//! on it, and nothing of others' is touched, is tried on `w0`, which is none of the lab's.

use std::time::Duration;

use netlab_tests::labs::{GUEST, TO_A_WORLD};
use netlab_tests::machine::{Machine, Ran};
use netlab_tests::need::{has_links, patient};

/// `up` by filters, whatever the kernel has.
const UP: &str = "NETLAB_ATTACH=clsact $NETLAB up";

/// A machine with a world, and what is there before any lab.
fn machine() -> (Machine, String) {
    let machine = Machine::new();
    let _ = machine.sh(TO_A_WORLD).ok();
    // On an emulated machine it takes longer than a minute until programs are replaced, and the flow shall live on.
    let lab = GUEST.replace("UPLINK", "w0") + "[flows]\ntimeouts = { icmp = 900 }\n";
    machine.write("lab.toml", &lab);
    let before = machine.inventory();
    (machine, before)
}

fn ping(machine: &Machine) -> Ran {
    machine.sh_in("visitor", "ping -c1 -W2 192.168.9.1")
}

/// How many filters of netlab's are on the uplink, both ways.
fn filters(machine: &Machine) -> usize {
    let shown = machine.sh("tc filter show dev w0 ingress; tc filter show dev w0 egress").ok();
    shown.lines().filter(|line| line.contains("nl_tc_up_")).count()
}

#[test]
fn a_lab_by_filters_works_on_anothers_uplink_and_leaves_it_as_it_was() {
    let (machine, before) = machine();
    let _ = machine.sh(UP).ok();
    assert_eq!(filters(&machine), 2);
    assert_eq!(
        machine.sh("ls /sys/fs/bpf/netlab/guest/v*/ | grep @ | grep -vc xdp || true").ok(),
        "0\n",
        "no links"
    );
    let _ = ping(&machine).ok();
    let _ = machine.netlab(["status"]).ok();
    let objects = machine.bpf_objects();
    let _ = machine.netlab(["down"]).ok();
    machine.are_freed(&objects);
    machine.is_as_before(&before).expect("no filter and no qdisc stays");
}

#[test]
fn without_being_told_the_kernel_gets_links_where_it_has_them() {
    let (machine, before) = machine();
    let _ = machine.netlab(["up"]).ok();
    let links = machine.sh("ls /sys/fs/bpf/netlab/guest/v*/ | grep @ | grep -vc xdp || true").ok();
    assert_eq!((links.trim() != "0", filters(&machine) == 0), (has_links(), has_links()));
    let _ = ping(&machine).ok();
    let _ = machine.netlab(["down"]).ok();
    machine.is_as_before(&before).expect("nothing stays");
}

#[test]
fn a_kernel_without_links_gets_filters_by_itself() {
    const EINVAL: u32 = 22;
    const BPF_PROG_QUERY: u32 = 16;
    let (machine, before) = machine();
    machine.write("deny.py", include_str!("../src/deny.py"));
    machine.write("up.sh", "exec $NETLAB up");
    let _ = machine.sh(&format!("python3 deny.py {EINVAL} {BPF_PROG_QUERY} $(which bash) up.sh")).ok();
    assert_eq!(filters(&machine), 2);
    let _ = ping(&machine).ok();
    let _ = machine.netlab(["down"]).ok();
    machine.is_as_before(&before).expect("nothing stays");
}

/// A classic program on the same hook after netlab's: as a direct action it drops whatever it sees.
const DROP: &str = "tc filter add dev w0 egress prio 200 protocol all bpf da bytecode '1,6 0 0 2,'";

#[test]
fn others_filters_on_the_hook_still_see_the_packets_and_stay() {
    let (machine, _) = machine();
    let _ = machine.sh("tc qdisc add dev w0 clsact").ok();
    let before = machine.inventory();
    let _ = machine.sh(UP).ok();
    let _ = ping(&machine).ok();
    let _ = machine.sh(DROP).ok();
    let _ = ping(&machine).fails(1);
    let _ = machine.netlab(["down"]).ok();
    let left = machine.sh("tc filter show dev w0 egress").ok();
    assert!(left.contains("pref 200"), "{left}");
    machine.is_as_before(&before).expect("the qdisc was there before, and stays");
}

#[test]
fn a_qdisc_on_which_others_have_filters_meanwhile_stays() {
    let (machine, before) = machine();
    let _ = machine.sh(UP).ok();
    let _ = machine.sh(DROP).ok();
    let _ = machine.netlab(["down"]).ok();
    let left = machine.sh("tc filter show dev w0 egress").ok();
    assert!(left.contains("pref 200"), "{left}");
    let _ = machine.sh("tc qdisc delete dev w0 clsact").ok();
    machine.is_as_before(&before).expect("nothing else stays");
}

#[test]
fn an_ingress_qdisc_in_the_place_is_a_conflict_that_says_so() {
    let (machine, _) = machine();
    let _ = machine.sh("tc qdisc add dev w0 ingress").ok();
    let before = machine.inventory();
    let said = machine.sh(UP).fails(6);
    assert!(said.contains("interface w0 takes no clsact qdisc"), "{said}");
    assert!(said.contains("tc qdisc show dev w0"), "{said}");
    machine.is_as_before(&before).expect("a lab that does not come up leaves nothing");
}

#[test]
fn programs_in_filters_are_replaced_in_place_and_flows_stay() {
    let (machine, before) = machine();
    let _ = machine.sh(UP).ok();
    let _ = ping(&machine).ok();
    let numbers = || machine.sh("tc filter show dev w0 ingress; tc filter show dev w0 egress").ok();
    let old = numbers();
    // As another build of netlab would have noted it; and by a netlab that would make links of new ones.
    let _ = machine.sh("echo another >/run/netlab/guest/programs").ok();
    let ran = machine.netlab(["up"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("they were replaced"), "{}", ran.stderr);
    assert_eq!(filters(&machine), 2, "the same filters: {}", numbers());
    assert_ne!(numbers(), old, "with other programs");
    assert_eq!(machine.sh("$NETLAB conntrack count").ok(), "1\n", "and the same flow");
    let _ = ping(&machine).ok();
    let _ = machine.netlab(["status"]).ok();
    let _ = machine.netlab(["down"]).ok();
    machine.is_as_before(&before).expect("nothing stays");
}

#[test]
fn a_filter_that_somebody_took_away_is_missed() {
    let (machine, before) = machine();
    let _ = machine.sh(UP).ok();
    // The agent would put it back.
    let _ = machine.sh("pkill -STOP -x 'netlab|exe'; tc filter delete dev w0 egress").ok();
    let said = machine.netlab(["status"]);
    let _ = machine.sh("pkill -CONT -x 'netlab|exe'").ok();
    assert_eq!(said.code, 4, "{}", said.stdout);
    assert!(said.stdout.contains("the program for uplink_out is not attached to w0"), "{}", said.stdout);
    let _ = machine.netlab(["down"]).ok();
    machine.is_as_before(&before).expect("nothing stays");
}

#[test]
fn an_uplink_that_is_made_anew_gets_its_filters_back() {
    let (machine, before) = machine();
    let _ = machine.sh(UP).ok();
    let _ = machine.sh(&format!("ip link delete w0; ip netns delete world; {TO_A_WORLD}")).ok();
    machine.wait_until("ip netns exec visitor ping -qc1 -W1 192.168.9.1 >/dev/null");
    assert_eq!(filters(&machine), 2);
    let _ = machine.netlab(["down"]).ok();
    let left = machine.sh("tc qdisc show dev w0").ok();
    assert!(!left.contains("clsact"), "{left}");
    // The interface itself is another one.
    drop(before);
}

#[test]
fn what_a_killed_up_left_on_the_uplink_goes_with_down() {
    let (machine, before) = machine();
    for delay in [40, 150, 300, 500] {
        let delay = patient(Duration::from_millis(delay)).as_secs_f64();
        let killed = format!(
            "NETLAB_ATTACH=clsact timeout -s KILL {delay} $NETLAB up; pkill -9 -x 'netlab|exe'; true"
        );
        let _ = machine.sh(&killed).code;
        machine.wait_until("! pgrep -x 'netlab|exe' -r R,S,D >/dev/null");
        // One that was killed before it had written anything down has left a folder, which the next one takes.
        let _ = machine.sh(UP).code;
        let down = machine.netlab(["down"]);
        assert_eq!(down.code, 0, "after {delay} s: {}", down.stderr);
        machine.is_as_before(&before).unwrap_or_else(|error| panic!("after {delay} s: {error}"));
    }
}
