//! Where netlab is not like netfilter, and may: each difference by its name, with what must hold of the packet and
//! of what came of it on either side. Whatever fits none of them is a fault. docs/nat-behaviour.md has the reasons.

use netlab_common::net::{eth, ipv4, protocol, tcp};

use super::canonical::{Naming, alias, canonical, same_but_options};
use super::frame::{self, Moment};
use super::past::Before;
use super::place::{End, is_hosts, is_private, where_is};
use super::play::Heard;
use super::step::{Body, Flaw, Options, Side, Step};
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
}

/// A difference that is meant.
pub struct Explanation {
    /// The name, in the document and in figures.
    pub name: &'static str,
    /// What must hold.
    fits: fn(&Scene<'_>, Came, Came) -> bool,
}

/// All of them.
pub const EXPLAINED: [Explanation; 16] = [
    Explanation { name: "unsolicited", fits: unsolicited },
    Explanation { name: "forged_source", fits: forged_source },
    Explanation { name: "alien_source", fits: alien_source },
    Explanation { name: "invalid_leaks", fits: invalid_leaks },
    Explanation { name: "tcp_state", fits: tcp_state },
    Explanation { name: "wrong_checksum", fits: wrong_checksum },
    Explanation { name: "wrong_length", fits: wrong_length },
    Explanation { name: "only_netlab_has_it", fits: only_netlab_has_it },
    Explanation { name: "kernel_forgets", fits: kernel_forgets },
    Explanation { name: "anothers_after_the_end", fits: anothers_after_the_end },
    Explanation { name: "answerer_opens_anew", fits: answerer_opens_anew },
    Explanation { name: "port_is_not_kept", fits: port_is_not_kept },
    Explanation { name: "port_is_anothers", fits: port_is_anothers },
    Explanation { name: "port_follows_source", fits: port_follows_source },
    Explanation { name: "error_in_anothers_name", fits: error_in_anothers_name },
    Explanation { name: "router_in_clients_name", fits: router_in_clients_name },
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

    fn came_out_the_same(&self) -> bool {
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
        // A packet without hops left dies after it was translated; that it did shows in the error.
        let meant =
            |came| if self.step.shape.ttl <= 1 && came == Came::Error { Came::Translated } else { came };
        (explanation.fits)(self, meant(self.came(self.netlab)), meant(self.came(self.kernel)))
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
        if self.is_mirrored(*end, only) {
            return Came::Mirrored;
        }
        self.hosts_answer(*end, only)
    }

    /// Whether an answer went out as if it were the first packet of a talk of its own.
    fn is_mirrored(&self, end: End, frame: &[u8]) -> bool {
        let Some(mirror) = self.step.mirrored(self.kernel_alias) else { return false };
        let own = mirror.talk.ports.0;
        let chosen = alias(frame, &mirror.talk).unwrap_or(own);
        let name = |frame: &[u8], port| canonical(frame, &Naming::of(&mirror, port), mirror.shape.id);
        frame::translated(&mirror, self.numbers).is_some_and(|(wanted, frames)| {
            let frames = whole(frames);
            let Some((first, [])) = frames.split_first() else { return false };
            wanted == end && same_but_options(&name(first, own), &name(frame, chosen))
        })
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
    fn only_netlab_keeps_the_port(&self) -> bool {
        let own = self.step.talk.ports.0;
        self.has_new_port && self.netlab_alias == own && self.kernel_alias != own && self.came_out_the_same()
    }

    fn is_from_the_world(&self) -> bool {
        self.step.sender() == Some(End::World)
    }

    fn is_to_the_world(&self) -> bool {
        let Step { talk, side, .. } = self.step;
        let to = if *side == Side::Opener { talk.path().far } else { Some(talk.at) };
        !self.is_from_the_world() && to == Some(End::World)
    }
}

/// The world has sent to a node's private address.
fn unsolicited(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    let Step { talk, side, .. } = scene.step;
    (talk.at, *side) == (End::World, Side::Opener)
        && is_private(talk.to)
        && !is_private(talk.from)
        && netlab == Came::Nothing
        && matches!(kernel, Came::Untranslated | Came::Translated | Came::Error)
}

/// The world has sent with a node's address.
fn forged_source(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    let Step { talk, side, .. } = scene.step;
    (talk.at, *side) == (End::World, Side::Opener)
        && is_private(talk.from)
        && netlab == Came::Nothing
        && matches!(kernel, Came::Untranslated | Came::Translated | Came::Reset | Came::Error | Came::Reply)
}

/// A node has sent with an address that no rule covers.
fn alien_source(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    let talk = scene.step.talk;
    scene.is_to_the_world()
        && scene.step.side == Side::Opener
        && !is_private(talk.from)
        && (netlab, kernel) == (Came::Nothing, Came::Untranslated)
}

/// The kernel has let something untranslated out because it did not know what it was.
fn invalid_leaks(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    scene.invalid > 0 && scene.is_to_the_world() && (netlab, kernel) == (Came::Nothing, Came::Untranslated)
}

/// The kernel did not expect the segment, and left it alone.
fn tcp_state(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    scene.invalid > 0
        && scene.step.talk.protocol == protocol::TCP
        && !matches!(scene.step.shape.flaw, Flaw::TransportSum | Flaw::DataOffset(_) | Flaw::TotalLen(_))
        && matches!(netlab, Came::Translated | Came::Mirrored)
        && matches!(kernel, Came::Untranslated | Came::Reset | Came::Nothing)
}

/// The kernel left a packet alone because of its transport checksum.
fn wrong_checksum(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    scene.invalid > 0
        && scene.step.shape.flaw == Flaw::TransportSum
        && netlab == Came::Translated
        && matches!(kernel, Came::Untranslated | Came::Nothing)
}

/// The kernel left a packet alone because of its lengths.
fn wrong_length(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    scene.invalid > 0
        && matches!(scene.step.shape.flaw, Flaw::DataOffset(_) | Flaw::UdpLen(_) | Flaw::TotalLen(_))
        && netlab == Came::Translated
        && matches!(kernel, Came::Untranslated | Came::Nothing)
}

/// The packet that opened the flow at netlab's was nothing to the kernel.
fn only_netlab_has_it(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    scene.past.is_netlabs
        && netlab == Came::Translated
        && matches!(kernel, Came::Untranslated | Came::Nothing | Came::Reset | Came::Error | Came::Mirrored)
}

/// A reset or a SYN has ended the kernel's flow and not netlab's.
fn kernel_forgets(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    (scene.past.was_reset || scene.past.was_reopened)
        && netlab == Came::Translated
        && matches!(kernel, Came::Untranslated | Came::Nothing | Came::Reset | Came::Mirrored)
}

/// A SYN-ACK has ended netlab's flow and not the kernel's.
fn anothers_after_the_end(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    (scene.past.was_reset || scene.past.was_closed)
        && matches!(netlab, Came::Nothing | Came::Reset | Came::Untranslated | Came::Mirrored)
        && matches!(kernel, Came::Translated | Came::Mirrored | Came::Reset)
        && netlab != kernel
}

/// The side that had answered opens a closed connection.
fn answerer_opens_anew(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    let is_syn = matches!(scene.step.body, Body::Tcp { flags: tcp::SYN, .. });
    is_syn
        && scene.step.side == Side::Answerer
        && scene.past.has_finished
        && netlab == Came::Translated
        && matches!(kernel, Came::Mirrored | Came::Reset | Came::Untranslated)
}

/// What nobody asked for has taken the port at the kernel's.
fn port_is_not_kept(scene: &Scene<'_>, _: Came, _: Came) -> bool {
    scene.was_knocked_at && scene.only_netlab_keeps_the_port()
}

/// The port is free in one twin, and another talk has it in the other.
fn port_is_anothers(scene: &Scene<'_>, _: Came, _: Came) -> bool {
    let own = scene.step.talk.ports.0;
    let (at_netlabs, at_kernels) = scene.is_anothers_port;
    let past = scene.past;
    let is_why = match (scene.netlab_alias == own, scene.kernel_alias == own) {
        (false, true) => at_netlabs || past.was_mirrored.0,
        (true, false) => at_kernels || past.was_mirrored.1,
        _ => false,
    };
    scene.has_new_port && is_why && scene.came_out_the_same()
}

/// The kernel gives the source a port that it has elsewhere already.
fn port_follows_source(scene: &Scene<'_>, _: Came, _: Came) -> bool {
    scene.kernel_follows && scene.only_netlab_keeps_the_port()
}

/// The host's errors differ in whose name they come.
fn error_in_anothers_name(scene: &Scene<'_>, _: Came, _: Came) -> bool {
    let (netlab, kernel) = (scene.came(scene.netlab), scene.came(scene.kernel));
    let ([(end, ours)], [(other, theirs)]) = (&scene.netlab[..], &scene.kernel[..]) else { return false };
    end == other
        && (netlab, kernel) == (Came::Error, Came::Other)
        && without_source(ours) == without_source(theirs)
}

/// A router on a client's side says with ICMP that a packet did not come through; the kernel makes it the client.
fn router_in_clients_name(scene: &Scene<'_>, _: Came, _: Came) -> bool {
    let ([(end, ours)], [(other, theirs)]) = (&scene.netlab[..], &scene.kernel[..]) else { return false };
    let source = eth::LEN + ipv4::SRC;
    matches!(scene.step.body, Body::Complaint { router: true, .. })
        && scene.step.side == Side::Opener
        && end == other
        && theirs[source..source + 4] == scene.step.talk.from
        && without_source(ours) == without_source(theirs)
}

/// A frame without its source address and the checksum over that.
fn without_source(frame: &[u8]) -> Vec<u8> {
    let source = eth::LEN + ipv4::CHECKSUM..eth::LEN + ipv4::DST;
    [&frame[..source.start], &frame[source.end..]].concat()
}
