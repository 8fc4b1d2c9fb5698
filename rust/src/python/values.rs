//! Python values in text: bytes as native strings, and what messages show of a value.

use pyo3::prelude::*;
use pyo3::types::PyString;

/// The longest part of a value's `repr` that a message shows, in characters. Arbitrary: a line of a terminal.
const SHOWN: usize = 80;

/// A short form of a value, for messages.
pub(super) fn shown(value: &Bound<'_, PyAny>) -> String {
    let text = value.repr().map_or_else(
        |_| "?".to_owned(),
        |repr| repr.to_string_lossy().into_owned(),
    );
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// The name of a value's type, for messages.
pub(super) fn type_name(value: &Bound<'_, PyAny>) -> String {
    value
        .get_type()
        .name()
        .map_or_else(|_| "?".to_owned(), |name| name.to_string())
}

/// Bytes as a native string (PEP 3333 "Unicode Issues"): each byte is the character of the same number.
pub(super) fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    if bytes.is_ascii() {
        // SAFETY: ASCII is valid UTF-8.
        return PyString::new(py, unsafe { std::str::from_utf8_unchecked(bytes) });
    }
    let text: String = bytes.iter().map(|byte| *byte as char).collect();
    PyString::new(py, &text)
}

/// A method as a string, one object for each of the common ones.
pub(super) fn method<'py>(py: Python<'py>, method: &[u8]) -> Bound<'py, PyString> {
    use pyo3::intern;
    match method {
        b"GET" => intern!(py, "GET").clone(),
        b"POST" => intern!(py, "POST").clone(),
        b"HEAD" => intern!(py, "HEAD").clone(),
        b"PUT" => intern!(py, "PUT").clone(),
        b"DELETE" => intern!(py, "DELETE").clone(),
        b"PATCH" => intern!(py, "PATCH").clone(),
        b"OPTIONS" => intern!(py, "OPTIONS").clone(),
        other => latin1(py, other),
    }
}
