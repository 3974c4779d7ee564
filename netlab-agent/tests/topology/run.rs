//! What a lab is like while it is up: its addresses and routes, and the commands in its nodes.

use std::ffi::OsString;
use std::future::pending;
use std::net::IpAddr;
use std::path::Path;

use netlab_agent::error::Kind;
use netlab_agent::lab::{Cable, Datapath, End, Place, Route, Wait};
use netlab_agent::netlink::Netlink;
use netlab_agent::topology::{self, LabDir, inside, process, sysctl};

use crate::kit::{down, end, lab, net, run, sandboxed, up, world};

#[test]
fn commands_start_are_waited_for_and_end_with_the_lab() {
    sandboxed("run::commands_start_are_waited_for_and_end_with_the_lab", || async {
        let before = world().await;
        let mut lab = lab("p", Some("p-host"), 3);
        let server = "import socket,time,signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n\
            time.sleep(.1)\ns=socket.create_server((\"10.10.1.1\",8000))\n\
            u=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\nu.bind((\"\",53))\ntime.sleep(1000)";
        lab.nodes[0].run = vec![format!("exec python3 -c '{server}'"), "sleep 1000 & true".to_owned()];
        lab.nodes[0].wait = vec![Wait::Tcp(8000), Wait::Udp(53)];
        let dir = LabDir::new("p");
        let built = up(&lab).await;
        let mut started = process::start_all(&lab, &built, &dir, Path::new("/")).unwrap();
        process::wait_all(&lab, &built, &mut started).await.unwrap();
        assert!(process::processes_in(built.namespace(Place::Node(0))).len() >= 2);
        down("p").await;
        for command in &mut started {
            command.child.wait().unwrap();
        }
        assert_eq!(world().await, before);
    });
}

#[test]
fn a_command_that_dies_at_once_is_reported_with_its_last_words() {
    sandboxed("run::a_command_that_dies_at_once_is_reported_with_its_last_words", || async {
        let mut lab = lab("d", Some("d-host"), 1);
        lab.nodes[0].run = vec!["echo no such world >&2; exit 3".to_owned()];
        let built = up(&lab).await;
        let dir = LabDir::new("d");
        let mut started = process::start_all(&lab, &built, &dir, Path::new("/")).unwrap();
        let failure = process::wait_all(&lab, &built, &mut started).await.unwrap_err();
        let text = failure.to_string();
        assert!(text.contains("d-node0") && text.contains("no such world") && text.contains('3'), "{text}");
        down("d").await;
    });
}

#[test]
fn inside_a_node_sys_and_hosts_are_the_nodes_own() {
    sandboxed("run::inside_a_node_sys_and_hosts_are_the_nodes_own", || async {
        let lab = lab("s", Some("s-host"), 1);
        let built = up(&lab).await;
        let dir = LabDir::new("s");
        // A mount below /sys/fs must be seen in the node too.
        let mount = ["-t", "tmpfs", "tmpfs", "/sys/fs/bpf"];
        assert!(std::process::Command::new("mount").args(mount).status().unwrap().success());
        std::fs::write("/sys/fs/bpf/pin", "").unwrap();
        let outside = || std::fs::read_dir("/sys/class/net").unwrap().count();
        let before = outside();
        let script = "test \"$(echo $(ls /sys/class/net))\" = 'eth0 lo' && test -e /sys/fs/bpf/pin && test -d /sys/fs/cgroup && \
            grep -q '10.10.1.1 s-node0' /etc/hosts";
        assert!(run(&built, &dir, Place::Node(0), &["sh", "-c", script]).success());
        assert_eq!(outside(), before);
        assert_eq!(run(&built, &dir, Place::Node(0), &["sh", "-c", "exit 7"]).code(), Some(7));
        let reopened = topology::reopen(&lab, &dir).await.unwrap();
        assert_eq!(reopened.ports, built.ports);
        let node = topology::open(&dir, Some("s-node0")).unwrap();
        assert_eq!(node.identity(), built.namespace(Place::Node(0)).identity());
        assert_eq!(topology::open(&dir, Some("elsewhere")).unwrap_err().kind, Kind::Missing);
        down("s").await;
    });
}

