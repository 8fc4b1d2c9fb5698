//! What TLS listeners present and ask for: certificates by name, versions, client certificates, ticket keys; and what the
//! authorities that sign certificates are answered over HTTP.
//!
//! Theory of operation. The supervisor writes all of it into a file in memory that its workers inherit (`store`), and
//! again whenever certificates or keys change; a worker looks at the number in front of it for each new connection, which
//! is one system call, and builds its configurations anew when it has changed. Connections keep what they began with.
//!
//! The keys of session tickets come the same way, so that a session begun with one worker goes on with another, also
//! across reloads. Nothing here touches a socket; `net` drives the handshakes.

mod base64;
mod challenges;
mod facts;
mod handed;
mod material;
mod profile;
mod resolver;
mod store;
mod ticket;

pub use challenges::Challenges;
pub use facts::{ClientCertificate, Facts};
pub use material::Fault;
pub use profile::Profile;
pub use resolver::take_choice;
pub use store::{Contents, Store};
