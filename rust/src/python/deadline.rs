//! Deadlines of requests, as far as they concern the interpreter: who is asked to end, and how.
//!
//! Theory of operation. The warden's thread finds what is late, and never needs the interpreter. It has the client answered
//! through the engine. A *herald*, a thread for one errand, then takes the interpreter to write down where the thread is
//! and to raise `DeadlineExceeded` in it; for a task, the event loop does the like in its next turn. If the herald does not
//! get the interpreter, or the loop does not come round, the warden sees that nobody has heard, and tells the supervisor.
//!
//! Invariants. An exception is only raised in a thread under the lock of a stint that is expired, and `end_call` takes the
//! same lock and then takes back what was not raised yet: it never reaches the thread's next request.

use std::cell::{Cell, OnceCell, RefCell};
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;

use pyo3::exceptions::{PyBaseException, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use pyo3::{ffi, intern};

use crate::access_log::write_json_text;
use crate::codec::http1::Refusal;
use crate::conn::{NEVER, Request};
use crate::time::{Millis, coarse_millis};
use crate::worker::{Command, Ended, Finding, Late, Routes, Stint, Subject, Warden};

use super::asgi::{Runner, set_task_deadline};
use super::shared::Shared;

pyo3::create_exception!(
    hostler,
    DeadlineExceeded,
    PyBaseException,
    "The deadline of a request has passed: its client is answered, and the application is to end. Like `KeyboardInterrupt` \
     no `Exception`, so that `except Exception` does not swallow it."
);

/// What the client gets. No `Retry-After`: what took too long is likely to do so again.
pub(super) const EXPIRED: Refusal =
    Refusal::new(503, "The application did not answer in time.").with_retry_after(0);

/// Heralds at most: those that wait for the interpreter bring no more when there are more of them. Arbitrary.
const MOST_HERALDS: usize = 8;

/// How often the warden looks whether a worker that has finished has ended. Arbitrary.
const LAST_LOOK: Millis = 1_000;

/// All of one engine's deadlines.
pub(super) struct Deadlines {
    pub(super) warden: Arc<Warden>,
    routes: Routes,
    is_configured: bool,
    is_started: AtomicBool,
    /// Late ones whose thread or loop has not heard of it yet.
    unheard: Mutex<Vec<Late>>,
    /// Something is there for the loop.
    calls_loop: AtomicBool,
    heralds: AtomicUsize,
    /// Where the supervisor is told.
    status: Option<OwnedFd>,
}

/// An application has asked for `set_deadline`, in this process: its requests must be found in tasks and threads they start.
static IS_IMPORTED: AtomicBool = AtomicBool::new(false);

impl Deadlines {
    pub(super) fn new(routes: Routes, grace: Millis, status: Option<OwnedFd>) -> Self {
        Self {
            warden: Arc::new(Warden::new(grace)),
            is_configured: routes.is_used(),
            routes,
            is_started: AtomicBool::new(false),
            unheard: Mutex::default(),
            calls_loop: AtomicBool::new(false),
            heralds: AtomicUsize::new(0),
            status,
        }
    }

    /// Whether requests may have deadlines.
    pub(super) fn is_used(&self) -> bool {
        self.is_configured || IS_IMPORTED.load(Ordering::Relaxed)
    }

    /// How long a request for the decoded path may take; 0 for as long as it likes.
    pub(super) fn patience<'path>(&self, path: impl FnOnce() -> &'path [u8]) -> Millis {
        if self.is_configured {
            self.routes.patience(path())
        } else {
            0
        }
    }

    /// Has a deadline watched.
    pub(super) fn arm(&self, shared: &Arc<Shared>, due: Millis) {
        if due == NEVER {
            return;
        }
        if !self.is_started.load(Ordering::Relaxed) {
            self.start(shared);
        }
        self.warden.arm(due);
    }

    /// Starts the warden's thread, in the process that serves: threads do not survive a fork.
    #[cold]
    fn start(&self, shared: &Arc<Shared>) {
        if self.is_started.swap(true, Ordering::SeqCst) {
            return;
        }
        let (warden, owner) = (Arc::clone(&self.warden), Arc::downgrade(shared));
        let spawned = thread::Builder::new()
            .name("hostler-warden".to_owned())
            .spawn(move || watch(&warden, &owner));
        if spawned.is_err() {
            // Out of threads: the next request tries again.
            self.is_started.store(false, Ordering::SeqCst);
        }
    }

    fn unheard(&self) -> MutexGuard<'_, Vec<Late>> {
        self.unheard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes it off the list of those that nobody has heard of. Returns whether it was there.
    fn hear(&self, late: &Late) -> bool {
        let mut unheard = self.unheard();
        let before = unheard.len();
        unheard
            .retain(|each| !(each.number == late.number && Arc::ptr_eq(&each.stint, &late.stint)));
        unheard.len() < before
    }

    fn is_unheard(&self, late: &Late) -> bool {
        self.unheard()
            .iter()
            .any(|each| each.number == late.number && Arc::ptr_eq(&each.stint, &late.stint))
    }

    /// The late tasks that the loop has not heard of. In its thread.
    pub(super) fn take_calls(&self) -> Vec<Late> {
        if !self.calls_loop.load(Ordering::Relaxed) {
            return Vec::new();
        }
        self.calls_loop.store(false, Ordering::SeqCst);
        let mut unheard = self.unheard();
        let (tasks, others) = std::mem::take(&mut *unheard)
            .into_iter()
            .partition(|late| late.stint.is_task());
        *unheard = others;
        tasks
    }

    /// Tells the supervisor that a request does not end. Without the interpreter.
    fn report(&self, late: &Late, is_hopeless: bool) {
        let Some(status) = &self.status else {
            return;
        };
        let mut line = b"{\"event\": \"stuck\", \"message\": ".to_vec();
        write_json_text(described(&late.subject).as_bytes(), &mut line);
        line.extend_from_slice(b", \"hopeless\": ");
        line.extend_from_slice(if is_hopeless { b"true" } else { b"false" });
        line.extend_from_slice(b"}\n");
        // A supervisor that is gone needs no telling; a message this short is written whole.
        let _ = rustix::io::write(status, &line);
    }
}

