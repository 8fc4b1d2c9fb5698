//! How long the application may take for a request: what applies to a path, and who is late.
//!
//! Theory of operation. A *stint* is the time for which one request is with the application. Whoever calls the application
//! begins and ends it; where it has a deadline, the *warden* knows of it. The warden has a thread of its own, which
//! sleeps until the earliest deadline, and needs nothing of what may be stuck: neither the interpreter nor an event loop.
//! A stint that is past its deadline *expires*: from then on the request is the warden's to answer, and the application
//! finds out when it ends. What is done about the application is the bridge's business.
//!
//! Invariants. A request is answered by exactly one side: `Stint::end` and the warden's look change the same atomic word,
//! and only one of them can. A stint cannot be left while the warden, or a bridge, holds its lock and has seen it expired.

mod routes;
mod stint;
mod warden;

pub use routes::{Routes, check_pattern};
pub use stint::{Ended, Stint, Subject};
pub use warden::{Finding, Late, Warden};
