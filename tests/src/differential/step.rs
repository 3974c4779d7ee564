//! What a script is made of: steps, each of them a packet that one party of a talk sends. They print as the Rust
//! that makes them, so that a failure's script can be pasted as a test.

use std::fmt;

use super::place::{End, Talk};

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The one that the talk begins with.
    Opener,
    /// The other one.
    Answerer,
}

/// One packet, or the pieces of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Between whom.
    pub talk: Talk,
    /// Who sends.
    pub side: Side,
    /// What.
    pub body: Body,
    /// In which form.
    pub shape: Shape,
}

impl Step {
    /// The end that sends: nobody if it would have to be the host.
    pub fn sender(&self) -> Option<End> {
        match self.side {
            Side::Opener => Some(self.talk.at),
            Side::Answerer => self.talk.path().far,
        }
    }
}

impl Step {
    /// An answer as the first packet of a talk that its sender opens, with the port under which it sees the other
    /// one: nothing if the rules would leave such a talk as it is.
    pub fn mirrored(&self, alias: u16) -> Option<Step> {
        let (talk, path) = (self.talk, self.talk.path());
        let (Side::Answerer, Some(at)) = (self.side, path.far) else { return None };
        let ports = (path.target.1, alias);
        let talk = Talk { at, from: path.target.0, to: path.seen, protocol: talk.protocol, ports };
        talk.is_translated().then_some(Step { talk, side: Side::Opener, ..*self })
    }
}

/// A sequence number, in relation to what the script has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The one that comes next.
    Next,
    /// So many bytes before it.
    Before(u32),
    /// So many bytes after it.
    After(u32),
    /// A new beginning, far from all before.
    Anew,
}

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// A TCP segment.
    Tcp {
        /// Its flags.
        flags: u8,
        /// Its own number.
        seq: Place,
        /// What it acknowledges.
        ack: Place,
        /// Bytes of data.
        len: u16,
    },
    /// A UDP datagram.
    Udp {
        /// Bytes of data.
        len: u16,
        /// Whether it has a checksum.
        sealed: bool,
    },
    /// An ICMP query or its answer, by its type.
    Query {
        /// The type.
        kind: u8,
        /// Bytes of data.
        len: u16,
    },
    /// An ICMP error about a packet of the other side's.
    Complaint {
        /// The type.
        kind: u8,
        /// The code.
        code: u8,
        /// Whether a router on the way sends it, and not the party itself.
        router: bool,
        /// How much of the packet it quotes.
        quote: Quote,
    },
    /// A packet of a protocol without a form of its own here: the ports, then this many bytes.
    Other {
        /// Bytes of data.
        len: u16,
    },
}

/// How much of a packet an ICMP error quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quote {
    /// All of it.
    Whole,
    /// The header and eight bytes.
    Eight,
    /// All of it, with options in its header.
    Options,
    /// All of it, and for UDP without a checksum.
    Unsealed,
    /// A packet of a talk that nobody has had.
    Unknown,
    /// Not even a header.
    Short,
}

/// What IPv4 options a packet has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Options {
    /// None.
    None,
    /// So many words of no-operation.
    Nops(u8),
    /// Record route.
    Record,
    /// Timestamps.
    Stamp,
    /// Router alert.
    Alert,
}

/// What is wrong with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// The IPv4 header's checksum.
    HeaderSum,
    /// The transport's checksum.
    TransportSum,
    /// The frame ends so many bytes after its IPv4 header begins.
    CutAt(u8),
    /// The total length is this.
    TotalLen(u16),
    /// The IP version is this.
    Version(u8),
    /// The header length is this, in words.
    HeaderLen(u8),
    /// TCP's data offset is this, in words.
    DataOffset(u8),
    /// UDP's own length is this.
    UdpLen(u16),
}

/// How a datagram is sent in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pieces {
    /// It is not.
    Whole,
    /// In order.
    InOrder,
    /// The last one first.
    Reversed,
    /// The second before the first, and then in order.
    Swapped,
    /// Each one twice.
    Doubled,
    /// The second one begins eight bytes too early.
    Overlapping,
    /// Without the first.
    Headless,
    /// Without the last.
    Tailless,
}

/// The form of a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Time to live.
    pub ttl: u8,
    /// Type of service.
    pub tos: u8,
    /// Do not fragment.
    pub df: bool,
    /// The IP identification.
    pub id: u16,
    /// Options.
    pub options: Options,
    /// What is wrong with it.
    pub flaw: Flaw,
    /// Bytes behind it in its frame.
    pub padding: u8,
    /// Whether it comes from elsewhere than it should: 1 another port, 2 another address.
    pub askew: u8,
    /// Its pieces.
    pub pieces: Pieces,
}

/// An ordinary packet's form.
pub const PLAIN: Shape = Shape {
    ttl: 64,
    tos: 0,
    df: true,
    id: 0x1234,
    options: Options::None,
    flaw: Flaw::None,
    padding: 0,
    askew: 0,
    pieces: Pieces::Whole,
};

impl fmt::Debug for Shape {
    /// As a change to [`PLAIN`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == PLAIN {
            return f.write_str("PLAIN");
        }
        let Shape { ttl, tos, df, id, options, flaw, padding, askew, pieces } = *self;
        f.write_str("Shape { ")?;
        let mut field = |changed: bool, name: &str, value: &dyn fmt::Debug| match changed {
            true => write!(f, "{name}: {value:?}, "),
            false => Ok(()),
        };
        field(ttl != PLAIN.ttl, "ttl", &ttl)?;
        field(tos != PLAIN.tos, "tos", &tos)?;
        field(df != PLAIN.df, "df", &df)?;
        field(id != PLAIN.id, "id", &id)?;
        field(options != PLAIN.options, "options", &Qualified("Options", &options))?;
        field(flaw != PLAIN.flaw, "flaw", &Qualified("Flaw", &flaw))?;
        field(padding != PLAIN.padding, "padding", &padding)?;
        field(askew != PLAIN.askew, "askew", &askew)?;
        field(pieces != PLAIN.pieces, "pieces", &Qualified("Pieces", &pieces))?;
        f.write_str("..PLAIN }")
    }
}

/// A variant with its enum's name before it: several have one called `None`.
struct Qualified<'a>(&'a str, &'a dyn fmt::Debug);

impl fmt::Debug for Qualified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{:?}", self.0, self.1)
    }
}

/// A script as a Rust array, a step a line.
pub fn listing(script: &[Step]) -> String {
    let lines: Vec<_> = script.iter().map(|step| format!("    {step:?},\n")).collect();
    format!("[\n{}]", lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_prints_as_the_rust_that_makes_it() {
        assert_eq!(format!("{PLAIN:?}"), "PLAIN");
        let odd = Shape { ttl: 1, flaw: Flaw::CutAt(20), ..PLAIN };
        assert_eq!(format!("{odd:?}"), "Shape { ttl: 1, flaw: Flaw::CutAt(20), ..PLAIN }");
    }
}