fn described(subject: &Subject) -> String {
    format!(
        "{} {} [request {}]",
        subject.method, subject.path, subject.id
    )
}

/// The life of the warden's thread: without the interpreter.
fn watch(warden: &Warden, owner: &Weak<Shared>) {
    let mut is_overdue = false;
    let mut finished_for = 0;
    loop {
        let now = coarse_millis();
        let (findings, mut next) = warden.look(now);
        let Some(shared) = owner.upgrade() else {
            return;
        };
        for finding in findings {
            is_overdue |= matches!(finding, Finding::Overdue(_));
            act(&shared, finding);
        }
        if is_overdue {
            // The last step: all is done, but for threads that are stuck, and one of them may be the one that ends it all.
            finished_for += u32::from(shared.crew.is_finished());
            if finished_for > 1 && warden.has_expired() {
                std::process::abort();
            }
            next = next.min(now + LAST_LOOK);
        }
        drop(shared);
        warden.sleep(next, now);
    }
}

fn act(shared: &Arc<Shared>, finding: Finding) {
    let deadlines = &shared.deadlines;
    match finding {
        Finding::Expired(late, conn) => {
            shared.scoreboard.expire();
            if conn != 0 {
                let is_head = late.subject.method == "HEAD";
                shared
                    .mailbox
                    .leave(Command::Overrule(conn, EXPIRED, is_head));
                shared.serve_mailbox();
            }
            deadlines.unheard().push(late.clone());
            if late.stint.is_task() {
                deadlines.calls_loop.store(true, Ordering::SeqCst);
                shared.mailbox.nudge();
            } else {
                send_herald(shared, late);
            }
        }
        Finding::Unheard(late) => {
            if deadlines.is_unheard(&late) {
                shared.visit_engine();
                send_herald(shared, late);
            }
        }
        Finding::Overdue(late) => deadlines.report(&late, deadlines.is_unheard(&late)),
    }
}

