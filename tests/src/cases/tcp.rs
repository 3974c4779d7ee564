//! What TCP's flags and numbers do to a flow, and its times around the wrap of the clock.

use netlab_common::abi::hook::Hook::{UplinkIn, UplinkOut};
use netlab_common::abi::verdict::Verdict::{Created, Established, NoFlow, NoRule, NotSyn};
use netlab_common::net::protocol::TCP;
use netlab_common::net::tcp::{ACK, RST};

use super::{EARTH_5555, EARTH_8000, HOST_5555, WORLD_80, WORLD_7777};
use crate::packet::{Packet, tcp, udp};
use crate::progrun::Case;
use crate::rules::Rules;

/// The story's cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    [handshakes(), resets(), picked_up(), clock()].concat()
}

fn request() -> Packet {
    tcp(EARTH_5555, WORLD_80)
}

fn answer() -> Packet {
    tcp(WORLD_80, HOST_5555)
}

/// Steps in either direction through the one masqueraded flow of these cases.
trait Flow {
    fn out(self, packet: &Packet) -> Self;
    fn back(self, packet: &Packet) -> Self;
    fn opens(self, packet: &Packet) -> Self;
}

impl Flow for Case {
    fn out(self, packet: &Packet) -> Self {
        self.becomes(UplinkOut, packet, Established, &packet.clone().from(HOST_5555))
    }
    fn back(self, packet: &Packet) -> Self {
        self.becomes(UplinkIn, packet, Established, &packet.clone().to(EARTH_5555))
    }
    fn opens(self, packet: &Packet) -> Self {
        self.becomes(UplinkOut, packet, Created, &packet.clone().from(HOST_5555))
    }
}

/// A connection whose next numbers are 100 and 200.
fn established(name: &str) -> Case {
    let syn = request().syn().payload(&[]).numbers(99, 0);
    let syn_ack = answer().syn_ack().payload(&[]).numbers(199, 100);
    Case::new(name, Rules::masquerading())
        .opens(&syn)
        .back(&syn_ack)
        .out(&request().ack().payload(&[]).numbers(100, 200))
}

fn handshakes() -> Vec<Case> {
    let (syn, their_syn) = (request().syn(), answer().syn());
    vec![
        Case::new("a connection that both sides open is established", Rules::masquerading())
            .opens(&syn)
            .back(&their_syn)
            .out(&request().syn_ack())
            .back(&answer().syn_ack())
            .idle(7_000)
            .back(&answer().ack()),
        Case::new("a connection that nobody acknowledges is not established", Rules::masquerading())
            .opens(&syn)
            .back(&answer().syn_ack())
            .idle(240)
            .stays(UplinkIn, &answer().ack(), NoRule),
        established("an established connection lives for two hours")
            .idle(7_439)
            .back(&answer().ack())
            .idle(7_440)
            .stays(UplinkIn, &answer().ack(), NoRule),
        established("after FIN and FIN a SYN begins the connection anew")
            .out(&request().fin())
            .back(&answer().fin())
            .out(&request().ack())
            .opens(&syn)
            .back(&answer().syn_ack()),
        established("a connection that one side has closed lives on")
            .out(&request().fin())
            .idle(7_000)
            .back(&answer().ack()),
        established("a connection that both sides have closed ends after two minutes")
            .out(&request().fin())
            .back(&answer().fin())
            .idle(119)
            .back(&answer().ack())
            .idle(120)
            .stays(UplinkIn, &answer().ack(), NoRule),
    ]
}

/// A connection whose opener has sent almost all the numbers there are, by steps that the order of serial numbers
/// can follow.
fn wrapped() -> Case {
    let steps = [0x4000_0000, 0x8000_0000, 0xc000_0000, 0xffff_fff0];
    steps.into_iter().fold(established("numbers go on beyond their wrap"), |case, next| {
        case.out(&request().ack().payload(&[]).numbers(next, 200))
            .back(&answer().ack().payload(&[]).numbers(200, next))
    })
}

