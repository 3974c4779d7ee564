//! Which CPU takes the next step: a depth-first search over all schedules with at most so many preemptions.
//!
//! A schedule in which a CPU is preempted, and nothing that the others do meanwhile concerns its next step,
//! comes to the same as one in which it takes that step first. It is run, but nothing is tried from there on.

use netlab_common::abi::flow::Tuple;
use netlab_common::abi::fragment::FragmentKey;

/// What a step reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Key(Tuple<4>),
    /// The values of all keys.
    Elements,
    /// Parts of a slot, as bits; see [`part`].
    Slot(u32, u16),
    FreeSlots,
    Ports(u32, u32),
    Scan(u32),
    Source(u32),
    Contact(Tuple<4>),
    Turn(u32),
    Answer,
    /// What is known of a datagram.
    Datagram(FragmentKey<4>),
    /// Whether a fragment waits in a place.
    Spot(u32),
    /// Whose it is.
    Whose(u32),
    /// And its frame.
    Frame(u32),
}

/// Parts of a slot.
pub mod part {
    pub const GENERATION: u16 = 1 << 0;
    pub const LIFE: u16 = 1 << 1;
    pub const STATE: u16 = 1 << 2;
    pub const USERS: u16 = 1 << 3;
    /// Both tuples.
    pub const TUPLES: u16 = 1 << 4;
    pub const SEEN: u16 = 1 << 5;
    pub const NUMBERS: u16 = 1 << 6;
    pub const COUNTS: u16 = 1 << 7;
    /// What is written once when a flow is made.
    pub const WORDS: u16 = 1 << 8;
}

/// A step's part in others' steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    pub place: Place,
    pub writes: bool,
}

impl Touch {
    pub fn reads(place: Place) -> Self {
        Touch { place, writes: false }
    }

    pub fn writes(place: Place) -> Self {
        Touch { place, writes: true }
    }

    /// Where it is, short enough for a line of a story.
    pub fn place(&self) -> String {
        let end = |address: [u8; 4], port| format!("{}:{}", address[3], u16::from_be_bytes(port));
        match self.place {
            Place::Key(key) | Place::Contact(key) => {
                format!("{} > {}", end(key.src, key.sport), end(key.dst, key.dport))
            }
            Place::Slot(slot, _) => format!("slot {slot}"),
            Place::Datagram(key) => format!("datagram {}", u16::from_be_bytes(key.identification)),
            place => format!("{place:?}"),
        }
    }

    fn concerns(&self, other: &Touch) -> bool {
        let same = match (self.place, other.place) {
            (Place::Slot(one, its), Place::Slot(two, others)) => one == two && its & others != 0,
            (one, two) => one == two,
        };
        same && (self.writes || other.writes)
    }
}

/// A point where another CPU might go on.
#[derive(Clone, Copy, Debug)]
struct Fork {
    options: usize,
    taken: usize,
}

/// The schedule of one run, and what is to be tried after it.
#[derive(Debug)]
pub struct Plan {
    forks: Vec<Fork>,
    at: usize,
    limit: usize,
    preemptions: usize,
    /// Nothing new is tried from here on in this run.
    closed: bool,
    /// Whether a CPU has taken a step yet.
    begun: Vec<bool>,
    /// Of each CPU that was preempted, what others did since.
    since: Vec<Option<Vec<Touch>>>,
}

impl Plan {
    /// A plan for so many CPUs, which begins with the schedule that has no preemption.
    pub fn new(cpus: usize, limit: usize) -> Self {
        let (begun, since) = (vec![false; cpus], vec![None; cpus]);
        Plan { forks: vec![], at: 0, limit, preemptions: 0, closed: false, begun, since }
    }

    /// Turns to the next schedule; false if there is none left.
    pub fn turn_over(&mut self) -> bool {
        while let Some(last) = self.forks.last_mut() {
            last.taken += 1;
            if last.taken < last.options {
                break;
            }
            self.forks.pop();
        }
        self.at = 0;
        self.preemptions = 0;
        self.closed = false;
        self.begun.fill(false);
        self.since.fill(None);
        !self.forks.is_empty()
    }

    /// Which of the CPUs that are not done takes the next step. `current` has taken the last one, and is not
    /// done; it is `None` at the beginning and when a CPU is done.
    pub fn choose(&mut self, current: Option<usize>, ready: &[usize]) -> usize {
        let Some(current) = current else { return ready[self.fork(ready.len())] };
        // A CPU that is chosen takes a step: else there would be two ways to the same schedule.
        if !self.begun[current] || self.preemptions >= self.limit {
            return current;
        }
        let others: Vec<_> = ready.iter().copied().filter(|&cpu| cpu != current).collect();
        match self.fork(1 + others.len()) {
            0 => current,
            other => {
                self.preemptions += 1;
                self.since[current] = Some(vec![]);
                others[other - 1]
            }
        }
    }

    fn fork(&mut self, options: usize) -> usize {
        if options == 1 {
            return 0;
        }
        if self.at == self.forks.len() {
            if self.closed {
                return 0;
            }
            self.forks.push(Fork { options, taken: 0 });
        }
        let fork = self.forks[self.at];
        assert_eq!(fork.options, options, "a run differs from the one before it: it is not deterministic");
        self.at += 1;
        fork.taken
    }

    /// Notes a step.
    pub fn took(&mut self, cpu: usize, touches: &[Touch]) {
        self.begun[cpu] = true;
        if let Some(others) = self.since[cpu].take()
            && !others.iter().any(|other| touches.iter().any(|touch| touch.concerns(other)))
        {
            self.closed = true;
        }
        for others in self.since.iter_mut().flatten() {
            others.extend(touches);
        }
    }
}
