//! The whole table under random life: flows open, talk, close and are forgotten, time passes, users end flows, the
//! agent sweeps or does not, and there is too little room. After each step everything must add up.

use netlab_common::abi::flow::{Kind, life};
use netlab_common::abi::hook::Hook::{self, UplinkIn, UplinkOut};
use netlab_common::abi::rule::Filtering;
use netlab_common::abi::verdict::Verdict;
use netlab_common::conntrack::state;
use netlab_common::fake::MemTables;
use netlab_common::net::protocol;
use netlab_common::net::tcp::{ACK, FIN, RST, SYN};
use netlab_common::tables::Tables;
use proptest::prelude::*;
use proptest::sample::select;

use crate::kit::checks::{at_rest, leaves_nothing};
use crate::kit::config;
use crate::kit::frames::{End, ping, tcp, udp};
use crate::kit::lab::{
    Chance, EARTH, HOST, MARS, START, flows, forward, hiding, mapped, masquerade, play, strict, sweep,
};

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    /// A node sends to a server; 0 is UDP, 1 an echo, others TCP with these flags.
    Out(u8, u8, u16, u8, u8),
    /// A server sends to a port of the host's.
    In(u8, u8, u16, u8),
    /// A client comes to the forward.
    Client(u16, u8),
    /// The host itself sends.
    Host(u16, u8),
    /// Ticks pass.
    Wait(u32),
    Sweep,
    /// A user ends the flow of a slot.
    Remove(u32),
}

fn flags() -> impl Strategy<Value = u8> {
    select(&[SYN, SYN, SYN | ACK, ACK, ACK, FIN | ACK, RST, RST | ACK][..])
}

fn step() -> impl Strategy<Value = Step> {
    let port = || select(&[53u16, 5_000, 5_001, 40_000, 40_001][..]);
    prop_oneof![
        6 => (0u8..4, 0u8..3, port(), 0u8..3, flags()).prop_map(|(kind, node, port, server, flags)| Step::Out(kind, node, port, server, flags)),
        6 => (0u8..4, 0u8..3, port(), flags()).prop_map(|(kind, server, port, flags)| Step::In(kind, server, port, flags)),
        2 => (6_000u16..6_004, flags()).prop_map(|(port, flags)| Step::Client(port, flags)),
        1 => (port(), 0u8..3).prop_map(|(port, server)| Step::Host(port, server)),
        2 => prop_oneof![0u32..40, 800u32..4_000, Just(200_000)].prop_map(Step::Wait),
        1 => Just(Step::Sweep),
        1 => (0u32..16).prop_map(Step::Remove),
    ]
}

fn transport(kind: u8, from: End, to: End, flags: u8) -> Vec<u8> {
    match kind {
        0 => udp(from, to),
        1 => ping(from, to.0),
        _ => tcp(from, to, flags),
    }
}

fn server(number: u8) -> End {
    ([198, 51, 100, number], 80)
}

/// A lab with or without mappings, with a forward, and with little room.
fn lab(room: u32, mappings: bool, ports: u16, keeps: bool) -> MemTables {
    let last = 40_000 + ports - 1;
    let target = match (mappings, keeps) {
        (true, _) => mapped(40_000, last, Filtering::AddressDependent),
        (false, true) => masquerade(40_000, last),
        (false, false) => strict(40_000, last),
    };
    let mut tables = hiding(room, target);
    forward(&mut tables, 8_000, &[(EARTH, 80), (MARS, 80)]);
    tables
}

/// Does a step; the packet's verdict, if it is one.
fn take(tables: &MemTables, env: &Chance, step: &Step) -> Option<Verdict> {
    let (hook, frame): (Hook, _) = match *step {
        Step::Out(kind, node, port, to, flags) => {
            (UplinkOut, transport(kind, ([10, 0, 0, node], port), server(to), flags))
        }
        Step::In(kind, from, port, flags) => (UplinkIn, transport(kind, server(from), (HOST, port), flags)),
        Step::Client(port, flags) => (UplinkIn, tcp(([203, 0, 113, 9], port), (HOST, 8_000), flags)),
        Step::Host(port, to) => (UplinkOut, udp((HOST, port), server(to))),
        Step::Wait(ticks) => {
            env.now.set(env.now.get() + ticks);
            return None;
        }
        Step::Sweep => {
            sweep(tables, env);
            return None;
        }
        Step::Remove(slot) => {
            tables.change_life(slot, life::LIVE, life::DOOMED);
            return None;
        }
    };
    Some(play(tables, env, hook, &frame).verdict)
}

