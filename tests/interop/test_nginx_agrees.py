"""The corpus of raw requests against the real nginx: what Hostler takes for a request, nginx takes for the same one.

nginx stands in front of most applications, and was written by other people from the same documents. Where the two
disagree about where a request ends, one behind the other can be made to smuggle; where nginx refuses what Hostler
serves, Hostler may be too lenient. Each difference that is known is listed here with its reason.

The other way round, nginx is allowed to be more lenient. `python -m tests.interop.test_nginx_agrees` lists those cases.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conformance.corpus import Case, load_corpus
from tests.conformance.wire import Answer, BrokenAnswerError, MalformedAnswerError, Wire
from tests.conftest import refuse_or_skip
from tests.interop.nginx import Nginx, Upstream

# nginx tells what it understood, one thing per line. Its limits are raised to Hostler's; what remains is its defaults.
CONFIGURATION = """
{user}
worker_processes 1;
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log info;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    client_max_body_size 100m;
    large_client_header_buffers 8 32k;
    lingering_close off;
    merge_slashes off;
    default_type text/plain;

    server {{
        # Not used by these tests: {certificate} {upstream} {https_port}
        listen 127.0.0.1:{http_port};
        return 200 "$request_method\n$request_uri\n$host\n$content_length";
    }}
}}
"""

# Why nginx does not take a request as Hostler does, by the id of the case. Hostler goes by the RFC in each of them.
_NO_TAB = "nginx takes only spaces, not tabs, for white space around a value; RFC 9112 5.1 allows both"
_CLOSE_PREFIX = "nginx looks for the letters of `close` anywhere in the field; RFC 9110 7.6.1 has whole tokens"
_METHOD_LETTERS = (
    "nginx knows methods of capital letters, `_` and `-` only; RFC 9110 9.1 has any token, which WSGI passes on"
)
_NO_ASTERISK = "nginx refuses the asterisk-form; RFC 9112 3.2.4 has it for OPTIONS"
KNOWN_DIFFERENCES = {
    "close-wins-fields": "nginx goes by the last of several Connection fields; RFC 9110 5.3 makes them one list",
    "close-as-part-of-word": _CLOSE_PREFIX,
    "close-with-prefix": _CLOSE_PREFIX,
    "close-with-parameter": _CLOSE_PREFIX,
    "length-white-space": _NO_TAB,
    "host-white-space-around": _NO_TAB,
    "chunked-coding-white-space": _NO_TAB,
    "length-on-options": _NO_ASTERISK,
    "asterisk-options": _NO_ASTERISK,
    "expect-continue-twice": "nginx refuses a second Expect field; RFC 9110 10.1.1 makes it a list",
    "path-leading-dot-segments": "nginx maps paths to files, and refuses to leave the root; Hostler maps none, and "
    "leaves the path to the application",
    "method-trace": "nginx answers 405 to TRACE whatever the configuration; Hostler leaves it to the application",
    "method-lower-case-is-another-method": _METHOD_LETTERS,
    "method-all-token-punctuation": _METHOD_LETTERS,
    "method-digits": _METHOD_LETTERS,
    "absolute-empty-path-query": "nginx's $request_uri has no path where none was sent; RFC 9110 4.2.3 makes it `/`",
}

CASES = load_corpus()
ACCEPTED = [case for case in CASES if case.accept]
REFUSED = [case for case in CASES if case.refuse]
AFTER = b"GET /after HTTP/1.1\r\nHost: after.example\r\n\r\n"


@dataclass(frozen=True, slots=True)
class View:
    """What nginx took a request for.

    Attributes:
        status: of its answer.
        method: the method.
        target: the path and the query, as received.
        closes: whether it said that the connection ends there.
    """

    status: int
    method: str
    target: str
    closes: bool


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    started = start_nginx(find_program(), tmp_path_factory.mktemp("nginx"))
    yield started
    started.close()


def find_program() -> str:
    """Find nginx as the fixture `find_peer` does, which lives no longer than one test."""
    program = shutil.which("nginx", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))
    return program or refuse_or_skip("nginx is not installed: `scripts/packages test` installs it")


def start_nginx(program: str, directory: Path) -> Nginx:
    return Nginx(program, directory, Upstream("none"), Path("none"), CONFIGURATION)


@pytest.mark.parametrize("case", ACCEPTED, ids=[case.id for case in ACCEPTED])
def test_nginx_takes_what_hostler_takes(nginx: Nginx, case: Case) -> None:
    difference = find_difference(nginx, case)
    if case.id in KNOWN_DIFFERENCES:
        assert difference, f"no longer a difference; take it from the list: {KNOWN_DIFFERENCES[case.id]}"
    else:
        assert not difference


def test_known_differences_are_cases_of_the_corpus() -> None:
    assert KNOWN_DIFFERENCES.keys() <= {case.id for case in ACCEPTED}


def test_nginx_reads_a_body_and_answers_what_follows_it(nginx: Nginx) -> None:
    # The comparison itself is worth something only while nginx parses bodies and answers what follows them.
    with connect(nginx) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + AFTER)
        assert [read_view(wire, "POST").target, read_view(wire).target] == ["/", "/after"]


def find_difference(nginx: Nginx, case: Case) -> str:
    """Send a case and tell in which way nginx took its accepted requests for something else; empty when it did not."""
    with connect(nginx) as wire:
        wire.send(case.input)
        found = View(0, "", "", closes=False)
        for number, wanted in enumerate(case.accept, 1):
            try:
                found = read_view(wire, wanted["method"].decode("latin-1"))
            except (BrokenAnswerError, ConnectionError):
                return f"request {number}: no answer"
            except MalformedAnswerError as error:
                return f"request {number}: {error}"
            if difference := compare(found, wanted):
                return f"request {number}: {difference}"
        last = case.accept[-1]
        if case.refuse or case.incomplete or "keep_alive" not in last:
            return ""
        return compare_persistence(wire, found, persists=last["keep_alive"])


def compare(found: View, wanted: Mapping[str, Any]) -> str:
    if found.status != 200:
        return f"status {found.status}"
    method, target = wanted["method"].decode("latin-1"), cut_origin(wanted["target"].decode("latin-1"))
    if method != "HEAD" and (found.method, found.target) != (method, target):
        return f"taken for {found.method} {found.target}"
    return ""


def compare_persistence(wire: Wire, last: View, *, persists: bool) -> str:
    """Whether another request is read from where Hostler would read it: the framing of the bodies is the same."""
    if last.closes == persists:
        return "closes the connection" if persists else "keeps the connection"
    if not persists:
        return ""
    try:
        after = read_view(wire.send(AFTER))
    except (BrokenAnswerError, ConnectionError):
        return "does not answer the request that follows"
    return "" if (after.status, after.target) == (200, "/after") else f"the request that follows is {after}"


def cut_origin(target: str) -> str:
    """Give what nginx calls the request's URI: without the scheme and authority of an absolute-form target."""
    if not target.lower().startswith(("http://", "https://")):
        return target
    parts = urlsplit(target)
    return f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"


