//! Lines on their way to a sink: gathered, written whole, and lost rather than waited for.
//!
//! Lines are gathered up to [`FLUSH_AT`] bytes; the engine also flushes a second after the first of them, when idle, and when it ends.
//! A regular file gets each batch in one append, so that several workers can share it without mixing their lines.
//!
//! What happens when the sink does not take them: if it is merely full (a slow reader of a pipe), lines are held up to [`MAX_HELD`]
//! and later ones dropped; on any other error (disk full, reader gone) all that are held are dropped. A line that was cut by
//! the error is completed as soon as the sink takes bytes again. Every dropped line is counted, and the engine gets a [`Notice`] to log
//! at once and then no more than once a minute.

use std::fmt;
use std::io;
use std::time::Instant;

use super::filter::Filter;
use super::format::Format;
use super::record::Record;
use super::sink::{Sink, SinkError};

/// A batch is written when it is this long: some 200 lines, so that the system call is a hundredth of the cost of a line. What is not
/// written yet is lost if the worker is killed, so it is not longer.
pub const FLUSH_AT: usize = 32 * 1_024;

/// Lines are held up to this many bytes while the sink is full: a pause of a reader of a few thousand lines. Arbitrary.
const MAX_HELD: usize = 256 * 1_024;

/// Time between two notices.
const NOTICE_EVERY_MILLIS: u64 = 60_000;

/// The access log of one engine.
#[derive(Debug)]
pub struct AccessLog {
    format: Format,
    filter: Option<Filter>,
    sink: Sink,
    buffer: Vec<u8>,
    /// The next attempt to write is made when the buffer is this long.
    flush_at: usize,
    /// The buffer begins with the rest of a line whose start was written.
    torn: bool,
    dropped: u64,
    dropped_before_notice: u64,
    /// What the next flush has to tell.
    notice: Option<Notice>,
    /// When the next notice may be made, in milliseconds since `origin`.
    next_notice: u64,
    origin: Instant,
}

impl AccessLog {
    /// Opens the sink; see [`Sink::open`].
    ///
    /// # Errors
    ///
    /// [`SinkError`] if it cannot be understood or opened.
    pub fn open(format: Format, sink: &str) -> Result<Self, SinkError> {
        Sink::open(sink).map(|sink| Self::new(format, sink))
    }

    /// A log of these parts.
    #[must_use]
    pub fn new(format: Format, sink: Sink) -> Self {
        Self {
            format,
            filter: None,
            sink,
            buffer: Vec::with_capacity(FLUSH_AT + 4_096),
            flush_at: FLUSH_AT,
            torn: false,
            dropped: 0,
            dropped_before_notice: 0,
            notice: None,
            next_notice: 0,
            origin: Instant::now(),
        }
    }

    /// The same log, for chosen requests only.
    #[must_use]
    pub fn filtered(mut self, filter: Option<Filter>) -> Self {
        self.filter = filter;
        self
    }

    /// How its lines look, and what the engine must keep of a request for them.
    #[must_use]
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// Whether [`Self::flush`] has something to write or to tell.
    #[must_use]
    #[inline]
    pub fn has_buffered(&self) -> bool {
        !self.buffer.is_empty() || self.notice.is_some()
    }

    /// How many lines were lost so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Adds the line of one request, unless the filter leaves it out, and writes what was gathered if that is enough.
    #[inline]
    pub fn write(&mut self, record: &Record<'_>) {
        if self
            .filter
            .as_mut()
            .is_some_and(|filter| !filter.accepts(record))
        {
            return;
        }
        self.format.write(record, &mut self.buffer);
        if self.buffer.len() >= self.flush_at {
            self.flush_at_moment(self.elapsed());
        }
    }

    /// Writes what was gathered, as far as the sink takes it without waiting. Gives what the operator should know, to be logged.
    #[must_use = "a notice is to be logged"]
    pub fn flush(&mut self) -> Option<Notice> {
        self.flush_at_moment(self.elapsed());
        self.notice.take()
    }

