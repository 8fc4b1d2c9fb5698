//! Writing a line of a text format.

use super::date::{DateCache, asctime};
use super::escape;
use super::format::Op;
use super::record::Record;
use super::user::User;

/// Appends the pieces of a line. A value that is not known is a hyphen, as in the Common Log Format.
#[inline]
pub(super) fn write(ops: &[Op], record: &Record<'_>, dates: &mut DateCache, out: &mut Vec<u8>) {
    for op in ops {
        write_op(op, record, dates, out);
    }
}

#[inline]
fn write_op(op: &Op, record: &Record<'_>, dates: &mut DateCache, out: &mut Vec<u8>) {
    let fields = record.fields;
    match op {
        Op::Literal(text) => out.extend_from_slice(text),
        Op::Client => or_dash(record.client, out),
        Op::Dash => out.push(b'-'),
        Op::User => write_user(record, out),
        Op::Time => out.extend_from_slice(dates.clf(record.started_unix_nanos)),
        Op::Rfc3339 => out.extend_from_slice(dates.rfc3339(record.started_unix_nanos)),
        Op::BareTime => {
            let bracketed = dates.clf(record.started_unix_nanos);
            out.extend_from_slice(&bracketed[1..bracketed.len() - 1]);
        }
        Op::Asctime => out.extend_from_slice(&asctime(record.started_unix_nanos / 1_000_000_000)),
        Op::Epoch => number(record.started_unix_nanos / 1_000_000_000, out),
        Op::Target => or_dash(record.target, out),
        Op::RequestLine => write_request_line(record, out),
        Op::Status => number_or_dash(u64::from(record.status), out),
        Op::Method => or_dash(record.method, out),
        Op::Path => or_dash(record.path, out),
        // Gunicorn leaves an absent query empty, where other absent values are hyphens.
        Op::Query => escape::text(record.query, out),
        Op::Protocol => or_dash(record.protocol, out),
        Op::BytesOrDash => number_or_dash(record.body_bytes, out),
        Op::Bytes => number(record.body_bytes, out),
        Op::Referer => or_dash(fields.request_header(b"referer").unwrap_or_default(), out),
        Op::UserAgent => or_dash(
            fields.request_header(b"user-agent").unwrap_or_default(),
            out,
        ),
        Op::Seconds => number(record.duration_nanos / 1_000_000_000, out),
        Op::Millis => number(record.duration_nanos / 1_000_000, out),
        Op::Micros => number(record.duration_nanos / 1_000, out),
        Op::DecimalSeconds => decimal(record.duration_nanos / 1_000, 1_000_000, out),
        Op::Pid => write_pid(record.pid, out),
        Op::PlainPid => number(u64::from(record.pid), out),
        Op::RequestHeader(name) => or_dash(fields.request_header(name).unwrap_or_default(), out),
        Op::ResponseHeader(name) => or_dash(fields.response_header(name).unwrap_or_default(), out),
        Op::Environ(name) => or_dash(fields.environ(name).unwrap_or_default(), out),
        Op::Own(name) => {
            let own = fields.own().iter().find(|own| own.name[..] == name[..]);
            or_dash(own.map(|own| &own.value[..]).unwrap_or_default(), out);
        }
        Op::RequestId => or_dash(record.request_id, out),
        Op::Scheme => or_dash(record.scheme.as_bytes(), out),
    }
}

#[inline]
fn or_dash(value: &[u8], out: &mut Vec<u8>) {
    if value.is_empty() {
        out.push(b'-');
    } else {
        escape::text(value, out);
    }
}

