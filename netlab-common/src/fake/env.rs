//! A clock that stands where the test puts it, and numbers and sockets that it chooses.

use core::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

use crate::abi::clock;
use crate::abi::event::Event;
use crate::abi::flow::Tuple;
use crate::abi::fragment::{FRAGMENT_TICKS, PLACES, WAITING, WAITING_LEN};
use crate::abi::hook::Hook;
use crate::packet::Packet;
use crate::tables::{Env, NO_PLACE, Search, Tables, Waits};

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
    /// Fragments that wait, by place.
    pub waiting: RefCell<BTreeMap<u32, (Waits<4>, Vec<u8>)>>,
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

    fn keep<P: Packet, T: Tables<4>>(&self, packet: &P, tables: &T, waits: Waits<4>) -> u32 {
        if self.impatient.get() {
            return NO_PLACE;
        }
        let len = packet.frame_len() as usize;
        let mut waiting = self.waiting.borrow_mut();
        let first = waits.key.first_place(tables.config().seed);
        let is_over = |place: &u32| {
            waiting.get(place).is_none_or(|(other, _)| clock::since(waits.now, other.now) >= FRAGMENT_TICKS)
        };
        let place = (0..PLACES).map(|step| (first + step) % WAITING).find(is_over);
        let Some(place) = place.filter(|_| len <= WAITING_LEN) else { return NO_PLACE };
        let frame = (0..len).filter_map(|at| packet.load::<1>(at)).flatten().collect();
        if waiting.insert(place, (waits, frame)).is_some() {
            tables.count_event(Event::FragmentLost);
        }
        place
    }

    fn take_back(&self, place: u32) -> bool {
        self.waiting.borrow_mut().remove(&place).is_some()
    }

    fn release<P: Packet, T: Tables<4>>(&self, _: &mut P, tables: &T, waits: Waits<4>) -> Option<u32> {
        let first = waits.key.first_place(tables.config().seed);
        let mut waiting = self.waiting.borrow_mut();
        let mut went = 0;
        for place in (0..PLACES).map(|step| (first + step) % WAITING) {
            let is_its = |(other, _): &(Waits<4>, Vec<u8>)| {
                other.key == waits.key
                    && other.hook == waits.hook
                    && clock::since(waits.now, other.now) < FRAGMENT_TICKS
            };
            if waiting.get(&place).is_some_and(is_its)
                && let Some((_, frame)) = waiting.remove(&place)
            {
                self.released.borrow_mut().push((waits.hook, frame));
                went += 1;
            }
        }
        Some(went)
    }

    fn search<S: Search<4>, T: Tables<4>>(&self, tables: &T, steps: u32, search: &mut S) {
        for index in 0..steps {
            if search.step(tables, self, index) {
                return;
            }
        }
    }
}
