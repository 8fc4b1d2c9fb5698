//! Requests as gateways tell them: CGI variables (RFC 3875 4.1) turned into the head that HTTP/1 would have given, and
//! the answer's head in the gateway's form. What [`uwsgi`], [`scgi`] and [`fastcgi`] have in common.
//!
//! [`uwsgi`]: super::uwsgi
//! [`scgi`]: super::scgi
//! [`fastcgi`]: super::fastcgi
//!
//! # Theory of operation
//!
//! A web server in front has read the client's HTTP and tells it as a list of names and values. [`assemble`] writes
//! that list down as the text of an HTTP/1 head and lets [`http1::parse_head`] judge it, so that nothing passes here
//! that would not pass there, under the same limits. Behind that text, in the same buffer, comes what HTTP/1 has no
//! place for; [`Told`] points to it. So whatever takes a buffer and a [`Head`] of HTTP/1 takes these too.
//!
//! The answer is written by [`write_status_line`], [`write_field`] and [`finish_head`], as [`plan_response`] says; a
//! [`Dialect`] chooses the form.
//!
//! [`http1::parse_head`]: super::http1::parse_head
//! [`Head`]: super::http1::Head
//!
//! An answer that fails before its end has no mark in these protocols that web servers read: nginx takes a connection
//! that is closed as the end of a body of unknown length, in FastCGI even without `END_REQUEST`, and Apache does so in
//! uwsgi and SCGI. Only a connection that is reset (`SO_LINGER` of 0) tells all of them, and through them the client;
//! a unix socket cannot be reset.
//!
//! # Invariants
//!
//! - No name and no value is written to the text before it is known to hold no line end and no NUL, so the text has
//!   exactly the lines intended; [`assemble`] compares the lengths all the same.
//! - How the body is delimited is never taken from a field of the client's: it is `CONTENT_LENGTH` or, in FastCGI, the
//!   end of the stream. Fields about the connection between the client and the web server are left out.
//! - No variable makes anything load code or open a file.
//! - A steady state allocates nothing: the buffer, [`Head`] and [`Told`] are the caller's and are reused.
//!
//! [`Told`] is the gateway's word. Whether that is believed is the caller's to decide, by who the peer is, and is to be
//! decided before anything else of it is looked at.
//!
//! # Decisions where RFC 3875 leaves room
//!
//! | subject | decision |
//! |---|---|
//! | a repeated `CONTENT_LENGTH` | 400, even if equal |
//! | another repeated variable | the last holds: nginx sends a parameter twice when a site sets what an included file has set, and means the later |
//! | a repeated `HTTP_*` | a repeated field, in order; but of `HTTP_HOST` the last holds, as above |
//! | an empty value | as if absent, but for `PATH_INFO`, `SCRIPT_NAME`, `QUERY_STRING` and `HTTP_*` |
//! | names of fields | `HTTP_X_FOO` is `X-Foo`; an underscore of the client's cannot be told from a hyphen any more, so the web server must have dropped or refused such fields (nginx and Apache do unless told otherwise) |
//! | `HTTP_CONTENT_LENGTH`, `HTTP_CONTENT_TYPE` | left out: nginx sends them beside the variables without `HTTP_`, which hold |
//! | hop-by-hop fields, `Expect` | left out: `Connection`, `Keep-Alive`, `Proxy-Connection`, `TE`, `Trailer`, `Transfer-Encoding`, `Upgrade` (there is no WebSocket over a gateway), `Expect` (the web server has answered it) |
//! | the body's length | `CONTENT_LENGTH`. nginx has decoded a chunked body, and Apache refuses one but in FastCGI; without a length, uwsgi and SCGI answer 411, FastCGI goes by its stream ([`Body::Stream`]) |
//! | target | `REQUEST_URI`; without it, what `SCRIPT_NAME`, `PATH_INFO` and `QUERY_STRING` make |
//! | path | see below |
//! | query | `QUERY_STRING`, as a rewriting web server changes that; without it, that of `REQUEST_URI` |
//! | version | 1.0 if `SERVER_PROTOCOL` is absent, `INCLUDED`, HTTP/0.9 or HTTP/1.0, else 1.1, for HTTP/2 and 3 too; only 1.1 needs `HTTP_HOST` |
//! | scheme | `UWSGI_SCHEME`; else https if `HTTPS` is `on` or `1`; else `REQUEST_SCHEME`; else http if `HTTPS` is there; else not told |
//! | client | `REMOTE_ADDR` and `REMOTE_PORT`; what is no IP address (`unix:`) is not told |
//! | variables for the application | every other one made of letters, digits and underscores, but for those that tell of the web server's files, environment and software, and all that begin with `UWSGI_`; control characters are refused, but for tabs and line ends in `SSL_*`, as certificates have them |
//!
//! # The path
//!
//! What the web server decoded, normalised and perhaps rewrote (`SCRIPT_NAME`, `PATH_INFO`) is what it judged by, so
//! that is the path. The client's spelling is kept where it means the same.
//!
//! | given | mount ([`Told::script_name`]) | path ([`Head::path`]) |
//! |---|---|---|
//! | `PATH_INFO` | `SCRIPT_NAME`, without a slash at its end | `PATH_INFO` |
//! | `SCRIPT_NAME` alone (FastCGI of nginx, SCGI and FastCGI of Apache) | none | `SCRIPT_NAME` |
//! | neither; `DOCUMENT_URI` (SCGI of nginx) | none | `DOCUMENT_URI` |
//! | only `REQUEST_URI`, or that is `*` | none | of `REQUEST_URI` |
//!
//! Mount and path together, or the path alone, are compared with the decoded path of `REQUEST_URI`. If they are equal,
//! [`Head::path`] is a part of the target; if not, they are encoded anew. [`Told::whole_path`] is both together.
//!
//! [`Head::path`]: super::http1::Head::path

mod assemble;
mod path;
mod response;
mod told;
mod variable;

#[cfg(test)]
pub(in crate::codec) mod tests;

pub use assemble::{Body, Shape, assemble};
pub use response::{
    Dialect, finish_head, is_status_field, plan_response, write_field, write_refusal,
    write_status_line,
};
pub use told::{Client, Scheme, Told};
