//! Who looks whether stints are past their deadlines, and when.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::conn::{ConnId, NEVER};
use crate::time::Millis;

use super::stint::{Stint, Subject};

/// How long after the deadline an event loop that has not come round counts as stuck, so that others look at it. Far above
/// a round of a busy loop.
const UNHEARD: Millis = 200;

/// A stint that is late.
#[derive(Debug, Clone)]
pub struct Late {
    /// The stint.
    pub stint: Arc<Stint>,
    /// Its number, as the same place may serve another request soon.
    pub number: u64,
    /// Whose request it is.
    pub subject: Subject,
    /// For how long the application has had it.
    pub age: Millis,
}

/// What a look finds.
#[derive(Debug)]
pub enum Finding {
    /// It has just expired: its connection, unless 0, waits for an answer.
    Expired(Late, ConnId),
    /// A task that has expired and whose loop does not seem to hear of it.
    Unheard(Late),
    /// The grace period has gone by as well.
    Overdue(Late),
}

#[derive(Debug, Default)]
struct Bell {
    has_rung: bool,
}

#[derive(Debug, Default)]
struct Roll {
    stints: Vec<Arc<Stint>>,
    /// Those of tasks that no request uses.
    free: Vec<Arc<Stint>>,
}

/// Knows all stints that may have a deadline.
#[derive(Debug)]
pub struct Warden {
    roll: Mutex<Roll>,
    /// When the thread looks next; nobody needs to wake it for anything later.
    next_look: AtomicU64,
    bell: Mutex<Bell>,
    rings: Condvar,
    grace: Millis,
}

impl Warden {
    /// A warden with nothing to watch, which lets expired stints have so much time to end.
    #[must_use]
    pub fn new(grace: Millis) -> Self {
        Self {
            roll: Mutex::default(),
            next_look: AtomicU64::new(NEVER),
            bell: Mutex::default(),
            rings: Condvar::new(),
            grace,
        }
    }

    /// A place for the requests of a thread, for good.
    #[must_use]
    pub fn enrol(&self) -> Arc<Stint> {
        let stint = Arc::new(Stint::new(false));
        self.roll().stints.push(Arc::clone(&stint));
        stint
    }

    /// A place for the request of a task, until it is given back.
    #[must_use]
    pub fn borrow(&self) -> Arc<Stint> {
        let mut roll = self.roll();
        if let Some(stint) = roll.free.pop() {
            return stint;
        }
        let stint = Arc::new(Stint::new(true));
        roll.stints.push(Arc::clone(&stint));
        stint
    }

    /// Takes back a place whose stint has ended.
    pub fn give_back(&self, stint: Arc<Stint>) {
        self.roll().free.push(stint);
    }

    /// A stint has a deadline now. Costs a load, unless nobody looks by then.
    pub fn arm(&self, due: Millis) {
        if due < self.next_look.load(Ordering::SeqCst) {
            self.bell().has_rung = true;
            self.rings.notify_one();
        }
    }

    /// Looks at all stints. Returns what is to be done, and when to look again.
    pub fn look(&self, now: Millis) -> (Vec<Finding>, Millis) {
        // From here on everybody who sets a deadline rings: see `arm`.
        self.next_look.store(NEVER, Ordering::SeqCst);
        let stints = self.roll().stints.clone();
        let mut findings = Vec::new();
        let mut next = NEVER;
        for stint in &stints {
            next = next.min(self.examine(stint, now, &mut findings));
        }
        self.next_look.store(next, Ordering::SeqCst);
        (findings, next)
    }

    /// Sleeps until `until`, unless the bell rings, or has.
    pub fn sleep(&self, until: Millis, now: Millis) {
        let mut bell = self.bell();
        if !bell.has_rung {
            // A clock that is late by some milliseconds would else be looked at again and again.
            let patience = Duration::from_millis(until.saturating_sub(now).saturating_add(5));
            bell = if until == NEVER {
                self.rings
                    .wait(bell)
                    .unwrap_or_else(PoisonError::into_inner)
            } else {
                self.rings
                    .wait_timeout(bell, patience)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            };
        }
        bell.has_rung = false;
    }

