//! Packets as few bytes as they can be, by builder: a TCP segment, a datagram, an echo request, from and to
//! whomever the test likes; and the same read back off a wire.

use std::net::Ipv4Addr;

/// IP protocol numbers.
pub const ICMP: u8 = 1;
/// See [`ICMP`].
pub const TCP: u8 = 6;
/// See [`ICMP`].
pub const UDP: u8 = 17;

/// TCP flags.
pub const FIN: u8 = 0x01;
/// See [`FIN`].
pub const SYN: u8 = 0x02;
/// See [`FIN`].
pub const RST: u8 = 0x04;
/// See [`FIN`].
pub const ACK: u8 = 0x10;

/// One packet to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Protocol number.
    pub protocol: u8,
    /// From whom.
    pub from: (Ipv4Addr, u16),
    /// To whom.
    pub to: (Ipv4Addr, u16),
    /// TCP: the flags.
    pub flags: u8,
    /// TCP: the sequence number.
    pub sequence: u32,
    /// TCP: the acknowledgement.
    pub acknowledges: u32,
    /// Four bytes of data, by which a packet is known again.
    pub mark: u32,
}

impl Segment {
    /// A SYN.
    pub fn syn(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> Self {
        Segment { protocol: TCP, from, to, flags: SYN, sequence: 1000, acknowledges: 0, mark: 0 }
    }

    /// Another segment of TCP.
    pub fn tcp(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), flags: u8, numbers: (u32, u32)) -> Self {
        Segment { protocol: TCP, from, to, flags, sequence: numbers.0, acknowledges: numbers.1, mark: 0 }
    }

    /// A datagram.
    pub fn udp(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), mark: u32) -> Self {
        Segment { protocol: UDP, from, to, flags: 0, sequence: 0, acknowledges: 0, mark }
    }

    /// The frame between two hardware addresses, with right checksums.
    pub fn frame(&self, link: &Link) -> Vec<u8> {
        let mut body = Vec::with_capacity(24);
        body.extend(self.from.1.to_be_bytes());
        body.extend(self.to.1.to_be_bytes());
        let (sum_at, has_data) = if self.protocol == TCP {
            body.extend(self.sequence.to_be_bytes());
            body.extend(self.acknowledges.to_be_bytes());
            body.extend([0x50, self.flags, 0x40, 0, 0, 0, 0, 0]);
            (16, false)
        } else {
            body.extend([0, 12, 0, 0]);
            (6, true)
        };
        if has_data {
            body.extend(self.mark.to_be_bytes());
        }
        let mut pseudo = Vec::with_capacity(40);
        pseudo.extend(self.from.0.octets());
        pseudo.extend(self.to.0.octets());
        pseudo.extend([0, self.protocol, 0, body.len() as u8]);
        pseudo.extend(&body);
        body[sum_at..sum_at + 2].copy_from_slice(&checksum(&pseudo).to_be_bytes());

        let mut ip = vec![0x45, 0, 0, (20 + body.len()) as u8, 0, 0, 0x40, 0, 64, self.protocol, 0, 0];
        ip.extend(self.from.0.octets());
        ip.extend(self.to.0.octets());
        let sum = checksum(&ip).to_be_bytes();
        ip[10..12].copy_from_slice(&sum);

        let mut frame = Vec::with_capacity(60);
        frame.extend(link.to);
        frame.extend(link.from);
        frame.extend([0x08, 0x00]);
        frame.extend(ip);
        frame.extend(body);
        frame
    }
}

/// Makes a frame a fragment of a datagram with this identification: the first one, or a later one, whose data begins
/// `offset` times eight bytes into the datagram.
pub fn piece(mut frame: Vec<u8>, identification: u16, offset: u16, more: bool) -> Vec<u8> {
    const IP: usize = 14;
    let pieces = offset | if more { 0x2000 } else { 0 };
    frame[IP + 4..IP + 6].copy_from_slice(&identification.to_be_bytes());
    frame[IP + 6..IP + 8].copy_from_slice(&pieces.to_be_bytes());
    frame[IP + 10..IP + 12].fill(0);
    let sum = checksum(&frame[IP..IP + 20]).to_be_bytes();
    frame[IP + 10..IP + 12].copy_from_slice(&sum);
    frame
}

/// Hardware addresses of a wire's two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The sender's.
    pub from: [u8; 6],
    /// The receiver's.
    pub to: [u8; 6],
}

fn checksum(bytes: &[u8]) -> u16 {
    let sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)))
        .sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    !((sum & 0xffff) + (sum >> 16)) as u16
}

/// A packet as a wire carried it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Protocol number.
    pub protocol: u8,
    /// Source address and port, or zero.
    pub from: (Ipv4Addr, u16),
    /// Destination address and port, or zero.
    pub to: (Ipv4Addr, u16),
    /// TCP: flags. ICMP: the code.
    pub flags: u8,
    /// TCP: the sequence number. ICMP: the type. UDP: the first four bytes of data, or zero.
    pub number: u32,
    /// TCP: the acknowledgement.
    pub acknowledges: u32,
}

impl Seen {
    /// Whether it is the ICMP error that tells of a refusal: unreachable, prohibited by an administrator.
    pub fn is_refusal(&self) -> bool {
        self.protocol == ICMP && (self.number, self.flags) == (3, 13)
    }
}

/// Reads a frame; nothing of one that is no whole IPv4 packet with a transport header.
pub fn seen(frame: &[u8]) -> Option<Seen> {
    let ip = frame.get(14..)?;
    let header = usize::from(ip.first()? & 0x0f) * 4;
    let address = |at: usize| ip.get(at..at + 4)?.try_into().ok().map(|bytes: [u8; 4]| Ipv4Addr::from(bytes));
    let body = ip.get(header..)?;
    let short = |at: usize| Some(u16::from_be_bytes(body.get(at..at + 2)?.try_into().ok()?));
    let long = |at: usize| Some(u32::from_be_bytes(body.get(at..at + 4)?.try_into().ok()?));
    let protocol = *ip.get(9)?;
    let (ports, flags, number, acknowledges) = match protocol {
        TCP => ((short(0)?, short(2)?), *body.get(13)?, long(4)?, long(8)?),
        UDP => ((short(0)?, short(2)?), 0, long(8).unwrap_or(0), 0),
        ICMP => ((0, 0), *body.get(1)?, u32::from(*body.first()?), 0),
        _ => ((0, 0), 0, 0, 0),
    };
    let (from, to) = ((address(12)?, ports.0), (address(16)?, ports.1));
    Some(Seen { protocol, from, to, flags, number, acknowledges })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_read_back() {
        let link = Link { from: [2; 6], to: [4; 6] };
        let (a, b) = ((Ipv4Addr::new(10, 0, 0, 1), 40_000), (Ipv4Addr::new(8, 8, 8, 8), 53));
        let got = seen(&Segment::udp(a, b, 77).frame(&link)).unwrap();
        assert_eq!((got.protocol, got.from, got.to, got.number), (UDP, a, b, 77));
        let got = seen(&Segment::tcp(a, b, SYN | ACK, (5, 6)).frame(&link)).unwrap();
        assert_eq!((got.flags, got.number, got.acknowledges), (SYN | ACK, 5, 6));
    }

    #[test]
    fn a_packet_with_its_checksum_sums_up_to_nothing() {
        let link = Link { from: [2; 6], to: [4; 6] };
        let (a, b) = ((Ipv4Addr::new(10, 0, 0, 1), 40_000), (Ipv4Addr::new(8, 8, 8, 8), 53));
        assert_eq!(checksum(&Segment::syn(a, b).frame(&link)[14..34]), 0);
    }
}
