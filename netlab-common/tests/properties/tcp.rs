//! TCP states: what closes a connection, what does not, and that the order in which packets are seen does not
//! matter. Numbers count from the sides' first ones, which may be anywhere, so that they wrap.

use netlab_common::abi::hook::Hook::{UplinkIn, UplinkOut};
use netlab_common::abi::verdict::{Disposition, Verdict};
use netlab_common::conntrack::state;
use netlab_common::fake::MemTables;
use netlab_common::net::protocol::TCP;
use netlab_common::net::tcp::{ACK, FIN, RST, SYN};
use proptest::prelude::*;
use proptest::sample::select;

use crate::kit::config;
use crate::kit::frames::{End, Says, segment};
use crate::kit::lab::{Chance, EARTH, HOST, SERVER, START, hiding, masquerade, only_flow, play};

const NODE: End = (EARTH, 5_000);
const OUTSIDE: End = (HOST, 5_000);

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Opener,
    Answerer,
}
use Side::{Answerer, Opener};

/// A segment by numbers that count from the sides' first ones.
#[derive(Clone, Copy, Debug)]
struct Seg {
    from: Side,
    flags: u8,
    sequence: u32,
    ack: u32,
    len: u16,
}

fn seg(from: Side, flags: u8, sequence: u32, ack: u32, len: u16) -> Seg {
    Seg { from, flags, sequence, ack, len }
}

impl Seg {
    fn end(&self) -> u32 {
        self.sequence + u32::from(self.len) + (self.flags & (SYN | FIN)).count_ones()
    }
}

/// One connection through the pipeline.
struct Line {
    tables: MemTables,
    env: Chance,
    /// The first numbers of both sides.
    first: (u32, u32),
}

impl Line {
    fn new(first: (u32, u32)) -> Self {
        Line { tables: hiding(4, masquerade(40_000, 40_003)), env: Chance::new(START, 1), first }
    }

    fn send(&self, segment_: Seg) -> Verdict {
        let (hook, from, to, own, other) = match segment_.from {
            Opener => (UplinkOut, NODE, SERVER, self.first.0, self.first.1),
            Answerer => (UplinkIn, SERVER, OUTSIDE, self.first.1, self.first.0),
        };
        let says = Says {
            flags: segment_.flags,
            sequence: own.wrapping_add(segment_.sequence),
            ack: if segment_.flags & ACK != 0 { other.wrapping_add(segment_.ack) } else { 0 },
            len: segment_.len,
        };
        play(&self.tables, &self.env, hook, &segment(from, to, says)).verdict
    }

    fn all(first: (u32, u32), segments: &[Seg]) -> Self {
        let line = Line::new(first);
        for &segment in segments {
            let verdict = line.send(segment);
            assert_eq!(verdict.disposition(), Disposition::Forwarded, "{segment:?} came to {verdict:?}");
        }
        line
    }

    fn state(&self) -> &'static str {
        state::name(TCP, only_flow(&self.tables).head.state)
    }
}

fn handshake() -> Vec<Seg> {
    vec![seg(Opener, SYN, 0, 0, 0), seg(Answerer, SYN | ACK, 0, 1, 0), seg(Opener, ACK, 1, 1, 0)]
}

/// Both sides' first numbers: anywhere, and where they are about to wrap.
fn first() -> impl Strategy<Value = (u32, u32)> {
    let number = || prop_oneof![any::<u32>(), (u32::MAX - 3_000)..=u32::MAX];
    (number(), number())
}

/// A segment of an open connection, with any numbers near its window, and now and then none that it acknowledges.
fn loose() -> impl Strategy<Value = Seg> {
    let flags = select(&[ACK, ACK, 0][..]);
    (select(&[Opener, Answerer][..]), flags, 1u32..100_000, 1u32..100_000, 0u16..1_400)
        .prop_map(|(from, flags, sequence, ack, len)| seg(from, flags, sequence, ack, len))
}

/// The end and the acknowledgement of a side, as far as its segments went.
fn said(segments: &[Seg], side: Side) -> (u32, u32) {
    let of_side = || segments.iter().filter(|segment| segment.from == side);
    let end = of_side().map(Seg::end).max().unwrap_or(0);
    (end, of_side().filter(|segment| segment.flags & ACK != 0).map(|segment| segment.ack).max().unwrap_or(0))
}

/// Whether a segment acknowledges the number zero, which is taken for none: the one number where a reset may be
/// misjudged.
fn acknowledges_zero(first: (u32, u32), segments: &[Seg]) -> bool {
    segments.iter().any(|segment| {
        let other = if segment.from == Opener { first.1 } else { first.0 };
        segment.flags & ACK != 0 && other.wrapping_add(segment.ack) == 0
    })
}

