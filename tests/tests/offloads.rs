//! What the kernel and its drivers put off or put together: aggregates of UDP, large MTUs, VLAN tags, links without a
//! header. Whatever comes out is valid at the receiver, or is said to be left alone.

use netlab_tests::attack::{MASQUERADES, lab};
use netlab_tests::machine::Machine;
use netlab_tests::need::need_root;

/// Sends 13,000 bytes as ten datagrams of one aggregate (`UDP_SEGMENT`), and says what comes back of each.
const AGGREGATE: &str = r#"
import socket, sys
to = (sys.argv[1], int(sys.argv[2]))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(3)
s.setsockopt(17, 103, 1300)
s.sendto(bytes(range(250)) * 52, to)
seen = [s.recv(2000) for _ in range(10)]
print(len(seen), {len(one) for one in seen}, b"".join(seen) == bytes(range(250)) * 52)
"#;

/// Sends back whatever comes, as often as it is told.
const MIRROR: &str = r#"
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(20)
s.bind((sys.argv[1], int(sys.argv[2])))
for _ in range(int(sys.argv[3])):
    data, who = s.recvfrom(70000)
    s.sendto(data, who)
"#;

fn mirror(machine: &Machine, node: &str, address: &str, port: u16, times: u32) {
    machine.write("mirror.py", MIRROR);
    let _ = machine
        .sh_in(node, &format!("python3 mirror.py {address} {port} {times} </dev/null >/dev/null 2>&1 &"))
        .ok();
    machine.wait_until(&format!("ip netns exec {node} ss -lnuH | grep -q ':{port} '"));
}

#[test]
fn aggregates_of_udp_arrive_as_the_datagrams_they_are() {
    if !need_root() {
        return;
    }
    let machine = lab(&format!("{MASQUERADES}[[forward]]\npublish = \"5300:earth:53/udp\"\n"));
    machine.write("aggregate.py", AGGREGATE);
    mirror(&machine, "internet", "8.8.8.8", 7000, 20);
    mirror(&machine, "earth", "10.10.0.10", 53, 20);
    for offload in ["on", "off"] {
        for (node, interface) in [("earth", "eth0"), ("internet", "eth0"), ("attack-host", "eth0")] {
            let _ = machine.sh_in(node, &format!("ethtool -K {interface} tx {offload} gso {offload}")).ok();
        }
        for (from, to) in [("earth", "8.8.8.8 7000"), ("internet", "192.168.0.108 5300")] {
            let said = machine.sh_in(from, &format!("python3 aggregate.py {to}")).ok();
            assert_eq!(said, "10 {1300} True\n", "from {from}, offloads {offload}");
        }
    }
}

/// Everything has an MTU of 9,000.
const JUMBO: &str = r#"
version = 1
name = "jumbo"
[host]
namespace = "jumbo-host"
uplink = "eth0"
forwarding = true
routes = [{ to = "default", via = "192.168.0.1" }]
[bridge.left]
address = "10.10.0.1/16"
mtu = 9000
[node.earth]
links = [{ to = "left", address = "10.10.0.10/16", mtu = 9000 }]
[node.internet]
links = [{ to = "host", name = "eth0", address = "192.168.0.1/24", mtu = 9000, peer = { name = "eth0", address = "192.168.0.108/24" } }]
loopback = "8.8.8.8/32"
[[masquerade]]
from = "left"
[[forward]]
publish = "5300:earth:53/udp"
"#;

#[test]
fn large_mtus_are_used_by_whole_packets_and_by_fragments() {
    if !need_root() {
        return;
    }
    let machine = Machine::with_lab(JUMBO);
    mirror(&machine, "internet", "8.8.8.8", 7000, 4);
    mirror(&machine, "earth", "10.10.0.10", 53, 4);
    machine.write(
        "sizes.py",
        "import socket, sys\n\
         s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
         s.settimeout(3)\n\
         for size in (1000, 8972, 30000, 65000):\n    \
             s.sendto(b'x' * size, (sys.argv[1], int(sys.argv[2])))\n    \
             print(len(s.recv(70000)))\n",
    );
    for (from, to) in [("earth", "8.8.8.8 7000"), ("internet", "192.168.0.108 5300")] {
        let said = machine.sh_in(from, &format!("python3 sizes.py {to}")).ok();
        assert_eq!(said, "1000\n8972\n30000\n65000\n", "from {from}");
    }
    let said = machine.sh_in("earth", "ping -c1 -W2 -M do -s 8972 8.8.8.8").ok();
    assert!(said.contains(" 0% packet loss"), "{said}");
}