/// Has somebody take the interpreter, write down where the thread of a late request is, and ask it to end.
fn send_herald(shared: &Arc<Shared>, late: Late) {
    let deadlines = &shared.deadlines;
    if deadlines.heralds.fetch_add(1, Ordering::SeqCst) >= MOST_HERALDS {
        deadlines.heralds.fetch_sub(1, Ordering::SeqCst);
        return;
    }
    let owner = Arc::clone(shared);
    let spawned = thread::Builder::new()
        .name("hostler-herald".to_owned())
        .spawn(move || {
            Python::attach(|py| {
                if !late.stint.is_task() {
                    owner.deadlines.hear(&late);
                }
                tell_where(py, &owner, &late);
                interrupt(py, &late);
            });
            owner.deadlines.heralds.fetch_sub(1, Ordering::SeqCst);
        });
    if spawned.is_err() {
        deadlines.heralds.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Writes the stack of the thread into the server log.
fn tell_where(py: Python<'_>, shared: &Shared, late: &Late) {
    let mut thread = 0;
    late.stint
        .while_expired(late.number, |present| thread = present);
    if thread == 0 && !late.stint.is_task() {
        return;
    }
    tell(py, shared, late, thread, None);
}

/// Tells the control plane of a late request: the thread that it is in, or 0, or its task.
pub(super) fn tell(
    py: Python<'_>,
    shared: &Shared,
    late: &Late,
    thread: u64,
    task: Option<&Bound<'_, PyAny>>,
) {
    let told = (|| {
        let about = PyDict::new(py);
        about.set_item("id", &late.subject.id)?;
        about.set_item("method", &late.subject.method)?;
        about.set_item("path", &late.subject.path)?;
        #[expect(clippy::cast_precision_loss, reason = "an age in milliseconds")]
        let age = late.age as f64 / 1_000.0;
        shared
            .hooks
            .bind(py)
            .call_method1(intern!(py, "request_expired"), (about, age, thread, task))
    })();
    if let Err(trouble) = told {
        trouble.write_unraisable(py, None);
    }
}

/// Raises `DeadlineExceeded` in the thread, if it is still in the application for just this request.
fn interrupt(py: Python<'_>, late: &Late) {
    let exception = py.get_type::<DeadlineExceeded>();
    late.stint.while_expired(late.number, |thread| {
        // SAFETY: the interpreter is held; the function looks for the thread, and takes a reference of its own.
        unsafe {
            ffi::PyThreadState_SetAsyncExc(thread_id(thread), exception.as_ptr());
        }
    });
}

/// Takes back what was not raised in this thread yet. With the interpreter.
fn take_back() {
    // SAFETY: the interpreter is held, and NULL means that nothing is to be raised.
    unsafe {
        ffi::PyThreadState_SetAsyncExc(thread_id(own_thread()), std::ptr::null_mut());
    }
}

#[expect(
    clippy::cast_possible_wrap,
    reason = "the function takes the number as it was given, whatever its sign"
)]
fn thread_id(thread: u64) -> std::ffi::c_long {
    thread as std::ffi::c_long
}

/// The number of this thread, as Python knows it.
pub(super) fn own_thread() -> u64 {
    thread_local! {
        static OWN: OnceCell<u64> = const { OnceCell::new() };
    }
    OWN.with(|own| {
        *own.get_or_init(|| {
            // SAFETY: needs nothing.
            unsafe { ffi::PyThread_get_thread_ident() as u64 }
        })
    })
}

/// What this thread is doing, for `set_deadline`.
#[derive(Clone, Copy)]
enum Here {
    Nowhere,
    /// In a WSGI application.
    Call(NonNull<Call>),
    /// In a step of an ASGI application.
    Step(NonNull<Runner>),
}

thread_local! {
    static HERE: Cell<Here> = const { Cell::new(Here::Nowhere) };
    /// Where the requests of this thread have their stints, with whose they are.
    static SEAT: RefCell<Option<(Arc<Warden>, Arc<Stint>)>> = const { RefCell::new(None) };
}

