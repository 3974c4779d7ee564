//! Nothing is left, whatever happens, and nothing of others is touched.

use std::env;
use std::fs;
use std::future::{pending, poll_fn};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::task::Poll;
use std::time::Duration;

use netlab_agent::error::Kind;
use netlab_agent::lab::{Place, Route, Uplink};
use netlab_agent::netlink::{Netlink, NewBridge};
use netlab_agent::netns::{self, Namespace};
use netlab_agent::topology::journal::{Journal, State};
use netlab_agent::topology::{self, LabDir, process, sysctl};

use crate::kit::{MARK, down, lab, net, pings, sandboxed, up, world};

#[test]
fn a_lab_with_its_own_host_leaves_nothing() {
    sandboxed("undo::a_lab_with_its_own_host_leaves_nothing", || async {
        let before = world().await;
        let lab = lab("a", Some("a-host"), 3);
        let built = up(&lab).await;
        assert_eq!(Journal::read(&LabDir::new("a")).unwrap().unwrap().state, State::Up);
        assert_eq!(built.ports.len(), 3);
        assert!(pings(&built, Place::Node(0), "a", "a-node2"));
        assert!(pings(&built, Place::Node(1), "a", "host"));
        assert_eq!(world().await.links, before.links, "the stack of the sandbox is not the lab's");
        down("a").await;
        assert_eq!(world().await, before);
        down("a").await;
    });
}

#[test]
fn a_lab_in_a_host_stack_that_is_not_its_own_puts_everything_back() {
    sandboxed("undo::a_lab_in_a_host_stack_that_is_not_its_own_puts_everything_back", || async {
        let before = world().await;
        assert_eq!(before.forwarding, "0");
        let mut lab = lab("g", None, 5);
        let via = Some("10.10.1.1".parse().unwrap());
        lab.host.routes = vec![Route { to: net("172.20.0.0/16"), via, dev: None }];
        lab.host.sysctls = vec![("net.ipv4.conf.g-br.rp_filter".to_owned(), "2".to_owned())];
        let built = up(&lab).await;
        let links = Netlink::open().unwrap().links().await.unwrap();
        let marked = links.iter().filter(|link| link.alias.as_deref() == Some("netlab:g")).count();
        assert_eq!(marked, 6);
        assert_eq!(sysctl::read("net.ipv4.conf.g-br.rp_filter").unwrap(), "2");
        assert_eq!(world().await.forwarding, "1");
        assert!(pings(&built, Place::Node(0), "g", "10.10.0.1"));
        down("g").await;
        assert_eq!(world().await, before);
    });
}

#[test]
fn a_lab_of_one_bridge_without_nodes_is_marked_and_goes() {
    sandboxed("undo::a_lab_of_one_bridge_without_nodes_is_marked_and_goes", || async {
        let before = world().await;
        let built = up(&lab("o", None, 0)).await;
        assert_eq!((built.bridges.len(), built.ports.len()), (1, 0));
        let links = Netlink::open().unwrap().links().await.unwrap();
        assert!(links.iter().any(|link| link.name == "o-br" && link.alias.as_deref() == Some("netlab:o")));
        down("o").await;
        assert_eq!(world().await, before);
    });
}

#[test]
fn a_route_over_an_interface_that_is_not_the_labs_goes_and_a_foreign_one_stays() {
    sandboxed(
        "undo::a_route_over_an_interface_that_is_not_the_labs_goes_and_a_foreign_one_stays",
        || async {
            let netlink = Netlink::open().unwrap();
            netlink
                .add_bridge(NewBridge { name: "wan", mac: [2, 0, 0, 0, 0, 1], group: None })
                .await
                .unwrap();
            let wan = netlink.links().await.unwrap().into_iter().find(|link| link.name == "wan").unwrap();
            netlink.add_address(wan.index, net("192.0.2.1/24")).await.unwrap();
            let before = world().await;
            let mut lab = lab("r", None, 1);
            let route = |to| Route { to: net(to), via: None, dev: Some("wan".to_owned()) };
            lab.host.routes = vec![route("172.20.0.0/16")];
            lab.host.uplink = Some(Uplink::Named("wan".to_owned()));
            let built = up(&lab).await;
            assert_eq!(built.uplink.as_ref().map(|uplink| uplink.index), Some(wan.index));
            down("r").await;
            assert_eq!(world().await, before);
        },
    );
}

