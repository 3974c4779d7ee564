//! The world, and nodes, on their way to a forwarded port, and the answers.

use netlab_common::abi::hook::Hook::{PortIn, PortOut, UplinkIn, UplinkOut};
use netlab_common::abi::verdict::Verdict::{Created, Established, InFlow, NoFlow, NoRule};
use netlab_common::net::protocol::{TCP, UDP};

use super::{EARTH_8000, HOST, NEPTUNE_5555, WORLD, WORLD_7777};
use crate::packet::{ping, tcp, udp};
use crate::progrun::Case;
use crate::rules::Rules;

/// The host's port 8000 to the server's port 8000, and by port 3000 too.
const HOST_8000: &str = "192.168.0.108:8000";
const HOST_3000: &str = "192.168.0.108:3000";

/// The story's cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    [from_the_world(), any_address(), among_nodes()].concat()
}

fn forwarding() -> Rules {
    Rules::none().forward(TCP, HOST_8000, EARTH_8000).forward(TCP, HOST_3000, EARTH_8000).forward(
        UDP,
        "192.168.0.108:53",
        "10.10.0.10:5353",
    )
}

fn from_the_world() -> Vec<Case> {
    let same = tcp(WORLD_7777, HOST_8000);
    let other = tcp(WORLD_7777, HOST_3000);
    let answer = tcp(EARTH_8000, WORLD_7777);
    let question = udp(WORLD_7777, "192.168.0.108:53");
    vec![
        Case::new("a forward to the same port goes in, out and in again", forwarding())
            .becomes(UplinkIn, &same.clone().syn(), Created, &same.clone().syn().to(EARTH_8000))
            .stays(PortOut, &same.clone().syn().to(EARTH_8000), NoRule)
            .stays(PortIn, &answer.clone().syn_ack(), InFlow)
            .becomes(
                UplinkOut,
                &answer.clone().syn_ack(),
                Established,
                &answer.clone().syn_ack().from(HOST_8000),
            )
            .becomes(UplinkIn, &same.clone().ack(), Established, &same.clone().ack().to(EARTH_8000)),
        Case::new("a forward translates the port as well", forwarding())
            .becomes(UplinkIn, &other.clone().syn(), Created, &other.clone().syn().to(EARTH_8000))
            .becomes(
                UplinkOut,
                &answer.clone().syn_ack(),
                Established,
                &answer.clone().syn_ack().from(HOST_3000),
            ),
        Case::new("a forward of UDP goes in and out", forwarding())
            .becomes(UplinkIn, &question, Created, &question.clone().to("10.10.0.10:5353"))
            .becomes(
                UplinkOut,
                &udp("10.10.0.10:5353", WORLD_7777),
                Established,
                &udp("192.168.0.108:53", WORLD_7777),
            ),
        Case::new("a forward is for its own protocol and port", forwarding())
            .stays(UplinkIn, &udp(WORLD_7777, HOST_8000), NoRule)
            .stays(UplinkIn, &tcp(WORLD_7777, "192.168.0.108:53").syn(), NoRule)
            .stays(UplinkIn, &tcp(WORLD_7777, "192.168.0.108:8001").syn(), NoRule)
            .stays(UplinkIn, &ping(WORLD, HOST, 8000), NoRule),
        Case::new("mid-connection without a flow is for the host's stack to answer", forwarding())
            .stays(UplinkIn, &same.clone().ack(), NoFlow)
            .stays(UplinkIn, &same.clone().rst(), NoFlow)
            .stays(UplinkIn, &same.clone().fin(), NoFlow)
            .stays(PortIn, &tcp(NEPTUNE_5555, HOST_8000).ack(), NoFlow),
    ]
}

fn any_address() -> Vec<Case> {
    let rules = Rules::none().forward(TCP, "0.0.0.0:8000", EARTH_8000).forward(
        TCP,
        "192.168.0.108:8000",
        "10.10.0.20:9000",
    );
    let packet = tcp(WORLD_7777, "10.10.0.1:8000").syn();
    let exact = tcp(WORLD_7777, HOST_8000).syn();
    vec![
        Case::new("a forward for any address yields to one for the very address", rules)
            .becomes(
                PortIn,
                &packet.clone().from(NEPTUNE_5555),
                Created,
                &packet.clone().from(NEPTUNE_5555).to(EARTH_8000),
            )
            .becomes(UplinkIn, &exact, Created, &exact.clone().to("10.10.0.20:9000")),
        Case::new(
            "a forward for any address is for the host's addresses only",
            Rules::none().forward(TCP, "0.0.0.0:8000", EARTH_8000),
        )
        .becomes(UplinkIn, &exact, Created, &exact.clone().to(EARTH_8000))
        .stays(PortIn, &tcp(NEPTUNE_5555, "8.8.8.8:8000").syn(), NoRule)
        .stays(PortIn, &tcp(NEPTUNE_5555, EARTH_8000).syn(), NoRule),
    ]
}

fn among_nodes() -> Vec<Case> {
    let request = tcp(NEPTUNE_5555, HOST_3000);
    let answer = tcp(EARTH_8000, NEPTUNE_5555);
    vec![
        Case::new("a node reaches another by the host's port", forwarding())
            .becomes(PortIn, &request.clone().syn(), Created, &request.clone().syn().to(EARTH_8000))
            .stays(PortOut, &request.clone().syn().to(EARTH_8000), NoRule)
            .stays(PortIn, &answer.clone().syn_ack(), InFlow)
            .becomes(
                PortOut,
                &answer.clone().syn_ack(),
                Established,
                &answer.clone().syn_ack().from(HOST_3000),
            )
            .becomes(PortIn, &request.clone().ack(), Established, &request.clone().ack().to(EARTH_8000)),
        Case::new("nodes among themselves are left alone", forwarding())
            .stays(PortIn, &tcp(NEPTUNE_5555, EARTH_8000).syn(), NoRule)
            .stays(PortOut, &tcp(NEPTUNE_5555, EARTH_8000).syn(), NoRule)
            .stays(PortIn, &answer.clone().syn_ack(), NoRule)
            .stays(PortIn, &ping("10.10.0.20", "10.10.0.10", 1), NoRule),
    ]
}