/// Notes for its lifetime that this thread is in a step of an ASGI application.
pub(super) struct StepMark;

impl StepMark {
    /// `runner` outlives the mark.
    pub(super) fn new(runner: &Runner) -> Self {
        HERE.set(Here::Step(NonNull::from(runner)));
        Self
    }
}

impl Drop for StepMark {
    fn drop(&mut self) {
        HERE.set(Here::Nowhere);
    }
}

/// One call of a WSGI application: its stint, if it needs one.
pub(super) struct Call {
    shared: Arc<Shared>,
    request: NonNull<Request>,
    running: Cell<Option<u64>>,
}

/// Calls `application` while this thread is known to be at work for `request`. Returns what it returned, and whether the
/// request was answered without it.
pub(super) fn with_deadline<T>(
    shared: &Arc<Shared>,
    request: &Request,
    patience: Millis,
    application: impl FnOnce() -> T,
) -> (T, bool) {
    let call = Call {
        shared: Arc::clone(shared),
        request: NonNull::from(request),
        running: Cell::new(None),
    };
    if patience > 0 {
        call.begin(coarse_millis().saturating_add(patience));
    }
    let former = HERE.replace(Here::Call(NonNull::from(&call)));
    let result = application();
    HERE.set(former);
    (result, call.end())
}

impl Call {
    fn stint(&self) -> Arc<Stint> {
        let warden = &self.shared.deadlines.warden;
        SEAT.with_borrow_mut(|seat| match seat {
            Some((known, stint)) if Arc::ptr_eq(known, warden) => Arc::clone(stint),
            _ => {
                let stint = warden.enrol();
                *seat = Some((Arc::clone(warden), Arc::clone(&stint)));
                stint
            }
        })
    }

    fn begin(&self, due: Millis) {
        // SAFETY: `with_deadline` borrows the request until `end`.
        let request = unsafe { self.request.as_ref() };
        // SAFETY: likewise; `end` comes before the borrow does.
        let number = unsafe {
            self.stint()
                .begin_call(request, own_thread(), coarse_millis(), due)
        };
        self.running.set(Some(number));
        self.shared.deadlines.arm(&self.shared, due);
    }

    fn set_due(&self, due: Millis) -> PyResult<()> {
        let Some(number) = self.running.get() else {
            if due != NEVER {
                self.begin(due);
            }
            return Ok(());
        };
        if !self.stint().set_due(number, due) {
            return Err(passed());
        }
        self.shared.deadlines.arm(&self.shared, due);
        Ok(())
    }

    fn end(&self) -> bool {
        let Some(number) = self.running.take() else {
            return false;
        };
        let has_expired = self.stint().end(number) == Ended::Expired;
        if has_expired {
            take_back();
        }
        has_expired
    }
}

/// What `set_deadline` raises once there is nothing left to be set.
pub(super) fn passed() -> PyErr {
    DeadlineExceeded::new_err("the deadline of this request has passed already")
}

/// The stint of one ASGI request or WebSocket.
#[derive(Default)]
pub(super) struct TaskDeadline {
    is_armed: AtomicBool,
    state: Mutex<TaskState>,
}

#[derive(Default)]
struct TaskState {
    running: Option<(Arc<Stint>, u64)>,
    /// It was answered without the application.
    has_expired: bool,
    /// The application has returned.
    is_over: bool,
}

impl TaskDeadline {
    fn state(&self) -> MutexGuard<'_, TaskState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the deadline; `begin` begins a stint where there is none.
    pub(super) fn set(
        &self,
        shared: &Arc<Shared>,
        due: Millis,
        begin: impl FnOnce(&Stint) -> u64,
    ) -> PyResult<()> {
        let mut state = self.state();
        if state.has_expired {
            return Err(passed());
        }
        if state.is_over {
            return Ok(());
        }
        if let Some((stint, number)) = &state.running {
            if !stint.set_due(*number, due) {
                return Err(passed());
            }
        } else if due == NEVER {
            return Ok(());
        } else {
            let stint = shared.deadlines.warden.borrow();
            let number = begin(&stint);
            state.running = Some((stint, number));
            self.is_armed.store(true, Ordering::Relaxed);
        }
        drop(state);
        shared.deadlines.arm(shared, due);
        Ok(())
    }

