//! What a worker tells of itself in shared memory, so that others can read it without asking: one block of the scoreboard.
//!
//! Theory of operation. The supervisor makes the scoreboard before it forks and gives each worker a block, which is this
//! worker's alone to write until it ends. The engine writes numbers as it goes, each a word of its own, stored with one
//! plain instruction: whoever reads sees each of them whole, at any moment, also when the worker was killed or hangs.
//! What takes more than one word, the text of a request, is guarded by a sequence number ([`Row`], [`SlowRow`]).
//!
//! Invariants. Words are written by the thread that holds the engine, so that an addition needs no atomic
//! read-modify-write; those that other threads may add to say so. Nothing of the own block is ever read back to decide anything.
//! The layout is that of `hostler/telemetry/layout.py`, and a test compares the two.

mod block;
mod board;
mod crowd;
mod gate;
mod histogram;
mod mapping;
mod row;
mod slow;

pub use block::{Block, State, layout};
pub use board::{Board, BoardHandle, Entry, Seat};
pub use crowd::{Crowd, is_clearly_busier, load};
pub use gate::Gate;
pub use histogram::{BUCKETS, Histogram};
pub use mapping::Place;
pub use row::{ROWS, Row};
pub use slow::{SLOW_ROWS, SLOW_WINDOW, Slow, SlowRow};
