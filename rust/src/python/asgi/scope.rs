//! The scope of a connection (ASGI "HTTP Connection Scope", "WebSocket Connection Scope"): a copy of a template per
//! listener and kind, then what the request says.
//!
//! The template has every key that each scope has, so that filling in a copy replaces values and never makes the
//! dictionary grow. What an application could change (`extensions`, `asgi`,
//! `state`) is a copy of its own.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use super::tls::Certificates;
use crate::codec::http1::path::decode_path;
use crate::codec::http1::{Refusal, Version};
use crate::conn::Request;
use crate::net::{Listener, ListenerKind, Peer};
use crate::python::fields::{Addresses, Names, Underscores};
use crate::python::mounts::{Mount, Mounts};
use crate::python::proxied;
use crate::python::settings::EngineSettings;
use crate::python::values::{latin1, method};
use crate::python::wsgi::NOT_FOUND;

/// The version of the HTTP and WebSocket protocols of ASGI that is spoken here.
const SPEC_VERSION: &str = "2.5";

/// The key of a header in the scope.
struct ScopeKey {
    name: Py<PyBytes>,
    is_host: bool,
}

/// The two kinds of scopes with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScopeKind {
    Http,
    WebSocket,
}

struct Templates {
    http: Py<PyDict>,
    websocket: Py<PyDict>,
}

/// Makes scopes.
pub(super) struct ScopeBuilder {
    /// One for each listener.
    templates: Vec<Templates>,
    versions: Py<PyDict>,
    http_extensions: Py<PyDict>,
    /// Through a web server in front, whose protocol has no place for the others.
    gateway_extensions: Py<PyDict>,
    websocket_extensions: Py<PyDict>,
    state: Py<PyDict>,
    names: Names<ScopeKey>,
    addresses: Addresses,
    certificates: Certificates,
    underscores: Underscores,
    path: Vec<u8>,
}

impl ScopeBuilder {
    pub(super) fn new(
        py: Python<'_>,
        settings: &EngineSettings,
        listeners: &[Listener],
        state: Option<Py<PyDict>>,
    ) -> PyResult<Self> {
        let versions = PyDict::new(py);
        versions.set_item("version", "3.0")?;
        versions.set_item("spec_version", SPEC_VERSION)?;
        let mut gateway = vec![
            "http.response.pathsend",
            "http.response.zerocopysend",
            "hostler.deadline",
        ];
        if settings.debug_extension {
            gateway.push("http.response.debug");
        }
        let mut http = gateway.clone();
        http.extend(["http.response.early_hint", "http.response.trailers"]);
        let templates = listeners
            .iter()
            .map(|listener| {
                Ok(Templates {
                    http: template(py, listener, ScopeKind::Http)?.unbind(),
                    websocket: template(py, listener, ScopeKind::WebSocket)?.unbind(),
                })
            })
            .collect::<PyResult<_>>()?;
        Ok(Self {
            templates,
            versions: versions.unbind(),
            http_extensions: extensions(py, &http)?.unbind(),
            gateway_extensions: extensions(py, &gateway)?.unbind(),
            websocket_extensions: extensions(py, &["websocket.http.response", "hostler.deadline"])?
                .unbind(),
            state: state.unwrap_or_else(|| PyDict::new(py).unbind()),
            names: Names::new(),
            addresses: Addresses::default(),
            certificates: Certificates::default(),
            underscores: Underscores::from_setting(&settings.underscore_headers),
            path: Vec::new(),
        })
    }

