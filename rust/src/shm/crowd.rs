//! What a worker sees of the others on the scoreboard, to find out whether it has more to do than they.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use super::block::{BLOCK_SIZE, Block, State};
use super::mapping::{HEADER_SIZE, Place, View};

/// Blocks that are looked at, at most; `hostler/telemetry/scoreboard.py` believes as many. Only addresses are taken.
const MOST_BLOCKS: usize = 2_048;

/// Where the header has how many blocks there are, the totals included.
const BLOCKS_AT: usize = 3 * size_of::<u64>();

/// A request in the application counts for so many connections that are open. Arbitrary: between the one that a quick
/// request is, and the many that wait behind a slow one.
const REQUEST_WEIGHT: u64 = 4;

/// How old a turn may be of a worker that is within reach, in nanoseconds: one that calls an application in place.
const FRESH: u64 = 20_000_000;

/// The same while it has requests in the application, and turns now and then for the scoreboard's sake.
const ALIVE: u64 = 2_500_000_000;

/// All workers' blocks, to read.
#[derive(Debug)]
pub struct Crowd {
    view: View,
    own: usize,
}

/// How much a worker with so many open connections and requests has to do.
#[must_use]
pub fn load(connections: u64, in_flight: u64) -> u64 {
    connections.saturating_add(in_flight.saturating_mul(REQUEST_WEIGHT))
}

/// Whether the difference is more than what comes and goes with single requests.
#[must_use]
pub fn is_clearly_busier(own: u64, least: u64) -> bool {
    own >= least.saturating_add(2).saturating_add(least / 8)
}

impl Crowd {
    /// Sees the others from a worker's own block.
    ///
    /// # Errors
    /// When the scoreboard cannot be mapped.
    pub fn open(place: Place) -> io::Result<Self> {
        let offset = usize::try_from(place.offset).map_err(io::Error::other)?;
        let file = File::from(place.fd);
        // What lies behind the end of the file is not touched: see `block`.
        Ok(Self {
            view: View::open(&file, HEADER_SIZE + MOST_BLOCKS * BLOCK_SIZE)?,
            own: offset.saturating_sub(HEADER_SIZE) / BLOCK_SIZE,
        })
    }

    /// The least that another worker has to do which takes connections and is not stuck.
    #[must_use]
    pub fn least(&self, now: u64) -> Option<u64> {
        // SAFETY: the header is there and aligned, as the supervisor made it so.
        let blocks = unsafe { self.view.at::<AtomicU64>(BLOCKS_AT) };
        let count = usize::try_from(blocks.load(Ordering::Acquire)).unwrap_or(0);
        (1..count.min(MOST_BLOCKS))
            .filter(|index| *index != self.own)
            .filter_map(|index| reachable_load(self.block(index), now))
            .min()
    }

    /// One block. The supervisor lets the file grow before it counts a block, and never shrinks it.
    fn block(&self, index: usize) -> &Block {
        // SAFETY: the block lies within the file, at a multiple of a page, and all bits are values of its words.
        unsafe { self.view.at(HEADER_SIZE + index * BLOCK_SIZE) }
    }
}

/// What a worker has to do, if it would take a connection soon.
fn reachable_load(block: &Block, now: u64) -> Option<u64> {
    let read = |word: &AtomicU64| word.load(Ordering::Relaxed);
    let gauges = &block.gauges;
    if read(&block.identity.child) == 0 || read(&gauges.state) != State::Serving as u64 {
        return None;
    }
    let in_flight = read(&gauges.in_flight);
    let age = now.saturating_sub(read(&gauges.turned_at));
    let waits = read(&gauges.is_waiting) == 1 && (in_flight == 0 || age < ALIVE);
    (waits || age < FRESH).then(|| load(read(&gauges.connections_open), in_flight))
}

#[cfg(test)]
mod tests {
    use super::super::Board;
    use super::super::mapping::scoreboard_file;
    use super::*;
    use std::os::unix::fs::FileExt;

    /// A scoreboard for three workers, and boards of them.
    fn scoreboard() -> (File, Vec<Board>) {
        let file = scoreboard_file((HEADER_SIZE + 4 * BLOCK_SIZE) as u64);
        file.write_all_at(&4_u64.to_ne_bytes(), BLOCKS_AT as u64)
            .unwrap();
        let boards = (1..4)
            .map(|index| {
                let board = Board::open(Some(place(&file, index))).unwrap();
                board.begin(1, 1);
                board.block().identity.child.store(1, Ordering::Relaxed);
                board
            })
            .collect();
        (file, boards)
    }

    fn place(file: &File, index: usize) -> Place {
        Place {
            fd: file.try_clone().unwrap().into(),
            offset: (HEADER_SIZE + index * BLOCK_SIZE) as u64,
        }
    }

    const LATER: u64 = 60_000_000_000;

    #[test]
    fn least_is_that_of_the_others_which_wait() {
        let (file, boards) = scoreboard();
        let crowd = Crowd::open(place(&file, 1)).unwrap();
        for (board, open) in boards.iter().zip([1, 9, 5]) {
            board.open_connection(open);
            board.wait();
        }
        assert_eq!(crowd.least(LATER), Some(5));
    }

    #[test]
    fn those_that_are_stuck_drain_or_are_no_more_do_not_count() {
        let (file, boards) = scoreboard();
        let crowd = Crowd::open(place(&file, 1)).unwrap();
        assert_eq!(crowd.least(1), Some(0));
        // Nobody waits, and the last turn is long ago.
        assert_eq!(crowd.least(LATER), None);
        boards[1].wait();
        boards[2].wait();
        assert_eq!(crowd.least(LATER), Some(0));
        boards[1].set_state(State::Draining);
        boards[2].block().identity.child.store(0, Ordering::Relaxed);
        assert_eq!(crowd.least(LATER), None);
    }

    #[test]
    fn loop_that_does_not_come_round_for_its_requests_does_not_count() {
        let (file, boards) = scoreboard();
        let crowd = Crowd::open(place(&file, 1)).unwrap();
        boards[1].wait();
        boards[1]
            .block()
            .gauges
            .in_flight
            .store(1, Ordering::Relaxed);
        assert_eq!(crowd.least(1_000_000_000), Some(REQUEST_WEIGHT));
        assert_eq!(crowd.least(LATER), None);
    }

    #[test]
    fn small_differences_do_not_count() {
        for (own, least, expected) in [
            (0, 0, false),
            (1, 0, false),
            (2, 0, true),
            (9, 8, false),
            (11, 8, true),
            (1_000, 900, false),
            (1_100, 900, true),
        ] {
            assert_eq!(is_clearly_busier(own, least), expected, "{own} {least}");
        }
    }
}
