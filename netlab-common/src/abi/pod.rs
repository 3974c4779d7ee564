//! Marks the boundary types as plain old data: any bytes are a value, and there are no hidden ones.
//!
//! `bytemuck`'s derive refuses generic types, so the marks are written out here, for the address sizes in
//! use. Each type is `repr(C)` with explicit padding, and the assertions below prove that its fields fill it.

use bytemuck::{Pod, Zeroable};

use super::flow::{Counters, Flow, FlowRef, Head, Tuple};
use super::rule::{ForwardKey, ForwardTarget, MasqueradeTarget, RuleCounters};
use super::verdict::Count;

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
    FlowRef = 4, 4, 4;
    Head<4> = 4, 4, 4, 4, 4, 4, 8, 16, 16;
    Head<16> = 4, 4, 4, 4, 4, 4, 8, 40, 40;
    Counters = 8, 16, 16;
    Flow<4> = size_of::<Head<4>>(), size_of::<Counters>();
    Flow<16> = size_of::<Head<16>>(), size_of::<Counters>();
    ForwardKey<4> = 4, 2, 1, 1;
    ForwardTarget<4> = 4, 2, 2, 4;
    MasqueradeTarget<4> = 4, 2, 2, 4;
    RuleCounters = 8, 16, 16;
    Count = 8, 8;
}
