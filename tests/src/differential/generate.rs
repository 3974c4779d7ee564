//! Random scripts: a few talks at a time, most of them going as talks do, some not, over so few addresses and
//! ports that they get in each other's way. The same seed gives the same script.

use netlab_common::net::protocol;
use netlab_common::net::tcp::{ACK, FIN, RST, SYN};

use super::place::{Address, End, FORWARDS, Forward, LEFT, RIGHT, Talk, UPLINK};
use super::step::{Body, Flaw, Options, PLAIN, Pieces, Place, Quote, Shape, Side, Step};
use super::sums::{DCCP, ESP, GRE, SCTP, UDP_LITE};
use crate::dice::Dice;

/// What scripts are made of beside TCP, UDP and echo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds {
    /// ICMP errors of others, and packets that make the host send one about what it has translated.
    pub errors: bool,
    /// Protocols without ports, those with ports beside TCP and UDP, and ICMP's other queries.
    pub protocols: bool,
    /// Datagrams in pieces, and those that the host has to cut.
    pub fragments: bool,
    /// Forwards of a node's own ports to itself.
    pub hairpin: bool,
}

impl Kinds {
    /// All there is.
    pub const ALL: Kinds = Kinds { errors: true, protocols: true, fragments: true, hairpin: true };
    /// TCP, UDP and echo, in whole packets.
    pub const FEW: Kinds = Kinds { errors: false, protocols: false, fragments: false, hairpin: false };
}

/// Talks under way at a time.
const POOL: usize = 10;
const REMOTES: [Address; 4] = [[8, 8, 8, 8], [203, 0, 113, 5], [192, 168, 0, 1], [198, 51, 100, 7]];
const PORTS: [u16; 9] = [5000, 40_000, 53, 80, 9100, 1024, 5201, 65_535, 600];
const SERVICES: [u16; 4] = [80, 53, 443, 40_000];

/// The ports of talks that should not be: the kernel keeps flows of them, which must not meet the others'.
const STRAY: (u16, u16) = (61_000, 62_000);

const PUSH: u8 = 0x08;
const URGENT: u8 = 0x20;
const ODD_FLAGS: [u8; 12] = [
    SYN,
    SYN | ACK,
    ACK,
    FIN | ACK,
    RST,
    RST | ACK,
    FIN,
    0,
    SYN | FIN,
    SYN | RST,
    FIN | PUSH | URGENT,
    ACK | PUSH | URGENT,
];

/// Makes scripts.
#[derive(Clone, Debug)]
pub struct Generator {
    dice: Dice,
    kinds: Kinds,
    pool: Vec<Course>,
    id: u16,
}

/// A talk, and how far it has come.
#[derive(Clone, Copy, Debug)]
struct Course {
    talk: Talk,
    said: u32,
}

/// A script of so many steps.
pub fn script(seed: u64, kinds: Kinds, steps: usize) -> Vec<Step> {
    let mut generator = Generator { dice: Dice(seed), kinds, pool: Vec::new(), id: 0x1000 };
    (0..steps).map(|_| generator.step()).collect()
}

impl Generator {
    fn step(&mut self) -> Step {
        if self.pool.len() < POOL || self.dice.one_in(25) {
            if self.pool.len() == POOL {
                let old = self.dice.below(POOL);
                self.pool.swap_remove(old);
            }
            let talk = self.talk();
            self.pool.push(Course { talk, said: 0 });
        }
        let at = self.dice.below(self.pool.len());
        let Course { talk, said } = self.pool[at];
        let is_stray = talk.ports.0 == STRAY.0;
        let odd = self.dice.one_in(6);
        let (mut side, body) = self.say(&talk, said, odd);
        // What is odd does not bring a talk further.
        self.pool[at].said += u32::from(!odd);
        if is_stray {
            // To answer is to make a flow of what should never have come.
            side = Side::Opener;
        }
        let mut step = Step { talk, side, body, shape: PLAIN };
        self.id = self.id.wrapping_add(1);
        step.shape = Shape { id: self.id, ..self.shape(&step, said > 0) };
        fitting(step)
    }

