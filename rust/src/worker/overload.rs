//! Which requests are turned away because they have waited for too long: a controller of the queue in front of the
//! application, without a clock or a socket of its own.
//!
//! Theory of operation. It sees how long each request has waited when it could be given to the application. What counts is
//! not a long wait but that all are long (RFC 8289 3.2, a standing queue): a burst, or one slow call, leaves a queue that
//! is gone after a moment. Once every request of an `interval` has waited for longer than the `target`, those that have
//! are turned away, which brings the queue down to the target within one look at it; the rest is served. That goes on
//! until a request has waited for less than half the target: the queue stands right below the target for as long as more
//! arrives than can be served, and would be let grow again by a single bound for both.
//!
//! RFC 8289 spaces its drops and leaves the rest to the senders' congestion control; this turns away all that is late at
//! once, as whoever asks a web server does not slow down when told so.
//!
//! Invariants. Nothing is turned away that has not waited for longer than the target. An *episode*, for people who read
//! logs, begins with the first request that is turned away, and ends when none was for a while.

use crate::time::Millis;

/// For how long nothing is turned away before an episode is over. Arbitrary: without it a server around its capacity would
/// fill its log.
const CALM: u64 = 5_000_000_000;

const NANOS: u64 = 1_000_000;

/// A poll that takes longer has waited, and did not find its sockets ready. Arbitrary: far above what the call itself takes.
const WAITED: u64 = 200_000;

/// When the sockets were looked at, in nanoseconds: what arrives between two looks waits unseen.
#[derive(Debug)]
pub(super) struct Looks {
    last: u64,
    last_but_one: u64,
    /// Connections have been accepted since the last look. Their bytes are read after the next one only, and may have waited
    /// as long as they have.
    pub(super) has_accepted: bool,
}

impl Looks {
    pub(super) fn new(now: u64) -> Self {
        Self {
            last: now,
            last_but_one: now,
            has_accepted: false,
        }
    }

    /// Notes a poll that began at `before` and is over now. Returns how long what it found has waited at the most.
    pub(super) fn look(&mut self, before: u64, now: u64) -> u64 {
        if now.saturating_sub(before) >= WAITED {
            self.last = now;
        }
        let since = if self.has_accepted {
            self.last_but_one
        } else {
            self.last
        };
        self.last_but_one = self.last;
        self.last = now;
        self.has_accepted = false;
        now.saturating_sub(since)
    }
}

/// What is to become of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It goes to the application.
    Admit,
    /// It is turned away.
    Shed,
    /// It is turned away, the first one of an episode.
    ShedFirst,
}

/// The controller. Points in time and durations are nanoseconds on the same clock.
#[derive(Debug)]
pub struct Overload {
    /// 0 admits everything.
    target: u64,
    interval: u64,
    /// Since when all have waited for longer than the target.
    above_since: Option<u64>,
    is_shedding: bool,
    /// Requests turned away in the present episode.
    shed: u64,
    last_shed: u64,
}

impl Overload {
    /// A controller that keeps waits at `target`, if they were beyond it for `interval`; with a target of 0 it does nothing.
    #[must_use]
    pub fn new(target: Millis, interval: Millis) -> Self {
        Self {
            target: target.saturating_mul(NANOS),
            interval: interval.saturating_mul(NANOS),
            above_since: None,
            is_shedding: false,
            shed: 0,
            last_shed: 0,
        }
    }

