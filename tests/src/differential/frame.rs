//! From a step to its frames: bytes as the sender's end puts them on the wire.

use netlab_common::net::{eth, ipv4, protocol, udp};

use super::place::{Address, End, Endpoint};
use super::spoil::{flaw, pieces};
use super::step::{Body, Flaw, Options, Quote, Side, Step};
use super::sums::{self, DCCP, GRE, SCTP, UDP_LITE, has_ports};

/// The address of a router in the world, which complains about what it cannot send on.
pub const WORLD_ROUTER: Address = [100, 64, 0, 7];

/// What a script's state adds to a step: it differs from twin to twin, and from one moment to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The port under which the answerer sees the opener.
    pub alias: u16,
    /// TCP: the number and the acknowledgement.
    pub numbers: (u32, u32),
}

/// The endpoints between which a step's packet goes, as its sender sees them.
pub fn endpoints(step: &Step, alias: u16) -> (Endpoint, Endpoint) {
    let talk = step.talk;
    match step.side {
        Side::Opener => ((talk.from, talk.ports.0), (talk.to, talk.ports.1)),
        Side::Answerer => {
            let path = talk.path();
            (path.target, (path.seen, alias))
        }
    }
}

/// The same as the receiver sees them, when all goes well.
fn endpoints_seen(step: &Step) -> (Endpoint, Endpoint) {
    let (talk, path) = (step.talk, step.talk.path());
    match step.side {
        Side::Opener => ((path.seen, talk.ports.0), path.target),
        Side::Answerer => ((talk.to, talk.ports.1), (talk.from, talk.ports.0)),
    }
}

/// The step's frames, in the order in which they are sent; none if the host would be the sender.
pub fn frames(step: &Step, moment: Moment) -> Vec<Vec<u8>> {
    let Some(end) = step.sender() else { return Vec::new() };
    let (from, to) = endpoints(step, moment.alias);
    let macs = (end.mac(), gateway(end, to.0));
    let packets = packets(step, moment, from, to, router(end), 0);
    packets.into_iter().map(|packet| on_the_wire(macs, &packet)).collect()
}

/// The frames that the other party must get, if the rules are kept, and where; the opener's port is its own.
pub fn translated(step: &Step, numbers: (u32, u32)) -> Option<(End, Vec<Vec<u8>>)> {
    let path = step.talk.path();
    let receiver = if step.side == Side::Opener { path.far? } else { home(&step.talk)? };
    let (from, to) = endpoints_seen(step);
    let sender = step.sender()?;
    // A router's address is as much a secret as its node's.
    let is_hidden = endpoints(step, step.talk.ports.0).0.0 != from.0;
    let router = if is_hidden { from.0 } else { router(sender) };
    Some((receiver, forwarded(step, numbers, from, to, router, receiver)))
}

/// Where the host sends what is for the opener: not to where it is, if it claims somebody else's address.
fn home(talk: &super::place::Talk) -> Option<End> {
    super::place::where_is(talk.from)
}

/// The frames as the host's routes alone would send them on, and where.
pub fn routed(step: &Step, moment: Moment) -> Option<(End, Vec<Vec<u8>>)> {
    let sender = step.sender()?;
    let (from, to) = endpoints(step, moment.alias);
    let receiver = super::place::where_is(to.0)?;
    Some((receiver, forwarded(step, moment.numbers, from, to, router(sender), receiver)))
}

fn forwarded(
    step: &Step,
    numbers: (u32, u32),
    from: Endpoint,
    to: Endpoint,
    router: Address,
    receiver: End,
) -> Vec<Vec<u8>> {
    let moment = Moment { alias: step.talk.ports.0, numbers };
    let macs = (receiver.gateway(), receiver.mac());
    let packets = packets(step, moment, from, to, router, 1);
    packets.iter().map(|packet| on_the_wire(macs, packet)).collect()
}

/// The sender's endpoint, or the one from which the packet comes instead.
pub fn askew(step: &Step, mut from: Endpoint) -> Endpoint {
    match step.shape.askew {
        1 if has_ports(step.talk.protocol) => from.1 ^= 0x0101,
        2 => from.0[3] ^= 0x40,
        _ => {}
    }
    from
}

/// The IPv4 packets of a step between two endpoints, after so many hops.
fn packets(
    step: &Step,
    moment: Moment,
    mut from: Endpoint,
    to: Endpoint,
    router: Address,
    hops: u8,
) -> Vec<Vec<u8>> {
    from = askew(step, from);
    let transport = transport(step, moment, from, to);
    if matches!(step.body, Body::Complaint { router: true, .. }) {
        from.0 = router;
    }
    let options = options(step.shape.options, step.shape.id);
    let mut packet = header(step, from.0, to.0, &options, transport.len());
    packet[ipv4::TTL] = packet[ipv4::TTL].saturating_sub(hops);
    packet.extend(&transport);
    sums::seal(&mut packet, !matches!(step.body, Body::Udp { sealed: false, .. }));
    let mut pieces = pieces(&packet, step.shape.pieces);
    for piece in &mut pieces {
        flaw(step, piece);
        if hops == 0 {
            piece.resize(piece.len() + usize::from(step.shape.padding), 0xee);
        } else if let Flaw::TotalLen(len) = step.shape.flaw {
            // What is behind a packet in its frame does not go further than the host.
            piece.truncate(usize::from(len));
        }
    }
    pieces
}

