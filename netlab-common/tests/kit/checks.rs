//! The invariants of the tables, as far as a look at them can tell: at any moment, whoever is in the middle of
//! whatever; at rest, when nobody is; and when every flow is gone.

use std::collections::{BTreeMap, BTreeSet};

use netlab_common::abi::clock;
use netlab_common::abi::flow::{Direction, Flow, FlowRef, NO_SLOT, life};
use netlab_common::abi::fragment::{FRAGMENT_TICKS, WAITING, place};
use netlab_common::conntrack::{port_shard, state};
use netlab_common::fake::MemTables;

use super::lab::{Chance, sweep};

/// What is broken, in words.
pub type Check = Result<(), String>;

fn check(holds: bool, what: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(what()) }
}

fn in_use(flow: &Flow<4>) -> bool {
    matches!(flow.head.life, life::LIVE | life::DYING | life::DOOMED)
}

/// What holds between any two steps of any CPUs.
pub fn at_any_moment(tables: &MemTables) -> Check {
    let flows = tables.flows.borrow();
    let keys = tables.keys.borrow();
    for (key, to) in keys.iter() {
        let head = flows[to.slot() as usize].head;
        check(head.generation == to.generation() && head.life != life::FREE, || {
            format!("a key leads to a slot that was given back: {key:?} to {to:?}, {head:?}")
        })?;
        let own = if to.direction() == Direction::Original { head.original } else { head.reply };
        check(own == *key, || format!("a key leads to a flow with another tuple: {key:?}, {head:?}"))?;
    }
    let (mut replies, users) = (BTreeSet::new(), users(&flows));
    for (slot, flow) in flows.iter().enumerate().filter(|(_, flow)| in_use(flow)) {
        let head = flow.head;
        for (key, direction) in [(head.original, Direction::Original), (head.reply, Direction::Reply)] {
            let to = FlowRef::new(slot as u32, head.generation, direction);
            check(keys.get(&key) == Some(&to), || {
                format!(
                    "a live flow lacks its key: {direction:?} of {head:?}, which leads to {:?}",
                    keys.get(&key)
                )
            })?;
        }
        check(replies.insert(head.reply), || format!("two live flows share a reply tuple: {head:?}"))?;
        uses_its_mapping(&flows, flow, &users)?;
    }
    owned_ports(tables, &flows).map(drop)
}

/// A flow's mapping is there as long as the flow is, has counted it, and has the same external endpoint.
fn uses_its_mapping(flows: &[Flow<4>], flow: &Flow<4>, users: &BTreeMap<u32, u32>) -> Check {
    let slot = flow.head.mapping;
    if slot == NO_SLOT {
        return Ok(());
    }
    let mapping = flows[slot as usize].head;
    check(mapping.status().is_mapping() && mapping.life != life::FREE, || {
        format!("a live flow's mapping is gone: {:?} uses slot {slot}, which holds {mapping:?}", flow.head)
    })?;
    let users = users[&slot];
    check(mapping.users >= users, || format!("{users} flows use a mapping that counts fewer: {mapping:?}"))?;
    let outside = (mapping.reply.dst, mapping.reply.dport);
    let (reply, original) = (flow.head.reply, flow.head.original);
    check([(reply.dst, reply.dport), (original.dst, original.dport)].contains(&outside), || {
        format!("a flow has another external endpoint than its mapping: {:?}, {mapping:?}", flow.head)
    })
}

/// How many flows use each slot's mapping.
fn users(flows: &[Flow<4>]) -> BTreeMap<u32, u32> {
    let mut users = BTreeMap::new();
    for flow in flows.iter().filter(|flow| in_use(flow) && flow.head.mapping != NO_SLOT) {
        *users.entry(flow.head.mapping).or_default() += 1;
    }
    users
}

