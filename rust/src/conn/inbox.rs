//! What the application and the reactor share about one WebSocket: the messages that arrived, and how it ended.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// No close frame arrived (RFC 6455 7.4.1).
pub const ABNORMAL: u16 = 1006;

/// The close frame that arrived had no code (RFC 6455 7.4.1).
pub const NO_STATUS: u16 = 1005;

/// Fewer bytes of messages are not counted as held: the account would have to be changed with each of them.
/// Arbitrary: a small part of what a connection costs anyway.
const NEGLIGIBLE: usize = 4_096;

/// One message, complete.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// Whether it is text, which is valid UTF-8.
    pub is_text: bool,
    /// Its payload.
    pub data: Vec<u8>,
}

/// How a WebSocket ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The code, which may be one that is never on the wire (1005, 1006).
    pub code: u16,
    /// The reason, perhaps empty.
    pub reason: Box<str>,
}

/// What the application finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// A message, and whether the reactor should be told: there is room again, or much less is held.
    Message(Message, bool),
    /// The end, after all messages.
    Closed(Closed),
    /// Nothing yet.
    Nothing,
}

/// The messages of one WebSocket that the application has not taken yet.
#[derive(Debug)]
pub struct Inbox {
    state: Mutex<State>,
    max_messages: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Message>,
    bytes: usize,
    closed: Option<Closed>,
}

impl Inbox {
    /// An empty inbox. It is full with so many messages, or with so many bytes in them; 0 is no limit to the bytes.
    #[must_use]
    pub fn new(max_messages: usize, max_bytes: usize) -> Self {
        Self {
            state: Mutex::default(),
            max_messages: max_messages.max(1),
            max_bytes: match max_bytes {
                0 => usize::MAX,
                bytes => bytes,
            },
        }
    }

    /// Adds a message. Returns whether the application may be waiting for it.
    pub fn push(&self, message: Message) -> bool {
        let mut state = self.state();
        state.bytes += message.data.len();
        state.messages.push_back(message);
        state.messages.len() == 1
    }

    /// Notes the end, unless one was noted before. Returns whether it was news.
    pub fn close(&self, code: u16, reason: &str) -> bool {
        let mut state = self.state();
        if state.closed.is_some() {
            return false;
        }
        state.closed = Some(Closed {
            code,
            reason: reason.into(),
        });
        true
    }

    /// Whether the reactor should pause reading.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let state = self.state();
        self.is_full_with(&state)
    }

    /// Whether the end was noted.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state().closed.is_some()
    }

    /// Bytes held, if they are worth counting.
    #[must_use]
    pub fn held(&self) -> usize {
        match self.state().bytes {
            0..NEGLIGIBLE => 0,
            bytes => bytes,
        }
    }

    /// Takes the next message, or looks how it ended.
    #[must_use]
    pub fn take(&self) -> Received {
        let mut state = self.state();
        let was_full = self.is_full_with(&state);
        let was_counted = state.bytes >= NEGLIGIBLE;
        if let Some(message) = state.messages.pop_front() {
            state.bytes -= message.data.len();
            if state.messages.is_empty() {
                // An idle connection holds nothing.
                state.messages = VecDeque::new();
            }
            let makes_room = was_full && !self.is_full_with(&state);
            let is_lighter = was_counted && state.bytes < NEGLIGIBLE;
            return Received::Message(message, makes_room || is_lighter);
        }
        match &state.closed {
            Some(closed) => Received::Closed(closed.clone()),
            None => Received::Nothing,
        }
    }

    fn is_full_with(&self, state: &State) -> bool {
        state.messages.len() >= self.max_messages || state.bytes >= self.max_bytes
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(data: &str) -> Message {
        Message {
            is_text: true,
            data: data.into(),
        }
    }

    #[test]
    fn end_comes_after_the_messages_and_stays() {
        let inbox = Inbox::new(8, 0);
        assert!(inbox.push(text("a")));
        assert!(!inbox.push(text("b")));
        assert!(inbox.close(1000, "done"));
        assert!(!inbox.close(ABNORMAL, ""));
        assert_eq!(inbox.take(), Received::Message(text("a"), false));
        assert_eq!(inbox.take(), Received::Message(text("b"), false));
        for _ in 0..2 {
            assert!(matches!(inbox.take(), Received::Closed(closed) if closed.code == 1000));
        }
    }

    #[test]
    fn room_is_told_of_once() {
        let inbox = Inbox::new(2, 0);
        inbox.push(text("a"));
        inbox.push(text("b"));
        assert!(inbox.is_full());
        assert_eq!(inbox.take(), Received::Message(text("a"), true));
        assert_eq!(inbox.take(), Received::Message(text("b"), false));
        assert_eq!(inbox.take(), Received::Nothing);
    }

    #[test]
    fn reactor_is_told_when_little_is_left_of_much() {
        let inbox = Inbox::new(8, 0);
        inbox.push(text(&"a".repeat(NEGLIGIBLE)));
        inbox.push(text("b"));
        assert_eq!(inbox.held(), NEGLIGIBLE + 1);
        assert!(matches!(inbox.take(), Received::Message(_, true)));
        assert_eq!(inbox.held(), 0);
        assert!(matches!(inbox.take(), Received::Message(_, false)));
    }

    #[test]
    fn large_messages_fill_it_however_few() {
        let inbox = Inbox::new(8, 4);
        inbox.push(text("abcd"));
        assert!(inbox.is_full());
    }
}
