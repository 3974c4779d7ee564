//! A CPU: the tables as it reaches them, a step for each read or write that another CPU could change or notice.

use core::cell::Cell;

use netlab_common::abi::config::{Config, Timeout};
use netlab_common::abi::event::Event;
use netlab_common::abi::flow::{Direction, FlowRef, NO_SLOT, Status, Tuple, life};
use netlab_common::abi::hook::Hook;
use netlab_common::abi::rule::{ForwardKey, ForwardPort, MasqueradeTarget, Target, Zone};
use netlab_common::abi::verdict::Verdict;
use netlab_common::abi::way::{Exit, Learnt, Way};
use netlab_common::conntrack::create::NewFlow;
use netlab_common::conntrack::end::{self, Ending, Fate};
use netlab_common::fake::Copied;
use netlab_common::packet::Headers;
use netlab_common::tables::{Claim, Rules, Tables, Traffic, Ways};

use super::explore::Stage;
use super::pieces::Around;
use super::plan::{Place, Touch, part};
use super::world::World;
use crate::kit::lab::{Outcome, play, sweep};

/// What a CPU is to do.
#[derive(Clone, Debug)]
pub enum Act {
    /// It has a packet at a hook.
    Packet(Hook, Vec<u8>),
    /// It sweeps the table for the agent.
    Sweep,
    /// A user ends the flow that had this slot, as a live one of this generation, when he made up his mind. As the
    /// agent does it: by dooming what is there, and taking that back if the slot has changed hands.
    Remove(u32, u32),
}

impl Act {
    /// Does it; what became of the packet, if it is one, and of those that had waited for it.
    pub fn play(&self, cpu: &Cpu<'_>, env: &Around<'_>) -> Vec<Outcome> {
        match self {
            Act::Packet(hook, frame) => {
                let mut outcomes = vec![play(cpu, env, *hook, frame)];
                while let Some((hook, frame)) = env.next_released() {
                    outcomes.push(play(cpu, env, hook, &frame));
                }
                return outcomes;
            }
            Act::Sweep => {
                sweep(cpu, env);
            }
            Act::Remove(slot, generation) => {
                if cpu.change_life(*slot, life::LIVE, life::DOOMED) && cpu.generation(*slot) != *generation {
                    cpu.change_life(*slot, life::DOOMED, life::LIVE);
                }
            }
        }
        vec![]
    }
}

/// A CPU's way to the world.
pub struct Cpu<'a> {
    pub stage: &'a Stage,
    pub me: usize,
    draft: Cell<Option<(NewFlow<4>, u32)>>,
    headers: Cell<Option<Headers<4>>>,
}

impl<'a> Cpu<'a> {
    pub fn new(stage: &'a Stage, me: usize) -> Self {
        Cpu { stage, me, draft: Cell::new(None), headers: Cell::new(None) }
    }

    pub fn reads<R>(&self, name: &'static str, place: Place, act: impl FnOnce(&World) -> R) -> R {
        self.stage.step(self.me, name, &[Touch::reads(place)], act)
    }

    pub fn writes<R>(&self, name: &'static str, place: Place, act: impl FnOnce(&World) -> R) -> R {
        self.stage.step(self.me, name, &[Touch::writes(place)], act)
    }
}

impl Rules<4> for Cpu<'_> {
    fn forward_port(&self, key: &ForwardKey<4>) -> Option<ForwardPort> {
        self.stage.aside(|world| world.forward_port(key))
    }
    fn forward(&self, rule: u32) -> Option<(u32, bool)> {
        self.stage.aside(|world| world.forward(rule))
    }
    fn target(&self, rule: u32, index: u32) -> Target<4> {
        self.stage.aside(|world| world.target(rule, index))
    }
    fn next_turn(&self, rule: u32) -> u32 {
        self.writes("next_turn", Place::Turn(rule), |world| world.next_turn(rule))
    }
    fn allows(&self, rule: u32, source: [u8; 4]) -> bool {
        self.stage.aside(|world| world.allows(rule, source))
    }
    fn masquerade(&self, source: [u8; 4]) -> Option<MasqueradeTarget<4>> {
        self.stage.aside(|world| world.masquerade(source))
    }
    fn lab_interface(&self, index: u32) -> Option<[u8; 4]> {
        self.stage.aside(|world| world.lab_interface(index))
    }
    fn zone(&self, address: [u8; 4]) -> Zone {
        self.stage.aside(|world| world.zone(address))
    }
    fn node(&self, address: [u8; 4]) -> u16 {
        self.stage.aside(|world| world.node(address))
    }
}

