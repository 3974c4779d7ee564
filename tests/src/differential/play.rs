//! Plays a script on both twins at once, and tells step by step where they differ.

use std::collections::HashMap;
use std::fmt;

use super::canonical::{Naming, alias, canonical};
use super::explain::{Came, EXPLAINED, Explanation, Scene};
use super::frame::{Moment, askew, endpoints, frames};
use super::numbers::Numbers;
use super::past::Past;
use super::place::{End, Talk};
use super::step::{Body, Shape, Side, Step};
use super::twin::{Nat, Twin};
use super::whole::whole;
use crate::inside::stay_on_cpu;

/// What came out at the ends, comparable between twins.
pub type Heard = Vec<(End, Vec<u8>)>;

/// Both twins.
pub struct Twins {
    netlab: Player,
    kernel: Player,
    /// How many scripts were played.
    plays: u16,
}

/// A twin, and the ports it has chosen.
struct Player {
    twin: Twin,
    aliases: HashMap<Talk, u16>,
}

/// A step at which the twins differ and nobody has said why they may.
#[derive(Clone, Debug)]
pub struct Divergence {
    /// Its number in the script.
    pub at: usize,
    /// The step.
    pub step: Step,
    /// What came out.
    pub netlab: Heard,
    /// What came out.
    pub kernel: Heard,
    /// How many packets conntrack called INVALID.
    pub invalid: u64,
    /// What that is, in either twin.
    pub came: (Came, Came),
    /// The ports that the twins gave the opener.
    pub aliases: (u16, u16),
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Frames sent into each twin.
    pub packets: u64,
    /// Frames that came out of netlab's twin and were compared.
    pub outputs: u64,
    /// Talks of which a packet came through.
    pub talks: u64,
    /// Ports that were not the opener's own.
    pub renamed: u64,
    /// Steps at which the twins differed, by explanation.
    pub explained: [u64; EXPLAINED.len()],
}

impl Default for Figures {
    fn default() -> Self {
        Figures { packets: 0, outputs: 0, talks: 0, renamed: 0, explained: [0; EXPLAINED.len()] }
    }
}

impl Twins {
    /// Brings both up, and stays on one CPU: what is sent has then come out when the next frame has.
    pub fn new() -> Self {
        Self::with(Nat::Netlab)
    }

    /// The kernel's NAT twice: any difference is this test's own fault.
    pub fn alike() -> Self {
        Self::with(Nat::Kernel)
    }

    fn with(first: Nat) -> Self {
        let player = |nat| Player { twin: Twin::new(nat), aliases: HashMap::new() };
        let (netlab, kernel) = (player(first), player(Nat::Kernel));
        stay_on_cpu(0);
        Twins { netlab, kernel, plays: 0 }
    }

    /// Plays a script from the beginning, until the first difference that has no explanation.
    pub fn play(&mut self, script: &[Step], figures: &mut Figures) -> Option<Divergence> {
        let mut first = None;
        self.survey(script, figures, |divergence| {
            first = Some(divergence);
            false
        });
        first
    }