    /// Writes what was gathered, then opens the sink anew, as after its file was moved away (SIGUSR1).
    ///
    /// # Errors
    ///
    /// [`SinkError`] if the sink cannot be opened; the old one stays in use.
    pub fn reopen(&mut self) -> Result<(), SinkError> {
        self.flush_at_moment(self.elapsed());
        self.sink.reopen()
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn flush_at_moment(&mut self, now: u64) {
        let (written, outcome) = self.write_out();
        if let Some(last) = written.checked_sub(1) {
            self.torn = self.buffer[last] != b'\n';
        }
        self.buffer.drain(..written);
        match outcome {
            Ok(()) => {
                // A long pause of the reader must not keep its memory for ever.
                self.buffer.shrink_to(2 * FLUSH_AT);
                self.settle(None, now);
            }
            Err(error) => {
                let full = error.kind() == io::ErrorKind::WouldBlock;
                self.drop_lines(if full { MAX_HELD } else { 0 });
                self.settle(
                    Some(&error).filter(|_| !full || self.dropped_before_notice > 0),
                    now,
                );
            }
        }
    }

    fn write_out(&mut self) -> (usize, io::Result<()>) {
        let mut written = 0;
        while written < self.buffer.len() {
            match self.sink.write(&self.buffer[written..]) {
                Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (written, Err(error)),
            }
        }
        (written, Ok(()))
    }

    /// Drops whole lines from the end until no more than `keep` bytes are left, but for the rest of a torn line.
    fn drop_lines(&mut self, keep: usize) {
        if self.buffer.len() <= keep {
            return;
        }
        let torn_end = if self.torn {
            memchr::memchr(b'\n', &self.buffer).map_or(self.buffer.len(), |end| end + 1)
        } else {
            0
        };
        let line_end = memchr::memrchr(b'\n', &self.buffer[..keep]).map_or(0, |end| end + 1);
        let end = torn_end.max(line_end);
        let lines = memchr::memchr_iter(b'\n', &self.buffer[end..]).count() as u64;
        self.buffer.truncate(end);
        self.dropped += lines;
        self.dropped_before_notice += lines;
    }

    /// After an attempt to write: decides when the next one is made, and whether there is something to tell.
    fn settle(&mut self, error: Option<&io::Error>, now: u64) {
        self.flush_at = self.buffer.len() + FLUSH_AT;
        let nothing = error.is_none() && self.dropped_before_notice == 0;
        if nothing || now < self.next_notice {
            return;
        }
        self.next_notice = now + NOTICE_EVERY_MILLIS;
        let lost = std::mem::take(&mut self.dropped_before_notice);
        self.notice = Some(Notice {
            sink: self.sink.name().to_owned(),
            reason: error.map(io::Error::to_string),
            lost,
        });
    }
}

/// Something about the access log that the operator should know. Made at most once a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The destination.
    pub sink: String,
    /// The error; none if lines were lost earlier and the sink works again.
    pub reason: Option<String>,
    /// Lines lost since the last notice.
    pub lost: u64,
}

