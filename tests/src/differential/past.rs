//! What a script has made of each talk so far, as far as it says why the twins differ later.

use std::collections::{HashMap, HashSet};

use netlab_common::net::tcp;

use super::explain::{Came, Scene};
use super::frame::{askew, endpoints};
use super::place::{Endpoint, Talk};
use super::step::{Body, Pieces, Side, Step};

/// What is known of a talk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// Whether a packet opened a flow of it in netlab's twin, and nothing has in the kernel's.
    pub is_netlabs: bool,
    is_known: bool,
    /// Whether a reset was sent.
    pub was_reset: bool,
    /// Whether a side has closed.
    pub has_finished: bool,
    /// Whether both sides have closed.
    pub was_closed: bool,
    /// Whether a side has opened it anew after that.
    pub was_reopened: bool,
    /// Whether an answer opened a flow of its own: in netlab's twin, in the kernel's.
    pub was_mirrored: (bool, bool),
    finished: [bool; 2],
}

/// What is known of all talks.
#[derive(Clone, Debug, Default)]
pub struct Past {
    talks: HashMap<Talk, Before>,
    /// Protocol, sender and receiver of what was not translated: the kernel keeps flows of that, too.
    knocks: HashSet<(u8, Endpoint, Endpoint)>,
    /// Protocol, target and opener of talks whose packet died behind a forward, as either side sees them.
    dead: HashMap<(u8, Endpoint, Endpoint), Talk>,
    /// Protocol, target and opener, as the target sees him, of talks that answers have opened: in netlab's twin, in the
    /// kernel's.
    mirrors: [HashSet<(u8, Endpoint, Endpoint)>; 2],
}

impl Past {
    /// Of one.
    pub fn of(&self, talk: &Talk) -> Before {
        self.talks.get(talk).copied().unwrap_or_default()
    }

    /// Whether the answerer of a talk has sent to its opener's port before anybody asked it to.
    pub fn was_knocked_at(&self, talk: &Talk) -> bool {
        let path = talk.path();
        self.knocks.contains(&(talk.protocol, path.target, (path.seen, talk.ports.0)))
    }

    /// Whether a step answers what came untranslated.
    pub fn is_answer_to_a_knock(&self, step: &Step) -> bool {
        let (from, to) = endpoints(step, step.talk.ports.0);
        self.knocks.contains(&(step.talk.protocol, to, from))
    }

    /// Whether a step has to do with a packet that died behind a forward, and of which only netlab keeps a flow.
    pub fn is_about_the_dead(&self, step: &Step) -> bool {
        let (talk, path) = (step.talk, step.talk.path());
        let is_dead = |(from, to)| {
            let dead = |one, other| self.dead.get(&(talk.protocol, one, other));
            dead(from, to).or_else(|| dead(to, from)).is_some_and(|dead| !self.of(dead).is_known)
        };
        is_dead(endpoints(step, talk.ports.0)) || is_dead((path.target, (path.seen, talk.ports.0)))
    }

    /// Whether a talk that an answer has opened has the opener's own port towards the same party: in netlab's twin, in the
    /// kernel's.
    pub fn is_a_mirrors_port(&self, step: &Step) -> (bool, bool) {
        let path = step.talk.path();
        let wanted = (step.talk.protocol, path.target, (path.seen, step.talk.ports.0));
        let [at_netlabs, at_kernels] = self.mirrors.each_ref().map(|mirrors| mirrors.contains(&wanted));
        (at_netlabs, at_kernels)
    }

    /// Takes in what came of one more step.
    pub fn note(&mut self, scene: &Scene<'_>) {
        if scene.came(scene.kernel) != Came::Translated {
            let (from, to) = endpoints(scene.step, scene.kernel_alias);
            self.knocks.insert((scene.step.talk.protocol, askew(scene.step, from), to));
        }
        let Step { talk, side, shape, .. } = scene.step;
        if *side == Side::Opener && scene.dies_on_its_way() && talk.forward().is_some() {
            let path = talk.path();
            for (one, other) in [
                (path.target, (path.seen, talk.ports.0)),
                ((talk.to, talk.ports.1), (talk.from, talk.ports.0)),
            ] {
                self.dead.insert((talk.protocol, one, other), *talk);
            }
        }
        for (heard, mirrors) in [scene.netlab, scene.kernel].into_iter().zip(&mut self.mirrors) {
            if let Some((mirror, port)) = scene.mirrored(heard) {
                let path = mirror.path();
                mirrors.insert((mirror.protocol, path.target, (path.seen, port)));
            }
        }
        let before = self.talks.entry(scene.step.talk).or_default();
        let came = (scene.came(scene.netlab), scene.came(scene.kernel));
        before.was_mirrored.0 |= came.0 == Came::Mirrored;
        before.was_mirrored.1 |= came.1 == Came::Mirrored;
        if let Body::Tcp { flags, .. } = scene.step.body {
            before.was_reopened |= flags == tcp::SYN && before.has_finished;
            before.was_reset |= flags & tcp::RST != 0;
            before.finished[scene.step.side as usize] |= flags & tcp::FIN != 0;
            before.has_finished = before.finished != [false; 2];
            before.was_closed = before.finished == [true; 2];
        }
        before.is_known |= came.1 == Came::Translated;
        // Pieces that do not make a datagram have no other name.
        let is_in_pieces = shape.pieces != Pieces::Whole && came.0 == Came::Other;
        before.is_netlabs |= came.0 == Came::Translated || is_in_pieces;
        before.is_netlabs &= !before.is_known;
    }
}
