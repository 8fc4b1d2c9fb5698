//! The environ of a request (PEP 3333 "environ Variables"): a copy of a template per listener, then what the request says.
//!
//! The template has every key that each environ has, so that filling in a copy replaces values and never makes the
//! dictionary grow. Keys are made once per spelling of a header's name and kept.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::IpAddr;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::codec::http1::path::decode_path;
use crate::codec::http1::{Framing, Refusal, Version};
use crate::conn::{Body, Request};
use crate::net::{Listener, ListenerKind};
use crate::trust::{Scheme, is_hidden};

use super::{BodyInput, FileWrapper, StartResponse};
use crate::python::settings::EngineSettings;

/// Spellings of header names that are kept. Real clients have some dozens; the bound is for those who make up names.
const MAX_NAMES: usize = 1_024;
/// Client addresses that are kept as strings. Arbitrary.
const MAX_ADDRESSES: usize = 4_096;

const UNDERSCORE: Refusal = Refusal::bad_request("A header field's name contains an underscore.");

/// What to do with headers that have an underscore in their name: they collide with those that have a hyphen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Underscores {
    Drop,
    Refuse,
    Allow,
}

/// What becomes of a header field.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts about a name, found out once"
)]
struct Name {
    key: Py<PyString>,
    has_underscore: bool,
    hidden_from_trusted: bool,
    hidden_from_others: bool,
    is_cookie: bool,
}

/// FNV-1a: short names, a bounded map, and no secret to keep.
#[derive(Debug, Default)]
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// Makes environs.
#[derive(Debug)]
pub(in crate::python) struct EnvironBuilder {
    templates: Vec<Py<PyDict>>,
    names: HashMap<Vec<u8>, Name, BuildHasherDefault<Fnv>>,
    addresses: HashMap<IpAddr, Py<PyString>>,
    underscores: Underscores,
    script_name: Vec<u8>,
    path: Vec<u8>,
}

impl EnvironBuilder {
    /// A builder with one template for each listener.
    pub(in crate::python) fn new(
        py: Python<'_>,
        settings: &EngineSettings,
        listeners: &[Listener],
    ) -> PyResult<Self> {
        let empty_input = Py::new(py, BodyInput::empty())?;
        let templates = listeners
            .iter()
            .map(|listener| template(py, settings, listener, &empty_input).map(Bound::unbind))
            .collect::<PyResult<_>>()?;
        Ok(Self {
            templates,
            names: HashMap::default(),
            addresses: HashMap::new(),
            underscores: match settings.underscore_headers.as_str() {
                "refuse" => Underscores::Refuse,
                "allow" => Underscores::Allow,
                _ => Underscores::Drop,
            },
            script_name: settings
                .script_name
                .trim_end_matches('/')
                .as_bytes()
                .to_vec(),
            path: Vec::new(),
        })
    }

