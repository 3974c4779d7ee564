//! What the attacks on the flow table share: their lab, the wires into it, sizes, and a look at the table from
//! below, by the lab's pinned maps.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use aya::maps::{Array, Map, MapData, Queue};
use netlab_common::abi::ABI_VERSION;
use netlab_common::abi::clock;
use netlab_common::abi::config::Config;
use netlab_common::abi::event::Event;
use netlab_common::abi::flow::{Flow, life};
use netlab_common::abi::names;
use netlab_common::abi::port::Shard;
use nix::time::{ClockId, clock_gettime};
use serde_json::Value;

use crate::inside::stay_on_cpu;
use crate::machine::Machine;
use crate::segment::{Link, Segment, piece};
use crate::wire::Wire;

/// An address of the world's that nobody has: what goes there is seen on the wire, and never answered.
pub const NOBODY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);

/// Another one.
pub const NOBODY_ELSE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 6);

/// The host's address on its uplink.
pub const HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 108);

/// The world's address on the host's uplink.
pub const WORLD: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 1);

/// Three nodes on two bridges, and a world that forwards nothing; the rest of the lab file is the test's.
const LAB: &str = r#"
version = 1
name = "attack"
[host]
namespace = "attack-host"
uplink = "eth0"
forwarding = true
routes = [{ to = "default", via = "192.168.0.1" }]
[bridge.left]
address = "10.10.0.1/16"
[bridge.right]
address = "10.20.0.1/16"
[node.earth]
links = [{ to = "left", address = "10.10.0.10/16" }]
[node.neptune]
links = [{ to = "left", address = "10.10.0.20/16" }]
[node.mars]
links = [{ to = "right", address = "10.20.0.30/16" }]
[node.internet]
links = [{ to = "host", name = "eth0", address = "192.168.0.1/24", peer = { name = "eth0", address = "192.168.0.108/24" } }]
loopback = "8.8.8.8/32"
sysctl = { "net.ipv4.ip_forward" = 0 }
"#;

/// Both bridges behind the uplink's address.
pub const MASQUERADES: &str = "[[masquerade]]\nfrom = \"left\"\n[[masquerade]]\nfrom = \"right\"\n";

/// The lab with some more in its file, up, and its hosts known to each other.
///
/// # Panics
/// When it does not come up.
pub fn lab(more: &str) -> Machine {
    lab_on("auto", more)
}

/// As [`lab`], with this `datapath`.
///
/// # Panics
/// As [`lab`].
#[must_use]
pub fn lab_on(datapath: &str, more: &str) -> Machine {
    let host = format!("[host]\ndatapath = \"{datapath}\"\n");
    let machine = Machine::with_lab(&format!("{}{more}", LAB.replacen("[host]\n", &host, 1)));
    // What waits for an address to be found is queued, and a burst is more than the queue takes.
    let _ = machine
        .sh_in(
            "attack-host",
            "for to in 192.168.0.1 10.10.0.10 10.10.0.20 10.20.0.30; do ping -qc1 -W2 $to & done; wait",
        )
        .ok();
    // A frame for an address that its node has not is not to be sent on.
    let _ = machine
        .sh("for node in earth neptune mars; do ip netns exec $node sysctl -qw net.ipv4.ip_forward=0; done")
        .ok();
    // The host's pings are flows of its own.
    let _ = machine.netlab(["conntrack", "flush"]).ok();
    machine
}

/// Whether the full sizes are asked for: `cargo xtask test --long`.
pub fn long() -> bool {
    std::env::var_os("NETLAB_LONG").is_some()
}

/// A number for every day, and the one for `cargo xtask test --long`.
pub fn size(daily: u32, full: u32) -> u32 {
    if long() { full } else { daily }
}

/// The hardware addresses between a node's `eth0` and an interface of the host's.
///
/// # Panics
/// When one of them is not there.
pub fn link(machine: &Machine, node: &str, host_side: &str) -> Link {
    let mac = |namespace: &str, interface: &str| {
        let text = machine.sh_in(namespace, &format!("cat /sys/class/net/{interface}/address")).ok();
        let bytes: Vec<u8> =
            text.trim().split(':').map(|byte| u8::from_str_radix(byte, 16).expect("a byte")).collect();
        <[u8; 6]>::try_from(bytes).expect("six of them")
    };
    Link { from: mac(node, "eth0"), to: mac("attack-host", host_side) }
}

