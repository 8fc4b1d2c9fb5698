//! A timer wheel for connections: setting a later deadline is free, as an entry that fires early is simply set again.
//!
//! Theory of operation. Time is cut into ticks; a slot holds the ids whose visit falls on its tick. A visit asks the
//! owner for the deadline in force: if that is still to come the id is scheduled again, else it has expired. An id
//! whose deadline moved earlier is scheduled a second time; the older entry finds nothing to do when its tick comes.

use crate::time::Millis;

/// One tick, in milliseconds: how late a deadline may fire. Arbitrary; deadlines are seconds long.
const TICK: Millis = 50;
/// Slots in the wheel, a power of two: 512 ticks are 25.6 s, and what lies beyond is visited on the way.
const SLOTS: u64 = 512;

/// The wheel. `Id` is what a visit is told.
#[derive(Debug)]
pub struct Wheel<Id> {
    slots: Vec<Vec<Id>>,
    tick: u64,
    entries: usize,
}

impl<Id: Copy> Wheel<Id> {
    /// An empty wheel that starts at `now`.
    #[must_use]
    pub fn new(now: Millis) -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            tick: now / TICK,
            entries: 0,
        }
    }

    /// Puts a visit of `id` at `deadline`, or at the wheel's horizon if that comes first.
    ///
    /// Returns the moment of the visit, for the owner to remember.
    pub fn schedule(&mut self, id: Id, deadline: Millis) -> Millis {
        // Rounded up, so that a visit never comes before its deadline; the current tick has passed already.
        let tick = deadline
            .div_ceil(TICK)
            .clamp(self.tick + 1, self.tick + SLOTS - 1);
        self.slots[slot(tick)].push(id);
        self.entries += 1;
        tick * TICK
    }

    /// Moves all ids whose tick has come by `now` into `due`.
    pub fn advance(&mut self, now: Millis, due: &mut Vec<Id>) {
        let target = now / TICK;
        // After a long pause each slot needs only one visit.
        let steps = target.saturating_sub(self.tick).min(SLOTS);
        for step in 0..steps {
            let bucket = &mut self.slots[slot(self.tick + 1 + step)];
            self.entries -= bucket.len();
            due.append(bucket);
            if bucket.capacity() > 64 {
                bucket.shrink_to(64);
            }
        }
        self.tick = self.tick.max(target);
    }

    /// The moment of the next visit, or `None` when nothing is scheduled.
    #[must_use]
    pub fn next_visit(&self) -> Option<Millis> {
        if self.entries == 0 {
            return None;
        }
        (self.tick + 1..self.tick + SLOTS)
            .find(|tick| !self.slots[slot(*tick)].is_empty())
            .map(|tick| tick * TICK)
    }
}

fn slot(tick: u64) -> usize {
    usize::try_from(tick % SLOTS).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(wheel: &mut Wheel<u32>, now: Millis) -> Vec<u32> {
        let mut ids = Vec::new();
        wheel.advance(now, &mut ids);
        ids
    }

    #[test]
    fn visit_comes_at_the_deadline_and_not_before() {
        let mut wheel = Wheel::new(1_000);
        let at = wheel.schedule(1, 1_210);
        assert_eq!(at, 1_250);
        assert_eq!(wheel.next_visit(), Some(1_250));
        assert!(due(&mut wheel, 1_249).is_empty());
        assert_eq!(due(&mut wheel, 1_250), [1]);
        assert_eq!(wheel.next_visit(), None);
    }

    #[test]
    fn far_deadline_is_visited_at_the_horizon() {
        let mut wheel = Wheel::new(0);
        let at = wheel.schedule(1, 3_600_000);
        assert_eq!(at, (SLOTS - 1) * TICK);
        assert_eq!(due(&mut wheel, at), [1]);
    }

    #[test]
    fn past_deadline_is_visited_at_the_next_tick() {
        let mut wheel = Wheel::new(10_000);
        wheel.schedule(1, 0);
        assert_eq!(due(&mut wheel, 10_050), [1]);
    }

    #[test]
    fn long_pause_visits_each_id_once() {
        let mut wheel = Wheel::new(0);
        wheel.schedule(1, 100);
        wheel.schedule(2, 20_000);
        assert_eq!(due(&mut wheel, 10_000_000), [1, 2]);
        assert!(due(&mut wheel, 20_000_000).is_empty());
    }
}