    /// The environ of `request`, whose body moves into `wsgi.input`.
    ///
    /// # Errors
    /// `Err` of the outer result is an error of Python's (out of memory); of the inner one, a request to be refused.
    pub(super) fn build<'py>(
        &mut self,
        py: Python<'py>,
        request: &mut Request,
        start_response: &Bound<'py, StartResponse>,
    ) -> PyResult<Result<Bound<'py, PyDict>, Refusal>> {
        let environ = self.templates[request.listener].bind(py).copy()?;
        if let Err(refusal) = self.set_path(py, &environ, request)? {
            return Ok(Err(refusal));
        }
        environ.set_item(intern!(py, "REQUEST_METHOD"), method(py, request.method()))?;
        let query = request.head.query;
        if !query.is_empty() {
            environ.set_item(
                intern!(py, "QUERY_STRING"),
                latin1(py, query.of(&request.bytes)),
            )?;
        }
        environ.set_item(
            intern!(py, "RAW_URI"),
            latin1(py, request.head.target.of(&request.bytes)),
        )?;
        if request.head.version == Version::Http10 {
            environ.set_item(intern!(py, "SERVER_PROTOCOL"), intern!(py, "HTTP/1.0"))?;
        }
        environ.set_item(intern!(py, "hostler.request_id"), latin1(py, &request.id))?;
        self.set_client(py, &environ, request)?;
        if let Err(refusal) = self.set_fields(py, &environ, request)? {
            return Ok(Err(refusal));
        }
        if let Some(authority) = request.head.authority {
            // RFC 9112 3.2.2: the authority of an absolute-form replaces Host.
            environ.set_item(
                intern!(py, "HTTP_HOST"),
                latin1(py, authority.of(&request.bytes)),
            )?;
        }
        if request.forwarded.is_some() {
            self.set_forwarded(py, &environ, request)?;
        }
        self.set_body(py, &environ, request, start_response)?;
        Ok(Ok(environ))
    }

    fn set_path(
        &mut self,
        py: Python<'_>,
        environ: &Bound<'_, PyDict>,
        request: &Request,
    ) -> PyResult<Result<(), Refusal>> {
        let encoded = request.head.path.of(&request.bytes);
        let mut path = encoded;
        if memchr::memchr(b'%', encoded).is_some() {
            self.path.clear();
            if let Err(refusal) = decode_path(encoded, &mut self.path) {
                return Ok(Err(refusal));
            }
            path = &self.path;
        }
        if let Some(rest) = self.below_script_name(path) {
            path = rest;
            environ.set_item(intern!(py, "SCRIPT_NAME"), latin1(py, &self.script_name))?;
        }
        environ.set_item(intern!(py, "PATH_INFO"), latin1(py, path))?;
        Ok(Ok(()))
    }

    /// What follows the configured mount point, if the path is below it.
    fn below_script_name<'path>(&self, path: &'path [u8]) -> Option<&'path [u8]> {
        if self.script_name.is_empty() {
            return None;
        }
        let rest = path.strip_prefix(self.script_name.as_slice())?;
        (rest.is_empty() || rest.starts_with(b"/")).then_some(rest)
    }

    fn set_client(
        &mut self,
        py: Python<'_>,
        environ: &Bound<'_, PyDict>,
        request: &Request,
    ) -> PyResult<()> {
        if let crate::net::Peer::Tcp(address) = request.peer {
            let text = self.address(py, address.ip());
            environ.set_item(intern!(py, "REMOTE_ADDR"), text)?;
            let mut digits = itoa::Buffer::new();
            environ.set_item(
                intern!(py, "REMOTE_PORT"),
                latin1(py, digits.format(address.port()).as_bytes()),
            )?;
        }
        Ok(())
    }

    fn address(&mut self, py: Python<'_>, address: IpAddr) -> Py<PyString> {
        if let Some(text) = self.addresses.get(&address) {
            return text.clone_ref(py);
        }
        let text = PyString::new(py, &address.to_string()).unbind();
        if self.addresses.len() >= MAX_ADDRESSES {
            self.addresses.clear();
        }
        self.addresses.insert(address, text.clone_ref(py));
        text
    }

    fn set_fields(
        &mut self,
        py: Python<'_>,
        environ: &Bound<'_, PyDict>,
        request: &Request,
    ) -> PyResult<Result<(), Refusal>> {
        for field in &request.head.fields {
            let raw = field.name.of(&request.bytes);
            if !self.names.contains_key(raw) {
                if self.names.len() >= MAX_NAMES {
                    self.names.clear();
                }
                self.names.insert(raw.to_vec(), Name::new(py, raw));
            }
            let Some(name) = self.names.get(raw) else {
                continue;
            };
            if name.has_underscore {
                match self.underscores {
                    Underscores::Drop => continue,
                    Underscores::Refuse => return Ok(Err(UNDERSCORE)),
                    Underscores::Allow => {}
                }
            }
            if if request.trusted {
                name.hidden_from_trusted
            } else {
                name.hidden_from_others
            } {
                continue;
            }
            let value = latin1(py, field.value.of(&request.bytes));
            add_field(environ, name, value)?;
        }
        Ok(Ok(()))
    }

    fn set_forwarded(
        &mut self,
        py: Python<'_>,
        environ: &Bound<'_, PyDict>,
        request: &Request,
    ) -> PyResult<()> {
        let Some(told) = &request.forwarded else {
            return Ok(());
        };
        if let Some(client) = &told.client {
            environ.set_item(intern!(py, "REMOTE_ADDR"), self.address(py, client.address))?;
            let port = client.port.map(|port| port.to_string()).unwrap_or_default();
            environ.set_item(intern!(py, "REMOTE_PORT"), port)?;
        }
        if let Some(scheme) = told.scheme {
            let (name, port) = match scheme {
                Scheme::Https => (intern!(py, "https"), "443"),
                Scheme::Http => (intern!(py, "http"), "80"),
            };
            environ.set_item(intern!(py, "wsgi.url_scheme"), name)?;
            environ.set_item(intern!(py, "SERVER_PORT"), port)?;
        }
        if let Some(host) = told.host() {
            environ.set_item(intern!(py, "HTTP_HOST"), host)?;
        }
        if let Some(port) = told.port {
            environ.set_item(intern!(py, "SERVER_PORT"), port.to_string())?;
        }
        if let Some(prefix) = told.prefix() {
            environ.set_item(intern!(py, "SCRIPT_NAME"), prefix.trim_end_matches('/'))?;
        }
        Ok(())
    }

    fn set_body(
        &self,
        py: Python<'_>,
        environ: &Bound<'_, PyDict>,
        request: &mut Request,
        start_response: &Bound<'_, StartResponse>,
    ) -> PyResult<()> {
        let length = match &request.body {
            Body::Empty => {
                if request.head.framing == Framing::Chunked {
                    self.set_length(py, environ, 0)?;
                }
                return Ok(());
            }
            Body::Memory(bytes) => Some(bytes.len() as u64),
            Body::File(_, length) => Some(*length),
            Body::Pipe(_) => None,
        };
        if let Some(length) = length.filter(|_| request.head.framing == Framing::Chunked) {
            self.set_length(py, environ, length)?;
        }
        let body = std::mem::take(&mut request.body);
        environ.set_item(
            intern!(py, "wsgi.input"),
            Bound::new(py, BodyInput::new(body, start_response)?)?,
        )
    }

    /// A chunked body that is complete has a length, which applications understand better than a transfer coding.
    #[expect(clippy::unused_self, reason = "reads as part of the builder")]
    fn set_length(&self, py: Python<'_>, environ: &Bound<'_, PyDict>, length: u64) -> PyResult<()> {
        environ.set_item(intern!(py, "CONTENT_LENGTH"), length.to_string())?;
        if environ.contains(intern!(py, "HTTP_TRANSFER_ENCODING"))? {
            environ.del_item(intern!(py, "HTTP_TRANSFER_ENCODING"))?;
        }
        Ok(())
    }
}