/// The bits that live flows own, each marked and each only once.
fn owned_ports(tables: &MemTables, flows: &[Flow<4>]) -> Result<u32, String> {
    let mut owned = BTreeSet::new();
    for flow in flows.iter().filter(|flow| in_use(flow) && flow.head.state & state::OWNS_PORT != 0) {
        let (shard, port) = (port_shard(tables, &flow.head.reply), u16::from_be_bytes(flow.head.reply.dport));
        let word = tables.ports.borrow()[shard as usize].words[usize::from(port >> 6)];
        check(word >> (port & 63) & 1 == 1, || format!("a live flow's port is not marked: {:?}", flow.head))?;
        check(owned.insert((shard, port)), || format!("two live flows own one bit: {:?}", flow.head))?;
    }
    Ok(owned.len() as u32)
}

/// What holds when no CPU is at anything.
pub fn at_rest(tables: &MemTables) -> Check {
    at_any_moment(tables)?;
    let flows = tables.flows.borrow();
    let used: Vec<_> = flows.iter().filter(|flow| flow.head.life != life::FREE).collect();
    check(used.iter().all(|flow| in_use(flow)), || format!("a flow is neither made nor ended: {used:#?}"))?;
    let (keys, flows_in_use) = (tables.keys.borrow().len(), used.len());
    check(keys == 2 * flows_in_use, || format!("{keys} keys for {flows_in_use} flows"))?;
    let (marked, owned) = (tables.marked_ports(), owned_ports(tables, &flows)?);
    check(marked == owned, || format!("{marked} ports are marked, and live flows own {owned}"))?;
    let sources = tables.sources.borrow();
    for row in sources.chunks(sources.len() / 2) {
        let counted: u64 = row.iter().map(|&count| u64::from(count)).sum();
        check(counted == flows_in_use as u64, || format!("sources hold {counted} flows of {flows_in_use}"))?;
    }
    let users = users(&flows);
    for (slot, flow) in flows.iter().enumerate() {
        let users = users.get(&(slot as u32)).copied().unwrap_or(0);
        check(flow.head.users == users, || {
            format!("a slot counts users it has not: {users}, {:?}", flow.head)
        })?;
    }
    fragments(tables)?;
    let free: BTreeSet<_> = tables.free.borrow().iter().copied().collect();
    check(free.len() == tables.free.borrow().len(), || "a slot is free twice".to_owned())?;
    check(free.len() + flows_in_use == flows.len(), || {
        format!("{} free slots and {flows_in_use} used ones of {}", free.len(), flows.len())
    })?;
    check(free.iter().all(|&slot| flows[slot as usize].head.life == life::FREE), || {
        "a slot is free and in use".to_owned()
    })
}

/// A place in which fragments wait is free or taken, and nobody waits in it whose first one has come in time.
fn fragments(tables: &MemTables) -> Check {
    let (places, known) = (tables.places.borrow(), tables.fragments.borrow());
    check(places.keys().all(|place| *place < WAITING), || format!("a place beyond the last: {places:?}"))?;
    for (number, spot) in places.iter() {
        match (spot.state & place::WHAT, spot.whose) {
            (place::FREE, _) => {}
            (place::TAKEN, Some((key, since))) => {
                let came = known.get(&key).is_some_and(|first| {
                    clock::since(first.seen, since).max(clock::since(since, first.seen)) < FRAGMENT_TICKS
                });
                check(!came, || format!("place {number} has one that waits though its first one came"))?;
            }
            _ => return Err(format!("place {number} is neither free nor taken: {spot:?}")),
        }
    }
    Ok(())
}

/// Lets all flows' time pass, sweeps them, and looks whether anything is left.
pub fn leaves_nothing(tables: &MemTables, env: &Chance) -> Check {
    let config = tables.config.get();
    let longest = config.timeouts.iter().copied().max().unwrap_or(0).saturating_add(config.quarantine);
    // The flows first; then the mappings, whose own time begins when their last flow is gone.
    for _ in 0..2 {
        env.now.set(env.now.get().wrapping_add(longest));
        sweep(tables, env);
        at_rest(tables)?;
    }
    let left = tables.live();
    check(left.is_empty() && tables.keys.borrow().is_empty() && tables.marked_ports() == 0, || {
        format!("something is left when every flow's time is up: {left:#?}")
    })
}