    fn protocol(&mut self) -> u8 {
        match self.dice.below(20) {
            0..9 => protocol::TCP,
            9..16 => protocol::UDP,
            16..18 => protocol::ICMP,
            _ if self.kinds.protocols => {
                *self.dice.pick(&[GRE, ESP, SCTP, UDP_LITE, DCCP, 253, protocol::ICMP])
            }
            _ => protocol::UDP,
        }
    }

    /// A talk that wants what another one has: the same ports to the same party, from another node or by another
    /// forward to the same target.
    fn sibling(&mut self) -> Option<Talk> {
        let Course { talk, .. } = *self.dice.pick(&self.pool);
        if talk.ports == STRAY {
            return None;
        }
        if talk.at == End::World {
            let (target, to) = talk.forward()?;
            let leads_there = |forward: &&Forward| {
                (forward.protocol, forward.target, forward.to) == (talk.protocol, target, to)
            };
            let forwards: Vec<_> = FORWARDS.iter().filter(leads_there).collect();
            let other = (!forwards.is_empty()).then(|| *self.dice.pick(&forwards))?;
            return Some(Talk { ports: (talk.ports.0, other.ports.0), ..talk });
        }
        let node = *self.dice.pick(&End::NODES);
        let sibling = Talk { at: node, from: node.address(), ..talk };
        (talk.forward().is_none_or(|(target, _)| target != node) && talk.to != node.address())
            .then_some(sibling)
    }

    fn talk(&mut self) -> Talk {
        if !self.pool.is_empty()
            && self.dice.one_in(3)
            && let Some(talk) = self.sibling()
        {
            return talk;
        }
        let node = *self.dice.pick(&End::NODES);
        let remote = *self.dice.pick(&REMOTES);
        let forward = *self.dice.pick(&FORWARDS);
        let port = *self.dice.pick(&PORTS);
        let service = *self.dice.pick(&SERVICES);
        let protocol = self.protocol();
        let published =
            forward.ports.0 + self.dice.below(usize::from(forward.ports.1 - forward.ports.0) + 1) as u16;
        let from_node = |to, protocol, service| Talk {
            at: node,
            from: node.address(),
            to,
            protocol,
            ports: (port, service),
        };
        let from_world = |to, protocol, service| Talk {
            at: End::World,
            from: remote,
            to,
            protocol,
            ports: (port, service),
        };
        let mut talk = match self.dice.below(100) {
            0..52 => from_node(remote, protocol, service),
            52..74 => from_world(forward.on.unwrap_or(UPLINK), forward.protocol, published),
            74..82 if node != forward.target || self.kinds.hairpin => {
                let on = forward.on.unwrap_or(*self.dice.pick(&[UPLINK, LEFT, RIGHT]));
                from_node(on, forward.protocol, published)
            }
            82..86 => from_node(self.dice.pick(&End::NODES).address(), protocol, service),
            86..89 => from_node(*self.dice.pick(&[UPLINK, LEFT, RIGHT]), protocol, service),
            89..92 => from_world(UPLINK, protocol, service),
            _ => return self.stray(node, remote, protocol),
        };
        if talk.at != End::World && self.dice.one_in(12) {
            talk.from = self.dice.pick(&End::NODES).address();
            if talk.forward().is_some_and(|(target, _)| target.address() == talk.from) && !self.kinds.hairpin
            {
                talk.from = talk.at.address();
            }
        }
        tidy(talk)
    }

    /// A talk that should not be: the world claims or wants a node's address, a node claims somebody else's, or
    /// nobody in particular is spoken to.
    fn stray(&mut self, node: End, remote: Address, protocol: u8) -> Talk {
        let (at, from, to) = match self.dice.below(7) {
            0 => (End::World, remote, node.address()),
            1 => (End::World, node.address(), UPLINK),
            2 => (End::World, node.address(), self.dice.pick(&End::NODES).address()),
            3 => (node, [1, 2, 3, 4], remote),
            4 => (node, *self.dice.pick(&[UPLINK, LEFT]), remote),
            5 => (node, node.address(), *self.dice.pick(&[[255; 4], [10, 10, 255, 255], [224, 0, 0, 251]])),
            _ => (End::World, remote, [10, 10, 77, 77]),
        };
        tidy(Talk { at, from, to, protocol, ports: STRAY })
    }

