//! What the tests of this crate share: frames, a lab's tables, a clock with chance, and what must hold of the
//! tables whatever happened. Each test file uses a part of it.
#![allow(dead_code, reason = "each test file uses a part of the kit")]

pub mod checks;
pub mod frames;
pub mod lab;

use proptest::prelude::ProptestConfig;

/// So many cases, and as many times more as `PROPTEST_CASES` asks for more than is usual: a case costs more here than
/// there. Failures are printed, not kept in files.
pub fn config(cases: u32) -> ProptestConfig {
    const USUAL: u32 = 256;
    let asked = ProptestConfig::default();
    ProptestConfig { cases: cases * asked.cases.div_ceil(USUAL), failure_persistence: None, ..asked }
}
