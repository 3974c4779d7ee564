//! ICMP errors: who is told of a packet that went through a flow is told in his own addresses, and what is
//! quoted to him is the packet that he sent (RFC 5508, section 4).

use super::open::{from_a_node, from_the_world, hidden, is_from_a_node};
use super::{Scene, Stage, known, local};
use crate::abi::flow::Tuple;
use crate::abi::hook::Hook;
use crate::abi::verdict::Verdict;
use crate::conntrack::{self, Entry, Lookup};
use crate::net::{checksum, icmp, ipv4, ports};
use crate::packet::{Covered, Headers, Packet, Quote, Transport, parse_quote};
use crate::rewrite::{self, Rewrite};
use crate::tables::{Env, Tables};

/// Translates an ICMP error by the flow that it is about, or says what else becomes of it: a [`Stage`] as a number.
///
/// An error changes nothing of the flow: neither does it keep it alive (RFC 5508 REQ-6), nor does it end it
/// (RFC 5382 REQ-10).
#[inline(always)]
pub fn relate<P: Packet, T: Tables<4>, E: Env<4>>(
    hook: Hook,
    packet: &mut P,
    tables: &T,
    env: &E,
    how: u32,
) -> u32 {
    if how & known::TRANSLATED != 0 {
        return Stage::Verdict(Verdict::NoRule).pack();
    }
    let scene = Scene::new(hook, tables, env);
    let Some(headers) = tables.headers() else { return Stage::Stray.pack() };
    let headers: &Headers<4> = &headers;
    let len: [u8; 2] = packet.load(headers.ip() + ipv4::TOTAL_LEN).unwrap_or([0; 2]);
    let end = headers.ip() + usize::from(u16::from_be_bytes(len));
    let Some(quote) = parse_quote(packet, headers.transport() + icmp::LEN, end) else {
        return Stage::Verdict(stranger(packet, headers, &scene, None)).pack();
    };
    // Who sent the quoted packet would get an answer with this tuple, and the error takes the answer's way.
    let answer = quote.tuple.inverse();
    let entry = match conntrack::lookup(tables, &answer, scene.now) {
        Lookup::Live(entry) if is_met_here(&entry, &scene) && headers.tuple.dst == answer.dst => entry,
        Lookup::Live(_) if scene.hook == Hook::PortIn => return Stage::Verdict(Verdict::InFlow).pack(),
        _ => return Stage::Verdict(stranger(packet, headers, &scene, Some(&answer))).pack(),
    };
    let verdict = translate(packet, headers, &quote, &entry);
    if scene.hook.is_ingress() {
        packet.set_translated();
    }
    let loops = entry.is_the_hosts_way() || scene.hook == Hook::LocalOut;
    let stage = if loops && verdict == Verdict::Related {
        local::by_loopback(packet, headers, &scene, verdict)
    } else {
        Stage::Verdict(verdict)
    };
    stage.pack()
}

/// Whether errors about a flow are translated here. Those that the host itself makes about a packet with one of its
/// own addresses never come in by a port; they are met on their way to itself.
#[inline(always)]
fn is_met_here<T: Tables<4>, E: Env<4>>(entry: &Entry<4>, scene: &Scene<'_, T, E>) -> bool {
    let there = entry.is_translated_at(scene.hook);
    let made_here = scene.hook == Hook::LocalOut && entry.is_translated_at(Hook::PortIn);
    (there || made_here) && (scene.env.has_loopback() || !entry.is_the_hosts_way())
}

#[inline(always)]
fn translate<P: Packet>(packet: &mut P, headers: &Headers<4>, quote: &Quote<4>, entry: &Entry<4>) -> Verdict {
    let outer = Rewrite { from: quote.tuple.inverse(), to: entry.translated() };
    if outer.from == outer.to {
        return Verdict::HostFlow;
    }
    if unquote(packet, headers, quote, &outer).is_none() || readdress(packet, headers, &outer).is_none() {
        return Verdict::RewriteFailed;
    }
    Verdict::Related
}

/// Gives the error itself other addresses. Where the flow hides its answering side, it hides every router on the
/// way there too: an error that one of those sent comes from the address that the flow shows (RFC 5508 REQ-5c).
#[inline(always)]
fn readdress<P: Packet>(packet: &mut P, headers: &Headers<4>, rewrite: &Rewrite<4>) -> Option<()> {
    if rewrite.from.src != rewrite.to.src {
        rewrite::replace_address(packet, headers, ipv4::SRC, headers.tuple.src, rewrite.to.src)?;
    }
    if rewrite.from.dst != rewrite.to.dst {
        rewrite::replace_address(packet, headers, ipv4::DST, headers.tuple.dst, rewrite.to.dst)?;
    }
    Some(())
}

