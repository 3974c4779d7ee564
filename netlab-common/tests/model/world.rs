//! The tables as memory that CPUs share: where a call of `Tables` is several reads or writes in the maps, they are
//! several here.

use core::cell::RefCell;
use core::ops::Deref;
use std::collections::BTreeMap;

use netlab_common::abi::flow::{Direction, FlowRef, Head, Status, Tuple, life};
use netlab_common::conntrack::create::NewFlow;
use netlab_common::fake::MemTables;
use netlab_common::tables::{Claim, Tables};

/// Tables, and the places of their keys.
#[derive(Clone, Debug)]
pub struct World {
    pub tables: MemTables,
    elements: RefCell<Elements>,
    /// Frames of fragments that wait, by place.
    pub frames: RefCell<BTreeMap<u32, Vec<u8>>>,
}

/// The elements of a preallocated hash map. One that is given back is the next to be taken, and whoever still
/// holds a pointer to it reads the next key's value.
#[derive(Clone, Debug, Default)]
struct Elements {
    of: BTreeMap<Tuple<4>, usize>,
    values: Vec<FlowRef>,
    free: Vec<usize>,
}

impl Deref for World {
    type Target = MemTables;

    fn deref(&self) -> &MemTables {
        &self.tables
    }
}

impl World {
    pub fn new(tables: &MemTables) -> Self {
        let mut elements = Elements::default();
        for (key, to) in tables.keys.borrow().iter() {
            elements.put(*key, *to);
        }
        World { tables: tables.clone(), elements: RefCell::new(elements), frames: RefCell::default() }
    }

    /// Where the value of a key stands.
    pub fn element(&self, key: &Tuple<4>) -> Option<usize> {
        self.elements.borrow().of.get(key).copied()
    }

    /// What stands there by now.
    pub fn value(&self, element: usize) -> FlowRef {
        self.elements.borrow().values[element]
    }

    pub fn claim(&self, key: &Tuple<4>, to: FlowRef) -> Claim {
        let claim = self.tables.claim_key(key, to);
        if claim == Claim::Won {
            self.elements.borrow_mut().put(*key, to);
        }
        claim
    }

    pub fn release(&self, key: &Tuple<4>) {
        self.tables.release_key(key);
        let mut elements = self.elements.borrow_mut();
        if let Some(element) = elements.of.remove(key) {
            elements.free.push(element);
        }
    }

    fn with(&self, slot: u32, write: impl FnOnce(&mut Head<4>)) {
        write(&mut self.tables.flows.borrow_mut()[slot as usize].head);
    }

    pub fn raise_generation(&self, slot: u32) {
        self.with(slot, |head| head.generation = head.generation.wrapping_add(1));
    }

    pub fn set_free(&self, slot: u32) {
        self.with(slot, |head| head.life = life::FREE);
    }

    /// Writes the words of a forming flow but its tuples, of which a reader may see the old ones.
    pub fn write_words(&self, slot: u32, new: &NewFlow<4>) {
        let old = self.tables.flows.borrow()[slot as usize];
        self.tables.write_flow(slot, new);
        let flow = &mut self.tables.flows.borrow_mut()[slot as usize];
        flow.head = Head { original: old.head.original, reply: old.head.reply, ..flow.head };
        flow.counters = old.counters;
    }

    pub fn write_tuple(&self, slot: u32, direction: Direction, tuple: &Tuple<4>) {
        self.with(slot, |head| match direction {
            Direction::Original => head.original = *tuple,
            Direction::Reply => head.reply = *tuple,
        });
    }

    /// Zeroes the counters, the time as well, which is set thereafter.
    pub fn zero_counters(&self, slot: u32) {
        self.tables.flows.borrow_mut()[slot as usize].counters = Default::default();
    }

    /// A slot's status, of whatever flow it is.
    pub fn whole_status(&self, slot: u32) -> Status {
        self.tables.status(slot).unwrap_or(Status::NOTHING)
    }
}

impl Elements {
    fn put(&mut self, key: Tuple<4>, value: FlowRef) {
        let element = self.free.pop().unwrap_or(self.values.len());
        if element == self.values.len() {
            self.values.push(value);
        }
        self.values[element] = value;
        self.of.insert(key, element);
    }
}