/// A whole conversation, the opener's segments and the answerer's, each in order and with right numbers.
fn conversation(data: &[(bool, u16)]) -> (Vec<Seg>, Vec<Seg>) {
    let (mut opener, mut answerer) =
        (vec![seg(Opener, SYN, 0, 0, 0)], vec![seg(Answerer, SYN | ACK, 0, 1, 0)]);
    let (mut sent, mut answered) = (1, 1);
    opener.push(seg(Opener, ACK, 1, 1, 0));
    for &(by_opener, len) in data {
        if by_opener {
            opener.push(seg(Opener, ACK, sent, answered, len));
            sent += u32::from(len);
            answerer.push(seg(Answerer, ACK, answered, sent, 0));
        } else {
            answerer.push(seg(Answerer, ACK, answered, sent, len));
            answered += u32::from(len);
            opener.push(seg(Opener, ACK, sent, answered, 0));
        }
    }
    (opener, answerer)
}

/// Merges both sides' segments; each choice says whose is next.
fn merged<'a>(mut one: &'a [Seg], mut two: &'a [Seg], choices: &[bool]) -> Vec<Seg> {
    let mut all = vec![];
    let mut choices = choices.iter().cycle();
    while !one.is_empty() || !two.is_empty() {
        let first = if two.is_empty() { true } else { !one.is_empty() && *choices.next().unwrap_or(&true) };
        let from = if first { &mut one } else { &mut two };
        all.push(from[0]);
        *from = &from[1..];
    }
    all
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn a_reset_closes_exactly_if_its_number_is_one_that_may_come_next(
        first in first(),
        data in prop::collection::vec(loose(), 0..8),
        from in select(&[Opener, Answerer][..]),
        sequence in prop_oneof![0u32..200_000, Just(u32::MAX), (1u32 << 30)..(1 << 31)],
        at_edge in 0u8..6,
    ) {
        let mut segments = handshake();
        segments.extend(data);
        prop_assume!(!acknowledges_zero(first, &segments));
        let line = Line::all(first, &segments);
        let (end, _) = said(&segments, from);
        let (_, acked) = said(&segments, if from == Opener { Answerer } else { Opener });
        // Numbers within the window are few, so the edges are tried on purpose.
        let sequence = match at_edge {
            0 => end,
            1 => end + 1,
            2 => acked,
            3 => acked.wrapping_sub(1),
            _ => sequence,
        };
        line.send(seg(from, RST, sequence, 0, 0));
        let believed = acked <= sequence && sequence <= end;
        prop_assert_eq!(line.state(), if believed { "CLOSE" } else { "ESTABLISHED" });
    }

    #[test]
    fn a_connection_outlives_a_reset_that_its_sender_goes_on_after(first in first(), from in select(&[Opener, Answerer][..])) {
        let line = Line::all(first, &handshake());
        line.send(seg(from, RST, 1, 0, 0));
        prop_assert_eq!(line.state(), "CLOSE");
        let other = if from == Opener { Answerer } else { Opener };
        line.send(seg(other, ACK, 1, 1, 10));
        prop_assert_eq!(line.state(), "CLOSE", "what was under way does not revive it");
        line.send(seg(from, ACK, 1, 11, 0));
        prop_assert_eq!(line.state(), "ESTABLISHED");
    }

    #[test]
    fn both_fins_close_and_the_openers_next_syn_begins_anew_at_once(
        first in first(),
        next in first(),
        opener_first: bool,
        data in prop::collection::vec(loose(), 0..4),
    ) {
        let mut segments = handshake();
        segments.extend(data);
        let mut line = Line::all(first, &segments);
        let fins = if opener_first { [Opener, Answerer] } else { [Answerer, Opener] };
        line.send(seg(fins[0], FIN | ACK, 100_000, 100_000, 0));
        prop_assert_eq!(line.state(), "FIN_WAIT");
        line.send(seg(fins[1], FIN | ACK, 100_000, 100_001, 0));
        prop_assert_eq!(line.state(), "TIME_WAIT");
        line.first = next;
        prop_assert_eq!(line.send(handshake()[0]), Verdict::Created);
        prop_assert_eq!(line.state(), "SYN_SENT");
        for segment in &handshake()[1..] {
            prop_assert_eq!(line.send(*segment), Verdict::Established);
        }
        prop_assert_eq!(line.state(), "ESTABLISHED");
        line.send(seg(Answerer, RST, 1, 0, 0));
        prop_assert_eq!(line.state(), "CLOSE", "the numbers are the new connection's");
    }

    #[test]
    fn both_sides_may_open_at_once(first in first(), with_ack: bool) {
        let line = Line::new(first);
        line.send(seg(Opener, SYN, 0, 0, 0));
        line.send(seg(Answerer, SYN, 0, 0, 0));
        prop_assert_eq!(line.state(), "SYN_RECV");
        line.send(seg(Opener, if with_ack { SYN | ACK } else { ACK }, 0, 1, 0));
        line.send(seg(Answerer, SYN | ACK, 0, 1, 0));
        prop_assert_eq!(line.state(), "ESTABLISHED");
    }

    #[test]
    fn a_syn_is_refused_by_exactly_the_reset_that_acknowledges_it(first in first(), ack in prop_oneof![Just(1u32), any::<u32>()], with_ack: bool) {
        let line = Line::all(first, &[seg(Opener, SYN, 0, 0, 0)]);
        line.send(seg(Answerer, if with_ack { RST | ACK } else { RST }, 0, ack, 0));
        prop_assert_eq!(line.state(), if with_ack && ack == 1 { "CLOSE" } else { "SYN_SENT" });
    }

    #[test]
    fn the_order_of_the_two_sides_segments_does_not_matter(
        first in first(),
        data in prop::collection::vec((any::<bool>(), 1u16..1_400), 0..8),
        choices in prop::collection::vec(any::<bool>(), 1..20),
        repeats in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        closes: bool,
    ) {
        let (mut opener, mut answerer) = conversation(&data);
        if closes {
            opener.push(seg(Opener, FIN | ACK, 50_000, 50_000, 0));
            answerer.push(seg(Answerer, FIN | ACK, 50_000, 50_000, 0));
        }
        // The SYN comes first, its answer next, and no CPU sees the acknowledgement of either before it.
        let mut segments = vec![opener.remove(0), answerer.remove(0), opener.remove(0)];
        segments.extend(merged(&opener, &answerer, &choices));
        let straight = Line::all(first, &segments);
        let jumbled = Line::all(first, &segments);
        // Retransmissions, of anything that was sent.
        for repeat in repeats {
            let again = *repeat.get(&segments);
            // A closed connection's SYN would begin the next one.
            if again.flags & SYN == 0 || !closes {
                jumbled.send(again);
            }
        }
        let canonical: Vec<_> = segments[..3].iter().chain(&opener).chain(&answerer).copied().collect();
        let other = Line::all(first, &canonical);
        let [straight, jumbled, other] = [straight, jumbled, other].map(|line| only_flow(&line.tables));
        prop_assert_eq!(straight.head.state, jumbled.head.state);
        prop_assert_eq!(straight.head.state, other.head.state);
        prop_assert_eq!(state::name(TCP, other.head.state), if closes { "TIME_WAIT" } else { "ESTABLISHED" });
        let numbers = |flow: netlab_common::abi::flow::Flow<4>| (flow.counters.end, flow.counters.ack);
        prop_assert_eq!(numbers(straight), numbers(jumbled), "retransmissions take numbers back");
        prop_assert_eq!(numbers(straight), numbers(other));
    }

    #[test]
    fn an_acknowledgement_that_overtakes_its_syns_answer_is_made_good_by_the_next(first in first()) {
        let [syn, answer, ack] = [handshake()[0], handshake()[1], handshake()[2]];
        let line = Line::all(first, &[syn, ack, answer]);
        prop_assert_eq!(line.state(), "SYN_RECV");
        line.send(seg(Opener, ACK, 1, 1, 5));
        prop_assert_eq!(line.state(), "ESTABLISHED");
    }

    #[test]
    fn a_connection_is_taken_up_in_the_middle_only_if_the_lab_wants_it(first in first(), segment in loose(), pickup: bool) {
        let line = Line::new(first);
        line.tables.configure(|config| {
            config.flags = if pickup { netlab_common::abi::config::flag::PICKUP } else { 0 };
        });
        let segment = Seg { from: Opener, flags: ACK, ..segment };
        let verdict = line.send(segment);
        if !pickup {
            prop_assert_eq!(verdict, Verdict::NotSyn);
            return Ok(());
        }
        prop_assert_eq!(verdict, Verdict::Created);
        prop_assert_ne!(line.state(), "ESTABLISHED", "nobody has answered");
        line.send(seg(Answerer, ACK, segment.ack, segment.end(), 100));
        prop_assert_eq!(line.state(), "ESTABLISHED");
        line.send(seg(Answerer, RST, segment.ack + 100, 0, 0));
        prop_assert_eq!(line.state(), "CLOSE");
    }
}
