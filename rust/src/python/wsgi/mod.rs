//! WSGI (PEP 3333): the environ, `start_response`, the response's bytes.

mod environ;
mod exchange;
mod file_wrapper;
mod input;
mod iterate;
mod waiting;

pub(super) use environ::EnvironBuilder;
pub use exchange::StartResponse;
pub use file_wrapper::FileWrapper;
pub use input::BodyInput;
pub(super) use iterate::{log_error, serve, warn};
