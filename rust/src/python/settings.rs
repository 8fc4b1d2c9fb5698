//! From the frozen settings of the control plane to those of the engine. Attribute names are those of `hostler.contracts`.

use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;

use crate::access_log::{AccessLog, Filter, FilterSettings, Format};
use crate::codec::http1::Limits;
use crate::codec::ws::DeflateSettings;
use crate::conn::{Http2Settings, Settings, WebSocketSettings};
use crate::net::{Listener, ListenerKind, Protocol, Speech};
use crate::shm::{Board, Crowd, Gate, Place};
use crate::time::{Millis, unix_nanos};
use crate::tls::{Challenges, Contents, Store};
use crate::trust::{Networks, Precedence};
use crate::worker::{Overload, Routes, WorkerSettings, check_pattern};

use super::deadline::Deadlines;
use super::shared::Driver;

/// The largest window there is (RFC 9113 6.9.1).
const MAX_STREAM_WINDOW: u32 = 0x7fff_ffff;

/// `hostler.contracts.EngineSettings`.
#[derive(Debug, Clone, FromPyObject)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting")]
pub(super) struct EngineSettings {
    pub(super) threads: usize,
    signal_fd: RawFd,
    lifeline_fd: RawFd,
    tls_fd: RawFd,
    challenges_fd: RawFd,
    head_timeout: f64,
    body_timeout: f64,
    keep_alive_timeout: f64,
    write_timeout: f64,
    handshake_timeout: f64,
    graceful_timeout: f64,
    max_connections: usize,
    max_handshakes: usize,
    max_request_line: usize,
    max_header_size: usize,
    max_header_count: usize,
    max_head_size: usize,
    max_body_size: u64,
    body_memory: usize,
    max_buffered_bytes: usize,
    pub(super) response_buffer: usize,
    pub(super) max_requests: u64,
    stream_request_body: bool,
    pub(super) underscore_headers: String,
    trusted_networks: Vec<String>,
    forwarding_headers: String,
    pub(super) script_name: String,
    pub(super) server_header: String,
    https_port: u16,
    pub(super) hsts: String,
    pub(super) multiprocess: bool,
    access_log: String,
    access_log_format: String,
    access_log_skip: Vec<String>,
    access_log_statuses: Vec<String>,
    access_log_slow: f64,
    access_log_sample: u32,
    temp_dir: PathBuf,
    pub(super) max_concurrency: usize,
    pub(super) cancel_on_disconnect: bool,
    pub(super) debug_extension: bool,
    ws_max_message: usize,
    ws_max_queue: usize,
    ws_ping_interval: f64,
    ws_ping_timeout: f64,
    ws_close_timeout: f64,
    ws_compression: bool,
    ws_context_takeover: bool,
    ws_window_bits: u8,
    h2_enabled: bool,
    h2_max_streams: u32,
    h2_stream_window: u32,
    board_fd: RawFd,
    board_offset: u64,
    /// Other workers share the listeners.
    spreads: bool,
    /// Where the supervisor is told of what the interpreter cannot tell; -1 for nowhere.
    status_fd: RawFd,
    default_deadline: f64,
    route_deadlines: Vec<(String, f64)>,
    deadline_grace: f64,
    overload_target: f64,
    overload_interval: f64,
}

/// `hostler.contracts.Listener`.
#[derive(Debug, FromPyObject)]
pub(super) struct ListenerSettings {
    fd: RawFd,
    kind: String,
    host: String,
    port: u16,
    address: String,
    protocol: String,
    proxy_protocol: bool,
    tls: i32,
}

