//! `wsgi.file_wrapper` (PEP 3333 "Optional Platform-Specific File Handling").

use std::fs::File;
use std::os::fd::{BorrowedFd, RawFd};

use pyo3::intern;
use pyo3::prelude::*;

use crate::python::response::FilePart;

/// An iterable over a file-like object, which the server sends from the file itself if there is one.
#[pyclass(frozen, module = "hostler._engine")]
pub struct FileWrapper {
    filelike: Py<PyAny>,
    block_size: usize,
}

#[pymethods]
impl FileWrapper {
    #[new]
    #[pyo3(signature = (filelike, blksize=8192, /))]
    fn new(filelike: Py<PyAny>, blksize: usize) -> Self {
        Self {
            filelike,
            block_size: blksize.max(1),
        }
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let data = self
            .filelike
            .bind(py)
            .call_method1(intern!(py, "read"), (self.block_size,))?;
        Ok(if data.is_truthy()? { Some(data) } else { None })
    }

    /// Closes the file-like object, if it can be closed.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let filelike = self.filelike.bind(py);
        if filelike.hasattr(intern!(py, "close"))? {
            filelike.call_method0(intern!(py, "close"))?;
        }
        Ok(())
    }
}

impl FileWrapper {
    /// The regular file behind the file-like object, from its present position to its end; `None` if it has none.
    pub(super) fn regular_file(&self, py: Python<'_>) -> Option<FilePart> {
        let filelike = self.filelike.bind(py);
        // Only Python's own files read what their descriptor reads; a GzipFile has one too, and means other bytes.
        let io = py.import(intern!(py, "io")).ok()?;
        let is_file = ["FileIO", "BufferedReader", "BufferedRandom"]
            .iter()
            .any(|name| {
                io.getattr(*name)
                    .and_then(|kind| filelike.is_instance(&kind))
                    .unwrap_or(false)
            });
        if !is_file {
            return None;
        }
        let fd: RawFd = filelike
            .call_method0(intern!(py, "fileno"))
            .ok()?
            .extract()
            .ok()?;
        let offset: u64 = filelike
            .call_method0(intern!(py, "tell"))
            .ok()?
            .extract()
            .ok()?;
        if fd < 0 {
            return None;
        }
        // SAFETY: the file-like object owns the descriptor and is alive; the borrow lasts for one system call.
        let file = File::from(
            unsafe { BorrowedFd::borrow_raw(fd) }
                .try_clone_to_owned()
                .ok()?,
        );
        let about = file.metadata().ok()?;
        about.is_file().then(|| FilePart {
            file,
            offset,
            length: about.len().saturating_sub(offset),
        })
    }
}
