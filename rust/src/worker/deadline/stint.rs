//! One request's time with the application.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::conn::{ConnId, NEVER, Request};
use crate::time::Millis;

/// Nobody is in there.
const IDLE: u64 = 0;
/// The application is at work, in time.
const RUNNING: u64 = 1;
/// The application is past its deadline; the request is answered.
const EXPIRED: u64 = 2;
/// The lower bits of the word are the stage, the others the number of the stint.
const STAGE_BITS: u32 = 2;

/// How a stint ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The application was in time: its answer counts.
    InTime,
    /// The request was answered without it.
    Expired,
}

/// What a request is called in the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// Its id.
    pub id: String,
    /// Its method.
    pub method: String,
    /// Its path, as it was sent.
    pub path: String,
}

impl Subject {
    /// Reads what `write_label` has written.
    fn from_label(label: &[u8]) -> Self {
        let mut parts = label
            .split(|byte| *byte == b'\n')
            .map(|part| String::from_utf8_lossy(part).into_owned());
        let mut next = || parts.next().unwrap_or_default();
        Self {
            id: next(),
            method: next(),
            path: next(),
        }
    }
}

/// Puts what names a request into a buffer that serves many of them.
fn write_label(label: &mut Vec<u8>, request: &Request) {
    label.clear();
    label.extend_from_slice(&request.id);
    label.push(b'\n');
    label.extend_from_slice(request.method());
    label.push(b'\n');
    label.extend_from_slice(request.head.path.of(&request.bytes));
}

/// What only changes hands under the lock.
#[derive(Debug, Default)]
pub(super) struct Record {
    label: Vec<u8>,
    /// When the warden looks at an expired one again.
    pub(super) next: Millis,
    /// What the warden has done about it.
    pub(super) steps: u32,
}

/// A place for one request after the other, of one thread or one task at a time.
#[derive(Debug)]
pub struct Stint {
    word: AtomicU64,
    due: AtomicU64,
    began: AtomicU64,
    conn: AtomicU64,
    /// What the bridge knows it by: the thread that is in the application, or the serial number of the task.
    key: AtomicU64,
    /// The thread that is in the application's code for this request at this moment, or 0.
    thread: AtomicU64,
    is_task: bool,
    /// The request, where the thread that has it waits for the end of the call; else null.
    request: AtomicPtr<Request>,
    record: Mutex<Record>,
}

impl Stint {
    /// A place for the requests of tasks, or of a thread.
    #[must_use]
    pub fn new(is_task: bool) -> Self {
        Self {
            word: AtomicU64::new(IDLE),
            due: AtomicU64::new(NEVER),
            began: AtomicU64::new(0),
            conn: AtomicU64::new(0),
            key: AtomicU64::new(0),
            thread: AtomicU64::new(0),
            is_task,
            request: AtomicPtr::new(ptr::null_mut()),
            record: Mutex::default(),
        }
    }

    /// Whether requests are in tasks of an event loop here.
    #[must_use]
    pub fn is_task(&self) -> bool {
        self.is_task
    }

    /// Begins with a request that stays where it is until `end`. Returns the number of the stint.
    ///
    /// # Safety
    /// `request` must stay alive and unchanged until `end` has returned for this number.
    pub unsafe fn begin_call(
        &self,
        request: &Request,
        thread: u64,
        now: Millis,
        due: Millis,
    ) -> u64 {
        self.request
            .store(ptr::from_ref(request).cast_mut(), Ordering::Relaxed);
        self.thread.store(thread, Ordering::Relaxed);
        self.begin(request.conn, thread, now, due)
    }

    /// Begins with a request that goes its own way. `conn` is 0 where its answer is complete already. Returns the number
    /// of the stint.
    pub fn begin_task(
        &self,
        request: Option<&Request>,
        serial: u64,
        now: Millis,
        due: Millis,
    ) -> u64 {
        self.request.store(ptr::null_mut(), Ordering::Relaxed);
        self.thread.store(0, Ordering::Relaxed);
        if let Some(request) = request {
            write_label(&mut self.lock().label, request);
        }
        self.begin(request.map_or(0, |request| request.conn), serial, now, due)
    }

    /// The request is named as this one is.
    pub fn set_label(&self, id: &[u8], method: &[u8], path: &[u8]) {
        self.lock().label = [id, method, path].join(&b'\n');
    }

    /// Where the answer goes, in case.
    pub fn set_conn(&self, conn: ConnId) {
        self.conn.store(conn, Ordering::Relaxed);
    }

