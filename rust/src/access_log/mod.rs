//! The access log: one line for each request, formatted and written without Python.
//!
//! A format is compiled once ([`Format`]); a request is shown to it as a [`Record`] of borrowed values, and its line is appended to a
//! buffer that [`AccessLog`] writes to a [`Sink`] when it is full or is told to flush. Nothing is allocated for a line once
//! the buffer has grown.
//!
//! Times are UTC (`+0000`, `Z`) whatever the zone of the machine: a local time repeats an hour each autumn, and reading the zone safely
//! needs more code than the answer is worth.

mod date;
mod escape;
mod filter;
mod format;
mod journal;
mod journald;
mod json;
mod record;
mod sink;
mod suggest;
mod syslog;
mod text;
mod user;

pub use escape::json as write_json_text;
pub use filter::{Filter, FilterError, FilterSettings};
pub use format::{Format, FormatError, Needs};
pub use journal::{AccessLog, FLUSH_AT, Notice};
pub use record::{Fields, NoFields, OwnField, Record, header_in};
pub use sink::{Sink, SinkError};
