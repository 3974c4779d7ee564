//! Forwards with more than one target, port or set of clients.

use netlab_common::abi::hook::Hook::{PortIn, UplinkIn, UplinkOut};
use netlab_common::abi::verdict::Verdict::{Created, Established, NoFlow, NoRule, NotAllowed};
use netlab_common::net::protocol::{TCP, UDP};

use super::{EARTH_8000, NEPTUNE_5555, WORLD_7777};
use crate::packet::{tcp, udp};
use crate::progrun::Case;
use crate::rules::Rules;

const HOST_8000: &str = "192.168.0.108:8000";
const HOST_3000: &str = "192.168.0.108:3000";
const NEPTUNE_9000: &str = "10.10.0.20:9000";

/// The story's cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    [turns(), ranges(), lists(), collisions()].concat()
}

fn turns() -> Vec<Case> {
    let rules = || Rules::none().targets(TCP, HOST_8000, &[EARTH_8000, NEPTUNE_9000]);
    let clients = [7777, 7778, 7779].map(|port| tcp(&format!("8.8.8.8:{port}"), HOST_8000));
    let [one, two, three] = &clients;
    let syn = |packet: &crate::packet::Packet| packet.clone().syn();
    vec![
        Case::new("targets of a forward take new flows in turn", rules())
            .becomes(UplinkIn, &syn(one), Created, &syn(one).to(EARTH_8000))
            .becomes(UplinkIn, &syn(two), Created, &syn(two).to(NEPTUNE_9000))
            .becomes(UplinkIn, &syn(three), Created, &syn(three).to(EARTH_8000)),
        Case::new("a flow stays with its target", rules())
            .becomes(UplinkIn, &syn(one), Created, &syn(one).to(EARTH_8000))
            .becomes(UplinkIn, &syn(one), Established, &syn(one).to(EARTH_8000))
            .becomes(UplinkIn, &syn(two), Created, &syn(two).to(NEPTUNE_9000))
            .becomes(
                UplinkOut,
                &tcp(NEPTUNE_9000, "8.8.8.8:7778").syn_ack(),
                Established,
                &tcp(HOST_8000, "8.8.8.8:7778").syn_ack(),
            )
            .becomes(UplinkIn, &two.clone().ack(), Established, &two.clone().ack().to(NEPTUNE_9000)),
        Case::new("what opens nothing takes no turn", rules())
            .stays(UplinkIn, &one.clone().ack(), NoFlow)
            .becomes(UplinkIn, &syn(one), Created, &syn(one).to(EARTH_8000)),
    ]
}

fn ranges() -> Vec<Case> {
    let question = |port: u16| udp(WORLD_7777, &format!("192.168.0.108:{port}"));
    let rules = || Rules::none().range(UDP, "192.168.0.108:9000", 11, &["10.10.0.20:9100"]);
    vec![
        Case::new("a forward's ports are shifted one by one", rules())
            .becomes(UplinkIn, &question(9000), Created, &question(9000).to("10.10.0.20:9100"))
            .becomes(UplinkIn, &question(9003), Created, &question(9003).to("10.10.0.20:9103"))
            .becomes(UplinkIn, &question(9010), Created, &question(9010).to("10.10.0.20:9110"))
            .becomes(
                UplinkOut,
                &udp("10.10.0.20:9103", WORLD_7777),
                Established,
                &udp("192.168.0.108:9003", WORLD_7777),
            )
            .stays(UplinkIn, &question(8999), NoRule)
            .stays(UplinkIn, &question(9011), NoRule),
        Case::new(
            "a forward of several ports to several targets has one turn for all",
            Rules::none().range(UDP, "0.0.0.0:9000", 2, &["10.10.0.10:53", "10.10.0.20:60"]),
        )
        .becomes(UplinkIn, &question(9001), Created, &question(9001).to("10.10.0.10:54"))
        .becomes(UplinkIn, &question(9000), Created, &question(9000).to("10.10.0.20:60")),
    ]
}

fn lists() -> Vec<Case> {
    let rules = || Rules::none().forward(TCP, HOST_8000, EARTH_8000).allow(&["8.8.0.0/16", "10.10.0.20"]);
    let allowed = tcp(WORLD_7777, HOST_8000);
    let refused = tcp("9.9.9.9:7777", HOST_8000);
    vec![
        Case::new("a forward with an allow list is for those who are on it", rules())
            .becomes(UplinkIn, &allowed.clone().syn(), Created, &allowed.clone().syn().to(EARTH_8000))
            .stays(UplinkIn, &refused.clone().syn(), NotAllowed)
            .stays(UplinkIn, &refused.clone().ack(), NotAllowed)
            .becomes(
                PortIn,
                &tcp(NEPTUNE_5555, HOST_8000).syn(),
                Created,
                &tcp(NEPTUNE_5555, EARTH_8000).syn(),
            )
            .stays(PortIn, &tcp("10.10.0.30:5555", HOST_8000).syn(), NotAllowed)
            .becomes(UplinkIn, &allowed.clone().ack(), Established, &allowed.clone().ack().to(EARTH_8000)),
        Case::new(
            "an allow list is of its own forward alone",
            rules().forward(TCP, HOST_3000, EARTH_8000).allow(&["9.9.9.9"]),
        )
        .stays(UplinkIn, &tcp(WORLD_7777, HOST_3000).syn(), NotAllowed)
        .stays(UplinkIn, &refused.clone().syn(), NotAllowed)
        .becomes(
            UplinkIn,
            &tcp("9.9.9.9:7777", HOST_3000).syn(),
            Created,
            &tcp("9.9.9.9:7777", EARTH_8000).syn(),
        ),
        Case::new(
            "an allow list may have everybody on it",
            Rules::none().forward(TCP, HOST_8000, EARTH_8000).allow(&["0.0.0.0/0"]),
        )
        .becomes(UplinkIn, &refused.clone().syn(), Created, &refused.clone().syn().to(EARTH_8000)),
    ]
}

fn collisions() -> Vec<Case> {
    let rules = Rules::none()
        .forward(TCP, HOST_8000, EARTH_8000)
        .forward(TCP, HOST_3000, EARTH_8000)
        .one_port(50_000);
    let (first, second) = (tcp(WORLD_7777, HOST_8000).syn(), tcp(WORLD_7777, HOST_3000).syn());
    let other = "8.8.8.8:50000";
    vec![
        Case::new("one client port by two host ports to one target becomes two", rules)
            .becomes(UplinkIn, &first, Created, &first.clone().to(EARTH_8000))
            .becomes(UplinkIn, &second, Created, &second.clone().from(other).to(EARTH_8000))
            .becomes(
                UplinkOut,
                &tcp(EARTH_8000, other).syn_ack(),
                Established,
                &tcp(HOST_3000, WORLD_7777).syn_ack(),
            )
            .becomes(
                UplinkOut,
                &tcp(EARTH_8000, WORLD_7777).syn_ack(),
                Established,
                &tcp(HOST_8000, WORLD_7777).syn_ack(),
            ),
    ]
}