    /// Finds who serves the path of `request`; the decoded path stays for `build`.
    pub(super) fn find<'mounts>(
        &mut self,
        mounts: &'mounts Mounts,
        request: &Request,
    ) -> Result<(&'mounts Mount, usize), Refusal> {
        self.path.clear();
        decode_path(request.head.path.of(&request.bytes), &mut self.path)?;
        let place = mounts.find(&self.path).ok_or(NOT_FOUND)?;
        Ok((place.mount, place.root))
    }

    /// The decoded path that `find` has last looked at.
    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    /// The scope of `request`, whose path `find` has just looked at.
    ///
    /// # Errors
    /// `Err` of the outer result is an error of Python's (out of memory); of the inner one, a request to be refused.
    pub(super) fn build<'py>(
        &mut self,
        py: Python<'py>,
        request: &Request,
        kind: ScopeKind,
        mount: &Mount,
        root: usize,
    ) -> PyResult<Result<Bound<'py, PyDict>, Refusal>> {
        let templates = &self.templates[request.listener];
        let (template, extensions) = match kind {
            ScopeKind::Http if request.dialect().is_some() => {
                (&templates.http, &self.gateway_extensions)
            }
            ScopeKind::Http => (&templates.http, &self.http_extensions),
            ScopeKind::WebSocket => (&templates.websocket, &self.websocket_extensions),
        };
        let scope = template.bind(py).copy()?;
        scope.set_item(intern!(py, "asgi"), self.versions.bind(py).copy()?)?;
        let extensions = extensions.bind(py).copy()?;
        if request.proxied.is_some() {
            proxied::set_extensions(&extensions, request)?;
        }
        if let Some(facts) = &request.tls {
            let tls = self.certificates.extension(py, facts)?;
            extensions.set_item(intern!(py, "tls"), tls)?;
        }
        scope.set_item(intern!(py, "extensions"), extensions)?;
        scope.set_item(intern!(py, "state"), self.state.bind(py).copy()?)?;
        if kind == ScopeKind::Http {
            scope.set_item(intern!(py, "method"), method(py, request.method()))?;
        }
        match request.head.version {
            Version::Http11 => {}
            Version::Http10 => scope.set_item(intern!(py, "http_version"), intern!(py, "1.0"))?,
            Version::Http2 => scope.set_item(intern!(py, "http_version"), intern!(py, "2"))?,
        }
        self.set_path(&scope, request, mount, root)?;
        self.set_client(&scope, request, kind)?;
        let headers = match self.headers(py, request)? {
            Ok(headers) => headers,
            Err(refusal) => return Ok(Err(refusal)),
        };
        scope.set_item(intern!(py, "headers"), headers)?;
        Ok(Ok(scope))
    }

    fn set_path(
        &self,
        scope: &Bound<'_, PyDict>,
        request: &Request,
        mount: &Mount,
        root: usize,
    ) -> PyResult<()> {
        let py = scope.py();
        let told = request.forwarded.as_deref();
        let raw = request.head.path.of(&request.bytes);
        if let Some(prefix) = told.and_then(|told| told.prefix()) {
            // A proxy has taken the prefix away; in ASGI the path is whole, and says so.
            let prefix = prefix.trim_end_matches('/');
            let mut full = prefix.as_bytes().to_vec();
            full.extend_from_slice(&mount.prefix);
            scope.set_item(intern!(py, "root_path"), text(py, &full))?;
            full.truncate(prefix.len());
            full.extend_from_slice(&self.path);
            scope.set_item(intern!(py, "path"), text(py, &full))?;
            let raw = [prefix.as_bytes(), raw].concat();
            scope.set_item(intern!(py, "raw_path"), PyBytes::new(py, &raw))?;
        } else {
            scope.set_item(intern!(py, "path"), text(py, &self.path))?;
            scope.set_item(intern!(py, "raw_path"), PyBytes::new(py, raw))?;
            if root > 0 {
                scope.set_item(intern!(py, "root_path"), text(py, &self.path[..root]))?;
            }
        }
        let query = request.head.query.of(&request.bytes);
        if !query.is_empty() {
            scope.set_item(intern!(py, "query_string"), PyBytes::new(py, query))?;
        }
        Ok(())
    }

    fn set_client(
        &mut self,
        scope: &Bound<'_, PyDict>,
        request: &Request,
        kind: ScopeKind,
    ) -> PyResult<()> {
        let py = scope.py();
        let told = request.forwarded.as_deref();
        if let Some(client) = told.and_then(|told| told.client.as_ref()) {
            let address = self.addresses.text(py, client.address);
            scope.set_item(
                intern!(py, "client"),
                (address, client.port.unwrap_or_default()),
            )?;
        } else if let Peer::Tcp(peer) = request.peer {
            let address = self.addresses.text(py, peer.ip());
            scope.set_item(intern!(py, "client"), (address, peer.port()))?;
        }
        if told.and_then(|told| told.scheme).is_some() {
            let scheme = match (kind, request.is_https()) {
                (ScopeKind::Http, false) => intern!(py, "http"),
                (ScopeKind::Http, true) => intern!(py, "https"),
                (ScopeKind::WebSocket, false) => intern!(py, "ws"),
                (ScopeKind::WebSocket, true) => intern!(py, "wss"),
            };
            scope.set_item(intern!(py, "scheme"), scheme)?;
        }
        Ok(())
    }

    fn headers<'py>(
        &mut self,
        py: Python<'py>,
        request: &Request,
    ) -> PyResult<Result<Bound<'py, PyList>, Refusal>> {
        let bytes = &request.bytes;
        let told_host = request.forwarded.as_deref().and_then(|told| told.host());
        // RFC 9112 3.2.2: the authority of an absolute-form replaces Host.
        let host = told_host
            .map(str::as_bytes)
            .or_else(|| request.head.authority.map(|authority| authority.of(bytes)));
        let headers = PyList::empty(py);
        for field in &request.head.fields {
            let raw = field.name.of(bytes);
            let Some(name) = self.names.find(raw, || ScopeKey::new(py, raw)) else {
                continue;
            };
            match name.admit(request.trusted, self.underscores) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(refusal) => return Ok(Err(refusal)),
            }
            let value = match host {
                Some(host) if name.key.is_host => host,
                _ => field.value.of(bytes),
            };
            headers.append(PyTuple::new(
                py,
                [name.key.name.bind(py), &PyBytes::new(py, value)],
            )?)?;
        }
        Ok(Ok(headers))
    }
}

