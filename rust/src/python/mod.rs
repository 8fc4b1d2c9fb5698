//! The bridges to Python: the only part of the crate that touches Python objects.

mod asgi;
mod deadline;
mod engine;
mod fields;
mod logged;
mod mounts;
mod proxied;
mod report;
mod response;
mod scoreboard;
mod settings;
mod shared;
mod values;
mod wsgi;

pub use asgi::{AsgiEngine, Finished, HttpCycle, Operation, Runner, Waiter, WebSocketCycle};
pub use deadline::{DeadlineExceeded, set_deadline, watch_deadlines};
pub use engine::Engine;
pub use scoreboard::scoreboard_layout;
pub use settings::{
    check_access_log_filter, check_access_log_format, check_deadline_pattern, check_tls,
    check_trusted_network,
};
pub use wsgi::{BodyInput, FileWrapper, StartResponse, WsgiCall};
