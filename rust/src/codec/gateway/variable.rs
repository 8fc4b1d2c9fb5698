//! Variables by name: which of them make the head, which the application sees, which nobody does.

/// A variable that means something to the server itself. Of those that repeat, the last holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known<'a> {
    pub method: &'a [u8],
    pub uri: &'a [u8],
    pub script_name: Option<&'a [u8]>,
    pub path_info: Option<&'a [u8]>,
    pub document_uri: &'a [u8],
    pub query: Option<&'a [u8]>,
    pub protocol: &'a [u8],
    pub host: Option<&'a [u8]>,
    pub content_type: &'a [u8],
    pub content_length: &'a [u8],
    pub lengths: usize,
    pub remote_addr: &'a [u8],
    pub remote_port: &'a [u8],
    pub remote_user: &'a [u8],
    pub server_name: &'a [u8],
    pub server_port: &'a [u8],
    pub https: &'a [u8],
    pub request_scheme: &'a [u8],
    pub uwsgi_scheme: &'a [u8],
}

impl<'a> Known<'a> {
    /// Takes one variable, if it is one of these.
    pub(super) fn take(&mut self, name: &'a [u8], value: &'a [u8]) {
        if name.starts_with(b"HTTP_") {
            if name == b"HTTP_HOST" {
                self.host = Some(value);
            }
        } else if let Some(place) = self.place_of(name) {
            *place = value;
        }
    }

    /// Where the value of a variable without `HTTP_` belongs.
    fn place_of(&mut self, name: &[u8]) -> Option<&mut &'a [u8]> {
        Some(match name {
            b"REQUEST_METHOD" => &mut self.method,
            b"REQUEST_URI" => &mut self.uri,
            b"SCRIPT_NAME" => self.script_name.insert(b""),
            b"PATH_INFO" => self.path_info.insert(b""),
            b"DOCUMENT_URI" => &mut self.document_uri,
            b"QUERY_STRING" => self.query.insert(b""),
            b"SERVER_PROTOCOL" => &mut self.protocol,
            b"CONTENT_TYPE" => &mut self.content_type,
            b"CONTENT_LENGTH" => {
                self.lengths += 1;
                &mut self.content_length
            }
            b"REMOTE_ADDR" => &mut self.remote_addr,
            b"REMOTE_PORT" => &mut self.remote_port,
            b"REMOTE_USER" => &mut self.remote_user,
            b"SERVER_NAME" => &mut self.server_name,
            b"SERVER_PORT" => &mut self.server_port,
            b"HTTPS" => &mut self.https,
            b"REQUEST_SCHEME" => &mut self.request_scheme,
            b"UWSGI_SCHEME" => &mut self.uwsgi_scheme,
            _ => return None,
        })
    }
}

/// The name, behind `HTTP_`, of a field that is passed on as it is: not Host, and not one of those left out.
pub(super) fn field_of(name: &[u8]) -> Option<&[u8]> {
    name.strip_prefix(b"HTTP_")
        .filter(|field| *field != b"HOST" && !is_left_out(field))
}

/// Whether a variable is for the application to see as it is.
pub(super) fn is_extra(name: &[u8]) -> bool {
    !name.starts_with(b"HTTP_")
        && is_plain(name)
        && !is_private(name)
        && Known::default().place_of(name).is_none()
}

/// Fields about the connection between the client and the web server (RFC 9110 7.6.1), those that the web server has
/// acted on, and doubles of variables without `HTTP_`.
fn is_left_out(field: &[u8]) -> bool {
    let names: &[&[u8]] = match field.len() {
        2 => &[b"TE"],
        6 => &[b"EXPECT"],
        7 => &[b"TRAILER", b"UPGRADE"],
        10 => &[b"CONNECTION", b"KEEP_ALIVE"],
        12 => &[b"CONTENT_TYPE"],
        14 => &[b"CONTENT_LENGTH"],
        16 => &[b"PROXY_CONNECTION"],
        17 => &[b"TRANSFER_ENCODING"],
        _ => &[],
    };
    names.iter().any(|name| is_same_field(field, name))
}

