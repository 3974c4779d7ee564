//! What is done to a packet before it is sent: it is cut into pieces, and it is given what is to be wrong with it.

use netlab_common::net::ipv4;

use super::step::{Body, Flaw, Pieces, Step};
use super::sums;

/// Bytes of the pieces that a datagram is sent in.
const PIECE: usize = 264;

/// Cuts a packet into pieces.
pub fn pieces(packet: &[u8], how: Pieces) -> Vec<Vec<u8>> {
    let header = usize::from(packet[0] & 0x0f) * 4;
    let len = packet.len() - header;
    if how == Pieces::Whole || len <= PIECE {
        return vec![packet.to_vec()];
    }
    let cut = |begin: usize, end: usize| {
        let mut piece = [&packet[..header], &packet[header + begin..header + end]].concat();
        let field = (begin / 8) as u16 | if end < len { 0x2000 } else { 0 };
        let total = piece.len() as u16;
        piece[ipv4::TOTAL_LEN..ipv4::TOTAL_LEN + 2].copy_from_slice(&total.to_be_bytes());
        piece[ipv4::FRAGMENT..ipv4::FRAGMENT + 2].copy_from_slice(&field.to_be_bytes());
        sums::seal_header(&mut piece);
        piece
    };
    let starts: Vec<usize> = (0..len).step_by(PIECE).collect();
    let overlap = |begin: usize| if how == Pieces::Overlapping && begin == PIECE { begin - 8 } else { begin };
    let mut all: Vec<_> = starts.iter().map(|&at| cut(overlap(at), (at + PIECE).min(len))).collect();
    match how {
        Pieces::Reversed => all.reverse(),
        Pieces::Swapped => all.swap(0, 1),
        Pieces::Doubled => all = all.into_iter().flat_map(|piece| [piece.clone(), piece]).collect(),
        Pieces::Headless => drop(all.remove(0)),
        Pieces::Tailless => drop(all.pop()),
        _ => {}
    }
    all
}

/// Does to a packet what is wrong with it.
pub fn flaw(step: &Step, packet: &mut Vec<u8>) {
    let header = usize::from(packet[0] & 0x0f) * 4;
    let patch = |packet: &mut Vec<u8>, at: usize, bytes: &[u8]| {
        if let Some(place) = packet.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    match step.shape.flaw {
        Flaw::None => {}
        Flaw::HeaderSum => packet[ipv4::CHECKSUM] ^= 0x55,
        Flaw::TransportSum => {
            let field = sums::field_of(packet[ipv4::PROTOCOL]).map(|field| header + field);
            let unsealed = matches!(step.body, Body::Udp { sealed: false, .. });
            if let Some((at, sum)) =
                field.filter(|_| !unsealed).and_then(|at| Some((at, sums::word(packet, at)?)))
            {
                // Wrong by an amount that a translation does not change.
                let wrong = sums::sum(u32::from(sum), &[0, 0x55]);
                packet[at..at + 2].copy_from_slice(&wrong.to_be_bytes());
            }
        }
        Flaw::CutAt(len) => packet.truncate(usize::from(len).max(1)),
        Flaw::TotalLen(len) => {
            patch(packet, ipv4::TOTAL_LEN, &len.to_be_bytes());
            sums::seal_header(packet);
        }
        Flaw::Version(version) => {
            packet[0] = version << 4 | packet[0] & 0x0f;
            sums::seal_header(packet);
        }
        Flaw::HeaderLen(words) => packet[0] = 0x40 | words & 0x0f,
        Flaw::DataOffset(words) => {
            patch(packet, header + 12, &[words << 4]);
            sums::seal(packet, true);
        }
        Flaw::UdpLen(len) => {
            patch(packet, header + 4, &len.to_be_bytes());
            sums::seal(packet, true);
        }
    }
}