    /// What comes next in a talk: mostly what should, now and then something else.
    fn say(&mut self, talk: &Talk, said: u32, odd: bool) -> (Side, Body) {
        let side = if self.dice.one_in(2) { Side::Opener } else { Side::Answerer };
        if self.kinds.errors && said > 0 && self.dice.one_in(7) {
            return (side, self.complaint());
        }
        let side = if said == 0 && !odd { Side::Opener } else { side };
        let len = *self.dice.pick(&[0, 1, 11, 64, 301, 1000]);
        let len = if self.kinds.fragments && self.dice.one_in(6) { len + 1200 } else { len };
        match talk.protocol {
            protocol::TCP if odd => (side, self.odd_segment(len.min(400))),
            protocol::TCP => self.segment(said, side, len),
            protocol::UDP => (side, Body::Udp { len, sealed: !self.dice.one_in(6) }),
            protocol::ICMP => {
                let kinds: &[u8] = if self.kinds.protocols { &[8, 8, 8, 13, 15, 17] } else { &[8] };
                let request = *kinds.get(usize::from(talk.ports.0) % kinds.len()).unwrap_or(&8);
                let asks = (side == Side::Opener) != (odd && self.dice.one_in(2));
                let kind = match (request, asks) {
                    (kind, true) => kind,
                    (8, false) => 0,
                    (kind, false) => kind + 1,
                };
                // What is neither a query nor an error is nothing.
                let kind = if self.kinds.protocols && odd && self.dice.one_in(8) { 40 } else { kind };
                (side, Body::Query { kind, len: if request == 8 { len } else { 12 } })
            }
            _ => (side, Body::Other { len }),
        }
    }

    fn segment(&mut self, said: u32, side: Side, len: u16) -> (Side, Body) {
        let next = |side, flags, len| (side, Body::Tcp { flags, seq: Place::Next, ack: Place::Next, len });
        match said {
            0 => next(Side::Opener, SYN, 0),
            1 => next(Side::Answerer, SYN | ACK, 0),
            2 => next(Side::Opener, ACK, 0),
            _ => match self.dice.below(16) {
                0 => next(side, FIN | ACK, 0),
                1 if self.dice.one_in(2) => next(side, RST | ACK, 0),
                2 => next(side, ACK, 0),
                3 => (Side::Opener, Body::Tcp { flags: SYN, seq: Place::Anew, ack: Place::Next, len: 0 }),
                _ => next(side, ACK | PUSH, len),
            },
        }
    }

    fn odd_segment(&mut self, len: u16) -> Body {
        let flags = *self.dice.pick(&ODD_FLAGS);
        let places = [
            Place::Next,
            Place::Next,
            Place::Before(1),
            Place::Before(3000),
            Place::After(500),
            Place::After(1 << 30),
        ];
        let (seq, ack) = (*self.dice.pick(&places), *self.dice.pick(&places));
        Body::Tcp { flags, seq, ack, len: if flags & SYN != 0 { 0 } else { len } }
    }

    fn complaint(&mut self) -> Body {
        let (kind, code) = *self.dice.pick(&[
            (3, 0),
            (3, 1),
            (3, 2),
            (3, 3),
            (3, 4),
            (3, 10),
            (3, 13),
            (11, 0),
            (11, 1),
            (12, 0),
            (4, 0),
            (5, 1),
        ]);
        let quote = *self.dice.pick(&[
            Quote::Whole,
            Quote::Whole,
            Quote::Eight,
            Quote::Eight,
            Quote::Options,
            Quote::Unsealed,
            Quote::Unknown,
            Quote::Short,
        ]);
        Body::Complaint { kind, code, router: self.dice.one_in(2), quote }
    }

