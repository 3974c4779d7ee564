//! Out and back is the identity: an answer to the packet as it left arrives as an answer to the packet as it
//! was sent, with every checksum right by a whole computation.

use netlab_common::abi::hook::Hook;
use netlab_common::abi::hook::Hook::{PortIn, PortOut, UplinkIn, UplinkOut};
use netlab_common::abi::verdict::Verdict;
use netlab_common::net::protocol::{TCP, UDP, UDPLITE};
use netlab_tests::host::Host;
use netlab_tests::packet::checksum::fault;
use netlab_tests::packet::{Packet, answer, headers, tcp, tuple, udp};
use netlab_tests::rules::Rules;
use proptest::prelude::*;

use super::strategies::{config, opener};

/// Sends a packet, answers what it became, and goes on; gives the packet as the other side saw it.
fn there_and_back(host: &Host, there: Hook, back: Hook, packet: &[u8]) -> Result<Vec<u8>, TestCaseError> {
    let (verdict, left) = host.run(there, packet);
    prop_assert_eq!(verdict, Verdict::Created);
    prop_assert_eq!(fault(&left), None);
    prop_assert_eq!(left.len(), packet.len());

    let (verdict, returned) = host.run(back, &answer(&left));
    prop_assert_eq!(verdict, Verdict::Established);
    prop_assert_eq!(fault(&returned), None);
    prop_assert_eq!(tuple(&returned), tuple(packet).inverse());
    // Not the tuple alone: addresses, ports and checksums are all that was ever touched.
    prop_assert_eq!(&returned, &answer(packet));

    let (verdict, again) = host.run(there, packet);
    prop_assert_eq!(verdict, Verdict::Established);
    prop_assert_eq!(&again, &left, "a flow is translated the same each time");
    Ok(left)
}

/// The same protocol's packet to the same remote, from another node's same port: it takes that port first.
pub fn rival(packet: &Packet) -> Vec<u8> {
    let at = headers(&packet.frame());
    let mut frame = packet.clone().from("10.10.0.99").frame();
    let sport = &packet.frame()[at.transport()..at.transport() + 2];
    if [TCP, UDP, UDPLITE].contains(&at.tuple.protocol) {
        frame[at.transport()..at.transport() + 2].copy_from_slice(sport);
    }
    frame
}

proptest! {
    #![proptest_config(config(1024))]

    #[test]
    fn masquerade_is_undone_by_its_answer(packet in opener("10.10.0.10", "8.8.8.8"), taken: bool, random: u32) {
        let host = Host::new(&Rules::none().masquerade("10.10.0.0/16", "192.168.0.108", 1024..=65_535));
        host.env.next.set(random);
        if taken {
            prop_assert_eq!(host.run(UplinkOut, &rival(&packet)).0, Verdict::Created);
        }
        let frame = packet.frame();
        let left = there_and_back(&host, UplinkOut, UplinkIn, &frame)?;
        prop_assert_eq!(tuple(&left).src, [192, 168, 0, 108]);
        prop_assert_eq!(tuple(&left).sport == tuple(&frame).sport, !taken, "a port is kept where it is free");
    }

    #[test]
    fn forward_is_undone_by_its_answer(
        client: u16,
        port: u16,
        target: u16,
        is_udp: bool,
        among_nodes: bool,
        data in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let (protocol, make): (u8, fn(&str, &str) -> Packet) =
            if is_udp { (UDP, udp) } else { (TCP, |from, to| tcp(from, to).syn()) };
        let public = format!("192.168.0.108:{port}");
        let host = Host::new(&Rules::none().forward(protocol, &public, &format!("10.10.0.10:{target}")));
        let (from, there, back) =
            if among_nodes { ("10.10.0.20", PortIn, PortOut) } else { ("8.8.8.8", UplinkIn, UplinkOut) };

        let packet = make(&format!("{from}:{client}"), &public).payload(&data);
        let left = there_and_back(&host, there, back, &packet.frame())?;
        prop_assert_eq!((tuple(&left).dst, tuple(&left).dport), ([10, 10, 0, 10], target.to_be_bytes()));
        prop_assert_eq!(tuple(&left).sport, client.to_be_bytes());
    }
}
