//! Where netlab is not like netfilter, and may: each difference by its name, with what must hold of the packet and
//! of what came of it on either side. Whatever fits none of them is a fault. The conditions are in `reasons`.

use netlab_common::net::{eth, ipv4, protocol, tcp};

use super::canonical::{Naming, alias, canonical, same_but_options};
use super::frame::{self, Moment};
use super::past::Before;
use super::place::{End, Talk, is_hosts, where_is};
use super::play::Heard;
use super::reasons;
use super::step::{Flaw, Options, Side, Step};
use super::whole::whole;
use crate::packet::checksum::checksums_valid;

/// What a twin made of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// Nothing came out.
    Nothing,
    /// The other party got it, translated as the rules say.
    Translated,
    /// It was sent on as it was.
    Untranslated,
    /// The host reset the connection.
    Reset,
    /// The host said with ICMP that it cannot be.
    Error,
    /// It was translated as if it opened a talk of its own.
    Mirrored,
    /// The host answered an echo request.
    Reply,
    /// Something else.
    Other,
}

/// A step with all that is known of it.
pub struct Scene<'a> {
    /// The step.
    pub step: &'a Step,
    /// Its TCP numbers.
    pub numbers: (u32, u32),
    /// Whether a twin has just given the opener a port.
    pub has_new_port: bool,
    /// The port under which netlab shows the opener.
    pub netlab_alias: u16,
    /// The port under which the kernel does.
    pub kernel_alias: u16,
    /// What came out of netlab's twin.
    pub netlab: &'a Heard,
    /// What came out of the kernel's.
    pub kernel: &'a Heard,
    /// How many packets conntrack called INVALID.
    pub invalid: u64,
    /// What has become of the talk before.
    pub past: Before,
    /// Whether the kernel gives the opener a port that its source has towards somebody else.
    pub kernel_follows: bool,
    /// Whether another talk has the opener's own port towards the same party: at netlab's, at the kernel's.
    pub is_anothers_port: (bool, bool),
    /// Whether the other party has sent to the opener's port before there was a flow.
    pub was_knocked_at: bool,
    /// Whether it goes where a packet through a forward has been, or should have come from there, which died on its
    /// way.
    pub is_about_the_dead: bool,
    /// Whether it answers what went untranslated before.
    pub is_answer_to_a_knock: bool,
}

/// A difference that is meant.
pub struct Explanation {
    /// The name, in the document and in figures.
    pub name: &'static str,
    /// What must hold.
    fits: fn(&Scene<'_>, Came, Came) -> bool,
}

/// All of them.
pub const EXPLAINED: [Explanation; 30] = [
    Explanation { name: "unsolicited", fits: reasons::unsolicited },
    Explanation { name: "forged_source", fits: reasons::forged_source },
    Explanation { name: "alien_source", fits: reasons::alien_source },
    Explanation { name: "invalid_leaks", fits: reasons::invalid_leaks },
    Explanation { name: "tcp_state", fits: reasons::tcp_state },
    Explanation { name: "wrong_checksum", fits: reasons::wrong_checksum },
    Explanation { name: "wrong_length", fits: reasons::wrong_length },
    Explanation { name: "only_netlab_has_it", fits: reasons::only_netlab_has_it },
    Explanation { name: "kernel_forgets", fits: reasons::kernel_forgets },
    Explanation { name: "anothers_after_the_end", fits: reasons::anothers_after_the_end },
    Explanation { name: "answerer_opens_anew", fits: reasons::answerer_opens_anew },
    Explanation { name: "port_is_not_kept", fits: reasons::port_is_not_kept },
    Explanation { name: "port_is_anothers", fits: reasons::port_is_anothers },
    Explanation { name: "port_follows_source", fits: reasons::port_follows_source },
    Explanation { name: "error_in_anothers_name", fits: reasons::error_in_anothers_name },
    Explanation { name: "router_in_clients_name", fits: reasons::router_in_clients_name },
    Explanation { name: "tuple_is_anothers", fits: reasons::tuple_is_anothers },
    Explanation { name: "odd_gre", fits: reasons::odd_gre },
    Explanation { name: "dccp", fits: reasons::dccp },
    Explanation { name: "udp_lite", fits: reasons::udp_lite },
    Explanation { name: "redirect_to_a_neighbour", fits: reasons::redirect_to_a_neighbour },
    Explanation { name: "dead_on_arrival", fits: reasons::dead_on_arrival },
    Explanation { name: "pieces_overlap", fits: reasons::pieces_overlap },
    Explanation { name: "piece_is_missing", fits: reasons::piece_is_missing },
    Explanation { name: "answers_the_unsolicited", fits: reasons::answers_the_unsolicited },
    Explanation { name: "error_is_a_hop_further", fits: reasons::error_is_a_hop_further },
    Explanation { name: "error_about_another_query", fits: reasons::error_about_another_query },
    Explanation { name: "answers_like_questions", fits: reasons::answers_like_questions },
    Explanation { name: "kernel_moves_a_port", fits: reasons::kernel_moves_a_port },
    Explanation { name: "straight_by_the_same_ports", fits: reasons::straight_by_the_same_ports },
];

impl Scene<'_> {
    /// Whether both twins did the same.
    pub fn is_same(&self) -> bool {
        let own = self.step.talk.ports.0;
        let kept = (self.netlab_alias == own, self.kernel_alias == own);
        if (self.has_new_port && kept.0 != kept.1) || !self.is_sound() {
            return false;
        }
        self.came_out_the_same()
    }

