//! The environ of a request (PEP 3333 "environ Variables"): a copy of a template per listener, then what the request says.
//!
//! The template has every key that each environ has, so that filling in a copy replaces values and never makes the
//! dictionary grow. Keys are made once per spelling of a header's name and kept.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use pyo3::wrap_pyfunction;

use crate::codec::gateway::Told;
use crate::codec::http1::path::decode_path;
use crate::codec::http1::{Framing, Refusal, Version};
use crate::conn::{Body, Request};
use crate::net::{Listener, ListenerKind};
use crate::tls::Facts;
use crate::trust::Scheme;

use super::{BodyInput, FileWrapper, StartResponse};
use crate::python::deadline::set_deadline;
use crate::python::fields::{Addresses, Names, Underscores};
use crate::python::mounts::{Mount, Mounts};
use crate::python::proxied;
use crate::python::settings::EngineSettings;
use crate::python::values::{latin1, method};

/// No application is mounted at or above the path.
pub(in crate::python) const NOT_FOUND: Refusal =
    Refusal::new(404, "Nothing is mounted at this path.");

/// WSGI knows of none.
const NO_WEBSOCKET: Refusal = Refusal::new(501, "There is no WebSocket at this path.");

/// The key of a header in the environ.
#[derive(Debug)]
struct EnvironKey {
    text: Py<PyString>,
    is_cookie: bool,
}

/// Makes environs.
#[derive(Debug)]
pub(in crate::python) struct EnvironBuilder {
    templates: Vec<Py<PyDict>>,
    names: Names<EnvironKey>,
    addresses: Addresses,
    underscores: Underscores,
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
            names: Names::new(),
            addresses: Addresses::default(),
            underscores: Underscores::from_setting(&settings.underscore_headers),
            path: Vec::new(),
        })
    }

    /// The environ of `request`, whose body moves into `wsgi.input`.
    ///
    /// # Errors
    /// `Err` of the outer result is an error of Python's (out of memory); of the inner one, a request to be refused.
    pub(super) fn build<'py, 'mounts>(
        &mut self,
        py: Python<'py>,
        mounts: &'mounts Mounts,
        request: &mut Request,
        start_response: &Bound<'py, StartResponse>,
    ) -> PyResult<Result<(Bound<'py, PyDict>, &'mounts Mount), Refusal>> {
        if request.head.is_websocket {
            return Ok(Err(NO_WEBSOCKET));
        }
        let environ = self.templates[request.listener].bind(py).copy()?;
        let mount = match self.set_path(py, mounts, &environ, request)? {
            Ok(mount) => mount,
            Err(refusal) => return Ok(Err(refusal)),
        };
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
        let protocol = intern!(py, "SERVER_PROTOCOL");
        match request.head.version {
            Version::Http11 => {}
            Version::Http10 => environ.set_item(protocol, intern!(py, "HTTP/1.0"))?,
            Version::Http2 => environ.set_item(protocol, intern!(py, "HTTP/2.0"))?,
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
        if let Some(told) = &request.gateway {
            set_variables(&environ, told, &request.bytes)?;
        }
        if request.proxied.is_some() {
            proxied::set_variables(&environ, request)?;
        }
        if let Some(facts) = &request.tls {
            set_tls(&environ, facts)?;
        }
        if request.forwarded.is_some() {
            self.set_forwarded(py, &environ, request, mount)?;
        }
        self.set_body(py, &environ, request, start_response)?;
        Ok(Ok((environ, mount)))
    }

    /// The decoded path of the request that `build` was last called for.
    pub(super) fn path_of<'a>(&'a self, request: &'a Request) -> &'a [u8] {
        let encoded = request.head.path.of(&request.bytes);
        if memchr::memchr(b'%', encoded).is_some() {
            &self.path
        } else {
            encoded
        }
    }

    fn set_path<'mounts>(
        &mut self,
        py: Python<'_>,
        mounts: &'mounts Mounts,
        environ: &Bound<'_, PyDict>,
        request: &Request,
    ) -> PyResult<Result<&'mounts Mount, Refusal>> {
        let encoded = request.head.path.of(&request.bytes);
        let mut path = encoded;
        if memchr::memchr(b'%', encoded).is_some() {
            self.path.clear();
            if let Err(refusal) = decode_path(encoded, &mut self.path) {
                return Ok(Err(refusal));
            }
            path = &self.path;
        }
        let Some(place) = mounts.find(path) else {
            return Ok(Err(NOT_FOUND));
        };
        if place.root > 0 {
            environ.set_item(intern!(py, "SCRIPT_NAME"), latin1(py, &path[..place.root]))?;
        }
        environ.set_item(intern!(py, "PATH_INFO"), latin1(py, &path[place.root..]))?;
        Ok(Ok(place.mount))
    }

    fn set_client(
        &mut self,
        py: Python<'_>,
        environ: &Bound<'_, PyDict>,
        request: &Request,
    ) -> PyResult<()> {
        if let crate::net::Peer::Tcp(address) = request.peer {
            let text = self.addresses.text(py, address.ip());
            environ.set_item(intern!(py, "REMOTE_ADDR"), text)?;
            let mut digits = itoa::Buffer::new();
            environ.set_item(
                intern!(py, "REMOTE_PORT"),
                latin1(py, digits.format(address.port()).as_bytes()),
            )?;
        }
        Ok(())
    }

    fn set_fields(
        &mut self,
        py: Python<'_>,
        environ: &Bound<'_, PyDict>,
        request: &Request,
    ) -> PyResult<Result<(), Refusal>> {
        for field in &request.head.fields {
            let raw = field.name.of(&request.bytes);
            let Some(name) = self.names.find(raw, || EnvironKey::new(py, raw)) else {
                continue;
            };
            match name.admit(request.trusted, self.underscores) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(refusal) => return Ok(Err(refusal)),
            }
            let value = latin1(py, field.value.of(&request.bytes));
            add_field(environ, &name.key, value)?;
        }
        Ok(Ok(()))
    }

    fn set_forwarded(
        &mut self,
        py: Python<'_>,
        environ: &Bound<'_, PyDict>,
        request: &Request,
        mount: &Mount,
    ) -> PyResult<()> {
        let Some(told) = &request.forwarded else {
            return Ok(());
        };
        if let Some(client) = &told.client {
            environ.set_item(
                intern!(py, "REMOTE_ADDR"),
                self.addresses.text(py, client.address),
            )?;
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
            if request.tls.is_some() && scheme == Scheme::Http {
                // The proxy's connection has TLS, its client's had none.
                environ.del_item(intern!(py, "HTTPS"))?;
            }
        }
        if let Some(host) = told.host() {
            environ.set_item(intern!(py, "HTTP_HOST"), host)?;
        }
        if let Some(port) = told.port {
            environ.set_item(intern!(py, "SERVER_PORT"), port.to_string())?;
        }
        if let Some(prefix) = told.prefix() {
            let mut root = prefix.trim_end_matches('/').as_bytes().to_vec();
            root.extend_from_slice(&mount.prefix);
            environ.set_item(intern!(py, "SCRIPT_NAME"), latin1(py, &root))?;
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

/// What is known of TLS, in the names of Apache's `mod_ssl`, which nginx's users know as well.
fn set_tls(environ: &Bound<'_, PyDict>, facts: &Facts) -> PyResult<()> {
    let py = environ.py();
    environ.set_item(
        intern!(py, "SSL_PROTOCOL"),
        PyString::intern(py, facts.version),
    )?;
    environ.set_item(
        intern!(py, "SSL_CIPHER"),
        PyString::intern(py, facts.cipher),
    )?;
    if let Some(name) = &facts.server_name {
        environ.set_item(intern!(py, "SSL_TLS_SNI"), &**name)?;
    }
    let Some(client) = &facts.client else {
        return environ.set_item(intern!(py, "SSL_CLIENT_VERIFY"), intern!(py, "NONE"));
    };
    environ.set_item(intern!(py, "SSL_CLIENT_VERIFY"), intern!(py, "SUCCESS"))?;
    environ.set_item(intern!(py, "SSL_CLIENT_S_DN"), native(py, &client.subject))?;
    environ.set_item(intern!(py, "SSL_CLIENT_I_DN"), native(py, &client.issuer))?;
    environ.set_item(intern!(py, "SSL_CLIENT_M_SERIAL"), &client.serial)?;
    for (index, pem) in client.chain.iter().enumerate() {
        if index == 0 {
            environ.set_item(intern!(py, "SSL_CLIENT_CERT"), pem)?;
        } else {
            environ.set_item(format!("SSL_CLIENT_CERT_CHAIN_{}", index - 1), pem)?;
        }
    }
    Ok(())
}

/// PEP 3333 "Unicode Issues": text in the environ is bytes in disguise.
fn native<'py>(py: Python<'py>, text: &str) -> Bound<'py, PyString> {
    latin1(py, text.as_bytes())
}

