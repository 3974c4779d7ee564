//! Makes two twins' frames comparable: the port that a twin chose becomes the opener's own again, wherever it
//! stands and under whatever checksum, and what nobody promises is blanked.

use netlab_common::net::{eth, ipv4, protocol};

use super::frame::{askew, is_error};
use super::place::{Endpoint, Talk, is_hosts};
use super::step::{Side, Step};
use super::sums::{DCCP, SCTP, Sum, UDP_LITE, has_ports, has_right_crc, seal_crc, set_word, word};

/// The two endpoints of a talk as they stand in an answerer's packets, and the port that is to stand there.
#[derive(Clone, Copy, Debug)]
pub struct Naming {
    protocol: u8,
    seen: Endpoint,
    target: Endpoint,
    own: u16,
}

impl Naming {
    /// That of a step of a talk whose opener is seen under this port.
    pub fn of(step: &Step, alias: u16) -> Self {
        let (talk, path) = (step.talk, step.talk.path());
        let target = if step.side == Side::Answerer { askew(step, path.target) } else { path.target };
        Naming { protocol: talk.protocol, seen: (path.seen, alias), target, own: talk.ports.0 }
    }
}

/// Where IPv4 begins in a frame of it.
fn ip(frame: &[u8]) -> Option<usize> {
    (frame.get(eth::TYPE..eth::LEN)? == eth::IPV4 && frame.len() >= eth::LEN + ipv4::MIN_LEN)
        .then_some(eth::LEN)
}

/// Addresses, protocol and where the transport is; none of a later piece of a datagram.
struct Outline {
    protocol: u8,
    from: [u8; 4],
    to: [u8; 4],
    transport: usize,
}

fn outline(bytes: &[u8], ip: usize) -> Option<Outline> {
    let header = bytes.get(ip..ip + ipv4::MIN_LEN)?;
    if word(header, ipv4::FRAGMENT)? & 0x1fff != 0 {
        return None;
    }
    let address = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
    Some(Outline {
        protocol: header[ipv4::PROTOCOL],
        from: address(ipv4::SRC),
        to: address(ipv4::DST),
        transport: ip + usize::from(header[0] & 0x0f) * 4,
    })
}

/// Where the ports of a packet's two parties stand: the sender's, the receiver's, or one for both.
fn ports(bytes: &[u8], outline: &Outline) -> Option<(Option<usize>, Option<usize>)> {
    let at = outline.transport;
    match outline.protocol {
        protocol::TCP | protocol::UDP | SCTP | UDP_LITE | DCCP => Some((Some(at), Some(at + 2))),
        protocol::ICMP => match bytes.get(at)? {
            8 | 13 | 15 | 17 => Some((Some(at + 4), None)),
            0 | 14 | 16 | 18 => Some((None, Some(at + 4))),
            _ => None,
        },
        _ => None,
    }
}

/// The port under which an answerer saw a packet come, or its own if the protocol has none: nothing if the packet is
/// not of this talk.
pub fn alias(frame: &[u8], talk: &Talk) -> Option<u16> {
    let ip = ip(frame).filter(|ip| !is_hosts_own(frame, *ip))?;
    let path = talk.path();
    if !has_ports(talk.protocol) {
        // A datagram's later pieces show as much of it as the first.
        let ends = frame.get(ip + ipv4::SRC..ip + ipv4::MIN_LEN)?;
        let matches =
            frame[ip + ipv4::PROTOCOL] == talk.protocol && ends == [path.seen, path.target.0].concat();
        return matches.then_some(talk.ports.0);
    }
    let outline = outline(frame, ip)?;
    let matches =
        outline.protocol == talk.protocol && (outline.from, outline.to) == (path.seen, path.target.0);
    let (own, other) = ports(frame, &outline).filter(|_| matches)?;
    let fits = other.is_none_or(|at| word(frame, at) == Some(path.target.1));
    word(frame, own?).filter(|_| fits)
}

