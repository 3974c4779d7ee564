//! Forwards come and go in a running lab, and the flows of others do not notice.

use std::net::Ipv4Addr;

use netlab_common::abi::event::Event;
use netlab_tests::attack::{MASQUERADES, Pins, count, lab};
use netlab_tests::inside::{at, dial, serve_tcp};

const WORLD: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 1);

#[test]
fn forwards_come_and_go_and_no_other_flow_notices() {
    let machine = lab(&format!("{MASQUERADES}[[forward]]\npublish = \"8000:earth:80\"\n"));
    let _web = serve_tcp(&machine, "earth", at("0.0.0.0", 80));
    let kept =
        dial(&machine, "internet", (WORLD, 50_000), at("192.168.0.108", 8000)).expect("the file's forward");
    let said = machine.netlab(["forward", "add", "8001-8003:earth:80", "--allow", "192.168.0.0/24"]).ok();
    assert_eq!(said, "forward 3 added: 8001-8003:earth:80\n");
    let ended =
        dial(&machine, "internet", (WORLD, 50_001), at("192.168.0.108", 8001)).expect("the new forward");
    assert_eq!(count(&machine, &[]), 2);
    // Whoever restarts finds it as well.
    let _ = machine
        .sh("kill -9 $(cut -d' ' -f1 /run/netlab/attack/agent.pid); $NETLAB up lab.toml; sleep 1")
        .ok();
    assert_eq!(machine.json(&["forward", "ls"])["forwards"].as_array().map(Vec::len), Some(2));
    let again = dial(&machine, "internet", (WORLD, 50_002), at("192.168.0.108", 8001));
    assert!(again.is_ok(), "it is still there");

    let _ = machine.netlab(["forward", "rm", "3"]).ok();
    assert_eq!(Pins::of(&machine).event(Event::RuleGone), 2);
    assert_eq!(count(&machine, &[]), 1, "the other forward's flow lives");
    assert!(dial(&machine, "internet", (WORLD, 50_003), at("192.168.0.108", 8001)).is_err());
    let _ = machine.netlab(["forward", "rm", "3"]).fails(3);
    let _ = machine.netlab(["forward", "add", "8000:mars:80"]).fails(2);
    drop((kept, ended));
}
