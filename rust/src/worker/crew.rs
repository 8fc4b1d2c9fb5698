//! The threads of a worker: one leads, the others follow, and a call that runs late is left behind.
//!
//! Theory of operation. The lock around the engine is the leadership. The leader polls with the lock held, lets go of it for
//! the time of each call into the application, and tries to take it again afterwards. While calls are quick nobody else
//! wants it, so a call costs two uncontended atomic operations and no switch of threads. One idle thread is the
//! sentinel: it looks at the number of the present call once in a tick, and if it finds the lock free and the same call
//! running as at its last look, it goes to lead. The late thread will find the lock taken, leave its
//! response in the mailbox, and follow.
//!
//! Invariants. Nobody blocks on the engine's lock: it is only ever tried, as its holder may need the interpreter that we
//! hold. At most one thread is the sentinel. The sentinel sleeps for good once nothing happens; the next call wakes it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// How long a call may run before its thread is left behind, at the least; twice that at the most.
const TICK: Duration = Duration::from_millis(1);

/// The tick right after a late call, as slow calls come in groups. It doubles with each look that finds quick calls.
const ALERT_TICK: Duration = Duration::from_micros(100);

/// Looks without any call before the sentinel sleeps for good.
const QUIET_LOOKS: u32 = 50;

/// What a following thread is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// Lead, if the engine can still be taken: somebody else may have been quicker.
    Lead,
    /// Let the interpreter run its signal handlers, then follow again. Only for the main thread.
    HandleSignals,
    /// The work is over.
    Finished,
}

/// The threads and their engine.
#[derive(Debug)]
pub struct Crew<Engine> {
    engine: Mutex<Engine>,
    /// The number of the present call, or of the last one.
    calls: AtomicU64,
    /// The sentinel sleeps and must be woken by the next call.
    asleep: AtomicBool,
    /// The leader has let go of the engine while it waits for the interpreter, and will lead on.
    is_returning: AtomicBool,
    roster: Mutex<Roster>,
    /// Followers wait here.
    changed: Condvar,
    /// The sentinel waits here.
    watch: Condvar,
    limit: usize,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Roster {
    /// Threads that exist or are being started, the first one included.
    total: usize,
    idle: usize,
    has_sentinel: bool,
    /// A leader wants to be replaced at once.
    summoned: bool,
    /// A thread that has a call to finish polls, as nobody is idle.
    stands_in: bool,
    /// The main thread should see to signals.
    signalled: bool,
    finished: bool,
    tick: Duration,
}

impl<Engine> Crew<Engine> {
    /// A crew of one thread, which may grow to `limit`.
    #[must_use]
    pub fn new(engine: Engine, limit: usize) -> Self {
        let roster = Roster {
            total: 1,
            idle: 0,
            has_sentinel: false,
            summoned: false,
            stands_in: false,
            signalled: false,
            finished: false,
            tick: TICK,
        };
        Self {
            engine: Mutex::new(engine),
            calls: AtomicU64::new(0),
            asleep: AtomicBool::new(false),
            is_returning: AtomicBool::new(false),
            roster: Mutex::new(roster),
            changed: Condvar::new(),
            watch: Condvar::new(),
            limit,
        }
    }

    /// Whether there is nobody beside the one thread.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.limit == 1
    }

