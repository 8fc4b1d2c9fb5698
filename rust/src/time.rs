//! The clocks of the data plane: monotonic milliseconds for deadlines, wall-clock time for dates and logs.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds on the monotonic clock since an arbitrary start.
#[must_use]
pub fn monotonic_nanos() -> u64 {
    nanos(ClockId::Monotonic)
}

/// Nanoseconds since the Unix epoch.
#[must_use]
pub fn unix_nanos() -> u64 {
    nanos(ClockId::Realtime)
}

/// Monotonic milliseconds, some milliseconds late, for a fraction of the price.
#[must_use]
pub fn coarse_millis() -> Millis {
    #[cfg(target_os = "linux")]
    const CLOCK: ClockId = ClockId::MonotonicCoarse;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: ClockId = ClockId::Monotonic;
    nanos(CLOCK) / 1_000_000
}

fn nanos(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    // Both clocks count from zero upwards; a negative reading would mean a date before 1970.
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let rest = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds * 1_000_000_000 + rest
}

/// Milliseconds, the unit of every deadline in the reactor.
pub type Millis = u64;

/// The present moment as the reactor sees it: read once per turn, so that a request costs no clock call of its own.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Monotonic nanoseconds.
    pub nanos: u64,
    /// Monotonic milliseconds.
    pub millis: Millis,
}

impl Now {
    /// Reads the monotonic clock.
    #[must_use]
    pub fn read() -> Self {
        let nanos = monotonic_nanos();
        Self {
            nanos,
            millis: nanos / 1_000_000,
        }
    }
}