/// Names of fields have no case, and a hyphen in a variable's name would become the same field as an underscore.
fn is_same_field(field: &[u8], upper: &[u8]) -> bool {
    field.len() == upper.len()
        && field.iter().zip(upper).all(|(&octet, &wanted)| {
            octet.to_ascii_uppercase() == wanted || (octet == b'-' && wanted == b'_')
        })
}

/// No dot: nothing here may pass for a key of the interface's own, such as `wsgi.input`.
fn is_plain(name: &[u8]) -> bool {
    !name.is_empty()
        && name
            .iter()
            .all(|octet| octet.is_ascii_alphanumeric() || *octet == b'_')
}

/// Variables that tell of the web server rather than of the request, that the environ has anyway, or that in uWSGI
/// choose which code is loaded from where.
fn is_private(name: &[u8]) -> bool {
    name.starts_with(b"UWSGI_")
        || name.starts_with(b"CONTEXT_")
        || matches!(
            name,
            b"DOCUMENT_ROOT"
                | b"GATEWAY_INTERFACE"
                | b"PATH"
                | b"PATH_TRANSLATED"
                | b"RAW_URI"
                | b"REDIRECT_STATUS"
                | b"SCGI"
                | b"SCRIPT_FILENAME"
                | b"SERVER_ADMIN"
                | b"SERVER_SIGNATURE"
                | b"SERVER_SOFTWARE"
        )
}

/// Appends a field's name as it is usually written: `X_FOO_BAR` is `X-Foo-Bar`.
pub(super) fn write_field_name(out: &mut Vec<u8>, field: &[u8]) {
    let mut is_first = true;
    out.extend(field.iter().map(|octet| {
        let octet = match octet {
            b'_' => b'-',
            _ if is_first => octet.to_ascii_uppercase(),
            _ => octet.to_ascii_lowercase(),
        };
        is_first = octet == b'-';
        octet
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_load_code_or_tell_of_the_web_server_are_nobodys() {
        for name in [
            "UWSGI_FILE",
            "UWSGI_SCRIPT",
            "UWSGI_MODULE",
            "UWSGI_CALLABLE",
            "UWSGI_PYHOME",
            "UWSGI_HOME",
            "UWSGI_CHDIR",
            "UWSGI_SETENV",
            "UWSGI_TOUCH_RELOAD",
            "UWSGI_APPID",
            "UWSGI_POSTFILE",
            "UWSGI_CACHE_GET",
            "UWSGI_SCHEME",
            "DOCUMENT_ROOT",
            "PATH",
            "SCRIPT_FILENAME",
            "CONTEXT_PREFIX",
            "wsgi.input",
            "hostler.request_id",
            "A B",
            "",
            "HTTP_CONNECTION",
            "HTTP_TRANSFER_ENCODING",
            "HTTP_TRANSFER-ENCODING",
            "HTTP_Transfer_Encoding",
            "HTTP_CONTENT_LENGTH",
            "HTTP_TE",
            "HTTP_HOST",
            "REQUEST_METHOD",
            "QUERY_STRING",
        ] {
            let name = name.as_bytes();
            assert!(!is_extra(name), "{}", name.escape_ascii());
            assert_eq!(field_of(name), None, "{}", name.escape_ascii());
        }
        for name in [
            "SSL_CLIENT_S_DN",
            "AUTH_TYPE",
            "X_CUSTOM",
            "GEOIP_COUNTRY",
            "UWSGI",
        ] {
            assert!(is_extra(name.as_bytes()), "{name}");
        }
        assert_eq!(field_of(b"HTTP_X_FOO"), Some(&b"X_FOO"[..]));
        assert_eq!(field_of(b"HTTP_Host"), Some(&b"Host"[..]));
    }

    #[test]
    fn names_of_fields_are_written_as_usual() {
        for (variable, name) in [
            ("X_FOO", "X-Foo"),
            ("COOKIE", "Cookie"),
            ("x_y", "X-Y"),
            ("SEC_CH_UA", "Sec-Ch-Ua"),
            ("_", "-"),
            ("", ""),
        ] {
            let mut out = Vec::new();
            write_field_name(&mut out, variable.as_bytes());
            assert_eq!(out, name.as_bytes());
        }
    }
}
