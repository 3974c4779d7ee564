//! Packets that cross the host past its stack, while their flow ends.

use std::collections::BTreeMap;

use netlab_common::abi::hook::Hook::{self, PortIn, PortOut, UplinkIn, UplinkOut};
use netlab_common::abi::verdict::{Disposition, Verdict};
use netlab_common::abi::way::{Exit, exit};
use netlab_common::conntrack::state;
use netlab_common::fake::MemTables;
use netlab_common::net::protocol::TCP;
use netlab_common::net::tcp::{ACK, FIN, SYN};

use crate::cpu::Act;
use crate::explore::{End, Scenario, depth, explore};
use crate::kit::frames::{End as Endpoint, syn, tcp};
use crate::kit::lab::{
    CLIENT, Chance, EARTH, HOST, MARS, SERVER, START, flows, forward, hiding, masquerade, only_flow, play,
};

/// The interface by which all packets come and go.
const INTERFACE: u32 = 1;
/// The one by which they have come in once they are there, and the host's hardware address on that.
const NOWHERE: u32 = 0;
const DOOR: [u8; 6] = [2, 0, 0, 0, 0, 1];

const NODE: Endpoint = (EARTH, 5_000);
const OUTSIDE: Endpoint = (HOST, 5_000);
const OTHER: Endpoint = (MARS, 6_000);
/// A node's server, the host's port that leads to it, and another client than the first.
const TARGET: Endpoint = (EARTH, 8_000);
const PUBLIC: Endpoint = (HOST, 3_000);
const OTHER_CLIENT: Endpoint = ([203, 0, 113, 9], 6_666);

/// Tables with room for so many flows, in which packets have shown the ways.
fn after(capacity: u32, packets: &[(Hook, Vec<u8>)]) -> MemTables {
    let mut tables = hiding(capacity, masquerade(40_000, 40_003));
    forward(&mut tables, PUBLIC.1, &[TARGET]);
    tables.epoch.set(1);
    let flags = exit::REDIRECT | exit::FRAMES;
    let exit = Exit { flags, mtu: 1_500, ..Exit::default() };
    let entrance = Exit { own: DOOR, ..Exit::default() };
    *tables.exits.borrow_mut() = BTreeMap::from([(INTERFACE, exit), (NOWHERE, entrance)]);
    let env = Chance::new(START, 77);
    for (hook, frame) in packets {
        let outcome = play(&tables, &env, *hook, frame);
        assert_ne!(outcome.verdict.disposition(), Disposition::Dropped, "{outcome:?}");
    }
    tables
}

/// What has been sent of a connection to the server until it is answered.
fn answered() -> Vec<(Hook, Vec<u8>)> {
    vec![
        (UplinkOut, syn(NODE, SERVER)),
        (UplinkIn, tcp(SERVER, OUTSIDE, SYN | ACK)),
        (PortOut, tcp(SERVER, NODE, SYN | ACK)),
    ]
}

/// The same of one through the forward.
fn answered_inside() -> Vec<(Hook, Vec<u8>)> {
    vec![
        (UplinkIn, syn(CLIENT, PUBLIC)),
        (PortOut, syn(CLIENT, TARGET)),
        (UplinkOut, tcp(TARGET, CLIENT, SYN | ACK)),
    ]
}

fn is_live(end: &End<'_>, original: Endpoint) -> bool {
    flows(end.tables).iter().any(|flow| {
        (flow.head.original.src, flow.head.original.sport) == (original.0, original.1.to_be_bytes())
    })
}

fn is_sent_on(end: &End<'_>, cpu: usize) -> bool {
    end.outcomes[cpu][0].verdict.disposition() == Disposition::Forwarded
}

/// One packet on each of two CPUs.
fn at_once(tables: MemTables, one: (Hook, Vec<u8>), other: (Hook, Vec<u8>)) -> Scenario {
    let act = |(hook, frame)| vec![Act::Packet(hook, frame)];
    Scenario::new(tables, vec![act(one), act(other)])
}

