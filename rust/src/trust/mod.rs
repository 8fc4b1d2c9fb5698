//! Who is believed about what: trusted networks, and what trusted proxies say about the client they speak for.
//!
//! A connection's peer is looked up in [`Networks`] once; only if it is trusted are the fields of its requests read for
//! [`Forwarded`]. For everyone else, [`is_hidden`] names the fields that the application must not see.

mod forwarded;
mod hidden;
mod networks;
mod node;
mod walk;

pub use forwarded::{Forwarded, ForwardedClient, Precedence, Problem, Scheme, resolve};
pub use hidden::is_hidden;
pub use networks::{Networks, PeerAddr, TrustError};
