//! Flows that end: idle for too long, closed, reset, told to, or taken away by the agent.

use netlab_common::abi::hook::Hook::{UplinkIn, UplinkOut};
use netlab_common::abi::verdict::Verdict::{Created, Established, NoRule, NotSyn};

use super::{EARTH, EARTH_5555, HOST, HOST_5555, WORLD, WORLD_80};
use crate::packet::{Packet, ping, pong, tcp, udp};
use crate::progrun::Case;
use crate::rules::Rules;

/// The story's cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    [idle(), swept(), closed()].concat()
}

fn out(packet: &Packet) -> Packet {
    packet.clone().from(HOST_5555)
}

fn back(packet: &Packet) -> Packet {
    packet.clone().to(EARTH_5555)
}

fn idle() -> Vec<Case> {
    let datagram = udp(EARTH_5555, WORLD_80);
    let syn = tcp(EARTH_5555, WORLD_80).syn();
    vec![
        Case::new("an unanswered UDP flow ends after two minutes and begins anew", Rules::masquerading())
            .becomes(UplinkOut, &datagram, Created, &out(&datagram))
            .idle(119)
            .becomes(UplinkOut, &datagram, Established, &out(&datagram))
            .idle(120)
            .stays(UplinkIn, &udp(WORLD_80, HOST_5555), NoRule)
            .becomes(UplinkOut, &datagram, Created, &out(&datagram))
            .becomes(UplinkIn, &udp(WORLD_80, HOST_5555), Established, &udp(WORLD_80, EARTH_5555)),
        Case::new("an echo's flow ends after a minute and begins anew", Rules::masquerading())
            .becomes(UplinkOut, &ping(EARTH, WORLD, 9), Created, &ping(HOST, WORLD, 9))
            .idle(60)
            .stays(UplinkIn, &pong(WORLD, HOST, 9), NoRule)
            .becomes(UplinkOut, &ping(EARTH, WORLD, 9), Created, &ping(HOST, WORLD, 9)),
        Case::new("an unanswered SYN ends after four minutes and begins anew", Rules::masquerading())
            .becomes(UplinkOut, &syn, Created, &out(&syn))
            .idle(240)
            .stays(UplinkOut, &tcp(EARTH_5555, WORLD_80).ack(), NotSyn)
            .becomes(UplinkOut, &syn, Created, &out(&syn)),
    ]
}

/// What becomes of a flow that is over: it keeps its keys for its quarantine of two seconds, and goes when the
/// agent comes by after that.
fn swept() -> Vec<Case> {
    let datagram = udp(EARTH_5555, WORLD_80);
    let answer = udp(WORLD_80, HOST_5555);
    let begun =
        |name| Case::new(name, Rules::masquerading()).becomes(UplinkOut, &datagram, Created, &out(&datagram));
    vec![
        begun("a flow that is over goes when its quarantine is over too, and no sooner")
            .sweep(0)
            .idle(120)
            .sweep(0)
            .stays(UplinkIn, &answer, NoRule)
            .idle(3)
            .sweep(1)
            .sweep(0)
            .becomes(UplinkOut, &datagram, Created, &out(&datagram)),
        begun("a flow whose time is not up is not swept away")
            .becomes(UplinkIn, &answer, Established, &back(&answer))
            .idle(290)
            .sweep(0)
            .becomes(UplinkIn, &answer, Established, &back(&answer)),
        begun("a flow that begins anew in its quarantine stays")
            .idle(121)
            .becomes(UplinkOut, &datagram, Created, &out(&datagram))
            .idle(2)
            .sweep(0)
            .becomes(UplinkIn, &answer, Established, &back(&answer)),
        begun("a flow that a user ends serves no more, and its opener makes another in its place")
            .end_flows()
            .stays(UplinkIn, &answer, NoRule)
            .becomes(UplinkOut, &datagram, Created, &out(&datagram))
            .becomes(UplinkIn, &answer, Established, &back(&answer))
            .sweep(0),
        begun("a flow that a user ends goes with the next sweep")
            .end_flows()
            .sweep(1)
            .stays(UplinkIn, &answer, NoRule)
            .becomes(UplinkOut, &datagram, Created, &out(&datagram)),
    ]
}

fn closed() -> Vec<Case> {
    let request = tcp(EARTH_5555, WORLD_80);
    let answer = tcp(WORLD_80, HOST_5555);
    let begun = |name| {
        let (syn, syn_ack) = (request.clone().syn(), answer.clone().syn_ack());
        Case::new(name, Rules::masquerading()).becomes(UplinkOut, &syn, Created, &out(&syn)).becomes(
            UplinkIn,
            &syn_ack,
            Established,
            &back(&syn_ack),
        )
    };
    let (syn, fin, rst) = (request.clone().syn(), request.clone().fin(), request.clone().rst());
    // The other side's reset follows on its SYN and the six bytes that came with it.
    let (their_fin, their_rst) = (answer.clone().fin(), answer.clone().rst().numbers(8, 1));
    vec![
        begun("after both sides' FIN a SYN begins the flow anew")
            .becomes(UplinkOut, &fin, Established, &out(&fin))
            .becomes(UplinkIn, &their_fin, Established, &back(&their_fin))
            .becomes(UplinkOut, &request.clone().ack(), Established, &out(&request.clone().ack()))
            .becomes(UplinkOut, &syn, Created, &out(&syn)),
        begun("after one side's FIN a SYN is the old flow's")
            .becomes(UplinkOut, &fin, Established, &out(&fin))
            .becomes(UplinkOut, &syn, Established, &out(&syn)),
        begun("after a RST a SYN begins the flow anew")
            .becomes(UplinkOut, &rst, Established, &out(&rst))
            .becomes(UplinkOut, &syn, Created, &out(&syn)),
        begun("after a RST an answer to a SYN is another connection's, and so is what follows")
            .becomes(UplinkIn, &their_rst, Established, &back(&their_rst))
            .stays(UplinkIn, &answer.clone().syn_ack(), NoRule)
            .stays(UplinkIn, &answer.clone().ack(), NoRule)
            .becomes(UplinkOut, &syn, Created, &out(&syn)),
        begun("a RST that the connection outlives counts no more")
            .becomes(UplinkIn, &their_rst, Established, &back(&their_rst))
            .becomes(UplinkIn, &answer.clone().ack(), Established, &back(&answer.clone().ack()))
            .idle(100)
            .becomes(UplinkIn, &answer.clone().ack(), Established, &back(&answer.clone().ack())),
        begun("a RST is outlived by nothing that the side which it reset sends")
            .becomes(UplinkIn, &their_rst, Established, &back(&their_rst))
            .becomes(UplinkOut, &request.clone().ack(), Established, &out(&request.clone().ack()))
            .idle(100)
            .stays(UplinkIn, &answer.clone().ack(), NoRule),
        begun("after the other side's RST likewise")
            .becomes(UplinkIn, &their_rst, Established, &back(&their_rst))
            .becomes(UplinkOut, &syn, Created, &out(&syn)),
    ]
}