/// If it did not cross, the rest would show nothing.
#[test]
fn an_acknowledgement_crosses_and_establishes() {
    for (packets, hook, frame) in [
        (answered(), PortIn, tcp(NODE, SERVER, ACK)),
        (answered_inside(), UplinkIn, tcp(CLIENT, PUBLIC, ACK)),
    ] {
        let tables = after(1, &packets);
        assert_eq!(play(&tables, &Chance::new(START, 1), hook, &frame).verdict, Verdict::Established);
        assert_eq!(state::name(TCP, only_flow(&tables).head.state), "ESTABLISHED");
    }
}

#[test]
fn a_hint_of_where_another_flow_is_by_now_is_put_right_by_the_first_packet_that_it_misleads() {
    let mut packets = answered();
    packets.push((PortIn, tcp(NODE, SERVER, ACK)));
    packets.push((UplinkIn, tcp(SERVER, OUTSIDE, ACK)));
    let (tables, env) = (after(2, &packets), Chance::new(START, 1));
    let right = tables.recent.borrow().clone();
    for hint in tables.recent.borrow_mut().values_mut().flatten().filter(|hint| hint.0 != 0) {
        hint.0 ^= 1;
    }
    assert_ne!(*tables.recent.borrow(), right);
    let sent = (PortIn, tcp(NODE, SERVER, ACK));
    assert_eq!(play(&tables, &env, sent.0, &sent.1).verdict, Verdict::InFlow);
    let _ = play(&tables, &env, UplinkIn, &tcp(SERVER, OUTSIDE, ACK));
    assert_eq!(*tables.recent.borrow(), right);
    assert_eq!(play(&tables, &env, sent.0, &sent.1).verdict, Verdict::Established);
}

#[test]
fn a_half_open_flow_that_is_evicted_is_gone_or_its_acknowledgement_crosses_and_never_both() {
    for (packets, one, other, opener, next) in [
        (answered(), (PortIn, tcp(NODE, SERVER, ACK)), (UplinkOut, syn(OTHER, SERVER)), NODE, OTHER),
        (
            answered_inside(),
            (UplinkIn, tcp(CLIENT, PUBLIC, ACK)),
            (UplinkIn, syn(OTHER_CLIENT, PUBLIC)),
            CLIENT,
            OTHER_CLIENT,
        ),
    ] {
        explore(&at_once(after(1, &packets), one, other), depth(), |end| {
            let (crossed, evicted) = (is_sent_on(end, 0), is_sent_on(end, 1));
            assert!(!crossed || is_live(end, opener), "a flow is gone whose handshake came through");
            assert_eq!(is_live(end, next), evicted);
            assert!(!(crossed && evicted));
        });
    }
}

#[test]
fn both_sides_ends_at_once_close_the_connection() {
    let mut packets = answered();
    packets.push((UplinkOut, tcp(NODE, SERVER, ACK)));
    let (one, other) = ((PortIn, tcp(NODE, SERVER, FIN | ACK)), (UplinkIn, tcp(SERVER, OUTSIDE, FIN | ACK)));
    explore(&at_once(after(1, &packets), one, other), depth(), |end| {
        assert!(is_sent_on(end, 0) && is_sent_on(end, 1));
        assert_eq!(state::name(TCP, only_flow(end.tables).head.state), "TIME_WAIT");
    });
}

#[test]
fn an_end_that_crosses_while_its_flow_is_removed_ends_no_other() {
    let mut packets = answered();
    packets.push((UplinkOut, tcp(NODE, SERVER, ACK)));
    let tables = after(1, &packets);
    let cpus = vec![
        vec![Act::Packet(UplinkIn, tcp(SERVER, OUTSIDE, FIN | ACK))],
        vec![Act::Remove(0, 0), Act::Sweep, Act::Packet(UplinkOut, syn(OTHER, SERVER))],
    ];
    explore(&Scenario::new(tables, cpus), depth(), |end| {
        if let Some(flow) = flows(end.tables).into_iter().find(|flow| flow.head.original.src == OTHER.0) {
            assert_eq!(flow.head.state & state::RESETS, 0);
            assert!(!state::is_closing(flow.head.state), "{}", state::name(TCP, flow.head.state));
        }
    });
}
