//! What the log is told about one request.

/// Looks up by name what only some formats ask for. Names of fields come in lowercase and are compared without regard to case.
pub trait Fields {
    /// The value of the request field, if there is one.
    fn request_header(&self, name: &[u8]) -> Option<&[u8]>;
    /// The value of the response field, if there is one. Asked only if [`super::Needs::response_headers`].
    fn response_header(&self, name: &[u8]) -> Option<&[u8]>;
    /// The value of the environ key, written as it was in the format. Asked only for names in [`super::Needs::environ`].
    fn environ(&self, name: &[u8]) -> Option<&[u8]>;
    /// The fields that the application has set, in its order. Asked only if [`super::Needs::own`].
    fn own(&self) -> &[OwnField] {
        &[]
    }
}

/// A field that the application has set for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnField {
    /// Its name.
    pub name: Vec<u8>,
    /// Its value as text, UTF-8.
    pub value: Vec<u8>,
    /// A number or boolean, which JSON writes without quotes.
    pub is_plain: bool,
}

/// Knows no field: for requests that were refused before their head was understood.
#[derive(Debug, Clone, Copy)]
pub struct NoFields;

impl Fields for NoFields {
    fn request_header(&self, _name: &[u8]) -> Option<&[u8]> {
        None
    }

    fn response_header(&self, _name: &[u8]) -> Option<&[u8]> {
        None
    }

    fn environ(&self, _name: &[u8]) -> Option<&[u8]> {
        None
    }
}

/// One request and its response. An empty text is one that is not known.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// The client's address as text, without a port; empty on a unix socket.
    pub client: &'a [u8],
    /// When the request's head was complete, in nanoseconds since the Unix epoch.
    pub started_unix_nanos: u64,
    /// From then until the response was handed over, in nanoseconds.
    pub duration_nanos: u64,
    /// The method.
    pub method: &'a [u8],
    /// The request target as it was sent.
    pub target: &'a [u8],
    /// The path, decoded.
    pub path: &'a [u8],
    /// The query, without its question mark, as it was sent.
    pub query: &'a [u8],
    /// The protocol, such as `HTTP/1.1`.
    pub protocol: &'a [u8],
    /// The status of the response; 0 if none was sent.
    pub status: u16,
    /// Bytes of the response's body that were sent.
    pub body_bytes: u64,
    /// The request id.
    pub request_id: &'a [u8],
    /// The scheme that the client used: `http` or `https`.
    pub scheme: &'a str,
    /// The process that answered.
    pub pid: u32,
    /// Everything else.
    pub fields: &'a dyn Fields,
}

/// Finds the first field of that name in the raw bytes of a head, whose first line is skipped; the value comes without white space
/// around it. For heads that were checked when they were parsed or made.
#[must_use]
pub fn header_in<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = head;
    loop {
        let end = memchr::memchr(b'\n', rest)?;
        rest = &rest[end + 1..];
        let matches = rest.len() > name.len()
            && rest[name.len()] == b':'
            && rest[..name.len()].eq_ignore_ascii_case(name);
        if matches {
            let value = &rest[name.len() + 1..];
            let end = memchr::memchr(b'\n', value).unwrap_or(value.len());
            return Some(value[..end].trim_ascii());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_whatever_its_case() {
        let head =
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-A:\r\nx-b:1\r\nx-b: 2\r\n\r\n";
        assert_eq!(header_in(head, b"content-type"), Some(&b"text/plain"[..]));
        assert_eq!(header_in(head, b"x-a"), Some(&b""[..]));
        assert_eq!(header_in(head, b"X-B"), Some(&b"1"[..]));
        assert_eq!(header_in(head, b"content"), None);
        assert_eq!(header_in(head, b"http/1.1 200 ok"), None);
        assert_eq!(header_in(b"", b"a"), None);
        assert_eq!(header_in(b"GET / HTTP/1.1\r\na: b", b"a"), Some(&b"b"[..]));
    }
}
