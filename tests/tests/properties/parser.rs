//! The parser: it reads nothing beyond the packet, and knows a packet by its bytes alone.

use netlab_common::fake::BufPacket;
use netlab_common::net::{eth, ipv4};
use netlab_common::packet::{Headers, Piece, Transport, parse_ipv4};
use proptest::prelude::*;

use super::strategies::{config, frame};

fn read(frame: &[u8]) -> Option<Headers<4>> {
    parse_ipv4(&BufPacket(frame.to_vec())).ok()
}

proptest! {
    #![proptest_config(config(4096))]

    #[test]
    fn what_is_read_of_a_packet_lies_within_it_whatever_lies_behind_it(
        frame in frame(),
        padding in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let Some(headers) = read(&frame) else { return Ok(()) };
        let len = u16::from_be_bytes([frame[eth::LEN + ipv4::TOTAL_LEN], frame[eth::LEN + ipv4::TOTAL_LEN + 1]]);
        let end = eth::LEN + usize::from(len);
        prop_assert_eq!(headers.ip(), eth::LEN);
        prop_assert!(headers.ip() + ipv4::MIN_LEN <= headers.transport() && headers.transport() <= end);
        prop_assert!(end <= frame.len());
        let packet = &frame[..end];
        prop_assert_eq!(read(packet), Some(headers), "without what is behind it");
        prop_assert_eq!(read(&[packet, &padding].concat()), Some(headers), "with something else behind it");
    }

    #[test]
    fn only_a_piece_with_the_transport_header_has_ports(frame in frame()) {
        let Some(headers) = read(&frame) else { return Ok(()) };
        let (ports, kind) = ((headers.tuple.sport, headers.tuple.dport), headers.kind());
        if headers.piece == Piece::Later {
            prop_assert!(matches!(kind, Transport::Fragment | Transport::Portless | Transport::Other), "{:?}", kind);
            prop_assert_eq!(ports, ([0; 2], [0; 2]));
        } else {
            prop_assert_ne!(kind, Transport::Fragment);
        }
    }
}
