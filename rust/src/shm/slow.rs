//! The slowest requests that have ended of late, as others may read them at any moment.
//!
//! Theory of operation. Time is cut into windows of five minutes, which begin at the same moments for all workers. There are
//! two tables of rows, and a window writes into the one that its number, even or odd, names. The slowest of the present window
//! are kept; those of the window before stay where they are; what is older is overwritten as the next window needs the room.
//! So the two tables together have the slowest of the last five to ten minutes, without an order among them. Nothing is ever
//! cleared, also by a worker that has nothing to do: a reader tells by the time at which a request ended whether it is of late.
//!
//! A row is a seqlock as in [`super::Row`]. Which row is replaced is decided by durations in the worker's own memory, so that
//! a request that is not among the slowest costs two comparisons of numbers that are at hand.

use std::mem::{offset_of, size_of};
use std::sync::atomic::AtomicU64;

use super::block::set;
use super::row::{Entry, ID_WORDS, METHOD_WORDS, PATH_WORDS, pack_entry, write_row};

/// Requests that are kept of a window. Arbitrary: what a person looks at.
pub const SLOW_ROWS: usize = 16;

/// Nanoseconds of a window. Arbitrary: long enough for somebody who was told that it has been slow "just now".
pub const SLOW_WINDOW: u64 = 300_000_000_000;

/// The tables of a block: that of the present window and that of the one before. Pages of their own, so that they take no
/// more memory than they have to.
#[repr(C, align(4096))]
#[derive(Debug)]
pub struct SlowTables([[SlowRow; SLOW_ROWS]; 2]);

/// One request that has ended.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct SlowRow {
    /// Odd while the row is being written.
    sequence: AtomicU64,
    /// When it ended, in monotonic nanoseconds; 0: nobody has this row.
    ended: AtomicU64,
    /// From its complete head to its end, nanoseconds.
    duration: AtomicU64,
    /// The part of that before the application was called.
    waited: AtomicU64,
    /// The part of that in the application.
    application: AtomicU64,
    /// Bytes of the response's body.
    body_sent: AtomicU64,
    /// Which worker it was, where that has ended; written by the supervisor.
    slot: AtomicU64,
    /// See above: its process id.
    pid: AtomicU64,
    /// As in [`super::Row`], then from the lowest byte on: the version of HTTP (10, 11, 20; 0 if unknown), 1 if it ended
    /// with its worker, and the status in two bytes (0 without a response).
    lengths: AtomicU64,
    client: [AtomicU64; 2],
    id: [AtomicU64; ID_WORDS],
    method: [AtomicU64; METHOD_WORDS],
    path: [AtomicU64; PATH_WORDS],
}

/// What is told of a request that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Slow<'request> {
    /// Who asked for what.
    pub entry: Entry<'request>,
    /// Nanoseconds from its complete head until the application was called; until its end, where it never was.
    pub waited: u64,
    /// Nanoseconds that the application had it.
    pub application: u64,
    /// Bytes of the response's body.
    pub body_sent: u64,
    /// The version of HTTP: 10, 11 or 20.
    pub version: u8,
}

impl SlowRow {
    fn fill(&self, slow: &Slow<'_>, status: u16, duration: u64, ended: u64) {
        write_row(&self.sequence, || {
            let lengths = pack_entry(
                &slow.entry,
                &self.client,
                &self.id,
                &self.method,
                &self.path,
            );
            set(
                &self.lengths,
                lengths | u64::from(slow.version) << 32 | u64::from(status) << 48,
            );
            set(&self.duration, duration);
            set(&self.waited, slow.waited);
            set(&self.application, slow.application);
            set(&self.body_sent, slow.body_sent);
            set(&self.ended, ended);
        });
    }
}

/// Which requests of the present window are the slowest so far.
#[derive(Debug, Default)]
pub(super) struct Slowest {
    /// What a request must have taken longer than to be kept.
    floor: u64,
    /// When the present window ends; 0 before the first.
    ends_at: u64,
    /// The table that the present window writes into.
    table: usize,
    /// How many rows it has written.
    count: usize,
    /// How long they took, by row.
    durations: [u64; SLOW_ROWS],
}

impl Slowest {
    /// Whether a request that ends now is to be given to `keep`.
    #[inline]
    pub(super) fn wants(&self, duration: u64, now: u64) -> bool {
        duration > self.floor || now >= self.ends_at
    }