impl Tables<4> for Cpu<'_> {
    type Draft = Copied<NewFlow<4>>;
    type Headers = Copied<Headers<4>>;

    fn set_headers(&self, headers: &Headers<4>) {
        self.headers.set(Some(*headers));
    }
    fn headers(&self) -> Option<Copied<Headers<4>>> {
        self.headers.get().map(Copied)
    }

    fn find_key(&self, key: &Tuple<4>) -> Option<FlowRef> {
        let element = self.reads("find_key", Place::Key(*key), |world| world.element(key))?;
        Some(self.reads("find_key: read", Place::Elements, |world| world.value(element)))
    }
    fn claim_key(&self, key: &Tuple<4>, to: FlowRef) -> Claim {
        let touches = [Touch::writes(Place::Elements), Touch::writes(Place::Key(*key))];
        if self.stage.torn && self.find_key(key).is_none() {
            // What a map without "only if it is not there" would come to.
            self.stage.step(self.me, "put", &touches, |world| {
                world.release(key);
                world.claim(key, to);
            });
            return Claim::Won;
        }
        self.stage.step(self.me, "claim_key", &touches, |world| world.claim(key, to))
    }
    fn release_key(&self, key: &Tuple<4>) {
        self.writes("release_key", Place::Key(*key), |world| world.release(key));
    }
    fn reserve_slot(&self) -> Option<u32> {
        self.writes("reserve_slot", Place::FreeSlots, |world| world.reserve_slot())
    }
    fn set_place(&self, slot: u32) {
        self.draft.set(self.draft.get().map(|(new, _)| (new, slot)));
    }
    fn release_slot(&self, slot: u32) {
        self.writes("release_slot: generation", Place::Slot(slot, part::GENERATION), |world| {
            world.raise_generation(slot);
        });
        self.writes("release_slot: life", Place::Slot(slot, part::LIFE), |world| world.set_free(slot));
        self.writes("release_slot", Place::FreeSlots, |world| world.free.borrow_mut().push_back(slot));
    }
    fn used_slots(&self) -> u32 {
        self.stage.aside(Tables::used_slots)
    }
    fn set_draft(&self, new: &NewFlow<4>) {
        self.draft.set(Some((*new, NO_SLOT)));
    }
    fn draft(&self) -> Option<Copied<NewFlow<4>>> {
        self.draft.get().map(|(new, _)| Copied(new))
    }
    fn place(&self) -> u32 {
        self.draft.get().map_or(NO_SLOT, |(_, slot)| slot)
    }
    fn forget(&self, value: u32) -> u32 {
        value
    }
    fn write_flow(&self, slot: u32, new: &NewFlow<4>) {
        let words = Place::Slot(slot, part::LIFE | part::STATE | part::WORDS);
        self.writes("write_flow", words, |world| world.write_words(slot, new));
        for (direction, tuple) in [(Direction::Original, new.original), (Direction::Reply, new.reply)] {
            let place = Place::Slot(slot, part::TUPLES);
            self.writes("write_flow: tuple", place, |world| world.write_tuple(slot, direction, &tuple));
        }
        let counters = Place::Slot(slot, part::SEEN | part::NUMBERS | part::COUNTS);
        self.writes("write_flow: counters", counters, |world| world.zero_counters(slot));
        self.touch(slot, new.now);
    }
    fn write_reply(&self, slot: u32, reply: &Tuple<4>) {
        self.writes("write_reply", Place::Slot(slot, part::TUPLES), |world| world.write_reply(slot, reply));
    }
    fn status(&self, slot: u32) -> Option<Status> {
        // Word by word, in the order in which the maps are read.
        if slot >= self.used_slots() {
            return None;
        }
        let read = |name, part| self.reads(name, Place::Slot(slot, part), |world| world.whole_status(slot));
        let rest = read("status: rest", part::WORDS | part::TUPLES);
        let life = read("status: life", part::LIFE).life;
        let state = read("status: state", part::STATE).state;
        let users = read("status: users", part::USERS).users;
        let generation = read("status: generation", part::GENERATION).generation;
        Some(Status { generation, life, state, users, ..rest })
    }
    fn generation(&self, slot: u32) -> u32 {
        self.reads("generation", Place::Slot(slot, part::GENERATION), |world| world.generation(slot))
    }
    fn tuple(&self, slot: u32, direction: Direction) -> Tuple<4> {
        let place = Place::Slot(slot, part::TUPLES);
        let addresses = self.reads("tuple: addresses", place, |world| world.tuple(slot, direction));
        let ports = self.reads("tuple: ports", place, |world| world.tuple(slot, direction));
        Tuple { src: addresses.src, dst: addresses.dst, ..ports }
    }
    fn change_life(&self, slot: u32, from: u32, to: u32) -> bool {
        self.writes("change_life", Place::Slot(slot, part::LIFE), |world| world.change_life(slot, from, to))
    }
    fn last_seen(&self, slot: u32) -> u32 {
        self.reads("last_seen", Place::Slot(slot, part::SEEN), |world| world.last_seen(slot))
    }
    fn touch(&self, slot: u32, now: u32) {
        self.writes("touch", Place::Slot(slot, part::SEEN), |world| world.touch(slot, now));
    }
    fn add_state(&self, slot: u32, bits: u32) -> u32 {
        self.writes("add_state", Place::Slot(slot, part::STATE), |world| world.add_state(slot, bits))
    }
    fn clear_state(&self, slot: u32, bits: u32) {
        self.writes("clear_state", Place::Slot(slot, part::STATE), |world| world.clear_state(slot, bits));
    }
    fn record(&self, to: FlowRef, traffic: Traffic, now: u32) {
        if self.generation(to.slot()) == to.generation() {
            let place = Place::Slot(to.slot(), part::SEEN | part::COUNTS);
            self.writes("record", place, |world| {
                // Whoever has the slot by now.
                let now_there =
                    FlowRef::new(to.slot(), world.whole_status(to.slot()).generation, to.direction());
                world.record(now_there, traffic, now);
            });
        }
    }
    fn numbers(&self, slot: u32, direction: Direction) -> (u32, u32) {
        self.reads("numbers", Place::Slot(slot, part::NUMBERS), |world| world.numbers(slot, direction))
    }
    fn note_numbers(&self, slot: u32, direction: Direction, end: u32, ack: u32) {
        self.writes("note_numbers", Place::Slot(slot, part::NUMBERS), |world| {
            world.note_numbers(slot, direction, end, ack);
        });
    }
    fn count_user(&self, slot: u32, up: bool) {
        self.writes("count_user", Place::Slot(slot, part::USERS), |world| world.count_user(slot, up));
    }
    fn port_word(&self, shard: u32, word: u32) -> u64 {
        self.reads("port_word", Place::Ports(shard, word), |world| world.port_word(shard, word))
    }
    fn take_port(&self, shard: u32, port: u16) -> bool {
        let place = Place::Ports(shard, u32::from(port >> 6));
        self.writes("take_port", place, |world| world.take_port(shard, port))
    }
    fn give_port(&self, shard: u32, port: u16) {
        let place = Place::Ports(shard, u32::from(port >> 6));
        self.writes("give_port", place, |world| world.give_port(shard, port));
    }
    fn fruitless_scan(&self, shard: u32) -> u32 {
        self.reads("fruitless_scan", Place::Scan(shard), |world| world.fruitless_scan(shard))
    }
    fn set_fruitless_scan(&self, shard: u32, now: u32) {
        self.writes("set_fruitless_scan", Place::Scan(shard), |world| world.set_fruitless_scan(shard, now));
    }
    fn source_cell(&self, cell: u32) -> u32 {
        self.reads("source_cell", Place::Source(cell), |world| world.source_cell(cell))
    }
    fn count_source(&self, cell: u32, up: bool) {
        self.writes("count_source", Place::Source(cell), |world| world.count_source(cell, up));
    }
    fn contact(&self, key: &Tuple<4>) -> Option<FlowRef> {
        self.reads("contact", Place::Contact(*key), |world| world.contact(key))
    }
    fn add_contact(&self, key: &Tuple<4>, mapping: FlowRef) {
        self.writes("add_contact", Place::Contact(*key), |world| world.add_contact(key, mapping));
    }
    fn config(&self) -> Config {
        self.stage.aside(Tables::config)
    }
    fn timeout(&self, of: Timeout) -> u32 {
        self.stage.aside(|world| world.timeout(of))
    }
    fn last_sweep(&self) -> u32 {
        self.stage.aside(Tables::last_sweep)
    }
    fn last_answer(&self, now: u32) -> u32 {
        self.writes("last_answer", Place::Answer, |world| world.last_answer(now))
    }
    fn reclaim(&self, slot: u32, now: u32, how: Ending) -> Fate {
        end::reclaim(self, slot, now, how)
    }
    fn count_rule(&self, rule: u32, direction: Direction, traffic: Traffic, new_flow: u64) {
        self.stage.aside(|world| world.count_rule(rule, direction, traffic, new_flow));
    }
    fn count_received(&self, hook: Hook, traffic: Traffic) {
        self.stage.aside(|world| world.count_received(hook, traffic));
    }
    fn count_verdict(&self, hook: Hook, verdict: Verdict, traffic: Traffic) {
        self.stage.aside(|world| world.count_verdict(hook, verdict, traffic));
    }
    fn count_events(&self, event: Event, times: u64) {
        self.stage.aside(|world| world.count_events(event, times));
    }
}

/// Ways are known before, and stay: only what flows remember of them changes.
impl Ways for Cpu<'_> {
    fn epoch(&self) -> u32 {
        self.stage.aside(Ways::epoch)
    }
    fn exit(&self, interface: u32) -> Exit {
        self.stage.aside(|world| world.exit(interface))
    }
    fn way(&self, number: u32) -> Way {
        self.stage.aside(|world| world.way(number))
    }
    fn learnt(&self, slot: u32, direction: Direction) -> Learnt {
        self.reads("learnt", Place::Slot(slot, part::COUNTS), |world| world.learnt(slot, direction))
    }
    fn set_learnt(&self, to: FlowRef, learnt: Learnt) {
        self.writes("set_learnt", Place::Slot(to.slot(), part::COUNTS), |world| world.set_learnt(to, learnt));
    }
}
