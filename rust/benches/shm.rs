//! What a request costs on the scoreboard: everything that is written from its first byte to its last.
//!
//! Prints nanoseconds for a request, the best of several rounds, beside the reading of the clock that is part of it.

use std::hint::black_box;
use std::time::{Duration, Instant};

use hostler_engine::shm::{Board, Entry, Slow};
use hostler_engine::time::{coarse_millis, monotonic_nanos};

const REQUESTS: u32 = 10_000;
const ROUNDS: usize = 500;

fn main() {
    let Ok(mut board) = Board::open(None) else {
        println!("no memory for a block");
        return;
    };
    let clock = best(|| {
        black_box(monotonic_nanos());
    });
    let coarse = best(|| {
        black_box(coarse_millis());
    });
    let request = best(|| write_request(&mut board));
    println!("a request on the scoreboard: {request:.1} ns");
    println!(
        "the clock, to the nanosecond: {clock:.1} ns, in place of the coarse one: {coarse:.1} ns"
    );
}

/// As the engine does for one request on a connection that is kept.
fn write_request(board: &mut Board) {
    let now = black_box(5_000_000);
    board.wait();
    board.turn(now);
    board.receive(120);
    board.note_queues(1, 0);
    let seat = board.enter(now, describe);
    board.note_queues(0, 0);
    board.leave(seat, now + 70_000);
    board.answer_first(now, now + 70_000);
    board.send(300);
    // After the first of them none is slower than those that are kept, as is the rule.
    board.finish(200, now, now + 70_000, || {
        Some(Slow {
            entry: describe(0),
            waited: 0,
            application: 70_000,
            body_sent: 180,
            version: 11,
        })
    });
}

fn describe(thread: u64) -> Entry<'static> {
    Entry {
        id: b"0123456789abcdef0123456789abcdef",
        method: b"GET",
        path: b"/articles/2026/a-fairly-long-title",
        client: Some([192, 0, 2, 7].into()),
        thread,
    }
}

/// Nanoseconds for one run of `work`.
fn best(mut work: impl FnMut()) -> f64 {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..REQUESTS {
            work();
        }
        best = best.min(start.elapsed());
    }
    best.as_secs_f64() * 1e9 / f64::from(REQUESTS)
}