/// Appends a number.
#[inline]
pub(super) fn number(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn number_or_dash(value: u64, out: &mut Vec<u8>) {
    if value == 0 {
        out.push(b'-');
    } else {
        number(value, out);
    }
}

/// Appends `value / scale` with all its decimals; the scale is a power of ten.
pub(super) fn decimal(value: u64, scale: u64, out: &mut Vec<u8>) {
    number(value / scale, out);
    out.push(b'.');
    // A one in front keeps the leading zeros, and is overwritten by nothing: only what follows it is taken.
    out.extend_from_slice(&itoa::Buffer::new().format(scale + value % scale).as_bytes()[1..]);
}

/// The client can put any bytes into a user name; a space among them would shift the columns of the line.
fn write_user(record: &Record<'_>, out: &mut Vec<u8>) {
    match record
        .fields
        .request_header(b"authorization")
        .and_then(User::from_authorization)
    {
        Some(user) => escape::word(user.as_bytes(), out),
        None => out.push(b'-'),
    }
}

fn write_request_line(record: &Record<'_>, out: &mut Vec<u8>) {
    or_dash(record.method, out);
    out.push(b' ');
    or_dash(record.target, out);
    out.push(b' ');
    or_dash(record.protocol, out);
}

/// In angle brackets, as Gunicorn writes it.
fn write_pid(pid: u32, out: &mut Vec<u8>) {
    out.push(b'<');
    number(u64::from(pid), out);
    out.push(b'>');
}

#[cfg(test)]
mod tests {
    use super::super::{Fields, Format, NoFields, OwnField, Record};

    struct Pairs<'a>(&'a [(&'a str, &'a [u8])]);

    impl Pairs<'_> {
        fn find(&self, kind: char, name: &[u8]) -> Option<&[u8]> {
            let wanted = format!("{kind}:{}", String::from_utf8_lossy(name));
            self.0
                .iter()
                .find(|(key, _)| *key == wanted)
                .map(|(_, value)| *value)
        }
    }

    impl Fields for Pairs<'_> {
        fn request_header(&self, name: &[u8]) -> Option<&[u8]> {
            self.find('i', name)
        }

        fn response_header(&self, name: &[u8]) -> Option<&[u8]> {
            self.find('o', name)
        }

        fn environ(&self, name: &[u8]) -> Option<&[u8]> {
            self.find('e', name)
        }
    }

    fn record(fields: &dyn Fields) -> Record<'_> {
        Record {
            client: b"192.0.2.1",
            started_unix_nanos: 971_186_136_007_000_000,
            duration_nanos: 2_034_567_890,
            method: b"GET",
            target: b"/a%20b?c=d",
            path: b"/a b",
            query: b"c=d",
            protocol: b"HTTP/1.1",
            status: 200,
            body_bytes: 2_326,
            request_id: b"0123456789abcdef0123456789abcdef",
            scheme: "https",
            pid: 42,
            fields,
        }
    }

    fn line(format: &str, record: &Record<'_>) -> String {
        let mut out = Vec::new();
        Format::compile(format).unwrap().write(record, &mut out);
        let line = String::from_utf8(out).unwrap();
        assert_eq!(line.matches('\n').count(), 1, "{line:?}");
        line.strip_suffix('\n').unwrap().to_owned()
    }

    const FIELDS: Pairs<'_> = Pairs(&[
        ("i:referer", b"http://example.org/"),
        ("i:user-agent", b"curl/8"),
        ("i:authorization", b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ("i:x-in", b"in"),
        ("o:x-out", b"out"),
        ("e:wsgi.key", b"value"),
    ]);

    #[test]
    fn common_and_combined_are_those_of_apache() {
        let common =
            "192.0.2.1 - Aladdin [10/Oct/2000:13:55:36 +0000] \"GET /a%20b?c=d HTTP/1.1\" 200 2326";
        assert_eq!(line("common", &record(&FIELDS)), common);
        assert_eq!(
            line("combined", &record(&FIELDS)),
            format!("{common} \"http://example.org/\" \"curl/8\"")
        );
    }

    #[test]
    fn each_atom_has_gunicorns_meaning() {
        let cases = [
            ("h", "192.0.2.1"),
            ("l", "-"),
            ("u", "Aladdin"),
            ("t", "[10/Oct/2000:13:55:36 +0000]"),
            ("r", "GET /a%20b?c=d HTTP/1.1"),
            ("s", "200"),
            ("m", "GET"),
            ("U", "/a b"),
            ("q", "c=d"),
            ("H", "HTTP/1.1"),
            ("b", "2326"),
            ("B", "2326"),
            ("f", "http://example.org/"),
            ("a", "curl/8"),
            ("T", "2"),
            ("D", "2034567"),
            ("M", "2034"),
            ("L", "2.034567"),
            ("p", "<42>"),
            ("{X-In}i", "in"),
            ("{X-Out}o", "out"),
            ("{wsgi.key}e", "value"),
            ("{absent}i", "-"),
            ("{absent}o", "-"),
            ("{absent}e", "-"),
            ("{request_id}x", "0123456789abcdef0123456789abcdef"),
            ("{scheme}x", "https"),
            ("{time}x", "2000-10-10T13:55:36.007Z"),
            ("{clf}x", "10/Oct/2000:13:55:36 +0000"),
            ("{date}x", "Tue Oct 10 13:55:36 2000"),
            ("{epoch}x", "971186136"),
            ("{target}x", "/a%20b?c=d"),
            ("{pid}x", "42"),
        ];
        for (atom, shown) in cases {
            assert_eq!(
                line(&format!("%({atom})s"), &record(&FIELDS)),
                shown,
                "{atom}"
            );
        }
    }

    #[test]
    fn what_is_not_known_is_a_hyphen() {
        let empty = Record {
            client: b"",
            started_unix_nanos: 0,
            duration_nanos: 7_000,
            method: b"",
            target: b"",
            path: b"",
            query: b"",
            protocol: b"",
            status: 0,
            body_bytes: 0,
            request_id: b"",
            scheme: "",
            pid: 1,
            fields: &NoFields,
        };
        assert_eq!(
            line("combined", &empty),
            "- - - [01/Jan/1970:00:00:00 +0000] \"- - -\" - - \"-\" \"-\""
        );
        assert_eq!(
            line("%(B)s|%(q)s|%(T)s|%(M)s|%(D)s|%(L)s", &empty),
            "0||0|0|7|0.000007"
        );
    }

    #[test]
    fn a_client_cannot_forge_lines_or_columns() {
        let hostile = Pairs(&[
            ("i:user-agent", b"x\" 200 1\n127.0.0.1 - - \x1b[2J\xff\\"),
            ("i:authorization", b"Basic YSBiIg06eA=="), // a b"\r:x
        ]);
        let seen = line("%(u)s \"%(a)s\"", &record(&hostile));
        assert_eq!(
            seen,
            "a\\x20b\\x22\\x0D \"x\\x22 200 1\\x0A127.0.0.1 - - \\x1B[2J\\xFF\\x5C\""
        );
    }

    #[test]
    fn json_has_every_key_in_order() {
        let seen = line("json", &record(&FIELDS));
        assert_eq!(
            seen,
            "{\"time\":\"2000-10-10T13:55:36.007Z\",\"client\":\"192.0.2.1\",\"user\":\"Aladdin\",\"method\":\"GET\",\"path\":\"/a b\",\
             \"query\":\"c=d\",\"protocol\":\"HTTP/1.1\",\"status\":200,\"bytes\":2326,\"duration_ms\":2034.567,\
             \"request_id\":\"0123456789abcdef0123456789abcdef\",\"referer\":\"http://example.org/\",\"user_agent\":\"curl/8\",\
             \"host\":null,\"scheme\":\"https\",\"pid\":42,\"fields\":null}"
        );
    }

    #[test]
    fn json_escapes_what_a_client_chose() {
        let hostile = Pairs(&[
            ("i:user-agent", b"\"}\n{\"a\":\"\xff"),
            ("i:host", "ex\u{e9}".as_bytes()),
        ]);
        let seen = line("json", &record(&hostile));
        assert!(
            seen.contains(r#""user_agent":"\"}\n{\"a\":\"\u00ff","host":"exé""#),
            "{seen}"
        );
    }

    struct Owned(Vec<OwnField>);

    impl Fields for Owned {
        fn request_header(&self, _name: &[u8]) -> Option<&[u8]> {
            None
        }

        fn response_header(&self, _name: &[u8]) -> Option<&[u8]> {
            None
        }

        fn environ(&self, _name: &[u8]) -> Option<&[u8]> {
            None
        }

        fn own(&self) -> &[OwnField] {
            &self.0
        }
    }

    fn own(name: &str, value: &str, is_plain: bool) -> OwnField {
        OwnField {
            name: name.into(),
            value: value.into(),
            is_plain,
        }
    }

    #[test]
    fn fields_of_the_application_are_written_in_either_form() {
        let fields = Owned(vec![
            own("tenant", "a \"b\"\n", false),
            own("rows", "17", true),
            own("hit", "true", true),
        ]);
        let seen = line("json", &record(&fields));
        assert!(
            seen.ends_with(r#""fields":{"tenant":"a \"b\"\n","rows":17,"hit":true}}"#),
            "{seen}"
        );
        let seen = line("%({tenant}f)s %({rows}f)s %({other}f)s", &record(&fields));
        assert_eq!(seen, r"a \x22b\x22\x0A 17 -");
    }

    /// Reads one JSON object of strings, numbers and nulls; none if it is not valid (RFC 8259).
    fn keys_of_json(text: &str) -> Option<Vec<&str>> {
        let mut rest = text.strip_prefix('{')?;
        let mut keys = Vec::new();
        loop {
            let (key, after) = json_string(rest)?;
            keys.push(key);
            let value = after.strip_prefix(':')?;
            rest = match value.as_bytes().first()? {
                b'"' => json_string(value)?.1,
                b'n' => value.strip_prefix("null")?,
                _ => value.trim_start_matches(|character: char| {
                    character.is_ascii_digit() || character == '.'
                }),
            };
            match rest.strip_prefix(',') {
                Some(next) => rest = next,
                None => return (rest == "}").then_some(keys),
            }
        }
    }

    fn json_string(text: &str) -> Option<(&str, &str)> {
        let inside = text.strip_prefix('"')?;
        let mut characters = inside.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => return Some((&inside[..at], &inside[at + 1..])),
                '\0'..='\x1f' => return None,
                '\\' => match characters.next()?.1 {
                    'u' => (0..4)
                        .try_for_each(|_| characters.next()?.1.is_ascii_hexdigit().then_some(()))?,
                    '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' => {}
                    _ => return None,
                },
                _ => {}
            }
        }
        None
    }

    #[test]
    fn json_is_valid_whatever_the_bytes() {
        let mut state = 7_u64;
        for _ in 0..2_000 {
            let mut bytes = [0; 24];
            for byte in &mut bytes {
                // The constants of Knuth's MMIX generator: any sequence without a short period serves.
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                *byte = state.to_be_bytes()[0];
            }
            let pairs = [("i:user-agent", &bytes[..]), ("i:host", &bytes[..9])];
            let fields = Pairs(&pairs);
            let hostile = Record {
                method: &bytes,
                path: &bytes[3..],
                query: &bytes[5..7],
                request_id: &bytes,
                ..record(&fields)
            };
            let seen = line("json", &hostile);
            let keys = keys_of_json(&seen).unwrap_or_else(|| panic!("not valid: {seen}"));
            assert_eq!(keys.len(), 17);
        }
    }
}
