//! Finding a free external port: in a bitmap, or, when that has none, by trying all for one remote.

use super::end::Ending;
use crate::abi::flow::{FlowRef, Tuple};
use crate::net::hash;
use crate::tables::{Claim, Env, Search, Tables};

/// Steps that [`Seek`] may need: each word of a bitmap, and the first once more.
pub const SEEK_STEPS: u32 = crate::abi::port::WORDS as u32 + 1;

/// What is looked for: a reply key of which only the destination port is open.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<const N: usize> {
    /// The key; once the search has ended well, the one that was claimed.
    pub reply: Tuple<N>,
    /// Where it shall lead.
    pub to: FlowRef,
    /// What the claim came to.
    pub claim: Claim,
    /// Whether the port's bit in the bitmap is the flow's own.
    pub owned: bool,
    /// Whether the ports of the host's own sockets are left to them.
    pub avoid_sockets: bool,
    /// The bitmap.
    pub shard: u32,
    /// First port of the range.
    pub first: u32,
    /// Last port of the range.
    pub last: u32,
    /// Now, in ticks.
    pub now: u32,
}

impl<const N: usize> Wanted<N> {
    /// Tries a port, whose bit is marked already if `marked`; true when there is no need to try another.
    #[inline(always)]
    fn try_port<T: Tables<N>, E: Env<N>>(&mut self, tables: &T, env: &E, port: u32, marked: bool) -> bool {
        self.reply.dport = (port as u16).to_be_bytes();
        if !(self.avoid_sockets && env.host_has_socket(&self.reply)) {
            tables.write_reply(self.to.slot(), &self.reply);
            self.claim = tables.claim_key(&self.reply, self.to);
        }
        self.owned = marked && self.claim == Claim::Won;
        if marked && !self.owned {
            tables.give_port(self.shard, port as u16);
        }
        self.claim != Claim::Taken
    }
}

/// The search for a clear bit of a bitmap within a range, from an unpredictable place on (RFC 6056). A bit
/// that is found is marked at once, and then the key is claimed.
#[derive(Clone, Copy, Debug)]
pub struct Seek<const N: usize> {
    /// What is looked for.
    pub wanted: Wanted<N>,
    /// The word where the search begins, from the range's first word on.
    start: u32,
    /// Words that the range has a part of.
    words: u32,
    /// Which of a word's ports is preferred.
    rotate: u32,
}

impl<const N: usize> Seek<N> {
    /// A search in a range.
    #[inline(always)]
    #[must_use]
    pub fn new(wanted: Wanted<N>, random: u32) -> Self {
        let words = (wanted.last >> 6) - (wanted.first >> 6) + 1;
        Seek { wanted, start: hash::below(random, words), words, rotate: random & 63 }
    }
}

/// The bits of a word that lie within a range of ports.
#[inline(always)]
fn within(word: u32, first: u32, last: u32) -> u64 {
    let mut mask = u64::MAX;
    if word == first >> 6 {
        mask &= u64::MAX << (first & 63);
    }
    if word == last >> 6 {
        mask &= u64::MAX >> (63 - (last & 63));
    }
    mask
}

/// The number of the lowest bit that is set; `bits` is not zero. The compiler's own count becomes a table in
/// BPF, which has no such instruction.
#[inline(always)]
fn lowest(bits: u64) -> u32 {
    let mut rest = bits;
    let mut number = 0;
    if rest & 0xffff_ffff == 0 {
        rest >>= 32;
        number += 32;
    }
    if rest & 0xffff == 0 {
        rest >>= 16;
        number += 16;
    }
    if rest & 0xff == 0 {
        rest >>= 8;
        number += 8;
    }
    if rest & 0xf == 0 {
        rest >>= 4;
        number += 4;
    }
    if rest & 0x3 == 0 {
        rest >>= 2;
        number += 2;
    }
    if rest & 0x1 == 0 {
        number += 1;
    }
    number
}

impl<const N: usize> Search<N> for Seek<N> {
    #[inline(always)]
    fn step<T: Tables<N>, E: Env<N>>(&mut self, tables: &T, env: &E, index: u32) -> bool {
        if index > self.words {
            return true;
        }
        let mut from_first = self.start + index;
        if from_first >= self.words {
            from_first -= self.words;
        }
        let Wanted { shard, first, last, .. } = self.wanted;
        let word = (first >> 6) + from_first;
        let free = !tables.port_word(shard, word) & within(word, first, last);
        if free == 0 {
            return false;
        }
        let bit = (lowest(free.rotate_right(self.rotate)) + self.rotate) & 63;
        let port = word * 64 + bit;
        // Where another CPU was quicker, whatever else is free in this word is found in the last step if this
        // was the first, or by trying all.
        tables.take_port(shard, port as u16) && self.wanted.try_port(tables, env, port, true)
    }
}

/// The search for a port that is free for one remote, although its bitmap is full: others in the bitmap may
/// have what is free here, and what is taken may be over. It goes on with what [`Seek`] left.
#[derive(Debug)]
pub struct Scan<'a, const N: usize> {
    wanted: &'a mut Wanted<N>,
    start: u32,
}

impl<'a, const N: usize> Scan<'a, N> {
    /// A search through all ports of the range.
    #[inline(always)]
    #[must_use]
    pub fn new(wanted: &'a mut Wanted<N>, random: u32) -> Self {
        let start = hash::below(random, wanted.last - wanted.first + 1);
        Scan { wanted, start }
    }

    /// Steps that it may need.
    #[inline(always)]
    #[must_use]
    pub fn steps(&self) -> u32 {
        self.wanted.last - self.wanted.first + 1
    }

    /// Steps after which it may be given up: all of a small range.
    #[inline(always)]
    #[must_use]
    pub fn some_steps(&self) -> u32 {
        let all = self.steps();
        if all < SOME { all } else { SOME }
    }
}

/// Ports that a packet may try for its remote in any case.
pub const SOME: u32 = 64;

impl<const N: usize> Search<N> for Scan<'_, N> {
    #[inline(always)]
    fn step<T: Tables<N>, E: Env<N>>(&mut self, tables: &T, env: &E, index: u32) -> bool {
        let mut port = self.wanted.first + self.start + index;
        if port > self.wanted.last {
            port -= self.wanted.last - self.wanted.first + 1;
        }
        self.wanted.reply.dport = (port as u16).to_be_bytes();
        let Some(to) = tables.find_key(&self.wanted.reply) else {
            return self.wanted.try_port(tables, env, port, false);
        };
        // What is over and may go makes way.
        tables.reclaim(to.slot(), self.wanted.now, Ending::Expired).is_gone()
            && self.wanted.try_port(tables, env, port, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_exactly_the_bits_between_its_ends() {
        for (first, last) in [(0, 65_535), (1024, 65_535), (40_000, 40_000), (63, 64), (100, 300), (127, 128)]
        {
            let counted: u32 =
                (first >> 6..=last >> 6).map(|word| within(word, first, last).count_ones()).sum();
            assert_eq!(counted, last - first + 1, "{first}-{last}");
        }
    }

    #[test]
    fn the_lowest_bit_is_found_wherever_it_is() {
        for bit in 0..64 {
            assert_eq!(lowest(1 << bit), bit);
            assert_eq!(lowest(u64::MAX << bit), bit);
        }
    }
}