    /// Takes the engine if nobody has it.
    #[must_use]
    pub fn try_engine(&self) -> Option<MutexGuard<'_, Engine>> {
        match self.engine.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Takes the engine as soon as its holder lets go of it, where that is known to be soon.
    pub fn wait_engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the work has ended for all threads.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.lock().finished
    }

    /// Lets go of the engine for as long as the leader waits for the interpreter: should that be held for ever, others
    /// can still do what takes no interpreter. Nobody leads meanwhile.
    pub fn begin_return(&self, engine: MutexGuard<'_, Engine>) {
        self.is_returning.store(true, Ordering::SeqCst);
        drop(engine);
    }

    /// The leader has the interpreter, and takes the engine back, unless somebody else has begun to lead after all.
    #[must_use]
    pub fn end_return(&self) -> Option<MutexGuard<'_, Engine>> {
        self.is_returning.store(false, Ordering::SeqCst);
        self.try_engine()
    }

    /// Whether nobody polls or is about to.
    fn is_leaderless(&self) -> bool {
        !self.is_returning.load(Ordering::SeqCst) && self.try_engine().is_some()
    }

    /// Lets go of the engine for a call into the application.
    pub fn begin_call(&self, engine: MutexGuard<'_, Engine>) {
        drop(engine);
        if self.limit > 1 {
            // Ordered after the release of the lock and before the look at `asleep`: see `doze`.
            self.calls.fetch_add(1, Ordering::SeqCst);
            if self.asleep.load(Ordering::SeqCst) {
                self.wake_sentinel();
            }
        }
    }

    /// Lets go of the engine in the middle of a call, which is no new one: the sentinel must see that nobody polls now.
    pub fn resume_call(&self, engine: MutexGuard<'_, Engine>) {
        drop(engine);
        if self.limit > 1 {
            // The release of the lock comes before the look at `asleep`: see `doze`.
            fence(Ordering::SeqCst);
            if self.asleep.load(Ordering::SeqCst) {
                self.wake_sentinel();
            }
        }
    }

    #[cold]
    fn wake_sentinel(&self) {
        let roster = self.lock();
        self.asleep.store(false, Ordering::SeqCst);
        drop(roster);
        self.watch.notify_one();
    }

    /// Whether a thread should be started now, as nobody is idle and there may be more. Counts it as started.
    #[must_use]
    pub fn claim_thread(&self) -> bool {
        let mut roster = self.lock();
        let grows = roster.idle == 0 && roster.total < self.limit && !roster.finished;
        roster.total += usize::from(grows);
        grows
    }

    /// Takes back a claim whose thread could not be started.
    pub fn return_claim(&self) {
        self.lock().total -= 1;
    }

    /// Whether a thread in the midst of a call, which has the engine, has to poll itself, as nobody is idle who could.
    /// Whoever becomes idle from then on is made to end that poll.
    #[must_use]
    pub fn stand_in(&self) -> bool {
        let mut roster = self.lock();
        roster.stands_in = roster.idle == 0;
        roster.stands_in
    }

    /// Ends standing in.
    pub fn step_down(&self, engine: MutexGuard<'_, Engine>) {
        self.lock().stands_in = false;
        self.resume_call(engine);
    }

    /// Asks an idle thread to lead at once. The caller has let go of the engine.
    pub fn summon(&self) {
        self.lock().summoned = true;
        self.watch.notify_one();
        self.changed.notify_one();
    }

    /// Wakes the main thread, if it follows, for the interpreter's signal handlers.
    pub fn signal_main(&self) {
        self.lock().signalled = true;
        self.watch.notify_one();
        self.changed.notify_all();
    }

    /// Ends the work for all threads.
    pub fn finish(&self) {
        self.lock().finished = true;
        self.watch.notify_all();
        self.changed.notify_all();
    }

    /// Waits to be needed. Without the GIL. `relieve` ends the poll of a thread that stands in.
    pub fn follow(&self, is_main: bool, relieve: impl FnOnce()) -> Followed {
        let mut roster = self.lock();
        roster.idle += 1;
        if roster.stands_in {
            relieve();
        }
        let followed = loop {
            if roster.finished {
                break Followed::Finished;
            }
            if is_main && std::mem::take(&mut roster.signalled) {
                break Followed::HandleSignals;
            }
            if roster.summoned {
                roster.summoned = false;
                break Followed::Lead;
            }
            if roster.has_sentinel {
                roster = self
                    .changed
                    .wait(roster)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            roster.has_sentinel = true;
            let (back, is_needed) = self.keep_watch(roster, is_main);
            roster = back;
            roster.has_sentinel = false;
            if is_needed {
                break Followed::Lead;
            }
        };
        roster.idle -= 1;
        if roster.idle > 0 && !roster.has_sentinel {
            self.changed.notify_one();
        }
        followed
    }

    /// The sentinel's rounds. Returns true when a call is late, false when something else is to be done.
    fn keep_watch<'crew>(
        &'crew self,
        roster: MutexGuard<'crew, Roster>,
        is_main: bool,
    ) -> (MutexGuard<'crew, Roster>, bool) {
        let mut roster = roster;
        let mut last = self.calls.load(Ordering::SeqCst);
        let mut quiet = 0;
        loop {
            let tick = roster.tick;
            roster = self
                .watch
                .wait_timeout(roster, tick)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            if roster.finished || roster.summoned || (is_main && roster.signalled) {
                return (roster, false);
            }
            let calls = self.calls.load(Ordering::SeqCst);
            if calls == last {
                if self.is_leaderless() {
                    roster.tick = ALERT_TICK;
                    return (roster, true);
                }
                quiet += 1;
                if quiet >= QUIET_LOOKS {
                    roster = self.doze(roster, calls);
                    quiet = 0;
                }
            } else {
                quiet = 0;
            }
            roster.tick = (roster.tick * 2).min(TICK);
            last = calls;
        }
    }

    /// Sleeps until the next call, or until one that had the engine goes on. Either we see that call's number change or
    /// the engine free, or its thread sees that we are asleep.
    fn doze<'crew>(
        &'crew self,
        roster: MutexGuard<'crew, Roster>,
        calls: u64,
    ) -> MutexGuard<'crew, Roster> {
        self.asleep.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if self.calls.load(Ordering::SeqCst) != calls || self.is_leaderless() {
            self.asleep.store(false, Ordering::SeqCst);
            return roster;
        }
        let roster = self
            .watch
            .wait(roster)
            .unwrap_or_else(PoisonError::into_inner);
        self.asleep.store(false, Ordering::SeqCst);
        roster
    }

    fn lock(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn late_call_is_left_behind() {
        let crew = Crew::new(0, 2);
        let (led, leads) = mpsc::channel();
        thread::scope(|scope| {
            let engine = crew.try_engine().unwrap();
            scope.spawn(|| {
                assert_eq!(crew.follow(false, || {}), Followed::Lead);
                *crew.try_engine().unwrap() = 1;
                led.send(()).unwrap();
            });
            crew.begin_call(engine);
            leads.recv().unwrap();
        });
        assert_eq!(*crew.try_engine().unwrap(), 1);
    }

    #[test]
    fn sleeping_sentinel_wakes_for_a_late_call() {
        let crew = Crew::new(0, 2);
        thread::scope(|scope| {
            let engine = crew.try_engine().unwrap();
            let follower = scope.spawn(|| crew.follow(false, || {}) == Followed::Lead);
            while !crew.asleep.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            crew.begin_call(engine);
            assert!(follower.join().unwrap());
        });
    }

    #[test]
    fn sleeping_sentinel_wakes_when_a_call_goes_on() {
        let crew = Crew::new(0, 2);
        thread::scope(|scope| {
            let engine = crew.try_engine().unwrap();
            let follower = scope.spawn(|| crew.follow(false, || {}) == Followed::Lead);
            while !crew.asleep.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            crew.resume_call(engine);
            assert!(follower.join().unwrap());
        });
    }

    #[test]
    fn thread_that_stands_in_is_told_when_another_becomes_idle() {
        let crew = Crew::new(0, 2);
        let (told, tells) = mpsc::channel();
        thread::scope(|scope| {
            let engine = crew.try_engine().unwrap();
            assert!(crew.stand_in());
            scope.spawn(|| crew.follow(false, || told.send(()).unwrap()));
            tells.recv().unwrap();
            crew.step_down(engine);
            assert!(!crew.stand_in());
            crew.finish();
        });
    }

    #[test]
    fn leader_that_polls_is_not_replaced() {
        let crew = Crew::new(0, 2);
        thread::scope(|scope| {
            let engine = crew.try_engine().unwrap();
            let follower = scope.spawn(|| crew.follow(false, || {}) == Followed::Finished);
            while !crew.asleep.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            crew.finish();
            drop(engine);
            assert!(follower.join().unwrap());
        });
    }

    #[test]
    fn one_summons_brings_one_leader() {
        let crew = Crew::new(0, 3);
        let (led, leads) = mpsc::channel();
        thread::scope(|scope| {
            // Held all the time, so that nobody leads but for the summons.
            let _engine = crew.try_engine().unwrap();
            for _ in 0..2 {
                let led = led.clone();
                let crew = &crew;
                scope.spawn(move || led.send(crew.follow(false, || {})).unwrap());
            }
            while crew.lock().idle < 2 {
                thread::yield_now();
            }
            crew.summon();
            assert_eq!(leads.recv().unwrap(), Followed::Lead);
            crew.finish();
            assert_eq!(leads.recv().unwrap(), Followed::Finished);
        });
    }

    #[test]
    fn crew_grows_to_its_limit_and_no_further() {
        let crew = Crew::new((), 3);
        assert_eq!(
            [(); 4].map(|()| crew.claim_thread()),
            [true, true, false, false]
        );
    }
}
