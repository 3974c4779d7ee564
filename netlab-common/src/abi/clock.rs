//! The datapath's clock: `CLOCK_MONOTONIC` in ticks of 2^26 nanoseconds (about 67 ms), 32 bits wide.
//!
//! A tick is taken from nanoseconds by a shift, and is fine enough for timeouts in seconds. The clock wraps
//! after nine years; times are therefore never compared, only the distance between them, as a signed number.

/// Nanoseconds in a tick, as a power of two.
pub const SHIFT: u32 = 26;

/// The tick of a time in nanoseconds. `offset` is [`Config::clock_offset`](super::config::Config::clock_offset).
#[inline(always)]
#[must_use]
pub const fn tick(nanoseconds: u64, offset: u32) -> u32 {
    ((nanoseconds >> SHIFT) as u32).wrapping_add(offset)
}

/// Ticks since `then`. A `then` that lies ahead, because another CPU looked at the clock a moment later, is
/// no time ago.
#[inline(always)]
#[must_use]
pub const fn since(now: u32, then: u32) -> u32 {
    let distance = now.wrapping_sub(then);
    if distance as i32 > 0 { distance } else { 0 }
}

/// The ticks in so many seconds, rounded up.
#[must_use]
pub const fn from_seconds(seconds: u32) -> u32 {
    ((seconds as u64 * 1_000_000_000).div_ceil(1 << SHIFT)) as u32
}

/// The seconds in so many ticks, to the nearest one.
#[must_use]
pub const fn to_seconds(ticks: u32) -> u32 {
    ((((ticks as u64) << SHIFT) + 500_000_000) / 1_000_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_runs_on_over_the_wrap_of_the_clock() {
        assert_eq!(since(5, u32::MAX - 4), 10);
        assert_eq!(since(u32::MAX - 4, 5), 0);
        assert_eq!(since(7, 7), 0);
    }

    #[test]
    fn seconds_come_back_from_ticks() {
        for seconds in [1, 2, 59, 60, 7_440, 86_400 * 365] {
            assert_eq!(to_seconds(from_seconds(seconds)), seconds);
        }
    }
}
