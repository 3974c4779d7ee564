//! Making a flow when something is in the way: another CPU that is quicker, a table without room for a key,
//! and a packet that cannot be written to. Nothing may be left behind.

use std::cell::RefCell;

use netlab_common::abi::hook::Hook::{self, UplinkIn, UplinkOut};
use netlab_common::abi::verdict::Verdict;
use netlab_common::fake::BufPacket;
use netlab_common::net::protocol::TCP;
use netlab_common::packet::{Covered, Packet};
use netlab_common::tables::Claim;
use netlab_tests::cases::{EARTH_5555, EARTH_8000, HOST, HOST_5555, NEPTUNE_5555, WORLD_80, WORLD_7777};
use netlab_tests::host::{Host, Moves};
use netlab_tests::packet::{tcp, tuple, udp};
use netlab_tests::rules::Rules;

use crate::meddled::Meddled;

/// Two CPUs make the flow of the same frame: the other one comes when this one has its reply key and claims
/// the opening one. Gives this one's verdict, the other's, and how both left.
#[track_caller]
fn race(host: &Host, hook: Hook, frame: &[u8]) -> (Verdict, Verdict, Vec<u8>) {
    let other = RefCell::new(None);
    let meddled = Meddled::new(&host.tables, tuple(frame), || {
        *other.borrow_mut() = Some(host.run(hook, frame));
        None
    });
    let mut packet = BufPacket(frame.to_vec());
    let verdict = host.run_on(hook, &mut packet, &meddled).verdict;
    drop(meddled);
    let (others_verdict, others_packet) = other.into_inner().expect("the other CPU ran");
    assert_eq!(others_packet, packet.0, "both leave as the same flow's");
    (verdict, others_verdict, packet.0)
}

#[test]
fn the_second_of_two_cpus_joins_the_masquerade_that_the_first_is_making() {
    let host = Host::new(&Rules::masquerading());
    let (first, second, left) = race(&host, UplinkOut, &udp(EARTH_5555, WORLD_80).frame());
    assert_eq!((first, second), (Verdict::Created, Verdict::Established));
    assert_eq!(left, udp(HOST_5555, WORLD_80).frame(), "the source's own port is kept");
    let state = host.state();
    assert_eq!((state.flows.len(), state.rules[0].flows, state.rules[0].packets[0]), (1, 1, 2));
}

#[test]
fn the_second_of_two_cpus_joins_the_forward_that_the_first_is_making() {
    let host = Host::new(&Rules::none().forward(TCP, "192.168.0.108:8000", EARTH_8000));
    let syn = tcp(WORLD_7777, "192.168.0.108:8000").syn().frame();
    let (first, second, left) = race(&host, UplinkIn, &syn);
    assert_eq!((first, second), (Verdict::Created, Verdict::Established));
    assert_eq!(left, tcp(WORLD_7777, EARTH_8000).syn().frame());
    assert_eq!(host.state().flows.len(), 1);
}

#[test]
fn the_loser_of_a_race_over_another_port_goes_on_with_the_winners_flow() {
    let host = Host::new(&Rules::none().masquerade("10.10.0.0/16", HOST, 40_000..=49_999));
    // Neptune holds the port that earth would keep, so each CPU chooses another.
    host.step(UplinkOut, &udp(NEPTUNE_5555, WORLD_80).frame(), Moves::created(0));
    let (loser, winner, left) = race(&host, UplinkOut, &udp(EARTH_5555, WORLD_80).frame());
    assert_eq!((loser, winner), (Verdict::Established, Verdict::Created));
    assert_eq!(tuple(&left).src, [192, 168, 0, 108]);
    // `state` holds the table whole: two keys a flow, the other slots free.
    let state = host.state();
    assert_eq!((state.flows.len(), state.rules[0].flows, state.rules[0].packets[0]), (2, 2, 3));
}

