//! A clock that stands where the test puts it, and numbers and sockets that it chooses.

use core::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

use crate::abi::flow::Tuple;
use crate::abi::fragment::WAITING_LEN;
use crate::abi::hook::Hook;
use crate::packet::Packet;
use crate::tables::{Env, Hop, Search, Tables, Wanted};

/// Protocol, address and port, in network order, of a socket.
pub type Bound = (u8, [u8; 4], [u8; 2]);

/// A clock that stands still, numbers that follow one another, and sockets that the test opens.
#[derive(Debug, Default)]
pub struct FixedEnv {
    /// The time, in nanoseconds.
    pub now: Cell<u64>,
    /// The next random number.
    pub next: Cell<u32>,
    /// Protocol, address and port of sockets that are bound there.
    pub bound: RefCell<BTreeSet<Bound>>,
    /// Tuples of packets that connected sockets take.
    pub connected: RefCell<BTreeSet<Tuple<4>>>,
    /// No fragment waits, as at XDP.
    pub impatient: Cell<bool>,
    /// Where the host's routing sends what is for an address.
    pub routes: RefCell<BTreeMap<[u8; 4], Hop>>,
    /// Frames of fragments that wait, by place.
    pub frames: RefCell<BTreeMap<u32, Vec<u8>>>,
    /// Fragments that have waited, and come to their hook again when the test lets them.
    pub released: RefCell<Vec<(Hook, Vec<u8>)>>,
}

impl Env<4> for FixedEnv {
    fn now(&self) -> u64 {
        self.now.get()
    }

    fn random(&self) -> u32 {
        let number = self.next.get();
        self.next.set(number.wrapping_add(1));
        number
    }

    fn host_has_socket(&self, tuple: &Tuple<4>) -> bool {
        self.connected.borrow().contains(tuple)
            || self.bound.borrow().contains(&(tuple.protocol, tuple.dst, tuple.dport))
    }

    fn can_wait(&self) -> bool {
        !self.impatient.get()
    }

    fn copy<P: Packet>(&self, packet: &P, place: u32) -> bool {
        let len = packet.frame_len() as usize;
        let frame = (0..len).filter_map(|at| packet.load::<1>(at)).flatten().collect();
        self.frames.borrow_mut().insert(place, frame);
        len <= WAITING_LEN
    }

    fn put_away(&self) -> u32 {
        // Nothing takes the packet's bytes from it.
        1
    }

    fn send(&self, place: u32, hook: Hook) -> bool {
        let frame = self.frames.borrow_mut().remove(&place);
        self.released.borrow_mut().extend(frame.map(|frame| (hook, frame)));
        true
    }

    fn put_back(&self, _: u32) -> bool {
        true
    }

    fn route(&self, wanted: &Wanted<4>) -> Hop {
        self.routes.borrow().get(&wanted.tuple.dst).copied().unwrap_or(Hop::NONE)
    }

    fn search<S: Search<4>, T: Tables<4>>(&self, tables: &T, steps: u32, search: &mut S) {
        for index in 0..steps {
            if search.step(tables, self, index) {
                return;
            }
        }
    }
}
