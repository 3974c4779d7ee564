//! A packet and the end of its flow at once: swept, evicted, removed, or made room of.

use netlab_common::abi::config::Timeout;
use netlab_common::abi::flow::life;
use netlab_common::abi::hook::Hook::{UplinkIn, UplinkOut};
use netlab_common::abi::verdict::{Disposition, Verdict};
use netlab_common::conntrack::state;
use netlab_common::fake::MemTables;
use netlab_common::net::protocol::TCP;
use netlab_common::net::tcp::{ACK, FIN, RST, SYN};
use netlab_common::tables::Tables;

use crate::cpu::Act;
use crate::explore::{Depth, End, Scenario, depth, explore, went_on};
use crate::kit::frames::{End as Endpoint, Says, segment, syn, tcp, tuple, udp};
use crate::kit::lab::{
    Chance, EARTH, HOST, MARS, SERVER, START, flows, hiding, masquerade, only_flow, play, sweep,
};

/// Enough for three CPUs.
const TWO: Depth = Depth { preemptions: 2 };

const NODE: Endpoint = (EARTH, 5_000);
/// The node as the server sees it.
const OUTSIDE: Endpoint = (HOST, 5_000);
const OTHER: Endpoint = (MARS, 6_000);
const OTHER_OUTSIDE: Endpoint = (HOST, 6_000);

fn leaves(frame: Vec<u8>) -> Act {
    Act::Packet(UplinkOut, frame)
}

fn arrives(frame: Vec<u8>) -> Act {
    Act::Packet(UplinkIn, frame)
}

/// Tables in which packets have left the node and come back to it.
fn after(capacity: u32, acts: &[Act]) -> MemTables {
    let tables = hiding(capacity, masquerade(40_000, 40_003));
    let env = Chance::new(START, 77);
    for act in acts {
        let Act::Packet(hook, frame) = act else { continue };
        let outcome = play(&tables, &env, *hook, frame);
        assert_eq!(outcome.verdict.disposition(), Disposition::Forwarded, "{outcome:?}");
    }
    tables
}

fn handshake() -> Vec<Act> {
    vec![leaves(syn(NODE, SERVER)), arrives(tcp(SERVER, OUTSIDE, SYN | ACK)), leaves(tcp(NODE, SERVER, ACK))]
}

fn closed() -> Vec<Act> {
    let mut acts = handshake();
    acts.extend([leaves(tcp(NODE, SERVER, FIN | ACK)), arrives(tcp(SERVER, OUTSIDE, FIN | ACK))]);
    acts
}

/// Ticks until a flow with this timeout may be swept.
fn swept_after(tables: &MemTables, timeout: Timeout) -> u32 {
    tables.timeout(timeout) + tables.config().quarantine
}

fn verdict(end: &End<'_>, cpu: usize, act: usize) -> Verdict {
    end.outcomes[cpu][act].verdict
}

fn is_live(end: &End<'_>, original: Endpoint) -> bool {
    flows(end.tables).iter().any(|flow| {
        (flow.head.original.src, flow.head.original.sport) == (original.0, original.1.to_be_bytes())
    })
}

#[test]
fn a_syn_begins_a_closed_flow_anew_or_finds_it_ending_while_it_is_swept() {
    let tables = after(2, &closed());
    let ticks = swept_after(&tables, Timeout::TcpClosed);
    let cpus = vec![vec![leaves(syn(NODE, SERVER))], vec![Act::Sweep]];
    explore(&Scenario::new(tables, cpus).after(ticks), depth(), |end| match verdict(end, 0, 0) {
        Verdict::Created => {
            let flow = only_flow(end.tables);
            assert_eq!(flow.head.state & state::OF_CONNECTION, state::SEQUENCE_ORIGINAL);
        }
        other => assert_eq!(other, Verdict::FlowEnding),
    });
}

#[test]
fn a_datagram_begins_an_expired_flow_anew_or_finds_it_ending_while_it_is_swept() {
    let tables = after(2, &[leaves(udp(NODE, SERVER))]);
    let ticks = swept_after(&tables, Timeout::UdpUnreplied);
    let cpus = vec![vec![leaves(udp(NODE, SERVER))], vec![Act::Sweep]];
    explore(&Scenario::new(tables, cpus).after(ticks), depth(), |end| match verdict(end, 0, 0) {
        Verdict::Created => assert!(is_live(end, NODE)),
        other => assert_eq!(other, Verdict::FlowEnding),
    });
}

#[test]
fn two_syns_begin_a_closed_flow_anew_as_one() {
    let tables = after(2, &closed());
    let cpus = vec![vec![leaves(syn(NODE, SERVER))]; 2];
    explore(&Scenario::new(tables, cpus).after(10), depth(), |end| {
        went_on(end);
        assert_eq!(end.outcomes[0][0].frame, end.outcomes[1][0].frame);
        only_flow(end.tables);
    });
}

