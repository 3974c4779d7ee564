//! The order of things: parse, look up, decide, advance, rewrite, and one verdict.
//!
//! Destinations change before routing (ingress hooks) and sources after it (egress hooks), as in netfilter,
//! so the kernel's routing, TTL, MTU and neighbours stay in charge between them. A flow is translated whole
//! at one hook in each direction, and remembers which: a masqueraded one where its opener's packets leave and
//! where the answers arrive, a forwarded one where its opener's packets arrive and where the answers leave.
//!
//! The stages are functions of their own, one after another and never one within another, and each parses the
//! packet for itself: a BPF program has 512 bytes of stack for all functions that are under way at once, and
//! one function has one register to give back. Only packets that belong to no flow see more than [`known`].

mod known;
mod open;

use crate::abi::clock;
use crate::abi::hook::Hook;
use crate::abi::verdict::Verdict;
use crate::answer;
use crate::conntrack::create::{Made, Refusal, create, reserve};
use crate::conntrack::end;
use crate::packet::Packet;
use crate::tables::{Env, Tables, Traffic};

/// What was decided about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The one verdict.
    pub verdict: Verdict,
    /// The packet was dropped, and its frame is now an ICMP error on its way to the sender.
    pub answered: bool,
}

/// What a stage comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The packet's fate is decided.
    Verdict(Verdict),
    /// It belongs to no flow, and may open one.
    Open,
    /// It bears the tuple of a flow that is translated at another hook.
    Stray,
    /// It wants a flow made, which is laid aside.
    Create,
    /// The host wants a flow of its own made, which is laid aside.
    CreateHost,
    /// It wants a mapping made first, which is laid aside.
    CreateMapping,
}

impl Stage {
    #[inline(always)]
    fn pack(self) -> u32 {
        match self {
            Stage::Verdict(verdict) => verdict as u32,
            Stage::Open => 0x100,
            Stage::Stray => 0x101,
            Stage::Create => 0x102,
            Stage::CreateMapping => 0x103,
            Stage::CreateHost => 0x104,
        }
    }

    #[inline(always)]
    fn unpack(packed: u32) -> Self {
        match packed {
            0x100 => Stage::Open,
            0x101 => Stage::Stray,
            0x102 => Stage::Create,
            0x103 => Stage::CreateMapping,
            0x104 => Stage::CreateHost,
            number => Stage::Verdict(Verdict::from_number(number)),
        }
    }
}

/// Where and when a packet is, and what can be looked up there.
struct Scene<'a, T, E> {
    hook: Hook,
    now: u32,
    tables: &'a T,
    env: &'a E,
}

impl<'a, T: Tables<4>, E: Env<4>> Scene<'a, T, E> {
    #[inline(always)]
    fn new(hook: Hook, tables: &'a T, env: &'a E) -> Self {
        Scene { hook, now: clock::tick(env.now(), tables.config().clock_offset), tables, env }
    }
}

/// Decides about one packet, changes it accordingly, and counts it.
#[inline(always)]
pub fn run<P: Packet, T: Tables<4>, E: Env<4>>(hook: Hook, packet: &mut P, tables: &T, env: &E) -> Decision {
    let frame = Traffic { packets: u64::from(packet.segments()), bytes: u64::from(packet.frame_len()) };
    tables.count_received(hook, frame);
    let verdict = match known::known(hook, packet, tables, env, None) {
        Stage::Verdict(verdict) => verdict,
        stage => match opened(hook, packet, tables, env, matches!(stage, Stage::Stray)) {
            Err(verdict) => verdict,
            Ok(made) => match known::known(hook, packet, tables, env, Some(made)) {
                Stage::Verdict(verdict) => verdict,
                // It was taken away in this very moment.
                _ => Verdict::FlowEnding,
            },
        },
    };
    let refused = matches!(verdict, Verdict::PortsExhausted | Verdict::TableFull | Verdict::SourceQuota);
    let answered = refused && answer::refuse(hook, packet, tables, env);
    tables.count_verdict(hook, verdict, frame);
    Decision { verdict, answered }
}

/// Has the flow made that a packet opens, or says what else becomes of the packet. A `stray` packet opens
/// nothing.
#[inline(always)]
fn opened<P: Packet, T: Tables<4>, E: Env<4>>(
    hook: Hook,
    packet: &P,
    tables: &T,
    env: &E,
    stray: bool,
) -> Result<Made, Verdict> {
    let mut stage = open::open(hook, packet, tables, env, stray);
    if stage == Stage::CreateMapping {
        created(tables, env)?;
        // Whoever made the mapping, this packet or one that was quicker, it is there now.
        stage = open::open(hook, packet, tables, env, stray);
    }
    match stage {
        Stage::Verdict(verdict) => Err(verdict),
        Stage::Create => created(tables, env),
        // The host's packets go on all the same, unless a node's flow would get the answers.
        Stage::CreateHost => created(tables, env).map_err(|verdict| match verdict {
            Verdict::PortsExhausted => verdict,
            _ => Verdict::NoRule,
        }),
        _ => Err(Verdict::FlowEnding),
    }
}

/// Makes what is laid aside, and room for it if there is none.
#[inline(always)]
fn created<T: Tables<4>, E: Env<4>>(tables: &T, env: &E) -> Result<Made, Verdict> {
    let now = clock::tick(env.now(), tables.config().clock_offset);
    end::sweep_in_passing(tables, env, now);
    if !reserve(tables, env) {
        return Err(Verdict::SourceQuota);
    }
    create(tables, env).map_err(|refusal| match refusal {
        Refusal::Full => Verdict::TableFull,
        Refusal::Ending => Verdict::FlowEnding,
        Refusal::NoPort => Verdict::PortsExhausted,
    })
}