/// Generations of the slots whose flows are assured and whose time is not up.
fn assured(tables: &MemTables, now: u32) -> Vec<(usize, u32)> {
    let flows = tables.flows.borrow();
    let timeout = |number, bits| tables.timeout(netlab_common::conntrack::timeout::of(number, bits));
    flows
        .iter()
        .enumerate()
        .filter(|(_, flow)| {
            let (number, bits) = (flow.head.original.protocol, flow.head.state);
            flow.head.life == life::LIVE
                && flow.head.kind == Kind::Flow as u8
                && state::is_assured(number, bits)
                && now - flow.counters.last_seen < timeout(number, bits)
        })
        .map(|(slot, flow)| (slot, flow.head.generation))
        .collect()
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn everything_adds_up_after_each_step(
        steps in prop::collection::vec(step(), 1..150),
        room in select(&[2u32, 5, 16][..]),
        mappings: bool,
        keeps: bool,
        ports in select(&[1u16, 4, 70][..]),
        agent: bool,
        quota in select(&[3u32, u32::MAX][..]),
        seed: u64,
    ) {
        let tables = lab(room, mappings, ports, keeps);
        tables.configure(|config| config.per_source = quota);
        let env = Chance::new(START, seed);
        for step in &steps {
            if agent {
                tables.pulse.set(netlab_common::abi::port::Pulse { swept: env.now.get(), ..tables.pulse.get() });
            }
            let before = assured(&tables, env.now.get());
            take(&tables, &env, step);
            at_rest(&tables).map_err(|broken| TestCaseError::fail(format!("after {step:?}: {broken}")))?;
            if !matches!(step, Step::Wait(_)) {
                let flows = tables.flows.borrow();
                let gone = before.iter().find(|(slot, generation)| flows[*slot].head.generation != *generation);
                prop_assert_eq!(gone, None, "{:?} took an assured flow away", step);
            }
        }
        leaves_nothing(&tables, &env).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn a_flood_leaves_an_assured_flow_its_place_and_its_port(
        flood in prop::collection::vec((0u8..3, any::<u8>(), 1u16.., 0u8..3), 50..300),
        mappings: bool,
        number in select(&[protocol::TCP, protocol::UDP][..]),
        seed: u64,
    ) {
        let tables = lab(8, mappings, 4, true);
        let env = Chance::new(START, seed);
        let (node, outside) = ((EARTH, 5_000), (HOST, 5_000));
        let both = |flags: u8| {
            let kind = if number == protocol::TCP { 2 } else { 0 };
            [(UplinkOut, transport(kind, node, server(0), flags)), (UplinkIn, transport(kind, server(0), outside, flags | ACK))]
        };
        let [syn, answer] = both(SYN);
        let [ack, data] = both(ACK);
        for (hook, frame) in [syn, answer, ack.clone()] {
            play(&tables, &env, hook, &frame);
        }
        for (kind, host, port, to) in flood {
            play(&tables, &env, UplinkOut, &transport(kind, ([10, 0, 0, host], port), server(to), SYN));
        }
        for (hook, frame) in [ack, data] {
            prop_assert_eq!(play(&tables, &env, hook, &frame).verdict, Verdict::Established);
        }
        at_rest(&tables).map_err(TestCaseError::fail)?;
    }
}

/// If random steps never met a limit, the properties above would show nothing.
#[test]
fn random_steps_meet_every_limit() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut met = std::collections::BTreeSet::new();
    for mappings in [false, true] {
        for (room, ports, quota) in [(16, 1, u32::MAX), (2, 70, u32::MAX), (16, 70, 3)] {
            let tables = lab(room, mappings, ports, mappings);
            tables.configure(|config| config.per_source = quota);
            let env = Chance::new(START, 1);
            for _ in 0..3_000 {
                let step = step().new_tree(&mut runner).expect("a strategy without filters").current();
                met.extend(take(&tables, &env, &step));
            }
        }
    }
    for verdict in [
        Verdict::Created,
        Verdict::Established,
        Verdict::HostFlow,
        Verdict::PortsExhausted,
        Verdict::TableFull,
        Verdict::SourceQuota,
        Verdict::Filtered,
        Verdict::NotSyn,
    ] {
        assert!(met.contains(&verdict), "no random step came to {verdict:?}: {met:?}");
    }
}

#[test]
fn a_removed_flow_makes_way_for_the_next_one_at_once() {
    let tables = lab(4, false, 4, true);
    let env = Chance::new(START, 1);
    let frame = tcp((EARTH, 5_000), server(0), SYN);
    play(&tables, &env, UplinkOut, &frame);
    assert!(tables.change_life(0, life::LIVE, life::DOOMED));
    assert_eq!(play(&tables, &env, UplinkOut, &frame).verdict, Verdict::Created);
    assert_eq!(flows(&tables).len(), 1);
    assert_eq!(at_rest(&tables), Ok(()));
}
