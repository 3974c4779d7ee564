//! The order of things: parse, look up, decide, advance, rewrite, and one verdict.
//!
//! Destinations change before routing (ingress hooks) and sources after it (egress hooks), as in netfilter,
//! so the kernel's routing, TTL, MTU and neighbours stay in charge between them. A flow is translated whole
//! at one hook in each direction, and remembers which: a masqueraded one where its opener's packets leave and
//! where the answers arrive, a forwarded one where its opener's packets arrive and where the answers leave.
//!
//! The stages are functions of their own, one after another and never one within another: a BPF program has 512
//! bytes of stack for all functions that are under way at once, and one function has one register to give back.
//! What else passes between them lies in a map. Most packets see [`shortcut`] only, and most others [`arrival`],
//! [`known`] and [`ahead`].

mod ahead;
mod arrival;
mod fragment;
mod known;
mod local;
mod open;
mod options;
mod related;
mod shortcut;
mod stages;
mod waiting;
mod ways;

pub use shortcut::Across;
pub use stages::{Here, Stages};

use self::arrival::Arrival;
use crate::abi::hook::Hook;
use crate::abi::verdict::{Disposition, Verdict};
use crate::conntrack::create::{Made, Refusal};
use crate::packet::Packet;
use crate::tables::{Env, Tables, Traffic};

/// What was decided about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The one verdict.
    pub verdict: Verdict,
    /// Which way it goes.
    pub way: Way,
    /// Where to, if that is across. Not in the way itself: of the others it would be undefined bytes, which LLVM copies
    /// all the same, and the verifier refuses to see that.
    pub across: Across,
}

impl Decision {
    /// A packet that goes no special way to another interface.
    #[inline(always)]
    fn here(verdict: Verdict, way: Way) -> Self {
        Decision { verdict, way, across: Across::NOT }
    }
}

/// Which way a packet goes that is not dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// On, as without netlab.
    Onward,
    /// The packet itself was dropped, and its frame is now an ICMP error on its way to the sender.
    Back,
    /// Right to another interface, past the host's stack.
    Across,
    /// To the host's stack, by way of its loopback interface, where packets may come from the host's own addresses.
    Loopback,
}

/// What a stage comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The packet's fate is decided.
    Verdict(Verdict),
    /// It is decided, and the packet goes by the loopback interface.
    Loopback(Verdict),
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
    /// What was looked at apart, its options or its place among fragments, is no hindrance.
    Again,
}

/// The bit of a stage's number that is said by [`Stage::Loopback`].
const LOOPBACK: u32 = 0x200;