/// Sends frames with a VLAN tag on the host's uplink: from a node's address, and from the host's.
const TAGGED: &str = r#"
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
for source in (bytes([10, 10, 0, 10]), bytes([192, 168, 0, 108])):
    header = bytes([0x45, 0, 0, 28, 0, 1, 0, 0, 64, 253, 0, 0]) + source + bytes([8, 8, 8, 8])
    try:
        s.send(b"\xff" * 6 + b"\x02" + bytes(5) + b"\x81\x00\x00\x05\x08\x00" + header + bytes(30))
    except OSError as refused:
        # What the uplink's program drops the sender is told of.
        assert refused.errno == 105, refused
"#;

#[test]
fn frames_of_a_vlan_are_left_alone_unless_they_would_carry_a_nodes_address_out() {
    if !need_root() {
        return;
    }
    let machine = lab(MASQUERADES);
    machine.write("tagged.py", TAGGED);
    let _ = machine.sh_in("attack-host", "python3 tagged.py").ok();
    let stats = machine.netlab(["stats"]).ok();
    let uplink = stats.split("uplink_out").nth(1).expect("the hook is there");
    assert!(uplink.contains("passed tagged") && uplink.contains("dropped private_source"), "{stats}");
}

/// Plays the world on a tun device: answers pings and datagrams, and says whom it saw.
const TUN: &str = r#"
import fcntl, os, select, struct, time
device = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(device, 0x400454ca, struct.pack("16sH", b"tun0", 0x1001))
def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
end = time.time() + 20
while time.time() < end:
    if not select.select([device], [], [], 0.2)[0]:
        continue
    packet = bytearray(os.read(device, 70000))
    if packet[0] != 0x45:
        continue
    with open("seen", "a") as seen:
        print(*packet[12:16], "protocol", packet[9], "header", checksum(bytes(packet[:20])), file=seen)
    packet[12:16], packet[16:20] = packet[16:20], packet[12:16]
    if packet[9] == 17:
        packet[20:22], packet[22:24] = packet[22:24], packet[20:22]
    elif packet[9] == 1 and packet[20] == 8:
        packet[20] = 0
        packet[22:24] = bytes(2)
        packet[22:24] = struct.pack("!H", checksum(bytes(packet[20:])))
    else:
        continue
    os.write(device, packet)
"#;

/// The machine's own stack, which is private, is the host.
const ON_TUN: &str = r#"
version = 1
name = "tun"
[host]
uplink = "tun0"
forwarding = true
[bridge.left]
address = "10.10.0.1/16"
[node.earth]
links = [{ to = "left", address = "10.10.0.10/16" }]
[[masquerade]]
from = "left"
"#;

#[test]
fn an_uplink_without_a_link_header_is_translated_as_any_other() {
    if !need_root() {
        return;
    }
    let machine = Machine::new();
    let _ = machine.sh("test -c /dev/net/tun || { mkdir -p /dev/net; mknod /dev/net/tun c 10 200; }").ok();
    machine.write("tun.py", TUN);
    let _ = machine.sh("python3 tun.py </dev/null >/dev/null 2>&1 &").ok();
    machine.wait_until("ip link show tun0");
    let _ = machine
        .sh("ip addr add 192.168.7.2/30 dev tun0; ip link set tun0 up; ip route add default via 192.168.7.1")
        .ok();
    machine.write("lab.toml", ON_TUN);
    let _ = machine.netlab(["up", "lab.toml"]).ok();
    let said = machine.sh_in("earth", "ping -c2 -i0.1 -W2 8.8.8.8").ok();
    assert!(said.contains("2 received"), "{said}");
    let said = machine.sh_in("earth", "echo word | nc -u -W1 -w3 9.9.9.9 53").ok();
    assert_eq!(said, "word\n");
    let seen = machine.sh("sort -u seen").ok();
    let from_host = |protocol: u8| format!("192 168 7 2 protocol {protocol} header 0");
    assert_eq!(seen.lines().collect::<Vec<_>>(), [from_host(1), from_host(17)], "only translated, and valid");
    let _ = machine.netlab(["down"]).ok();
}