/// What a web server in front tells beside the request. What the environ has already stays.
fn set_variables(environ: &Bound<'_, PyDict>, told: &Told, bytes: &[u8]) -> PyResult<()> {
    let py = environ.py();
    for (name, value) in &told.variables {
        let name = latin1(py, name.of(bytes));
        if !environ.contains(&name)? {
            environ.set_item(name, latin1(py, value.of(bytes)))?;
        }
    }
    let user = told.remote_user.of(bytes);
    if !user.is_empty() {
        environ.set_item(intern!(py, "REMOTE_USER"), latin1(py, user))?;
    }
    let server = told.server_name.of(bytes);
    if !server.is_empty() {
        environ.set_item(intern!(py, "SERVER_NAME"), latin1(py, server))?;
    }
    Ok(())
}

impl EnvironKey {
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
        Self {
            text: PyString::intern(py, &key).unbind(),
            is_cookie: upper == "COOKIE",
        }
    }
}

/// Sets a header's value; repeated headers are one list (RFC 9110 5.3), and repeated cookies one cookie string (RFC 6265 5.4).
fn add_field(
    environ: &Bound<'_, PyDict>,
    name: &EnvironKey,
    value: Bound<'_, PyString>,
) -> PyResult<()> {
    let key = name.text.bind(environ.py());
    if let Some(former) = environ.get_item(key)? {
        let separator = if name.is_cookie { "; " } else { "," };
        let joined = format!("{}{separator}{}", former.str()?.to_str()?, value.to_str()?);
        return environ.set_item(key, joined);
    }
    environ.set_item(key, value)
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
    if listener.speech.tls.is_some() {
        set("wsgi.url_scheme", "https")?;
        set("HTTPS", "on")?;
    } else {
        set("wsgi.url_scheme", "http")?;
    }
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
    put(
        "hostler.set_deadline",
        wrap_pyfunction!(set_deadline, py)?.into_any(),
    )?;
    Ok(environ)
}
