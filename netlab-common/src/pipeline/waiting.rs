//! The places in which fragments wait: taking one, giving it back, and sending on what waits in them. Any number of
//! CPUs may be at that at once, each on its own way through the places.

use crate::abi::clock;
use crate::abi::event::Event;
use crate::abi::fragment::{FRAGMENT_TICKS, FragmentKey, WAITING, place};
use crate::abi::hook::Hook;
use crate::packet::Packet;
use crate::tables::{Env, NO_PLACE, Search, Tables};

/// The place that is so many behind a first one; the last is followed by the first.
#[inline(always)]
fn nth(first: u32, index: u32) -> u32 {
    first.wrapping_add(index) & (WAITING - 1)
}

/// A search for a place in which a fragment can wait.
pub struct Vacancy {
    first: u32,
    now: u32,
    place: u32,
    turn: u32,
}

impl Vacancy {
    /// One that has not begun.
    #[inline(always)]
    pub fn of<T: Tables<4>>(key: &FragmentKey<4>, tables: &T, now: u32) -> Self {
        Vacancy { first: key.first_place(tables.config().seed), now, place: NO_PLACE, turn: 0 }
    }

    /// Has a fragment wait in the place that was found; false if it does not.
    #[inline(always)]
    pub fn keep<P: Packet, T: Tables<4>, E: Env<4>>(
        &self,
        packet: &P,
        tables: &T,
        env: &E,
        key: &FragmentKey<4>,
    ) -> bool {
        if self.place == NO_PLACE {
            return false;
        }
        tables.set_waits(self.place, key, self.now);
        let fits = env.copy(packet, self.place);
        self.change(tables, place::BUSY, if fits { place::TAKEN } else { place::FREE });
        fits
    }

    /// Takes the fragment back; false if it has gone on already.
    #[inline(always)]
    pub fn take_back<T: Tables<4>>(&self, tables: &T) -> bool {
        self.change(tables, place::TAKEN, place::FREE)
    }

    #[inline(always)]
    fn change<T: Tables<4>>(&self, tables: &T, from: u32, to: u32) -> bool {
        tables.change_place(self.place, self.turn | from, self.turn | to)
    }
}

impl Search<4> for Vacancy {
    #[inline(always)]
    fn step<T: Tables<4>, E: Env<4>>(&mut self, tables: &T, _: &E, index: u32) -> bool {
        let place = nth(self.first, index);
        let state = tables.place_state(place);
        let is_over = state & place::WHAT == place::TAKEN
            && clock::since(self.now, tables.waits_since(place)) >= FRAGMENT_TICKS;
        let turn = (state & !place::WHAT).wrapping_add(place::TURN);
        if (state & place::WHAT != place::FREE && !is_over)
            || !tables.change_place(place, state, turn | place::BUSY)
        {
            return false;
        }
        if is_over {
            tables.count_event(Event::FragmentLost);
        }
        self.place = place;
        self.turn = turn;
        true
    }
}

/// A search for fragments that wait for one datagram's first, each of which is sent on where it is found.
pub struct Release {
    key: FragmentKey<4>,
    hook: Hook,
    now: u32,
    first: u32,
    /// Bytes of the first fragment, once it has been put away; zero before.
    put_away: u32,
    /// How many went.
    pub went: u32,
}

impl Release {
    /// One that has not begun.
    #[inline(always)]
    pub fn of<T: Tables<4>>(hook: Hook, key: &FragmentKey<4>, tables: &T, now: u32) -> Self {
        let first = key.first_place(tables.config().seed);
        Release { key: *key, hook, now, first, put_away: 0, went: 0 }
    }

    /// Gives the first fragment its bytes back if it was put away; false if it is lost.
    #[inline(always)]
    pub fn restore<E: Env<4>>(&self, env: &E) -> bool {
        self.put_away == 0 || env.put_back(self.put_away)
    }
}

impl Search<4> for Release {
    #[inline(always)]
    fn step<T: Tables<4>, E: Env<4>>(&mut self, tables: &T, env: &E, index: u32) -> bool {
        let place = nth(self.first, index);
        let state = tables.place_state(place);
        // Whose it is, is only written before its state becomes this one: if that still stands below, so does this.
        if state & place::WHAT != place::TAKEN || !tables.waits_for(place, &self.key) {
            return false;
        }
        if self.put_away == 0 {
            self.put_away = env.put_away();
            if self.put_away == 0 {
                return true;
            }
        }
        let turn = state & !place::WHAT;
        if tables.change_place(place, state, turn | place::BUSY) {
            let is_timely = clock::since(self.now, tables.waits_since(place)) < FRAGMENT_TICKS;
            if is_timely && env.send(place, self.hook) {
                self.went += 1;
            } else {
                tables.count_event(Event::FragmentLost);
            }
            tables.change_place(place, turn | place::BUSY, turn | place::FREE);
        }
        false
    }
}