/// A router behind an end.
fn router(end: End) -> Address {
    match end {
        End::World => WORLD_ROUTER,
        node => [node.address()[0], node.address()[1], 99, 1],
    }
}

fn header(step: &Step, from: Address, to: Address, options: &[u8], len: usize) -> Vec<u8> {
    let shape = &step.shape;
    let words = 5 + options.len() / 4;
    let number = match step.body {
        Body::Complaint { .. } => protocol::ICMP,
        _ => step.talk.protocol,
    };
    let flags = if shape.df { 0x40 } else { 0 };
    let mut header = vec![0x40 | words as u8, shape.tos];
    header.extend(((words * 4 + len) as u16).to_be_bytes());
    header.extend(shape.id.to_be_bytes());
    header.extend([flags, 0, shape.ttl, number, 0, 0]);
    header.extend(from);
    header.extend(to);
    header.extend(options);
    header
}

fn options(options: Options, id: u16) -> Vec<u8> {
    match options {
        Options::None => vec![],
        Options::Nops(words) => vec![1; usize::from(words) * 4],
        Options::Record => [&[7, 11, 4][..], &[0; 8], &[0]].concat(),
        Options::Stamp => [&[68, 12, 5, 1][..], &u32::from(id).to_be_bytes(), &[0; 4]].concat(),
        Options::Alert => vec![0x94, 4, 0, 0],
    }
}

/// Data that differs from byte to byte and from step to step.
fn data(id: u16, len: u16) -> impl Iterator<Item = u8> {
    (0..len).map(move |at| (at.wrapping_mul(7) ^ id ^ (at >> 8)) as u8)
}

fn transport(step: &Step, moment: Moment, from: Endpoint, to: Endpoint) -> Vec<u8> {
    let mut bytes = Vec::new();
    let id = step.shape.id;
    // What stands for the ports in a query is the opener's identifier on either way.
    let identifier = if step.side == Side::Opener { from.1 } else { to.1 };
    let ports = |bytes: &mut Vec<u8>| {
        bytes.extend(from.1.to_be_bytes());
        bytes.extend(to.1.to_be_bytes());
    };
    match step.body {
        Body::Tcp { flags, len, .. } => {
            ports(&mut bytes);
            bytes.extend(moment.numbers.0.to_be_bytes());
            bytes.extend(moment.numbers.1.to_be_bytes());
            bytes.extend([0x50, flags, 0x40, 0, 0, 0, 0, 0]);
            bytes.extend(data(id, len));
        }
        Body::Udp { len, .. } => {
            ports(&mut bytes);
            bytes.extend((len + udp::LEN as u16).to_be_bytes());
            bytes.extend([0, 0]);
            bytes.extend(data(id, len));
        }
        Body::Query { kind, len } => {
            bytes.extend([kind, 0, 0, 0]);
            bytes.extend(identifier.to_be_bytes());
            bytes.extend([0, 1]);
            bytes.extend(data(id, len));
        }
        Body::Other { len } => other(step.talk.protocol, id, len, ports, &mut bytes),
        Body::Complaint { kind, code, quote, .. } => {
            // A message that the packet is too big says which size is not.
            let rest = if (kind, code) == (3, 4) { [0, 0, 0x04, 0xb0] } else { [0; 4] };
            bytes.extend([kind, code, 0, 0]);
            bytes.extend(rest);
            bytes.extend(quoted(step, from, to, quote));
        }
    }
    bytes
}

/// A packet of another protocol: its header, and data.
fn other(number: u8, id: u16, len: u16, ports: impl Fn(&mut Vec<u8>), bytes: &mut Vec<u8>) {
    match number {
        GRE => bytes.extend([0, 0, 0x08, 0]),
        SCTP => {
            ports(bytes);
            // An INIT, without a tag and alone in its packet.
            bytes.extend([0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 20, 0, 0, 0, id as u8 | 1]);
            bytes.extend([0, 0, 0x40, 0, 0, 1, 0, 1, 0, 0, 0, 1]);
            return;
        }
        UDP_LITE => {
            ports(bytes);
            bytes.extend([0, 0, 0, 0]);
        }
        DCCP => {
            // A request: data offset 5 words, long numbers.
            ports(bytes);
            bytes.extend([5, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, id as u8, 0, 0, 0, 1]);
        }
        _ => bytes.extend(u32::from(id).to_be_bytes()),
    }
    bytes.extend(data(id, len));
}

