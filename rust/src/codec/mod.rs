//! Protocol codecs without I/O: bytes in, events out, bytes out. Nothing here may open, read or write a descriptor,
//! read a clock or name Python.

pub mod fastcgi;
pub mod gateway;
pub mod http1;
pub mod http2;
pub mod proxy;
pub mod scgi;
pub mod uwsgi;
pub mod ws;
pub mod x509;