    pub(super) fn came_out_the_same(&self) -> bool {
        if (self.came(self.netlab), self.came(self.kernel)) == (Came::Mirrored, Came::Mirrored) {
            // They may differ in the port that each has chosen.
            return true;
        }
        // The time of day in an option is not the same for both.
        let stamped = self.step.shape.options == Options::Stamp && self.netlab.len() == self.kernel.len();
        let mut pairs = self.netlab.iter().zip(self.kernel);
        self.netlab == self.kernel
            || (stamped
                && pairs.all(|(ours, theirs)| ours.0 == theirs.0 && same_but_options(&ours.1, &theirs.1)))
    }

    /// Whether netlab's checksums are right, where those that were sent were.
    fn is_sound(&self) -> bool {
        self.step.shape.flaw != Flaw::None || self.netlab.iter().all(|(_, frame)| checksums_valid(frame))
    }

    /// Whether this explains the difference.
    pub fn fits(&self, explanation: &Explanation) -> bool {
        // A packet without hops left, or too big for the next wire, dies after it was translated; that it did shows
        // in the error.
        let meant = |heard: &Heard| match self.came(heard) {
            Came::Error if self.dies_on_its_way() && tells_of_death(heard) => Came::Translated,
            came => came,
        };
        self.is_sound() && (explanation.fits)(self, meant(self.netlab), meant(self.kernel))
    }

    /// Whether its way ends at the host although it is right.
    pub fn dies_on_its_way(&self) -> bool {
        self.step.shape.ttl <= 1 || self.is_too_big()
    }

    /// Whether the receiver's wire does not take it whole, and it must not be cut.
    fn is_too_big(&self) -> bool {
        self.step.shape.df
            && frame::translated(self.step, self.numbers).is_some_and(|(end, frames)| {
                frames.iter().any(|frame| frame.len() > eth::LEN + usize::from(end.mtu()))
            })
    }

