//! ICMP errors: one about what left, translated, is one about what was sent; and whatever bytes an error quotes, nothing
//! but that happens.

use netlab_common::abi::hook::Hook::{self, PortIn, PortOut, UplinkIn, UplinkOut};
use netlab_common::abi::verdict::{Disposition, Verdict};
use netlab_common::fake::BufPacket;
use netlab_common::net::protocol::{TCP, UDP};
use netlab_common::net::{eth, ipv4};
use netlab_common::packet::parse_quote;
use netlab_tests::cases::errors::{KINDS, ROUTER};
use netlab_tests::host::Host;
use netlab_tests::packet::checksum::{fault, seal};
use netlab_tests::packet::{Packet, answer, error, quote, tcp, udp};
use netlab_tests::rules::Rules;
use proptest::prelude::*;
use proptest::sample::select;

use super::strategies::{config, frame, hook, opener, rules};
use super::there_and_back::rival;

const NODE: &str = "10.10.0.10";
const HOST: &str = "192.168.0.108";
const WORLD: &str = "8.8.8.8";

/// An error's type, code and four bytes.
type Kind = (u8, u8, [u8; 4]);

/// An error about a packet, to its sender.
fn about(packet: &[u8], from: &str, to: &str, kind: Kind, len: usize) -> Packet {
    error(from, to, kind, &quote(packet, len))
}

/// How much of the transport is quoted. Where a TCP quote ends within the checksum, half of that stays what it was.
fn len() -> impl Strategy<Value = usize> {
    (8usize..120).prop_map(|len| if len == 17 { 16 } else { len })
}

/// Whatever flows are there, with their times and counters.
fn table(host: &Host) -> String {
    format!("{:?}", host.tables.live())
}

proptest! {
    #![proptest_config(config(1024))]

    #[test]
    fn an_error_about_what_left_arrives_as_one_about_what_was_sent(
        packet in opener(NODE, WORLD),
        kind in select(&KINDS[..]),
        len in len(),
        options in 0usize..=10,
        taken: bool,
        random: u32,
    ) {
        let host = Host::new(&Rules::none().masquerade("10.10.0.0/16", HOST, 1024..=65_535));
        host.env.next.set(random);
        if taken {
            host.run(UplinkOut, &rival(&packet));
        }
        let sent = packet.frame();
        let (verdict, left) = host.run(UplinkOut, &sent);
        prop_assert_eq!(verdict, Verdict::Created);
        let before = table(&host);

        let (verdict, told) = host.run(UplinkIn, &about(&left, ROUTER, HOST, kind, len).options(options).frame());
        prop_assert_eq!(verdict, Verdict::Related);
        prop_assert_eq!(fault(&told), None);
        prop_assert_eq!(told, about(&sent, ROUTER, NODE, kind, len).options(options).frame());

        prop_assert_eq!(&table(&host), &before, "nor does one that comes in");

        let came = answer(&left);
        let (_, seen) = host.run(UplinkIn, &came);
        let known = table(&host);
        let (verdict, told) = host.run(UplinkOut, &about(&seen, NODE, WORLD, kind, len).options(options).frame());
        prop_assert_eq!(verdict, Verdict::Related);
        prop_assert_eq!(told, about(&came, HOST, WORLD, kind, len).options(options).frame());
        prop_assert_eq!(&table(&host), &known, "an error moves nothing of a flow");
        prop_assert_ne!(known, before, "and an answer does");
    }

    #[test]
    fn an_error_about_a_forwarded_packet_arrives_as_one_about_what_was_sent(
        ports: (u16, u16, u16),
        is_udp: bool,
        among_nodes: bool,
        kind in select(&KINDS[..]),
        len in len(),
    ) {
        let (protocol, make): (u8, fn(&str, &str) -> Packet) =
            if is_udp { (UDP, udp) } else { (TCP, |from, to| tcp(from, to).syn()) };
        let (public, target) = (format!("{HOST}:{}", ports.1), format!("{NODE}:{}", ports.2));
        let host = Host::new(&Rules::none().forward(protocol, &public, &target));
        let (client, there, back) =
            if among_nodes { ("10.10.0.20", PortIn, PortOut) } else { (WORLD, UplinkIn, UplinkOut) };
        let sent = make(&format!("{client}:{}", ports.0), &public).frame();
        let (verdict, seen) = host.run(there, &sent);
        prop_assert_eq!(verdict, Verdict::Created);
        let (verdict, told) = host.run(back, &about(&seen, NODE, client, kind, len).frame());
        prop_assert_eq!(verdict, Verdict::Related);
        prop_assert_eq!(told, about(&sent, HOST, client, kind, len).frame());
    }

    #[test]
    fn whatever_an_error_quotes_its_checksum_stays_right_and_nothing_leaks(
        hook in hook(),
        bytes in prop::collection::vec(any::<u8>(), 0..80),
        like in frame(),
        as_noise: bool,
        kind in select(&KINDS[..]),
        ends in (select(&[NODE, HOST, WORLD, ROUTER][..]), select(&[NODE, HOST, WORLD][..])),
    ) {
        let host = Host::new(&rules());
        for (hook, opens) in [(UplinkOut, udp("10.10.0.10:53", "8.8.8.8:53")), (UplinkIn, udp("8.8.8.8:80", "192.168.0.108:53"))] {
            host.run(hook, &opens.frame());
        }
        let quoted = if as_noise || like.len() < eth::LEN { bytes } else { like[eth::LEN..].to_vec() };
        let frame = error(ends.0, ends.1, kind, &quoted).frame();
        let before = table(&host);
        let (verdict, became) = host.run(hook, &frame);
        prop_assert_eq!(fault(&became), None);
        prop_assert_eq!(became.len(), frame.len());
        prop_assert_eq!(table(&host), before);
        if verdict.disposition() != Disposition::Forwarded {
            prop_assert_eq!(&became, &frame);
        }
        if hook == Hook::UplinkOut && verdict.disposition() != Disposition::Dropped {
            prop_assert_ne!(&became[eth::LEN + ipv4::SRC..][..2], &[10, 10][..]);
        }
    }

    #[test]
    fn a_quote_is_read_within_the_error_whatever_its_bytes(
        bytes in prop::collection::vec(any::<u8>(), 0..120),
        at in 0usize..80,
        cut in 0usize..120,
        plausible: bool,
    ) {
        let mut bytes = bytes;
        if plausible && bytes.len() >= at + ipv4::MIN_LEN {
            bytes[at] = 0x45;
            bytes[at + ipv4::FRAGMENT..][..2].fill(0);
            let mut header = [&[0; eth::LEN][..], &bytes[at..at + ipv4::MIN_LEN]].concat();
            header[eth::LEN + ipv4::TOTAL_LEN..][..2].copy_from_slice(&[0, ipv4::MIN_LEN as u8]);
            seal(&mut header, true);
            bytes[at..at + ipv4::MIN_LEN].copy_from_slice(&header[eth::LEN..]);
        }
        let end = cut.min(bytes.len());
        if let Some(quote) = parse_quote(&BufPacket(bytes), at, end) {
            prop_assert!(quote.ip + ipv4::MIN_LEN <= quote.transport && quote.transport <= end);
            prop_assert!(quote.checksum == 0 || quote.checksum + 2 <= end);
        }
    }
}