/// The packet of the other side's that an error is about, as it came to the one who complains.
fn quoted(step: &Step, complainer: Endpoint, other: Endpoint, quote: Quote) -> Vec<u8> {
    let number = step.talk.protocol;
    let (mut from, to) = (other, complainer);
    if quote == Quote::Unknown {
        from.1 = 0x2222 ^ if step.side == Side::Answerer { step.talk.ports.0 } else { step.talk.ports.1 };
    }
    let options = if quote == Quote::Options { vec![1; 8] } else { vec![] };
    let mut transport = Vec::new();
    match number {
        protocol::ICMP => {
            let (id, kind) = if step.side == Side::Answerer { (from.1, 8) } else { (to.1, 0) };
            transport.extend([kind, 0, 0, 0]);
            transport.extend(id.to_be_bytes());
            transport.extend([0, 1]);
        }
        _ => {
            transport.extend(from.1.to_be_bytes());
            transport.extend(to.1.to_be_bytes());
            match number {
                protocol::TCP => {
                    transport.extend([0, 0, 0x10, 0, 0, 0, 0x20, 0, 0x50, 0x10, 0x40, 0, 0, 0, 0, 0]);
                }
                protocol::UDP => transport.extend([0, 20, 0, 0]),
                _ => transport.extend([0; 12]),
            }
        }
    }
    transport.extend(data(step.shape.id, 12));
    let words = 5 + options.len() / 4;
    let mut packet = vec![0x40 | words as u8, 0];
    packet.extend(((words * 4 + transport.len()) as u16).to_be_bytes());
    packet.extend([0x43, 0x21, 0x40, 0, 61, number, 0, 0]);
    packet.extend(from.0);
    packet.extend(to.0);
    packet.extend(options);
    packet.extend(transport);
    sums::seal(&mut packet, quote != Quote::Unsealed);
    match quote {
        Quote::Eight => packet.truncate(words * 4 + 8),
        Quote::Short => packet.truncate(12),
        _ => {}
    }
    packet
}

/// Where an end sends what is for this address.
fn gateway(end: End, to: Address) -> [u8; 6] {
    match to {
        [224..=239, b, c, d] => [1, 0, 0x5e, b & 0x7f, c, d],
        to if super::place::is_many(to) => [0xff; 6],
        _ => end.gateway(),
    }
}

fn on_the_wire((from, to): ([u8; 6], [u8; 6]), packet: &[u8]) -> Vec<u8> {
    [&to[..], &from, &eth::IPV4, packet].concat()
}

/// Whether an ICMP type is an error's, which quotes a packet.
pub fn is_error(kind: u8) -> bool {
    matches!(kind, 3 | 4 | 5 | 11 | 12)
}

#[cfg(test)]
mod tests {
    use super::super::place::{Talk, UPLINK};
    use super::super::step::{PLAIN, Pieces, Shape};
    use super::*;
    use crate::packet::checksum::checksums_valid;

    const NOW: Moment = Moment { alias: 4000, numbers: (1, 1) };

    fn step(body: Body, shape: Shape) -> Step {
        let talk = Talk {
            at: End::Earth,
            from: End::Earth.address(),
            to: [8, 8, 8, 8],
            protocol: protocol::UDP,
            ports: (4000, 53),
        };
        Step { talk, side: Side::Opener, body, shape }
    }

    #[test]
    fn pieces_of_a_datagram_make_it_whole_again() {
        let shape = Shape { df: false, ..PLAIN };
        let whole = frames(&step(Body::Udp { len: 700, sealed: true }, shape), NOW).remove(0);
        let shape = Shape { pieces: Pieces::InOrder, ..shape };
        let pieces = frames(&step(Body::Udp { len: 700, sealed: true }, shape), NOW);
        assert_eq!(pieces.len(), 3);
        let again: Vec<u8> = pieces.iter().flat_map(|piece| piece[34..].to_vec()).collect();
        assert_eq!(again, whole[34..]);
    }

    #[test]
    fn an_answerer_complains_about_what_it_was_sent() {
        let body = Body::Complaint { kind: 3, code: 3, router: false, quote: Quote::Whole };
        let error = frames(&Step { side: Side::Answerer, ..step(body, PLAIN) }, NOW).remove(0);
        assert!(checksums_valid(&error));
        assert_eq!(error[26..34], [[8, 8, 8, 8], UPLINK].concat());
        let quote = [&error[..14], &error[42..]].concat();
        assert!(checksums_valid(&quote));
        assert_eq!(quote[26..34], [UPLINK, [8, 8, 8, 8]].concat());
        assert_eq!(quote[34..38], [15, 160, 0, 53]);
    }
}
