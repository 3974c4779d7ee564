//! What only some kernels can do, at the NAT: lines that lose, delay, reorder and double packets (netem), tagged
//! frames (802.1q), and SCTP. `cargo xtask test --kernel` starts kernels that can.

use netlab_tests::capture::Capture;
use netlab_tests::labs::PORTS;
use netlab_tests::machine::Machine;
use netlab_tests::need::need_kernel;

/// What the kernel must have for each.
const NETEM: &str = "ip link add t0 type veth peer name t1 && tc qdisc add dev t0 root netem loss 1%; code=$?
     ip link delete t0; exit $code";
const VLAN: &str =
    "ip link add t0 type veth peer name t1 && ip link add link t0 name t0.7 type vlan id 7; code=$?
     ip link delete t0; exit $code";
const SCTP: &str = "python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)'";

/// Takes in all that comes on a connection, and answers with its digest: `sink.py ADDRESS PORT`.
const SINK: &str = r#"
import hashlib, socket, sys, threading
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
def serve(connection):
    digest = hashlib.sha256()
    while data := connection.recv(65536):
        digest.update(data)
    connection.sendall(digest.hexdigest().encode())
    connection.close()
while True:
    threading.Thread(target=serve, args=(server.accept()[0],)).start()
"#;

/// Sends so many bytes, and compares the digest: `push.py ADDRESS PORT BYTES`.
const PUSH: &str = r#"
import hashlib, random, socket, sys
data = random.Random(7).randbytes(int(sys.argv[3]))
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=60)
connection.sendall(data)
connection.shutdown(socket.SHUT_WR)
said = connection.makefile().read()
sys.exit(0 if said == hashlib.sha256(data).hexdigest() else f"{said} is not what was sent")
"#;

/// A lab such as that of two bridges and a world, with the two programs above at hand.
fn lab(text: &str) -> Machine {
    let machine = Machine::with_lab(text);
    machine.write("sink.py", SINK);
    machine.write("push.py", PUSH);
    machine
}

/// Starts a sink in a node; it ends with the machine.
fn sink(machine: &Machine, node: &str, address: &str, port: u16) {
    let script = format!("python3 sink.py {address} {port} >/dev/null 2>&1 &");
    let _ = machine.sh_in(node, &script).ok();
    machine.wait_until(&format!("ip netns exec {node} ss -ltnH | grep -q :{port}"));
}

/// Packets that netlab dropped, by verdict.
fn dropped(machine: &Machine) -> Vec<String> {
    let table = machine.netlab(["stats"]).ok();
    table
        .lines()
        .filter(|line| line.contains(" dropped ") && !line.contains('='))
        .map(str::to_owned)
        .collect()
}

#[test]
fn transfers_over_a_line_that_loses_reorders_and_doubles_arrive_whole_and_nothing_is_refused() {
    let machine = lab(PORTS);
    if !need_kernel(&machine, "netem", NETEM) {
        return;
    }
    let bad = "netem delay 4ms 3ms 25% loss 1% duplicate 1% reorder 20% 50%";
    let _ = machine
        .sh(&format!(
            "inner=$(ip -n earth -o -4 route get 8.8.8.8 | grep -o 'dev [^ ]*')
             tc -n earth qdisc add $inner root {bad} && tc -n internet qdisc add dev eth0 root {bad}"
        ))
        .ok();
    sink(&machine, "internet", "8.8.8.8", 9000);
    sink(&machine, "earth", "10.10.0.10", 5201);
    for round in 0..3 {
        let _ = machine.sh_in("earth", "python3 push.py 8.8.8.8 9000 2000000").ok();
        let _ = machine.sh_in("internet", "python3 push.py 192.168.0.108 5201 2000000").ok();
        assert_eq!(dropped(&machine), Vec::<String>::new(), "in round {round}");
    }
    let flows = machine.netlab(["conntrack", "count", "-p", "tcp"]).ok();
    assert_eq!(flows, "6\n", "one flow a connection");
    let lost = machine.sh("tc -n internet -s qdisc show dev eth0").ok();
    assert!(!lost.contains("dropped 0,"), "the line has lost something: {lost}");
}

