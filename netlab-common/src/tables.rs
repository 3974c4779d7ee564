//! The other two traits: [`Tables`], where things are looked up and counted, and [`Env`], time and chance.

use core::ops::Deref;

use crate::abi::clock;
use crate::abi::config::{Config, Timeout};
use crate::abi::event::Event;
use crate::abi::flow::{Direction, FlowRef, Glance, Status, Tuple, life};
use crate::abi::fragment::{Fragment, FragmentKey};
use crate::abi::hook::Hook;
use crate::abi::packed::Packed;
use crate::abi::recent::Recent;
use crate::abi::rule::{ForwardKey, ForwardPort, MasqueradeTarget, Target, Zone};
use crate::abi::verdict::Verdict;
use crate::abi::way::{Exit, Learnt, Way};
use crate::conntrack::create::NewFlow;
use crate::conntrack::end::{Ending, Fate};
use crate::packet::{Headers, Packet};

/// What a claim on a key came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Claim {
    /// The key is ours.
    Won = 0,
    /// Another flow has it.
    Taken = 1,
    /// There is no room for another key.
    Full = 2,
}

impl Claim {
    /// What the verifier forgets of how this came about: it then follows what comes next once, and not once
    /// for each way that led here.
    #[inline(always)]
    #[must_use]
    pub fn forget<const N: usize, T: Tables<N>>(self, tables: &T) -> Claim {
        match tables.forget(self as u32) {
            0 => Claim::Won,
            1 => Claim::Taken,
            _ => Claim::Full,
        }
    }
}

/// Packets and bytes to add to a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Packets as they are on the wire.
    pub packets: u64,
    /// Bytes, from the IP header on in flows and rules, of the frame in verdicts.
    pub bytes: u64,
}

/// Something that is looked for step by step, many steps at once.
///
/// A loop of thousands of steps is a helper's to run in the kernel, where the verifier follows one step
/// rather than all of them; so what a loop would keep in variables, a search keeps in itself.
pub trait Search<const N: usize> {
    /// Takes one step; true when there is no need for another.
    fn step<T: Tables<N>, E: Env<N>>(&mut self, tables: &T, env: &E, index: u32) -> bool;
}

/// The rules, as the agent wrote them: values, and never half of one.
pub trait Rules<const N: usize> {
    /// The forward of exactly this address, port and protocol.
    fn forward_port(&self, key: &ForwardKey<N>) -> Option<ForwardPort>;
    /// A forward without its targets' addresses: how many there are, and whether it is restricted.
    fn forward(&self, rule: u32) -> Option<(u32, bool)>;
    /// One of its targets; zeros where there is no such forward.
    fn target(&self, rule: u32, index: u32) -> Target<N>;
    /// The next number of a forward's turn.
    fn next_turn(&self, rule: u32) -> u32;
    /// Whether a restricted forward may be used by a source.
    fn allows(&self, rule: u32, source: [u8; N]) -> bool;
    /// The masquerade with the longest prefix around a source.
    fn masquerade(&self, source: [u8; N]) -> Option<MasqueradeTarget<N>>;
    /// The host's address on an interface on which nodes' packets arrive at the host's stack; `None` for
    /// other interfaces.
    fn lab_interface(&self, index: u32) -> Option<[u8; N]>;
    /// Whose an address is.
    fn zone(&self, address: [u8; N]) -> Zone;
    /// The number of the forward's target that has an address among several; zero if none has.
    fn node(&self, address: [u8; N]) -> u16;
}

/// What is known of datagrams in pieces, and the places in which pieces wait. Reads and writes are of whole values.
pub trait Fragments<const N: usize> {
    /// What the first fragment of a datagram said of it.
    fn fragment(&self, key: &FragmentKey<N>) -> Option<Fragment>;
    /// Remembers that for a while. Ordered.
    fn note_fragment(&self, key: &FragmentKey<N>, fragment: Fragment);
    /// A place's state; see [`place`](crate::abi::fragment::place).
    fn place_state(&self, place: u32) -> u32;
    /// Moves a place from one state to another; false if it was not in the one. Ordered.
    fn change_place(&self, place: u32, from: u32, to: u32) -> bool;
    /// Whether what is in a place is of this datagram.
    fn waits_for(&self, place: u32, key: &FragmentKey<N>) -> bool;
    /// Since when it is there, in ticks.
    fn waits_since(&self, place: u32) -> u32;
    /// Says both of a place that is the caller's.
    fn set_waits(&self, place: u32, key: &FragmentKey<N>, now: u32);
}