impl ScopeKey {
    fn new(py: Python<'_>, raw: &[u8]) -> Self {
        let lower = raw.to_ascii_lowercase();
        Self {
            name: PyBytes::new(py, &lower).unbind(),
            is_host: lower == b"host",
        }
    }
}

/// Bytes as text: what is no UTF-8 is replaced, as in every other ASGI server.
fn text<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    if bytes.is_ascii() {
        return latin1(py, bytes);
    }
    PyString::new(py, &String::from_utf8_lossy(bytes))
}

fn extensions<'py>(py: Python<'py>, names: &[&str]) -> PyResult<Bound<'py, PyDict>> {
    let extensions = PyDict::new(py);
    for name in names {
        extensions.set_item(PyString::intern(py, name), PyDict::new(py))?;
    }
    Ok(extensions)
}

fn template<'py>(
    py: Python<'py>,
    listener: &Listener,
    kind: ScopeKind,
) -> PyResult<Bound<'py, PyDict>> {
    let scope = PyDict::new(py);
    let set = |key: &str, value: &str| {
        scope.set_item(PyString::intern(py, key), PyString::intern(py, value))
    };
    let is_secure = listener.speech.tls.is_some();
    let none = |key: &str| scope.set_item(PyString::intern(py, key), py.None());
    match kind {
        ScopeKind::Http => {
            set("type", "http")?;
            none("method")?;
            set("scheme", if is_secure { "https" } else { "http" })?;
        }
        ScopeKind::WebSocket => {
            set("type", "websocket")?;
            set("scheme", if is_secure { "wss" } else { "ws" })?;
            scope.set_item(PyString::intern(py, "subprotocols"), PyList::empty(py))?;
        }
    }
    set("http_version", "1.1")?;
    for key in [
        "asgi",
        "state",
        "path",
        "raw_path",
        "headers",
        "client",
        "extensions",
    ] {
        none(key)?;
    }
    set("root_path", "")?;
    scope.set_item(PyString::intern(py, "query_string"), PyBytes::new(py, b""))?;
    let server = if listener.kind == ListenerKind::Unix {
        (listener.path.as_str(), None)
    } else {
        (listener.host.as_str(), Some(listener.port))
    };
    scope.set_item(PyString::intern(py, "server"), server)?;
    Ok(scope)
}
