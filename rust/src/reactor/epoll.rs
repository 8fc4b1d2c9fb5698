//! The poller on Linux: epoll, with a timerfd and an eventfd in the set.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, write};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use super::{RESERVED_TOKENS, Readiness};

const TIMER: u64 = RESERVED_TOKENS;
const WAKER: u64 = RESERVED_TOKENS + 1;

/// Events taken from the kernel in one call; nginx's `worker_events` and `epoll_events` default to 512.
const BATCH: usize = 512;

/// Wakes a poller from another thread; cheap to clone, safe from any thread.
#[derive(Debug, Clone)]
pub struct Waker {
    event: Arc<OwnedFd>,
}

impl Waker {
    /// Makes the poller's next, or present, `wait` return.
    pub fn wake(&self) {
        // A full counter (EAGAIN) means that a wake-up is already pending, and there is no other failure for an eventfd.
        let _ = write(&*self.event, &1_u64.to_ne_bytes());
    }
}

/// One epoll set.
#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
    timer: OwnedFd,
    event: Arc<OwnedFd>,
    reports: Vec<Readiness>,
}

impl Poller {
    /// Makes the set, with its timer (not armed) and its wake-up event.
    ///
    /// # Errors
    /// When the process is out of descriptors or memory.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
        )?;
        let event = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        epoll::add(
            &epoll,
            &timer,
            EventData::new_u64(TIMER),
            EventFlags::IN | EventFlags::ET,
        )?;
        epoll::add(&epoll, &*event, EventData::new_u64(WAKER), EventFlags::IN)?;
        Ok(Self {
            epoll,
            timer,
            event,
            reports: Vec::with_capacity(BATCH),
        })
    }

    /// A handle that wakes this poller.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker {
            event: Arc::clone(&self.event),
        }
    }

    /// Watches a listening socket shared with other processes: one waiting process is woken per connection, not all.
    ///
    /// # Errors
    /// When the descriptor cannot be polled or the kernel is out of memory.
    pub fn add_listener(&self, listener: impl AsFd, token: u64) -> io::Result<()> {
        Ok(epoll::add(
            &self.epoll,
            listener,
            EventData::new_u64(token),
            EventFlags::IN | EventFlags::EXCLUSIVE,
        )?)
    }

    /// Watches a connection, edge-triggered in both directions: it is registered once and never modified.
    ///
    /// # Errors
    /// As `add_listener`.
    pub fn add_stream(&self, stream: impl AsFd, token: u64) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(
            &self.epoll,
            stream,
            EventData::new_u64(token),
            flags,
        )?)
    }

    /// Watches a descriptor for input, level-triggered.
    ///
    /// # Errors
    /// As `add_listener`.
    pub fn add_source(&self, source: impl AsFd, token: u64) -> io::Result<()> {
        Ok(epoll::add(
            &self.epoll,
            source,
            EventData::new_u64(token),
            EventFlags::IN,
        )?)
    }

    /// Stops watching a descriptor that stays open. Closing a descriptor removes it as well.
    ///
    /// # Errors
    /// When the descriptor is not in the set.
    pub fn remove(&self, source: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, source)?)
    }

    /// Sets the one timer to fire once after `delay`, replacing what was set before.
    ///
    /// # Errors
    /// Never in practice: the arguments are in range.
    pub fn arm(&self, delay: Duration) -> io::Result<()> {
        // Zero would disarm the timer.
        let delay = delay.max(Duration::from_micros(1));
        let value = Timespec {
            tv_sec: i64::try_from(delay.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(delay.subsec_nanos()),
        };
        let spec = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: value,
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &spec)?;
        Ok(())
    }

    /// Takes what is ready; waits for it when `block` is set. An interrupted wait is an empty one.
    ///
    /// # Errors
    /// Never in practice: the set is ours.
    pub fn wait(&mut self, block: bool) -> io::Result<()> {
        const NOW: Timespec = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        self.reports.clear();
        let timeout = if block { None } else { Some(&NOW) };
        let mut room = [const { MaybeUninit::<epoll::Event>::uninit() }; BATCH];
        let events = match epoll::wait(&self.epoll, &mut room[..], timeout) {
            Ok((events, _)) => events,
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for event in events {
            match event.data.u64() {
                TIMER => {}
                WAKER => {
                    // Level-triggered, so the counter must go back to zero; a concurrent reader cannot exist.
                    let _ = read(&*self.event, &mut [0_u8; 8]);
                }
                token => self.reports.push(readiness(token, event.flags)),
            }
        }
        Ok(())
    }

    /// What the last `wait` brought; the poller's own timer and wake-up only end it.
    #[must_use]
    pub fn reports(&self) -> &[Readiness] {
        &self.reports
    }
}

