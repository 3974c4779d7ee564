//! The flow table as users see it, and the agent's part in it: ending flows whose time is up.

use std::mem::offset_of;
use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;

use netlab_common::abi::flow::{Flow, Head, Tuple, life};
use netlab_common::conntrack::{state, timeout};

use crate::datapath::{self, maps::Maps};

/// One flow, as of when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The slot it is in.
    pub slot: u32,
    /// IP protocol number.
    pub protocol: u8,
    /// The state's name, in conntrack's words.
    pub state: &'static str,
    /// Seconds until it ends if nothing comes.
    pub expires_s: u64,
    /// The rule that made it.
    pub rule: u32,
    /// The opener's packets as they arrive.
    pub original: TupleView,
    /// The answers as they arrive.
    pub reply: TupleView,
    /// Packets by direction.
    pub packets: [u64; 2],
    /// Bytes from the IP header on, by direction.
    pub bytes: [u64; 2],
}

/// A tuple in the reader's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TupleView {
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// Source port, or echo identifier.
    pub sport: u16,
    /// Destination port, or echo identifier.
    pub dport: u16,
}

impl From<&Tuple<4>> for TupleView {
    fn from(tuple: &Tuple<4>) -> Self {
        TupleView {
            src: tuple.src.into(),
            dst: tuple.dst.into(),
            sport: u16::from_be_bytes(tuple.sport),
            dport: u16::from_be_bytes(tuple.dport),
        }
    }
}

/// Every flow whose time is not up, in slot order. `now` is in nanoseconds of `CLOCK_MONOTONIC`.
///
/// # Errors
/// What the kernel says.
pub fn list(maps: &Maps, now: u64) -> datapath::Result<Vec<View>> {
    let used = maps.used_slots()?;
    Ok((0..used).filter_map(|slot| view(slot, &read_whole(maps, slot)?, now)).collect())
}

/// A slot whose generation was the same before and after, so that the copy is of one flow; `None` when it
/// keeps changing hands.
fn read_whole(maps: &Maps, slot: usize) -> Option<Flow<4>> {
    (0..4).find_map(|_| {
        let flow = maps.flows.read(slot);
        let again = maps.flows.read(slot);
        (flow.head.generation == again.head.generation && flow.head.original == again.head.original)
            .then_some(again)
    })
}

fn view(slot: usize, flow: &Flow<4>, now: u64) -> Option<View> {
    let left = time_left(flow, now)?;
    Some(View {
        slot: slot as u32,
        protocol: flow.head.original.protocol,
        state: state::name(flow.head.original.protocol, flow.head.state),
        expires_s: left.div_ceil(1_000_000_000),
        rule: flow.head.rule,
        original: (&flow.head.original).into(),
        reply: (&flow.head.reply).into(),
        packets: flow.counters.packets,
        bytes: flow.counters.bytes,
    })
}

/// Nanoseconds until a live flow ends; `None` for one that is over.
fn time_left(flow: &Flow<4>, now: u64) -> Option<u64> {
    if flow.head.life != life::LIVE {
        return None;
    }
    let idle = now.saturating_sub(flow.counters.last_seen);
    timeout::of(flow.head.original.protocol, flow.head.state).checked_sub(idle).filter(|left| *left > 0)
}

const LIFE: usize = offset_of!(Flow<4>, head) + offset_of!(Head<4>, life);
const GENERATION: usize = offset_of!(Flow<4>, head) + offset_of!(Head<4>, generation);

/// Ends every flow whose time is up, and finishes what an earlier agent began; gives the number that ended.
///
/// A flow is ended in two rounds. The first marks it as dying. Any packet that looked at it before is long
/// gone by the second round, which ends it, unless the opening side has begun it anew meanwhile. Its keys go
/// first and its slot last, so that a slot that can be reserved never has keys of an earlier flow.
///
/// # Errors
/// What the kernel says; flows that were not reached are left for the next time.
pub fn expire(maps: &mut Maps, now: u64) -> datapath::Result<usize> {
    let mut ended = 0;
    for slot in 0..maps.used_slots()? {
        let flow = maps.flows.read(slot);
        let becomes = |from, to| {
            let word = maps.flows.word(slot, LIFE);
            word.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        match flow.head.life {
            life::LIVE if time_left(&flow, now).is_none() => {
                becomes(life::LIVE, life::DYING);
                continue;
            }
            life::DYING if becomes(life::DYING, life::ENDING) => {}
            // An agent that was killed in the middle of it.
            life::ENDING => {}
            _ => continue,
        }
        end(maps, slot, &flow)?;
        ended += 1;
    }
    Ok(ended)
}

/// Takes an ending flow's keys away and gives its slot back.
fn end(maps: &mut Maps, slot: usize, flow: &Flow<4>) -> datapath::Result<()> {
    let Head { generation, original, reply, .. } = flow.head;
    maps.remove_key(&original, slot as u32, generation)?;
    maps.remove_key(&reply, slot as u32, generation)?;
    maps.flows.set_word(slot, GENERATION, generation.wrapping_add(1));
    maps.flows.set_word(slot, LIFE, life::FREE);
    maps.push_free(slot as u32)
}