#[test]
fn exec_answers_what_shells_answer_when_there_is_no_such_command() {
    sandboxed("run::exec_answers_what_shells_answer_when_there_is_no_such_command", || async {
        let built = up(&lab("e", Some("e-host"), 1)).await;
        let dir = LabDir::new("e");
        let namespace = built.namespace(Place::Node(0));
        let statuses: Vec<_> = [vec![], vec![OsString::from("/")]]
            .iter()
            .map(|argv| inside::exec(namespace, &dir.hosts(), argv).exit_status())
            .collect();
        let missing = inside::exec(namespace, &dir.hosts(), &[OsString::from("no-such-command")]);
        assert_eq!((statuses, missing.exit_status()), (vec![125, 126], 127));
    });
}

#[test]
fn sysctls_are_set_in_the_node_alone_before_and_after_its_interfaces() {
    sandboxed("run::sysctls_are_set_in_the_node_alone_before_and_after_its_interfaces", || async {
        let mut lab = lab("y", Some("y-host"), 2);
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        lab.nodes[0].sysctls =
            vec![pair("net.ipv4.ip_default_ttl", "77"), pair("net.ipv4.conf.eth0.rp_filter", "2")];
        let built = up(&lab).await;
        let read = |place, key: &str| built.namespace(place).enter(|| sysctl::read(key)).unwrap().unwrap();
        assert_eq!(read(Place::Node(0), "net.ipv4.ip_default_ttl"), "77");
        assert_eq!(read(Place::Node(0), "net.ipv4.conf.eth0.rp_filter"), "2");
        assert_eq!(read(Place::Node(1), "net.ipv4.ip_default_ttl"), "64");
        assert_eq!(read(Place::Host, "net.ipv4.ip_forward"), "1");
        down("y").await;
        lab.nodes[0].sysctls = vec![pair("net.ipv4.no_such_thing", "1")];
        let failure = topology::apply(&lab, &topology::plan(&lab), &LabDir::new("y"), pending::<()>()).await;
        let text = failure.unwrap_err().to_string();
        assert!(text.contains("net.ipv4.no_such_thing") && text.contains("y-node0"), "{text}");
    });
}

#[test]
fn every_kind_of_address_route_and_link_state_arrives() {
    sandboxed("run::every_kind_of_address_route_and_link_state_arrives", || async {
        let mut lab = lab("v", Some("v-host"), 2);
        let fd00: IpAddr = "fd00::9".parse().unwrap();
        let eth0 = || Some("eth0".to_owned());
        lab.nodes[0].loopback = vec![net("8.8.8.8/32"), net("fd01::1/128")];
        lab.cables[0].near.addresses.push(net("fd00::1/64"));
        lab.nodes[0].routes = vec![
            Route { to: net("fd02::/32"), via: Some(fd00), dev: None },
            Route { to: net("192.0.2.0/24"), via: None, dev: eth0() },
            Route { to: net("198.51.100.0/24"), via: Some(fd00), dev: eth0() },
        ];
        lab.cables.push(Cable {
            near: End { mtu: Some(1400), ..end(Place::Node(0), "direct", Some("10.30.0.1/30")) },
            far: End { up: false, ..end(Place::Node(1), "direct", None) },
            bridge: None,
            datapath: Datapath::Auto,
        });
        lab.bridges[0].mtu = Some(9000);
        let built = up(&lab).await;
        let netlink = built.namespace(Place::Node(0)).enter(Netlink::open).unwrap().unwrap();
        let links = netlink.links().await.unwrap();
        assert!(links.iter().all(|link| link.up), "{links:?}");
        let addresses: Vec<_> =
            netlink.addresses().await.unwrap().iter().map(|entry| entry.address).collect();
        for wanted in
            ["8.8.8.8/32", "fd01::1/128", "10.10.1.1/16", "fd00::1/64", "10.30.0.1/30", "127.0.0.1/8"]
        {
            assert!(addresses.contains(&net(wanted)), "{wanted} is missing in {addresses:?}");
        }
        let routes: Vec<_> = netlink.routes().await.unwrap().iter().map(|entry| entry.to).collect();
        for wanted in ["0.0.0.0/0", "fd02::/32", "192.0.2.0/24", "198.51.100.0/24"] {
            assert!(routes.contains(&net(wanted)), "{wanted} is missing in {routes:?}");
        }
        let other = built.namespace(Place::Node(1)).enter(Netlink::open).unwrap().unwrap();
        let far = other.links().await.unwrap().into_iter().find(|link| link.name == "direct").unwrap();
        assert!(!far.up);
        let mtus = "test $(cat /sys/class/net/v-br/mtu) = 9000 && test $(cat /sys/class/net/v-0/mtu) = 9000";
        assert!(run(&built, &LabDir::new("v"), Place::Host, &["sh", "-c", mtus]).success());
        down("v").await;
    });
}