#[test]
fn a_port_taken_between_look_up_and_claim_is_passed_over() {
    let host = Host::new(&Rules::masquerading());
    let (ours, theirs) = (udp(EARTH_5555, WORLD_80).frame(), udp(NEPTUNE_5555, WORLD_80).frame());
    let reply = tuple(&udp(WORLD_80, HOST_5555).frame());
    let meddled = Meddled::new(&host.tables, reply, || {
        assert_eq!(host.run(UplinkOut, &theirs).0, Verdict::Created);
        None
    });
    let mut packet = BufPacket(ours);
    assert_eq!(host.run_on(UplinkOut, &mut packet, &meddled).verdict, Verdict::Created);
    assert_eq!(packet.0, udp("192.168.0.108:40000", WORLD_80).frame());
    assert_eq!(host.state().flows.len(), 2);
}

#[test]
fn without_room_for_either_key_nothing_is_left_behind() {
    let frame = udp(EARTH_5555, WORLD_80).frame();
    for key in [tuple(&frame), tuple(&udp(WORLD_80, HOST_5555).frame())] {
        let host = Host::new(&Rules::masquerading());
        let meddled = Meddled::new(&host.tables, key, || Some(Claim::Full));
        let before = host.state();
        let mut packet = BufPacket(frame.clone());
        host.run_on(UplinkOut, &mut packet, &meddled);
        host.assert_moved(UplinkOut, &frame, Moves::only(Verdict::TableFull), &before);
        assert_eq!(packet.0, frame);
        // And the next packet has it all to itself.
        host.step(UplinkOut, &frame, Moves::created(0));
    }
}

/// A frame that takes only so many writes, as an skb whose data cannot be copied any more.
struct Stubborn {
    frame: BufPacket,
    writes: usize,
}

impl Stubborn {
    fn write(&mut self) -> Option<()> {
        self.writes = self.writes.checked_sub(1)?;
        Some(())
    }
}

impl Packet for Stubborn {
    fn frame_len(&self) -> u32 {
        self.frame.frame_len()
    }
    fn segments(&self) -> u32 {
        1
    }
    fn received_on(&self) -> u32 {
        self.frame.received_on()
    }
    fn load<const L: usize>(&self, offset: usize) -> Option<[u8; L]> {
        self.frame.load(offset)
    }
    fn store<const L: usize>(&mut self, offset: usize, bytes: [u8; L]) -> Option<()> {
        self.write()?;
        self.frame.store(offset, bytes)
    }
    fn wrap<const L: usize>(&mut self, keep: usize) -> Option<()> {
        self.write()?;
        self.frame.wrap::<L>(keep)
    }
    fn update_header_checksum(&mut self, offset: usize, from: [u8; 4], to: [u8; 4]) -> Option<()> {
        self.write()?;
        self.frame.update_header_checksum(offset, from, to)
    }
    fn update_transport_checksum<const L: usize>(
        &mut self,
        offset: usize,
        from: [u8; L],
        to: [u8; L],
        covered: Covered,
    ) -> Option<()> {
        self.write()?;
        self.frame.update_transport_checksum(offset, from, to, covered)
    }
}

#[test]
fn a_packet_that_cannot_be_rewritten_whole_is_dropped() {
    // Two checksums and the address: with one write fewer the packet is half changed.
    for writes in 0..3 {
        let host = Host::new(&Rules::masquerading());
        let before = host.state();
        let frame = udp(EARTH_5555, WORLD_80).frame();
        let mut packet = Stubborn { frame: BufPacket(frame.clone()), writes };
        assert_eq!(host.run_on(UplinkOut, &mut packet, &host.tables).verdict, Verdict::RewriteFailed);
        // The flow is there for the packet's second try.
        let moves = Moves { flows: 1, ..Moves::only(Verdict::RewriteFailed) };
        host.assert_moved(UplinkOut, &frame, moves, &before);
        host.step(UplinkOut, &frame, Moves::onward(0));
    }
}