    /// Plays a script, and hands over each difference without an explanation, as long as more are wanted.
    pub fn survey(
        &mut self,
        script: &[Step],
        figures: &mut Figures,
        mut more: impl FnMut(Divergence) -> bool,
    ) {
        for player in [&mut self.netlab, &mut self.kernel] {
            player.twin.forget();
            player.aliases.clear();
        }
        self.plays = self.plays.wrapping_add(1);
        let (mut numbers, mut past) = (Numbers::default(), Past::default());
        let mut invalid = self.kernel.twin.invalid();
        for (at, step) in script.iter().enumerate() {
            let step = &self.as_opened(&self.renumbered(step));
            if self.netlab.is_anothers(step) || self.kernel.is_anothers(step) {
                continue;
            }
            let own = numbers.of(step);
            let (netlab, packets, new) = self.netlab.step(step, own);
            let (kernel, _, new_too) = self.kernel.step(step, own);
            figures.packets += packets;
            figures.outputs += netlab.len() as u64;
            let now = self.kernel.twin.invalid();
            let news = now - std::mem::replace(&mut invalid, now);
            let mirrors = past.is_a_mirrors_port(step);
            let scene = Scene {
                step,
                numbers: own,
                has_new_port: new || new_too,
                netlab_alias: self.netlab.alias(step),
                kernel_alias: self.kernel.alias(step),
                netlab: &netlab,
                kernel: &kernel,
                invalid: news,
                past: past.of(&step.talk),
                kernel_follows: self.kernel.had_port(&step.talk),
                is_anothers_port: (
                    mirrors.0 || self.netlab.is_anothers_port(step),
                    mirrors.1 || self.kernel.is_anothers_port(step),
                ),
                was_knocked_at: past.was_knocked_at(&step.talk),
                is_answer_to_a_knock: past.is_answer_to_a_knock(step),
                is_about_the_dead: past.is_about_the_dead(step),
            };
            let same = scene.is_same();
            past.note(&scene);
            if same {
                continue;
            }
            match EXPLAINED.iter().position(|explanation: &Explanation| scene.fits(explanation)) {
                Some(number) => figures.explained[number] += 1,
                None => {
                    let came = (scene.came(&netlab), scene.came(&kernel));
                    let aliases = (scene.netlab_alias, scene.kernel_alias);
                    if !more(Divergence { at, step: *step, netlab, kernel, invalid: news, came, aliases }) {
                        return;
                    }
                }
            }
        }
        figures.talks += self.netlab.aliases.len() as u64;
        figures.renamed +=
            self.netlab.aliases.iter().filter(|(talk, alias)| talk.ports.0 != **alias).count() as u64;
    }

    /// A step whose identification no script before it has had: pieces of datagrams wait for each other longer than
    /// a script lasts.
    fn renumbered(&self, step: &Step) -> Step {
        let id = step.shape.id.wrapping_add(self.plays.wrapping_mul(257));
        Step { shape: Shape { id, ..step.shape }, ..*step }
    }

    /// An answer in a talk that has no flow opens a talk of its own: the step as one of that.
    fn as_opened(&self, step: &Step) -> Step {
        let has_flow = |player: &Player| player.aliases.contains_key(&step.talk);
        match step.mirrored(step.talk.ports.0) {
            Some(mirrored) if !has_flow(&self.netlab) && !has_flow(&self.kernel) => mirrored,
            _ => *step,
        }
    }

    /// Whether a port that a twin drew by chance is one that scripts use. Then chance may have made a difference,
    /// and the script is to be played again.
    pub fn were_unlucky(&self, script: &[Step]) -> bool {
        let used =
            |port: u16| script.iter().any(|step| [step.talk.ports.0, step.talk.ports.1].contains(&port));
        let drawn = |player: &Player| {
            player.aliases.iter().any(|(talk, alias)| talk.ports.0 != *alias && used(*alias))
        };
        drawn(&self.netlab) || drawn(&self.kernel)
    }
}

impl Default for Twins {
    fn default() -> Self {
        Self::new()
    }
}

impl Player {
    fn alias(&self, step: &Step) -> u16 {
        self.aliases.get(&step.talk).copied().unwrap_or(step.talk.ports.0)
    }

    /// Whether another talk of the same source has the same port.
    fn had_port(&self, talk: &Talk) -> bool {
        let port = self.aliases.get(talk);
        self.aliases.iter().any(|(other, alias)| {
            other != talk
                && (other.from, other.ports.0, other.protocol) == (talk.from, talk.ports.0, talk.protocol)
                && Some(alias) == port
        })
    }

    /// Whether another talk has the opener's own port towards the same party, or the answerer's if he opens one.
    fn is_anothers_port(&self, step: &Step) -> bool {
        let mirrored = step.mirrored(step.talk.ports.0);
        self.has_anothers_port(step) || mirrored.is_some_and(|mirrored| self.has_anothers_port(&mirrored))
    }

    fn has_anothers_port(&self, step: &Step) -> bool {
        let (talk, path) = (step.talk, step.talk.path());
        let seen = (path.seen, talk.ports.0);
        self.aliases.iter().filter(|(other, _)| **other != talk && other.protocol == talk.protocol).any(
            |(other, alias)| {
                let there = other.path();
                (there.target, (there.seen, *alias)) == (path.target, seen)
                    || ((other.from, other.ports.0), (other.to, other.ports.1)) == (path.target, seen)
            },
        )
    }

