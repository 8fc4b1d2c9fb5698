//! `wsgi.input` (PEP 3333 "Input and Error Streams"): the request body as a file to read from.

use std::fs::File;
use std::io::{Read, Seek};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use pyo3::exceptions::{PyConnectionResetError, PyOSError, PyRuntimeError, PyTimeoutError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::conn::{Body, BodyFault, BodyPipe, ConnId, Poured};
use crate::python::shared::Handle;
use crate::worker::Command;

use super::StartResponse;
use super::waiting::wait_until;

/// Bytes fetched from a file or a pipe at once. As large as the reactor's own reads.
const PORTION: usize = 65_536;

/// Where the bytes that are not in the buffer come from.
enum Source {
    /// There are none.
    End,
    File(File),
    Pipe(PipeSource),
}

struct PipeSource {
    pipe: Arc<BodyPipe>,
    shared: Handle,
    conn: ConnId,
    continue_due: bool,
}

struct Reader {
    buffer: Vec<u8>,
    at: usize,
    source: Source,
}

/// The body of one request.
#[pyclass(frozen, module = "hostler._engine")]
pub struct BodyInput {
    reader: Mutex<Reader>,
}

impl BodyInput {
    /// The input of a request without a body.
    pub(super) fn empty() -> Self {
        Self::over(Vec::new(), Source::End)
    }

    pub(super) fn new(body: Body, start_response: &Bound<'_, StartResponse>) -> PyResult<Self> {
        Ok(match body {
            Body::Empty => Self::empty(),
            Body::Memory(bytes) => Self::over(bytes, Source::End),
            Body::File(mut file, _) => {
                file.rewind()?;
                Self::over(Vec::new(), Source::File(file))
            }
            Body::Pipe(pipe) => {
                let exchange = start_response.get().exchange()?;
                let (shared, conn) = (Arc::clone(&exchange.shared), exchange.conn);
                let continue_due = pipe.expects_continue;
                Self::over(
                    Vec::new(),
                    Source::Pipe(PipeSource {
                        pipe,
                        shared,
                        conn,
                        continue_due,
                    }),
                )
            }
        })
    }

    fn over(buffer: Vec<u8>, source: Source) -> Self {
        Self {
            reader: Mutex::new(Reader {
                buffer,
                at: 0,
                source,
            }),
        }
    }

    /// Tried and never waited for, as a thread that reads may be waiting for the interpreter that we hold.
    fn reader(&self) -> PyResult<MutexGuard<'_, Reader>> {
        match self.reader.try_lock() {
            Ok(guard) => Ok(guard),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Err(PyRuntimeError::new_err(
                "another thread is reading this request body",
            )),
        }
    }
}

#[pymethods]
impl BodyInput {
    /// Up to `size` bytes; all that is left if `size` is negative or missing. Fewer only at the end of the body.
    #[pyo3(signature = (size=None, /))]
    fn read<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        self.reader()?.read(py, limit(size))
    }

    /// One line with its end, or up to `size` bytes of it.
    #[pyo3(signature = (size=None, /))]
    fn readline<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        self.reader()?.read_line(py, limit(size))
    }

    /// The lines that are left, or as many as it takes to reach `hint` bytes.
    #[pyo3(signature = (hint=None, /))]
    fn readlines<'py>(&self, py: Python<'py>, hint: Option<isize>) -> PyResult<Bound<'py, PyList>> {
        let lines = PyList::empty(py);
        let enough = match hint {
            Some(hint) if hint > 0 => usize::try_from(hint).unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        let mut reader = self.reader()?;
        let mut total = 0;
        while total < enough {
            let line = reader.read_line(py, usize::MAX)?;
            let length = line.as_bytes().len();
            if length == 0 {
                break;
            }
            total += length;
            lines.append(line)?;
        }
        Ok(lines)
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = self.reader()?.read_line(py, usize::MAX)?;
        Ok(if line.as_bytes().is_empty() {
            None
        } else {
            Some(line)
        })
    }

    /// Nothing to close: the body goes away with the request. Here for code that closes what it reads.
    #[expect(clippy::unused_self, reason = "a method for Python")]
    fn close(&self) {}

    /// True, as for a file opened for reading.
    #[expect(clippy::unused_self, reason = "a method for Python")]
    fn readable(&self) -> bool {
        true
    }
}