impl fmt::Display for Notice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "access log to {}: {}",
            self.sink,
            self.reason.as_deref().unwrap_or("works again")
        )?;
        match self.lost {
            0 => Ok(()),
            1 => write!(out, "; 1 line was lost"),
            lost => write!(out, "; {lost} lines were lost"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;
    use std::thread;

    use rustix::pipe::{PipeFlags, pipe, pipe_with};

    use super::super::NoFields;
    use super::*;

    /// A file that is removed at the end of the test.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("hostler-journal-{name}-{}", std::process::id()));
            let _ = fs::remove_file(&path);
            Self(path)
        }

        fn log(&self) -> AccessLog {
            open(self.0.to_str().unwrap())
        }

        fn text(&self) -> String {
            fs::read_to_string(&self.0).unwrap()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn record(path: &[u8]) -> Record<'_> {
        Record {
            client: b"",
            started_unix_nanos: 0,
            duration_nanos: 0,
            method: b"GET",
            target: path,
            path,
            query: b"",
            protocol: b"HTTP/1.1",
            status: 200,
            body_bytes: 0,
            request_id: b"",
            scheme: "http",
            pid: 1,
            fields: &NoFields,
        }
    }

    fn open(sink: &str) -> AccessLog {
        AccessLog::open(Format::compile("%(U)s").unwrap(), sink).unwrap()
    }

    fn add(log: &mut AccessLog, path: &str) {
        log.write(&record(path.as_bytes()));
    }

    fn flush_at(log: &mut AccessLog, now: u64) -> Option<Notice> {
        log.flush_at_moment(now);
        log.notice.take()
    }

    fn log_to(fd: OwnedFd) -> AccessLog {
        AccessLog::new(Format::compile("%(U)s").unwrap(), Sink::of_descriptor(fd))
    }

    /// Reads what is in a pipe now.
    fn drain(reader: &OwnedFd) -> Vec<u8> {
        let mut all = Vec::new();
        let mut some = vec![0; 65_536];
        while let Ok(count @ 1..) = rustix::io::read(reader, &mut some) {
            all.extend_from_slice(&some[..count]);
        }
        all
    }

    fn nonblocking_reader() -> (OwnedFd, OwnedFd) {
        let (reader, writer) = pipe().unwrap();
        rustix::io::ioctl_fionbio(&reader, true).unwrap();
        (reader, writer)
    }

    #[test]
    fn lines_are_gathered_until_a_flush() {
        let scratch = Scratch::new("gathered");
        let mut log = scratch.log();
        assert!(!log.has_buffered());
        add(&mut log, "/a");
        add(&mut log, "/b");
        assert!(log.has_buffered());
        assert_eq!(scratch.text(), "");
        assert_eq!(log.flush(), None);
        assert_eq!(scratch.text(), "/a\n/b\n");
        assert!(!log.has_buffered());
    }

    #[test]
    fn a_full_batch_is_written_at_once() {
        let scratch = Scratch::new("full");
        let mut log = scratch.log();
        let path = "/".repeat(1_023);
        for _ in 0..32 {
            add(&mut log, &path);
        }
        assert_eq!(scratch.text().len(), FLUSH_AT);
        assert!(!log.has_buffered());
    }

    #[test]
    fn a_new_file_is_not_for_everyone_and_an_old_one_is_appended_to() {
        let scratch = Scratch::new("mode");
        let mut log = scratch.log();
        assert_eq!(
            fs::metadata(&scratch.0).unwrap().permissions().mode() & 0o137,
            0
        );
        add(&mut log, "/a");
        assert_eq!(log.flush(), None);
        let mut other = scratch.log();
        add(&mut other, "/b");
        assert_eq!(other.flush(), None);
        assert_eq!(scratch.text(), "/a\n/b\n");
    }

    #[test]
    fn workers_that_share_a_file_do_not_mix_their_lines() {
        let scratch = Scratch::new("shared");
        thread::scope(|scope| {
            for worker in 0..4 {
                let mut log = scratch.log();
                scope.spawn(move || {
                    for number in 0..5_000 {
                        add(
                            &mut log,
                            &format!("/{worker}/{number}/{}", "x".repeat(number % 97)),
                        );
                    }
                    assert_eq!(log.flush(), None);
                });
            }
        });
        let text = scratch.text();
        for worker in 0..4 {
            let start = format!("/{worker}/");
            let lines: Vec<&str> = text
                .lines()
                .filter(|line| line.starts_with(&start))
                .collect();
            let wanted: Vec<String> = (0..5_000)
                .map(|number| format!("/{worker}/{number}/{}", "x".repeat(number % 97)))
                .collect();
            assert_eq!(lines, wanted);
        }
        assert_eq!(text.lines().count(), 20_000);
    }

    #[test]
    fn reopening_follows_a_file_that_was_moved() {
        let scratch = Scratch::new("reopen");
        let moved = Scratch::new("reopen-moved");
        let mut log = scratch.log();
        add(&mut log, "/before");
        fs::rename(&scratch.0, &moved.0).unwrap();
        assert_eq!(log.reopen(), Ok(()));
        add(&mut log, "/after");
        assert_eq!(log.flush(), None);
        assert_eq!(
            (moved.text().as_str(), scratch.text().as_str()),
            ("/before\n", "/after\n")
        );
    }

    #[test]
    fn a_file_that_cannot_be_reopened_stays_in_use() {
        let directory =
            std::env::temp_dir().join(format!("hostler-journal-gone-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("access.log");
        let mut log = open(path.to_str().unwrap());
        let mut old = File::open(&path).unwrap();
        fs::remove_dir_all(&directory).unwrap();
        let notice = log.reopen().unwrap_err().to_string();
        assert!(notice.contains("No such file"), "{notice}");
        add(&mut log, "/still");
        assert_eq!(log.flush(), None);
        let mut text = String::new();
        old.read_to_string(&mut text).unwrap();
        assert_eq!(text, "/still\n");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_loses_lines_and_says_so_once_a_minute() {
        let mut log = open("/dev/full");
        add(&mut log, "/a");
        add(&mut log, "/b");
        let notice = flush_at(&mut log, 0).unwrap();
        assert_eq!(notice.lost, 2);
        assert!(
            notice.to_string().contains("No space left on device"),
            "{notice}"
        );
        add(&mut log, "/c");
        assert_eq!(flush_at(&mut log, 59_999), None);
        add(&mut log, "/d");
        assert_eq!(flush_at(&mut log, 60_000).unwrap().lost, 2);
        assert_eq!(log.dropped(), 4);
        assert!(!log.has_buffered());
    }

    #[test]
    fn a_reader_that_is_gone_is_told_and_does_no_harm() {
        let (reader, writer) = pipe().unwrap();
        let mut log = log_to(writer);
        drop(reader);
        add(&mut log, "/a");
        assert_eq!(log.flush().unwrap().lost, 1);
    }

    fn overfill(log: &mut AccessLog, reader: &OwnedFd) {
        let line = "x".repeat(99);
        for _ in 0..10_000 {
            add(log, &line);
        }
        assert!(log.dropped() > 0);
        assert!(log.notice.take().is_some_and(|notice| notice.lost > 0));
        assert!(log.buffer.len() <= MAX_HELD + FLUSH_AT + 100);
        let mut seen = drain(reader);
        while log.has_buffered() {
            let _ = log.flush();
            seen.extend(drain(reader));
        }
        let text = String::from_utf8(seen).unwrap();
        assert!(
            text.lines().all(|seen| seen == line),
            "only whole lines arrive"
        );
        assert_eq!(text.lines().count() as u64 + log.dropped(), 10_000);
        add(log, "/later");
        let notice = flush_at(log, 10 * NOTICE_EVERY_MILLIS).unwrap();
        assert_eq!(notice.reason, None);
        assert!(notice.to_string().contains("works again"));
    }

    #[test]
    fn a_reader_that_stands_still_costs_lines_but_no_waiting() {
        let (reader, writer) = nonblocking_reader();
        overfill(&mut log_to(writer), &reader);
    }

    #[test]
    fn a_pipe_that_must_stay_blocking_is_never_waited_for() {
        let (reader, writer) = nonblocking_reader();
        let mut log = AccessLog::new(
            Format::compile("%(U)s").unwrap(),
            Sink::of_shared_pipe(writer),
        );
        overfill(&mut log, &reader);
    }

    #[test]
    fn a_socket_is_written_without_waiting() {
        let (reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
        reader.set_nonblocking(true).unwrap();
        overfill(&mut log_to(writer.into()), &reader.into());
    }

    #[test]
    fn the_rest_of_a_torn_line_is_written_before_anything_else() {
        let (reader, writer) = pipe_with(PipeFlags::NONBLOCK).unwrap();
        let mut log = log_to(writer);
        // Longer than any pipe is by default, so that it is cut.
        let line = "y".repeat(200_000);
        add(&mut log, &line);
        let mut seen = drain(&reader);
        assert!(log.torn && !seen.is_empty() && !seen.ends_with(b"\n"));
        log.drop_lines(0);
        assert_eq!(log.dropped(), 0);
        add(&mut log, "/next");
        while log.has_buffered() {
            let _ = log.flush();
            seen.extend(drain(&reader));
        }
        assert_eq!(String::from_utf8(seen).unwrap(), format!("{line}\n/next\n"));
    }

    #[test]
    fn a_notice_made_while_lines_are_added_waits_for_the_flush() {
        let mut log = open("/dev/full");
        for _ in 0..400 {
            add(&mut log, &"x".repeat(99));
        }
        assert!(log.buffer.len() < FLUSH_AT && log.has_buffered());
        assert!(log.flush().unwrap().lost > 0);
    }
}
