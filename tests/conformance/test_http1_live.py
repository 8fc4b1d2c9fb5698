"""Runs the corpus against a running server: each case whole, byte by byte, and behind a good request."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.conformance.corpus import Case, load_corpus
from tests.conformance.wire import Answer, Wire, build_request
from tests.e2e.harness import RunningServer, start_server

# The codec refuses it; a connection begins to speak HTTP/2: see test_http2.py.
HTTP_2 = "http-2-preface"
CASES = [case for case in load_corpus() if case.id != HTTP_2]
GOOD = b"GET /good HTTP/1.1\r\nHost: good.example\r\n\r\n"

every_case = pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])


@pytest.fixture(scope="module")
def recorder() -> Iterator[RunningServer]:
    # Nobody is trusted, so that a case with a forwarding header cannot pass for another client.
    with start_server("tests.conformance.apps.recorder:app", "--trust-networks", "192.0.2.1") as server:
        yield server


@every_case
def test_case_holds_when_sent_whole(recorder: RunningServer, case: Case) -> None:
    with Wire.to(recorder) as wire:
        wire.send(case.input)
        assert_case(recorder, wire, case, case.accept)


@every_case
def test_case_holds_byte_by_byte(recorder: RunningServer, case: Case) -> None:
    with Wire.to(recorder) as wire:
        try:
            wire.send_bytewise(case.input)
        except ConnectionError:
            # RFC 9112 9.6: only who sends after the end that it asked for may find the connection closed.
            if not asks_for_the_end(case):
                raise
        assert_case(recorder, wire, case, case.accept)


@every_case
def test_case_holds_behind_a_good_request(recorder: RunningServer, case: Case) -> None:
    good = {"method": b"GET", "target": b"/good", "host": b"good.example", "body": b"", "keep_alive": True}
    with Wire.to(recorder) as wire:
        wire.send(GOOD + case.input)
        assert_case(recorder, wire, case, (good, *case.accept))


def test_corpus_is_as_large_as_promised() -> None:
    assert len(CASES) >= 300


def asks_for_the_end(case: Case) -> bool:
    """Whether the last request that is served says that it is the last."""
    return not case.refuse and bool(case.accept) and case.accept[-1].get("keep_alive") is False


def assert_case(server: RunningServer, wire: Wire, case: Case, accept: tuple[Mapping[str, Any], ...]) -> None:
    """Check what comes back, and what the application was given."""
    port = wire.port
    last: Answer | None = None
    for number, wanted in enumerate(accept, 1):
        last = wire.read_answer(wanted["method"].decode())
        assert last.status == 200, last
        assert wanted["method"] == b"HEAD" or last.body == b"call %d" % number
        assert set(last.interim) <= {100}
    if case.refuse:
        assert_refused(wire, case.refuse)
    elif case.incomplete:
        # The server waits for more; told that there is none, it refuses what it has.
        wire.finish()
        assert_cut_short(wire, case)
    else:
        assert last is not None
        calls = assert_persistence(wire, last, wanted=accept[-1].get("keep_alive"))
        accept = (*accept, *calls)
    assert_calls(fetch_calls(server, port), accept)


def assert_refused(wire: Wire, status: int) -> None:
    """One well-formed answer, `Connection: close`, and the end of the connection."""
    raw = wire.read_rest()
    while raw.startswith(b"HTTP/1.1 100 "):
        raw = raw.partition(b"\r\n\r\n")[2]
    head, separator, body = raw.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0].startswith(b"HTTP/1.1 %d " % status), raw[:500]
    assert separator
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])}
    assert len(fields) == len(lines) - 1
    assert fields[b"connection"] == b"close"
    assert fields.keys() >= {b"date", b"content-type", b"content-length"}
    assert body in (b"", body[: int(fields[b"content-length"])])


def assert_cut_short(wire: Wire, case: Case) -> None:
    """The answer is the one to a request that ends early, and no other."""
    raw = wire.read_rest()
    while raw.startswith(b"HTTP/1.1 100 "):
        raw = raw.partition(b"\r\n\r\n")[2]
    if raw or case.input:
        assert raw.startswith(b"HTTP/1.1 400 "), raw[:500]
        assert b"cut short" in raw or b"HEAD " in case.input


def assert_persistence(wire: Wire, last: Answer, *, wanted: bool | None) -> list[Mapping[str, Any]]:
    """The connection persists, and serves another request, or is closed; return what was asked in addition."""
    persists = not last.closes if wanted is None else wanted
    assert last.closes != persists, last
    if not persists:
        wire.assert_ended(reset_allowed=True)
        return []
    assert wire.ask("GET", "/after").status == 200
    return [{"method": b"GET", "target": b"/after"}]


def fetch_calls(server: RunningServer, port: int) -> list[dict[str, Any]]:
    """Ask the application what it was called with on one connection."""
    with Wire.to(server) as wire:
        wire.send(build_request("CALLS", f"/?{port}"))
        calls: list[dict[str, Any]] = json.loads(wire.read_answer().body)
        return calls


def assert_calls(calls: list[dict[str, Any]], accept: tuple[Mapping[str, Any], ...]) -> None:
    """The application was called for these requests, and for no other."""
    assert [(call["method"], call["target"]) for call in calls] == [
        (wanted["method"].decode("latin-1"), wanted["target"].decode("latin-1")) for wanted in accept
    ]
    for call, wanted in zip(calls, accept, strict=True):
        assert_view(call, wanted)


def assert_view(call: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """One call's view of its request is what the case says."""
    for key in ("path", "query", "body"):
        if key in wanted:
            assert call[key] == wanted[key].decode("latin-1"), key
    if "version" in wanted:
        assert call["version"] == f"HTTP/{wanted['version']}"
    host = wanted.get("authority", wanted.get("host"))
    if host is not None:
        assert call["fields"].get("HTTP_HOST") == host.decode("latin-1")
    for name, value in wanted.get("fields", {}).items():
        assert call["fields"]["HTTP_" + name.upper().replace("-", "_")] == value.decode("latin-1"), name