/// Ways out that packets may take without the host's stack. Without them, all packets go by the stack.
pub trait Ways {
    /// The tick in which the agent last heard of a change to what ways depend on; zero while packets may not take any.
    fn epoch(&self) -> u32 {
        0
    }
    /// Bits of a tuple's hash that say where its hint is: see [`recent`](crate::abi::recent).
    fn place_bits(&self) -> u32 {
        0
    }
    /// What the agent says of an interface; no flags if nothing.
    fn exit(&self, _interface: u32) -> Exit {
        Exit::default()
    }
    /// A way as a whole, of one moment; all zeros if there is none, or if it is changed at this moment.
    fn way(&self, _number: u32) -> Way {
        Way::default()
    }
    /// Puts a way in the place of one with this version; false if that has changed meanwhile.
    fn replace_way(&self, _number: u32, _version: u32, _way: &Way) -> bool {
        false
    }
    /// What a flow remembers for one direction.
    fn learnt(&self, _slot: u32, _direction: Direction) -> Learnt {
        Learnt::default()
    }
    /// Says that the host's stack has sent a packet by a way now, in ticks.
    fn touch_way(&self, _number: u32, _now: u32) {}
    /// Has it remember that, unless its slot has changed hands.
    fn set_learnt(&self, _to: FlowRef, _learnt: Learnt) {}
    /// Has a direction of a flow forget it, whosever the slot is by now.
    fn forget_learnt(&self, _slot: u32, _direction: Direction) {}
    /// The hint of a tuple with this hash in this [`place`](crate::abi::recent::place), or all zeros.
    fn recent(&self, _place: u32, _hash: u32) -> Recent {
        Recent::default()
    }
    /// Leaves a hint of a tuple with this hash in its place, or takes it away by one that is all zeros. Where others fill
    /// the place, it takes the [room](crate::abi::recent::room) of one of them; `now` is in ticks.
    fn set_recent(&self, _place: u32, _hash: u32, _recent: Recent, _now: u32) {}
}

/// The tables for addresses of `N` bytes. Reads give values, never references, and every method may run on
/// several CPUs at once; each is atomic by itself. Those that say *ordered* are also seen by all CPUs in one
/// order, before whatever the caller does next.
pub trait Tables<const N: usize>: Rules<N> + Fragments<N> + Ways {
    /// A draft where it lies: copied to the stack it would take a fifth of all that a program has.
    type Draft: Deref<Target = NewFlow<N>>;
    /// Headers where they lie.
    type Headers: Deref<Target = Headers<N>>;

    /// Lays the headers of the packet aside, as it arrived.
    fn set_headers(&self, headers: &Headers<N>);
    /// Those headers.
    fn headers(&self) -> Option<Self::Headers>;

    /// Where a key leads.
    fn find_key(&self, key: &Tuple<N>) -> Option<FlowRef>;
    /// As [`find_key`](Tables::find_key), for a tuple that is in registers: the kernel hashes words, and bytes that were
    /// just written one by one keep it waiting.
    #[inline(always)]
    fn find_packed_key(&self, key: Packed) -> Option<FlowRef>
    where
        Self: Tables<4>,
    {
        Tables::<4>::find_key(self, &key.tuple())
    }
    /// Makes a key unless it is there already: the one arbiter between CPUs.
    fn claim_key(&self, key: &Tuple<N>, to: FlowRef) -> Claim;
    /// Takes away a key. Only whoever holds the flow (it is forming, or ending by his hand) may.
    fn release_key(&self, key: &Tuple<N>);

