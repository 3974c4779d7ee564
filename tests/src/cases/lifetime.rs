//! Flows that end: idle for too long, closed, reset, or taken away by the agent.

use netlab_common::abi::hook::Hook::{UplinkIn, UplinkOut};
use netlab_common::abi::verdict::Verdict::{Created, Established, FlowEnding, NoRule, NotSyn};

use super::{EARTH, EARTH_5555, HOST, HOST_5555, WORLD, WORLD_80};
use crate::packet::{Packet, ping, pong, tcp, udp};
use crate::progrun::Case;
use crate::rules::Rules;

/// The story's cases. Times are kept short of what a machine is sure to have been up for; the long ones are
/// the scenarios' on the host.
#[must_use]
pub fn cases() -> Vec<Case> {
    [idle(), closed()].concat()
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
            // Well before its time: a flow in the kernel grows older while the test runs.
            .idle(100)
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
        Case::new("a flow that the agent takes away neither serves nor begins anew", Rules::masquerading())
            .becomes(UplinkOut, &datagram, Created, &out(&datagram))
            .end_flows()
            .stays(UplinkOut, &datagram, FlowEnding)
            .stays(UplinkIn, &udp(WORLD_80, HOST_5555), NoRule),
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
    let (their_fin, their_rst) = (answer.clone().fin(), answer.clone().rst());
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
            .becomes(UplinkOut, &request.clone().ack(), Established, &out(&request.clone().ack()))
            .idle(100)
            .becomes(UplinkIn, &answer.clone().ack(), Established, &back(&answer.clone().ack())),
        begun("after the other side's RST likewise")
            .becomes(UplinkIn, &their_rst, Established, &back(&their_rst))
            .becomes(UplinkOut, &syn, Created, &out(&syn)),
    ]
}
