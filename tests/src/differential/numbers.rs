//! TCP's numbers in a script: what each side has sent decides which number is next.

use std::collections::HashMap;

use netlab_common::net::tcp;

use super::place::Talk;
use super::step::{Body, Place, Side, Step};

/// How far away a connection begins that is begun anew.
const LEAP: u32 = 1 << 22;

/// The next number of each side of each talk.
#[derive(Clone, Debug, Default)]
pub struct Numbers(HashMap<Talk, [u32; 2]>);

impl Numbers {
    /// A step's number and acknowledgement; both sides' next numbers move on with it.
    pub fn of(&mut self, step: &Step) -> (u32, u32) {
        let Body::Tcp { flags, seq, ack, len } = step.body else { return (0, 0) };
        let next = self.0.entry(step.talk).or_insert([1000, 500_000]);
        let (own, other) = if step.side == Side::Opener { (0, 1) } else { (1, 0) };
        let place = |next: u32, place: Place| match place {
            Place::Next => next,
            Place::Before(bytes) => next.wrapping_sub(bytes),
            Place::After(bytes) => next.wrapping_add(bytes),
            Place::Anew => next.wrapping_add(LEAP),
        };
        let acknowledged = if flags & tcp::ACK == 0 { 0 } else { place(next[other], ack) };
        let number = place(next[own], seq);
        if matches!(seq, Place::Next | Place::Anew) {
            let controls = u32::from(flags & tcp::SYN != 0) + u32::from(flags & tcp::FIN != 0);
            next[own] = number.wrapping_add(u32::from(len) + controls);
        }
        (number, acknowledged)
    }
}
