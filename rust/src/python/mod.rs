//! The bridges to Python: the only part of the crate that touches Python objects.

mod engine;
mod settings;
mod shared;
mod wsgi;

pub use engine::Engine;
pub use settings::{check_access_log_format, check_trusted_network};
pub use wsgi::{BodyInput, FileWrapper, StartResponse};
