//! The data plane of Hostler: what happens per byte and per request.

pub mod access_log;
pub mod codec;
pub mod conn;
pub mod net;
pub mod reactor;
pub mod request_id;
pub mod shm;
pub mod time;
pub mod tls;
pub mod trust;
pub mod worker;

#[cfg(feature = "python")]
mod python;

/// The extension module; `hostler.engine` is the only one that imports it. Safe without a GIL: all state is behind locks or atomics.
#[cfg(feature = "python")]
#[pyo3::pymodule(gil_used = false)]
mod _engine {
    #[pymodule_export]
    use crate::python::{
        AsgiEngine, BodyInput, DeadlineExceeded, Engine, FileWrapper, Finished, HttpCycle,
        Operation, Runner, StartResponse, Waiter, WebSocketCycle, WsgiCall,
        check_access_log_filter, check_access_log_format, check_deadline_pattern, check_tls,
        check_trusted_network, scoreboard_layout, set_deadline, watch_deadlines,
    };

    /// The version of the extension, which is that of the package.
    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "a Python name")]
    const version: &str = env!("CARGO_PKG_VERSION");
}
