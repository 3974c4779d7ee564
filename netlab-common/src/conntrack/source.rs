//! How many flows a source address holds: counted in two rows of cells, at a different hash of the address in
//! each. The smaller of the two counts is the address's own, unless others share both cells with it; so it may
//! be too high, never too low. That bounds memory whatever the number of sources.

use crate::abi::config::{Config, SOURCE_ROWS};
use crate::net::hash;
use crate::tables::Tables;

/// The cell of an address in a row.
#[inline(always)]
fn cell<const N: usize>(config: &Config, source: [u8; N], row: u32) -> u32 {
    let mixed = hash::bytes(config.seed.wrapping_add(row), source);
    row * (config.source_mask + 1) + (mixed & config.source_mask)
}

/// Whether a source may not have another flow.
#[inline(always)]
pub fn is_over<const N: usize, T: Tables<N>>(tables: &T, source: [u8; N]) -> bool {
    let config = tables.config();
    let first = tables.source_cell(cell(&config, source, 0));
    let second = tables.source_cell(cell(&config, source, 1));
    (if first < second { first } else { second }) >= config.per_source
}

/// Counts a source's flow when it is made, and again when it is taken away.
#[inline(always)]
pub fn count<const N: usize, T: Tables<N>>(tables: &T, source: [u8; N], up: bool) {
    let config = tables.config();
    let mut row = 0;
    while row < SOURCE_ROWS {
        tables.count_source(cell(&config, source, row), up);
        row += 1;
    }
}
