//! The files that an application names in its messages.

use std::fs::File;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;

use crate::python::response::FilePart;

use super::message::Message;

/// `http.response.pathsend`.
pub(super) fn open_path(py: Python<'_>, message: &Message<'_>) -> PyResult<FilePart> {
    let path = message
        .text(intern!(py, "path"))?
        .ok_or_else(|| message.missing("path"))?;
    let path: PathBuf = path.extract()?;
    let name = path.to_string_lossy();
    // Looked at first: to open a pipe would wait for its writer.
    let about = std::fs::metadata(&path).map_err(|error| naming(error, &name))?;
    if !about.is_file() {
        return Err(PyOSError::new_err(format!("{name} is not a regular file")));
    }
    let file = File::open(&path).map_err(|error| naming(error, &name))?;
    let length = file.metadata()?.len();
    Ok(FilePart {
        file,
        offset: 0,
        length,
    })
}

fn naming(error: std::io::Error, path: &str) -> PyErr {
    match error.raw_os_error() {
        Some(number) => PyOSError::new_err((number, error.to_string(), path.to_owned())),
        None => error.into(),
    }
}

/// `http.response.zerocopysend`: a file object, from an offset or where it stands, and how much of it.
pub(super) fn borrow_file(py: Python<'_>, message: &Message<'_>) -> PyResult<FilePart> {
    let object = message
        .get(intern!(py, "file"))?
        .ok_or_else(|| message.missing("file"))?;
    let number: i32 = object.call_method0(intern!(py, "fileno"))?.extract()?;
    if number < 0 {
        return Err(PyValueError::new_err(
            "the file of the ASGI message is closed",
        ));
    }
    // SAFETY: the file object is alive and owns the descriptor; the borrow lasts for one system call.
    let file = File::from(unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned()?);
    if !file.metadata()?.is_file() {
        return Err(PyOSError::new_err(
            "the file of the ASGI message \"http.response.zerocopysend\" is not a regular file",
        ));
    }
    let told = message.integer(intern!(py, "offset"))?;
    let offset = match told {
        Some(offset) => offset,
        None => object.call_method0(intern!(py, "tell"))?.extract()?,
    };
    let left = file.metadata()?.len().saturating_sub(offset);
    let length = match message.integer(intern!(py, "count"))? {
        Some(count) => count.min(left),
        None => left,
    };
    if told.is_none() {
        // As if it had been read.
        object.call_method1(intern!(py, "seek"), (offset + length,))?;
    }
    Ok(FilePart {
        file,
        offset,
        length,
    })
}