/// The frame with the opener's own port for the chosen one, and without what each host numbers by itself. `sent`
/// is the identification of the packet that led to it: what has another one was made by the host.
pub fn canonical(frame: &[u8], naming: &Naming, sent: u16) -> Vec<u8> {
    let Some(ip) = ip(frame) else { return frame.to_vec() };
    // What is behind the packet in its frame is under no checksum.
    let len = usize::from(word(frame, ip + ipv4::TOTAL_LEN).unwrap_or(0)).max(ipv4::MIN_LEN);
    let (frame, padding) = frame.split_at(frame.len().min(ip + len));
    let mut bytes = frame.to_vec();
    let crc = outline(frame, ip).filter(|outline| outline.protocol == SCTP).map(|outline| outline.transport);
    let is_right = crc.is_some_and(|at| has_right_crc(&frame[ip..], at - ip));
    rename(&mut bytes, ip, naming, None);
    if let Some(at) = crc.filter(|_| is_right) {
        // No change of a word leads from one CRC to another.
        seal_crc(&mut bytes[ip..], at - ip);
    }
    let header = Sum { at: ip + ipv4::CHECKSUM, may_be_absent: false };
    let is_hosts_own = is_hosts_own(&bytes, ip);
    if is_hosts_own || word(&bytes, ip + 4) != Some(sent) {
        set_word(&mut bytes, ip + 4, 0, &[header]);
    }
    if is_hosts_own {
        blank_time(&mut bytes, ip);
    }
    one_zero(&mut bytes, header.at);
    if let Some(outline) = outline(&bytes, ip)
        && let Some(sum) = checksum(&outline).filter(|sum| !sum.may_be_absent)
    {
        one_zero(&mut bytes, sum.at);
    }
    bytes.extend_from_slice(padding);
    bytes
}

/// Whether the host has made a packet: what it sends by itself sets out with 64; of what it sends on, nothing has so many
/// hops left.
fn is_hosts_own(bytes: &[u8], ip: usize) -> bool {
    bytes[ip + ipv4::TTL] == 64 && is_hosts([12, 13, 14, 15].map(|at| bytes[ip + at]))
}

/// Blanks what a host's answer to an ICMP timestamp request says of the time of day (RFC 792).
fn blank_time(bytes: &mut [u8], ip: usize) {
    let Some(outline) = outline(bytes, ip).filter(|outline| outline.protocol == protocol::ICMP) else {
        return;
    };
    if bytes.get(outline.transport) == Some(&14) {
        let sum = Sum { at: outline.transport + 2, may_be_absent: false };
        for at in (outline.transport + 12..outline.transport + 20).step_by(2) {
            set_word(bytes, at, 0, &[sum]);
        }
    }
}

/// One's complement has two zeros, and which one comes out depends on the way of computing.
fn one_zero(bytes: &mut [u8], at: usize) {
    if word(bytes, at) == Some(0xffff) {
        bytes[at..at + 2].fill(0);
    }
}

fn checksum(outline: &Outline) -> Option<Sum> {
    let at = outline.transport + super::sums::field_of(outline.protocol)?;
    Some(Sum { at, may_be_absent: outline.protocol == protocol::UDP })
}

/// Renames the port in a packet, and in what an ICMP error quotes. `outer` is the checksum that covers it all.
fn rename(bytes: &mut [u8], ip: usize, naming: &Naming, outer: Option<Sum>) {
    let Some(outline) = outline(bytes, ip) else { return };
    if outline.protocol == protocol::ICMP && outer.is_none() {
        let kind = bytes.get(outline.transport).copied().unwrap_or(0);
        if is_error(kind) {
            let sum = Sum { at: outline.transport + 2, may_be_absent: false };
            return rename(bytes, outline.transport + 8, naming, Some(sum));
        }
    }
    if let Some(outer) = outer.filter(|_| outline.protocol == SCTP) {
        // The CRC of a quoted packet covers what the quote may not have.
        for at in [outline.transport + 8, outline.transport + 10] {
            set_word(bytes, at, 0, &[outer]);
        }
    }
    let Some((own, other)) = ports(bytes, &outline).filter(|_| outline.protocol == naming.protocol) else {
        return;
    };
    let is = |at: Option<usize>, wanted: u16| at.is_none_or(|at| word(bytes, at) == Some(wanted));
    let (seen, target) = (naming.seen, naming.target);
    let from_opener =
        (outline.from, outline.to) == (seen.0, target.0) && is(own, seen.1) && is(other, target.1);
    let to_opener =
        (outline.to, outline.from) == (seen.0, target.0) && is(other, seen.1) && is(own, target.1);
    if outline.protocol == protocol::ICMP {
        // One identifier for both sides, whoever asks.
        let between = [(outline.from, outline.to), (outline.to, outline.from)].contains(&(seen.0, target.0));
        let Some(at) = own.or(other).filter(|at| between && is(Some(*at), seen.1)) else { return };
        let sums: Vec<Sum> = checksum(&outline).into_iter().chain(outer).collect();
        return set_word(bytes, at, naming.own, &sums);
    }
    let place = match (from_opener, to_opener) {
        (true, _) => own,
        (_, true) => other,
        _ => None,
    };
    let sums: Vec<Sum> = checksum(&outline).into_iter().chain(outer).collect();
    if let Some(at) = place {
        set_word(bytes, at, naming.own, &sums);
    }
}