    /// Keeps a request if it is one of the slowest; `describe` says nothing of one that does not count.
    #[cold]
    pub(super) fn keep<'request>(
        &mut self,
        tables: &SlowTables,
        (status, duration, now): (u16, u64, u64),
        describe: impl FnOnce() -> Option<Slow<'request>>,
    ) {
        if now >= self.ends_at {
            self.begin_window(now);
        }
        if duration <= self.floor {
            return;
        }
        let Some(slow) = describe() else {
            return;
        };
        let row = if self.count < SLOW_ROWS {
            self.count += 1;
            self.count - 1
        } else {
            self.quickest()
        };
        tables.0[self.table][row].fill(&slow, status, duration, now);
        self.durations[row] = duration;
        if self.count == SLOW_ROWS {
            self.floor = self.durations[self.quickest()];
        }
    }

    fn begin_window(&mut self, now: u64) {
        let window = now / SLOW_WINDOW;
        *self = Self {
            ends_at: (window + 1) * SLOW_WINDOW,
            table: usize::from(window % 2 == 1),
            ..Self::default()
        };
    }

    /// The row of the quickest request that is kept.
    fn quickest(&self) -> usize {
        let rows = 0..SLOW_ROWS;
        rows.min_by_key(|row| self.durations[*row]).unwrap_or(0)
    }
}