    fn begin(&self, conn: ConnId, key: u64, now: Millis, due: Millis) -> u64 {
        self.conn.store(conn, Ordering::Relaxed);
        self.key.store(key, Ordering::Relaxed);
        self.began.store(now, Ordering::Relaxed);
        // The due time of the former stint was taken back at its end, so that the order of these two does not matter.
        self.due.store(due, Ordering::SeqCst);
        let number = (self.word.load(Ordering::Relaxed) >> STAGE_BITS) + 1;
        self.word
            .store(number << STAGE_BITS | RUNNING, Ordering::SeqCst);
        number
    }

    /// Ends it.
    pub fn end(&self, number: u64) -> Ended {
        let name = number << STAGE_BITS;
        let ended = self.word.compare_exchange(
            name | RUNNING,
            name | IDLE,
            Ordering::SeqCst,
            Ordering::SeqCst,
        );
        let how = if ended.is_ok() {
            Ended::InTime
        } else {
            // Whoever does something about it has to be done first.
            let _record = self.lock();
            self.word.store(name | IDLE, Ordering::SeqCst);
            Ended::Expired
        };
        self.due.store(NEVER, Ordering::SeqCst);
        how
    }

    /// Sets another deadline. Returns false where the stint is over or expired.
    #[must_use]
    pub fn set_due(&self, number: u64, due: Millis) -> bool {
        if !self.is_running(number) {
            return false;
        }
        self.due.store(due, Ordering::SeqCst);
        // It may have expired over this, which then holds.
        self.is_running(number)
    }

    /// Whether it goes on, in time.
    #[must_use]
    pub fn is_running(&self, number: u64) -> bool {
        self.word.load(Ordering::SeqCst) == number << STAGE_BITS | RUNNING
    }

    /// Whether it goes on, past its deadline.
    #[must_use]
    pub fn is_expired(&self, number: u64) -> bool {
        self.word.load(Ordering::SeqCst) == number << STAGE_BITS | EXPIRED
    }

    /// A task's code is entered by this thread.
    pub fn enter(&self, thread: u64) {
        self.thread.store(thread, Ordering::SeqCst);
    }

    /// A task's code is left. Returns whether something may have been done about it meanwhile, which is over now.
    pub fn leave(&self, number: u64) -> bool {
        self.thread.store(0, Ordering::SeqCst);
        if !self.is_expired(number) {
            return false;
        }
        drop(self.lock());
        true
    }

    /// Does something about an expired stint, with the thread that is in the application's code: it cannot leave meanwhile.
    pub fn while_expired(&self, number: u64, act: impl FnOnce(u64)) {
        let record = self.lock();
        let thread = self.thread.load(Ordering::SeqCst);
        if thread != 0 && self.is_expired(number) {
            act(thread);
        }
        drop(record);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn due(&self) -> Millis {
        self.due.load(Ordering::SeqCst)
    }

    /// The number of the stint that goes on, and whether it is past its deadline.
    pub(super) fn present(&self) -> Option<(u64, bool)> {
        let word = self.word.load(Ordering::SeqCst);
        let stage = word & ((1 << STAGE_BITS) - 1);
        (stage != IDLE).then_some((word >> STAGE_BITS, stage == EXPIRED))
    }

    /// Lets it expire if it is this one and still at it. With the record's lock, which keeps the request in its place.
    pub(super) fn expire(&self, number: u64, record: &mut Record) -> Option<(ConnId, Subject)> {
        let name = number << STAGE_BITS;
        self.word
            .compare_exchange(
                name | RUNNING,
                name | EXPIRED,
                Ordering::SeqCst,
                Ordering::SeqCst,
            )
            .ok()?;
        let request = self.request.load(Ordering::Relaxed);
        if !request.is_null() {
            // SAFETY: `begin_call` was promised that the request stays as it is until `end`, which waits for the lock now.
            write_label(&mut record.label, unsafe { &*request });
        }
        Some((
            self.conn.load(Ordering::Relaxed),
            Subject::from_label(&record.label),
        ))
    }

    pub(super) fn subject(record: &Record) -> Subject {
        Subject::from_label(&record.label)
    }

    /// What the bridge knows it by.
    #[must_use]
    pub fn key(&self) -> u64 {
        self.key.load(Ordering::Relaxed)
    }

    pub(super) fn began(&self) -> Millis {
        self.began.load(Ordering::Relaxed)
    }
}
