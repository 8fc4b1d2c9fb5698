//! The words of one block, in their order.

use std::mem::{offset_of, size_of};
use std::sync::atomic::{AtomicU64, Ordering};

use super::histogram::{BUCKETS, Histogram};
use super::row::{ROWS, Row};
use super::slow::{SLOW_ROWS, SLOW_WINDOW, SlowRow, SlowTables};

/// Changes with every change of the layout, here and in `hostler/telemetry/layout.py`.
pub const VERSION: u64 = 4;

/// A structure of words and the list of their names, declared once.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $word:ident,)* }) => {
        $(#[$about])*
        #[repr(C, align(64))]
        #[derive(Debug)]
        pub struct $name { $($(#[$doc])* pub $word: AtomicU64,)* }

        impl $name {
            /// The names of the words, in order.
            pub const NAMES: &[&str] = &[$(stringify!($word),)*];
        }
    };
}

words! {
    /// Written by the supervisor: whose block this is.
    Identity {
        /// The child's number, 0 while the block is free.
        child,
        /// Its process id, 0 while that is not known.
        pid,
        /// Which of its role it is, from 1.
        slot,
        /// The configuration that it was started from.
        generation,
        /// When it was started, in monotonic nanoseconds.
        allotted_at,
        /// Children that have been started in its slot, it included.
        spawns,
        /// What those before it that have ended did in the slot.
        former_requests,
        /// See above; as `failures`.
        former_failures,
        /// See above; as `bytes_sent`.
        former_bytes_sent,
        /// See above; as `application_time`.
        former_application_time,
    }
}

words! {
    /// What only grows. Times are nanoseconds.
    Counters {
        /// Connections accepted.
        connections,
        /// Requests that the application was called for.
        requests,
        /// Responses by the class of their status.
        responses_1xx,
        /// See above.
        responses_2xx,
        /// See above.
        responses_3xx,
        /// See above.
        responses_4xx,
        /// See above.
        responses_5xx,
        /// Requests that ended without a response.
        unanswered,
        /// Requests that the server answered in place of the application.
        refusals,
        /// Exceptions that left the application. Any thread adds to it.
        failures,
        /// Responses that were broken off.
        aborts,
        /// Requests whose client was gone before they were answered.
        abandoned,
        /// Requests that ended with their worker; counted by the supervisor.
        lost,
        /// Requests whose deadline came before their end. Any thread adds to it.
        expired,
        /// Requests that had waited for too long, which the server answered in place of the application.
        shed,
        /// WebSockets accepted.
        websockets,
        /// Bytes read from clients.
        bytes_received,
        /// Bytes written to clients.
        bytes_sent,
        /// Turns of the reactor.
        turns,
        /// Time in which at least one request was in the application.
        busy_time,
        /// Time of all requests in the application, added up.
        application_time,
    }
}

words! {
    /// What is now. Points in time are monotonic nanoseconds, 0 for none.
    Gauges {
        /// The layout's version, once there is an engine.
        version,
        /// See [`State`].
        state,
        /// When the engine was made.
        started_at,
        /// When the reactor last turned.
        turned_at,
        /// 1 while the reactor has nothing to do.
        is_waiting,
        /// Since when at least one request has been in the application.
        busy_since,
        /// Threads that may be in the application at once.
        threads,
        /// Connections that are open.
        connections_open,
        /// WebSockets among them.
        websockets_open,
        /// Requests in the application.
        in_flight,
        /// Those of them that no row was left for.
        unshown,
        /// Requests that wait to be given to the application.
        ready,
        /// Bytes held for connections.
        buffered,
    }
}

/// One worker's part of the scoreboard.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Block {
    /// Written by the supervisor alone.
    pub identity: Identity,
    /// What only grows.
    pub counters: Counters,
    /// From the complete head of a request to the end of its response.
    pub request_time: Histogram,
    /// From the complete head of a request to the first byte of its response.
    pub first_byte_time: Histogram,
    /// What is now.
    pub gauges: Gauges,
    /// Requests in the application.
    pub rows: [Row; ROWS],
    /// The slowest requests that have ended of late.
    pub slowest: SlowTables,
}

/// Bytes from one block to the next: whole pages, so that workers do not share one.
pub const BLOCK_SIZE: usize = size_of::<Block>().next_multiple_of(4_096);

/// Where an engine is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum State {
    /// It takes connections.
    Serving = 1,
    /// It finishes what has begun.
    Draining = 2,
    /// It has closed everything.
    Stopped = 3,
}

/// Adds to a word that only one thread at a time writes.
#[inline]
pub(super) fn add(word: &AtomicU64, amount: u64) {
    set(word, word.load(Ordering::Relaxed).wrapping_add(amount));
}

/// Sets a word.
#[inline]
pub(super) fn set(word: &AtomicU64, value: u64) {
    word.store(value, Ordering::Relaxed);
}

/// Names and byte offsets of everything in a block, for a reader's test.
#[must_use]
pub fn layout() -> Vec<(String, usize)> {
    let mut all = vec![
        ("version".to_owned(), usize::try_from(VERSION).unwrap_or(0)),
        ("block_size".to_owned(), BLOCK_SIZE),
        ("rows".to_owned(), ROWS),
        ("row_size".to_owned(), size_of::<Row>()),
        ("buckets".to_owned(), BUCKETS),
        ("slow_rows".to_owned(), SLOW_ROWS),
        ("slow_row_size".to_owned(), size_of::<SlowRow>()),
        (
            "slow_window".to_owned(),
            usize::try_from(SLOW_WINDOW).unwrap_or(0),
        ),
        ("block.rows".to_owned(), offset_of!(Block, rows)),
        ("block.slowest".to_owned(), offset_of!(Block, slowest)),
        (
            "block.request_time".to_owned(),
            offset_of!(Block, request_time),
        ),
        (
            "block.first_byte_time".to_owned(),
            offset_of!(Block, first_byte_time),
        ),
    ];
    let groups = [
        ("identity", offset_of!(Block, identity), Identity::NAMES),
        ("counters", offset_of!(Block, counters), Counters::NAMES),
        ("gauges", offset_of!(Block, gauges), Gauges::NAMES),
    ];
    for (group, start, names) in groups {
        all.extend(
            names
                .iter()
                .enumerate()
                .map(|(index, name)| (format!("{group}.{name}"), start + index * 8)),
        );
    }
    all.extend(super::row::layout());
    all.extend(super::slow::layout());
    all
}
