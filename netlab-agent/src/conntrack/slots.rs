//! The slots of the flow table as they lie in memory: reading one whole while the datapath writes it, and
//! marking one as over. With `view` it is all that knows a slot's layout.

use std::mem::offset_of;
use std::net::Ipv4Addr;
use std::sync::atomic::{Ordering, fence};

use netlab_common::abi::flow::{Flow, Head, life};
use netlab_common::abi::hook::Hook;

use crate::sys::mapping::SharedArray;

const GENERATION: usize = offset_of!(Flow<4>, head) + offset_of!(Head<4>, generation);
const LIFE: usize = offset_of!(Flow<4>, head) + offset_of!(Head<4>, life);
const _: () = assert!(GENERATION.is_multiple_of(8) && LIFE == GENERATION + 4, "one word has both");
const _: () = assert!(cfg!(target_endian = "little"), "the generation is the word's lower half");

/// A slot as two looks in a row found it, so that the copy is of one flow; `None` when it keeps changing hands.
pub(super) fn read_whole(slots: &SharedArray<Flow<4>>, slot: usize) -> Option<Flow<4>> {
    (0..4).find_map(|_| {
        let flow = slots.read(slot);
        fence(Ordering::Acquire);
        let again = slots.read(slot);
        // Bits of the state come with any packet, and users with any flow of a mapping's; neither makes
        // another flow of it.
        let Head { state, users, .. } = again.head;
        (Head { state, users, ..flow.head } == again.head).then_some(again)
    })
}

/// The host's address, or a pool's, that a flow's packets from the world come to.
pub(super) fn external(flow: &Flow<4>) -> Ipv4Addr {
    let leaves = flow.head.original_hook == Hook::UplinkOut as u8;
    if leaves { flow.head.reply.dst.into() } else { flow.head.original.dst.into() }
}

/// Dooms a flow, so that the next sweep takes it away, and says whether it did. `flow` is the slot as it was
/// when the decision fell; if the slot is another flow's by now, that one is left as it is.
pub fn retire(slots: &SharedArray<Flow<4>>, slot: usize, flow: &Flow<4>) -> bool {
    let Head { generation, life: was, .. } = flow.head;
    if !matches!(was, life::LIVE | life::DYING) {
        return false;
    }
    // Generation and life lie side by side, so that one exchange looks at both: nothing is doomed that has the
    // slot by now, not even for the moment in which an agent may be killed.
    let both = |life: u32| u64::from(generation) | u64::from(life) << 32;
    let word = slots.long(slot, GENERATION);
    word.compare_exchange(both(was), both(life::DOOMED), Ordering::AcqRel, Ordering::Relaxed).is_ok()
}

#[cfg(test)]
mod tests {
    use netlab_common::abi::flow::life;

    use super::super::samples::{shared, tcp};
    use super::{GENERATION, LIFE, read_whole, retire};

    #[test]
    fn a_flow_is_doomed_once() {
        let slots = shared(&[tcp()]);
        let flow = read_whole(&slots, 0).unwrap();
        assert!(retire(&slots, 0, &flow));
        assert_eq!(slots.read(0).head.life, life::DOOMED);
        assert!(!retire(&slots, 0, &flow), "it is over already");
    }

    #[test]
    fn a_slot_that_changed_hands_is_not_retired() {
        let slots = shared(&[tcp()]);
        let flow = read_whole(&slots, 0).unwrap();
        slots.set_word(0, GENERATION, flow.head.generation + 1);
        let before = slots.read(0);
        assert!(!retire(&slots, 0, &flow));
        assert_eq!(slots.read(0), before, "the next flow lives on");
    }

    #[test]
    fn only_a_flow_that_is_there_is_doomed() {
        for word in [life::FREE, life::FORMING, life::ENDING, life::DOOMED] {
            let slots = shared(&[tcp()]);
            let flow = slots.read(0);
            slots.set_word(0, LIFE, word);
            assert!(!retire(&slots, 0, &flow));
            assert_eq!(slots.read(0).head.life, word);
        }
    }
}