#[test]
fn an_uplink_may_be_a_vlan_of_an_interface() {
    let machine = Machine::new();
    if !need_kernel(&machine, "802.1q", VLAN) {
        return;
    }
    let _ = machine
        .sh("ip netns add world && ip link add w0 type veth peer name w1 netns world
             ip link add link w0 name w0.7 type vlan id 7; ip address add 192.168.9.2/24 dev w0.7
             ip -n world link add link w1 name w1.7 type vlan id 7; ip -n world address add 192.168.9.1/24 dev w1.7
             for link in w0 w0.7; do ip link set $link up; done
             for link in w1 w1.7 lo; do ip -n world link set $link up; done")
        .ok();
    machine.write(
        "lab.toml",
        r#"
version = 1
name = "tagged"
[host]
uplink = "w0.7"
forwarding = true
[bridge.inside]
address = "10.44.0.1/16"
[node.earth]
links = [{ to = "inside", address = "10.44.0.2/16" }]
run = "exec python3 echo.py earth tcp:0.0.0.0:80"
wait = ["tcp:80"]
[[masquerade]]
from = "inside"
[[forward]]
publish = "8080:earth:80"
"#,
    );
    machine.write("echo.py", include_str!("../src/echo.py"));
    let before = machine.inventory();
    let _ = machine.netlab(["up"]).ok();
    let _ = machine.sh_in("earth", "ping -c2 -i0.2 -W5 192.168.9.1").ok();
    let said = machine.sh_in("world", "echo hello | nc -N -w5 192.168.9.2 8080").ok();
    assert!(said.starts_with("earth saw 192.168.9.1:"), "{said}");
    let _ = machine.netlab(["status"]).ok();
    let _ = machine.netlab(["down"]).ok();
    machine.is_as_before(&before).expect("nothing stays on the VLAN");
}

/// On a bridge the tagged frames of two nodes are a network of their own. In it, an address that is published in the
/// lab may be anybody's.
#[test]
fn what_is_tagged_between_nodes_passes_untouched() {
    let machine = lab(PORTS);
    if !need_kernel(&machine, "802.1q", VLAN) {
        return;
    }
    for (node, address) in [("earth", "10.77.0.1/24"), ("neptune", "10.77.0.2/24")] {
        let _ = machine
            .sh(&format!(
                "inner=$(ip -n {node} -o -4 route get 8.8.8.8 | sed 's/.* dev \\([^ ]*\\).*/\\1/')
                 ip -n {node} link add link $inner name v7 type vlan id 7
                 ip -n {node} address add {address} dev v7; ip -n {node} link set v7 up"
            ))
            .ok();
    }
    let _ = machine.sh_in("earth", "ping -c2 -i0.2 -W5 10.77.0.2").ok();
    // The address at which the lab publishes earth's own port 80.
    let _ = machine
        .sh("ip -n neptune address add 192.168.0.108/32 dev v7
             ip -n earth route add 192.168.0.108/32 dev v7 src 10.77.0.1")
        .ok();
    let script = "python3 echo.py tagged tcp:192.168.0.108:8080 >/dev/null 2>&1 &";
    let _ = machine.sh_in("neptune", script).ok();
    machine.wait_until("ip netns exec neptune ss -ltnH | grep -q :8080");
    let said = machine.sh_in("earth", "echo hello | nc -N -w5 192.168.0.108 8080").ok();
    assert!(said.starts_with("tagged saw 10.77.0.1:"), "{said}");
    assert_eq!(machine.netlab(["conntrack", "count"]).ok(), "0\n", "no flow was made of it");
}

/// An SCTP server that takes in so many bytes, and answers with whom it sees and their digest: `server.py BYTES`.
const SCTP_SERVER: &str = r#"
import hashlib, socket, sys, threading
server = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)
server.bind(("8.8.8.8", 9899))
server.listen(8)
print("ready", flush=True)
def serve(connection, peer):
    digest, left = hashlib.sha256(), int(sys.argv[1])
    while left and (data := connection.recv(65536)):
        digest.update(data)
        left -= len(data)
    connection.sendall(f"{peer[0]} {peer[1]} {digest.hexdigest()}".encode())
    connection.close()
while True:
    threading.Thread(target=serve, args=server.accept()).start()
"#;

/// Sends that many, and says as whom it was seen if the digest is right: `client.py PORT BYTES SECONDS`.
const SCTP_CLIENT: &str = r#"
import hashlib, random, socket, sys
data = random.Random(7).randbytes(int(sys.argv[2]))
client = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)
client.bind(("0.0.0.0", int(sys.argv[1])))
client.settimeout(int(sys.argv[3]))
client.connect(("8.8.8.8", 9899))
for begin in range(0, len(data), 10000):
    client.sendall(data[begin:begin + 10000])
said = b""
while more := client.recv(1000):
    said += more
address, port, digest = said.decode().split()
sys.exit(f"{digest} is not what was sent") if digest != hashlib.sha256(data).hexdigest() else print(address, port)
"#;

/// SCTP's checksum covers the ports, so they stay what they are, and only addresses change.
#[test]
fn sctp_associations_go_out_behind_an_address_and_a_second_one_with_the_same_ports_is_refused() {
    const BYTES: u32 = 300_000;
    let behind = "[[masquerade]]\nfrom = \"right\"\n";
    let machine = lab(&PORTS.replace(behind, &format!("{behind}to = \"192.0.2.7\"\n")));
    if !need_kernel(&machine, "SCTP", SCTP) {
        return;
    }
    machine.write("server.py", SCTP_SERVER);
    machine.write("client.py", SCTP_CLIENT);
    let _ = machine
        .sh_in(
            "internet",
            &format!(
                "ip route add 192.0.2.7/32 via 192.168.0.108
                 python3 server.py {BYTES} >server.log 2>&1 </dev/null &"
            ),
        )
        .ok();
    machine.wait_until("grep -q ready server.log");
    let wire = Capture::start(&machine, "internet", "eth0");
    let within = |seconds: u32, node: &str, port: u16| {
        machine.sh_in(node, &format!("python3 client.py {port} {BYTES} {seconds}"))
    };
    let ask = |node: &str, port: u16| within(40, node, port);
    assert_eq!(ask("earth", 5000).ok(), "192.168.0.108 5000\n");
    let refused = within(8, "neptune", 5000).fails(1);
    assert!(refused.contains("timed out"), "{refused}");
    assert_eq!(ask("neptune", 5001).ok(), "192.168.0.108 5001\n");
    assert_eq!(ask("mars", 5000).ok(), "192.0.2.7 5000\n");
    assert_eq!(ask("earth", 5000).ok(), "192.168.0.108 5000\n", "the first one may come again");
    let dropped = dropped(&machine);
    assert!(!dropped.is_empty(), "the refusal is counted");
    assert!(dropped.iter().all(|line| line.contains("address_conflict")), "{dropped:?}");
    assert_eq!(machine.netlab(["conntrack", "count", "-p", "132"]).ok(), "3\n");
    let wire = wire.stop();
    assert_ne!(wire.packets("ip proto 132"), Vec::<String>::new());
    assert_eq!(wire.packets("net 10.0.0.0/8"), Vec::<String>::new());
}
