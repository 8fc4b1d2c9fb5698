//! A worker's pen: what happens to it, written into its block.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::block::{Block, State, VERSION, add, set};
use super::mapping::{Mapping, Place};
pub use super::row::Entry;
use super::row::ROWS;
use super::slow::{Slow, Slowest};

unsafe extern "C" {
    /// POSIX `pthread_self`; Python's `threading.get_ident` is the same number.
    safe fn pthread_self() -> usize;
}

/// The place of a request in the application; given back when it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Seat {
    /// Not in the application.
    #[default]
    Outside,
    /// Shown in a row since a moment.
    Row(u8, u64),
    /// Inside since a moment, but no row was left.
    Standing(u64),
}

/// Writes one block. Used by the thread that holds the engine.
#[derive(Debug)]
pub struct Board {
    mapping: Arc<Mapping>,
    /// Rows that nobody has; the one that was given back last is given first, so that few pages are touched.
    free: Vec<u8>,
    in_flight: u64,
    slowest: Slowest,
}

/// For threads that do not hold the engine.
#[derive(Debug, Clone)]
pub struct BoardHandle(Arc<Mapping>);

impl Board {
    /// Takes a block; without a place, one that nobody reads.
    ///
    /// # Errors
    /// When it cannot be mapped.
    pub fn open(place: Option<Place>) -> io::Result<Self> {
        let mapping = match place {
            Some(place) => Mapping::shared(place)?,
            None => Mapping::private()?,
        };
        let rows = u8::try_from(ROWS).unwrap_or(u8::MAX);
        Ok(Self {
            mapping: Arc::new(mapping),
            free: (0..rows).rev().collect(),
            in_flight: 0,
            slowest: Slowest::default(),
        })
    }

    /// The block that is written.
    #[must_use]
    pub fn block(&self) -> &Block {
        self.mapping.block()
    }

    /// A pen for threads that do not hold the engine.
    #[must_use]
    pub fn handle(&self) -> BoardHandle {
        BoardHandle(Arc::clone(&self.mapping))
    }

    /// The engine is made.
    pub fn begin(&self, now: u64, threads: usize) {
        let gauges = &self.block().gauges;
        set(&gauges.threads, threads as u64);
        set(&gauges.started_at, now);
        set(&gauges.turned_at, now);
        set(&gauges.version, VERSION);
        self.set_state(State::Serving);
    }

    /// The engine's life has turned.
    pub fn set_state(&self, state: State) {
        set(&self.block().gauges.state, state as u64);
    }

    /// The reactor has nothing to do until something happens.
    #[inline]
    pub fn wait(&self) {
        set(&self.block().gauges.is_waiting, 1);
    }

    /// The reactor turns.
    #[inline]
    pub fn turn(&self, now: u64) {
        let block = self.block();
        add(&block.counters.turns, 1);
        set(&block.gauges.turned_at, now);
        set(&block.gauges.is_waiting, 0);
    }

    /// So many requests wait for the application, and so many bytes are held.
    #[inline]
    pub fn note_queues(&self, ready: usize, buffered: usize) {
        let gauges = &self.block().gauges;
        set(&gauges.ready, ready as u64);
        set(&gauges.buffered, buffered as u64);
    }

    /// A connection was accepted; so many are open.
    pub fn open_connection(&self, open: usize) {
        add(&self.block().counters.connections, 1);
        set(&self.block().gauges.connections_open, open as u64);
    }

    /// A connection was closed; so many are open.
    pub fn close_connection(&self, open: usize) {
        set(&self.block().gauges.connections_open, open as u64);
    }

    /// A WebSocket was accepted.
    pub fn open_websocket(&self) {
        add(&self.block().counters.websockets, 1);
        add(&self.block().gauges.websockets_open, 1);
    }

    /// A WebSocket has ended.
    pub fn close_websocket(&self) {
        add(&self.block().gauges.websockets_open, u64::MAX);
    }

    /// Bytes were read from a client.
    #[inline]
    pub fn receive(&self, count: usize) {
        add(&self.block().counters.bytes_received, count as u64);
    }

    /// Bytes were written to a client.
    #[inline]
    pub fn send(&self, count: u64) {
        add(&self.block().counters.bytes_sent, count);
    }

    /// The server answers in place of the application.
    pub fn refuse(&self) {
        add(&self.block().counters.refusals, 1);
    }

    /// A request has waited for too long to be served; it counts as refused as well.
    pub fn shed(&self) {
        add(&self.block().counters.shed, 1);
    }

    /// A response is broken off.
    pub fn abort(&self) {
        add(&self.block().counters.aborts, 1);
    }

    /// A client is gone whose request was not answered.
    pub fn abandon(&self) {
        add(&self.block().counters.abandoned, 1);
    }

