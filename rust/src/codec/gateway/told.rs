//! What a gateway tells beyond an HTTP/1 head.

use core::net::IpAddr;

use crate::codec::http1::Span;

/// The scheme that the client used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Without encryption.
    Http,
    /// Over TLS.
    Https,
}

/// The client's end of its connection with the web server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address; IPv4 in IPv6 form is given as IPv4.
    pub address: IpAddr,
    /// Its port, if it was told.
    pub port: Option<u16>,
}

/// What a gateway tells of a request beyond its head. Spans are of the same buffer as the head's; one that is empty
/// was not told. Made once and reused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Who the client is (`REMOTE_ADDR`, `REMOTE_PORT`).
    pub client: Option<Client>,
    /// The scheme that the client used.
    pub scheme: Option<Scheme>,
    /// `SERVER_NAME`: the name of the web server's site, which need not be that in Host. Printable ASCII.
    pub server_name: Span,
    /// `SERVER_PORT`.
    pub server_port: Option<u16>,
    /// `SERVER_PROTOCOL`: what the client spoke, perhaps `HTTP/2.0`.
    pub protocol: Span,
    /// `SCRIPT_NAME` if the web server has split the path: decoded; begins with a slash and does not end with one.
    pub script_name: Span,
    /// [`Self::script_name`] and the path together, encoded; the path itself if nothing was split off.
    pub whole_path: Span,
    /// `REMOTE_USER`: whom the web server has authenticated.
    pub remote_user: Span,
    /// All other variables that are the application's to see, names and values; a name may be there twice, and the
    /// last holds.
    pub variables: Vec<(Span, Span)>,
}

impl Told {
    /// Forgets everything but its memory.
    pub fn clear(&mut self) {
        let mut variables = core::mem::take(&mut self.variables);
        variables.clear();
        *self = Self {
            variables,
            ..Self::default()
        };
    }
}
