//! The two labs: the same hosts, wires and addresses, one with netlab's NAT and one with the kernel's. The test
//! holds all ends of their wires, and nothing in them speaks unasked.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::time::{Duration, Instant};

use netlab_common::net::protocol;

use super::place::{End, FORWARDS, LEFT, RIGHT, UPLINK, UPLINK_MAC, mac_text, text};
use crate::inside::inside;
use crate::machine::Machine;
use crate::wire::Wire;

const HOST: &str = "twin-host";
/// An EtherType for experiments (IEEE 802): nobody but the fence uses it.
const FENCE: [u8; 2] = [0x88, 0xb5];
/// How long a frame may take from one end to another.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whose NAT a lab has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nat {
    /// netlab's.
    Netlab,
    /// iptables' rules.
    Kernel,
}

/// A lab under test.
pub struct Twin {
    nat: Nat,
    machine: Machine,
    wires: Vec<Wire>,
    invalid: Option<File>,
}

impl Twin {
    /// Brings one up.
    pub fn new(nat: Nat) -> Self {
        let machine = Machine::with_lab(&lab(nat));
        quieten(&machine);
        let wires: Vec<_> =
            End::ALL.iter().map(|end| Wire::open_to_all(&machine, end.name(), "eth0")).collect();
        let invalid = (nat == Nat::Kernel).then(|| {
            let _ = machine.sh_in(HOST, &rules()).ok();
            inside(&machine, HOST, || File::open("/proc/thread-self/net/stat/nf_conntrack"))
                .expect("conntrack counts in /proc")
        });
        let mut twin = Twin { nat, machine, wires, invalid };
        // The bridges learn who is where.
        for end in End::ALL {
            let frame = [&[0xff; 6][..], &end.mac(), &FENCE, &[0; 46]].concat();
            twin.send(end, &[frame]);
        }
        twin.forget();
        twin.gather();
        twin
    }

    /// Ends all flows, so that the next script begins like the first.
    pub fn forget(&mut self) {
        let _ = match self.nat {
            Nat::Netlab => self.machine.netlab(["conntrack", "flush"]),
            Nat::Kernel => self.machine.sh_in(HOST, "conntrack -F 2>&1"),
        }
        .ok();
    }

    /// Sends frames from an end, in their order.
    pub fn send(&self, end: End, frames: &[Vec<u8>]) {
        self.wires[end as usize].send(frames);
    }

    /// All that has come out at the ends since the last time, as a consequence of what was sent: a frame that takes
    /// as many queues as any other, and is sent after all of them, has come out too.
    ///
    /// # Panics
    /// When that frame is lost.
    pub fn gather(&self) -> Vec<(End, Vec<u8>)> {
        let fence = [&End::Earth.mac()[..], &End::Neptune.mac(), &FENCE, &[1; 46]].concat();
        self.send(End::Neptune, std::slice::from_ref(&fence));
        let mut heard = Vec::new();
        let begun = Instant::now();
        let mut buffer = [0; 4096];
        loop {
            match self.wires[End::Earth as usize].take(&mut buffer) {
                Some(len) if buffer[..len] == fence => break,
                Some(len) => note(End::Earth, &buffer[..len], &mut heard),
                None => assert!(begun.elapsed() < PATIENCE, "{:?}: a bridged frame is lost", self.nat),
            }
        }
        for end in &End::ALL[1..] {
            while let Some(len) = self.wires[*end as usize].take(&mut buffer) {
                note(*end, &buffer[..len], &mut heard);
            }
        }
        heard
    }

    /// How many packets conntrack has called INVALID so far; only the kernel's twin has it.
    pub fn invalid(&mut self) -> u64 {
        let Some(file) = &mut self.invalid else { return 0 };
        let mut text = String::new();
        file.rewind().and_then(|()| file.read_to_string(&mut text)).expect("the counters can be read");
        let mut lines = text.lines().map(str::split_whitespace);
        let head: Vec<_> = lines.next().into_iter().flatten().collect();
        // Messages of ICMP are judged by themselves, and counted by themselves.
        let is_wanted = |name: &&str| matches!(*name, "invalid" | "icmp_error");
        let count = |line: std::str::SplitWhitespace<'_>| -> u64 {
            let counts = line.zip(&head).filter(|(_, name)| is_wanted(name));
            counts.filter_map(|(count, _)| u64::from_str_radix(count, 16).ok()).sum()
        };
        lines.map(count).sum()
    }
}

fn note(end: End, frame: &[u8], heard: &mut Vec<(End, Vec<u8>)>) {
    // What the bridges have learnt from is no packet.
    if frame.get(12..14) != Some(&FENCE) && !goes_by_a_clock(frame) {
        heard.push((end, frame.to_vec()));
    }
}

/// Whether a host has sent this at its own time: a bridge's report of multicast groups (IGMP), or the news that a
/// datagram's last piece did not come.
fn goes_by_a_clock(frame: &[u8]) -> bool {
    let Some(packet) = frame.get(14..).filter(|packet| packet.len() > 20) else { return false };
    let message = packet.get(usize::from(packet[0] & 0x0f) * 4..).unwrap_or_default();
    // Only what the host makes itself sets out with 64.
    (frame[0] == 1 && packet[9] == 2)
        || (packet[8] == 64 && packet[9] == protocol::ICMP && message.starts_with(&[11, 1]))
}

