//! What the thread in an application and the reactor share about one exchange: how much is unsent, and the body as it comes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::codec::http1::Refusal;

/// Back-pressure: how much of a response is unsent, and whether the client is still there.
#[derive(Debug, Default)]
pub struct Flow {
    state: Mutex<FlowState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct FlowState {
    queued: usize,
    closed: bool,
}

impl Flow {
    /// The reactor tells how many bytes wait to be sent.
    pub fn set_queued(&self, bytes: usize) {
        lock(&self.state).queued = bytes;
        self.changed.notify_all();
    }

    /// The reactor tells that the connection is gone.
    pub fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }

    /// Whether the connection is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }

    /// Counts bytes that are on their way to the reactor, before it has seen them.
    pub fn add_queued(&self, bytes: usize) {
        lock(&self.state).queued += bytes;
    }

    /// Whether more than `mark` bytes are unsent and somebody is there to take them.
    #[must_use]
    pub fn is_above(&self, mark: usize) -> bool {
        let state = lock(&self.state);
        state.queued > mark && !state.closed
    }

    /// Waits, but no longer than `timeout`, until no more than `mark` bytes are unsent or the connection is gone. Without the GIL.
    pub fn wait_below(&self, mark: usize, timeout: Duration) {
        let is_above = |state: &mut FlowState| state.queued > mark && !state.closed;
        // Why the wait ended is for the caller to find out.
        drop(
            self.changed
                .wait_timeout_while(lock(&self.state), timeout, is_above),
        );
    }
}

/// Why a request body ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFault {
    /// The client closed the connection.
    Disconnected,
    /// Nothing came for the length of the body timeout.
    TimedOut,
    /// The response ended before the body did, so nobody receives the rest.
    Abandoned,
    /// The framing was invalid or a limit was passed; this is what the client would be told.
    Invalid(Refusal),
}

impl BodyFault {
    /// What the client is to be told, if it is its fault and it may still be listening.
    #[must_use]
    pub fn refusal(self) -> Option<Refusal> {
        match self {
            Self::TimedOut => Some(BODY_TIMEOUT),
            Self::Invalid(refusal) => Some(refusal),
            Self::Disconnected | Self::Abandoned => None,
        }
    }
}

/// The answer to a body that stops coming.
pub(super) const BODY_TIMEOUT: Refusal =
    Refusal::new(408, "The request body did not arrive in time.");

/// A request body that the application reads while it arrives.
#[derive(Debug)]
pub struct BodyPipe {
    state: Mutex<PipeState>,
    changed: Condvar,
    capacity: usize,
    /// The client waits for "100 Continue", and it has not been sent yet.
    pub expects_continue: bool,
}

#[derive(Debug, Default)]
struct PipeState {
    /// Runs of bytes as they arrived, none of them empty.
    runs: VecDeque<Vec<u8>>,
    held: usize,
    finished: bool,
    fault: Option<BodyFault>,
}

/// Runs up to this size are joined, so that a client that sends single bytes costs no allocation for each. The size of
/// the reactor's reads.
const RUN: usize = 65_536;

impl PipeState {
    fn push(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.held += bytes.len();
        match self.runs.back_mut() {
            Some(last) if last.len() + bytes.len() <= RUN => last.extend_from_slice(bytes),
            _ => self.runs.push_back(bytes.to_vec()),
        }
    }

    fn take(&mut self, limit: usize) -> Option<Vec<u8>> {
        let mut run = self.runs.pop_front()?;
        if run.len() > limit {
            let rest = run.split_off(limit);
            self.runs.push_front(rest);
        }
        self.held -= run.len();
        Some(run)
    }
}

/// What a reader finds in the pipe.
#[derive(Debug, PartialEq, Eq)]
pub enum Poured {
    /// Some bytes, never none.
    Bytes(Vec<u8>),
    /// The body is complete.
    End,
    /// The body will never be complete.
    Fault(BodyFault),
    /// Nothing yet.
    Empty,
}

impl BodyPipe {
    /// An empty pipe that asks the reactor to pause at `capacity` bytes.
    #[must_use]
    pub fn new(capacity: usize, expects_continue: bool) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            capacity,
            expects_continue,
        }
    }

    /// The reactor adds what arrived.
    pub fn push(&self, bytes: &[u8]) {
        lock(&self.state).push(bytes);
        self.changed.notify_all();
    }

    /// The reactor tells that all has arrived.
    pub fn finish(&self) {
        lock(&self.state).finished = true;
        self.changed.notify_all();
    }

    /// The reactor tells that nothing more will arrive.
    pub fn fail(&self, fault: BodyFault) {
        let mut state = lock(&self.state);
        if !state.finished && state.fault.is_none() {
            state.fault = Some(fault);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Whether the reactor should read on.
    #[must_use]
    pub fn has_room(&self) -> bool {
        lock(&self.state).held < self.capacity
    }

    /// Bytes held.
    #[must_use]
    pub fn held(&self) -> usize {
        lock(&self.state).held
    }

    /// Takes up to `limit` bytes without waiting. The flag says that the reactor should be told there is room again.
    pub fn take(&self, limit: usize) -> (Poured, bool) {
        let mut state = lock(&self.state);
        let was_full = state.held >= self.capacity;
        let Some(bytes) = state.take(limit) else {
            let poured = match (state.finished, state.fault) {
                (true, _) => Poured::End,
                (false, Some(fault)) => Poured::Fault(fault),
                (false, None) => Poured::Empty,
            };
            return (poured, false);
        };
        let makes_room = was_full && state.held < self.capacity && !state.finished;
        (Poured::Bytes(bytes), makes_room)
    }

    /// Whether a reader would have to wait.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        let state = lock(&self.state);
        state.held == 0 && !state.finished && state.fault.is_none()
    }

    /// Whether all of the body was read.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let state = lock(&self.state);
        state.held == 0 && state.finished
    }

    /// Waits, but no longer than `timeout`, until a reader would find something. Without the GIL.
    pub fn wait_for(&self, timeout: Duration) {
        let is_waiting =
            |state: &mut PipeState| state.held == 0 && !state.finished && state.fault.is_none();
        // Why the wait ended is for the caller to find out.
        drop(
            self.changed
                .wait_timeout_while(lock(&self.state), timeout, is_waiting),
        );
    }
}

/// A panic while a lock was held leaves plain data behind, which stays usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