    /// Whether any stint goes on past its deadline.
    #[must_use]
    pub fn has_expired(&self) -> bool {
        let roll = self.roll();
        roll.stints
            .iter()
            .any(|stint| stint.present().is_some_and(|(_, is_expired)| is_expired))
    }

    /// Looks at one. Returns when to look at it again.
    fn examine(&self, stint: &Arc<Stint>, now: Millis, findings: &mut Vec<Finding>) -> Millis {
        match stint.present() {
            None => NEVER,
            Some((number, false)) => {
                let due = stint.due();
                if due > now {
                    return due;
                }
                let mut record = stint.lock();
                // Its deadline may be that of the next one already, which the number excludes.
                let Some((conn, subject)) = stint.expire(number, &mut record) else {
                    return now;
                };
                record.steps = 0;
                record.next = now + UNHEARD.min(self.grace);
                let late = late(stint, number, subject, now);
                findings.push(Finding::Expired(late, conn));
                record.next
            }
            Some((number, true)) => {
                let mut record = stint.lock();
                if record.next > now || !stint.is_expired(number) {
                    return record.next;
                }
                let late = late(stint, number, Stint::subject(&record), now);
                record.steps += 1;
                if record.steps == 1 {
                    record.next = now + self.grace.saturating_sub(UNHEARD);
                    if stint.is_task() {
                        findings.push(Finding::Unheard(late));
                    }
                } else {
                    record.next = NEVER;
                    findings.push(Finding::Overdue(late));
                }
                record.next
            }
        }
    }