    /// How many requests are in the application.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// The application is about to be called by this thread.
    pub fn enter<'request>(
        &mut self,
        now: u64,
        describe: impl FnOnce(u64) -> Entry<'request>,
    ) -> Seat {
        let seat = match self.free.pop() {
            Some(row) => Seat::Row(row, now),
            None => Seat::Standing(now),
        };
        self.in_flight += 1;
        let block = self.block();
        add(&block.counters.requests, 1);
        set(&block.gauges.in_flight, self.in_flight);
        if self.in_flight == 1 {
            set(&block.gauges.busy_since, now);
        }
        match seat {
            Seat::Row(row, _) => {
                block.rows[usize::from(row)].fill(&describe(pthread_self() as u64), now);
            }
            _ => add(&block.gauges.unshown, 1),
        }
        seat
    }

    /// The application is done with a request. Returns the nanoseconds that it had it.
    pub fn leave(&mut self, seat: Seat, now: u64) -> u64 {
        let block = self.mapping.block();
        let since = match seat {
            Seat::Outside => return 0,
            Seat::Row(row, since) => {
                block.rows[usize::from(row)].clear();
                self.free.push(row);
                since
            }
            Seat::Standing(since) => {
                add(&block.gauges.unshown, u64::MAX);
                since
            }
        };
        self.in_flight -= 1;
        let time = now.saturating_sub(since);
        add(&block.counters.application_time, time);
        if self.in_flight == 0 {
            let busy_since = block.gauges.busy_since.load(Ordering::Relaxed);
            add(&block.counters.busy_time, now.saturating_sub(busy_since));
            set(&block.gauges.busy_since, 0);
        }
        set(&block.gauges.in_flight, self.in_flight);
        time
    }

    /// The first byte of a response goes out; its request was complete at `asked`.
    #[inline]
    pub fn answer_first(&self, asked: u64, now: u64) {
        self.block()
            .first_byte_time
            .record(now.saturating_sub(asked));
    }

    /// A request has ended, which began at `asked`. `describe` is called if it is one of the slowest of late, and says
    /// nothing of one that does not count among them.
    #[inline]
    pub fn finish<'request>(
        &mut self,
        status: u16,
        asked: u64,
        now: u64,
        describe: impl FnOnce() -> Option<Slow<'request>>,
    ) {
        let block = self.mapping.block();
        let counters = &block.counters;
        let class = match status / 100 {
            1 => &counters.responses_1xx,
            2 => &counters.responses_2xx,
            3 => &counters.responses_3xx,
            4 => &counters.responses_4xx,
            5 => &counters.responses_5xx,
            _ => &counters.unanswered,
        };
        add(class, 1);
        // How long a WebSocket lasts is no measure of anything, nor is the time until somebody gave up.
        let duration = now.saturating_sub(asked);
        if status >= 200 {
            block.request_time.record(duration);
        }
        if self.slowest.wants(duration, now) {
            self.slowest
                .keep(&block.slowest, (status, duration, now), describe);
        }
    }
}

impl BoardHandle {
    /// An exception has left the application.
    pub fn fail(&self) {
        count(&self.0.block().counters.failures);
    }

    /// The deadline of a request has come before its end.
    pub fn expire(&self) {
        count(&self.0.block().counters.expired);
    }

    /// This thread calls the application for a request that another has taken.
    pub fn take_over(&self, seat: Seat) {
        if let Seat::Row(row, _) = seat {
            self.0.block().rows[usize::from(row)].set_thread(pthread_self() as u64);
        }
    }
}

/// Counts where others may do the same at the same time.
fn count(word: &AtomicU64) {
    word.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    fn describe(thread: u64) -> Entry<'static> {
        Entry {
            id: b"id",
            method: b"GET",
            path: b"/",
            client: None,
            thread,
        }
    }

    #[test]
    fn requests_beyond_the_rows_are_counted_and_not_shown() {
        let mut board = Board::open(None).unwrap();
        let seats: Vec<Seat> = (0..ROWS + 3).map(|_| board.enter(1, describe)).collect();
        assert_eq!(board.block().gauges.unshown.load(Relaxed), 3);
        assert_eq!(
            board.block().gauges.in_flight.load(Relaxed),
            ROWS as u64 + 3
        );
        for seat in seats {
            board.leave(seat, 2);
        }
        assert_eq!(board.block().gauges.unshown.load(Relaxed), 0);
        assert_eq!(board.block().gauges.in_flight.load(Relaxed), 0);
    }

    #[test]
    fn busy_time_counts_overlapping_requests_once() {
        let mut board = Board::open(None).unwrap();
        let first = board.enter(100, describe);
        let second = board.enter(150, describe);
        board.leave(first, 200);
        board.leave(second, 300);
        assert_eq!(board.block().counters.busy_time.load(Relaxed), 200);
        assert_eq!(board.block().counters.application_time.load(Relaxed), 250);
        assert_eq!(board.block().gauges.busy_since.load(Relaxed), 0);
    }

    #[test]
    fn leaving_twice_changes_nothing() {
        let mut board = Board::open(None).unwrap();
        let mut seat = board.enter(1, describe);
        board.leave(std::mem::take(&mut seat), 2);
        board.leave(seat, 3);
        assert_eq!(board.in_flight(), 0);
    }

    #[test]
    fn block_is_written_where_the_scoreboard_says() {
        use std::io::Write;
        use std::os::unix::fs::FileExt;
        let mut file = tempfile();
        let size = super::super::block::BLOCK_SIZE;
        file.write_all(&vec![0; size * 3]).unwrap();
        let place = Place {
            fd: file.try_clone().unwrap().into(),
            offset: size as u64,
        };
        let board = Board::open(Some(place)).unwrap();
        board.receive(77);
        let mut word = [0; 8];
        let offset = std::mem::offset_of!(Block, counters)
            + std::mem::offset_of!(super::super::block::Counters, bytes_received);
        file.read_exact_at(&mut word, (size + offset) as u64)
            .unwrap();
        assert_eq!(u64::from_ne_bytes(word), 77);
    }

    #[test]
    fn scoreboard_that_is_too_short_is_refused() {
        let place = Place {
            fd: tempfile().into(),
            offset: 0,
        };
        let error = Board::open(Some(place)).unwrap_err();
        assert!(error.to_string().contains("ends before"));
    }

    fn tempfile() -> std::fs::File {
        let name = rustix::fs::MemfdFlags::CLOEXEC;
        rustix::fs::memfd_create("board", name).unwrap().into()
    }
}
