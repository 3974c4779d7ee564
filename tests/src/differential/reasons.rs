//! What must hold of a packet, and of what either twin made of it, for a difference to be one that is meant. One
//! predicate a name; docs/nat-behaviour.md says why netlab does as it does.

use netlab_common::net::{eth, icmp, ipv4, ports, protocol, tcp};

use super::explain::{Came, Scene};
use super::place::{Address, End, Talk, is_private};
use super::step::{Body, Flaw, Pieces, Quote, Side, Step};
use super::sums::{DCCP, GRE, UDP_LITE, has_ports, word};
use crate::need::has_links;

/// The world has sent to a node's private address.
pub(super) fn unsolicited(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    let Step { talk, side, shape, .. } = scene.step;
    // The kernel answers what dies on its way; who sends with a neighbour's address gets the answer in that one's place.
    let is_answered = kernel == Came::Error || (kernel == Came::Other && shape.askew != 0);
    (talk.at, *side) == (End::World, Side::Opener)
        && is_private(talk.to)
        && !is_private(talk.from)
        && netlab == Came::Nothing
        && (matches!(kernel, Came::Untranslated | Came::Translated) || is_answered)
}

/// The world has sent with a node's address.
pub(super) fn forged_source(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    let Step { talk, side, .. } = scene.step;
    (talk.at, *side) == (End::World, Side::Opener)
        && is_private(talk.from)
        && netlab == Came::Nothing
        && matches!(kernel, Came::Untranslated | Came::Translated | Came::Reset | Came::Error | Came::Reply)
}

/// A node has sent with an address that no rule covers.
pub(super) fn alien_source(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    let talk = scene.step.talk;
    scene.is_to_the_world()
        && scene.step.side == Side::Opener
        && !is_private(talk.from)
        && (netlab, kernel) == (Came::Nothing, Came::Untranslated)
}

/// The kernel has let something untranslated out because it did not know what it was.
pub(super) fn invalid_leaks(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    scene.invalid > 0 && scene.is_to_the_world() && (netlab, kernel) == (Came::Nothing, Came::Untranslated)
}

/// The kernel did not expect the segment, and left it alone.
pub(super) fn tcp_state(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    scene.invalid > 0
        && scene.step.talk.protocol == protocol::TCP
        && !matches!(scene.step.shape.flaw, Flaw::TransportSum | Flaw::DataOffset(_) | Flaw::TotalLen(_))
        && matches!(netlab, Came::Translated | Came::Mirrored)
        && matches!(kernel, Came::Untranslated | Came::Reset | Came::Nothing)
}

/// The kernel left a packet alone because of its transport checksum.
pub(super) fn wrong_checksum(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    scene.invalid > 0
        && scene.step.shape.flaw == Flaw::TransportSum
        && netlab == Came::Translated
        && matches!(kernel, Came::Untranslated | Came::Nothing)
}

/// The kernel left a packet alone because of its lengths.
pub(super) fn wrong_length(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    scene.invalid > 0
        && matches!(scene.step.shape.flaw, Flaw::DataOffset(_) | Flaw::UdpLen(_) | Flaw::TotalLen(_))
        && matches!(netlab, Came::Translated | Came::Nothing)
        // What is left alone that came to a forward is the host's own, and it may reset that.
        && matches!(kernel, Came::Untranslated | Came::Nothing | Came::Error | Came::Reset)
}

/// The packet that opened the flow at netlab's was nothing to the kernel.
pub(super) fn only_netlab_has_it(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    // To the kernel it may be of another talk, which was given the port.
    let is_anothers = kernel == Came::Other && scene.is_anothers_port.1;
    scene.past.is_netlabs
        && netlab == Came::Translated
        && (is_anothers
            || matches!(
                kernel,
                Came::Untranslated | Came::Nothing | Came::Reset | Came::Error | Came::Mirrored
            ))
}

/// A reset or a SYN has ended the kernel's flow and not netlab's.
pub(super) fn kernel_forgets(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    (scene.past.was_reset || scene.past.was_reopened)
        && netlab == Came::Translated
        && matches!(kernel, Came::Untranslated | Came::Nothing | Came::Reset | Came::Mirrored)
}

/// A SYN-ACK has ended netlab's flow and not the kernel's.
pub(super) fn anothers_after_the_end(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    (scene.past.was_reset || scene.past.was_closed)
        && matches!(netlab, Came::Nothing | Came::Reset | Came::Untranslated | Came::Mirrored)
        && (matches!(kernel, Came::Translated | Came::Mirrored | Came::Reset)
            // It may have put the client's address over a router's.
            || matches!(scene.step.body, Body::Complaint { router: true, .. }))
        && netlab != kernel
}

/// The side that had answered opens a closed connection.
pub(super) fn answerer_opens_anew(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    let is_syn = matches!(scene.step.body, Body::Tcp { flags: tcp::SYN, .. });
    is_syn
        && scene.step.side == Side::Answerer
        && scene.past.has_finished
        && netlab == Came::Translated
        && matches!(kernel, Came::Mirrored | Came::Reset | Came::Untranslated)
}

