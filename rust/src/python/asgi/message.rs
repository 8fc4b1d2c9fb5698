//! Messages from the application (ASGI "Events"): what is in them, and what is wrong with them.

use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyInt, PyList, PyMemoryView, PyString, PyTuple,
};

use crate::codec::http1::{FieldFault, FieldKind, ResponseFields, phrase_of, write_field};
use crate::python::deadline::due_in;
use crate::python::response::{Response, Started};
use crate::python::values::{shown, type_name};
use crate::time::Millis;

/// A message, and its type.
pub(super) struct Message<'py> {
    dict: Bound<'py, PyDict>,
    kind: Bound<'py, PyString>,
}

impl<'py> Message<'py> {
    /// Takes what the application passed to `send()`.
    pub(super) fn new(value: &Bound<'py, PyAny>) -> PyResult<Self> {
        let py = value.py();
        let dict = match value.cast::<PyDict>() {
            Ok(dict) => dict.clone(),
            Err(_) => mapping(value)?,
        };
        let kind = dict.get_item(intern!(py, "type"))?.ok_or_else(|| {
            PyValueError::new_err(format!(
                "an ASGI message must have a \"type\", and this has none: {}",
                shown(value)
            ))
        })?;
        let kind = kind.cast_into::<PyString>().map_err(|error| {
            let kind = error.into_inner();
            PyTypeError::new_err(format!(
                "the \"type\" of an ASGI message must be a str, not {}: {}",
                type_name(&kind),
                shown(&kind)
            ))
        })?;
        Ok(Self { dict, kind })
    }

    /// The type.
    pub(super) fn kind(&self) -> PyResult<&str> {
        self.kind.to_str()
    }

    /// The error for a message that cannot come now. `expected` is what can.
    pub(super) fn unexpected(&self, expected: &str) -> PyErr {
        PyRuntimeError::new_err(format!(
            "the application sent the ASGI message \"{}\"; expected {expected}",
            self.kind.to_string_lossy()
        ))
    }

    fn wrong_type(&self, key: &str, wanted: &str, value: &Bound<'_, PyAny>) -> PyErr {
        PyTypeError::new_err(format!(
            "\"{key}\" of the ASGI message \"{}\" must be {wanted}, not {}: {}",
            self.kind.to_string_lossy(),
            type_name(value),
            shown(value)
        ))
    }

    pub(super) fn missing(&self, key: &str) -> PyErr {
        PyValueError::new_err(format!(
            "the ASGI message \"{}\" has no \"{key}\"",
            self.kind.to_string_lossy()
        ))
    }