    fn shape(&mut self, step: &Step, known: bool) -> Shape {
        let mut shape = Shape { df: !self.kinds.fragments || self.dice.one_in(2), ..PLAIN };
        if self.kinds.fragments && self.dice.one_in(5) {
            shape.df = false;
            shape.pieces = *self.dice.pick(&[
                Pieces::InOrder,
                Pieces::InOrder,
                Pieces::Reversed,
                Pieces::Swapped,
                Pieces::Doubled,
                Pieces::Overlapping,
                Pieces::Tailless,
            ]);
            // Pieces that wait in vain do so for seconds, and there is room for as many as come in a lab, not in this.
            if self.dice.one_in(50) {
                shape.pieces = Pieces::Headless;
            }
            return shape;
        }
        if !self.dice.one_in(4) {
            return shape;
        }
        match self.dice.below(9) {
            // A packet that is translated before it is routed dies with its new address in the host's error.
            0 if self.kinds.errors || dies_as_it_was(step) => shape.ttl = *self.dice.pick(&[0, 1, 1, 1]),
            0 => shape.ttl = 2,
            1 => shape.tos = self.dice.next() as u8 & 0xfc,
            2 => shape.df = !shape.df && !self.kinds.fragments,
            3 => shape.options = self.options(step),
            4 => shape.padding = 1 + self.dice.below(30) as u8,
            // A node that does so opens another talk, with a port of its own.
            5 if step.sender() == Some(End::World) => shape.askew = 1 + self.dice.below(2) as u8,
            5 | 6 => shape.ttl = 255,
            // What is flawed is a flow's first packet to one of the twins only; such flows are no use to compare.
            _ if known => shape.flaw = self.flaw(step),
            _ => {}
        }
        shape
    }

    fn options(&mut self, step: &Step) -> Options {
        let all = [Options::Nops(1), Options::Nops(10), Options::Record, Options::Stamp, Options::Alert];
        // What a router cannot write into it complains about.
        let some = if self.kinds.errors || dies_as_it_was(step) { 5 } else { 3 };
        all[self.dice.below(some)]
    }

    fn flaw(&mut self, step: &Step) -> Flaw {
        match self.dice.below(9) {
            0 => Flaw::HeaderSum,
            1 => Flaw::TransportSum,
            2 => Flaw::CutAt(1 + self.dice.below(60) as u8),
            3 => Flaw::TotalLen(*self.dice.pick(&[0, 10, 19, 20, 24, 26, 28, 30, 2000, 65_535])),
            4 => Flaw::Version(*self.dice.pick(&[0, 5, 6, 15])),
            5 => Flaw::HeaderLen(*self.dice.pick(&[0, 4, 6, 15])),
            6 if matches!(step.body, Body::Tcp { .. }) => Flaw::DataOffset(*self.dice.pick(&[0, 4, 15])),
            7 if matches!(step.body, Body::Udp { .. }) => Flaw::UdpLen(*self.dice.pick(&[0, 4, 7, 2000])),
            _ => Flaw::None,
        }
    }
}

/// Whether a packet of this step that the host's routing refuses still has the addresses it came with.
fn dies_as_it_was(step: &Step) -> bool {
    !step.talk.is_translated() || (step.side == Side::Opener) == (step.talk.forward().is_none())
}

/// A step with so much data as its sender's wire can carry, with the longest headers there are.
pub(super) fn fitting(mut step: Step) -> Step {
    let room = step.sender().map_or(1300, End::mtu) - 120;
    if let Body::Tcp { len, .. } | Body::Udp { len, .. } | Body::Query { len, .. } | Body::Other { len } =
        &mut step.body
        && step.shape.pieces == Pieces::Whole
    {
        *len = (*len).min(room);
    }
    step
}

/// Protocols without ports have none.
fn tidy(mut talk: Talk) -> Talk {
    match talk.protocol {
        protocol::TCP | protocol::UDP | SCTP | UDP_LITE | DCCP => {}
        protocol::ICMP => talk.ports.1 = 0,
        _ => talk.ports = (0, 0),
    }
    talk
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_script_and_another_seed_another() {
        assert_eq!(script(7, Kinds::ALL, 300), script(7, Kinds::ALL, 300));
        assert_ne!(script(7, Kinds::ALL, 300), script(8, Kinds::ALL, 300));
    }

    #[test]
    fn what_is_switched_off_does_not_occur() {
        for step in script(1, Kinds::FEW, 3000) {
            assert!(!matches!(step.body, Body::Complaint { .. } | Body::Other { .. }), "{step:?}");
            assert_eq!(step.shape.pieces, Pieces::Whole);
        }
    }
}