fn limit(size: Option<isize>) -> usize {
    size.and_then(|size| usize::try_from(size).ok())
        .unwrap_or(usize::MAX)
}

impl Reader {
    fn held(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    fn take<'py>(&mut self, py: Python<'py>, count: usize) -> Bound<'py, PyBytes> {
        let count = count.min(self.held().len());
        let bytes = PyBytes::new(py, &self.held()[..count]);
        self.at += count;
        bytes
    }

    fn read<'py>(&mut self, py: Python<'py>, size: usize) -> PyResult<Bound<'py, PyBytes>> {
        while self.held().len() < size && self.refill(py)? {}
        Ok(self.take(py, size))
    }

    fn read_line<'py>(&mut self, py: Python<'py>, size: usize) -> PyResult<Bound<'py, PyBytes>> {
        let mut searched = 0;
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.held()[searched..]) {
                return Ok(self.take(py, (searched + end + 1).min(size)));
            }
            searched = self.held().len();
            if searched >= size || !self.refill(py)? {
                return Ok(self.take(py, size));
            }
        }
    }

    /// Adds bytes to the buffer; `false` at the end of the body.
    fn refill(&mut self, py: Python<'_>) -> PyResult<bool> {
        if matches!(self.source, Source::End) {
            return Ok(false);
        }
        // What was taken is let go before more is fetched, so that a body read in pieces needs memory for a piece.
        self.buffer.drain(..self.at);
        self.at = 0;
        let more = match &mut self.source {
            Source::End => false,
            Source::File(file) => {
                let buffer = &mut self.buffer;
                py.detach(|| file.take(PORTION as u64).read_to_end(buffer))? > 0
            }
            Source::Pipe(source) => source.pour(py, &mut self.buffer)?,
        };
        if !more {
            self.source = Source::End;
        }
        Ok(more)
    }
}

impl PipeSource {
    fn pour(&mut self, py: Python<'_>, buffer: &mut Vec<u8>) -> PyResult<bool> {
        if std::mem::take(&mut self.continue_due) && self.pipe.is_waiting() {
            self.shared.order(Command::ResumeBody(self.conn, true));
        }
        loop {
            let (poured, makes_room) = self.pipe.take(PORTION);
            if makes_room {
                self.shared.order(Command::ResumeBody(self.conn, false));
            }
            match poured {
                Poured::Bytes(bytes) => {
                    buffer.extend_from_slice(&bytes);
                    return Ok(true);
                }
                Poured::End => return Ok(false),
                Poured::Fault(fault) => return Err(error_of(fault)),
                Poured::Empty => {
                    let pipe = &self.pipe;
                    wait_until(
                        py,
                        &self.shared,
                        || !pipe.is_waiting(),
                        |timeout| pipe.wait_for(timeout),
                    );
                }
            }
        }
    }
}

/// An `OSError` in each case, which frameworks know as "the client's body cannot be read".
fn error_of(fault: BodyFault) -> PyErr {
    match fault {
        BodyFault::Disconnected => PyConnectionResetError::new_err(
            "the client closed the connection before the request body was complete",
        ),
        BodyFault::TimedOut => {
            PyTimeoutError::new_err("the client did not send its request body in time")
        }
        BodyFault::Abandoned => {
            PyOSError::new_err("the response ended before the request body was read")
        }
        BodyFault::Invalid(refusal) => {
            PyOSError::new_err(format!("the request body is invalid: {}", refusal.reason))
        }
    }
}