    fn roll(&self) -> MutexGuard<'_, Roll> {
        self.roll.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bell(&self) -> MutexGuard<'_, Bell> {
        self.bell.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn late(stint: &Arc<Stint>, number: u64, subject: Subject, now: Millis) -> Late {
    Late {
        stint: Arc::clone(stint),
        number,
        subject,
        age: now.saturating_sub(stint.began()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::stint::Ended;
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use crate::conn::Request;

    fn request(conn: ConnId) -> Request {
        Request {
            conn,
            id: b"abc".to_vec(),
            ..Request::default()
        }
    }

    fn kinds(findings: &[Finding]) -> Vec<&'static str> {
        let kind = |finding: &Finding| match finding {
            Finding::Expired(..) => "expired",
            Finding::Unheard(_) => "unheard",
            Finding::Overdue(_) => "overdue",
        };
        findings.iter().map(kind).collect()
    }

    #[test]
    fn stint_expires_at_its_deadline_and_is_overdue_after_the_grace_period() {
        let warden = Warden::new(2_000);
        let stint = warden.enrol();
        let request = request(7);
        // SAFETY: the request lives until the end of the test.
        let number = unsafe { stint.begin_call(&request, 1, 100, 1_000) };
        let (findings, next) = warden.look(999);
        assert_eq!((kinds(&findings), next), (vec![], 1_000));
        let (findings, next) = warden.look(1_000);
        let Finding::Expired(late, conn) = &findings[0] else {
            panic!("{findings:?}")
        };
        assert_eq!((late.age, *conn, late.subject.id.as_str()), (900, 7, "abc"));
        let (findings, next) = warden.look(next);
        assert_eq!(kinds(&findings), Vec::<&str>::new());
        assert_eq!(kinds(&warden.look(next).0), ["overdue"]);
        assert_eq!(next, 3_000);
        assert_eq!(warden.look(10_000).1, NEVER);
        assert_eq!(stint.end(number), Ended::Expired);
    }

    #[test]
    fn task_whose_loop_does_not_hear_is_looked_at_before_the_grace_period_is_over() {
        let warden = Warden::new(2_000);
        let stint = warden.borrow();
        stint.begin_task(Some(&request(7)), 1, 0, 1_000);
        let mut seen = Vec::new();
        let mut now = 0;
        while now != NEVER {
            let (findings, next) = warden.look(now);
            seen.extend(kinds(&findings).into_iter().map(|kind| (now, kind)));
            now = next;
        }
        assert_eq!(
            seen,
            [(1_000, "expired"), (1_200, "unheard"), (3_000, "overdue")]
        );
    }

    #[test]
    fn stint_that_ended_in_time_is_not_found_however_late_the_look() {
        let warden = Warden::new(2_000);
        let stint = warden.enrol();
        let request = request(7);
        // SAFETY: the request lives until the end of the test.
        let number = unsafe { stint.begin_call(&request, 1, 0, 1_000) };
        assert_eq!(stint.end(number), Ended::InTime);
        assert_eq!(warden.look(5_000).1, NEVER);
        assert!(!stint.set_due(number, 9_000));
    }

    #[test]
    fn deadline_of_a_stint_can_be_moved_until_it_has_expired() {
        let warden = Warden::new(2_000);
        let stint = warden.borrow();
        let number = stint.begin_task(Some(&request(7)), 1, 0, NEVER);
        assert_eq!(warden.look(5_000).1, NEVER);
        assert!(stint.set_due(number, 6_000));
        assert_eq!(warden.look(5_000).1, 6_000);
        assert!(stint.set_due(number, 9_000));
        assert_eq!(warden.look(6_000).1, 9_000);
        warden.look(9_000);
        assert!(!stint.set_due(number, 20_000));
        assert!(stint.is_expired(number));
    }

    #[test]
    fn place_of_a_task_serves_the_next_one() {
        let warden = Warden::new(2_000);
        let first = warden.borrow();
        let number = first.begin_task(Some(&request(7)), 1, 0, 10);
        assert_eq!(first.end(number), Ended::InTime);
        warden.give_back(Arc::clone(&first));
        let second = warden.borrow();
        assert!(Arc::ptr_eq(&first, &second));
        assert_ne!(second.begin_task(Some(&request(8)), 2, 0, 10), number);
    }

    #[test]
    fn sleeping_warden_is_woken_for_an_earlier_deadline() {
        let warden = Arc::new(Warden::new(2_000));
        let has_woken = Arc::new(AtomicBool::new(false));
        let (_, next) = warden.look(0);
        let sleeper = thread::spawn({
            let (warden, has_woken) = (Arc::clone(&warden), Arc::clone(&has_woken));
            move || {
                warden.sleep(next, 0);
                has_woken.store(true, Ordering::SeqCst);
            }
        });
        assert!(!has_woken.load(Ordering::SeqCst));
        warden.arm(1_000);
        sleeper.join().unwrap();
    }

    #[test]
    fn each_request_is_answered_by_one_side_however_close_the_race() {
        let warden = Arc::new(Warden::new(2_000));
        let is_over = Arc::new(AtomicBool::new(false));
        let looker = thread::spawn({
            let (warden, is_over) = (Arc::clone(&warden), Arc::clone(&is_over));
            move || {
                let mut expired = 0_u64;
                while !is_over.load(Ordering::SeqCst) {
                    for finding in warden.look(10).0 {
                        if let Finding::Expired(late, conn) = finding {
                            assert_eq!(late.subject.id, conn.to_string());
                            expired += 1;
                        }
                    }
                }
                expired
            }
        });
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let stint = warden.enrol();
                thread::spawn(move || {
                    let mut expired = 0_u64;
                    for conn in 1..2_000 {
                        let mut request = request(conn);
                        request.id = conn.to_string().into_bytes();
                        // SAFETY: the request lives until `end` has returned.
                        let number = unsafe { stint.begin_call(&request, 1, 0, 5) };
                        if conn % 7 == 0 {
                            thread::yield_now();
                        }
                        expired += u64::from(stint.end(number) == Ended::Expired);
                    }
                    expired
                })
            })
            .collect();
        let ended: u64 = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum();
        is_over.store(true, Ordering::SeqCst);
        assert_eq!(looker.join().unwrap(), ended);
    }
}