impl EngineSettings {
    pub(super) fn for_connections(&self, driver: Driver) -> PyResult<Settings> {
        let limits = Limits {
            request_line: self.max_request_line,
            header_count: self.max_header_count,
            header_size: self.max_header_size,
            head_size: self.max_head_size,
            body_size: self.max_body_size,
        };
        Ok(Settings {
            limits,
            head_timeout: millis(self.head_timeout),
            handshake_timeout: millis(self.handshake_timeout),
            body_timeout: millis(self.body_timeout),
            keep_alive_timeout: millis(self.keep_alive_timeout),
            write_timeout: millis(self.write_timeout),
            body_memory: self.body_memory,
            max_buffered: self.max_buffered_bytes,
            stream_request_body: self.stream_request_body,
            tells_news: driver == Driver::Loop,
            max_connections: u32::try_from(self.max_connections).unwrap_or(u32::MAX),
            http2: Http2Settings {
                is_enabled: self.h2_enabled,
                max_streams: self.h2_max_streams,
                stream_window: self.h2_stream_window.min(MAX_STREAM_WINDOW),
            },
            websocket: self.for_websockets(),
            temp_dir: self.temp_dir.clone(),
            server_header: self.server_header.clone(),
            https_port: (self.https_port > 0).then_some(self.https_port),
            precedence: match self.forwarding_headers.as_str() {
                "forwarded" => Precedence::Forwarded,
                _ => Precedence::XForwarded,
            },
            trusted: Networks::parse(&self.trusted_networks)
                .map_err(|error| PyValueError::new_err(error.to_string()))?,
        })
    }

    fn for_websockets(&self) -> WebSocketSettings {
        WebSocketSettings {
            max_message: self.ws_max_message,
            max_queue: self.ws_max_queue,
            ping_interval: millis(self.ws_ping_interval),
            ping_timeout: millis(self.ws_ping_timeout),
            close_timeout: millis(self.ws_close_timeout),
        }
    }

    /// What to agree on with WebSockets about compression, if anything.
    pub(super) fn deflate(&self) -> Option<DeflateSettings> {
        self.ws_compression.then(|| DeflateSettings {
            context_takeover: self.ws_context_takeover,
            window_bits: self.ws_window_bits,
            ..DeflateSettings::default()
        })
    }

    pub(super) fn for_deadlines(&self) -> PyResult<Deadlines> {
        let routes = self
            .route_deadlines
            .iter()
            .map(|(pattern, seconds)| (pattern.as_str(), millis(*seconds)));
        let routes =
            Routes::new(millis(self.default_deadline), routes).map_err(PyValueError::new_err)?;
        Ok(Deadlines::new(
            routes,
            millis(self.deadline_grace),
            duplicate_optional(self.status_fd)?,
        ))
    }

    pub(super) fn for_worker(&self) -> PyResult<WorkerSettings> {
        let crowd = match self.place()?.filter(|_| self.spreads) {
            Some(place) => Some(Crowd::open(place)?),
            None => None,
        };
        Ok(WorkerSettings {
            crowd,
            gate: self.place()?.map(Gate::open).transpose()?,
            overload: Overload::new(millis(self.overload_target), millis(self.overload_interval)),
            max_connections: self.max_connections.max(1),
            graceful_timeout: millis(self.graceful_timeout),
            signals: duplicate_optional(self.signal_fd)?,
            lifeline: duplicate_optional(self.lifeline_fd)?,
            tls: self.open_store()?,
            max_handshakes: self.max_handshakes.max(1),
        })
    }

    /// This worker's block of the scoreboard, or one that nobody reads.
    pub(super) fn open_board(&self) -> PyResult<Board> {
        Ok(Board::open(self.place()?)?)
    }

    fn place(&self) -> PyResult<Option<Place>> {
        let fd = duplicate_optional(self.board_fd)?;
        Ok(fd.map(|fd| Place {
            fd,
            offset: self.board_offset,
        }))
    }

    fn open_store(&self) -> PyResult<Option<Store>> {
        let Some(fd) = duplicate_optional(self.tls_fd)? else {
            return Ok(None);
        };
        Store::open(fd, unix_seconds())
            .map(Some)
            .map_err(|fault| PyValueError::new_err(fault.to_string()))
    }

    pub(super) fn open_challenges(&self) -> PyResult<Option<Challenges>> {
        duplicate_optional(self.challenges_fd)?
            .map(Challenges::open)
            .transpose()
            .map_err(|fault| PyValueError::new_err(fault.to_string()))
    }