#[test]
fn a_lab_that_is_interrupted_anywhere_leaves_nothing() {
    sandboxed("undo::a_lab_that_is_interrupted_anywhere_leaves_nothing", || async {
        let before = world().await;
        for host in [None, Some("i-host")] {
            let lab = lab("i", host, 12);
            let dir = LabDir::new("i");
            let mut interruptions = 0;
            for polls in (0..).step_by(3) {
                let mut left = polls;
                // Asked each time the builder goes on, so it fires after that many steps.
                let cancel = poll_fn(|_| {
                    left -= 1;
                    if left < 0 { Poll::Ready(()) } else { Poll::Pending }
                });
                match topology::apply(&lab, &topology::plan(&lab), &dir, cancel).await {
                    Ok(_) => break,
                    Err(failure) => assert_eq!(failure.kind, Kind::Interrupted, "{failure}"),
                }
                interruptions += 1;
                assert_eq!(world().await, before, "after {polls} polls");
            }
            eprintln!("{interruptions} interruptions were tried");
            assert!(interruptions > 5);
            down("i").await;
            assert_eq!(world().await, before);
        }
    });
}

#[test]
#[ignore = "a helper that another test starts and kills"]
fn builds_a_lab_until_it_is_killed() {
    if env::var_os(MARK).is_none() {
        return;
    }
    sandboxed("undo::builds_a_lab_until_it_is_killed", || async {
        let host = env::var("NETLAB_TEST_HOST").ok();
        let mut lab = lab("k", host.as_deref(), 40);
        lab.nodes[0].run = vec!["exec sleep 1000".to_owned()];
        let built = up(&lab).await;
        process::start_all(&lab, &built, &LabDir::new("k"), Path::new("/")).unwrap();
        pending::<()>().await;
    });
}

