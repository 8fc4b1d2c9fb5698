//! What the access log asks of environs and scopes.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt};

use crate::access_log::{Needs, OwnField};
use crate::conn::Request;

/// Where applications find the dictionary for fields of their own.
pub const OWN_FIELDS: &str = "hostler.log";

/// More of them are left out, and longer texts are cut, so that a line stays one. Arbitrary.
const MAX_FIELDS: usize = 32;
const MAX_TEXT: usize = 1_024;

/// What is taken from the environ or scope of a request that has ended.
#[derive(Debug, Default)]
pub(super) struct Logged {
    names: Vec<String>,
    own: bool,
}

impl Logged {
    /// As the log's format needs it.
    pub(super) fn new(needs: &Needs) -> Self {
        Self {
            names: needs.environ.clone(),
            own: needs.own,
        }
    }

    /// Whether there is nothing to take.
    pub(super) fn is_nothing(&self) -> bool {
        self.names.is_empty() && !self.own
    }

    /// Puts the dictionary for the application's fields where it finds it.
    pub(super) fn offer(&self, py: Python<'_>, mapping: &Bound<'_, PyDict>) -> PyResult<()> {
        if self.own {
            mapping.set_item(intern!(py, "hostler.log"), PyDict::new(py))?;
        }
        Ok(())
    }

    /// Keeps what the log asks for.
    pub(super) fn note(&self, request: &mut Request, mapping: &Bound<'_, PyDict>) {
        for name in &self.names {
            if let Ok(Some(value)) = mapping.get_item(name) {
                request
                    .environ
                    .push((name.clone(), value.to_string().into_bytes()));
            }
        }
        if !self.own {
            return;
        }
        let Ok(Some(fields)) = mapping.get_item(OWN_FIELDS) else {
            return;
        };
        // Whatever else the application has put there is not ours to understand.
        if let Ok(fields) = fields.cast_into::<PyDict>() {
            for (name, value) in fields.iter().take(MAX_FIELDS) {
                request.own_fields.push(own_field(&name, &value));
            }
        }
    }
}

fn own_field(name: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> OwnField {
    let is_bool = value.is_instance_of::<PyBool>();
    let is_number = value.is_instance_of::<PyInt>()
        || value
            .cast::<PyFloat>()
            .is_ok_and(|number| number.value().is_finite());
    let mut text = cut(&value.to_string());
    if is_bool {
        text.make_ascii_lowercase();
    }
    OwnField {
        name: cut(&name.to_string()),
        is_plain: is_bool || (is_number && text.len() < MAX_TEXT),
        value: text,
    }
}

fn cut(text: &str) -> Vec<u8> {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.as_bytes()[..end].to_vec()
}
