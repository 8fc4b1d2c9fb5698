//! Variables as data: what each combination becomes, or why it is refused.

use super::*;

const DECLARED: Shape = Shape {
    strip_script_name: false,
    body: Body::Declared,
    keep_alive: false,
};

type Variables<'a> = Vec<(&'a str, &'a str)>;

/// A request that is accepted.
fn plain() -> Variables<'static> {
    vec![
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_URI", "/a%20b/c?x=1"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("HTTP_HOST", "a.example"),
    ]
}

/// [`plain`] with some variables replaced: one with the value `-` is left out, one with a `+` before its name added.
fn with(changes: &[(&'static str, &'static str)]) -> Variables<'static> {
    let mut variables = plain();
    for &(name, value) in changes {
        let added = name.strip_prefix('+');
        if added.is_none() {
            variables.retain(|variable| variable.0 != name);
        }
        if value != "-" {
            variables.push((added.unwrap_or(name), value));
        }
    }
    variables
}

fn run(variables: &[(&str, &str)], shape: Shape) -> Result<Room, Refusal> {
    let mut room = Room::default();
    let Room { bytes, head, told } = &mut room;
    assemble(
        as_bytes(variables),
        shape,
        &Limits::default(),
        bytes,
        head,
        told,
    )?;
    room.check();
    Ok(room)
}

fn accept(changes: &[(&'static str, &'static str)]) -> Room {
    run(&with(changes), DECLARED).unwrap()
}

