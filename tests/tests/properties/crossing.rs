//! The shortcut and the whole way: whichever of them a connection's segments take, they come out with the same ports and
//! leave the flow in the same state.

use netlab_common::abi::hook::Hook::{self, PortIn, PortOut, UplinkIn, UplinkOut};
use netlab_common::abi::verdict::{Disposition, Verdict};
use netlab_common::fake::BufPacket;
use netlab_common::net::tcp::{ACK, FIN, RST, SYN};
use netlab_common::pipeline::Way;
use netlab_tests::cases::{EARTH_5555, EARTH_8000, HOST_5555, WORLD_80, WORLD_7777};
use netlab_tests::host::Host;
use netlab_tests::packet::{Packet, tcp, udp};
use netlab_tests::rules::Rules;
use proptest::prelude::*;
use proptest::sample::select;

use super::strategies::config;

const HOST_3000: &str = "192.168.0.108:3000";
/// A frame to the host, and what leaves it to one neighbour or another.
const TO_THE_HOST: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
const FROM_THE_HOST: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];

/// A packet from one side or the other.
#[derive(Clone, Copy, Debug)]
struct Step {
    is_opener: bool,
    flags: u8,
    numbers: (u32, u32),
    /// Ticks that go by before it.
    ticks: u32,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Mostly what connections consist of.
    let flags = select(&[SYN, SYN | ACK, ACK, ACK, ACK, FIN | ACK, FIN | ACK, RST, RST | ACK, FIN, 0][..]);
    let ticks = select(&[0u32, 0, 0, 0, 1, 13, 14, 40, 2000][..]);
    let step = (any::<bool>(), flags, (0u32..3, 0u32..3), ticks)
        .prop_map(|(is_opener, flags, numbers, ticks)| Step { is_opener, flags, numbers, ticks });
    prop::collection::vec(step, 1..24)
}

/// One side's packets: where they come in and leave, and who sends them to whom.
type Side = (Hook, Hook, &'static str, &'static str);

/// Both sides of a flow, opener first.
#[derive(Clone, Copy, Debug)]
struct Ends([Side; 2]);

const MASQUERADED: Ends =
    Ends([(PortIn, UplinkOut, EARTH_5555, WORLD_80), (UplinkIn, PortOut, WORLD_80, HOST_5555)]);
const FORWARDED: Ends =
    Ends([(UplinkIn, PortOut, WORLD_7777, HOST_3000), (PortIn, UplinkOut, EARTH_8000, WORLD_7777)]);

fn host(rules: Rules) -> Host {
    let rules = rules.room(8);
    Host::new(&rules.forward(netlab_common::net::protocol::TCP, HOST_3000, EARTH_8000).forward(
        netlab_common::net::protocol::UDP,
        HOST_3000,
        EARTH_8000,
    ))
}

/// Sends a packet all the way; what leaves but for its Ethernet addresses, TTL and header checksum, and whether it crossed.
fn sent(host: &Host, side: Side, packet: &Packet) -> (Option<Vec<u8>>, bool) {
    let (comes, leaves, ..) = side;
    let is_dropped = |verdict: Verdict| verdict.disposition() == Disposition::Dropped;
    let mut frame = BufPacket(packet.clone().patch(0, &TO_THE_HOST).frame());
    let decision = host.run_on(comes, &mut frame, &host.tables);
    let crossed = decision.way == Way::Across;
    if is_dropped(decision.verdict) {
        return (None, crossed);
    }
    if !crossed {
        frame.0[..12].copy_from_slice(&FROM_THE_HOST);
        if is_dropped(host.run_on(leaves, &mut frame, &host.tables).verdict) {
            return (None, false);
        }
    }
    for at in [22, 24, 25] {
        frame.0[at] = 0;
    }
    (Some(frame.0[12..].to_vec()), crossed)
}

fn packet(side: Side, step: Step, is_tcp: bool) -> Packet {
    let (_, _, from, to) = side;
    if is_tcp {
        tcp(from, to).flags(step.flags).numbers(1000 + step.numbers.0, 1000 + step.numbers.1)
    } else {
        udp(from, to)
    }
}

/// Sends packets through a host with shortcuts and through one without; how many took one.
fn crossed(ends: Ends, steps: &[Step], is_tcp: bool) -> Result<u32, TestCaseError> {
    let (short, whole) = (host(Rules::masquerading().crossing()), host(Rules::masquerading()));
    let mut crossed = 0;
    for (at, step) in steps.iter().enumerate() {
        for host in [&short, &whole] {
            host.wait(step.ticks);
        }
        let side = ends.0[usize::from(!step.is_opener)];
        let packet = packet(side, *step, is_tcp);
        let ((ours, has_crossed), (theirs, _)) = (sent(&short, side, &packet), sent(&whole, side, &packet));
        crossed += u32::from(has_crossed);
        prop_assert_eq!(ours, theirs, "step {}", at);
        prop_assert_eq!(short.state().flows, whole.state().flows, "step {}", at);
        prop_assert_eq!(short.state().rules, whole.state().rules, "step {}", at);
    }
    Ok(crossed)
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn whatever_way_packets_take_they_leave_the_same_and_make_the_same_state(
        ends in select(&[MASQUERADED, FORWARDED][..]),
        steps in steps(),
        is_tcp in prop::bool::weighted(0.9),
    ) {
        crossed(ends, &steps, is_tcp)?;
    }
}

/// If nothing crossed, the property above would show nothing: here all does but what opens the connection, and what is the
/// first to go its way.
#[test]
fn a_connection_crosses_from_its_second_answer_to_its_end() {
    let step = |is_opener, flags, numbers| Step { is_opener, flags, numbers, ticks: 0 };
    let connection = [
        step(true, SYN, (0, 0)),
        step(false, SYN | ACK, (0, 1)),
        step(true, ACK, (1, 1)),
        step(false, ACK, (1, 1)),
        step(true, FIN | ACK, (1, 1)),
        step(false, FIN | ACK, (1, 2)),
        step(true, ACK, (2, 2)),
    ];
    for ends in [MASQUERADED, FORWARDED] {
        assert_eq!(crossed(ends, &connection, true).expect("it is the same both ways"), 5);
    }
}
