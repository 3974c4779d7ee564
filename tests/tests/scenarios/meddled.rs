//! Tables in which something happens just before a key is claimed: another CPU's packet, or a lack of room.

use std::cell::{Cell, RefCell};

use netlab_common::abi::config::{Config, Timeout};
use netlab_common::abi::event;
use netlab_common::abi::flow::{Direction, FlowRef, NO_SLOT, Status, Tuple};
use netlab_common::abi::fragment::{Fragment, FragmentKey};
use netlab_common::abi::hook::Hook;
use netlab_common::abi::rule::{ForwardKey, ForwardPort, MasqueradeTarget, Target, Zone};
use netlab_common::abi::verdict::Verdict;
use netlab_common::conntrack::create::NewFlow;
use netlab_common::conntrack::end::{Ending, Fate};
use netlab_common::fake::MemTables;
use netlab_common::packet::Headers;
use netlab_common::tables::{Claim, Fragments, Rules, Tables, Traffic, Ways};

/// What happens before a claim; what it gives is the claim's answer.
type Event<'a> = Box<dyn FnOnce() -> Option<Claim> + 'a>;

/// Such tables, as one CPU sees them: what it lays aside is its own.
pub struct Meddled<'a> {
    tables: &'a MemTables,
    key: Tuple<4>,
    /// Happens once.
    before: RefCell<Option<Event<'a>>>,
    draft: Cell<Option<(NewFlow<4>, u32)>>,
    headers: Cell<Option<Headers<4>>>,
}

impl<'a> Meddled<'a> {
    pub fn new(tables: &'a MemTables, key: Tuple<4>, before: impl FnOnce() -> Option<Claim> + 'a) -> Self {
        Meddled {
            tables,
            key,
            before: RefCell::new(Some(Box::new(before))),
            draft: Cell::new(None),
            headers: Cell::new(None),
        }
    }
}

/// Hands methods on as they are.
macro_rules! hand_on {
    ($(fn $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => { $(
        fn $name(&self, $($argument: $type),*) $(-> $result)? {
            self.tables.$name($($argument),*)
        }
    )* };
}

impl Tables<4> for Meddled<'_> {
    type Draft = Box<NewFlow<4>>;
    type Headers = Box<Headers<4>>;

    fn set_headers(&self, headers: &Headers<4>) {
        self.headers.set(Some(*headers));
    }
    fn headers(&self) -> Option<Box<Headers<4>>> {
        self.headers.get().map(Box::new)
    }

    fn claim_key(&self, key: &Tuple<4>, to: FlowRef) -> Claim {
        let before = if *key == self.key { self.before.take() } else { None };
        before.and_then(|happens| happens()).unwrap_or_else(|| self.tables.claim_key(key, to))
    }
    fn set_draft(&self, new: &NewFlow<4>) {
        self.draft.set(Some((*new, NO_SLOT)));
    }
    fn draft(&self) -> Option<Box<NewFlow<4>>> {
        self.draft.get().map(|(new, _)| Box::new(new))
    }
    fn set_place(&self, slot: u32) {
        self.draft.set(self.draft.get().map(|(new, _)| (new, slot)));
    }
    fn place(&self) -> u32 {
        self.draft.get().map_or(NO_SLOT, |(_, slot)| slot)
    }

    hand_on! {
        fn find_key(key: &Tuple<4>) -> Option<FlowRef>;
        fn release_key(key: &Tuple<4>);
        fn reserve_slot() -> Option<u32>;
        fn release_slot(slot: u32);
        fn used_slots() -> u32;
        fn forget(value: u32) -> u32;
        fn write_flow(slot: u32, new: &NewFlow<4>);
        fn write_reply(slot: u32, reply: &Tuple<4>);
        fn status(slot: u32) -> Option<Status>;
        fn generation(slot: u32) -> u32;
        fn tuple(slot: u32, direction: Direction) -> Tuple<4>;
        fn change_life(slot: u32, from: u32, to: u32) -> bool;
        fn last_seen(slot: u32) -> u32;
        fn touch(slot: u32, now: u32);
        fn add_state(slot: u32, bits: u32) -> u32;
        fn clear_state(slot: u32, bits: u32);
        fn record(to: FlowRef, traffic: Traffic, now: u32);
        fn numbers(slot: u32, direction: Direction) -> (u32, u32);
        fn note_numbers(slot: u32, direction: Direction, end: u32, ack: u32);
        fn count_user(slot: u32, up: bool);
        fn port_word(shard: u32, word: u32) -> u64;
        fn take_port(shard: u32, port: u16) -> bool;
        fn give_port(shard: u32, port: u16);
        fn fruitless_scan(shard: u32) -> u32;
        fn set_fruitless_scan(shard: u32, now: u32);
        fn source_cell(cell: u32) -> u32;
        fn count_source(cell: u32, up: bool);
        fn contact(key: &Tuple<4>) -> Option<FlowRef>;
        fn add_contact(key: &Tuple<4>, mapping: FlowRef);
        fn config() -> Config;
        fn timeout(of: Timeout) -> u32;
        fn last_sweep() -> u32;
        fn last_answer(now: u32) -> u32;
        fn reclaim(slot: u32, now: u32, how: Ending) -> Fate;
        fn count_rule(rule: u32, direction: Direction, traffic: Traffic, new_flow: u64);
        fn count_received(hook: Hook, traffic: Traffic);
        fn count_verdict(hook: Hook, verdict: Verdict, traffic: Traffic);
        fn count_events(event: event::Event, times: u64);
    }
}

impl Rules<4> for Meddled<'_> {
    hand_on! {
        fn forward_port(key: &ForwardKey<4>) -> Option<ForwardPort>;
        fn forward(rule: u32) -> Option<(u32, bool)>;
        fn target(rule: u32, index: u32) -> Target<4>;
        fn next_turn(rule: u32) -> u32;
        fn allows(rule: u32, source: [u8; 4]) -> bool;
        fn masquerade(source: [u8; 4]) -> Option<MasqueradeTarget<4>>;
        fn lab_interface(index: u32) -> Option<[u8; 4]>;
        fn zone(address: [u8; 4]) -> Zone;
        fn node(address: [u8; 4]) -> u16;
    }
}

impl Ways for Meddled<'_> {}

impl Fragments<4> for Meddled<'_> {
    hand_on! {
        fn fragment(key: &FragmentKey<4>) -> Option<Fragment>;
        fn note_fragment(key: &FragmentKey<4>, fragment: Fragment);
        fn place_state(place: u32) -> u32;
        fn change_place(place: u32, from: u32, to: u32) -> bool;
        fn waits_for(place: u32, key: &FragmentKey<4>) -> bool;
        fn waits_since(place: u32) -> u32;
        fn set_waits(place: u32, key: &FragmentKey<4>, now: u32);
    }
}
