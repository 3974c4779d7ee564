//! A checksum brought up to date is the checksum made anew, to the bit.

use netlab_common::net::checksum::{update, update_udp, whole};
use proptest::prelude::*;
use proptest::sample::Index;

use super::strategies::config;

/// As a sender of UDP writes it: never zero, because that would mean none.
fn whole_udp(bytes: &[u8]) -> [u8; 2] {
    match whole(0, bytes) {
        [0, 0] => [0xff, 0xff],
        sum => sum,
    }
}

/// Data before and after a change of `L` bytes on a word's boundary. The first word is not zero, as in any
/// header and pseudo-header. `aim` makes the last word such that the sum afterwards is zero: chance alone
/// would meet that once in 65,536 times.
fn change<const L: usize>(
    mut data: Vec<u8>,
    at: &Index,
    to: [u8; L],
    aim: bool,
) -> (Vec<u8>, Vec<u8>, usize) {
    data.truncate(data.len() & !1);
    data[0] = 0x45;
    // Neither the first word nor the last.
    let at = 2 + 2 * at.index((data.len() - 4 - L) / 2 + 1);
    let mut after = data.clone();
    after[at..at + L].copy_from_slice(&to);
    if aim {
        let last = data.len() - 2;
        after[last..].fill(0);
        let word = whole(0, &after);
        after[last..].copy_from_slice(&word);
        data[last..].copy_from_slice(&word);
        assert_eq!(whole(0, &after), [0, 0]);
    }
    (data, after, at)
}

fn incremental_is_whole<const L: usize>(before: &[u8], after: &[u8], at: usize) -> Result<(), TestCaseError> {
    let cut = |bytes: &[u8]| -> [u8; L] { bytes[at..at + L].try_into().expect("the change is within") };
    let (from, to) = (cut(before), cut(after));
    prop_assert_eq!(update(whole(0, before), from, to), whole(0, after));
    prop_assert_eq!(update(whole(0, after), to, from), whole(0, before));
    prop_assert_eq!(update_udp(whole_udp(before), from, to), whole_udp(after));
    prop_assert_eq!(update_udp(whole_udp(after), to, from), whole_udp(before));
    prop_assert_eq!(update_udp([0, 0], from, to), [0, 0], "no checksum stays no checksum");
    Ok(())
}

/// A byte, often one at the end of its range.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![Just(0x00), Just(0xff), any::<u8>()]
}

proptest! {
    #![proptest_config(config(4096))]

    #[test]
    fn an_updated_checksum_is_the_whole_one_for_an_address(
        data in prop::collection::vec(byte(), 12..200),
        at: Index,
        to in [byte(), byte(), byte(), byte()],
        aim: bool,
    ) {
        let (before, after, at) = change(data, &at, to, aim);
        incremental_is_whole::<4>(&before, &after, at)?;
    }

    #[test]
    fn an_updated_checksum_is_the_whole_one_for_a_port(
        data in prop::collection::vec(byte(), 12..200),
        at: Index,
        to in [byte(), byte()],
        aim: bool,
    ) {
        let (before, after, at) = change(data, &at, to, aim);
        incremental_is_whole::<2>(&before, &after, at)?;
    }

    #[test]
    fn an_update_never_writes_a_udp_checksum_of_none(
        field in [byte(), byte()],
        from in [byte(), byte(), byte(), byte()],
        to in [byte(), byte(), byte(), byte()],
    ) {
        prop_assert_eq!(update_udp(field, from, to) == [0, 0], field == [0, 0]);
    }

    #[test]
    fn an_update_never_writes_the_zero_that_the_kernel_does_not(
        field in [byte(), byte()],
        from in [byte(), byte()],
        to in [byte(), byte()],
    ) {
        prop_assert_ne!(update(field, from, to), [0xff, 0xff]);
    }
}