#[test]
fn down_after_a_kill_at_any_moment_leaves_nothing() {
    sandboxed("undo::down_after_a_kill_at_any_moment_leaves_nothing", || async {
        let before = world().await;
        let mut half_built = 0;
        for round in 0..40u64 {
            let mut command = Command::new(env::current_exe().unwrap());
            command.args(["--exact", "undo::builds_a_lab_until_it_is_killed", "--include-ignored"]);
            if round % 2 == 0 {
                command.env("NETLAB_TEST_HOST", "k-host");
            }
            let mut child = command.stdout(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(round * 4));
            child.kill().unwrap();
            assert_eq!(child.wait().unwrap().signal(), Some(9), "round {round}");
            let journal = Journal::read(&LabDir::new("k")).unwrap();
            half_built += usize::from(journal.is_some_and(|journal| journal.state == State::Building));
            down("k").await;
            // What was killed in the middle of starting a process may take a moment to be gone.
            for _ in 0..100 {
                if world().await == before {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert_eq!(world().await, before, "round {round}");
        }
        eprintln!("{half_built} of 40 kills met a lab that was half built");
    });
}

#[test]
fn a_journal_of_intentions_alone_is_enough() {
    sandboxed("undo::a_journal_of_intentions_alone_is_enough", || async {
        let before = world().await;
        let lab = lab("j", None, 2);
        let dir = LabDir::new("j");
        let built = up(&lab).await;
        let mut journal = Journal::read(&dir).unwrap().unwrap();
        down("j").await;
        drop(built);
        journal.state = State::Building;
        dir.create().unwrap();
        journal.write(&dir).unwrap();
        // A name that was left half made.
        fs::write(netns::path("j-node0"), "").unwrap();
        down("j").await;
        assert_eq!(world().await, before);
    });
}

#[test]
fn a_broken_journal_is_reported_and_nothing_is_touched() {
    sandboxed("undo::a_broken_journal_is_reported_and_nothing_is_touched", || async {
        let lab = lab("b", Some("b-host"), 1);
        let dir = LabDir::new("b");
        let built = up(&lab).await;
        let text = fs::read(dir.journal()).unwrap();
        fs::write(dir.journal(), &text[..100]).unwrap();
        assert_eq!(topology::teardown(&dir).await.len(), 1);
        assert!(pings(&built, Place::Node(0), "b", "host"));
        fs::write(dir.journal(), &text).unwrap();
        down("b").await;
    });
}

#[test]
fn a_foreign_namespace_of_the_same_name_is_untouched() {
    sandboxed("undo::a_foreign_namespace_of_the_same_name_is_untouched", || async {
        let lab = lab("f", Some("f-host"), 3);
        let foreign = Namespace::make(1, |_| ()).unwrap().remove(0).0;
        foreign.publish("f-node1").unwrap();
        let before = world().await;
        let refused = topology::preflight(&lab).await.unwrap_err();
        assert_eq!(refused.kind, Kind::Conflict);
        assert!(refused.to_string().contains("\"f-node1\""), "{refused}");
        // A race may bring it in after the check.
        let dir = LabDir::new("f");
        let plan = topology::plan(&lab);
        let failure = topology::apply(&lab, &plan, &dir, pending::<()>()).await.unwrap_err();
        assert_eq!(failure.kind, Kind::Conflict, "{failure}");
        assert_eq!(world().await, before);
        assert_eq!(Namespace::open("f-node1").unwrap().identity(), foreign.identity());
        // Somebody replaces a node while the lab is up.
        netns::withdraw("f-node1").unwrap();
        let _built = up(&lab).await;
        netns::withdraw("f-node2").unwrap();
        foreign.publish("f-node2").unwrap();
        let problems = topology::teardown(&dir).await;
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(Namespace::open("f-node2").unwrap().identity(), foreign.identity());
        assert!(!dir.path().exists());
    });
}

#[test]
fn foreign_interfaces_and_networks_are_reported_at_once_and_untouched() {
    sandboxed("undo::foreign_interfaces_and_networks_are_reported_at_once_and_untouched", || async {
        let netlink = Netlink::open().unwrap();
        netlink.add_bridge(NewBridge { name: "c-1", mac: [2, 0, 0, 0, 0, 1], group: None }).await.unwrap();
        netlink.add_bridge(NewBridge { name: "other", mac: [2, 0, 0, 0, 0, 2], group: None }).await.unwrap();
        let other = netlink.links().await.unwrap().into_iter().find(|link| link.name == "other").unwrap();
        netlink.add_address(other.index, net("10.10.200.1/24")).await.unwrap();
        let mut lab = lab("c", None, 3);
        lab.host.uplink = Some(Uplink::Named("wan".to_owned()));
        let failure = topology::preflight(&lab).await.unwrap_err();
        let text = failure.to_string();
        assert_eq!(failure.kind, Kind::Conflict);
        for word in ["\"c-1\"", "10.10.0.0/16", "the interface other", "\"wan\""] {
            assert!(text.contains(word), "{word} is missing in:\n{text}");
        }
        let plan = topology::plan(&lab);
        let dir = LabDir::new("c");
        let failure = topology::apply(&lab, &plan, &dir, pending::<()>()).await.unwrap_err();
        assert_eq!(failure.kind, Kind::Conflict, "{failure}");
        let left: Vec<_> = netlink.links().await.unwrap().into_iter().map(|link| link.name).collect();
        assert_eq!(left, ["lo", "c-1", "other"]);
    });
}

#[test]
fn two_labs_that_set_the_same_sysctl_put_it_back_together() {
    sandboxed("undo::two_labs_that_set_the_same_sysctl_put_it_back_together", || async {
        let mut second = lab("two", None, 1);
        second.bridges[0].addresses = vec![net("10.20.0.1/16")];
        second.nodes[0].gateway = None;
        second.cables[0].near.addresses = vec![net("10.20.0.2/16")];
        for order in [["one", "two"], ["two", "one"]] {
            let _first = up(&lab("one", None, 1)).await;
            let _second = up(&second).await;
            down(order[0]).await;
            assert_eq!(sysctl::read("net.ipv4.ip_forward").unwrap(), "1", "{} still needs it", order[1]);
            down(order[1]).await;
            assert_eq!(sysctl::read("net.ipv4.ip_forward").unwrap(), "0");
        }
    });
}

#[test]
fn a_full_disk_is_reported_before_anything_is_made() {
    sandboxed("undo::a_full_disk_is_reported_before_anything_is_made", || async {
        fs::create_dir_all(topology::folder::ROOT).unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=8k", "tmpfs", topology::folder::ROOT];
        assert!(Command::new("mount").args(mount).status().unwrap().success());
        let before = world().await;
        let lab = lab("full", None, 200);
        let plan = topology::plan(&lab);
        let failure = topology::apply(&lab, &plan, &LabDir::new("full"), pending::<()>()).await.unwrap_err();
        assert!(failure.to_string().contains("no space is left"), "{failure}");
        assert_eq!(world().await, before);
    });
}

#[test]
fn up_twice_is_a_conflict_and_harms_nothing() {
    sandboxed("undo::up_twice_is_a_conflict_and_harms_nothing", || async {
        let lab = lab("u", Some("u-host"), 1);
        let built = up(&lab).await;
        let plan = topology::plan(&lab);
        assert_eq!(topology::preflight(&lab).await.unwrap_err().kind, Kind::Conflict);
        let failure = topology::apply(&lab, &plan, &LabDir::new("u"), pending::<()>()).await.unwrap_err();
        assert_eq!(failure.kind, Kind::Conflict);
        assert!(pings(&built, Place::Node(0), "u", "10.10.0.1"));
        down("u").await;
    });
}