/// Translates the quoted packet back: it went the other way, so what is the answer's destination is its source.
///
/// Its transport checksum is brought up to date, right or wrong, if the quote reaches so far (REQ-3c: it is not
/// validated), and the error's own checksum follows each change.
#[inline(always)]
fn unquote<P: Packet>(
    packet: &mut P,
    headers: &Headers<4>,
    quote: &Quote<4>,
    answer: &Rewrite<4>,
) -> Option<()> {
    let (from, to) = (answer.from.inverse(), answer.to.inverse());
    let field = headers.transport() + icmp::CHECKSUM;
    let mut words = Words { packet, field };
    let mut header: [u8; 2] = words.packet.load(quote.ip + ipv4::CHECKSUM)?;
    let before = header;
    header = checksum::update(header, from.src, to.src);
    header = checksum::update(header, from.dst, to.dst);
    words.replace(quote.ip + ipv4::CHECKSUM, before, header)?;
    words.replace(quote.ip + ipv4::SRC, from.src, to.src)?;
    words.replace(quote.ip + ipv4::DST, from.dst, to.dst)?;
    if quote.checksum != 0 {
        let before: [u8; 2] = words.packet.load(quote.checksum)?;
        words.replace(quote.checksum, before, transport_checksum(before, quote.kind, &from, &to))?;
    }
    match quote.kind {
        Transport::Tcp(_) | Transport::Udp => {
            words.replace(quote.transport + ports::SRC, from.sport, to.sport)?;
            words.replace(quote.transport + ports::DST, from.dport, to.dport)
        }
        Transport::Query => words.replace(quote.transport + icmp::IDENTIFIER, from.sport, to.sport),
        Transport::Answer => words.replace(quote.transport + icmp::IDENTIFIER, from.dport, to.dport),
        _ => Some(()),
    }
}

#[inline(always)]
fn transport_checksum(before: [u8; 2], kind: Transport, from: &Tuple<4>, to: &Tuple<4>) -> [u8; 2] {
    let mut sum = before;
    if !matches!(kind, Transport::Query | Transport::Answer) {
        sum = checksum::update(sum, from.src, to.src);
        sum = checksum::update(sum, from.dst, to.dst);
    }
    sum = checksum::update(sum, from.sport, to.sport);
    sum = checksum::update(sum, from.dport, to.dport);
    // Zero would say that there is none (RFC 768).
    if matches!(kind, Transport::Udp) && sum == [0; 2] { [0xff; 2] } else { sum }
}

/// Words under the checksum of an ICMP message.
struct Words<'a, P> {
    packet: &'a mut P,
    field: usize,
}

impl<P: Packet> Words<'_, P> {
    #[inline(always)]
    fn replace<const L: usize>(&mut self, at: usize, from: [u8; L], to: [u8; L]) -> Option<()> {
        let covered = Covered { pseudo_header: false, udp: false };
        self.packet.update_transport_checksum(self.field, from, to, covered)?;
        self.packet.store(at, to)
    }
}

/// What becomes of an error that is about no flow which is translated here. `answer` is what its quote asks for,
/// if it could be read.
///
/// The host's own packets make flows only where they begin a conversation, so errors that are for the host go
/// to its stack if one of its sockets has sent what they quote.
#[inline(always)]
fn stranger<P: Packet, T: Tables<4>, E: Env<4>>(
    packet: &P,
    headers: &Headers<4>,
    scene: &Scene<'_, T, E>,
    answer: Option<&Tuple<4>>,
) -> Verdict {
    let tables = scene.tables;
    match scene.hook {
        Hook::PortIn => from_a_node(headers, tables).unwrap_or(Verdict::NoRule),
        Hook::PortOut | Hook::LocalOut => Verdict::NoRule,
        Hook::UplinkOut => {
            let hidden = hidden(headers, tables).is_some();
            if hidden || is_from_a_node(packet, headers, tables) {
                Verdict::Unrelated
            } else {
                Verdict::NoRule
            }
        }
        Hook::UplinkIn => match from_the_world(headers, tables) {
            Some(verdict) => verdict,
            None => match answer {
                Some(answer) if !rewrite::has_sockets(answer.protocol) => Verdict::NoRule,
                Some(answer) if scene.env.host_has_socket(answer) => Verdict::NoRule,
                _ => Verdict::Unrelated,
            },
        },
    }
}