#[test]
fn what_cannot_be_read_in_one_way_is_refused() {
    let cases: &[(&[(&str, &str)], u16)] = &[
        (&[("REQUEST_METHOD", "-")], 400),
        (&[("REQUEST_METHOD", "")], 400),
        (&[("REQUEST_METHOD", "GET /x HTTP/1.1\r\nX:")], 400),
        (&[("REQUEST_METHOD", "GE T")], 400),
        (&[("REQUEST_METHOD", "CONNECT")], 501),
        (
            &[("REQUEST_METHOD", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG")],
            501,
        ),
        (&[("REQUEST_URI", "-")], 400),
        (&[("REQUEST_URI", "")], 400),
        (&[("REQUEST_URI", "/a b")], 400),
        (&[("REQUEST_URI", "/a HTTP/1.1\r\nX: y\r\n\r\n")], 400),
        (&[("REQUEST_URI", "/caf\u{e9}")], 400),
        (&[("REQUEST_URI", "/a#b")], 400),
        (&[("REQUEST_URI", "a")], 400),
        (&[("REQUEST_URI", "*")], 400),
        (&[("REQUEST_URI", "ftp://a/")], 400),
        (&[("REQUEST_URI", "http://u@a/")], 400),
        (&[("REQUEST_URI", "/%zz"), ("PATH_INFO", "/x")], 400),
        (&[("REQUEST_URI", "/%00"), ("PATH_INFO", "/x")], 400),
        (&[("QUERY_STRING", "a b")], 400),
        (&[("QUERY_STRING", "a\r\n")], 400),
        (
            &[
                ("REQUEST_URI", "-"),
                ("PATH_INFO", "/"),
                ("QUERY_STRING", "a b"),
            ],
            400,
        ),
        (&[("PATH_INFO", "x")], 400),
        (&[("PATH_INFO", "/x\0y")], 400),
        (&[("SCRIPT_NAME", "x"), ("PATH_INFO", "/")], 400),
        (&[("SCRIPT_NAME", "/x\0y"), ("PATH_INFO", "/")], 400),
        (&[("SERVER_PROTOCOL", "HTTP/4.0")], 400),
        (&[("SERVER_PROTOCOL", "HTTP/1.1\r\nX: y")], 400),
        (&[("HTTP_HOST", "-")], 400),
        (&[("HTTP_HOST", "")], 400),
        (&[("HTTP_HOST", "a b")], 400),
        (&[("HTTP_HOST", "a\r\nX: y")], 400),
        (&[("HTTP_X", "a\rb")], 400),
        (&[("HTTP_X", "a\nb")], 400),
        (&[("HTTP_X", "a\0b")], 400),
        (&[("HTTP_X", "a\u{7f}b")], 400),
        (&[("HTTP_", "a")], 400),
        (&[("HTTP_A B", "a")], 400),
        (&[("HTTP_A:", "a")], 400),
        (&[("HTTP_A\r\nX", "a")], 400),
        (&[("CONTENT_TYPE", "a\r\nX: y")], 400),
        (&[("CONTENT_LENGTH", "+1")], 400),
        (&[("CONTENT_LENGTH", "-1")], 400),
        (&[("CONTENT_LENGTH", " 1")], 400),
        (&[("CONTENT_LENGTH", "0x1")], 400),
        (&[("CONTENT_LENGTH", "1, 1")], 400),
        (&[("CONTENT_LENGTH", "18446744073709551616")], 400),
        (&[("CONTENT_LENGTH", "104857601")], 413),
        (&[("+CONTENT_LENGTH", "1"), ("+CONTENT_LENGTH", "1")], 400),
        (&[("+CONTENT_LENGTH", ""), ("+CONTENT_LENGTH", "1")], 400),
        (&[("HTTP_TRANSFER_ENCODING", "chunked")], 411),
        (&[("HTTP_TRANSFER_ENCODING", "gzip")], 411),
        (&[("REMOTE_USER", "a\nb")], 400),
        (&[("SERVER_NAME", "a\nb")], 400),
        (&[("X_PLAIN", "a\nb")], 400),
        (&[("SSL_CLIENT_CERT", "a\0b")], 400),
    ];
    for (changes, status) in cases {
        let refusal = run(&with(changes), DECLARED).expect_err(&format!("{changes:?}"));
        assert_eq!(refusal.status, *status, "{changes:?}: {refusal}");
    }
}

#[test]
fn the_path_is_the_web_servers_and_the_spelling_the_clients() {
    for (changes, script_name, path, whole) in [
        (&[][..], "", "/a%20b/c", "/a%20b/c"),
        (&[("PATH_INFO", "/a b/c")][..], "", "/a%20b/c", "/a%20b/c"),
        (
            &[("SCRIPT_NAME", "/a b"), ("PATH_INFO", "/c")],
            "/a b",
            "/c",
            "/a%20b/c",
        ),
        (
            &[("SCRIPT_NAME", "/a b/"), ("PATH_INFO", "/c")],
            "/a b",
            "/c",
            "/a%20b/c",
        ),
        (
            &[("SCRIPT_NAME", "/a b/c"), ("PATH_INFO", "")],
            "/a b/c",
            "",
            "/a%20b/c",
        ),
        (&[("SCRIPT_NAME", "/a b/c")], "", "/a%20b/c", "/a%20b/c"),
        (&[("DOCUMENT_URI", "/a b/c")], "", "/a%20b/c", "/a%20b/c"),
        (&[("DOCUMENT_URI", "/new")], "", "/new", "/new"),
        (
            &[("PATH_INFO", "/new\r\n?\u{e4}%")],
            "",
            "/new%0D%0A%3F%C3%A4%25",
            "/new%0D%0A%3F%C3%A4%25",
        ),
        (
            &[("SCRIPT_NAME", "/x y"), ("PATH_INFO", "/z")],
            "/x y",
            "/z",
            "/x%20y/z",
        ),
        (&[("PATH_INFO", "")], "", "/a%20b/c", "/a%20b/c"),
        (
            &[
                ("REQUEST_URI", "/%61%2Fb"),
                ("SCRIPT_NAME", "/a"),
                ("PATH_INFO", "/b"),
            ],
            "/a",
            "%2Fb",
            "/%61%2Fb",
        ),
        (
            &[
                ("REQUEST_URI", "-"),
                ("SCRIPT_NAME", "/x y"),
                ("PATH_INFO", "/z"),
            ],
            "/x y",
            "/z",
            "/x%20y/z",
        ),
        (
            &[("REQUEST_URI", "http://b.example"), ("PATH_INFO", "/")],
            "",
            "/",
            "/",
        ),
        (
            &[
                ("REQUEST_URI", "http://b.example/x?y"),
                ("SCRIPT_NAME", "/x"),
                ("PATH_INFO", ""),
            ],
            "/x",
            "",
            "/x",
        ),
        (
            &[
                ("REQUEST_METHOD", "OPTIONS"),
                ("REQUEST_URI", "*"),
                ("PATH_INFO", "/x"),
            ],
            "",
            "*",
            "*",
        ),
    ] {
        let room = accept(changes);
        let told = &room.told;
        assert_eq!(room.text(told.script_name), script_name, "{changes:?}");
        assert_eq!(room.text(room.head.path), path, "{changes:?}");
        assert_eq!(room.text(told.whole_path), whole, "{changes:?}");
    }
}

#[test]
fn a_target_is_made_where_none_was_sent() {
    let room = accept(&[
        ("REQUEST_URI", ""),
        ("SCRIPT_NAME", "/a b"),
        ("PATH_INFO", "/c"),
        ("QUERY_STRING", "d=e"),
    ]);
    assert_eq!(room.text(room.head.target), "/a%20b/c?d=e");
    assert_eq!(room.text(room.head.query), "d=e");
}

#[test]
fn the_query_is_the_web_servers() {
    for (value, query) in [
        ("-", "x=1"),
        ("x=1", "x=1"),
        ("", ""),
        ("y=2&x=1", "y=2&x=1"),
    ] {
        let room = accept(&[("QUERY_STRING", value)]);
        assert_eq!(room.text(room.head.query), query);
        assert_eq!(room.text(room.head.target), "/a%20b/c?x=1");
    }
}

#[test]
fn of_what_is_said_twice_the_last_holds_and_fields_are_kept() {
    let room = accept(&[
        ("+SCRIPT_NAME", "/wrong"),
        ("+SCRIPT_NAME", ""),
        ("+PATH_INFO", "/wrong"),
        ("+PATH_INFO", "/right"),
        ("+HTTP_HOST", "b.example:8080"),
        ("+HTTP_X_FOO", "one"),
        ("+HTTP_X_FOO", "two"),
    ]);
    assert_eq!(room.text(room.head.path), "/right");
    assert_eq!(room.text(room.head.host.unwrap()), "b.example:8080");
    let wanted = [
        ("Host", "b.example:8080"),
        ("X-Foo", "one"),
        ("X-Foo", "two"),
    ];
    let wanted = wanted.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(room.fields(), wanted);
}

#[test]
fn doubled_and_hop_by_hop_fields_are_left_out() {
    let room = accept(&[
        ("CONTENT_LENGTH", "3"),
        ("CONTENT_TYPE", "text/plain"),
        ("HTTP_CONTENT_LENGTH", "9"),
        ("HTTP_CONTENT_TYPE", "text/html"),
        ("HTTP_TRANSFER_ENCODING", "chunked"),
        ("HTTP_CONNECTION", "upgrade"),
        ("HTTP_UPGRADE", "websocket"),
        ("HTTP_EXPECT", "something"),
        ("HTTP_TE", "trailers"),
    ]);
    assert_eq!(room.head.framing, Framing::Length(3));
    let names: Vec<_> = room.fields().into_iter().map(|field| field.0).collect();
    assert_eq!(names, ["Host", "Content-Type", "Content-Length"]);
}

#[test]
fn a_stream_has_a_body_of_unknown_length_only_if_none_is_declared() {
    for (length, is_empty, framing) in [
        ("-", true, Framing::None),
        ("-", false, Framing::Chunked),
        ("", false, Framing::Chunked),
        ("3", false, Framing::Length(3)),
        ("0", true, Framing::Length(0)),
    ] {
        let shape = Shape {
            body: Body::Stream { is_empty },
            keep_alive: true,
            ..DECLARED
        };
        let changes = [
            ("CONTENT_LENGTH", length),
            ("HTTP_TRANSFER_ENCODING", "chunked"),
        ];
        let room = run(&with(&changes), shape).unwrap();
        assert_eq!(room.head.framing, framing);
        assert!(room.head.keep_alive);
    }
}

#[test]
fn the_scheme_is_told_by_the_first_variable_that_knows() {
    for (uwsgi, https, request, scheme) in [
        ("-", "-", "-", None),
        ("", "", "", None),
        ("-", "on", "http", Some(Scheme::Https)),
        ("-", "ON", "-", Some(Scheme::Https)),
        ("-", "1", "-", Some(Scheme::Https)),
        ("-", "off", "-", Some(Scheme::Http)),
        ("-", "-", "https", Some(Scheme::Https)),
        ("-", "off", "https", Some(Scheme::Https)),
        ("-", "-", "http", Some(Scheme::Http)),
        ("-", "-", "gopher", None),
        ("http", "on", "https", Some(Scheme::Http)),
        ("https", "-", "http", Some(Scheme::Https)),
        ("javascript", "on", "http", Some(Scheme::Https)),
    ] {
        let room = accept(&[
            ("UWSGI_SCHEME", uwsgi),
            ("HTTPS", https),
            ("REQUEST_SCHEME", request),
        ]);
        assert_eq!(room.told.scheme, scheme, "{uwsgi} {https} {request}");
    }
}

#[test]
fn clients_without_an_address_are_not_told() {
    for (address, port, client) in [
        ("192.0.2.1", "80", Some(("192.0.2.1", Some(80)))),
        ("::ffff:192.0.2.1", "", Some(("192.0.2.1", None))),
        ("2001:db8::1", "65536", Some(("2001:db8::1", None))),
        ("2001:db8::1", "+1", Some(("2001:db8::1", None))),
        ("unix:", "", None),
        ("", "1", None),
        ("192.0.2.1:80", "", None),
        ("host.example", "", None),
        ("192.0.2.1\r\n", "", None),
    ] {
        let room = accept(&[("REMOTE_ADDR", address), ("REMOTE_PORT", port)]);
        let wanted = client.map(|(address, port)| Client {
            address: address.parse().unwrap(),
            port,
        });
        assert_eq!(room.told.client, wanted, "{address} {port}");
    }
}

#[test]
fn old_versions_need_no_host() {
    for protocol in ["-", "", "HTTP/1.0", "HTTP/0.9", "INCLUDED"] {
        let room = accept(&[("SERVER_PROTOCOL", protocol), ("HTTP_HOST", "-")]);
        assert_eq!(room.head.version, Version::Http10);
    }
    for protocol in ["HTTP/1.1", "HTTP/2", "HTTP/2.0", "HTTP/3.0", "HTTP/3"] {
        assert_eq!(
            accept(&[("SERVER_PROTOCOL", protocol)]).head.version,
            Version::Http11
        );
    }
}

#[test]
fn limits_are_those_of_http() {
    let tight = Limits {
        request_line: 60,
        header_count: 3,
        header_size: 40,
        head_size: 300,
        body_size: 10,
    };
    let long: &'static str = "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let cases: &[(&[(&str, &str)], u16)] = &[
        (&[("REQUEST_URI", long)], 414),
        (&[("HTTP_X", long)], 431),
        (&[("HTTP_A", "1"), ("HTTP_B", "2"), ("HTTP_C", "3")], 431),
        (&[("A", "1"), ("B", "2"), ("C", "3"), ("D", "4")], 431),
        (&[("CONTENT_LENGTH", "11")], 413),
    ];
    for (changes, status) in cases {
        let mut room = Room::default();
        let Room { bytes, head, told } = &mut room;
        let variables = with(changes);
        let refusal = assemble(as_bytes(&variables), DECLARED, &tight, bytes, head, told);
        assert_eq!(refusal.unwrap_err().status, *status, "{changes:?}");
    }
}

#[test]
fn a_room_is_used_again() {
    let mut room = Room::default();
    for changes in [
        &[("PATH_INFO", "/x"), ("X_MORE", "1"), ("REMOTE_ADDR", "::1")][..],
        &[],
    ] {
        let Room { bytes, head, told } = &mut room;
        let variables = with(changes);
        let limits = Limits::default();
        assemble(as_bytes(&variables), DECLARED, &limits, bytes, head, told).unwrap();
    }
    let fresh = accept(&[]);
    assert_eq!(room.bytes, fresh.bytes);
    assert_eq!(room.told, fresh.told);
    assert_eq!(format!("{:?}", room.head), format!("{:?}", fresh.head));
}

#[test]
fn whatever_is_accepted_has_the_lines_intended() {
    let mut dice = Dice(11);
    let mut accepted = 0;
    for _ in 0..20_000 {
        let variables = dice.variables();
        let shape = Shape {
            strip_script_name: dice.roll(2) == 0,
            body: *dice.pick(&[Body::Declared, Body::Stream { is_empty: true }]),
            keep_alive: dice.roll(2) == 0,
        };
        // `run` checks what holds.
        accepted += usize::from(run(&variables, shape).is_ok());
    }
    assert!(accepted > 1000, "{accepted}");
}
