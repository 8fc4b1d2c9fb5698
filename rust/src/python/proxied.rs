//! What a load balancer tells of a connection, for applications: environ variables with the names that `mod_ssl` has given
//! them, and ASGI's extension `tls`.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use crate::conn::{Proxied, ProxiedTls, Request};

use super::values::latin1;

/// ASGI TLS extension, `client_cert_error`: a text that is not empty.
const NOT_VERIFIED: &str = "the load balancer did not verify it";

/// What was told of the connection of `request`, if it is its client who is at the other end of that.
fn of(request: &Request) -> Option<&Proxied> {
    // Before a gateway protocol it is the web server's connection that was told of.
    request
        .proxied
        .as_deref()
        .filter(|_| request.dialect().is_none())
}

/// Adds it to an environ.
pub(super) fn set_variables(environ: &Bound<'_, PyDict>, request: &Request) -> PyResult<()> {
    let Some(told) = of(request) else {
        return Ok(());
    };
    let py = environ.py();
    if !told.unique_id.is_empty() {
        environ.set_item(
            intern!(py, "hostler.proxy.unique_id"),
            latin1(py, &told.unique_id),
        )?;
    }
    let set = |name: &Bound<'_, PyString>, text: &str| {
        if text.is_empty() {
            Ok(())
        } else {
            environ.set_item(name, latin1(py, text.as_bytes()))
        }
    };
    set(intern!(py, "SSL_TLS_SNI"), &told.authority)?;
    let Some(tls) = &told.tls else {
        return Ok(());
    };
    set(intern!(py, "HTTPS"), "on")?;
    set(intern!(py, "SSL_PROTOCOL"), &tls.version)?;
    set(intern!(py, "SSL_CIPHER"), &tls.cipher)?;
    set(intern!(py, "SSL_CLIENT_VERIFY"), verdict(tls))?;
    set(intern!(py, "SSL_CLIENT_S_DN_CN"), &tls.common_name)?;
    set(intern!(py, "SSL_SERVER_A_SIG"), &tls.signature_algorithm)?;
    set(intern!(py, "SSL_SERVER_A_KEY"), &tls.key_algorithm)
}

/// The value of `SSL_CLIENT_VERIFY`.
fn verdict(tls: &ProxiedTls) -> &'static str {
    match (tls.has_certificate, tls.is_verified) {
        (false, _) => "NONE",
        (true, true) => "SUCCESS",
        (true, false) => "FAILED",
    }
}

/// Adds it to the extensions of a scope.
pub(super) fn set_extensions(extensions: &Bound<'_, PyDict>, request: &Request) -> PyResult<()> {
    let Some(told) = of(request) else {
        return Ok(());
    };
    let py = extensions.py();
    let proxy = PyDict::new(py);
    proxy.set_item(intern!(py, "unique_id"), latin1(py, &told.unique_id))?;
    proxy.set_item(intern!(py, "authority"), &told.authority)?;
    proxy.set_item(intern!(py, "alpn"), latin1(py, &told.alpn))?;
    if let Some(tls) = &told.tls {
        proxy.set_item(intern!(py, "tls_version"), &tls.version)?;
        proxy.set_item(intern!(py, "cipher"), &tls.cipher)?;
        extensions.set_item(intern!(py, "tls"), tls_extension(py, tls)?)?;
    }
    extensions.set_item(intern!(py, "hostler.proxy"), proxy)
}

/// ASGI "TLS Extension". What a load balancer does not tell is none or empty.
fn tls_extension<'py>(py: Python<'py>, tls: &ProxiedTls) -> PyResult<Bound<'py, PyDict>> {
    let told = PyDict::new(py);
    told.set_item(intern!(py, "server_cert"), py.None())?;
    told.set_item(intern!(py, "client_cert_chain"), PyList::empty(py))?;
    told.set_item(intern!(py, "client_cert_name"), tls.distinguished_name())?;
    let error = (tls.has_certificate && !tls.is_verified).then_some(NOT_VERIFIED);
    told.set_item(intern!(py, "client_cert_error"), error)?;
    told.set_item(intern!(py, "tls_version"), tls.version_number())?;
    told.set_item(intern!(py, "cipher_suite"), py.None())?;
    Ok(told)
}
