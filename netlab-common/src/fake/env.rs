//! A clock that stands where the test puts it, and numbers and sockets that it chooses.

use core::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use crate::abi::flow::Tuple;
use crate::tables::{Env, Search, Tables};

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

    fn search<S: Search<4>, T: Tables<4>>(&self, tables: &T, steps: u32, search: &mut S) {
        for index in 0..steps {
            if search.step(tables, self, index) {
                return;
            }
        }
    }
}
