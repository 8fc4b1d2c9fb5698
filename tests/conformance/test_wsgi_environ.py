"""The environ (PEP 3333 "environ Variables", RFC 3875): what the request says, what we add, and whom we believe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.conftest import PAGES
from tests.conformance.wire import Wire, build_chunked, build_request
from tests.e2e.harness import RunningServer, StartServer, start_server


def view(
    server: RunningServer, target: str = "/view", fields: tuple[str, ...] = (), method: str = "GET"
) -> dict[str, Any]:
    """The environ that the application got."""
    return view_raw(server, build_request(method, target, fields))


def view_raw(server: RunningServer, request: bytes) -> dict[str, Any]:
    """The environ that the application got for these bytes."""

    with Wire.to(server) as wire:
        answer = wire.send(request).read_answer()
    assert answer.status == 200, answer
    environ: dict[str, Any] = json.loads(answer.body)
    return environ


# What must be there


def test_environ_has_all_that_must_be_there(pages: RunningServer) -> None:
    """PEP 3333 "environ Variables"."""
    with Wire.to(pages) as wire:
        port = wire.port

        environ = json.loads(wire.ask("GET", "/view?a=1&b=%20").body)
    assert {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/view",
        "QUERY_STRING": "a=1&b=%20",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(pages.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": str(port),
        "HTTP_HOST": "test.example",
        "wsgi.version": [1, 0],
        "wsgi.url_scheme": "http",
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }.items() <= environ.items()


def test_environ_is_not_the_process_s(hostler_server: StartServer) -> None:
    """PEP 3333 allows it; variables of the process hold secrets and collide with headers."""
    server = hostler_server(PAGES, env={"HTTP_X_EVIL": "from the process", "SECRET_TOKEN": "hush"})
    environ = view(server)
    assert not environ.keys() & {"HTTP_X_EVIL", "SECRET_TOKEN", "PATH"}


def test_environ_of_one_request_is_not_seen_by_the_next(pages: RunningServer) -> None:
    fields = ("X-One: 1", "Content-Type: text/plain", "Cookie: a=1")
    with Wire.to(pages) as wire:
        wire.ask("POST", "/view?q", fields, b"body")
        environ = json.loads(wire.ask("GET", "/view").body)
    assert environ["QUERY_STRING"] == ""
    assert not environ.keys() & {"HTTP_X_ONE", "CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_COOKIE"}


@pytest.mark.parametrize(
    "options, multithread, multiprocess",
    [
        (("--threads", "1"), False, False),
        (("--threads", "2"), True, False),
        (("--threads", "1", "--workers", "2"), False, True),
        (("--threads", "2", "--workers", "2"), True, True),
    ],
)
def test_flags_say_how_the_server_runs(
    hostler_server: StartServer, options: tuple[str, ...], multithread: bool, multiprocess: bool
) -> None:
    """PEP 3333 "environ Variables": wsgi.multithread, wsgi.multiprocess."""
    environ = view(hostler_server(PAGES, *options))
    assert (environ["wsgi.multithread"], environ["wsgi.multiprocess"]) == (multithread, multiprocess)


def test_http_1_0_is_told_as_such(pages: RunningServer) -> None:
    """RFC 3875 4.1.16."""
    assert view_raw(pages, b"GET /view HTTP/1.0\r\n\r\n")["SERVER_PROTOCOL"] == "HTTP/1.0"


def test_request_without_host_has_none(pages: RunningServer) -> None:
    assert "HTTP_HOST" not in view_raw(pages, b"GET /view HTTP/1.0\r\n\r\n")


def test_method_is_as_sent(pages: RunningServer) -> None:
    """RFC 9110 9.1: methods are case-sensitive and may be extended."""
    for method in ("PROPFIND", "get", "M-SEARCH", "X"):
        assert view(pages, method=method)["REQUEST_METHOD"] == method


def test_unix_socket_has_an_empty_remote_address(hostler_server: StartServer, tmp_path: Path) -> None:
    server = hostler_server(PAGES, bind=f"unix:{tmp_path}/s")
    environ = view(server)
    assert (environ["REMOTE_ADDR"], environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("", "localhost", "80")


def test_errors_stream_reaches_the_log(pages: RunningServer) -> None:
    """PEP 3333 "Input and Error Streams"."""
    with Wire.to(pages) as wire:
        assert wire.ask("GET", "/errors").body == b"written"
    for line in ("written to wsgi.errors", "line one of two", "line two of two"):
        pages.stderr.wait_for(line)


# Path


@pytest.mark.parametrize(
    "sent, path",
    [
        ("/a%20b", "/a b"),
        ("/%C3%A9", "/\xc3\xa9"),
        ("/%e9", "/\xe9"),
        ("/a%2Fb", "/a/b"),
        ("/100%25", "/100%"),
        ("/%2525", "/%25"),
        ("/a+b", "/a+b"),
        ("//double//slash", "//double//slash"),
        ("/a/../b/./c", "/a/../b/./c"),
        ("/a;b=c", "/a;b=c"),
        ("/%41%5a%7e", "/AZ~"),
    ],
)
def test_path_is_decoded_once_into_latin_1(pages: RunningServer, sent: str, path: str) -> None:
    """PEP 3333 "URL Reconstruction" and "Unicode Issues": the bytes of the decoded path, each a character."""
    environ = view(pages, sent)
    assert (environ["PATH_INFO"], environ["RAW_URI"]) == (path, sent)


def test_query_is_not_decoded(pages: RunningServer) -> None:
    """RFC 3875 4.1.7: the query is URL-encoded."""
    assert view(pages, "/view?a=%C3%A9&b=?/&c=+")["QUERY_STRING"] == "a=%C3%A9&b=?/&c=+"


def test_absolute_form_gives_path_and_host(pages: RunningServer) -> None:
    """RFC 9112 3.2.2: the authority replaces Host."""
    environ = view(pages, "http://other.example:81/view?x=1")
    assert (environ["PATH_INFO"], environ["QUERY_STRING"], environ["HTTP_HOST"]) == (
        "/view",
        "x=1",
        "other.example:81",
    )


@pytest.fixture(scope="module")
def mounted() -> Iterator[RunningServer]:

    with start_server(PAGES, "--app-script-name", "/shop") as server:
        yield server


@pytest.mark.parametrize(
    "sent, script, path",
    [
        ("/shop/cart/1", "/shop", "/cart/1"),
        ("/shop/", "/shop", "/"),
        ("/shop", "/shop", ""),
        ("/%73hop/cart", "/shop", "/cart"),
        ("/shopping", "", "/shopping"),
        ("/", "", "/"),
        ("/other/shop", "", "/other/shop"),
    ],
)
def test_mount_point_moves_to_script_name(mounted: RunningServer, sent: str, script: str, path: str) -> None:
    """PEP 3333 "environ Variables": SCRIPT_NAME and PATH_INFO together are the path."""
    environ = view(mounted, sent)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script, path)


# Headers


def test_header_becomes_an_http_variable(pages: RunningServer) -> None:
    """RFC 3875 4.1.18."""
    environ = view(pages, fields=("X-Some-Header:  spaced out\t", "ACCEPT: */*", "empty:"))
    assert (environ["HTTP_X_SOME_HEADER"], environ["HTTP_ACCEPT"], environ["HTTP_EMPTY"]) == ("spaced out", "*/*", "")


def test_header_values_are_latin_1(pages: RunningServer) -> None:
    """PEP 3333 "Unicode Issues"; RFC 9110 5.5 obs-text."""
    assert view(pages, fields=("X-Name: caf\xe9 \xff",))["HTTP_X_NAME"] == "caf\xe9 \xff"


def test_content_headers_have_no_prefix(pages: RunningServer) -> None:
    """RFC 3875 4.1.2, 4.1.3."""
    with Wire.to(pages) as wire:
        environ = json.loads(wire.ask("POST", "/view", ("Content-Type: a/b; c=d",), b"12345").body)
    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == ("a/b; c=d", "5")
    assert not environ.keys() & {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"}


def test_request_without_a_body_has_no_content_length(pages: RunningServer) -> None:
    assert "CONTENT_LENGTH" not in view(pages)


def test_buffered_chunks_have_a_length_and_no_coding(pages: RunningServer) -> None:
    """RFC 9112 6.3: a body that was decoded has a length; the coding is gone."""
    environ = view_raw(
        pages, build_request("POST", "/view", ["Transfer-Encoding: chunked"]) + build_chunked(b"x" * 100)
    )
    assert environ["CONTENT_LENGTH"] == "100"
    assert "HTTP_TRANSFER_ENCODING" not in environ


def test_repeated_headers_are_joined_with_commas(pages: RunningServer) -> None:
    """RFC 9110 5.3."""
    environ = view(pages, fields=("X-A: 1", "X-B: b", "x-a: 2", "X-A: 3"))
    assert environ["HTTP_X_A"].replace(" ", "") == "1,2,3"


def test_repeated_cookies_are_joined_with_semicolons(pages: RunningServer) -> None:
    """RFC 9113 8.2.3, RFC 6265 5.4."""
    assert view(pages, fields=("Cookie: a=1", "Cookie: b=2"))["HTTP_COOKIE"] == "a=1; b=2"


def test_proxy_header_is_dropped(pages: RunningServer, distrustful: RunningServer) -> None:
    """CVE-2016-5385: HTTP_PROXY would configure outgoing requests."""
    for server in (pages, distrustful):
        assert "HTTP_PROXY" not in view(server, fields=("Proxy: http://evil.example",))


def test_headers_with_underscores_are_dropped(pages: RunningServer) -> None:
    """RFC 3875 4.1.18 maps hyphens to underscores, so that both spellings would be one variable."""
    environ = view(pages, fields=("X-Real-User: good", "X_Real_User: evil", "Only_Underscore: 1"))
    assert environ["HTTP_X_REAL_USER"] == "good"
    assert "HTTP_ONLY_UNDERSCORE" not in environ


def test_headers_with_underscores_can_be_refused(hostler_server: StartServer) -> None:
    server = hostler_server(PAGES, "--http-underscore-headers", "refuse")
    with Wire.to(server) as wire:
        answer = wire.ask("GET", "/view", ["X_A: 1"])
        assert (answer.status, answer.closes) == (400, True)
        wire.assert_ended()
    assert view(server, fields=("X-A: 1",))["HTTP_X_A"] == "1"


def test_headers_with_underscores_can_be_allowed(hostler_server: StartServer) -> None:
    server = hostler_server(PAGES, "--http-underscore-headers", "allow", "--trust-networks", "192.0.2.1")
    environ = view(server, fields=("X_A: 1", "X_Forwarded_For: 203.0.113.9", "Content_Length: 7", "Pro_xy: 1"))
    assert environ["HTTP_X_A"] == "1"
    # What is kept from the application, and what frames the request, is not let in by another spelling.
    assert "HTTP_X_FORWARDED_FOR" not in environ
    assert "CONTENT_LENGTH" not in environ


# Trust

FORWARDING = (
    "X-Forwarded-For: 203.0.113.9",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: shop.example",
    "X-Forwarded-Prefix: /mounted",
)


def test_forwarding_headers_of_loopback_are_believed(pages: RunningServer) -> None:
    environ = view(pages, fields=FORWARDING)
    assert environ["REMOTE_ADDR"] == "203.0.113.9"
    assert (environ["wsgi.url_scheme"], environ["SERVER_PORT"]) == ("https", "443")
    assert (environ["HTTP_HOST"], environ["SCRIPT_NAME"]) == ("shop.example", "/mounted")


def test_forwarding_headers_of_others_are_ignored_and_hidden(distrustful: RunningServer) -> None:
    fields = (*FORWARDING, "Forwarded: for=203.0.113.9;proto=https", "X-Real-IP: 203.0.113.9")
    environ = view(distrustful, fields=fields)
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == ("127.0.0.1", "http")
    assert (environ["HTTP_HOST"], environ["SCRIPT_NAME"]) == ("test.example", "")
    assert not [name for name in environ if "FORWARDED" in name or name == "HTTP_X_REAL_IP"]


def test_trusted_networks_are_given_as_networks(hostler_server: StartServer) -> None:
    server = hostler_server(PAGES, "--trust-networks", "127.0.0.0/8", "--trust-networks", "10.0.0.0/8")
    environ = view(server, fields=("X-Forwarded-For: 198.51.100.7, 203.0.113.9, 10.1.2.3",))
    assert environ["REMOTE_ADDR"] == "203.0.113.9", "the last that no trusted proxy is"


def test_forged_addresses_before_the_trusted_chain_are_not_believed(pages: RunningServer) -> None:
    environ = view(pages, fields=("X-Forwarded-For: 127.0.0.1, 203.0.113.9",))
    assert environ["REMOTE_ADDR"] == "203.0.113.9"


@pytest.mark.parametrize("value", ["not an address", "203.0.113.9\t; drop", "<script>", "203.0.113.999", ", ,", ""])
def test_nonsense_in_forwarding_headers_is_no_address(pages: RunningServer, value: str) -> None:
    environ = view(pages, fields=(f"X-Forwarded-For: {value}", "X-Forwarded-Proto: gopher", "X-Forwarded-Host: a b/c"))
    assert environ["REMOTE_ADDR"] in {"127.0.0.1", ""}
    assert (environ["wsgi.url_scheme"], environ["HTTP_HOST"]) == ("http", "test.example")


def test_request_id_is_made(pages: RunningServer) -> None:
    first, second = (view(pages)["hostler.request_id"] for _ in range(2))
    assert first != second
    assert len(first) == 32
    assert int(first, 16) >= 0


def test_request_id_of_a_trusted_peer_is_taken_over(pages: RunningServer) -> None:
    assert view(pages, fields=("X-Request-Id: abc-123_x.Y",))["hostler.request_id"] == "abc-123_x.Y"


@pytest.mark.parametrize("given", ["with space", "<b>", "a" * 300, "caf\xe9", "", 'quote"'])
def test_odd_request_id_is_replaced(pages: RunningServer, given: str) -> None:
    made = view(pages, fields=(f"X-Request-Id: {given}",))["hostler.request_id"]
    assert made != given
    assert len(made) == 32


def test_request_id_of_others_is_not_taken_over(distrustful: RunningServer) -> None:
    assert view(distrustful, fields=("X-Request-Id: abc",))["hostler.request_id"] != "abc"