def read_view(wire: Wire, method: str = "GET") -> View:
    answer: Answer = wire.read_answer(method)
    told = [*answer.body.decode("latin-1").split("\n"), "", ""]
    return View(answer.status, told[0], told[1], answer.closes)


def connect(nginx: Nginx) -> Wire:
    stream = nginx.connect()
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Wire(stream)


def is_served(nginx: Nginx, case: Case) -> str:
    """Tell what nginx says to what Hostler refuses; empty when it refuses it too."""
    with connect(nginx) as wire:
        wire.send(case.input)
        with contextlib.suppress(OSError):  # closed already
            wire.finish()
        views = []
        try:
            while True:
                views.append(read_view(wire))
        except (BrokenAnswerError, MalformedAnswerError, OSError):
            pass
    served = [view for view in views[len(case.accept) :] if view.status < 400]
    return f"{len(served)} served, first {served[0].method} {served[0].target[:60]}" if served else ""


def main() -> int:
    """List the differences of both kinds."""
    with tempfile.TemporaryDirectory() as directory:
        nginx = start_nginx(find_program(), Path(directory))
        try:
            for case in ACCEPTED:
                if difference := find_difference(nginx, case):
                    sys.stdout.write(f"accepted by Hostler      {case.id:<44} ({case.clause}): nginx: {difference}\n")
            for case in REFUSED:
                if served := is_served(nginx, case):
                    sys.stdout.write(
                        f"refused by Hostler, {case.refuse}  {case.id:<44} ({case.clause}): nginx: {served}\n"
                    )
        finally:
            nginx.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