    /// What one twin made of it.
    pub fn came(&self, heard: &Heard) -> Came {
        let [(end, only)] = &heard[..] else {
            return if heard.is_empty() { Came::Nothing } else { Came::Other };
        };
        let naming = |alias| Naming::of(self.step, alias);
        let is = |wanted: Option<(End, Vec<Vec<u8>>)>, alias: u16| {
            wanted.is_some_and(|(at, frames)| {
                let frames = whole(frames);
                let Some((made, [])) = frames.split_first() else { return false };
                at == *end && same_but_options(&canonical(made, &naming(alias), self.step.shape.id), only)
            })
        };
        let own = self.step.talk.ports.0;
        if self.step.talk.is_translated() && is(frame::translated(self.step, self.numbers), own) {
            return Came::Translated;
        }
        let moment = Moment { alias: self.kernel_alias, numbers: self.numbers };
        if is(frame::routed(self.step, moment), self.kernel_alias) {
            return Came::Untranslated;
        }
        if self.mirror(*end, only).is_some() {
            return Came::Mirrored;
        }
        self.hosts_answer(*end, only)
    }

    /// The talk that an answer has opened if it went out as if it were the first packet of one, and the port that this
    /// was given. Each twin has its own name for the opener, by which the answerer calls him.
    fn mirror(&self, end: End, frame: &[u8]) -> Option<(Talk, u16)> {
        [self.kernel_alias, self.netlab_alias].into_iter().find_map(|opener| {
            let mirror = self.step.mirrored(opener)?;
            let own = mirror.talk.ports.0;
            let chosen = alias(frame, &mirror.talk).unwrap_or(own);
            let name = |frame: &[u8], port| canonical(frame, &Naming::of(&mirror, port), mirror.shape.id);
            let (wanted, frames) = frame::translated(&mirror, self.numbers)?;
            let frames = whole(frames);
            let (first, []) = frames.split_first()? else { return None };
            let is_same = wanted == end && same_but_options(&name(first, own), &name(frame, chosen));
            is_same.then_some((mirror.talk, chosen))
        })
    }

    /// As [`Scene::mirror`], of what one twin made of the step.
    pub fn mirrored(&self, heard: &Heard) -> Option<(Talk, u16)> {
        let [(end, only)] = &heard[..] else { return None };
        self.mirror(*end, only).filter(|_| self.came(heard) == Came::Mirrored)
    }

    /// What the host itself says to the sender.
    fn hosts_answer(&self, end: End, frame: &[u8]) -> Came {
        let Some(header) = frame.get(eth::LEN..eth::LEN + ipv4::MIN_LEN) else { return Came::Other };
        let from = [header[12], header[13], header[14], header[15]];
        let to = [header[16], header[17], header[18], header[19]];
        if Some(end) != where_is(to) || !is_hosts(from) {
            return Came::Other;
        }
        let body = &frame[eth::LEN + usize::from(header[0] & 0x0f) * 4..];
        match header[ipv4::PROTOCOL] {
            protocol::TCP if body.get(tcp::FLAGS).is_some_and(|flags| flags & tcp::RST != 0) => Came::Reset,
            protocol::ICMP if body.first().is_some_and(|kind| frame::is_error(*kind)) => Came::Error,
            protocol::ICMP if body.first() == Some(&0) => Came::Reply,
            _ => Came::Other,
        }
    }

    /// Whether the twins differ in nothing but that the source has its own port at netlab's alone, from now on.
    pub(super) fn only_netlab_keeps_the_port(&self) -> bool {
        let own = self.step.talk.ports.0;
        self.has_new_port && self.netlab_alias == own && self.kernel_alias != own && self.came_out_the_same()
    }

    pub(super) fn is_from_the_world(&self) -> bool {
        self.step.sender() == Some(End::World)
    }

    pub(super) fn is_to_the_world(&self) -> bool {
        let Step { talk, side, .. } = self.step;
        let to = if *side == Side::Opener { talk.path().far } else { Some(talk.at) };
        !self.is_from_the_world() && to == Some(End::World)
    }
}

/// Whether this is a host's word that a packet had no hops left, or was too big for the next wire.
fn tells_of_death(heard: &Heard) -> bool {
    heard.iter().any(|(_, frame)| {
        let header = frame.get(eth::LEN).map_or(0, |first| usize::from(first & 0x0f) * 4);
        matches!(frame.get(eth::LEN + header..eth::LEN + header + 2), Some([11, _] | [3, 4]))
    })
}