fn resets() -> Vec<Case> {
    let data = answer().ack().payload(&[7; 50]).numbers(200, 100);
    let believed = |name, rst: Packet| {
        established(name).back(&data).back(&rst).idle(60).stays(UplinkIn, &answer().ack(), NoRule)
    };
    let ignored = |name, rst: Packet| {
        established(name).back(&data).back(&rst).idle(1_000).back(&answer().ack().numbers(250, 100))
    };
    let refused =
        |name| Case::new(name, Rules::masquerading()).opens(&request().syn().payload(&[]).numbers(99, 0));
    let refusing = |ack| answer().flags(RST | ACK).payload(&[]).numbers(0, ack);
    vec![
        // The other side has acknowledged up to 200, and 250 is the next number.
        believed("a RST with the number that was acknowledged is believed", answer().rst().numbers(200, 0)),
        believed("a RST with the next number is believed", answer().rst().numbers(250, 0)),
        ignored("a RST with an old number is not believed", answer().rst().numbers(199, 0)),
        ignored("a RST with a number yet to come is not believed", answer().rst().numbers(251, 0)),
        ignored("a RST with a number far away is not believed", answer().rst().numbers(0x8000_0000, 0)),
        established("a RST of the opening side is held to its numbers too")
            .out(&request().rst().numbers(99, 0))
            .idle(1_000)
            .out(&request().rst().numbers(100, 0))
            .idle(60)
            .stays(UplinkIn, &answer().ack(), NoRule),
        refused("a SYN that is refused ends its flow after a minute").back(&refusing(100)).idle(60).stays(
            UplinkIn,
            &answer().ack(),
            NoRule,
        ),
        refused("a SYN that is refused by a stranger does not")
            .back(&refusing(101))
            .idle(60)
            .back(&answer().syn_ack()),
        refused("after a refusal a SYN begins anew").back(&refusing(100)).opens(&request().syn()),
        wrapped()
            .out(&request().ack().payload(&[7; 32]).numbers(0xffff_fff0, 200))
            .out(&request().rst().numbers(0x11, 0))
            .idle(1_000)
            .out(&request().rst().numbers(0x10, 0))
            .idle(60)
            .stays(UplinkIn, &answer().ack(), NoRule),
    ]
}

/// Connections that were there before the lab, or before their flow was lost.
fn picked_up() -> Vec<Case> {
    let rules = || Rules::masquerading().pickup();
    let forward = || Rules::none().forward(TCP, "192.168.0.108:8000", EARTH_8000);
    let segment = tcp(WORLD_7777, "192.168.0.108:8000").ack();
    vec![
        Case::new("a connection is taken up in the middle where the lab says so", rules())
            .opens(&request().ack())
            .back(&answer().ack())
            .idle(7_000)
            .back(&answer().ack()),
        Case::new("a FIN may be the first that is seen of a connection", rules()).opens(&request().fin()),
        Case::new("what ends a connection or answers a SYN is not taken up", rules())
            .stays(UplinkOut, &request().rst(), NotSyn)
            .stays(UplinkOut, &request().flags(RST | ACK), NotSyn)
            .stays(UplinkOut, &request().syn_ack(), NotSyn)
            .stays(UplinkOut, &request().flags(0), NotSyn),
        Case::new("a connection that was taken up and not answered ends after four minutes", rules())
            .opens(&request().ack())
            .idle(240)
            .stays(UplinkIn, &answer().ack(), NoRule),
        Case::new("a forward takes up connections too", forward().pickup()).becomes(
            UplinkIn,
            &segment,
            Created,
            &segment.clone().to(EARTH_8000),
        ),
        Case::new("a forward takes up none unless the lab says so", forward())
            .stays(UplinkIn, &segment, NoFlow),
    ]
}

/// The clock's 32 bits come to their end some seconds into the case.
fn clock() -> Vec<Case> {
    let rules = || Rules::masquerading().clock_offset(0u32.wrapping_sub(15_000_100));
    let (question, reply) = (udp(EARTH_5555, WORLD_80), udp(WORLD_80, HOST_5555));
    vec![
        Case::new("a flow lives on over the wrap of the clock", rules())
            .opens(&question)
            .idle(119)
            .back(&reply)
            .idle(299)
            .back(&reply)
            .sweep(0),
        Case::new("a flow ends over the wrap of the clock", rules())
            .opens(&question)
            .idle(120)
            .stays(UplinkIn, &reply, NoRule)
            .sweep(0)
            .idle(2)
            .sweep(1),
        Case::new("a flow is swept in passing over the wrap of the clock", rules().room(1))
            .opens(&question)
            .alone(123)
            .becomes(
                UplinkOut,
                &question.clone().from("10.10.0.20:5555"),
                Created,
                &question.clone().from(HOST_5555),
            ),
    ]
}