#[test]
fn two_datagrams_begin_an_expired_flow_anew_as_one_beyond_its_quarantine() {
    let tables = after(2, &[leaves(udp(NODE, SERVER))]);
    let ticks = swept_after(&tables, Timeout::UdpUnreplied);
    let cpus = vec![vec![leaves(udp(NODE, SERVER))]; 2];
    explore(&Scenario::new(tables, cpus).after(ticks), depth(), |end| {
        went_on(end);
        only_flow(end.tables);
    });
}

#[test]
fn a_half_open_flow_that_is_evicted_is_gone_or_established_and_never_both() {
    let tables = after(1, &[leaves(syn(NODE, SERVER)), arrives(tcp(SERVER, OUTSIDE, SYN | ACK))]);
    let cpus = vec![vec![leaves(tcp(NODE, SERVER, ACK))], vec![leaves(syn(OTHER, SERVER))]];
    explore(&Scenario::new(tables, cpus), depth(), |end| {
        let established = verdict(end, 0, 0).disposition() == Disposition::Forwarded;
        if established {
            assert!(is_live(end, NODE), "a flow is gone whose handshake came through");
        }
        let evicted = verdict(end, 1, 0) == Verdict::Created;
        assert_eq!(is_live(end, OTHER), evicted);
        assert!(evicted || verdict(end, 1, 0) == Verdict::TableFull, "{:?}", verdict(end, 1, 0));
        assert!(!(established && evicted));
    });
}

#[test]
fn a_datagrams_answer_saves_its_flow_from_eviction_or_is_not_sent_on() {
    let tables = after(1, &[leaves(udp(NODE, SERVER))]);
    let cpus = vec![vec![arrives(udp(SERVER, OUTSIDE))], vec![leaves(udp(OTHER, SERVER))]];
    explore(&Scenario::new(tables, cpus), depth(), |end| {
        let sent_on = verdict(end, 0, 0).disposition() == Disposition::Forwarded;
        let evicted = verdict(end, 1, 0) == Verdict::Created;
        assert_eq!(is_live(end, NODE), !evicted);
        // Each may see the other and stand back: then the flow lives, and its next packet goes through.
        assert!(!(sent_on && evicted));
        assert!(evicted || verdict(end, 1, 0) == Verdict::TableFull);
    });
}

#[test]
fn a_flood_on_one_cpu_never_takes_a_flow_that_another_has_just_assured() {
    let tables = after(2, &[leaves(syn(NODE, SERVER)), arrives(tcp(SERVER, OUTSIDE, SYN | ACK))]);
    let flood = (0..3).map(|port| leaves(syn((MARS, 6_000 + port), SERVER))).collect();
    let cpus = vec![vec![leaves(tcp(NODE, SERVER, ACK))], flood];
    explore(&Scenario::new(tables, cpus), depth(), |end| {
        if verdict(end, 0, 0).disposition() == Disposition::Forwarded {
            assert!(is_live(end, NODE));
        }
    });
}

#[test]
fn the_port_of_a_flow_that_is_over_goes_to_one_of_two_that_want_it() {
    let tables = after(3, &[leaves(udp(NODE, SERVER))]);
    let ticks = swept_after(&tables, Timeout::UdpUnreplied);
    let cpus = [MARS, [10, 0, 0, 3]].map(|node| vec![leaves(udp((node, NODE.1), SERVER))]);
    explore(&Scenario::new(tables, cpus.to_vec()).after(ticks), depth(), |end| {
        went_on(end);
        assert_eq!(flows(end.tables).len(), 2);
        let kept = end.outcomes.iter().flatten().filter(|outcome| {
            tuple(&outcome.frame).src == HOST && tuple(&outcome.frame).sport == NODE.1.to_be_bytes()
        });
        assert_eq!(kept.count(), 1);
    });
}

#[test]
fn the_port_of_a_flow_that_is_over_is_taken_or_left_while_it_begins_anew_or_is_swept() {
    for other in [leaves(udp(NODE, SERVER)), Act::Sweep] {
        let tables = after(3, &[leaves(udp(NODE, SERVER))]);
        let ticks = swept_after(&tables, Timeout::UdpUnreplied);
        let cpus = vec![vec![leaves(udp((MARS, NODE.1), SERVER))], vec![other]];
        explore(&Scenario::new(tables, cpus).after(ticks), depth(), |end| {
            assert_eq!(verdict(end, 0, 0), Verdict::Created);
        });
    }
}