/// The lab file. The uplink's packets are smaller than the others', and those of one bridge still smaller.
fn lab(nat: Nat) -> String {
    let mut text_of_lab = format!(
        r#"version = 1
name = "twin"
[host]
namespace = "{HOST}"
{uplink}
forwarding = true
routes = [{{ to = "default", via = "192.168.0.1" }}]
[bridge.left]
address = "{left}/16"
mac = "{left_mac}"
[bridge.right]
address = "{right}/16"
mac = "{right_mac}"
mtu = 1300
"#,
        uplink = if nat == Nat::Netlab { "uplink = \"eth0\"" } else { "" },
        left = text(LEFT),
        right = text(RIGHT),
        left_mac = mac_text(End::Earth.gateway()),
        right_mac = mac_text(End::Mars.gateway()),
    );
    for (node, bridge) in [(End::Earth, "left"), (End::Neptune, "left"), (End::Mars, "right")] {
        let (name, address, mac, mtu) = (node.name(), text(node.address()), mac_text(node.mac()), node.mtu());
        let _ = writeln!(
            text_of_lab,
            "[node.{name}]\nlinks = [{{ to = \"{bridge}\", mtu = {mtu}, mac = \"{mac}\", address = \"{address}/16\" }}]"
        );
    }
    let (world, mac) = (End::World.name(), mac_text(End::World.mac()));
    let _ = writeln!(
        text_of_lab,
        "[node.{world}]\nlinks = [{{ to = \"host\", name = \"eth0\", mtu = 1400, mac = \"{mac}\", \
         address = \"192.168.0.1/24\", peer = {{ name = \"eth0\", mac = \"{}\", address = \"{}/24\" }} }}]",
        mac_text(UPLINK_MAC),
        text(UPLINK),
    );
    if nat == Nat::Netlab {
        text_of_lab.push_str(
            "[flows]\npickup = true\n[[masquerade]]\nfrom = \"left\"\n[[masquerade]]\nfrom = \"right\"\n",
        );
        for forward in FORWARDS {
            let (first, last) = forward.ports;
            let on = forward.on.map(|on| text(on) + ":").unwrap_or_default();
            let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
            let (node, to) = (forward.target.name(), forward.to);
            let protocol = name(forward.protocol);
            let _ = writeln!(text_of_lab, "[[forward]]\npublish = \"{on}{range}:{node}:{to}/{protocol}\"");
        }
    }
    text_of_lab
}

fn name(number: u8) -> &'static str {
    if number == protocol::TCP { "tcp" } else { "udp" }
}

/// The same rules for the kernel.
fn rules() -> String {
    let mut script = String::from("set -e\n");
    for network in ["10.10.0.0/16", "10.20.0.0/16"] {
        let _ = writeln!(script, "iptables -t nat -A POSTROUTING -s {network} -o eth0 -j MASQUERADE");
    }
    // What a node sends to itself by a forward needs a source that it does not answer by itself.
    for (node, on) in End::NODES.into_iter().flat_map(|node| [UPLINK, LEFT, RIGHT].map(|on| (node, on))) {
        let (node, on) = (text(node.address()), text(on));
        let _ = writeln!(
            script,
            "iptables -t nat -A POSTROUTING -s {node} -d {node} -m conntrack --ctstate DNAT --ctorigdst {on} \
             -j SNAT --to-source {on}"
        );
    }
    for forward in FORWARDS {
        let on = match forward.on {
            Some(on) => format!("-d {}", text(on)),
            None => "-m addrtype --dst-type LOCAL".to_owned(),
        };
        let protocol = name(forward.protocol);
        // A range is mapped port by port with a rule for each.
        for port in forward.ports.0..=forward.ports.1 {
            let to = format!("{}:{}", text(forward.target.address()), forward.to + port - forward.ports.0);
            let _ = writeln!(
                script,
                "iptables -t nat -A PREROUTING {on} -p {protocol} --dport {port} -j DNAT --to-destination {to}"
            );
        }
    }
    script
}

/// Takes from all hosts what they would say by themselves: the ends have no addresses, nobody asks for
/// neighbours, and what the hosts answer is not held back by the rate.
fn quieten(machine: &Machine) {
    let mut neighbours = String::new();
    for (end, interface) in End::ALL.into_iter().zip(["left", "left", "right", "eth0"]) {
        let (address, mac) = (text(end.address()), mac_text(end.mac()));
        let _ = writeln!(neighbours, "ip neigh replace {address} lladdr {mac} dev {interface} nud permanent");
        let script = "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv4.ip_forward=0
             ip link set eth0 arp off
             ip addr flush dev eth0";
        let _ = machine.sh_in(end.name(), &format!("set -e\n{script}")).ok();
    }
    let script = format!(
        "set -e
         sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.bridge.bridge-nf-call-iptables=0
         sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_msgs_per_sec=100000000 net.ipv4.icmp_msgs_burst=10000000
         sysctl -qw net.netfilter.nf_conntrack_tcp_be_liberal=1 net.ipv4.ipfrag_time=1
         for conf in all default left right eth0; do
             sysctl -qw net.ipv4.conf.$conf.send_redirects=0 net.ipv4.conf.$conf.accept_redirects=0
             sysctl -qw net.ipv4.conf.$conf.rp_filter=0
         done
         for bridge in left right; do
             ip link set $bridge type bridge mcast_snooping 0
             ip link set $bridge arp off
         done
         ip link set eth0 arp off
         {neighbours}"
    );
    let _ = machine.sh_in(HOST, &script).ok();
}
