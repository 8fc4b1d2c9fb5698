//! Waiting for a client, on the thread that is in the application.

use std::time::Duration;

use pyo3::prelude::*;

use crate::python::shared::Shared;
use crate::worker::{Pause, Worker};

/// How long a thread waits for its client before it looks whether anybody still polls. Arbitrary; the wait itself ends at once.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Waits for something that the reactor brings about, while somebody turns the reactor: another thread, or else this one.
pub(super) fn wait_until(
    py: Python<'_>,
    shared: &Shared,
    is_done: impl Fn() -> bool,
    wait: impl Fn(Duration) + Send + Sync,
) {
    while !is_done() {
        if shared.is_nested() {
            py.detach(|| wait(LOOK_AGAIN));
            continue;
        }
        match shared.crew.try_engine() {
            // Somebody polls.
            None => {}
            Some(mut engine) if shared.crew.stand_in() => {
                turn_once(py, shared, &mut engine);
                shared.crew.step_down(engine);
                shared.serve_mailbox();
                continue;
            }
            Some(engine) => {
                // Leading is somebody else's work while we have a call to finish.
                drop(engine);
                shared.serve_mailbox();
                shared.crew.summon();
            }
        }
        py.detach(|| wait(LOOK_AGAIN));
    }
}

fn turn_once(py: Python<'_>, shared: &Shared, engine: &mut Worker) {
    shared.mailbox.empty_into(engine);
    engine.context.retired.clear();
    let turned = py.detach(|| engine.turn(Pause::ForSockets));
    if let Err(error) = turned {
        PyErr::from(error).write_unraisable(py, None);
    }
}
