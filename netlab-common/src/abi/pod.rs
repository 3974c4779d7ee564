//! Marks the boundary types as plain old data: any bytes are a value, and there are no hidden ones.
//!
//! `bytemuck`'s derive refuses generic types, so the marks are written out here, for the address sizes in
//! use. Each type is `repr(C)` with explicit padding, and the assertions below prove that its fields fill it.

use bytemuck::{Pod, Zeroable};

use super::config::{Config, TIMEOUTS};
use super::flow::{Counters, Flow, FlowRef, Head, Tuple};
use super::fragment::{Fragment, FragmentKey, WAITING_LEN, Waiting};
use super::port::{Pulse, Shard, WORDS};
use super::recent::Recent;
use super::rule::{
    AllowKey, Forward, ForwardKey, ForwardPort, MasqueradeTarget, RuleCounters, TARGETS, Target,
};
use super::verdict::Count;
use super::way::{Exit, Way};

macro_rules! plain_data {
    ($($type:ty = $($field:expr),+;)*) => { $(
        const _: () = assert!(size_of::<$type>() == 0 $(+ $field)+, "fields must fill the type");
        // SAFETY: all fields are integers or arrays of them, for which zero is a value.
        unsafe impl Zeroable for $type {}
        // SAFETY: `repr(C)` integers and arrays of them; the assertion above rules out padding.
        unsafe impl Pod for $type {}
        // SAFETY: `Pod` above is the same promise.
        #[cfg(feature = "user")]
        unsafe impl aya::Pod for $type {}
    )* };
}

plain_data! {
    Tuple<4> = 4, 4, 2, 2, 1, 3;
    Tuple<16> = 16, 16, 2, 2, 1, 3;
    FlowRef = 8;
    Head<4> = 7 * 4, 4, 16, 16;
    Head<16> = 7 * 4, 4, 40, 40;
    Counters = 4, 4, 16, 16, 8, 8, 8;
    Flow<4> = size_of::<Head<4>>(), size_of::<Counters>();
    Flow<16> = size_of::<Head<16>>(), size_of::<Counters>();
    Config = 4 * TIMEOUTS, 7 * 4;
    Shard = 8 * WORDS, 4, 4;
    Pulse = 4, 4;
    FragmentKey<4> = 4, 4, 2, 1, 1;
    Fragment = 2, 2, 4;
    Waiting<4> = 4, 4, 12, 4, 8, WAITING_LEN;
    ForwardKey<4> = 4, 2, 1, 1;
    ForwardPort = 4, 2, 2;
    Target<4> = 4, 4, 2, 2;
    Forward<4> = TARGETS * size_of::<Target<4>>(), 4, 4, 4, 4;
    AllowKey<4> = 4, 4;
    MasqueradeTarget<4> = 4, 4, 2, 2, 4, 4;
    RuleCounters = 8, 16, 16;
    Count = 8, 8;
    Exit = 4, 4, 6, 6, 4, 6, 2;
    Way = 4, 4, 8, 3 * 4, 4, 4, 4;
    Recent = 8;
}
