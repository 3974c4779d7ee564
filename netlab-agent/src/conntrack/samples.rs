//! Flows for tests, and an array of them as it would be shared with the kernel.

use std::io::Write as _;
use std::os::fd::AsFd as _;

use bytemuck::bytes_of;
use netlab_common::abi::config::Config;
use netlab_common::abi::flow::{Counters, Flow, Head, NO_SLOT, Tuple, life};
use netlab_common::conntrack::state;
use netlab_common::net::protocol;

use super::view::view;
use super::{Moment, View, Walk};
use crate::sys::mapping::SharedArray;

/// When the tests' listings begin.
pub(crate) const NOW: u32 = 1 << 24;

/// That moment, in a lab that sets nothing.
pub(crate) fn moment() -> Moment {
    Moment { now: NOW, config: Config::for_flows(65_536) }
}

fn tuple(protocol: u8, src: [u8; 4], sport: u16, dst: [u8; 4], dport: u16) -> Tuple<4> {
    Tuple { src, dst, sport: sport.to_be_bytes(), dport: dport.to_be_bytes(), protocol, pad: [0; 3] }
}

fn flow(state: u32, original: Tuple<4>, reply: Tuple<4>) -> Flow<4> {
    let head = Head {
        generation: 7,
        life: life::LIVE,
        state,
        rule: 2,
        mapping: NO_SLOT,
        users: 0,
        original_hook: 0,
        reply_hook: 0,
        kind: 0,
        filtering: 0,
        created: NOW,
        original,
        reply,
    };
    Flow {
        head,
        counters: Counters { last_seen: NOW, packets: [3, 2], bytes: [180, 120], ..Counters::default() },
    }
}

const EARTH: [u8; 4] = [10, 10, 0, 10];
const WORLD: [u8; 4] = [8, 8, 8, 8];
const HOST: [u8; 4] = [192, 168, 0, 108];

/// An established connection from earth to the world's web server, by rule 2.
pub(crate) fn tcp() -> Flow<4> {
    flow(
        state::REPLIED | state::SYN_ANSWERED | state::ESTABLISHED,
        tuple(protocol::TCP, EARTH, 5555, WORLD, 80),
        tuple(protocol::TCP, WORLD, 80, HOST, 5555),
    )
}

/// An answered question of earth's to the world's name server, whose port was changed.
pub(crate) fn udp() -> Flow<4> {
    flow(
        state::REPLIED,
        tuple(protocol::UDP, EARTH, 5353, WORLD, 53),
        tuple(protocol::UDP, WORLD, 53, HOST, 1024),
    )
}

/// An answered ping of earth's.
pub(crate) fn icmp() -> Flow<4> {
    flow(
        state::REPLIED,
        tuple(protocol::ICMP, EARTH, 77, WORLD, 0),
        tuple(protocol::ICMP, WORLD, 0, HOST, 77),
    )
}

/// The same flow with other state bits, as the reader sees it.
pub(crate) fn seen(mut flow: Flow<4>, state: u32) -> View {
    flow.head.state = state;
    view(&flow, &moment()).expect("a live flow")
}

/// These flows in shared memory.
pub(crate) fn shared(flows: &[Flow<4>]) -> SharedArray<Flow<4>> {
    let mut file = std::io::BufWriter::new(tempfile::tempfile().expect("a file"));
    for flow in flows {
        file.write_all(bytes_of(flow)).expect("room for it");
    }
    let file = file.into_inner().expect("room for the rest");
    SharedArray::map(file.as_fd(), flows.len()).expect("a mapping of the file")
}

/// A listing of them.
pub(crate) fn walk(slots: &SharedArray<Flow<4>>) -> Walk<'_> {
    Walk { slots, range: 0..slots.len(), moment: moment() }
}
