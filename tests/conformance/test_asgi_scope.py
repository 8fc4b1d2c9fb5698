"""The scope of a request (ASGI "HTTP & WebSocket" 2.5, "Connection Scope"): complete, exact, and of this request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.asgi_ask import PAGES, read_literal
from tests.conformance.wire import Wire, build_chunked, build_request
from tests.e2e.asgi import LOOPS, asgi_options
from tests.e2e.harness import RunningServer, StartServer, start_server

EXTENSIONS = {
    "hostler.deadline",
    "http.response.pathsend",
    "http.response.zerocopysend",
    "http.response.early_hint",
    "http.response.trailers",
}


@pytest.fixture(scope="module", params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def pages(loop: str) -> Iterator[RunningServer]:
    with start_server(PAGES, *asgi_options(loop)) as server:
        yield server


def told(server: RunningServer, request: bytes) -> dict[str, Any]:
    """What the application says about its scope for these bytes."""
    with Wire.to(server) as wire:
        answer = wire.send(request).read_answer()
    assert answer.status == 200, answer
    seen: dict[str, Any] = read_literal(answer.body)
    return seen


def view(
    server: RunningServer, target: str = "/view", fields: tuple[str, ...] = (), method: str = "GET"
) -> dict[str, Any]:
    """The scope that the application got."""
    scope: dict[str, Any] = told(server, build_request(method, target, fields))["scope"]
    return scope


# What must be there


def test_scope_is_complete_and_exact(pages: RunningServer) -> None:
    with Wire.to(pages) as wire:
        port = wire.port
        scope = read_literal(wire.ask("GET", "/view?a=1&b=%20", ("X-A: 1",)).body)["scope"]
    assert scope.pop("client") in (("127.0.0.1", port), ["127.0.0.1", port])
    assert scope.pop("server") in (("127.0.0.1", pages.port), ["127.0.0.1", pages.port])
    assert set(scope.pop("extensions")) == EXTENSIONS
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/view",
        "raw_path": b"/view",
        "query_string": b"a=1&b=%20",
        "root_path": "",
        "headers": [(b"host", b"test.example"), (b"x-a", b"1")],
    }


def test_values_have_the_types_that_applications_rely_on(pages: RunningServer) -> None:
    """Middleware compares, copies and changes them, so that look-alikes would not do."""
    types = told(pages, build_request("GET", "/view"))["types"]
    assert {name: types[name] for name in ("headers", "extensions", "asgi", "state")} == {
        "headers": "list",
        "extensions": "dict",
        "asgi": "dict",
        "state": "dict",
    }


def test_extensions_promise_nothing_further(pages: RunningServer) -> None:
    assert all(value == {} for value in view(pages)["extensions"].values())


def test_debug_extension_is_there_in_development_only(hostler_server: StartServer, loop: str) -> None:
    """ASGI "Extensions", "Debug": not for production."""
    server = hostler_server(PAGES, *asgi_options(loop), command=("dev",))
    assert set(view(server)["extensions"]) == EXTENSIONS | {"http.response.debug"}


def test_http_1_0_is_told_as_such(pages: RunningServer) -> None:
    scope = told(pages, b"GET /view HTTP/1.0\r\n\r\n")["scope"]
    assert (scope["http_version"], scope["headers"]) == ("1.0", [])


@pytest.mark.parametrize("method", ["POST", "PROPFIND", "M-SEARCH", "X"])
def test_method_may_be_any(pages: RunningServer, method: str) -> None:
    assert view(pages, method=method)["method"] == method


def test_unix_socket_has_a_path_and_no_client(hostler_server: StartServer, loop: str, tmp_path: Path) -> None:
    """ASGI: the server of a unix socket is its path and None; a client that has no address is None."""
    path = tmp_path / "s"
    scope = view(hostler_server(PAGES, *asgi_options(loop), bind=f"unix:{path}"))
    assert tuple(scope["server"]) == (str(path), None)
    assert scope["client"] is None


# Path and query


@pytest.mark.parametrize(
    "sent, path",
    [
        ("/a%20b", "/a b"),
        ("/%C3%A9", "/é"),
        ("/%E2%98%82", "/☂"),
        ("/%F0%9F%90%8E", "/🐎"),
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
def test_path_is_decoded_once_and_kept_as_sent(pages: RunningServer, sent: str, path: str) -> None:
    """ASGI: `path` has percent-encoded sequences and UTF-8 decoded; `raw_path` is without the query."""
    scope = view(pages, f"{sent}?x=%20/?")
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == (path, sent.encode(), b"x=%20/?")


@pytest.mark.parametrize("sent, path", [("/%e9", "/\ufffd"), ("/%ff%fea", "/\ufffd\ufffda"), ("/%c3/x", "/\ufffd/x")])
def test_path_that_is_no_utf_8_has_replacements(pages: RunningServer, sent: str, path: str) -> None:
    """`raw_path` has what was sent; a path with surrogates would break whoever encodes it."""
    scope = view(pages, sent)
    assert (scope["path"], scope["raw_path"]) == (path, sent.encode())


def test_query_is_not_decoded(pages: RunningServer) -> None:
    assert view(pages, "/view?a=%C3%A9&b=?/&c=+")["query_string"] == b"a=%C3%A9&b=?/&c=+"


@pytest.mark.parametrize("target", ["/view", "/view?"])
def test_query_that_is_not_there_is_empty(pages: RunningServer, target: str) -> None:
    scope = view(pages, target)
    assert (scope["query_string"], scope["raw_path"]) == (b"", b"/view")


def test_absolute_form_gives_path_and_host(pages: RunningServer) -> None:
    """RFC 9112 3.2.2: the authority replaces Host."""
    scope = view(pages, "http://other.example:81/view?x=1")
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/view", b"/view", b"x=1")
    assert dict(scope["headers"])[b"host"] == b"other.example:81"


def test_asterisk_form_is_a_path_of_its_own(pages: RunningServer) -> None:
    """RFC 9112 3.2.4."""
    scope = view(pages, "*", method="OPTIONS")
    assert (scope["path"], scope["raw_path"]) == ("*", b"*")


@pytest.fixture(scope="module")
def mounted(loop: str) -> Iterator[RunningServer]:
    with start_server(PAGES, *asgi_options(loop), "--app-script-name", "/shop") as server:
        yield server


@pytest.mark.parametrize(
    "sent, root",
    [("/shop/cart/1", "/shop"), ("/shop/", "/shop"), ("/shop", "/shop"), ("/shopping", ""), ("/other/shop", "")],
)
def test_mount_point_is_the_root_path_and_stays_in_the_path(mounted: RunningServer, sent: str, root: str) -> None:
    """ASGI: `path` is the whole path of the target; `root_path` says which part of it is the mount point."""
    scope = view(mounted, sent)
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == (root, sent, sent.encode())


# Headers


def test_headers_are_lower_case_bytes_in_order_with_duplicates(pages: RunningServer) -> None:
    fields = ("X-Some-Header:  spaced out\t", "Cookie: a=1", "ACCEPT: */*", "cookie: b=2", "empty:")
    assert view(pages, fields=fields)["headers"] == [
        (b"host", b"test.example"),
        (b"x-some-header", b"spaced out"),
        (b"cookie", b"a=1"),
        (b"accept", b"*/*"),
        (b"cookie", b"b=2"),
        (b"empty", b""),
    ]


def test_header_values_are_the_bytes_that_were_sent(pages: RunningServer) -> None:
    assert dict(view(pages, fields=("X-Name: caf\xe9 \xff",))["headers"])[b"x-name"] == b"caf\xe9 \xff"


def test_content_headers_are_there(pages: RunningServer) -> None:
    with Wire.to(pages) as wire:
        answer = wire.ask("POST", "/view", ("Content-Type: a/b; c=d",), b"12345")
    headers = dict(read_literal(answer.body)["scope"]["headers"])
    assert (headers[b"content-type"], headers[b"content-length"]) == (b"a/b; c=d", b"5")


def test_chunked_body_is_told_by_the_header_that_says_so(pages: RunningServer) -> None:
    """An application that finds neither length nor coding takes the request for one without a body (RFC 9112 6.3)."""
    request = build_request("POST", "/view", ["Transfer-Encoding: chunked"]) + build_chunked(b"x" * 100)
    headers = dict(told(pages, request)["scope"]["headers"])
    assert headers[b"transfer-encoding"] == b"chunked"
    assert b"content-length" not in headers


def test_proxy_header_is_dropped(pages: RunningServer) -> None:
    """CVE-2016-5385: what passes headers on to CGI or WSGI would make HTTP_PROXY of it."""
    assert b"proxy" not in dict(view(pages, fields=("Proxy: http://evil.example",))["headers"])


def test_headers_with_underscores_are_dropped(pages: RunningServer) -> None:
    """Frameworks map both spellings to one name, as RFC 3875 4.1.18 does (Django's META is made so)."""
    headers = dict(view(pages, fields=("X-Real-User: good", "X_Real_User: evil"))["headers"])
    assert headers[b"x-real-user"] == b"good"
    assert b"x_real_user" not in headers


# Trust

FORWARDING = ("X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: shop.example")


def test_forwarding_headers_of_loopback_are_believed(pages: RunningServer) -> None:
    scope = view(pages, fields=FORWARDING)
    assert scope["client"][0] == "203.0.113.9"
    assert scope["scheme"] == "https"
    assert dict(scope["headers"])[b"host"] == b"shop.example"


def test_prefix_of_a_trusted_proxy_is_the_root_path(pages: RunningServer) -> None:
    """The proxy has taken the prefix away; with it put back, `path` begins with `root_path` as ASGI has it."""
    scope = view(pages, "/cart", ("X-Forwarded-Prefix: /mounted",))
    assert (scope["root_path"], scope["path"]) == ("/mounted", "/mounted/cart")


def test_forwarding_headers_of_others_are_ignored_and_hidden(hostler_server: StartServer, loop: str) -> None:
    server = hostler_server(PAGES, *asgi_options(loop), "--trust-networks", "192.0.2.1")
    scope = view(server, fields=(*FORWARDING, "Forwarded: for=203.0.113.9;proto=https"))
    assert (scope["client"][0], scope["scheme"]) == ("127.0.0.1", "http")
    headers = dict(scope["headers"])
    assert headers[b"host"] == b"test.example"
    assert not [name for name in headers if b"forwarded" in name]


# State and isolation


def test_state_of_the_lifespan_is_copied_for_each_request(pages: RunningServer) -> None:
    """ASGI "Lifespan", "Lifespan State": a shallow copy, whose values are shared."""
    with Wire.to(pages) as wire:
        first, second = (read_literal(wire.ask("GET", "/state").body) for _ in range(2))
    assert first[:2] == second[:2] == (["shared", "word"], "hay")
    assert second[2] == first[2] + 1


def test_scope_of_one_request_is_not_seen_by_the_next(pages: RunningServer) -> None:
    with Wire.to(pages) as wire:
        assert wire.ask("GET", "/change-scope").body == b"changed"
        scope = read_literal(wire.ask("GET", "/view").body)["scope"]
    assert scope["path"] == "/view"
    assert scope["headers"] == [(b"host", b"test.example")]
    assert scope["asgi"]["spec_version"] == "2.5"
    assert set(scope["extensions"]) == EXTENSIONS


@pytest.mark.parametrize("name", ["instance", "plain", "without_lifespan"])
def test_application_may_be_any_callable_that_gives_a_coroutine(
    hostler_server: StartServer, loop: str, name: str
) -> None:
    server = hostler_server(PAGES.replace(":app", f":{name}"), *asgi_options(loop))
    assert view(server)["path"] == "/view"


@pytest.mark.parametrize("interface", ["asgi2", "auto"])
def test_application_of_the_old_form_is_served(hostler_server: StartServer, loop: str, interface: str) -> None:
    """ASGI 2: called twice."""
    server = hostler_server(PAGES.replace(":app", ":Double"), "--interface", interface, "--loop", loop)
    assert view(server)["path"] == "/view"


def test_state_is_there_without_a_lifespan(hostler_server: StartServer, loop: str) -> None:
    """Frameworks write into it whether or not the lifespan was run."""
    server = hostler_server(PAGES, *asgi_options(loop, "--lifespan", "off"))
    assert told(server, build_request("GET", "/view"))["types"]["state"] == "dict"
