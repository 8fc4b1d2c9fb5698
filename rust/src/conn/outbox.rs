//! What is still to be written on one connection: copied bytes, bytes held by reference, and parts of files, in order.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::net::{Stream, Transfer};

/// Bytes owned by somebody else and held by reference until they are written, such as a Python `bytes` object.
pub trait Payload: AsRef<[u8]> + Send {}

/// Payloads no longer needed. They are handed back rather than dropped, as only their owner knows where that is allowed.
pub type Retired = Vec<Box<dyn Payload>>;

impl std::fmt::Debug for dyn Payload {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Payload({} bytes)", self.as_ref().len())
    }
}

/// One run of a response.
pub enum Segment {
    /// Copied bytes, and how many of them are written.
    Bytes(Vec<u8>, usize),
    /// Bytes held by reference, and how many of them are written.
    Shared(Box<dyn Payload>, usize),
    /// A part of a file.
    File {
        /// The open file.
        file: Arc<File>,
        /// Where to go on reading.
        offset: u64,
        /// How many bytes are still to be sent.
        remaining: u64,
    },
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Segment({} bytes left)", self.left())
    }
}

impl Segment {
    fn left(&self) -> u64 {
        match self {
            Self::Bytes(bytes, at) => (bytes.len() - at) as u64,
            Self::Shared(payload, at) => ((**payload).as_ref().len() - at) as u64,
            Self::File { remaining, .. } => *remaining,
        }
    }

    /// Bytes that this run keeps in this process's memory.
    fn in_memory(&self) -> usize {
        match self {
            Self::Bytes(bytes, at) => bytes.len() - at,
            Self::Shared(payload, at) => (**payload).as_ref().len() - at,
            Self::File { .. } => 0,
        }
    }

    fn run(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes, at) => Some(&bytes[*at..]),
            Self::Shared(payload, at) => Some(&(**payload).as_ref()[*at..]),
            Self::File { .. } => None,
        }
    }
}

/// How a flush ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// All is written.
    Drained,
    /// The socket takes no more for now.
    Blocked,
    /// The socket may take more, but others should have their turn.
    Paused,
    /// The connection is broken, or a file became shorter than announced.
    Broken,
}

/// The queue of one connection.
#[derive(Debug, Default)]
pub struct Outbox {
    segments: VecDeque<Segment>,
    in_memory: usize,
    files: usize,
}

/// What a file that waits to be sent counts for in back-pressure: nothing of it is in memory, but it is an open descriptor,
/// of which there are few. Arbitrary: sixteen of them fill the default of `limits.response_buffer`.
const FILE_WEIGHT: usize = 65_536;

/// Runs written in one call; the kernel allows 1024, and few responses have more than two.
const MAX_RUNS: usize = 16;

/// Bytes written for one connection before others have their turn: more than any socket's buffer takes by default, so
/// that only a client that reads while we write meets it.
const ENOUGH: u64 = 8 << 20;

/// Bytes given to the kernel in one call. Measured: two calls of 512 KiB take a tenth less processor time than one of
/// 1 MiB, as the reader empties pages that are still in the cache; calls of 256 KiB bring no more.
pub(super) const PORTION: usize = 524_288;

/// Appends up to `limit` bytes of what a run has left.
fn copy_some(segment: &Segment, limit: usize, into: &mut Vec<u8>) -> io::Result<usize> {
    if let Some(run) = segment.run() {
        let count = run.len().min(limit);
        into.extend_from_slice(&run[..count]);
        return Ok(count);
    }
    let Segment::File {
        file,
        offset,
        remaining,
    } = segment
    else {
        return Ok(0);
    };
    let at = into.len();
    let count = usize::try_from(*remaining).unwrap_or(limit).min(limit);
    into.resize(at + count, 0);
    match file.read_exact_at(&mut into[at..], *offset) {
        Ok(()) => Ok(count),
        Err(error) => {
            into.truncate(at);
            Err(error)
        }
    }
}

impl Outbox {
    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Bytes kept in memory by this queue.
    #[must_use]
    pub fn in_memory(&self) -> usize {
        self.in_memory
    }

