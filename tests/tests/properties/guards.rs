//! What no frame may do, whatever its bytes: bring the parser down, go uncounted, show a node's address to the
//! world, or reach a node unasked.

use netlab_common::abi::hook::Hook::{self, UplinkIn, UplinkOut};
use netlab_common::abi::rule::Zone;
use netlab_common::abi::verdict::{Disposition, Verdict, received_index, verdict_index};
use netlab_common::fake::BufPacket;
use netlab_common::net::protocol::ICMP;
use netlab_common::packet::parse_ipv4;
use netlab_common::tables::Rules as _;
use netlab_tests::host::Host;
use netlab_tests::packet::checksum::fault;
use netlab_tests::packet::{headers, ping, tcp, udp};
use proptest::prelude::*;

use super::strategies::{config, frame, hook, mapping_rules, rules};

/// A host that has masqueraded flows of each protocol, and a forwarded one from the world.
fn busy() -> Host {
    let host = Host::new(&rules());
    for (hook, packet) in [
        (UplinkOut, tcp("10.10.0.10:5555", "8.8.8.8:80").syn()),
        (UplinkOut, udp("10.10.0.20:5555", "8.8.8.8:53")),
        (UplinkOut, ping("10.10.0.10", "8.8.4.4", 53)),
        (UplinkIn, tcp("8.8.8.8:5555", "192.168.0.108:8000").syn()),
        (UplinkIn, udp("8.8.4.4:5555", "192.168.0.108:53")),
    ] {
        assert_eq!(host.run(hook, &packet.frame()).0, Verdict::Created);
    }
    host
}

/// Whose the addresses of a frame are, source and destination, if it has any.
fn zones(host: &Host, frame: &[u8]) -> Option<(Zone, Zone)> {
    let headers = parse_ipv4(&BufPacket(frame.to_vec())).ok()?;
    Some((host.tables.zone(headers.tuple.src), host.tables.zone(headers.tuple.dst)))
}

fn private_source_stays(host: &Host, frame: &[u8]) -> Result<(), TestCaseError> {
    let (verdict, became) = host.run(UplinkOut, frame);
    if verdict.disposition() != Disposition::Dropped {
        let source = zones(host, &became).map(|(source, _)| source);
        prop_assert_ne!(source, Some(Zone::Nodes), "{} let a node's address out", verdict.name());
    }
    Ok(())
}

fn unasked_stays_outside(host: &Host, frame: &[u8]) -> Result<(), TestCaseError> {
    let (verdict, became) = host.run(UplinkIn, frame);
    if verdict.disposition() == Disposition::Passed {
        let (source, target) = zones(host, &became).unwrap_or((Zone::World, Zone::World));
        prop_assert_ne!(target, Zone::Nodes, "{} let a packet in", verdict.name());
        prop_assert_ne!(source, Zone::Nodes, "{} let a false node in", verdict.name());
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(2048))]

    #[test]
    fn every_frame_is_counted_once_under_one_verdict(
        frames in prop::collection::vec((hook(), frame(), 0u32..2), 1..20),
    ) {
        let host = busy();
        for (hook, frame, on) in &frames {
            if let Err(fault) = host.outcome(*hook, frame, *on) {
                return Err(TestCaseError::fail(fault.to_string()));
            }
        }
        let counts = host.counts();
        for hook in Hook::ALL {
            let verdicts = Verdict::ALL.iter().map(|verdict| counts[verdict_index(hook, *verdict) as usize]);
            let (packets, bytes) = verdicts.fold((0, 0), |sum, one| (sum.0 + one.packets, sum.1 + one.bytes));
            let received = counts[received_index(hook) as usize];
            prop_assert_eq!((packets, bytes), (received.packets, received.bytes));
        }
    }

    #[test]
    fn a_frame_keeps_its_length_and_what_is_not_forwarded_its_bytes(hook in hook(), frame in frame()) {
        let (verdict, became) = busy().run(hook, &frame);
        prop_assert_eq!(became.len(), frame.len());
        if verdict.disposition() != Disposition::Forwarded {
            prop_assert_eq!(became, frame);
        }
    }

    #[test]
    fn a_refused_packet_is_dropped_as_it_is_or_becomes_an_error_to_its_sender(
        hook in hook(),
        frame in frame(),
        on in 0u32..2,
    ) {
        let host = Host::new(&rules().interface(1, "10.10.0.1").per_source(0));
        let outcome = host.outcome(hook, &frame, on).map_err(|fault| TestCaseError::fail(fault.to_string()))?;
        if outcome.answered {
            let error = headers(&outcome.frame);
            prop_assert_eq!(outcome.verdict, Verdict::SourceQuota);
            prop_assert_eq!((error.tuple.dst, error.tuple.protocol), (headers(&frame).tuple.src, ICMP));
            prop_assert_eq!(fault(&outcome.frame), None);
        } else if outcome.verdict.disposition() == Disposition::Dropped {
            prop_assert_eq!(outcome.frame, frame);
        }
    }

    #[test]
    fn a_private_source_never_leaves(frame in frame()) {
        private_source_stays(&busy(), &frame)?;
    }

    #[test]
    fn the_world_never_reaches_a_node_unasked(frame in frame()) {
        unasked_stays_outside(&Host::new(&rules()), &frame)?;
        unasked_stays_outside(&Host::new(&mapping_rules()), &frame)?;
    }
}