/// Names, byte offsets within a row, and room of its parts.
pub(super) fn layout() -> Vec<(String, usize)> {
    let parts = [
        ("slow.sequence", offset_of!(SlowRow, sequence)),
        ("slow.ended", offset_of!(SlowRow, ended)),
        ("slow.duration", offset_of!(SlowRow, duration)),
        ("slow.waited", offset_of!(SlowRow, waited)),
        ("slow.application", offset_of!(SlowRow, application)),
        ("slow.body_sent", offset_of!(SlowRow, body_sent)),
        ("slow.slot", offset_of!(SlowRow, slot)),
        ("slow.pid", offset_of!(SlowRow, pid)),
        ("slow.lengths", offset_of!(SlowRow, lengths)),
        ("slow.client", offset_of!(SlowRow, client)),
        ("slow.id", offset_of!(SlowRow, id)),
        ("slow.method", offset_of!(SlowRow, method)),
        ("slow.path", offset_of!(SlowRow, path)),
        (
            "slow.end",
            offset_of!(SlowRow, path) + PATH_WORDS * size_of::<u64>(),
        ),
    ];
    parts
        .into_iter()
        .map(|(name, offset)| (name.to_owned(), offset))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::{self, Relaxed};
    use std::sync::atomic::fence;

    /// The start of a window whose table is the first.
    const START: u64 = 100 * SLOW_WINDOW;

    fn tables() -> Box<SlowTables> {
        // SAFETY: a row is words, for which zero is a value.
        unsafe { Box::new(std::mem::zeroed()) }
    }

    fn slow(path: &[u8]) -> Slow<'_> {
        Slow {
            entry: Entry {
                id: b"id",
                method: b"GET",
                path,
                client: None,
                thread: 9,
            },
            waited: 2,
            application: 3,
            body_sent: 4,
            version: 11,
        }
    }

    /// As the board does.
    fn end(slowest: &mut Slowest, tables: &SlowTables, duration: u64, now: u64) {
        if slowest.wants(duration, now) {
            slowest.keep(tables, (200, duration, now), || Some(slow(b"/")));
        }
    }

    /// What a reader takes at `now`.
    fn read(tables: &SlowTables, now: u64) -> Vec<u64> {
        let of_late = |row: &&SlowRow| {
            let ended = row.ended.load(Relaxed);
            ended > 0 && ended / SLOW_WINDOW + 1 >= now / SLOW_WINDOW
        };
        let rows = tables.0.iter().flatten().filter(of_late);
        let mut found: Vec<u64> = rows.map(|row| row.duration.load(Relaxed)).collect();
        found.sort_unstable_by(|one, other| other.cmp(one));
        found
    }

    /// Durations in no order, all different.
    fn scattered(count: u64) -> impl Iterator<Item = u64> {
        (1..=count).map(move |number| number * 7_919 % 10_007)
    }

    #[test]
    fn slowest_of_a_window_are_kept_in_whatever_order_they_come() {
        let (mut slowest, tables) = (Slowest::default(), tables());
        let mut all: Vec<u64> = scattered(1_000).collect();
        for duration in scattered(1_000) {
            end(&mut slowest, &tables, duration, START + 5);
        }
        all.sort_unstable_by(|one, other| other.cmp(one));
        assert_eq!(read(&tables, START + 5), all[..SLOW_ROWS]);
    }

    #[test]
    fn quick_request_displaces_no_slow_one_and_is_not_even_described() {
        let (mut slowest, tables) = (Slowest::default(), tables());
        for _ in 0..SLOW_ROWS {
            end(&mut slowest, &tables, 1_000, START);
        }
        assert!(!slowest.wants(1_000, START + 1));
        end(&mut slowest, &tables, 1_001, START + 2);
        assert_eq!(read(&tables, START)[..2], [1_001, 1_000]);
        assert_eq!(slowest.floor, 1_000);
    }

    #[test]
    fn window_before_is_kept_and_the_one_before_that_is_not() {
        let (mut slowest, tables) = (Slowest::default(), tables());
        end(&mut slowest, &tables, 900, START);
        end(&mut slowest, &tables, 800, START + SLOW_WINDOW - 1);
        end(&mut slowest, &tables, 7, START + SLOW_WINDOW);
        assert_eq!(read(&tables, START + SLOW_WINDOW), [900, 800, 7]);
        end(&mut slowest, &tables, 5, START + 2 * SLOW_WINDOW);
        assert_eq!(read(&tables, START + 2 * SLOW_WINDOW), [7, 5]);
        assert_eq!(read(&tables, START + 4 * SLOW_WINDOW), [0; 0]);
    }

    #[test]
    fn quick_requests_are_wanted_again_after_a_window_of_slow_ones() {
        let (mut slowest, tables) = (Slowest::default(), tables());
        for _ in 0..SLOW_ROWS {
            end(&mut slowest, &tables, 1_000_000, START);
        }
        assert!(!slowest.wants(3, START + SLOW_WINDOW - 1));
        for window in [1, 2, 5] {
            end(&mut slowest, &tables, 3, START + window * SLOW_WINDOW);
        }
        assert_eq!(read(&tables, START + 2 * SLOW_WINDOW), [3, 3]);
        assert_eq!(slowest.table, 1);
    }

    #[test]
    fn request_that_does_not_count_takes_no_row() {
        let (mut slowest, tables) = (Slowest::default(), tables());
        slowest.keep(&tables, (101, 5_000, START), || None);
        assert_eq!(read(&tables, START), [0; 0]);
        assert!(slowest.wants(1, START));
    }

    #[test]
    fn row_has_all_that_is_told() {
        let (mut slowest, tables) = (Slowest::default(), tables());
        slowest.keep(&tables, (503, 60, START), || Some(slow(b"/late")));
        let row = &tables.0[0][0];
        assert_eq!(row.sequence.load(Relaxed), 2);
        let lengths = row.lengths.load(Relaxed);
        assert_eq!(lengths.to_le_bytes()[..6], [2, 3, 5, 0, 11, 0]);
        assert_eq!(lengths >> 48, 503);
        let words = [&row.ended, &row.waited, &row.application, &row.body_sent];
        assert_eq!(words.map(|word| word.load(Relaxed)), [START, 2, 3, 4]);
    }

    #[test]
    fn reader_never_takes_a_mixture_of_two_requests() {
        let tables = tables();
        let row = &tables.0[0][0];
        let paths: [Vec<u8>; 2] = [vec![b'a'; 160], vec![b'b'; 160]];
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for turn in 0..100_000_usize {
                    let kind = u64::try_from(turn % 2).unwrap();
                    row.fill(&slow(&paths[turn % 2]), 200, kind, 1);
                }
                is_over.store(true, Ordering::Release);
            });
            let mut taken = 0;
            while !is_over.load(Ordering::Acquire) || taken == 0 {
                let before = row.sequence.load(Ordering::Acquire);
                let kind = row.duration.load(Relaxed);
                let words: Vec<u64> = row.path.iter().map(|word| word.load(Relaxed)).collect();
                fence(Ordering::Acquire);
                if before % 2 == 0 && before > 0 && before == row.sequence.load(Relaxed) {
                    taken += 1;
                    let letter = [b'a', b'b'][usize::try_from(kind).unwrap()];
                    assert_eq!(words, [u64::from_ne_bytes([letter; 8]); PATH_WORDS]);
                }
            }
        });
    }
}
