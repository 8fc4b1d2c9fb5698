//! ASGI (3.0): scopes, `receive` and `send`, and how the application's coroutine is stepped.

mod body;
mod cycle;
mod deadline;
mod engine;
mod files;
mod http;
mod message;
mod operation;
mod runner;
mod scope;
mod shared;
mod spare;
mod tasks;
mod tls;
mod waiter;
mod websocket;

pub(super) use deadline::set_task_deadline;
pub use engine::AsgiEngine;
pub use http::HttpCycle;
pub use operation::{Finished, Operation};
pub use runner::Runner;
pub use waiter::Waiter;
pub use websocket::WebSocketCycle;
