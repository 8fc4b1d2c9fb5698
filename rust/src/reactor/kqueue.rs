//! The poller on BSD and macOS: kqueue, with a timer and a user event in the set. Compiled there only, and not yet tested there.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::kqueue::{
    Event, EventFilter, EventFlags, UserDefinedFlags, UserFlags, kevent, kqueue,
};

use super::{RESERVED_TOKENS, Readiness};

const TIMER: isize = -2;
const WAKER: isize = -3;
const BATCH: usize = 512;

/// Wakes a poller from another thread; cheap to clone, safe from any thread.
#[derive(Debug, Clone)]
pub struct Waker {
    queue: Arc<OwnedFd>,
}

impl Waker {
    /// Makes the poller's next, or present, `wait` return.
    pub fn wake(&self) {
        let filter = EventFilter::User {
            ident: WAKER,
            flags: UserFlags::TRIGGER,
            user_flags: UserDefinedFlags::new(0),
        };
        let change = Event::new(filter, EventFlags::empty(), std::ptr::null_mut());
        // SAFETY: a user event names no descriptor, so none can be closed under it.
        let _ = unsafe { kevent(&*self.queue, &[change], &mut [] as &mut [Event], None) };
    }
}

/// One kqueue.
#[derive(Debug)]
pub struct Poller {
    queue: Arc<OwnedFd>,
    reports: Vec<Readiness>,
}

impl Poller {
    /// Makes the queue with its wake-up event.
    ///
    /// # Errors
    /// When the process is out of descriptors or memory.
    pub fn new() -> io::Result<Self> {
        let queue = Arc::new(kqueue()?);
        let poller = Self {
            queue,
            reports: Vec::with_capacity(BATCH),
        };
        let filter = EventFilter::User {
            ident: WAKER,
            flags: UserFlags::empty(),
            user_flags: UserDefinedFlags::new(0),
        };
        poller.change(filter, EventFlags::ADD | EventFlags::CLEAR, RESERVED_TOKENS)?;
        Ok(poller)
    }

    /// A handle that wakes this poller.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker {
            queue: Arc::clone(&self.queue),
        }
    }

    /// Watches a listening socket, level-triggered.
    ///
    /// # Errors
    /// When the descriptor cannot be polled or the kernel is out of memory.
    pub fn add_listener(&self, listener: impl AsFd, token: u64) -> io::Result<()> {
        self.add_source(listener, token)
    }

    /// Watches a connection, edge-triggered in both directions: it is registered once and never modified.
    ///
    /// # Errors
    /// As `add_listener`.
    pub fn add_stream(&self, stream: impl AsFd, token: u64) -> io::Result<()> {
        let fd = stream.as_fd().as_raw_fd();
        self.change(
            EventFilter::Read(fd),
            EventFlags::ADD | EventFlags::CLEAR,
            token,
        )?;
        self.change(
            EventFilter::Write(fd),
            EventFlags::ADD | EventFlags::CLEAR,
            token,
        )
    }

    /// Watches a descriptor for input, level-triggered.
    ///
    /// # Errors
    /// As `add_listener`.
    pub fn add_source(&self, source: impl AsFd, token: u64) -> io::Result<()> {
        self.change(
            EventFilter::Read(source.as_fd().as_raw_fd()),
            EventFlags::ADD,
            token,
        )
    }

    /// Stops watching a descriptor that stays open. Closing a descriptor removes it as well.
    ///
    /// # Errors
    /// When the descriptor is not in the set.
    pub fn remove(&self, source: impl AsFd) -> io::Result<()> {
        self.change(
            EventFilter::Read(source.as_fd().as_raw_fd()),
            EventFlags::DELETE,
            0,
        )
    }

    /// Sets the one timer to fire once after `delay`, replacing what was set before.
    ///
    /// # Errors
    /// Never in practice: the arguments are in range.
    pub fn arm(&self, delay: Duration) -> io::Result<()> {
        let filter = EventFilter::Timer {
            ident: TIMER,
            timer: Some(delay),
        };
        self.change(
            filter,
            EventFlags::ADD | EventFlags::ONESHOT,
            RESERVED_TOKENS,
        )
    }

    /// Takes what is ready; waits for it when `block` is set. An interrupted wait is an empty one.
    ///
    /// # Errors
    /// Never in practice: the set is ours.
    pub fn wait(&mut self, block: bool) -> io::Result<()> {
        self.reports.clear();
        let timeout = if block { None } else { Some(Duration::ZERO) };
        let mut room = [const { MaybeUninit::<Event>::uninit() }; BATCH];
        // SAFETY: no change is made here; descriptors in the set are owned by those who registered them.
        let events = match unsafe { kevent(&*self.queue, &[], &mut room[..], timeout) } {
            Ok((events, _)) => events,
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        self.reports
            .extend(events.iter().filter_map(|event| readiness(event)));
        Ok(())
    }

    /// What the last `wait` brought; the poller's own timer and wake-up only end it.
    #[must_use]
    pub fn reports(&self) -> &[Readiness] {
        &self.reports
    }

    fn change(&self, filter: EventFilter, flags: EventFlags, token: u64) -> io::Result<()> {
        let udata = usize::try_from(token).unwrap_or(usize::MAX) as *mut std::ffi::c_void;
        let change = Event::new(filter, flags, udata);
        // SAFETY: the descriptor in the filter is open: it comes from a borrowed one, or there is none.
        unsafe { kevent(&*self.queue, &[change], &mut [] as &mut [Event], None) }?;
        Ok(())
    }
}

fn readiness(event: &Event) -> Option<Readiness> {
    let ended = event.flags().contains(EventFlags::EOF);
    let token = event.udata() as u64;
    match event.filter() {
        EventFilter::Read(_) => Some(Readiness {
            token,
            readable: true,
            writable: false,
            ended,
        }),
        EventFilter::Write(_) => Some(Readiness {
            token,
            readable: ended,
            writable: true,
            ended,
        }),
        _ => None,
    }
}

/// The descriptor that is readable when something in the set is ready.
impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}
