//! What once went wrong with whole labs, each told by the commands that showed it.

use netlab_tests::capture::Capture;
use netlab_tests::machine::Machine;
use netlab_tests::need::has_links;

/// A lab on the machine's own stack: `N` makes its name and its addresses.
fn guest(number: u32, uplink: &str, from: &str) -> String {
    format!(
        r#"
version = 1
name = "lab{number}"
[host]
uplink = "{uplink}"
forwarding = true
[bridge.br{number}]
address = "10.{number}.0.1/16"
[node.n{number}]
links = [{{ to = "br{number}", address = "10.{number}.0.10/16" }}]
[[masquerade]]
from = "{from}"
"#
    )
}

/// Gives the machine an interface to a world of its own, which is a namespace at 192.168.7.1 with 8.8.8.8.
fn with_world(machine: &Machine) {
    let _ = machine
        .sh("mkdir -p /run/netns
             ip netns add outside
             ip link add wan type veth peer name wan netns outside
             ip addr add 192.168.7.2/24 dev wan; ip link set wan up
             ip -n outside addr add 192.168.7.1/24 dev wan; ip -n outside link set wan up
             ip -n outside addr add 8.8.8.8/32 dev lo; ip -n outside link set lo up
             ip route add default via 192.168.7.1")
        .ok();
}

#[test]
fn a_process_that_sends_until_it_is_killed_leaks_nothing_while_the_lab_goes_down() {
    let machine = Machine::new();
    machine.write(
        "stubborn.py",
        "import signal, socket, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end = time.time() + 30
while time.time() < end:
    try: s.sendto(b'x', ('8.8.8.8', 9))
    except OSError: pass
    time.sleep(0.005)
",
    );
    let text = std::fs::read_to_string(netlab_tests::machine::example("4-internet.toml")).unwrap();
    let text = text.replace(
        "python3 -m http.server --directory site --bind 10.10.0.10 8000",
        "exec python3 stubborn.py",
    );
    let lab = machine.write("lab.toml", &text.replace("wait = \"tcp:8000\"", ""));
    let _ = machine.netlab(["up".as_ref(), lab.as_os_str()]).ok();
    // The world's namespace goes with the lab, so what it saw is written down as it comes.
    let wire = Capture::start(&machine, "internet", "eth0");
    let _ = machine.netlab(["down"]).ok();
    let seen = wire.stop();
    assert!(seen.count("udp and src host 192.168.0.108") > 0, "the process was heard");
    assert_eq!(seen.packets("src net 10.10.0.0/16"), Vec::<String>::new());
}

#[test]
fn a_source_that_no_lab_file_knows_does_not_leave_the_uplink() {
    let machine = Machine::with_example("4-internet.toml");
    let wire = Capture::start(&machine, "internet", "eth0");
    let said =
        machine.sh_in("earth", "ip addr add 172.16.9.9/32 dev lo; ping -c2 -i0.2 -W1 -I 172.16.9.9 8.8.8.8");
    let _ = said.fails(1);
    assert_eq!(wire.stop().packets("src host 172.16.9.9"), Vec::<String>::new());
    let stats = machine.netlab(["stats"]).ok();
    assert!(stats.contains("private_source"), "{stats}");
}

#[test]
fn a_closed_forwarded_connection_does_not_stand_in_a_direct_ones_way() {
    let machine = Machine::with_example("4-internet.toml");
    // One client port: first through the forward, ended by a reset so that the client itself forgets it, then
    // straight to the node.
    machine.write(
        "twice.py",
        "import socket, struct
def connect(to):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    s.settimeout(5)
    s.bind(('10.10.0.20', 41000))
    s.connect(to)
    return s
connect(('192.168.0.108', 3000)).close()
s = connect(('10.10.0.10', 8000))
s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')
print(s.recv(20).decode())
",
    );
    assert!(machine.sh_in("neptune", "python3 twice.py").ok().starts_with("HTTP/1.0 200"));
}

#[test]
fn two_labs_do_not_do_nat_on_one_uplink() {
    let machine = Machine::new();
    with_world(&machine);
    let first = machine.write("1.toml", &guest(1, "wan", "br1"));
    let second = machine.write("2.toml", &guest(2, "wan", "br2"));
    let _ = machine.netlab(["up".as_ref(), first.as_os_str()]).ok();
    let before = machine.inventory();
    let said = machine.netlab(["up".as_ref(), second.as_os_str()]).fails(6);
    assert!(said.contains("lab lab1 does NAT on uplink wan already"), "{said}");
    machine.is_as_before(&before).expect("the second lab left nothing");
    let _ = machine.netlab(["down"]).ok();
}

#[test]
fn a_masquerade_of_everything_cuts_nobody_off() {
    let machine = Machine::new();
    with_world(&machine);
    let lab = machine.write("1.toml", &guest(1, "auto", "0.0.0.0/0"));
    let _ = machine.netlab(["up".as_ref(), lab.as_os_str()]).ok();
    let _ = machine.sh("ping -c1 -W2 192.168.7.1 && ping -c1 -W2 8.8.8.8").ok();
    let _ = machine.sh_in("outside", "ping -c1 -W2 192.168.7.2").ok();
    let _ = machine.sh_in("n1", "ping -c1 -W2 8.8.8.8").ok();
}

#[test]
fn an_uplink_that_is_a_bridge_has_the_world_on_it() {
    let text = r#"
version = 1
name = "wanbr"
[host]
namespace = "wanbr-host"
uplink = "wan"
forwarding = true
routes = [{ to = "default", via = "192.168.0.1" }]
[bridge.wan]
address = "192.168.0.108/24"
[bridge.lan]
address = "10.10.0.1/16"
[node.earth]
links = [{ to = "lan", address = "10.10.0.10/16" }]
run = "python3 -m http.server --bind 10.10.0.10 8000"
wait = "tcp:8000"
[node.internet]
links = [{ to = "wan", address = "192.168.0.1/24" }]
gateway = "none"
loopback = "8.8.8.8/32"
[[masquerade]]
from = "lan"
[[forward]]
publish = "3000:earth:8000"
"#;
    let machine = Machine::with_lab(text);
    let _ = machine.sh_in("earth", "ping -c1 -W2 8.8.8.8").ok();
    let _ = machine.sh_in("internet", "curl -sS --max-time 5 http://192.168.0.108:3000/").ok();
    let _ = machine.sh_in("wanbr-host", "ping -c1 -W2 8.8.8.8").ok();
}

#[test]
fn labs_that_go_down_at_once_put_the_hosts_sysctls_back() {
    let machine = Machine::new();
    let _ = machine.sh("sysctl -w net.ipv4.ip_forward=0").ok();
    for _ in 0..4 {
        for number in 1..=3 {
            let text = guest(number, "", "").replace("uplink = \"\"", "");
            let text = text.split("[[masquerade]]").next().unwrap().to_owned();
            let lab = machine.write("lab.toml", &text);
            let _ = machine.netlab(["up".as_ref(), lab.as_os_str()]).ok();
        }
        let _ = machine.sh("for i in 1 2 3; do $NETLAB down -l lab$i & done; wait").ok();
        assert_eq!(machine.sh("cat /proc/sys/net/ipv4/ip_forward").ok(), "0\n");
    }
}

#[test]
fn a_lab_holds_no_descriptor_of_its_callers() {
    let machine = Machine::new();
    let lab = netlab_tests::machine::example("4-internet.toml");
    let script = format!("exec 9>held; flock 9; $NETLAB up {}; exec 9>&-; flock -n held true", lab.display());
    let _ = machine.sh(&script).ok();
}

#[test]
fn down_touches_nothing_of_a_lab_whose_journal_cannot_be_read() {
    let machine = Machine::with_example("4-internet.toml");
    let _ = machine
        .sh("cp /run/netlab/planets/journal.json saved; truncate -s 100 /run/netlab/planets/journal.json")
        .ok();
    let _ = machine.netlab(["down"]).fails(1);
    let _ = machine.sh_in("earth", "ping -c1 -W2 8.8.8.8").ok();
    let _ = machine.sh("cp saved /run/netlab/planets/journal.json; $NETLAB down").ok();
}

#[test]
fn status_says_what_of_a_lab_is_not_there_any_more() {
    let machine = Machine::with_example("4-internet.toml");
    let _ = machine.netlab(["status"]).ok();
    // Whichever way it is attached.
    let detach = "rm -f /sys/fs/bpf/netlab/planets/v*/uplink_out@eth0
         ip netns exec planet-host tc filter delete dev eth0 egress 2>/dev/null";
    // The agent would attach it again, and the kernel detaches it only some time after its pin is removed.
    let agent = machine.json(&["status"])["agent"].as_i64().expect("an agent runs");
    let _ = machine.sh(&format!("kill -STOP {agent}; {detach}; ip netns delete neptune")).ok();
    let gone = "drift: the program for uplink_out is not attached to eth0";
    machine.wait_until(&format!("\"$NETLAB\" status | grep -q '{gone}'"));
    let said = machine.netlab(["status"]);
    assert_eq!(said.code, 4, "{}", said.stdout);
    assert!(said.stdout.contains("neptune"), "{}", said.stdout);
    let _ = machine.sh(&format!("kill -CONT {agent}")).ok();
    let _ = machine.netlab(["down"]).ok();
}

/// A lab with more ports than get links of their own has filters on them: it must be no other lab for that.
#[test]
fn a_lab_with_many_ports_translates_like_one_with_few() {
    let mut text = String::from(
        r#"
version = 1
name = "many"
[host]
namespace = "many-host"
uplink = "eth0"
forwarding = true
routes = [{ to = "default", via = "192.168.0.1" }]
[bridge.br]
address = "10.10.0.1/16"
[node.internet]
links = [{ to = "host", name = "eth0", address = "192.168.0.1/24", peer = { name = "eth0", address = "192.168.0.108/24" } }]
loopback = "8.8.8.8/32"
[[masquerade]]
from = "br"
[[forward]]
publish = "3000:m1:8000"
"#,
    );
    for number in 1..=20 {
        let run = if number == 1 {
            "run = \"python3 -m http.server --bind 10.10.1.1 8000\"\nwait = \"tcp:8000\"\n"
        } else {
            ""
        };
        text += &format!(
            "[node.m{number}]\nlinks = [{{ to = \"br\", address = \"10.10.1.{number}/16\" }}]\n{run}"
        );
    }
    let machine = Machine::new();
    let before = machine.inventory();
    let lab = machine.write("lab.toml", &text);
    let _ = machine.netlab(["up".as_ref(), lab.as_os_str()]).ok();
    let _ = machine.sh_in("m20", "ping -c2 -i0.2 -W2 8.8.8.8").ok();
    // Without links the host's own processes do not use forwards.
    let nodes = ["internet", "m20", "many-host"];
    for node in &nodes[..if has_links() { 3 } else { 2 }] {
        let _ = machine.sh_in(node, "curl -sS --max-time 5 http://192.168.0.108:3000/").ok();
    }
    let stats = machine.json(&["stats"]);
    for hook in stats["hooks"].as_array().unwrap() {
        let sum: u64 =
            ["forwarded", "passed", "dropped"].iter().map(|part| hook[part].as_u64().unwrap()).sum();
        assert_eq!(hook["received"]["packets"].as_u64().unwrap(), sum, "{hook:#}");
        let is_idle = hook["hook"] == "local_out" && !has_links();
        assert!(is_idle || hook["forwarded"].as_u64().unwrap() > 0, "{hook:#}");
    }
    let _ = machine.netlab(["status"]).ok();
    let _ = machine.netlab(["down"]).ok();
    machine.is_as_before(&before).expect("as it was");
}