    /// A slot for a new flow, or `None` when all are in use.
    fn reserve_slot(&self) -> Option<u32>;
    /// Lays a reserved slot aside beside the draft, or [`NO_SLOT`](crate::abi::flow::NO_SLOT).
    fn set_place(&self, slot: u32);
    /// Gives back a slot to which no key leads: raises its generation, and frees it.
    fn release_slot(&self, slot: u32);
    /// How many slots were ever used: the rest need not be looked at.
    fn used_slots(&self) -> u32;
    /// Lays aside the flow that a packet wants made, for the stage that makes it.
    fn set_draft(&self, new: &NewFlow<N>);
    /// What was laid aside by this packet.
    fn draft(&self) -> Option<Self::Draft>;
    /// Gives a number back. To the verifier it is any number from here on, and not the one that it was on each
    /// of the ways that led here; so those are followed together.
    fn forget(&self, value: u32) -> u32;
    /// The slot that was laid aside beside it.
    fn place(&self) -> u32;
    /// Writes a forming flow into a reserved slot, and zeroes its counters; but it leaves `users` alone, which
    /// whoever found the slot's last mapping may have counted up, and is about to count down again.
    fn write_flow(&self, slot: u32, new: &NewFlow<N>);
    /// Changes the reply tuple of a forming flow.
    fn write_reply(&self, slot: u32, reply: &Tuple<N>);
    /// What a slot holds, but for the tuples; `None` if there is no such slot. Its generation is read last: if that
    /// is the one of a key, or of what was found by it, then so is the rest.
    fn status(&self, slot: u32) -> Option<Status>;
    /// A slot's generation, read anew.
    fn generation(&self, slot: u32) -> u32;
    /// One of a slot's two tuples.
    fn tuple(&self, slot: u32, direction: Direction) -> Tuple<N>;
    /// All that a packet needs of its flow to cross the host by it, of one moment; [`life::FREE`] if the slot changes
    /// hands at this moment.
    #[inline(always)]
    fn glance(&self, slot: u32, direction: Direction) -> Glance
    where
        Self: Tables<4>,
    {
        let generation = Tables::<4>::generation(self, slot);
        let status = Tables::<4>::status(self, slot).unwrap_or(Status::NOTHING);
        let tuple = |direction| Packed::from(&Tables::<4>::tuple(self, slot, direction));
        let (own, other) = (tuple(direction), tuple(direction.other()));
        let (last_seen, learnt) = (Tables::<4>::last_seen(self, slot), self.learnt(slot, direction));
        let life = if Tables::<4>::generation(self, slot) == generation { status.life } else { life::FREE };
        let Status { state, rule, kind, original_hook, reply_hook, .. } = status;
        Glance {
            generation,
            life,
            state,
            rule,
            kind,
            original_hook,
            reply_hook,
            own,
            other,
            last_seen,
            learnt,
        }
    }
    /// Moves a slot's life from one value to another; false if it had not the one. Ordered.
    fn change_life(&self, slot: u32, from: u32, to: u32) -> bool;
    /// When a slot's last packet came, in ticks.
    fn last_seen(&self, slot: u32) -> u32;
    /// Says that a flow was seen now. Ordered.
    fn touch(&self, slot: u32, now: u32);
    /// Adds state bits; the state before. Ordered.
    fn add_state(&self, slot: u32, bits: u32) -> u32;
    /// Takes state bits away. Ordered.
    fn clear_state(&self, slot: u32, bits: u32);
    /// Adds traffic and the time to a flow, unless its slot changed hands.
    fn record(&self, to: FlowRef, traffic: Traffic, now: u32);
    /// What a direction of a TCP flow last said of numbers: the end of what it has sent, and what it has
    /// acknowledged.
    fn numbers(&self, slot: u32, direction: Direction) -> (u32, u32);
    /// Notes that.
    fn note_numbers(&self, slot: u32, direction: Direction, end: u32, ack: u32);
    /// Counts a mapping's users up or down by one. Ordered.
    fn count_user(&self, slot: u32, up: bool);

    /// A word of a port bitmap.
    fn port_word(&self, shard: u32, word: u32) -> u64;
    /// Marks a port as in use; whether it was free. Ordered.
    fn take_port(&self, shard: u32, port: u16) -> bool;
    /// Marks a port as free. Ordered.
    fn give_port(&self, shard: u32, port: u16);
    /// What is known of searches through all ports of a bitmap that were in vain: a
    /// [`Fruitless`](crate::abi::port::Fruitless).
    fn fruitless_scan(&self, shard: u32) -> u32;
    /// Sets that.
    fn set_fruitless_scan(&self, shard: u32, known: u32);

    /// Flows that a cell of the source counters counts.
    fn source_cell(&self, cell: u32) -> u32;
    /// Counts one up or down.
    fn count_source(&self, cell: u32, up: bool);