/// Whether two frames are the same but for IPv4 options, which routers write into, also in what errors quote.
pub fn same_but_options(a: &[u8], b: &[u8]) -> bool {
    let outside = |frame: &[u8]| {
        let mut rest = frame.to_vec();
        if let Some(at) = ip(frame) {
            blank_options(&mut rest, at, None);
        }
        rest
    };
    a.len() == b.len() && outside(a) == outside(b)
}

/// Blanks a packet's options and the checksums over them; `outer` is where one over the whole packet stands.
fn blank_options(bytes: &mut [u8], ip: usize, outer: Option<usize>) {
    let Some(outline) = outline(bytes, ip).filter(|outline| outline.transport <= bytes.len()) else { return };
    if outline.transport > ip + ipv4::MIN_LEN {
        bytes[ip + ipv4::MIN_LEN..outline.transport].fill(0);
        bytes[ip + ipv4::CHECKSUM..ip + ipv4::CHECKSUM + 2].fill(0);
        if let Some(at) = outer {
            bytes[at..at + 2].fill(0);
        }
    }
    let kind = bytes.get(outline.transport).copied().unwrap_or(0);
    if outline.protocol == protocol::ICMP && outer.is_none() && is_error(kind) {
        blank_options(bytes, outline.transport + 8, Some(outline.transport + 2));
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::{Moment, frames};
    use super::super::place::End;
    use super::super::step::{Body, PLAIN, Quote};
    use super::*;

    fn step(side: Side, body: Body) -> Step {
        let talk = Talk {
            at: End::Earth,
            from: End::Earth.address(),
            to: [8, 8, 8, 8],
            protocol: protocol::UDP,
            ports: (4000, 53),
        };
        Step { talk, side, body, shape: PLAIN }
    }

    fn with_alias(step: &Step, alias: u16) -> Vec<u8> {
        let frame = frames(step, Moment { alias, numbers: (0, 0) }).remove(0);
        canonical(&frame, &Naming::of(step, alias), PLAIN.id)
    }

    #[test]
    fn a_chosen_port_makes_no_difference_in_packets_nor_in_what_errors_quote() {
        let answer = step(Side::Answerer, Body::Udp { len: 11, sealed: true });
        assert_eq!(with_alias(&answer, 4000), with_alias(&answer, 51_111));
        for quote in [Quote::Whole, Quote::Eight, Quote::Options, Quote::Unsealed] {
            let error = step(Side::Answerer, Body::Complaint { kind: 3, code: 3, router: true, quote });
            assert_eq!(with_alias(&error, 4000), with_alias(&error, 51_111), "{quote:?}");
        }
    }

    #[test]
    fn what_is_behind_a_packet_in_its_frame_is_left_alone() {
        let mut error =
            step(Side::Answerer, Body::Complaint { kind: 3, code: 3, router: true, quote: Quote::Eight });
        error.talk.protocol = SCTP;
        error.shape.padding = 24;
        let frame = frames(&error, Moment { alias: 4000, numbers: (0, 0) }).remove(0);
        let became = canonical(&frame, &Naming::of(&error, 4000), PLAIN.id);
        assert_eq!(became[frame.len() - 24..], frame[frame.len() - 24..]);
        assert!(crate::packet::checksum::checksums_valid(&became));
    }

    #[test]
    fn another_port_than_the_known_one_does_make_a_difference() {
        let answer = step(Side::Answerer, Body::Udp { len: 11, sealed: true });
        let frame = frames(&answer, Moment { alias: 4001, numbers: (0, 0) }).remove(0);
        assert_ne!(canonical(&frame, &Naming::of(&answer, 4002), PLAIN.id), with_alias(&answer, 4000));
    }
}