impl Stage {
    #[inline(always)]
    fn pack(self) -> u32 {
        match self {
            Stage::Verdict(verdict) => verdict as u32,
            Stage::Loopback(verdict) => LOOPBACK | verdict as u32,
            Stage::Open => 0x100,
            Stage::Stray => 0x101,
            Stage::Create => 0x102,
            Stage::CreateMapping => 0x103,
            Stage::CreateHost => 0x104,
            Stage::Again => 0x105,
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
            0x105 => Stage::Again,
            number if number & LOOPBACK != 0 => Stage::Loopback(Verdict::from_number(number & !LOOPBACK)),
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
        Scene { hook, now: tables.now(env), tables, env }
    }
}

/// Decides about one packet, changes it accordingly, and counts it.
#[inline(always)]
pub fn run<P: Packet, T: Tables<4>, E: Env<4>>(hook: Hook, packet: &mut P, tables: &T, env: &E) -> Decision {
    let frame = frame(packet);
    decide(hook, || frame, &mut Here { hook, packet, tables, env }, tables)
}

/// What hooks count of a packet.
#[inline(always)]
pub fn frame<P: Packet>(packet: &P) -> Traffic {
    Traffic { packets: u64::from(packet.segments()), bytes: u64::from(packet.frame_len()) }
}

/// As [`run`], with stages of the caller's: a packet that is this much on the wire comes to a hook.
#[inline(always)]
pub fn decide<S: Stages, T: Tables<4>>(
    hook: Hook,
    frame: impl FnOnce() -> Traffic,
    stages: &mut S,
    tables: &T,
) -> Decision {
    let mut how = 0;
    if hook.is_ingress() {
        match Across(stages.cross(0)) {
            Across::NOT => {}
            Across::UNKNOWN => how = known::UNKNOWN,
            Across::LOST => return Decision::here(Verdict::RewriteFailed, Way::Onward),
            Across::ENDING => return Decision::here(Verdict::FlowEnding, Way::Onward),
            across => return Decision { verdict: Verdict::Established, way: Way::Across, across },
        }
    }
    let frame = frame();
    tables.count_received(hook, frame);
    let arrival = Arrival(stages.arrive(0));
    let stage = match arrival.verdict() {
        Some(verdict) => Stage::Verdict(verdict),
        None => judged(stages, arrival, how),
    };
    if let Stage::Verdict(verdict) = stage
        && arrival.is_plain()
        && tables.epoch() != 0
    {
        let (interface, became) = sent_ahead(hook, verdict, frame, stages, tables);
        if interface != 0 {
            return gone_ahead(hook, verdict, interface, became, frame, tables);
        }
    }
    let (verdict, way) = match stage {
        Stage::Loopback(verdict) => (verdict, Way::Loopback),
        Stage::Verdict(verdict) => (verdict, Way::Onward),
        // It was taken away in this very moment.
        _ => (Verdict::FlowEnding, Way::Onward),
    };
    let refused = matches!(
        verdict,
        Verdict::PortsExhausted | Verdict::TableFull | Verdict::SourceQuota | Verdict::AddressConflict
    );
    let way = if refused && stages.refuse(0) != 0 { Way::Back } else { way };
    // The last stage, because what is sent on may come to its hook at once, and lays its own headers aside.
    let lost = arrival.is_first() && stages.release(0) == fragment::LOST;
    let (verdict, way) = if lost { (Verdict::RewriteFailed, Way::Onward) } else { (verdict, way) };
    tables.count_verdict(hook, verdict, frame);
    Decision::here(verdict, way)
}

/// Decides about a packet whose headers are laid aside.
#[inline(always)]
fn judged<S: Stages>(stages: &mut S, arrival: Arrival, how: u32) -> Stage {
    if arrival.has_options()
        && let Stage::Verdict(verdict) = Stage::unpack(stages.options(0))
    {
        return Stage::Verdict(verdict);
    }
    let how = if arrival.is_translated() { known::TRANSLATED } else { how };
    if arrival.is_error() {
        return Stage::unpack(stages.relate(how));
    }
    let mut stage = Stage::Again;
    if arrival.is_early() {
        stage = Stage::unpack(stages.wait(0));
    }
    if stage == Stage::Again {
        stage = Stage::unpack(stages.translate(how));
    }
    if matches!(stage, Stage::Verdict(_) | Stage::Loopback(_)) {
        return stage;
    }
    match opened(stages, if stage == Stage::Stray { open::STRAY } else { 0 }, S::open) {
        Err(verdict) => Stage::Verdict(verdict),
        Ok(made) => Stage::unpack(stages.translate(known::how(made))),
    }
}

/// Sends a packet on that has got a verdict where it came in, past the host's stack, if it may. What it wants made is made
/// before it is changed: if it cannot be, the packet goes by the stack, and is refused where it leaves.
///
/// The interface, zero if it goes by the stack, or [`ahead::LOST`]; and the verdict of the hook that it leaves by, or its
/// own. Not an `Option`, for which LLVM would copy bytes that are undefined, and the verifier refuses to see those.
#[inline(always)]
fn sent_ahead<S: Stages, T: Tables<4>>(
    hook: Hook,
    verdict: Verdict,
    frame: Traffic,
    stages: &mut S,
    tables: &T,
) -> (u32, Verdict) {
    let is_translated = matches!(verdict, Verdict::Created | Verdict::Established);
    let leaves = hook == Hook::PortIn && matches!(verdict, Verdict::NoRule | Verdict::InFlow);
    if !hook.is_ingress() || !(is_translated || leaves) {
        return (0, verdict);
    }
    let number = stages.route(if leaves { ahead::TO_THE_WORLD } else { 0 });
    if number == 0 {
        return (0, verdict);
    }
    let mut how = 0;
    if leaves && verdict == Verdict::NoRule {
        match opened(stages, 0, S::open_ahead) {
            Ok(made) => how = known::how(made),
            Err(_) => return (0, verdict),
        }
    }
    let interface = stages.depart(number);
    if interface == 0 || interface == ahead::LOST {
        return (interface, Verdict::RewriteFailed);
    }
    if is_translated {
        stages.remember(number);
        return (interface, verdict);
    }
    tables.count_verdict(hook, verdict, frame);
    tables.count_received(Hook::UplinkOut, frame);
    (interface, left(stages, how | number << ahead::WAY_SHIFT))
}

/// Translates a packet that leaves for the world.
#[inline(always)]
fn left<S: Stages>(stages: &mut S, how: u32) -> Verdict {
    match Stage::unpack(stages.translate_ahead(how)) {
        Stage::Verdict(verdict) => verdict,
        _ => Verdict::FlowEnding,
    }
}

/// Takes a frame across that has come to a port before there is an skb of it: it is of a flow that knows its way, or opens
/// one towards the world. Whatever else it is, it stays as it came, and is not counted: there are hooks for that.
#[inline(always)]
pub fn cross_early<S: Stages, T: Tables<4>>(
    frame: impl FnOnce() -> Traffic,
    stages: &mut S,
    tables: &T,
) -> Across {
    let across = Across(stages.cross(0));
    if across != Across::UNKNOWN {
        return across;
    }
    let arrival = Arrival(stages.arrive(0));
    if arrival.verdict().is_some() || !arrival.is_plain() {
        return Across::NOT;
    }
    let number = stages.route(ahead::TO_THE_WORLD);
    if number == 0 {
        return Across::NOT;
    }
    let Ok(made) = opened(stages, 0, S::open_ahead) else { return Across::NOT };
    let interface = stages.depart(number);
    if interface == 0 {
        return Across::NOT;
    }
    let frame = frame();
    tables.count_received(Hook::PortIn, frame);
    if interface == ahead::LOST {
        tables.count_verdict(Hook::PortIn, Verdict::RewriteFailed, frame);
        return Across::LOST;
    }
    tables.count_verdict(Hook::PortIn, Verdict::NoRule, frame);
    tables.count_received(Hook::UplinkOut, frame);
    let verdict = left(stages, known::how(made) | number << ahead::WAY_SHIFT);
    tables.count_verdict(Hook::UplinkOut, verdict, frame);
    if verdict.disposition() == Disposition::Dropped { Across::LOST } else { Across(interface) }
}

/// Counts the last verdict of a packet that was sent on.
#[inline(always)]
fn gone_ahead<T: Tables<4>>(
    hook: Hook,
    came: Verdict,
    interface: u32,
    became: Verdict,
    frame: Traffic,
    tables: &T,
) -> Decision {
    let leaves = hook == Hook::PortIn && matches!(came, Verdict::NoRule | Verdict::InFlow);
    let at = if leaves && interface != ahead::LOST { Hook::UplinkOut } else { hook };
    tables.count_verdict(at, became, frame);
    let is_lost = became.disposition() == Disposition::Dropped;
    Decision {
        verdict: became,
        way: if is_lost { Way::Onward } else { Way::Across },
        across: Across(interface),
    }
}

/// Has the flow made that a packet opens, or says what else becomes of the packet.
#[inline(always)]
fn opened<S: Stages>(stages: &mut S, how: u32, open: impl Fn(&mut S, u32) -> u32) -> Result<Made, Verdict> {
    let mut stage = Stage::unpack(open(stages, how));
    if stage == Stage::CreateMapping {
        created(stages)?;
        // Whoever made the mapping, this packet or one that was quicker, it is there now.
        stage = Stage::unpack(open(stages, how));
    }
    match stage {
        Stage::Verdict(verdict) => Err(verdict),
        Stage::Create => created(stages),
        // The host's packets go on all the same, unless a node's flow would get the answers.
        Stage::CreateHost => created(stages).map_err(|verdict| match verdict {
            Verdict::PortsExhausted | Verdict::AddressConflict => verdict,
            _ => Verdict::NoRule,
        }),
        _ => Err(Verdict::FlowEnding),
    }
}

/// Makes what is laid aside, and room for it if there is none.
#[inline(always)]
fn created<S: Stages>(stages: &mut S) -> Result<Made, Verdict> {
    if stages.reserve(0) == 0 {
        return Err(Verdict::SourceQuota);
    }
    Made::unpack(stages.create(0)).map_err(|refusal| match refusal {
        Refusal::Full => Verdict::TableFull,
        Refusal::Ending => Verdict::FlowEnding,
        Refusal::NoPort => Verdict::PortsExhausted,
        Refusal::Conflict => Verdict::AddressConflict,
    })
}