    /// Whether it may turn anything away.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.target > 0
    }

    /// What is shorter than this makes no difference to a wait.
    #[must_use]
    pub fn grain(&self) -> u64 {
        self.target / 4
    }

    /// Decides about the next request, which has waited for `wait`.
    pub fn decide(&mut self, now: u64, wait: u64) -> Decision {
        if self.target == 0 {
            return Decision::Admit;
        }
        if wait <= self.target {
            self.above_since = None;
            self.is_shedding &= wait > self.target / 2;
            return Decision::Admit;
        }
        let since = *self.above_since.get_or_insert(now);
        self.is_shedding |= now.saturating_sub(since) >= self.interval;
        if !self.is_shedding {
            return Decision::Admit;
        }
        self.last_shed = now;
        self.shed += 1;
        if self.shed == 1 {
            Decision::ShedFirst
        } else {
            Decision::Shed
        }
    }

    /// When the present episode is over, should no more be turned away.
    #[must_use]
    pub fn ends_at(&self) -> Option<u64> {
        (self.shed > 0).then(|| self.last_shed.saturating_add(CALM))
    }

    /// Ends the present episode if its time has come. Returns how many were turned away in it.
    pub fn conclude(&mut self, now: u64) -> Option<u64> {
        self.ends_at()
            .filter(|end| *end <= now)
            .map(|_| std::mem::take(&mut self.shed))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const TARGET: u64 = 50;
    const INTERVAL: u64 = 200;

    fn overload() -> Overload {
        Overload::new(TARGET, INTERVAL)
    }

    /// Decides about waits given as (now, wait), in milliseconds.
    fn decide(overload: &mut Overload, seen: &[(u64, u64)]) -> Vec<bool> {
        seen.iter()
            .map(|(now, wait)| overload.decide(now * NANOS, wait * NANOS) != Decision::Admit)
            .collect()
    }

    #[test]
    fn admits_all_until_every_wait_of_an_interval_was_long() {
        let seen = [(0, 60), (100, 80), (199, 90), (200, 95), (201, 50)];
        assert_eq!(
            decide(&mut overload(), &seen),
            [false, false, false, true, false]
        );
    }

    #[test]
    fn one_short_wait_begins_the_interval_anew() {
        let seen = [(0, 60), (150, 50), (210, 90), (400, 90), (410, 90)];
        assert_eq!(
            decide(&mut overload(), &seen),
            [false, false, false, false, true]
        );
    }

    #[test]
    fn one_slow_call_sheds_nothing() {
        // It takes half a second; what arrived meanwhile is quick, and waited for up to as long.
        let mut seen = vec![(0, 0)];
        seen.extend((0..50).map(|index| (500 + index, 500 - index * 9)));
        let decided = decide(&mut overload(), &seen);
        assert!(decided.iter().all(|is_shed| !is_shed), "{decided:?}");
    }

    #[test]
    fn goes_on_until_a_wait_is_below_half_the_target() {
        let mut overload = overload();
        decide(&mut overload, &[(0, 60), (200, 60)]);
        let seen = [(210, 26), (211, 51), (212, 25), (213, 51), (500, 51)];
        assert_eq!(
            decide(&mut overload, &seen),
            [false, true, false, false, true]
        );
    }

    #[test]
    fn target_of_zero_sheds_nothing() {
        let mut off = Overload::new(0, INTERVAL);
        assert!(!off.is_on());
        assert_eq!(decide(&mut off, &[(0, 900), (900, 9_000)]), [false, false]);
    }

    #[test]
    fn episode_begins_once_and_ends_after_a_while_of_calm() {
        let mut overload = overload();
        decide(&mut overload, &[(0, 60)]);
        assert_eq!(overload.ends_at(), None);
        let mut shed = |now: u64| overload.decide(now * NANOS, 60 * NANOS);
        assert_eq!(shed(200), Decision::ShedFirst);
        assert_eq!(shed(210), Decision::Shed);
        let end = 210 * NANOS + CALM;
        assert_eq!(overload.ends_at(), Some(end));
        assert_eq!(overload.conclude(end - 1), None);
        assert_eq!(overload.conclude(end), Some(2));
        assert_eq!(overload.conclude(end), None);
    }

    #[test]
    fn what_a_poll_finds_at_once_has_waited_since_the_one_before() {
        let mut looks = Looks::new(0);
        assert_eq!(looks.look(50 * NANOS, 50 * NANOS + 1), 50 * NANOS + 1);
        assert_eq!(looks.look(60 * NANOS, 60 * NANOS + 1), 10 * NANOS);
    }

    #[test]
    fn what_a_poll_waited_for_has_not_waited() {
        let mut looks = Looks::new(0);
        assert_eq!(looks.look(50 * NANOS, 90 * NANOS), 0);
        assert_eq!(looks.look(91 * NANOS, 91 * NANOS), NANOS);
    }

    #[test]
    fn bytes_of_a_new_connection_may_have_waited_as_long_as_it_has() {
        let mut looks = Looks::new(0);
        looks.look(50 * NANOS, 50 * NANOS);
        looks.has_accepted = true;
        assert_eq!(looks.look(51 * NANOS, 51 * NANOS), 51 * NANOS);
        assert_eq!(looks.look(52 * NANOS, 52 * NANOS), NANOS);
    }

    #[test]
    fn connection_that_a_poll_waited_for_has_not_waited() {
        let mut looks = Looks::new(0);
        looks.look(50 * NANOS, 90 * NANOS);
        looks.has_accepted = true;
        assert_eq!(looks.look(91 * NANOS, 91 * NANOS), NANOS);
    }

    /// A server that does one thing at a time, and the requests that come to it.
    struct Simulation {
        overload: Overload,
        random: u64,
        /// Microseconds that a call takes, on average.
        call: u64,
        arrived: VecDeque<u64>,
        /// When the next one arrives, in microseconds.
        next: u64,
        /// Microseconds between two of them, on average.
        gap: u64,
    }

    /// What became of the requests in a stretch of time.
    #[derive(Debug, Default)]
    struct Tally {
        served: u64,
        shed: u64,
        longest: u64,
    }

    impl Simulation {
        fn new(seed: u64, call: u64) -> Self {
            Self {
                overload: overload(),
                random: seed,
                call,
                arrived: VecDeque::new(),
                next: 0,
                gap: 0,
            }
        }

        /// A number from 0 to twice `mean`.
        fn around(&mut self, mean: u64) -> u64 {
            self.random = self
                .random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.random >> 33) % (2 * mean + 1)
        }

        /// Runs from one point in time to another, in microseconds, with a load in percent of the capacity.
        fn run(&mut self, from: u64, to: u64, load: u64) -> Tally {
            self.gap = self.call * 100 / load;
            let mut tally = Tally::default();
            let mut now = from;
            self.next = self.next.max(from);
            while now < to {
                while self.next <= now {
                    self.arrived.push_back(self.next);
                    self.next += self.around(self.gap);
                }
                let Some(arrived) = self.arrived.pop_front() else {
                    now = self.next;
                    continue;
                };
                let wait = now - arrived;
                if self.overload.decide(now * 1_000, wait * 1_000) == Decision::Admit {
                    tally.served += 1;
                    tally.longest = tally.longest.max(wait);
                    now += self.around(self.call);
                } else {
                    tally.shed += 1;
                }
            }
            tally
        }
    }

    #[test]
    fn serves_what_it_can_in_bounded_time_whatever_the_load() {
        for seed in 0..50 {
            for load in [130, 200, 400] {
                let mut simulation = Simulation::new(seed, 10_000);
                simulation.run(0, 2_000_000, load);
                let tally = simulation.run(2_000_000, 12_000_000, load);
                // The queue may be empty by chance, and shedding has to begin anew then.
                assert!(
                    tally.longest < (TARGET + 3 * INTERVAL) * 1_000,
                    "{load} {tally:?}"
                );
                assert!(tally.served >= 900, "{load} {tally:?}");
            }
        }
    }

    #[test]
    fn sheds_nothing_below_capacity_and_recovers_from_overload() {
        for seed in 0..50 {
            let mut simulation = Simulation::new(seed, 5_000);
            assert_eq!(simulation.run(0, 5_000_000, 60).shed, 0);
            assert!(simulation.run(5_000_000, 10_000_000, 200).shed > 0);
            simulation.run(10_000_000, 10_500_000, 60);
            assert_eq!(simulation.run(10_500_000, 20_000_000, 60).shed, 0);
        }
    }

    #[test]
    fn sheds_only_what_has_waited_for_longer_than_the_target() {
        let mut simulation = Simulation::new(7, 1);
        let mut overload = overload();
        let mut now = 0;
        for _ in 0..100_000 {
            now += simulation.around(20);
            let wait = simulation.around(60);
            if overload.decide(now * NANOS, wait * NANOS) != Decision::Admit {
                assert!(wait > TARGET);
            }
        }
    }
}