/// What nobody asked for has taken the port at the kernel's.
pub(super) fn port_is_not_kept(scene: &Scene<'_>, _: Came, _: Came) -> bool {
    scene.was_knocked_at && scene.only_netlab_keeps_the_port()
}

/// The port is free in one twin, and another talk has it in the other.
pub(super) fn port_is_anothers(scene: &Scene<'_>, _: Came, _: Came) -> bool {
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
pub(super) fn port_follows_source(scene: &Scene<'_>, _: Came, _: Came) -> bool {
    scene.kernel_follows && scene.only_netlab_keeps_the_port()
}

/// The host's errors differ in whose name they come.
pub(super) fn error_in_anothers_name(scene: &Scene<'_>, _: Came, _: Came) -> bool {
    let (netlab, kernel) = (scene.came(scene.netlab), scene.came(scene.kernel));
    let ([(end, ours)], [(other, theirs)]) = (&scene.netlab[..], &scene.kernel[..]) else { return false };
    end == other
        && (netlab, kernel) == (Came::Error, Came::Other)
        && without_source(ours) == without_source(theirs)
}

/// A router on a client's side says with ICMP that a packet did not come through; the kernel makes it the client.
pub(super) fn router_in_clients_name(scene: &Scene<'_>, _: Came, _: Came) -> bool {
    let ([(end, ours)], [(other, theirs)]) = (&scene.netlab[..], &scene.kernel[..]) else { return false };
    let source = eth::LEN + ipv4::SRC;
    matches!(scene.step.body, Body::Complaint { router: true, .. })
        && scene.step.side == Side::Opener
        && end == other
        && theirs[source..source + 4] == scene.step.talk.from
        && without_source(ours) == without_source(theirs)
}

/// A frame without its source address, the checksum over that, and its identification: each host numbers what it makes
/// itself, and now and then has a number that somebody else has used.
fn without_source(frame: &[u8]) -> Vec<u8> {
    let number = eth::LEN + ipv4::IDENTIFICATION..eth::LEN + ipv4::FRAGMENT;
    let source = eth::LEN + ipv4::CHECKSUM..eth::LEN + ipv4::DST;
    [&frame[..number.start], &frame[number.end..source.start], &frame[source.end..]].concat()
}

/// A packet of a protocol without ports that netlab could change, or with ports that it must not: the tuple is
/// another node's at netlab's, or at the kernel's, which may choose another port, or drop the packet later.
pub(super) fn tuple_is_anothers(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    let (at_netlabs, at_kernels) = scene.is_anothers_port;
    let is_fixed =
        !matches!(scene.step.talk.protocol, protocol::TCP | protocol::UDP | protocol::ICMP | UDP_LITE);
    let refused = |came| matches!(came, Came::Nothing | Came::Error);
    is_fixed
        && ((at_netlabs && refused(netlab))
            || ((at_kernels || scene.was_knocked_at)
                && netlab == Came::Translated
                && kernel != Came::Translated))
}

/// The kernel wants eight bytes of GRE where four are a header, and a quote of the version that it knows.
pub(super) fn odd_gre(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    let is_odd =
        matches!(scene.step.body, Body::Other { len: 0..4 } | Body::Complaint { quote: Quote::Unknown, .. });
    // What the header leaves of it, whatever was in the frame.
    let is_cut = matches!(scene.step.shape.flaw, Flaw::TotalLen(len) if usize::from(len) < ipv4::MIN_LEN + 8);
    scene.step.talk.protocol == GRE
        && (is_odd || is_cut)
        && (netlab, kernel) == (Came::Translated, Came::Nothing)
}

/// The kernel changes a DCCP packet's address and not the checksum over it.
pub(super) fn dccp(scene: &Scene<'_>, netlab: Came, _: Came) -> bool {
    scene.step.talk.protocol == DCCP && matches!(netlab, Came::Nothing | Came::Error)
}

/// The kernel calls a right UDP-Lite packet wrong.
pub(super) fn udp_lite(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    scene.invalid > 0
        && scene.step.talk.protocol == UDP_LITE
        && netlab == Came::Translated
        && matches!(kernel, Came::Untranslated | Came::Nothing)
}

/// A node redirects another one about packets that were translated.
pub(super) fn redirect_to_a_neighbour(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    matches!(scene.step.body, Body::Complaint { kind: 5, .. })
        && !scene.is_to_the_world()
        && (netlab, kernel) == (Came::Untranslated, Came::Nothing)
}

/// A forward's first packet did not get further than the host: netlab keeps its flow, and so the answers of a target
/// that was never asked belong to it. At the kernel's such an answer opens a talk of its own, to which
/// the other side may say something; at netlab's that has come to the host.
pub(super) fn dead_on_arrival(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    let is_of_the_kernels = scene.is_anothers_port == (false, true)
        && scene.step.side == Side::Answerer
        && matches!(netlab, Came::Nothing | Came::Error | Came::Reset)
        && kernel == Came::Translated;
    scene.is_about_the_dead || is_of_the_kernels
}

/// Pieces of a datagram overlap, which the kernel sees because it puts the datagram together.
pub(super) fn pieces_overlap(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    scene.step.shape.pieces == Pieces::Overlapping && netlab != Came::Nothing && kernel == Came::Nothing
}

/// A piece of a datagram does not come, and the kernel waits for it with all that came. netlab wants the first one, and
/// that only where it has ports that netlab knows of: DCCP's are none of them.
pub(super) fn piece_is_missing(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    let is_missing = match scene.step.shape.pieces {
        Pieces::Tailless => true,
        Pieces::Headless => !has_ports(scene.step.talk.protocol) || scene.step.talk.protocol == DCCP,
        _ => false,
    };
    is_missing && netlab != Came::Nothing && kernel == Came::Nothing
}

/// The kernel keeps a flow of what the world has sent to a node's private address, and lets answers leave with that.
pub(super) fn answers_the_unsolicited(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    scene.is_answer_to_a_knock
        && matches!(netlab, Came::Translated | Came::Mirrored | Came::Nothing)
        && kernel == Came::Untranslated
}

/// The host's error about a packet of its own node's to itself comes by the host's loopback, and that is a hop. Where no
/// program of netlab's is there, it does not come at all.
pub(super) fn error_is_a_hop_further(scene: &Scene<'_>, _: Came, _: Came) -> bool {
    let talk = scene.step.talk;
    let is_to_itself = talk.forward().is_some_and(|(target, _)| target.address() == talk.from);
    if !has_links() {
        return is_to_itself && scene.netlab.is_empty() && scene.came(scene.kernel) == Came::Error;
    }
    let ([(end, ours)], [(other, theirs)]) = (&scene.netlab[..], &scene.kernel[..]) else { return false };
    let ttl = eth::LEN + ipv4::TTL;
    let without = |frame: &[u8]| [&frame[..ttl], &frame[ttl + 1..ttl + 2], &frame[ttl + 4..]].concat();
    is_to_itself
        && (scene.came(scene.netlab), scene.came(scene.kernel)) == (Came::Error, Came::Error)
        && end == other
        && ours[ttl] + 1 == theirs[ttl]
        && without(ours) == without(theirs)
}

/// An error about a query of another type than the flow's, which the kernel leaves as it is.
pub(super) fn error_about_another_query(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    scene.invalid > 0
        && scene.step.talk.protocol == protocol::ICMP
        && matches!(scene.step.body, Body::Complaint { .. })
        && netlab == Came::Translated
        && matches!(kernel, Came::Untranslated | Came::Nothing)
}

/// A node asks itself by a forward, from the port that it also listens at: the kernel keeps that port, and then takes
/// the answers for more questions.
pub(super) fn answers_like_questions(scene: &Scene<'_>, netlab: Came, _: Came) -> bool {
    let talk = scene.step.talk;
    let target = talk.forward().map(|(target, port)| (target.address(), port));
    target == Some((talk.from, talk.ports.0)) && talk.ports.0 == talk.ports.1 && netlab == Came::Translated
}

/// The kernel keeps flows of what it does not translate, too, and changes a port where another flow has the tuple.
pub(super) fn kernel_moves_a_port(scene: &Scene<'_>, netlab: Came, kernel: Came) -> bool {
    let ([(end, ours)], [(other, theirs)]) = (&scene.netlab[..], &scene.kernel[..]) else { return false };
    let ports = eth::LEN + ipv4::MIN_LEN;
    (netlab, kernel) == (Came::Untranslated, Came::Other)
        && end == other
        && ours.get(..ports) == theirs.get(..ports)
        && ours.get(ports + 2..ports + 4) == theirs.get(ports + 2..ports + 4)
}

/// The host's own error about a packet that went straight to a forward's target, and looks like one of the sender's
/// flow through that forward.
pub(super) fn straight_by_the_same_ports(scene: &Scene<'_>, _: Came, _: Came) -> bool {
    let ([(end, ours)], [(other, theirs)]) = (&scene.netlab[..], &scene.kernel[..]) else { return false };
    let quote = eth::LEN + ipv4::MIN_LEN + icmp::LEN;
    let sender = |frame: &[u8]| {
        frame
            .get(quote + ipv4::SRC..quote + ipv4::DST)
            .zip(word(frame, quote + ipv4::MIN_LEN))
            .map(|(address, port)| (address.to_vec(), port))
    };
    let receiver = |frame: &[u8]| -> Option<(Address, u16)> {
        let address = frame.get(quote + ipv4::DST..quote + ipv4::MIN_LEN)?;
        Some((address.try_into().ok()?, word(frame, quote + ipv4::MIN_LEN + ports::DST)?))
    };
    let Some((to, straight_to)) = receiver(ours).zip(receiver(theirs)) else { return false };
    let by_forward = Talk { to: to.0, ports: (0, to.1), ..scene.step.talk }.forward();
    (scene.came(scene.netlab), scene.came(scene.kernel)) == (Came::Error, Came::Error)
        && end == other
        && sender(ours) == sender(theirs)
        && by_forward.map(|(target, port)| (target.address(), port)) == Some(straight_to)
}
