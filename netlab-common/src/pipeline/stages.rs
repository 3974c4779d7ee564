//! The stages as the pipeline calls them: each takes a number that says how, and gives one back. Whoever binds the
//! pipeline to a hook may make each a function that the verifier looks at by itself, once, whoever calls it and from
//! wherever: programs in which it has to follow every way through all of them are too large for it.

use super::{ahead, arrival, fragment, known, open, options, related, shortcut};
use crate::abi::hook::Hook;
use crate::answer;
use crate::conntrack::create;
use crate::conntrack::end;
use crate::packet::Packet;
use crate::tables::{Env, Tables};

/// The stages of one packet at one hook.
pub trait Stages {
    /// Takes the packet across the host at once, if it may; an [`Across`](super::Across) as a number.
    fn cross(&mut self, how: u32) -> u32;
    /// Reads the headers, and lays them aside.
    fn arrive(&mut self, how: u32) -> u32;
    /// Looks at the IP options.
    fn options(&mut self, how: u32) -> u32;
    /// Has a fragment wait whose first one did not come yet.
    fn wait(&mut self, how: u32) -> u32;
    /// Translates an ICMP error.
    fn relate(&mut self, how: u32) -> u32;
    /// Translates a packet by its flow.
    fn translate(&mut self, how: u32) -> u32;
    /// Lays the flow aside that the packet opens.
    fn open(&mut self, how: u32) -> u32;
    /// Reserves a slot for it.
    fn reserve(&mut self, how: u32) -> u32;
    /// Makes it.
    fn create(&mut self, how: u32) -> u32;
    /// Looks where a packet would go that is at a hook where it comes in; the number of a way, or zero.
    fn route(&mut self, how: u32) -> u32;
    /// As [`open`](Stages::open), as if the packet were on its way to the world already.
    fn open_ahead(&mut self, how: u32) -> u32;
    /// As [`translate`](Stages::translate), likewise; with the way's number in how.
    fn translate_ahead(&mut self, how: u32) -> u32;
    /// Readies a packet for the way of this number; the interface, zero, or [`LOST`](super::ahead::LOST).
    fn depart(&mut self, how: u32) -> u32;
    /// Has the flow of the packet remember the way of this number.
    fn remember(&mut self, how: u32) -> u32;
    /// Answers a packet that is refused.
    fn refuse(&mut self, how: u32) -> u32;
    /// Notes what this fragment says of those that come after it, and sends on what waits for it.
    fn release(&mut self, how: u32) -> u32;
}

/// The stages themselves.
#[derive(Debug)]
pub struct Here<'a, P, T, E> {
    /// Where the packet is.
    pub hook: Hook,
    /// The packet.
    pub packet: &'a mut P,
    /// What things are looked up in.
    pub tables: &'a T,
    /// What is around it.
    pub env: &'a E,
}

impl<P: Packet, T: Tables<4>, E: Env<4>> Stages for Here<'_, P, T, E> {
    #[inline(always)]
    fn cross(&mut self, _: u32) -> u32 {
        shortcut::take(self.hook, self.packet, self.tables, self.env).0
    }

    #[inline(always)]
    fn arrive(&mut self, _: u32) -> u32 {
        arrival::arrive(self.hook, self.packet, self.tables, self.env)
    }

    #[inline(always)]
    fn options(&mut self, _: u32) -> u32 {
        options::options(self.hook, self.packet, self.tables)
    }

    #[inline(always)]
    fn wait(&mut self, _: u32) -> u32 {
        fragment::wait(self.hook, self.packet, self.tables, self.env)
    }

    #[inline(always)]
    fn relate(&mut self, how: u32) -> u32 {
        related::relate(self.hook, self.packet, self.tables, self.env, how)
    }

    #[inline(always)]
    fn translate(&mut self, how: u32) -> u32 {
        known::translate(self.hook, self.packet, self.tables, self.env, how)
    }

    #[inline(always)]
    fn open(&mut self, how: u32) -> u32 {
        open::open(self.hook, self.packet, self.tables, self.env, how)
    }

    #[inline(always)]
    fn reserve(&mut self, _: u32) -> u32 {
        end::sweep_in_passing(self.tables, self.env, self.tables.now(self.env));
        u32::from(create::reserve(self.tables, self.env))
    }

    #[inline(always)]
    fn create(&mut self, _: u32) -> u32 {
        create::create(self.tables, self.env)
    }

    #[inline(always)]
    fn route(&mut self, how: u32) -> u32 {
        ahead::route(self.hook, self.packet, self.tables, self.env, how)
    }

    #[inline(always)]
    fn open_ahead(&mut self, how: u32) -> u32 {
        open::open(Hook::UplinkOut, self.packet, self.tables, self.env, how)
    }

    #[inline(always)]
    fn translate_ahead(&mut self, how: u32) -> u32 {
        known::translate(Hook::UplinkOut, self.packet, self.tables, self.env, how)
    }

    #[inline(always)]
    fn depart(&mut self, how: u32) -> u32 {
        ahead::depart(self.packet, self.tables, how)
    }

    #[inline(always)]
    fn remember(&mut self, how: u32) -> u32 {
        ahead::remember(self.tables, how);
        0
    }

    #[inline(always)]
    fn refuse(&mut self, _: u32) -> u32 {
        answer::refuse(self.hook, self.packet, self.tables, self.env)
    }

    #[inline(always)]
    fn release(&mut self, _: u32) -> u32 {
        fragment::release(self.hook, self.tables, self.env)
    }
}