    /// Whether an internal endpoint's mapping has sent to a remote address; the mapping's reference.
    fn contact(&self, key: &Tuple<N>) -> Option<FlowRef>;
    /// Remembers that it has.
    fn add_contact(&self, key: &Tuple<N>, mapping: FlowRef);

    /// The lab's settings.
    fn config(&self) -> Config;
    /// Now, in ticks.
    #[inline(always)]
    fn now<E: Env<N>>(&self, env: &E) -> u32 {
        clock::tick(env.now(), self.config().clock_offset)
    }
    /// One timeout of them, in ticks.
    fn timeout(&self, of: Timeout) -> u32;
    /// When the agent last swept, in ticks.
    fn last_sweep(&self) -> u32;
    /// When a refusal was last answered; sets it to `now`.
    fn last_answer(&self, now: u32) -> u32;

    /// Takes a flow away if it may go: [`end::reclaim`](crate::conntrack::end::reclaim), which a binding may
    /// put into a function of its own.
    fn reclaim(&self, slot: u32, now: u32, how: Ending) -> Fate;

    /// Adds a flow's packets to its rule; `new_flow` is 1 for the packet that made the flow, else 0.
    fn count_rule(&self, rule: u32, direction: Direction, traffic: Traffic, new_flow: u64);
    /// Counts a packet that a hook received.
    fn count_received(&self, hook: Hook, traffic: Traffic);
    /// Counts what became of it.
    fn count_verdict(&self, hook: Hook, verdict: Verdict, traffic: Traffic);
    /// Counts an event.
    fn count_event(&self, event: Event) {
        self.count_events(event, 1);
    }
    /// Counts an event that happened so many times.
    fn count_events(&self, event: Event, times: u64);
}

/// A packet as the host's routing looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<const N: usize> {
    /// Its addresses and ports, as they are.
    pub tuple: Tuple<N>,
    /// Its type of service.
    pub tos: u8,
    /// Bytes from its IP header on.
    pub len: u16,
    /// The interface on which the host's stack would see it come.
    pub on: u32,
}

/// Where a packet goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The interface that its route names; zero if the host would not just send it on, or knows no neighbour there.
    pub interface: u32,
    /// The Ethernet header up to its type, in words: the neighbour's address, and that interface's.
    pub ethernet: [u8; 12],
}

impl Hop {
    /// None.
    pub const NONE: Hop = Hop { interface: 0, ethernet: [0; 12] };
}

/// No place was left for a fragment to wait.
pub const NO_PLACE: u32 = u32::MAX;

/// Time, chance, the host's own sockets, and frames that wait.
pub trait Env<const N: usize> {
    /// Nanoseconds of `CLOCK_MONOTONIC`; a tick of some milliseconds is fine enough.
    fn now(&self) -> u64;
    /// An unpredictable number (RFC 6056 wants ports that cannot be guessed).
    fn random(&self) -> u32;
    /// Whether a socket of the host's would take a packet with this tuple: a connected one of its own, or one
    /// that listens or is bound at the destination.
    fn host_has_socket(&self, tuple: &Tuple<N>) -> bool;
    /// Whether frames can wait: only where one can be made to come to the hook again. Elsewhere the next four are
    /// not called.
    fn can_wait(&self) -> bool {
        false
    }
    /// Copies a packet's frame to a place that is the caller's; false if it is too long.
    fn copy<P: Packet>(&self, _packet: &P, _place: u32) -> bool {
        false
    }
    /// Lays the bytes of the packet at hand aside, because others are about to go in its place; how many, or zero if
    /// they are too many.
    fn put_away(&self) -> u32 {
        0
    }
    /// Sends on what is in a place, as if it came to the hook now; false if it was lost.
    fn send(&self, _place: u32, _hook: Hook) -> bool {
        false
    }
    /// Gives the packet at hand its bytes back, which are so many; false if it was lost.
    fn put_back(&self, _len: u32) -> bool {
        false
    }
    /// Whether a packet can go to the host's stack by its loopback interface from here.
    fn has_loopback(&self) -> bool {
        true
    }
    /// Where the host's routing would send a packet that it is given now.
    #[inline(always)]
    fn route(&self, _wanted: &Wanted<N>) -> Hop {
        Hop::NONE
    }
    /// Takes the steps of a search, up to so many.
    fn search<S: Search<N>, T: Tables<N>>(&self, tables: &T, steps: u32, search: &mut S);
}
