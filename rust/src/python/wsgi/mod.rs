//! WSGI (PEP 3333): the environ, `start_response`, the response's bytes.

mod environ;
mod exchange;
mod file_wrapper;
mod input;
mod iterate;
mod waiting;

pub(super) use environ::{EnvironBuilder, NOT_FOUND};
pub use exchange::StartResponse;
pub use file_wrapper::FileWrapper;
pub use input::BodyInput;
pub use iterate::WsgiCall;
pub(super) use iterate::{serve, submit};
