//! The flow table as users see it: walking through it, choosing flows and ending them. How flows are shown is
//! `output`'s to say.

mod filter;
#[cfg(test)]
pub(crate) mod samples;
mod slots;
mod tally;
mod view;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::ops::Range;

use netlab_common::abi::clock;
use netlab_common::abi::event::Event;
use netlab_common::abi::flow::{Flow, life};

use crate::datapath::{self, maps::Maps};
use crate::sys;
use crate::sys::mapping::SharedArray;

pub use filter::{Filter, STATES, TupleFilter};
pub use slots::retire;
pub use tally::{Kind, tally};
pub use view::{Moment, TupleView, View};

/// A walk through the flow table: each flow that was there when it began and whose time was not up, once, in
/// slot order, as it is when the walk comes to it. A clone goes on from the same place.
#[derive(Clone)]
pub struct Walk<'a> {
    slots: &'a SharedArray<Flow<4>>,
    range: Range<usize>,
    moment: Moment,
}

impl Iterator for Walk<'_> {
    type Item = View;

    fn next(&mut self) -> Option<View> {
        let (slots, moment) = (self.slots, self.moment);
        self.range.find_map(|slot| view::view(&slots::read_whole(slots, slot)?, &moment))
    }
}

/// Begins a walk, at this moment.
///
/// # Errors
/// What the kernel says.
pub fn walk(maps: &Maps) -> datapath::Result<Walk<'_>> {
    let config = maps.config()?;
    let now = clock::tick(sys::monotonic_now(), config.clock_offset);
    Ok(Walk { slots: &maps.flows, range: 0..maps.used_slots()?, moment: Moment { now, config } })
}

/// Dooms all flows that match, and gives their number. The next sweep takes them away.
///
/// # Errors
/// What the kernel says.
pub fn retire_all(maps: &Maps, filter: &Filter) -> datapath::Result<u64> {
    Ok(retire_in(walk(maps)?, |seen| filter.matches(seen)))
}

/// Dooms all flows of a rule that is gone, and counts them.
///
/// # Errors
/// What the kernel says.
pub fn retire_rule(maps: &Maps, rule: u32) -> datapath::Result<u64> {
    let ended = retire_in(walk(maps)?, |seen| seen.rule == Some(rule));
    maps.add_events(Event::RuleGone, ended);
    Ok(ended)
}

/// Dooms all flows whose external address `is_ours` does not know any more, and counts them: no answer of
/// theirs can come back.
///
/// # Errors
/// What the kernel says.
pub fn retire_unreachable(maps: &Maps, is_ours: impl Fn(Ipv4Addr) -> bool) -> datapath::Result<u64> {
    let walk = walk(maps)?;
    let mut ended = 0;
    for slot in walk.range.clone() {
        let Some(flow) = slots::read_whole(walk.slots, slot) else { continue };
        let there = matches!(flow.head.life, life::LIVE | life::DYING);
        if there && !is_ours(slots::external(&flow)) && retire(walk.slots, slot, &flow) {
            ended += 1;
        }
    }
    maps.add_events(Event::AddressGone, ended);
    Ok(ended)
}

/// Flows whose time is up go too, as long as their keys are there; and with a mapping all flows that use it,
/// because it stays as long as they do.
fn retire_in(walk: Walk<'_>, chosen: impl Fn(&View) -> bool) -> u64 {
    let Walk { slots, range, .. } = walk;
    let mut ended = 0;
    let mut mappings = BTreeSet::new();
    for slot in range.clone() {
        let Some(flow) = slots::read_whole(slots, slot) else { continue };
        if view::held(&flow).is_some_and(|seen| chosen(&seen)) && retire(slots, slot, &flow) {
            ended += 1;
            if flow.head.status().is_mapping() {
                mappings.insert(slot as u32);
            }
        }
    }
    if mappings.is_empty() {
        return ended;
    }
    for slot in range {
        let Some(flow) = slots::read_whole(slots, slot) else { continue };
        if mappings.contains(&flow.head.mapping) && retire(slots, slot, &flow) {
            ended += 1;
        }
    }
    ended
}

#[cfg(test)]
mod tests {
    use netlab_common::abi::flow::life;
    use netlab_common::net::protocol;

    use super::samples::{icmp, shared, tcp, udp, walk};
    use super::{Filter, retire_in};

    #[test]
    fn a_walk_sees_each_live_flow_once_and_can_be_begun_again() {
        let mut over = tcp();
        over.head.life = life::FREE;
        let slots = shared(&[udp(), over, icmp()]);
        let walk = walk(&slots);
        let protocols = |walk: super::Walk<'_>| walk.map(|flow| flow.protocol).collect::<Vec<_>>();
        assert_eq!(protocols(walk.clone()), [protocol::UDP, protocol::ICMP]);
        assert_eq!(protocols(walk), [protocol::UDP, protocol::ICMP]);
    }

    #[test]
    fn only_flows_that_match_are_ended_and_counted() {
        let slots = shared(&[tcp(), udp(), udp()]);
        let filter = Filter { protocol: Some(protocol::UDP), ..Filter::default() };
        assert_eq!(retire_in(walk(&slots), |seen| filter.matches(seen)), 2);
        let lives = [0, 1, 2].map(|slot| slots.read(slot).head.life);
        assert_eq!(lives, [life::LIVE, life::DOOMED, life::DOOMED]);
        assert_eq!(retire_in(walk(&slots), |_| true), 1, "those that are over are not ended twice");
    }
}
