//! A CPU's steps at what is known of datagrams in pieces, and at the places in which pieces wait. What is sent on comes
//! to its hook again once the CPU is done with the packet at hand.

use core::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};

use netlab_common::abi::flow::Tuple;
use netlab_common::abi::fragment::{Fragment, FragmentKey, WAITING, place};
use netlab_common::abi::hook::Hook;
use netlab_common::fake::{BufPacket, MemTables};
use netlab_common::packet::{Packet, Piece, parse_ipv4};
use netlab_common::tables::{Env, Fragments, Search, Tables};

use super::cpu::{Act, Cpu};
use super::plan::Place;
use crate::kit::lab::Chance;

/// As many fragments of one datagram as a scenario has.
const REACH: u32 = 4;

/// The places to which a scenario's fragments can come. The others are free and stay so: to look at them is no step.
pub fn reached(tables: &MemTables, cpus: &[Vec<Act>]) -> BTreeSet<u32> {
    let mut places = BTreeSet::new();
    for act in cpus.iter().flatten() {
        let Act::Packet(hook, frame) = act else { continue };
        let Ok(headers) = parse_ipv4(&BufPacket(frame.clone())) else { continue };
        if headers.piece != Piece::Whole {
            let first = headers.fragment_key(*hook).first_place(tables.config().seed);
            places.extend((first..first + REACH).map(|place| place % WAITING));
        }
    }
    places
}

impl Fragments<4> for Cpu<'_> {
    fn fragment(&self, key: &FragmentKey<4>) -> Option<Fragment> {
        self.reads("fragment", Place::Datagram(*key), |world| world.fragment(key))
    }
    fn note_fragment(&self, key: &FragmentKey<4>, fragment: Fragment) {
        self.writes("note_fragment", Place::Datagram(*key), |world| world.note_fragment(key, fragment));
    }
    fn place_state(&self, place: u32) -> u32 {
        if !self.stage.reached.contains(&place) {
            let state = self.stage.aside(|world| world.place_state(place));
            assert_eq!(state, place::FREE, "a fragment waits where none comes");
            return state;
        }
        self.reads("place_state", Place::Spot(place), |world| world.place_state(place))
    }
    fn change_place(&self, place: u32, from: u32, to: u32) -> bool {
        assert!(self.stage.reached.contains(&place), "a place is taken where no fragment comes");
        self.writes("change_place", Place::Spot(place), |world| world.change_place(place, from, to))
    }
    fn waits_for(&self, place: u32, key: &FragmentKey<4>) -> bool {
        self.reads("waits_for", Place::Whose(place), |world| world.waits_for(place, key))
    }
    fn waits_since(&self, place: u32) -> u32 {
        self.reads("waits_since", Place::Whose(place), |world| world.waits_since(place))
    }
    fn set_waits(&self, place: u32, key: &FragmentKey<4>, now: u32) {
        self.writes("set_waits", Place::Whose(place), |world| world.set_waits(place, key, now));
    }
}

/// What is around a CPU: a clock and chance of its own, and the frames that wait.
pub struct Around<'a> {
    cpu: &'a Cpu<'a>,
    chance: Chance,
    released: RefCell<VecDeque<(Hook, Vec<u8>)>>,
}

impl<'a> Around<'a> {
    pub fn new(cpu: &'a Cpu<'a>, chance: Chance) -> Self {
        Around { cpu, chance, released: RefCell::default() }
    }

    /// What comes to its hook again.
    pub fn next_released(&self) -> Option<(Hook, Vec<u8>)> {
        self.released.borrow_mut().pop_front()
    }
}

impl Env<4> for Around<'_> {
    fn now(&self) -> u64 {
        self.chance.now()
    }
    fn random(&self) -> u32 {
        self.chance.random()
    }
    fn host_has_socket(&self, tuple: &Tuple<4>) -> bool {
        self.chance.host_has_socket(tuple)
    }
    fn can_wait(&self) -> bool {
        true
    }
    fn copy<P: Packet>(&self, packet: &P, place: u32) -> bool {
        let len = packet.frame_len() as usize;
        let frame: Vec<u8> = (0..len).filter_map(|at| packet.load::<1>(at)).flatten().collect();
        self.cpu.writes("copy", Place::Frame(place), |world| {
            world.frames.borrow_mut().insert(place, frame);
        });
        true
    }
    fn put_away(&self) -> u32 {
        1
    }
    fn send(&self, place: u32, hook: Hook) -> bool {
        let frame =
            self.cpu.reads("send", Place::Frame(place), |world| world.frames.borrow()[&place].clone());
        self.released.borrow_mut().push_back((hook, frame));
        true
    }
    fn put_back(&self, _: u32) -> bool {
        true
    }
    fn search<S: Search<4>, T: Tables<4>>(&self, tables: &T, steps: u32, search: &mut S) {
        for index in 0..steps {
            if search.step(tables, self, index) {
                return;
            }
        }
    }
}
