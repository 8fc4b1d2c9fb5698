//! What a client may ask for in what time, beside requests that are answered.

use crate::time::Millis;

/// Streams that may be given up at once, by either side; a page that is left in the midst of loading gives up some hundred.
/// Beyond that, `RESETS_REFILL` in a second. Arbitrary: nginx closes a connection at about as many.
const RESETS: u32 = 200;
const RESETS_REFILL: u32 = 20;

/// Frames at once that move nothing, and those in a second beyond that. What moves something gives some back. Arbitrary: a
/// client that watches its windows and the connection sends one or two such frames with each that moves something.
const FRAMES: u32 = 500;
const FRAMES_REFILL: u32 = 100;

/// A budget that time and useful work fill up again.
#[derive(Debug)]
struct Budget {
    left: u32,
    most: u32,
    refill: u32,
    /// Up to when it was filled up.
    filled: Millis,
}

impl Budget {
    fn new(most: u32, refill: u32, now: Millis) -> Self {
        Self {
            left: most,
            most,
            refill,
            filled: now,
        }
    }

    /// Takes from it. Returns whether there was enough.
    fn spend(&mut self, now: Millis) -> bool {
        if self.left == 0 {
            let seconds = now.saturating_sub(self.filled) / 1_000;
            if seconds > 0 {
                let more = seconds.saturating_mul(u64::from(self.refill));
                self.left = u32::try_from(more).unwrap_or(self.most).min(self.most);
                self.filled = now;
            }
        } else if self.left == self.most {
            self.filled = now;
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    fn give_back(&mut self, amount: u32) {
        self.left = (self.left + amount).min(self.most);
    }
}

/// The budgets of one connection.
#[derive(Debug)]
pub(super) struct Calm {
    resets: Budget,
    frames: Budget,
}

impl Calm {
    /// Fresh budgets. A client does not know how many streams it may open before it has heard of it, so that all that are
    /// refused at the start must not be counted against it.
    pub(super) fn new(max_streams: u32, now: Millis) -> Self {
        Self {
            resets: Budget::new(RESETS.saturating_add(max_streams), RESETS_REFILL, now),
            frames: Budget::new(FRAMES, FRAMES_REFILL, now),
        }
    }

    /// A stream was given up, by the client or over what the client did. Returns whether that may go on.
    pub(super) fn reset(&mut self, now: Millis) -> bool {
        self.resets.spend(now)
    }

    /// A frame came that moves nothing. Returns whether that may go on.
    pub(super) fn frame(&mut self, now: Millis) -> bool {
        self.frames.spend(now)
    }

    /// Something was moved: a request came, or data went either way.
    pub(super) fn moved(&mut self) {
        self.frames.give_back(4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budget_ends_and_time_fills_it_up_again() {
        let mut calm = Calm::new(0, 0);
        let all = (0..10_000).take_while(|_| calm.reset(5)).count();
        assert_eq!(all, RESETS as usize);
        assert!(!calm.reset(900));
        let later = (0..10_000).take_while(|_| calm.reset(2_100)).count();
        assert_eq!(later, 2 * RESETS_REFILL as usize);
    }

    #[test]
    fn useful_work_pays_for_frames_that_move_nothing() {
        let mut calm = Calm::new(0, 0);
        for _ in 0..100_000 {
            calm.moved();
            assert!(calm.frame(0) && calm.frame(0));
        }
        assert_eq!(
            (0..10_000).take_while(|_| calm.frame(0)).count(),
            FRAMES as usize - 2
        );
    }
}