    /// Whether the request was answered without the application.
    pub(super) fn has_expired(&self) -> bool {
        if !self.is_armed.load(Ordering::Relaxed) {
            return false;
        }
        let state = self.state();
        let is_expired = |(stint, number): &(Arc<Stint>, u64)| stint.is_expired(*number);
        state.has_expired || state.running.as_ref().is_some_and(is_expired)
    }

    /// The response is complete, or the application has returned. Returns whether the request was answered without it.
    pub(super) fn end(&self, shared: &Shared, is_over: bool) -> bool {
        if !self.is_armed.load(Ordering::Relaxed) {
            return false;
        }
        let mut state = self.state();
        state.is_over |= is_over;
        if let Some((stint, number)) = state.running.take() {
            state.has_expired |= stint.end(number) == Ended::Expired;
            shared.deadlines.warden.give_back(stint);
        }
        let has_expired = state.has_expired;
        drop(state);
        if has_expired {
            take_back();
        }
        has_expired
    }

    /// This thread begins a step of the application, or is in one.
    pub(super) fn enter(&self) {
        if self.is_armed.load(Ordering::Relaxed) {
            if let Some((stint, _)) = &self.state().running {
                stint.enter(own_thread());
            }
        }
    }

    /// The step has ended.
    pub(super) fn leave(&self) {
        if !self.is_armed.load(Ordering::Relaxed) {
            return;
        }
        let running = self.state().running.clone();
        if running.is_some_and(|(stint, number)| stint.leave(number)) {
            take_back();
        }
    }
}

/// The variable that leads to the request of a task, also from tasks and threads that it starts.
pub(super) fn request_variable(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static VARIABLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    VARIABLE
        .get_or_try_init(py, || {
            let make = py.import("contextvars")?.getattr("ContextVar")?;
            Ok(make.call1(("hostler.request",))?.unbind())
        })
        .map(|variable| variable.bind(py))
}

/// Remembers that an application uses `set_deadline`, so that requests are found in what they start.
#[pyfunction]
pub fn watch_deadlines() {
    IS_IMPORTED.store(true, Ordering::Relaxed);
}

/// Gives the request that this code runs for so many seconds from now to end; None takes its deadline away.
///
/// # Errors
/// `RuntimeError` where there is no request, `ValueError` for what is no time, `DeadlineExceeded` if it is too late.
#[pyfunction]
#[pyo3(signature = (seconds, /))]
pub fn set_deadline(py: Python<'_>, seconds: Option<f64>) -> PyResult<()> {
    let due = due_in(seconds)?;
    match HERE.get() {
        // SAFETY: the thread is inside of `with_deadline`, which owns the call.
        Here::Call(call) => return unsafe { call.as_ref() }.set_due(due),
        // SAFETY: the thread is inside of a step of that runner, which holds it.
        Here::Step(runner) => return unsafe { runner.as_ref() }.set_deadline(due),
        Here::Nowhere => {}
    }
    let request = request_variable(py)?.call_method1(intern!(py, "get"), (py.None(),))?;
    if request.is_none() {
        return Err(PyRuntimeError::new_err(
            "set_deadline() was called where no request is served: call it from the application, in the request's own thread or task or what asyncio runs for it",
        ));
    }
    set_task_deadline(&request, due)
}

/// The moment so many seconds from now.
pub(super) fn due_in(seconds: Option<f64>) -> PyResult<Millis> {
    Ok(match seconds {
        None => NEVER,
        Some(seconds) if seconds > 0.0 && seconds.is_finite() => {
            coarse_millis().saturating_add(super::settings::millis(seconds))
        }
        Some(wrong) => {
            return Err(PyValueError::new_err(format!(
                "a deadline is a number of seconds above 0, or None for no deadline, and not {wrong}"
            )));
        }
    })
}
