//! Datagrams out of their pieces: twins may send a datagram on in other pieces, or in another order, and it is the
//! same datagram.

use netlab_common::net::{eth, ipv4};

use super::sums::{seal_header, word};

/// The frames with all pieces that make a whole datagram put together, in the place of the first of them. Pieces
/// of which some are missing, or do not agree, stay as they are.
pub fn whole(frames: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut done: Vec<Vec<u8>> = Vec::new();
    let mut rest = frames;
    while !rest.is_empty() {
        let first = rest.remove(0);
        let Some(key) = datagram(&first) else {
            done.push(first);
            continue;
        };
        let (mut pieces, others): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|frame| datagram(frame).is_some_and(|other| other == key));
        rest = others;
        pieces.insert(0, first);
        match together(&pieces) {
            Some(datagram) => done.push(datagram),
            None => done.extend(pieces),
        }
    }
    done
}

/// What the pieces of one datagram have in common (RFC 791): none if the frame is no piece.
fn datagram(frame: &[u8]) -> Option<(Vec<u8>, [u8; 3])> {
    let packet = packet(frame)?;
    let field = word(packet, ipv4::FRAGMENT)?;
    let [id, number] = [4..6, 9..10].map(|range| &packet[range]);
    (field & ipv4::FRAGMENT_MASK != 0)
        .then(|| (packet[ipv4::SRC..ipv4::DST + 4].to_vec(), [id[0], id[1], number[0]]))
}

fn packet(frame: &[u8]) -> Option<&[u8]> {
    let packet = frame.get(eth::LEN..).filter(|_| frame[eth::TYPE..eth::LEN] == eth::IPV4)?;
    let header = usize::from(packet.first()? & 0x0f) * 4;
    (header >= ipv4::MIN_LEN && packet.len() >= header).then_some(packet)
}

fn together(pieces: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut parts: Vec<(usize, bool, &[u8], &[u8])> = pieces
        .iter()
        .filter_map(|frame| {
            let packet = packet(frame)?;
            let field = word(packet, ipv4::FRAGMENT)?;
            let header = usize::from(packet[0] & 0x0f) * 4;
            let end = usize::from(word(packet, ipv4::TOTAL_LEN)?).min(packet.len()).max(header);
            Some((
                usize::from(field & 0x1fff) * 8,
                field & 0x2000 != 0,
                frame.as_slice(),
                &packet[header..end],
            ))
        })
        .collect();
    parts.sort_by_key(|(offset, ..)| *offset);
    parts.dedup_by(|a, b| (a.0, a.1, a.3) == (b.0, b.1, b.3));
    let (0, _, frame, _) = parts.first()? else { return None };
    let header = eth::LEN + usize::from(frame[eth::LEN] & 0x0f) * 4;
    let mut whole = frame[..header].to_vec();
    for (number, (offset, more, _, data)) in parts.iter().enumerate() {
        let is_last = number + 1 == parts.len();
        if *offset != whole.len() - header || *more == is_last {
            return None;
        }
        whole.extend_from_slice(data);
    }
    let total = u16::try_from(whole.len() - eth::LEN).ok()?;
    let field = word(&whole, eth::LEN + ipv4::FRAGMENT)? & !ipv4::FRAGMENT_MASK;
    whole[eth::LEN + ipv4::TOTAL_LEN..][..2].copy_from_slice(&total.to_be_bytes());
    whole[eth::LEN + ipv4::FRAGMENT..][..2].copy_from_slice(&field.to_be_bytes());
    seal_header(&mut whole[eth::LEN..]);
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::super::frame::{Moment, frames};
    use super::super::place::{End, Talk};
    use super::super::step::{Body, PLAIN, Pieces, Shape, Side, Step};
    use super::*;

    fn sent(pieces: Pieces) -> Vec<Vec<u8>> {
        let talk = Talk {
            at: End::Earth,
            from: End::Earth.address(),
            to: [8, 8, 8, 8],
            protocol: 17,
            ports: (1, 2),
        };
        let shape = Shape { df: false, pieces, ..PLAIN };
        let step = Step { talk, side: Side::Opener, body: Body::Udp { len: 900, sealed: true }, shape };
        frames(&step, Moment { alias: 1, numbers: (0, 0) })
    }

    #[test]
    fn pieces_in_any_order_are_the_datagram_that_was_cut() {
        for order in [Pieces::InOrder, Pieces::Reversed, Pieces::Swapped, Pieces::Doubled] {
            assert_eq!(whole(sent(order)), sent(Pieces::Whole), "{order:?}");
        }
    }

    #[test]
    fn pieces_that_do_not_make_a_datagram_stay_pieces() {
        for order in [Pieces::Headless, Pieces::Tailless, Pieces::Overlapping] {
            assert_eq!(whole(sent(order)), sent(order), "{order:?}");
        }
    }
}
