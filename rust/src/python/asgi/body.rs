//! A request's body as the application receives it: portion by portion, wherever it is kept.

use std::fs::File;
use std::io::{Read, Seek};
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::conn::{Body, BodyFault, BodyPipe, ConnId, Poured};

use super::shared::AsgiShared;

/// Bytes of a body in one message. As large as the reactor's own reads.
const PORTION: usize = 65_536;

/// What there is of a body at the moment.
pub(super) enum Portion<'py> {
    /// Bytes, perhaps none, and whether more are to come.
    Bytes(Bound<'py, PyBytes>, bool),
    /// Nothing yet.
    Awaited,
    /// The rest will never come.
    Lost(BodyFault),
    /// All of it was taken before.
    Over,
}

/// The rest of a body.
pub(super) enum RequestBody {
    /// The last portion was taken.
    Over,
    Memory(Vec<u8>),
    /// A file that is still to be rewound, if that is set, and how many bytes are left in it.
    File(File, u64, bool),
    /// The flag is whether the client waits to be asked for it.
    Pipe(Arc<BodyPipe>, bool),
}

impl RequestBody {
    pub(super) fn new(body: Body) -> Self {
        match body {
            Body::Empty => Self::Memory(Vec::new()),
            Body::Memory(bytes) => Self::Memory(bytes),
            Body::File(file, length) => Self::File(file, length, true),
            Body::Pipe(pipe) => {
                let is_held_back = pipe.expects_continue;
                Self::Pipe(pipe, is_held_back)
            }
        }
    }

    /// Takes the next portion.
    pub(super) fn take<'py>(
        &mut self,
        py: Python<'py>,
        asgi: &AsgiShared,
        conn: ConnId,
    ) -> PyResult<Portion<'py>> {
        let portion = match self {
            Self::Over => Portion::Over,
            Self::Memory(bytes) => Portion::Bytes(PyBytes::new(py, bytes), false),
            Self::File(file, left, is_to_rewind) => {
                if std::mem::take(is_to_rewind) {
                    file.rewind()?;
                }
                read(py, file, left)?
            }
            Self::Pipe(pipe, is_held_back) => pour(py, asgi, conn, pipe, is_held_back)?,
        };
        if matches!(portion, Portion::Bytes(_, false)) {
            *self = Self::Over;
        }
        Ok(portion)
    }
}

fn read<'py>(py: Python<'py>, file: &mut File, left: &mut u64) -> PyResult<Portion<'py>> {
    let mut portion = Vec::with_capacity(PORTION);
    file.take(PORTION as u64).read_to_end(&mut portion)?;
    *left = left.saturating_sub(portion.len() as u64);
    let more = *left > 0 && !portion.is_empty();
    Ok(Portion::Bytes(PyBytes::new(py, &portion), more))
}

fn pour<'py>(
    py: Python<'py>,
    asgi: &AsgiShared,
    conn: ConnId,
    pipe: &BodyPipe,
    is_held_back: &mut bool,
) -> PyResult<Portion<'py>> {
    if std::mem::take(is_held_back) && pipe.is_waiting() {
        asgi.resume_body(conn, true)?;
    }
    let (poured, makes_room) = pipe.take(PORTION);
    if makes_room {
        asgi.resume_body(conn, false)?;
    }
    Ok(match poured {
        Poured::Bytes(bytes) => Portion::Bytes(PyBytes::new(py, &bytes), !pipe.is_complete()),
        Poured::End => Portion::Bytes(PyBytes::new(py, b""), false),
        Poured::Empty => Portion::Awaited,
        Poured::Fault(fault) => Portion::Lost(fault),
    })
}
