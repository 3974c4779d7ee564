//! A small lab: two nodes behind a host with one address, and a world. Its tables, its clock, and playing
//! packets through the pipeline on one CPU.

use core::cell::Cell;

use netlab_common::abi::clock;
use netlab_common::abi::config::flag;
use netlab_common::abi::flow::{Flow, Tuple};
use netlab_common::abi::hook::Hook;
use netlab_common::abi::rule::{
    Filtering, Forward, ForwardKey, ForwardPort, Mapping, MasqueradeTarget, TARGETS, Target, Zone,
};
use netlab_common::abi::verdict::Verdict;
use netlab_common::conntrack::end::Sweep;
use netlab_common::fake::{BufPacket, MemTables};
use netlab_common::pipeline;
use netlab_common::tables::{Env, Search, Tables};

use super::frames::End;

pub const EARTH: [u8; 4] = [10, 0, 0, 1];
pub const MARS: [u8; 4] = [10, 0, 0, 2];
pub const HOST: [u8; 4] = [192, 0, 2, 1];
/// A server in the world, and another.
pub const SERVER: End = ([198, 51, 100, 7], 80);
pub const OTHER_SERVER: End = ([198, 51, 100, 8], 80);
/// A client in the world.
pub const CLIENT: End = ([203, 0, 113, 9], 5_555);

/// When stories begin, in ticks: not at zero, which is what an empty table's times are.
pub const START: u32 = 1_000_000;

/// Tables of a lab without rules.
pub fn tables(capacity: u32) -> MemTables {
    let mut tables = MemTables::with_capacity(capacity);
    tables.zones = vec![([10, 0, 0, 0], 24, Zone::Nodes), (HOST, 32, Zone::Host)];
    // No limit on a source, and an agent that has just swept, unless a test says otherwise.
    tables.configure(|config| config.per_source = u32::MAX);
    let mut pulse = tables.pulse.get();
    pulse.swept = START;
    tables.pulse.set(pulse);
    tables
}

/// A masquerade of the nodes behind the host's address: rule 0.
pub fn masquerade(first_port: u16, last_port: u16) -> MasqueradeTarget<4> {
    MasqueradeTarget {
        address: HOST,
        addresses: 1,
        first_port,
        last_port,
        rule: 0,
        mapping: Mapping::EndpointDependent as u8,
        filtering: Filtering::AddressAndPortDependent as u8,
        keep_any: 1,
        pad: 0,
    }
}

/// One that keeps no port outside of its range.
pub fn strict(first_port: u16, last_port: u16) -> MasqueradeTarget<4> {
    MasqueradeTarget { keep_any: 0, ..masquerade(first_port, last_port) }
}

/// Tables with this masquerade.
pub fn hiding(capacity: u32, target: MasqueradeTarget<4>) -> MemTables {
    let mut tables = tables(capacity);
    tables.masquerades = vec![([10, 0, 0, 0], 24, target)];
    if target.mapping == Mapping::EndpointIndependent as u8 {
        tables.configure(|config| config.flags |= flag::MAPPINGS);
    }
    tables
}

/// A masquerade with endpoint-independent mapping.
pub fn mapped(first_port: u16, last_port: u16, filtering: Filtering) -> MasqueradeTarget<4> {
    MasqueradeTarget {
        mapping: Mapping::EndpointIndependent as u8,
        filtering: filtering as u8,
        ..masquerade(first_port, last_port)
    }
}

/// Adds a forward of the host's TCP port to targets: rule 1.
pub fn forward(tables: &mut MemTables, port: u16, targets: &[End]) {
    let mut of = [Target { address: [0; 4], near: [0; 4], port: 0, node: 0 }; TARGETS];
    for (slot, (address, port)) in of.iter_mut().zip(targets) {
        *slot = Target { address: *address, near: HOST, port: *port, node: 0 };
    }
    let entry = Forward { targets: of, count: targets.len() as u32, restricted: 0, turn: 0, pad: 0 };
    tables.forwards.borrow_mut().insert(1, entry);
    let key = ForwardKey { address: HOST, port: port.to_be_bytes(), protocol: 6, pad: 0 };
    tables.forward_ports.insert(key, ForwardPort { rule: 1, offset: 0, pad: 0 });
}

/// A clock that stands where it is put, and numbers that follow from a seed.
#[derive(Debug)]
pub struct Chance {
    /// The time in ticks.
    pub now: Cell<u32>,
    seed: Cell<u64>,
}

impl Chance {
    pub fn new(now: u32, seed: u64) -> Self {
        Chance { now: Cell::new(now), seed: Cell::new(seed) }
    }
}

impl Env<4> for Chance {
    fn now(&self) -> u64 {
        u64::from(self.now.get()) << clock::SHIFT
    }

    fn random(&self) -> u32 {
        // SplitMix64: each seed, zero as well, gives numbers of every size.
        let seed = self.seed.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.seed.set(seed);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as u32
    }

    fn host_has_socket(&self, _tuple: &Tuple<4>) -> bool {
        false
    }

    fn search<S: Search<4>, T: Tables<4>>(&self, tables: &T, steps: u32, search: &mut S) {
        for index in 0..steps {
            if search.step(tables, self, index) {
                return;
            }
        }
    }
}

/// What became of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub verdict: Verdict,
    pub frame: Vec<u8>,
}

/// Sends a frame through the pipeline.
pub fn play<T: Tables<4>, E: Env<4>>(tables: &T, env: &E, hook: Hook, frame: &[u8]) -> Outcome {
    let mut packet = BufPacket(frame.to_vec());
    let decision = pipeline::run(hook, &mut packet, tables, env);
    Outcome { verdict: decision.verdict, frame: packet.0 }
}

/// Sweeps the whole table, as the agent does; how many flows went.
pub fn sweep<T: Tables<4>, E: Env<4>>(tables: &T, env: &E) -> u32 {
    let mut sweep = Sweep::from(0, now(tables, env));
    env.search(tables, tables.used_slots(), &mut sweep);
    sweep.ended
}

/// The datapath's time.
pub fn now<T: Tables<4>, E: Env<4>>(tables: &T, env: &E) -> u32 {
    clock::tick(env.now(), tables.config().clock_offset)
}

/// The one live flow, mappings aside.
#[track_caller]
pub fn only_flow(tables: &MemTables) -> Flow<4> {
    let flows = flows(tables);
    assert_eq!(flows.len(), 1, "not one flow: {flows:#?}");
    flows[0]
}

/// Live flows, mappings aside.
pub fn flows(tables: &MemTables) -> Vec<Flow<4>> {
    tables.live().into_iter().filter(|flow| !flow.head.status().is_mapping()).collect()
}