fn readiness(token: u64, flags: EventFlags) -> Readiness {
    Readiness {
        token,
        readable: flags
            .intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR | EventFlags::RDHUP),
        writable: flags.intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR),
        ended: flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR),
        broken: flags.intersects(EventFlags::HUP | EventFlags::ERR),
    }
}

/// The descriptor that is readable when something in the set is ready.
impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn waker_ends_a_blocking_wait_once() {
        let mut poller = Poller::new().unwrap();
        let waker = poller.waker();
        std::thread::spawn(move || waker.wake());
        poller.wait(true).unwrap();
        assert_eq!(poller.reports(), []);
        poller.wait(false).unwrap();
        assert_eq!(poller.reports(), []);
    }

    #[test]
    fn timer_ends_a_blocking_wait() {
        let mut poller = Poller::new().unwrap();
        poller.arm(Duration::ZERO).unwrap();
        poller.wait(true).unwrap();
    }

    /// Whether another poller finds `poller`'s own descriptor readable, after at most `patience`.
    fn is_readable_within(poller: &Poller, patience: Duration) -> bool {
        let mut outer = Poller::new().unwrap();
        outer.add_source(poller, 1).unwrap();
        outer.arm(patience).unwrap();
        outer.wait(true).unwrap();
        outer.reports().iter().any(|report| report.readable)
    }

    const AT_ONCE: Duration = Duration::ZERO;
    const IN_TIME: Duration = Duration::from_secs(60);

    #[test]
    fn poller_is_readable_in_another_when_a_stream_is_ready() {
        let mut poller = Poller::new().unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        poller.add_stream(&ours, 7).unwrap();
        // Writable, which is reported once.
        assert!(is_readable_within(&poller, IN_TIME));
        poller.wait(false).unwrap();
        assert!(!is_readable_within(&poller, AT_ONCE));
        theirs.write_all(b"x").unwrap();
        assert!(is_readable_within(&poller, IN_TIME));
    }

    #[test]
    fn poller_is_readable_in_another_when_its_timer_has_fired() {
        let mut poller = Poller::new().unwrap();
        assert!(!is_readable_within(&poller, AT_ONCE));
        poller.arm(Duration::ZERO).unwrap();
        assert!(is_readable_within(&poller, IN_TIME));
        poller.wait(false).unwrap();
        assert!(!is_readable_within(&poller, AT_ONCE));
    }

    #[test]
    fn poller_is_readable_in_another_when_it_is_woken() {
        let mut poller = Poller::new().unwrap();
        assert!(!is_readable_within(&poller, AT_ONCE));
        poller.waker().wake();
        assert!(is_readable_within(&poller, IN_TIME));
        poller.wait(false).unwrap();
        assert!(!is_readable_within(&poller, AT_ONCE));
    }

    #[test]
    fn stream_reports_bytes_and_the_end() {
        let mut poller = Poller::new().unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        poller.add_stream(&ours, 7).unwrap();
        theirs.write_all(b"x").unwrap();
        drop(theirs);
        poller.wait(true).unwrap();
        let seen = poller.reports()[0];
        assert_eq!((seen.token, seen.readable, seen.ended), (7, true, true));
    }
}