    /// How much waits, for those who are not to add to it without end.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.in_memory + self.files * FILE_WEIGHT
    }

    /// Appends one run; an empty one is passed over.
    pub fn push(&mut self, segment: Segment, retired: &mut Retired) {
        if segment.left() > 0 {
            self.in_memory += segment.in_memory();
            self.files += usize::from(matches!(segment, Segment::File { .. }));
            self.segments.push_back(segment);
        } else if let Segment::Shared(payload, _) = segment {
            retired.push(payload);
        }
    }

    /// Appends a copy of `bytes`.
    pub fn push_copy(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.in_memory += bytes.len();
        if let Some(Segment::Bytes(tail, _)) = self.segments.back_mut() {
            tail.extend_from_slice(bytes);
        } else {
            self.segments.push_back(Segment::Bytes(bytes.to_vec(), 0));
        }
    }

    /// Writes as much as the socket takes, within what is fair to others. Adds to `written` what went out.
    pub fn flush(
        &mut self,
        stream: &mut Stream,
        retired: &mut Retired,
        written: &mut u64,
    ) -> Flush {
        let enough = *written + ENOUGH;
        while !self.segments.is_empty() {
            if *written >= enough {
                return Flush::Paused;
            }
            let outcome = match self.segments.front() {
                Some(Segment::File {
                    file,
                    offset,
                    remaining,
                }) => stream.send_file(file, *offset, *remaining),
                _ => self.send_memory(stream),
            };
            match outcome {
                // Zero bytes of a file that should have more: it was truncated under us (sendfile(2)).
                Transfer::Done(0) | Transfer::Broken(_) => return Flush::Broken,
                Transfer::Done(count) => {
                    *written += count as u64;
                    self.consume(count, retired);
                }
                Transfer::Blocked => return Flush::Blocked,
            }
        }
        Flush::Drained
    }

    /// Moves up to `limit` bytes to `into`. Returns how many; none means that there were none.
    ///
    /// # Errors
    /// When a file cannot be read, or is shorter than announced.
    pub fn take(
        &mut self,
        limit: usize,
        into: &mut Vec<u8>,
        retired: &mut Retired,
    ) -> io::Result<usize> {
        let mut taken = 0;
        while taken < limit {
            let Some(front) = self.segments.front() else {
                break;
            };
            let count = copy_some(front, limit - taken, into)?;
            self.consume(count, retired);
            taken += count;
        }
        Ok(taken)
    }

    /// Forgets all that waits.
    pub fn clear(&mut self, retired: &mut Retired) {
        for segment in self.segments.drain(..) {
            if let Segment::Shared(payload, _) = segment {
                retired.push(payload);
            }
        }
        self.in_memory = 0;
        self.files = 0;
    }

    fn send_memory(&self, stream: &mut Stream) -> Transfer {
        let mut runs = [IoSlice::new(&[]); MAX_RUNS];
        let mut count = 0;
        let mut room = PORTION;
        for run in self.segments.iter().map_while(Segment::run).take(MAX_RUNS) {
            let part = &run[..run.len().min(room)];
            runs[count] = IoSlice::new(part);
            count += 1;
            room -= part.len();
            if room == 0 {
                break;
            }
        }
        stream.send_runs(&runs[..count])
    }

    fn consume(&mut self, count: usize, retired: &mut Retired) {
        let mut count = count;
        while count > 0 {
            let Some(front) = self.segments.front_mut() else {
                return;
            };
            let left = front.left();
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(count);
            match front {
                Segment::Bytes(_, at) | Segment::Shared(_, at) => {
                    *at += step;
                    self.in_memory -= step;
                }
                Segment::File {
                    offset, remaining, ..
                } => {
                    *offset += step as u64;
                    *remaining -= step as u64;
                }
            }
            count -= step;
            if step as u64 == left {
                match self.segments.pop_front() {
                    Some(Segment::Shared(payload, _)) => retired.push(payload),
                    Some(Segment::File { .. }) => self.files -= 1,
                    Some(Segment::Bytes(..)) | None => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    struct Owned(Vec<u8>);
    impl AsRef<[u8]> for Owned {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Payload for Owned {}

    #[test]
    fn everything_arrives_in_order_through_a_slow_reader() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut stream = Stream::new(ours.into());
        let mut file = tempfile();
        file.write_all(&vec![b'f'; 300_000]).unwrap();
        let (mut outbox, mut retired, mut written) = (Outbox::default(), Retired::new(), 0);
        outbox.push_copy(b"head");
        outbox.push(
            Segment::Shared(Box::new(Owned(vec![b's'; 700_000])), 0),
            &mut retired,
        );
        outbox.push(
            Segment::File {
                file: Arc::new(file),
                offset: 0,
                remaining: 300_000,
            },
            &mut retired,
        );
        outbox.push_copy(b"tail");
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).unwrap();
            all
        });
        while outbox.flush(&mut stream, &mut retired, &mut written) != Flush::Drained {
            std::thread::yield_now();
        }
        drop(stream);
        let expected = [
            b"head".to_vec(),
            vec![b's'; 700_000],
            vec![b'f'; 300_000],
            b"tail".to_vec(),
        ]
        .concat();
        assert_eq!(reader.join().unwrap(), expected);
        assert_eq!(
            (written, retired.len(), outbox.in_memory()),
            (1_000_008, 1, 0)
        );
    }

    #[test]
    fn truncated_file_breaks_the_connection() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut stream = Stream::new(ours.into());
        let (mut outbox, mut retired, mut written) = (Outbox::default(), Retired::new(), 0);
        outbox.push(
            Segment::File {
                file: Arc::new(tempfile()),
                offset: 0,
                remaining: 5,
            },
            &mut retired,
        );
        assert_eq!(
            outbox.flush(&mut stream, &mut retired, &mut written),
            Flush::Broken
        );
    }

    fn tempfile() -> File {
        let path = std::env::temp_dir().join(format!(
            "outbox-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .unwrap();
        std::fs::remove_file(path).unwrap();
        file
    }
}
