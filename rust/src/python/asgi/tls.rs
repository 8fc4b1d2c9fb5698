//! The extension `tls` of the scope (ASGI "TLS Extension").

use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use crate::tls::Facts;

/// Certificates of ours that are kept as text; more only where very many names are served.
const KEPT: usize = 64;

/// Our certificates as Python has them: they are the same for very many requests.
#[derive(Debug, Default)]
pub(super) struct Certificates(Vec<(Arc<str>, Py<PyString>)>);

impl Certificates {
    fn text<'py>(&mut self, py: Python<'py>, pem: &Arc<str>) -> Bound<'py, PyString> {
        if let Some((_, text)) = self.0.iter().find(|(known, _)| Arc::ptr_eq(known, pem)) {
            return text.bind(py).clone();
        }
        if self.0.len() == KEPT {
            self.0.clear();
        }
        let text = PyString::new(py, pem);
        self.0.push((Arc::clone(pem), text.clone().unbind()));
        text
    }

    /// What the application is told of a connection.
    pub(super) fn extension<'py>(
        &mut self,
        py: Python<'py>,
        facts: &Facts,
    ) -> PyResult<Bound<'py, PyDict>> {
        let tls = PyDict::new(py);
        let server = facts
            .server_certificate
            .as_ref()
            .map(|pem| self.text(py, pem));
        tls.set_item(intern!(py, "server_cert"), server)?;
        let client = facts.client.as_ref();
        let chain = client.map_or(&[][..], |client| &client.chain);
        tls.set_item(intern!(py, "client_cert_chain"), PyList::new(py, chain)?)?;
        let name = client.map(|client| client.subject.as_str());
        tls.set_item(intern!(py, "client_cert_name"), name)?;
        // One that cannot be verified ends the handshake.
        tls.set_item(intern!(py, "client_cert_error"), py.None())?;
        tls.set_item(intern!(py, "tls_version"), facts.version_number)?;
        tls.set_item(intern!(py, "cipher_suite"), facts.cipher_number)?;
        Ok(tls)
    }
}