#[test]
fn a_port_in_quarantine_is_nobody_elses() {
    let tables = after(3, &[leaves(udp(NODE, SERVER))]);
    let ticks = tables.timeout(Timeout::UdpUnreplied);
    let cpus = vec![vec![leaves(udp((MARS, NODE.1), SERVER))], vec![Act::Sweep]];
    explore(&Scenario::new(tables, cpus).after(ticks), depth(), |end| {
        assert_eq!(verdict(end, 0, 0), Verdict::Created);
        assert_ne!(tuple(&end.outcomes[0][0].frame).sport, NODE.1.to_be_bytes());
    });
}

/// What a sweep finds that comes after everything else.
fn after_a_sweep(end: &End<'_>) -> MemTables {
    let scratch = end.tables.clone();
    sweep(&scratch, &Chance::new(START, 4));
    scratch
}

#[test]
fn a_removed_flow_is_gone_whatever_its_packets_do_meanwhile() {
    let packets = [syn(NODE, SERVER), tcp(NODE, SERVER, ACK), tcp(NODE, SERVER, FIN | ACK)];
    for packet in packets {
        let tables = after(2, &handshake());
        let cpus = vec![vec![Act::Remove(0, 0), Act::Sweep], vec![leaves(packet)]];
        explore(&Scenario::new(tables, cpus), depth(), |end| {
            let left = after_a_sweep(end).flows.borrow()[0].head;
            assert!(left.generation != 0 || left.life == life::FREE, "it is still there: {left:?}");
        });
    }
}

#[test]
fn a_closed_flow_is_removed_or_begun_anew() {
    let tables = after(2, &closed());
    let cpus = vec![vec![Act::Remove(0, 0)], vec![leaves(syn(NODE, SERVER))], vec![Act::Sweep]];
    explore(&Scenario::new(tables, cpus), TWO, |end| {
        let made = verdict(end, 1, 0);
        assert!(matches!(made, Verdict::Created | Verdict::FlowEnding), "{made:?}");
    });
}

#[test]
fn removing_a_flow_that_is_evicted_spares_the_next_one_of_its_slot() {
    let tables = after(1, &[leaves(udp(NODE, SERVER))]);
    let next = vec![leaves(udp(OTHER, SERVER)), arrives(udp(SERVER, OTHER_OUTSIDE))];
    explore(&Scenario::new(tables, vec![vec![Act::Remove(0, 0)], next]), depth(), |end| {
        if (0..2).all(|act| verdict(end, 1, act).disposition() == Disposition::Forwarded) {
            assert!(is_live(end, OTHER), "the wrong flow was removed");
        }
    });
}

#[test]
fn a_reset_and_data_at_once_leave_a_flow_that_ends_or_lives_on() {
    let tables = after(1, &handshake());
    let reset = segment(SERVER, OUTSIDE, Says { sequence: 2, ..Says::flags(RST) });
    let cpus = vec![vec![arrives(reset)], vec![arrives(tcp(SERVER, OUTSIDE, ACK))]];
    explore(&Scenario::new(tables, cpus), depth(), |end| {
        went_on(end);
        only_flow(end.tables);
    });
}

#[test]
fn an_answer_to_an_unknown_syn_ends_a_closed_flow_and_no_other() {
    // The server answers a SYN that did not come through the closed flow, so the tuple is another's by now.
    let tables = after(1, &closed());
    let cpus = vec![
        vec![arrives(tcp(SERVER, OUTSIDE, SYN | ACK))],
        vec![
            leaves(syn(OTHER, SERVER)),
            arrives(tcp(SERVER, OTHER_OUTSIDE, SYN | ACK)),
            leaves(tcp(OTHER, SERVER, ACK)),
        ],
    ];
    explore(&Scenario::new(tables, cpus), depth(), |end| {
        if (0..3).all(|act| verdict(end, 1, act).disposition() == Disposition::Forwarded) {
            let flow = only_flow(end.tables);
            assert_eq!(state::name(TCP, flow.head.state), "ESTABLISHED", "{flow:?}");
        }
    });
}

#[test]
fn a_late_packet_of_an_evicted_flow_ends_no_flow_that_has_its_slot_now() {
    for late in [RST, SYN | ACK, FIN | ACK] {
        let tables = after(1, &[leaves(syn(NODE, SERVER))]);
        let late = segment(SERVER, OUTSIDE, Says { ack: 2, ..Says::flags(late | ACK) });
        let cpus = vec![
            vec![arrives(late)],
            vec![
                leaves(syn(OTHER, SERVER)),
                arrives(tcp(SERVER, OTHER_OUTSIDE, SYN | ACK)),
                leaves(tcp(OTHER, SERVER, ACK)),
            ],
        ];
        explore(&Scenario::new(tables, cpus), depth(), |end| {
            if verdict(end, 1, 0) == Verdict::Created
                && verdict(end, 1, 2).disposition() == Disposition::Forwarded
            {
                let state = only_flow(end.tables).head.state;
                assert!(state::is_assured(TCP, state), "the late packet made it {}", state::name(TCP, state));
            }
        });
    }
}