    pub(super) fn open_access_log(&self) -> PyResult<Option<AccessLog>> {
        if self.access_log.is_empty() {
            return Ok(None);
        }
        let format = Format::compile(&self.access_log_format)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        let filter = FilterSettings {
            skip: self.access_log_skip.clone(),
            statuses: self.access_log_statuses.clone(),
            slow_nanos: millis(self.access_log_slow).saturating_mul(1_000_000),
            sample: self.access_log_sample,
        };
        let filter = Filter::compile(&filter, unix_nanos() ^ u64::from(std::process::id()))
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        let log = AccessLog::open(format, &self.access_log)
            .map_err(|error| PyOSError::new_err(format!("cannot open the access log {error}")))?;
        Ok(Some(log.filtered(filter)))
    }
}

impl ListenerSettings {
    pub(super) fn build(self) -> PyResult<Listener> {
        let kind = if self.kind == "unix" {
            ListenerKind::Unix
        } else {
            ListenerKind::Tcp
        };
        let mut listener = Listener::new(duplicate(self.fd)?, kind, self.host, self.port);
        if let Some(path) = self.address.strip_prefix("unix:") {
            path.clone_into(&mut listener.path);
        }
        listener.speech = Speech {
            protocol: match self.protocol.as_str() {
                "uwsgi" => Protocol::Uwsgi,
                "scgi" => Protocol::Scgi,
                "fastcgi" => Protocol::FastCgi,
                _ => Protocol::Http,
            },
            proxy: self.proxy_protocol,
            tls: usize::try_from(self.tls).ok(),
        };
        Ok(listener)
    }
}

/// Raises `ValueError` with the reason if the access log's format is not one.
#[pyfunction]
pub fn check_access_log_format(access_log_format: &str) -> PyResult<()> {
    Format::compile(access_log_format)
        .map(drop)
        .map_err(|error| PyValueError::new_err(error.to_string()))
}

/// Raises `ValueError` with the reason if the pattern of paths is not one.
#[pyfunction]
pub fn check_deadline_pattern(pattern: &str) -> PyResult<()> {
    check_pattern(pattern).map_err(PyValueError::new_err)
}

/// Raises `ValueError` with the reason if the paths to skip or the statuses cannot be.
#[pyfunction]
pub fn check_access_log_filter(skip: Vec<String>, statuses: Vec<String>) -> PyResult<()> {
    let settings = FilterSettings {
        skip,
        statuses,
        ..FilterSettings::default()
    };
    Filter::compile(&settings, 1)
        .map(drop)
        .map_err(|error| PyValueError::new_err(error.to_string()))
}

/// Raises `ValueError` with the reason if the network is not one.
#[pyfunction]
pub fn check_trusted_network(network: String) -> PyResult<()> {
    Networks::parse(&[network])
        .map(drop)
        .map_err(|error| PyValueError::new_err(error.to_string()))
}

/// Returns warnings about what TLS listeners are given, as it is handed over to workers. Raises `ValueError` with the reason if
/// it cannot be used.
#[pyfunction]
pub fn check_tls(contents: &[u8]) -> PyResult<Vec<String>> {
    Contents::build(contents, unix_seconds())
        .map(|built| built.warnings)
        .map_err(|fault| PyValueError::new_err(fault.to_string()))
}

/// Now, as certificates have it.
fn unix_seconds() -> i64 {
    i64::try_from(unix_nanos() / 1_000_000_000).unwrap_or(i64::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float to integer cast saturates"
)]
pub(super) fn millis(seconds: f64) -> Millis {
    (seconds * 1_000.0).ceil() as Millis
}

fn duplicate_optional(fd: RawFd) -> PyResult<Option<OwnedFd>> {
    if fd < 0 {
        Ok(None)
    } else {
        duplicate(fd).map(Some)
    }
}

/// The engine closes what it was given, Python closes what it has: each has a descriptor of its own.
fn duplicate(fd: RawFd) -> PyResult<OwnedFd> {
    if fd < 0 {
        return Err(PyValueError::new_err(format!(
            "{fd} is not a file descriptor"
        )));
    }
    // SAFETY: the borrow lasts for one system call, which answers EBADF for a descriptor that is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    Ok(borrowed.try_clone_to_owned()?)
}