    /// Whether a packet has the very addresses and ports of another talk, in either direction, or an answer from
    /// elsewhere those of a forward: then the step says nothing about its own talk.
    fn is_anothers(&self, step: &Step) -> bool {
        let (talk, alias) = (step.talk, self.alias(step));
        let (from, to) = endpoints(step, alias);
        let from = askew(step, from);
        let mut others =
            self.aliases.iter().filter(|(other, _)| **other != talk && other.protocol == talk.protocol);
        let is_met = others.any(|(other, alias)| {
            let path = other.path();
            (from, to) == (path.target, (path.seen, *alias))
                || (from, to) == ((other.from, other.ports.0), (other.to, other.ports.1))
        });
        let opens = Talk { at: End::World, from: from.0, to: to.0, ports: (from.1, to.1), ..talk };
        is_met || (step.shape.askew != 0 && opens.forward().is_some())
    }

    /// Sends a step's frames and gathers what comes out.
    fn step(&mut self, step: &Step, numbers: (u32, u32)) -> (Heard, u64, bool) {
        let Some(sender) = step.sender() else { return (Vec::new(), 0, false) };
        let mut is_new = false;
        let frames = frames(step, Moment { alias: self.alias(step), numbers });
        self.twin.send(sender, &frames);
        let mut heard = Vec::new();
        let came = self.twin.gather();
        for end in End::ALL {
            let there = came.iter().filter(|(at, _)| *at == end).map(|(_, frame)| frame.clone());
            heard.extend(whole(there.collect()).into_iter().map(|frame| (end, frame)));
        }
        if step.side == Side::Opener && step.shape.askew == 0 {
            let far = step.talk.path().far;
            let learnt = heard.iter().filter(|(end, _)| Some(*end) == far);
            if let Some(port) = learnt.filter_map(|(_, frame)| alias(frame, &step.talk)).next_back() {
                is_new = self.aliases.insert(step.talk, port) != Some(port);
            }
        }
        let naming = Naming::of(step, self.alias(step));
        let heard =
            heard.into_iter().map(|(end, frame)| (end, canonical(&frame, &naming, step.shape.id))).collect();
        (heard, frames.len() as u64, is_new)
    }
}

impl Divergence {
    /// What kind of difference it is, in a line.
    pub fn kind(&self) -> String {
        let Step { talk, side, body, shape } = self.step;
        let carries = match body {
            Body::Tcp { flags, .. } => format!("TCP {flags:#04x}"),
            Body::Complaint { kind, quote, .. } => format!("ICMP error {kind}, {quote:?}"),
            Body::Query { kind, .. } => format!("ICMP {kind}"),
            _ => format!("protocol {}", talk.protocol),
        };
        let way = if talk.forward().is_some() { "forward" } else { "route" };
        let (ours, theirs) = self.came;
        let (at, far) = (talk.at, talk.path().far);
        let (flaw, pieces, askew) = (shape.flaw, shape.pieces, shape.askew);
        format!(
            "{ours:?}, {theirs:?}: {carries}, {side:?} of {way} {at:?} {far:?}, {flaw:?}, {pieces:?}, askew {askew}, \
             {} invalid",
            self.invalid
        )
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "step {}: {:?}", self.at, self.step)?;
        for (name, heard) in [("netlab", &self.netlab), ("kernel", &self.kernel)] {
            if heard.is_empty() {
                writeln!(f, "  {name}: nothing")?;
            }
            for (end, frame) in heard {
                let hex: Vec<_> = frame
                    .chunks(4)
                    .take(32)
                    .map(|four| four.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
                    .collect();
                writeln!(f, "  {name}: at {end:?}, {} bytes: {}", frame.len(), hex.join(" "))?;
            }
        }
        let (netlab, kernel) = self.came;
        writeln!(
            f,
            "  {netlab:?}, {kernel:?}; ports {:?}; conntrack called {} packets INVALID",
            self.aliases, self.invalid
        )
    }
}