impl Name {
    fn new(py: Python<'_>, raw: &[u8]) -> Self {
        let upper: String = raw
            .iter()
            .map(|byte| {
                if *byte == b'-' {
                    '_'
                } else {
                    byte.to_ascii_uppercase() as char
                }
            })
            .collect();
        // RFC 3875 4.1: these two have no prefix.
        let key = match upper.as_str() {
            "CONTENT_TYPE" | "CONTENT_LENGTH" => upper.clone(),
            _ => format!("HTTP_{upper}"),
        };
        let has_underscore = raw.contains(&b'_');
        // What describes the body is never another spelling's to say, not even where underscores are allowed.
        let forged = has_underscore
            && matches!(
                key.as_str(),
                "CONTENT_LENGTH" | "CONTENT_TYPE" | "HTTP_TRANSFER_ENCODING"
            );
        Self {
            key: PyString::intern(py, &key).unbind(),
            has_underscore,
            hidden_from_trusted: forged || is_hidden(raw, true),
            hidden_from_others: forged || is_hidden(raw, false),
            is_cookie: upper == "COOKIE",
        }
    }
}

/// Sets a header's value; repeated headers are one list (RFC 9110 5.3), and repeated cookies one cookie string (RFC 6265 5.4).
fn add_field(environ: &Bound<'_, PyDict>, name: &Name, value: Bound<'_, PyString>) -> PyResult<()> {
    let key = name.key.bind(environ.py());
    if let Some(former) = environ.get_item(key)? {
        let separator = if name.is_cookie { "; " } else { "," };
        let joined = format!("{}{separator}{}", former.str()?.to_str()?, value.to_str()?);
        return environ.set_item(key, joined);
    }
    environ.set_item(key, value)
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

fn method<'py>(py: Python<'py>, method: &[u8]) -> Bound<'py, PyString> {
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

fn template<'py>(
    py: Python<'py>,
    settings: &EngineSettings,
    listener: &Listener,
    empty_input: &Py<BodyInput>,
) -> PyResult<Bound<'py, PyDict>> {
    let environ = PyDict::new(py);
    let software = if settings.server_header.is_empty() {
        "hostler"
    } else {
        &settings.server_header
    };
    let set = |name: &str, value: &str| {
        environ.set_item(PyString::intern(py, name), PyString::intern(py, value))
    };
    for name in [
        "REQUEST_METHOD",
        "PATH_INFO",
        "QUERY_STRING",
        "RAW_URI",
        "SCRIPT_NAME",
        "REMOTE_ADDR",
        "REMOTE_PORT",
    ] {
        set(name, "")?;
    }
    set("SERVER_PROTOCOL", "HTTP/1.1")?;
    set("SERVER_SOFTWARE", software)?;
    set("SERVER_NAME", &listener.host)?;
    set("SERVER_PORT", &listener.port.to_string())?;
    set("GATEWAY_INTERFACE", "CGI/1.1")?;
    set("hostler.request_id", "")?;
    set(
        "hostler.listener",
        if listener.kind == ListenerKind::Unix {
            "unix"
        } else {
            "tcp"
        },
    )?;
    set("wsgi.url_scheme", "http")?;
    let put =
        |name: &str, value: Bound<'py, PyAny>| environ.set_item(PyString::intern(py, name), value);
    put("wsgi.version", (1, 0).into_pyobject(py)?.into_any())?;
    put("wsgi.input", empty_input.bind(py).clone().into_any())?;
    put(
        "wsgi.input_terminated",
        true.into_pyobject(py)?.to_owned().into_any(),
    )?;
    put("wsgi.errors", py.import("sys")?.getattr("stderr")?)?;
    put(
        "wsgi.multithread",
        (settings.threads > 1)
            .into_pyobject(py)?
            .to_owned()
            .into_any(),
    )?;
    put(
        "wsgi.multiprocess",
        settings
            .multiprocess
            .into_pyobject(py)?
            .to_owned()
            .into_any(),
    )?;
    put(
        "wsgi.run_once",
        false.into_pyobject(py)?.to_owned().into_any(),
    )?;
    put("wsgi.file_wrapper", py.get_type::<FileWrapper>().into_any())?;
    Ok(environ)
}