/// Where a node's packets go into the lab.
pub struct Gun {
    wire: Wire,
    link: Link,
}

impl Gun {
    /// One at a node that is plugged into this bridge, or `eth0` for the world.
    pub fn at(machine: &Machine, node: &str, host_side: &str) -> Self {
        Gun { wire: Wire::open(machine, node, "eth0"), link: link(machine, node, host_side) }
    }

    /// Sends packets as fast as the kernel takes them.
    pub fn fire(&self, segments: impl IntoIterator<Item = Segment>) {
        let frames: Vec<_> = segments.into_iter().map(|segment| segment.frame(&self.link)).collect();
        self.wire.send(&frames);
    }

    /// Sends one fragment of each of these datagrams, all with the same ends and at the same offset; see [`piece`].
    pub fn fire_pieces(&self, of: Segment, identifications: impl IntoIterator<Item = u16>, offset: u16) {
        let whole = of.frame(&self.link);
        let cut = |number| piece(whole.clone(), number, offset, offset == 0);
        let frames: Vec<_> = identifications.into_iter().map(cut).collect();
        self.wire.send(&frames);
    }

    /// Sends packets with pauses, at most so many a second.
    pub fn fire_slowly(&self, segments: impl IntoIterator<Item = Segment>, per_second: u32) {
        let segments: Vec<_> = segments.into_iter().collect();
        let begun = std::time::Instant::now();
        let slice = (per_second / 100).max(1) as usize;
        for (number, some) in segments.chunks(slice).enumerate() {
            let due = std::time::Duration::from_millis(10 * number as u64);
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
            self.fire(some.iter().copied());
        }
    }
}

/// Fires several guns at once, each from a CPU of its own.
pub fn fire_together(salvos: Vec<(&Gun, Vec<Segment>)>) {
    let begin = std::sync::Barrier::new(salvos.len());
    std::thread::scope(|scope| {
        for (cpu, (gun, segments)) in salvos.into_iter().enumerate() {
            let begin = &begin;
            scope.spawn(move || {
                stay_on_cpu(cpu);
                let frames: Vec<_> = segments.iter().map(|segment| segment.frame(&gun.link)).collect();
                begin.wait();
                gun.wire.send(&frames);
            });
        }
    });
}

/// The flows as `conntrack ls` has them.
///
/// # Panics
/// When it fails.
pub fn flows(machine: &Machine) -> Vec<Value> {
    machine.json(&["conntrack", "ls"])["flows"].as_array().expect("a list").clone()
}

/// The number that `conntrack count` prints, with more arguments.
///
/// # Panics
/// When it prints none.
pub fn count(machine: &Machine, arguments: &[&str]) -> u64 {
    let text = machine.netlab(["conntrack", "count"].iter().chain(arguments)).ok();
    text.trim().parse().unwrap_or_else(|_| panic!("no number: {text}"))
}

/// How many packets came to a verdict, at all hooks.
///
/// # Panics
/// When `stats` fails.
pub fn verdicts(machine: &Machine, name: &str) -> u64 {
    let stats = machine.json(&["stats"]);
    let hooks = stats["hooks"].as_array().expect("a list").iter();
    let all = hooks.flat_map(|hook| hook["verdicts"].as_array().into_iter().flatten());
    all.filter(|verdict| verdict["name"] == name).filter_map(|verdict| verdict["packets"].as_u64()).sum()
}

/// The lab's pinned maps, read and written behind netlab's back.
pub struct Pins(PathBuf);

impl Pins {
    /// Those of the lab that [`lab`] makes.
    pub fn of(machine: &Machine) -> Self {
        Pins(machine.root().join("sys/fs/bpf/netlab/attack").join(format!("v{ABI_VERSION}")))
    }

