//! What the control plane is told, through its hooks: lines for the server log, and exceptions of the application.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::conn::Request;
use crate::request_id::ID_LEN;

use super::shared::Shared;

/// Levels of Python's `logging`.
const WARNING: u8 = 30;
const ERROR: u8 = 40;

/// The id of a request that may be gone. Those that are made here need no allocation.
pub(super) enum RequestName {
    Made([u8; ID_LEN]),
    Given(Box<[u8]>),
}

impl RequestName {
    pub(super) fn of(request: &Request) -> Self {
        match <[u8; ID_LEN]>::try_from(request.id.as_slice()) {
            Ok(made) => Self::Made(made),
            Err(_) => Self::Given(request.id.as_slice().into()),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Made(made) => made,
            Self::Given(given) => given,
        }
    }
}

/// What the control plane is told of a request, for its logs and pages.
#[derive(Debug, Default)]
pub(super) struct About {
    id: Box<str>,
    method: Box<str>,
    path: Box<str>,
    client: Box<str>,
    interface: &'static str,
}

impl About {
    /// Names a request that came through `interface`.
    pub(super) fn new(request: &Request, interface: &'static str) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into();
        let client = request.peer.ip();
        Self {
            id: text(&request.id),
            method: text(request.method()),
            path: text(request.head.path.of(&request.bytes)),
            client: client
                .map_or_else(String::new, |ip| ip.to_string())
                .into_boxed_str(),
            interface,
        }
    }

    /// Names a request by its scope and its id, when it is not at hand any more.
    pub(super) fn from_scope(
        scope: &Bound<'_, PyDict>,
        id: &RequestName,
        interface: &'static str,
    ) -> Self {
        let text = |key: &str| {
            let value = scope.get_item(key).ok().flatten();
            value
                .filter(|value| !value.is_none())
                .map_or_else(String::new, |value| value.to_string())
                .into_boxed_str()
        };
        let client = scope
            .get_item("client")
            .ok()
            .flatten()
            .and_then(|client| client.get_item(0).ok());
        Self {
            id: String::from_utf8_lossy(id.bytes()).into(),
            method: if interface == "websocket" {
                "GET".into()
            } else {
                text("method")
            },
            path: text("path"),
            client: client
                .map_or_else(String::new, |client| client.to_string())
                .into_boxed_str(),
            interface,
        }
    }

    /// Id, method and path.
    pub(super) fn parts(&self) -> [&str; 3] {
        [&self.id, &self.method, &self.path]
    }

    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let about = PyDict::new(py);
        about.set_item("id", &*self.id)?;
        about.set_item("method", &*self.method)?;
        about.set_item("path", &*self.path)?;
        about.set_item("client", &*self.client)?;
        about.set_item("interface", self.interface)?;
        Ok(about)
    }
}

/// Tells the control plane of an exception; returns the page that it wants to be shown.
pub(super) fn log_failure(
    py: Python<'_>,
    shared: &Shared,
    about: Option<&About>,
    error: &PyErr,
) -> Option<Vec<u8>> {
    shared.scoreboard.fail();
    // Before 3.12 only this gives the exception its traceback; `value` leaves it apart.
    let raised = error.clone_ref(py).into_value(py);
    let told = about
        .map_or_else(|| Ok(PyDict::new(py)), |about| about.to_dict(py))
        .and_then(|about| {
            shared
                .hooks
                .bind(py)
                .call_method1(intern!(py, "application_failed"), (raised, about))
        });
    match told.and_then(|page| page.extract::<Option<Vec<u8>>>()) {
        Ok(page) => page,
        Err(trouble) => {
            trouble.write_unraisable(py, None);
            None
        }
    }
}

/// Passes a line to the server log.
fn log(py: Python<'_>, shared: &Shared, level: u8, line: &str) {
    if let Err(trouble) = shared
        .hooks
        .bind(py)
        .call_method1(intern!(py, "log"), (level, line))
    {
        trouble.write_unraisable(py, None);
    }
}

/// Passes a line to the server log as a warning.
pub(super) fn warn(py: Python<'_>, shared: &Shared, line: &str) {
    log(py, shared, WARNING, line);
}

/// Passes a line to the server log as an error.
pub(super) fn log_error(py: Python<'_>, shared: &Shared, line: &str) {
    log(py, shared, ERROR, line);
}

/// Names a request in a line of the log.
pub(super) fn described(request: &Request) -> String {
    format!(
        "{} {} (request {})",
        String::from_utf8_lossy(request.method()),
        String::from_utf8_lossy(request.head.target.of(&request.bytes)),
        String::from_utf8_lossy(&request.id)
    )
}