    /// The value of a key, with `None` as good as none.
    pub(super) fn get(&self, key: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.dict.get_item(key)?.filter(|value| !value.is_none()))
    }

    /// A flag, off if it is not there.
    pub(super) fn flag(&self, key: &Bound<'py, PyString>) -> PyResult<bool> {
        let Some(value) = self.dict.get_item(key)? else {
            return Ok(false);
        };
        match value.cast::<PyBool>() {
            Ok(flag) => Ok(flag.is_true()),
            Err(_) if value.is_none() => Ok(false),
            Err(_) => Err(self.wrong_type(key.to_str()?, "a bool", &value)),
        }
    }

    /// The moment that the "seconds" of the message "hostler.deadline" mean; none of them takes a deadline away.
    pub(super) fn due(&self) -> PyResult<Millis> {
        let seconds = self.get(intern!(self.dict.py(), "seconds"))?;
        due_in(seconds.map(|seconds| seconds.extract()).transpose()?)
    }

    /// Bytes, if they are there.
    pub(super) fn bytes(
        &self,
        key: &Bound<'py, PyString>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let Some(value) = self.dict.get_item(key)? else {
            return Ok(None);
        };
        match value.cast_into::<PyBytes>() {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) => {
                let value = error.into_inner();
                if value.is_none() {
                    return Ok(None);
                }
                copied(&value)?
                    .ok_or_else(|| self.wrong_type(&key.to_string_lossy(), "bytes", &value))
                    .map(Some)
            }
        }
    }

    /// Text, if it is there.
    pub(super) fn text(
        &self,
        key: &Bound<'py, PyString>,
    ) -> PyResult<Option<Bound<'py, PyString>>> {
        let Some(value) = self.get(key)? else {
            return Ok(None);
        };
        value
            .cast_into::<PyString>()
            .map(Some)
            .map_err(|error| self.wrong_type(&key.to_string_lossy(), "a str", &error.into_inner()))
    }

    /// A whole number, if it is there.
    pub(super) fn integer(&self, key: &Bound<'py, PyString>) -> PyResult<Option<u64>> {
        let Some(value) = self.get(key)? else {
            return Ok(None);
        };
        // `http.HTTPStatus` is an int.
        if value.cast::<PyInt>().is_err() || value.cast::<PyBool>().is_ok() {
            return Err(self.wrong_type(&key.to_string_lossy(), "an int", &value));
        }
        value.extract().map(Some).map_err(|_| {
            PyValueError::new_err(format!(
                "\"{}\" of the ASGI message \"{}\" is out of range: {}",
                key.to_string_lossy(),
                self.kind.to_string_lossy(),
                shown(&value)
            ))
        })
    }

    /// Calls `take` with each name and value of a key that holds headers.
    pub(super) fn each_header(
        &self,
        key: &Bound<'py, PyString>,
        mut take: impl FnMut(&[u8], &[u8]) -> PyResult<()>,
    ) -> PyResult<()> {
        let Some(headers) = self.get(key)? else {
            return Ok(());
        };
        if let Ok(list) = headers.cast::<PyList>() {
            for pair in list.iter() {
                self.header(&pair, &mut take)?;
            }
            return Ok(());
        }
        if headers.cast::<PyString>().is_ok()
            || headers.cast::<PyBytes>().is_ok()
            || headers.cast::<PyDict>().is_ok()
        {
            return Err(self.wrong_headers(&headers));
        }
        for pair in headers
            .try_iter()
            .map_err(|_| self.wrong_headers(&headers))?
        {
            self.header(&pair?, &mut take)?;
        }
        Ok(())
    }

    fn header(
        &self,
        pair: &Bound<'py, PyAny>,
        take: &mut impl FnMut(&[u8], &[u8]) -> PyResult<()>,
    ) -> PyResult<()> {
        let (name, value) = if let Ok(pair) = pair.cast::<PyTuple>() {
            if pair.len() != 2 {
                return Err(self.wrong_headers(pair));
            }
            (pair.get_item(0)?, pair.get_item(1)?)
        } else {
            let items: Vec<Bound<'py, PyAny>> =
                pair.extract().map_err(|_| self.wrong_headers(pair))?;
            match <[_; 2]>::try_from(items) {
                Ok([name, value]) => (name, value),
                Err(_) => return Err(self.wrong_headers(pair)),
            }
        };
        let name_bytes = name
            .cast::<PyBytes>()
            .map_err(|_| self.wrong_type("headers", "pairs of bytes", &name))?;
        let value_bytes = value
            .cast::<PyBytes>()
            .map_err(|_| self.wrong_type("headers", "pairs of bytes", &value))?;
        take(name_bytes.as_bytes(), value_bytes.as_bytes())
    }

    fn wrong_headers(&self, value: &Bound<'_, PyAny>) -> PyErr {
        self.wrong_type("headers", "an iterable of pairs of bytes", value)
    }

    /// Status and headers: of a response, or of one that denies a WebSocket.
    pub(super) fn started(&self, response: &Response) -> PyResult<(Started, bool)> {
        let py = self.dict.py();
        let status = self
            .integer(intern!(py, "status"))?
            .ok_or_else(|| self.missing("status"))?;
        let status = u16::try_from(status)
            .ok()
            .filter(|status| (200..1_000).contains(status))
            .ok_or_else(|| {
                PyValueError::new_err(format!(
                    "\"status\" of the ASGI message \"{}\" must be from 200 to 999, not {status}",
                    self.kind.to_string_lossy()
                ))
            })?;
        let mut head = Vec::with_capacity(512);
        write_status(&mut head, response, status);
        let mut fields = ResponseFields::default();
        let mut closes = false;
        self.each_header(intern!(py, "headers"), |name, value| {
            match fields.add(name, value) {
                Ok(FieldKind::ContentLength(_)) => {}
                Ok(_) if response.is_reserved(name) => {}
                Ok(_) => write_field(&mut head, name, value),
                Err(error) if error.fault == FieldFault::HopByHop => {
                    if name.eq_ignore_ascii_case(b"trailer") && !response.is_for_gateway() {
                        // It announces the application's own trailers.
                        write_field(&mut head, name, value);
                    }
                    // The connection is the server's; the wish to end it is granted.
                    closes |= name.eq_ignore_ascii_case(b"connection")
                        && value.to_ascii_lowercase().ends_with(b"close");
                }
                Err(error) => return Err(PyValueError::new_err(error.to_string())),
            }
            Ok(())
        })?;
        Ok((
            Started {
                status,
                head,
                fields,
            },
            closes,
        ))
    }
}

/// A message that is a mapping of another kind, as a dict.
fn mapping<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let py = value.py();
    let dict = PyDict::new(py);
    if value.hasattr(intern!(py, "keys"))? {
        dict.update(value.cast()?)?;
        return Ok(dict);
    }
    Err(PyTypeError::new_err(format!(
        "an ASGI message must be a dict, not {}: {}",
        type_name(value),
        shown(value)
    )))
}

/// What is as good as bytes, copied.
fn copied<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyBytes>>> {
    if let Ok(array) = value.cast::<PyByteArray>() {
        return Ok(Some(PyBytes::new(value.py(), &array.to_vec())));
    }
    if value.cast::<PyMemoryView>().is_ok() {
        let bytes = value.call_method0(intern!(value.py(), "tobytes"))?;
        return Ok(Some(bytes.cast_into()?));
    }
    Ok(None)
}

/// Writes the status line.
fn write_status(head: &mut Vec<u8>, response: &Response, status: u16) {
    if status == 200 {
        response.write_status(head, b"200 OK");
        return;
    }
    let mut text = itoa::Buffer::new().format(status).as_bytes().to_vec();
    if let Some(phrase) = phrase_of(status) {
        text.push(b' ');
        text.extend_from_slice(phrase.as_bytes());
    }
    response.write_status(head, &text);
}