    fn map(&self, name: &str) -> MapData {
        MapData::from_pin(self.0.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn array<T: aya::Pod>(&self, name: &str) -> Array<MapData, T> {
        Array::try_from(Map::Array(self.map(name))).expect("an array of such values")
    }

    /// How often an event happened.
    ///
    /// # Panics
    /// When the map is not there.
    pub fn event(&self, event: Event) -> u64 {
        self.array::<u64>(names::EVENTS).get(&(event as u32), 0).expect("an entry")
    }

    /// The settings.
    ///
    /// # Panics
    /// When the map is not there.
    pub fn config(&self) -> Config {
        self.array(names::CONFIG).get(&0, 0).expect("the entry")
    }

    /// Writes the settings.
    ///
    /// # Panics
    /// When the map is not there.
    pub fn set_config(&self, config: Config) {
        self.array(names::CONFIG).set(0, config, 0).expect("the entry");
    }

    /// How many ports the bitmaps say are in use.
    ///
    /// # Panics
    /// When the map is not there.
    pub fn ports_in_use(&self) -> u32 {
        let shards = self.array::<Shard>(names::PORTS);
        shards
            .iter()
            .map(|shard| shard.expect("a bitmap").words.iter().map(|word| word.count_ones()).sum::<u32>())
            .sum()
    }

    /// The sum of all sources' counters.
    ///
    /// # Panics
    /// When the map is not there.
    pub fn counted_sources(&self) -> u64 {
        self.array::<u32>(names::SOURCES).iter().map(|count| u64::from(count.expect("a cell"))).sum()
    }

    /// Sets the lab's clock to so many ticks before it begins anew at zero. Flows that are there get as much older.
    /// Returns when the programs go by it: they look at the clock once in each of the kernel's steps of time, which
    /// are of ten milliseconds at the most, and a flow made before would be one of the old clock.
    ///
    /// # Panics
    /// When the map is not there.
    pub fn wind_to_the_wrap(&self, ticks: u32) {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every system has that clock");
        let now = clock::tick(Duration::from(now).as_nanos() as u64, 0);
        self.set_config(Config { clock_offset: ticks.wrapping_neg().wrapping_sub(now), ..self.config() });
        std::thread::sleep(Duration::from_millis(20));
    }

    /// How many keys lead to flows.
    ///
    /// # Panics
    /// When the map is not there.
    pub fn keys(&self) -> usize {
        use netlab_common::abi::flow::{FlowRef, Tuple};
        let keys = Map::HashMap(self.map(names::KEYS));
        let keys = aya::maps::HashMap::<_, Tuple<4>, FlowRef>::try_from(keys).expect("a hash of such values");
        keys.keys().count()
    }

    /// Slots that were ever used, and those of them that wait for another flow. Nobody may be at work meanwhile:
    /// they are taken out of their queue and put back.
    ///
    /// # Panics
    /// When a map is not there.
    pub fn slots(&self) -> Slots {
        let flows = self.array::<Flow<4>>(names::FLOWS);
        let used = self.array::<u64>(names::FRESH_SLOT).get(&0, 0).expect("the entry");
        let used = used.min(u64::from(flows.len()));
        let mut queue = Queue::<_, u32>::try_from(Map::Queue(self.map(names::FREE_SLOTS))).expect("a queue");
        let mut free = Vec::new();
        while let Ok(slot) = queue.pop(0) {
            free.push(slot);
        }
        for slot in &free {
            queue.push(slot, 0).expect("there was room before");
        }
        let waiting = free.len() as u64;
        let lives = (0..used as u32).map(|slot| flows.get(&slot, 0).expect("a slot").head.life);
        let empty = lives.filter(|life| *life == life::FREE).count() as u64;
        free.sort_unstable();
        free.dedup();
        assert_eq!(free.len() as u64, waiting, "a slot waits twice");
        Slots { used, waiting, empty }
    }

    /// Fails unless nothing is left of any flow: no key, no port, no source, and no slot lost.
    ///
    /// # Panics
    /// When something is.
    pub fn are_at_rest(&self) {
        let Slots { used, waiting, empty } = self.slots();
        assert_eq!(
            (waiting, empty),
            (used, used),
            "slots that wait, and that hold nothing, of those ever used"
        );
        assert_eq!(self.keys(), 0, "keys");
        assert_eq!(self.ports_in_use(), 0, "ports");
        assert_eq!(self.counted_sources(), 0, "flows of sources");
    }
}

/// What became of the table's slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// How many were ever used.
    pub used: u64,
    /// How many of them wait for another flow.
    pub waiting: u64,
    /// How many of them hold nothing.
    pub empty: u64,
}
