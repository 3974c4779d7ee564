//! Whole checksums of a frame, made and verified. The arithmetic is written out once more, apart from
//! netlab-common's, so that a fault there is not tested by itself.

use netlab_common::net::{eth, icmp, ipv4, protocol, tcp, udp};

/// Whether the IPv4 header's and the transport's checksum are right, summed over the whole packet.
#[must_use]
pub fn checksums_valid(frame: &[u8]) -> bool {
    fault(frame).is_none()
}

/// Which checksum of an IPv4 frame is wrong.
#[must_use]
pub fn fault(frame: &[u8]) -> Option<&'static str> {
    if sum(0, header(frame)) != 0xffff {
        return Some("the header checksum is wrong");
    }
    let field = transport_field(frame)?;
    let stored = u16::from_be_bytes([frame[field], frame[field + 1]]);
    let number = frame[eth::LEN + ipv4::PROTOCOL];
    if number == protocol::UDP && stored == 0 {
        return None;
    }
    if sum(pseudo_header(frame), segment(frame)) != 0xffff {
        return Some("the transport checksum is wrong");
    }
    None
}

/// Makes all checksums of a well-formed IPv4 frame right; UDP's stays zero unless `seal_udp`.
pub fn seal(frame: &mut [u8], seal_udp: bool) {
    seal_header(frame);
    let Some(field) = transport_field(frame) else { return };
    frame[field..field + 2].fill(0);
    let number = frame[eth::LEN + ipv4::PROTOCOL];
    let is_udp = matches!(number, protocol::UDP | protocol::UDPLITE);
    if number == protocol::UDP && !seal_udp {
        return;
    }
    let whole = match !sum(pseudo_header(frame), segment(frame)) {
        0 if is_udp => 0xffff,
        whole => whole,
    };
    frame[field..field + 2].copy_from_slice(&whole.to_be_bytes());
}

/// Makes the checksum of an IPv4 header right.
pub fn seal_header(frame: &mut [u8]) {
    let at = eth::LEN + ipv4::CHECKSUM;
    frame[at..at + 2].fill(0);
    let header_sum = !sum(0, header(frame));
    frame[at..at + 2].copy_from_slice(&header_sum.to_be_bytes());
}

/// Where the transport's checksum stands, if the packet has one that can be verified: fragments have not.
#[must_use]
pub fn transport_field(frame: &[u8]) -> Option<usize> {
    let pieces = u16::from_be_bytes([frame[eth::LEN + ipv4::FRAGMENT], frame[eth::LEN + ipv4::FRAGMENT + 1]]);
    if pieces & ipv4::FRAGMENT_MASK != 0 {
        return None;
    }
    let (offset, least) = match frame[eth::LEN + ipv4::PROTOCOL] {
        protocol::TCP => (tcp::CHECKSUM, tcp::MIN_LEN),
        protocol::UDP | protocol::UDPLITE => (udp::CHECKSUM, udp::LEN),
        protocol::ICMP => (icmp::CHECKSUM, icmp::LEN),
        _ => return None,
    };
    (segment(frame).len() >= least).then_some(eth::LEN + header(frame).len() + offset)
}

fn header(frame: &[u8]) -> &[u8] {
    let len = usize::from(frame[eth::LEN] & 0x0f) * 4;
    &frame[eth::LEN..eth::LEN + len]
}

/// The IP packet's payload, without the padding of the frame.
fn segment(frame: &[u8]) -> &[u8] {
    let total = u16::from_be_bytes([frame[eth::LEN + 2], frame[eth::LEN + 3]]);
    &frame[eth::LEN + header(frame).len()..eth::LEN + usize::from(total)]
}

/// Source, destination, protocol and length, for the protocols whose checksum covers them.
fn pseudo_header(frame: &[u8]) -> u32 {
    let number = frame[eth::LEN + ipv4::PROTOCOL];
    if number == protocol::ICMP {
        return 0;
    }
    let addresses = &frame[eth::LEN + ipv4::SRC..eth::LEN + ipv4::DST + 4];
    u32::from(sum(u32::from(number) + segment(frame).len() as u32, addresses))
}

/// The one's complement sum of 16-bit words, an odd last byte padded with a zero.
fn sum(start: u32, bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| {
        let low = pair.get(1).copied().unwrap_or(0);
        u64::from(pair[0]) * 256 + u64::from(low)
    });
    let mut total = u64::from(start) + words.sum::<u64>();
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}
