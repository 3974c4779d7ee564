//! The sandbox, a lab of any size, and a look at everything that a lab could leave behind.

use std::collections::BTreeSet;
use std::future::{Future, pending};
use std::process::{Command, ExitStatus, Stdio};
use std::{env, fs};

use ipnet::IpNet;
use netlab_agent::lab::{Bridge, Cable, Datapath, End, Flows, Host, Lab, Node, Place};
use netlab_agent::netlink::Netlink;
use netlab_agent::netns;
use netlab_agent::topology::{self, Built, LabDir, inside, sysctl};

/// Set inside the sandbox.
pub const MARK: &str = "NETLAB_TEST_SANDBOX";
/// No test may take longer, whatever hangs.
const LIMIT_SECONDS: &str = "120";

/// Runs `test` inside a sandbox: the outer call starts this test binary again there, for one test only.
pub fn sandboxed<F: Future<Output = ()>>(name: &str, test: impl FnOnce() -> F) {
    if env::var_os(MARK).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(async {
            netns::prepare_folder().unwrap();
            test().await;
        });
    }
    if !nix::unistd::geteuid().is_root() {
        let strict = std::env::var_os("NETLAB_GATE").is_some();
        assert!(!strict, "{name} needs root, and the gate allows no skips");
        eprintln!("SKIPPED {name}: it needs root");
        return;
    }
    let unshare = ["--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"];
    let script = "mount -t tmpfs tmpfs /run && exec \"$0\" \"$@\"";
    let status = Command::new("timeout")
        .args([LIMIT_SECONDS, "unshare"])
        .args(unshare)
        .args(["sh", "-c", script])
        .arg(env::current_exe().unwrap())
        .args(["--exact", name, "--include-ignored", "--nocapture", "--test-threads=1"])
        .env(MARK, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{name} failed in its sandbox: {status}");
}

pub fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

pub fn end(place: Place, name: &str, address: Option<&str>) -> End {
    let addresses = address.map(net).into_iter().collect();
    End { place, name: name.to_owned(), addresses, mtu: None, mac: None, up: true }
}

fn node(name: &str) -> Node {
    Node {
        name: name.to_owned(),
        gateway: Some("10.10.0.1".parse().unwrap()),
        loopback: Vec::new(),
        routes: Vec::new(),
        sysctls: Vec::new(),
        run: Vec::new(),
        wait: Vec::new(),
    }
}

/// `count` nodes `NAME-node0`, … on the bridge `NAME-br`; the first has 10.10.1.1/16.
pub fn lab(name: &str, host: Option<&str>, count: usize) -> Lab {
    let address = |index: usize| format!("10.10.{}.{}/16", 1 + index / 200, 1 + index % 200);
    let cable = |index: usize| Cable {
        near: end(Place::Node(index), "eth0", Some(&address(index))),
        far: end(Place::Host, &format!("{name}-{index}"), None),
        bridge: Some(0),
        datapath: Datapath::Auto,
    };
    let bridge =
        Bridge { name: format!("{name}-br"), addresses: vec![net("10.10.0.1/16")], mtu: None, mac: None };
    Lab {
        name: name.to_owned(),
        host: Host { namespace: host.map(str::to_owned), forwarding: Some(true), ..Host::default() },
        bridges: vec![bridge],
        nodes: (0..count).map(|index| node(&format!("{name}-node{index}"))).collect(),
        cables: (0..count).map(cable).collect(),
        flows: Flows::default(),
        masquerades: Vec::new(),
        forwards: Vec::new(),
        checks: Vec::new(),
    }
}

/// Everything that a lab could leave behind.
#[derive(Debug, PartialEq, Eq)]
pub struct World {
    pub links: BTreeSet<String>,
    routes: BTreeSet<String>,
    namespaces: BTreeSet<String>,
    labs: BTreeSet<String>,
    mounts: usize,
    pub forwarding: String,
    processes: usize,
}

/// Looks around. What has ended is reaped first: the test is its sandbox's first process, so it inherits all
/// orphans.
pub async fn world() -> World {
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    while waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok_and(|status| status != WaitStatus::StillAlive) {}
    let names = |folder: &str| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<BTreeSet<_>>()
    };
    let netlink = Netlink::open().unwrap();
    World {
        links: netlink.links().await.unwrap().into_iter().map(|link| link.name).collect(),
        routes: netlink.routes().await.unwrap().iter().map(|route| format!("{route:?}")).collect(),
        namespaces: names(netns::FOLDER),
        labs: names(topology::folder::ROOT),
        mounts: fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count(),
        forwarding: sysctl::read("net.ipv4.ip_forward").unwrap(),
        processes: names("/proc").iter().filter(|name| name.parse::<u32>().is_ok()).count(),
    }
}

pub async fn up(lab: &Lab) -> Built {
    topology::preflight(lab).await.unwrap();
    let dir = LabDir::new(&lab.name);
    topology::apply(lab, &topology::plan(lab), &dir, pending::<()>()).await.unwrap()
}

pub async fn down(name: &str) {
    let problems = topology::teardown(&LabDir::new(name)).await;
    assert!(problems.is_empty(), "{problems:?}");
}

/// Runs a command in a place to its end.
pub fn run(built: &Built, dir: &LabDir, place: Place, argv: &[&str]) -> ExitStatus {
    let mut command = inside::command(built.namespace(place), &dir.hosts(), argv[0], false).unwrap();
    command.args(&argv[1..]).stdout(Stdio::null()).status().unwrap()
}

/// Whether one ping from a place to an address or name is answered.
pub fn pings(built: &Built, place: Place, lab: &str, to: &str) -> bool {
    run(built, &LabDir::new(lab), place, &["ping", "-c1", "-W2", to]).success()
}
