"""The real curl against Hostler: what people try first on the command line."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import FindPeer
from tests.e2e.gate import Gate
from tests.e2e.harness import PATIENCE, RunningServer, StartServer
from tests.interop.apps.probe import CONTENT

PROBE = "tests.interop.apps.probe:app"
MIB = 1024 * 1024

Curl = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def curl(find_peer: FindPeer) -> Curl:
    """Runs curl, quietly but for errors; a failure of curl is a failure of the test."""
    program = find_peer("curl")

    def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [program, "--silent", "--show-error", "--noproxy", "*", "--max-time", f"{PATIENCE:g}", *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=2 * PATIENCE, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done

    return run


@pytest.fixture
def server(hostler_server: StartServer, gate: Gate) -> RunningServer:
    return hostler_server(PROBE, env=gate.env)


def environ(answer: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(answer.stdout)
    return told


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_version_is_the_one_that_was_asked_for(curl: Curl, server: RunningServer, version: str) -> None:
    told = environ(curl(f"--http{version}", f"{server.url}/environ"))
    assert told["SERVER_PROTOCOL"] == f"HTTP/{version}"


def test_stream_reaches_an_http_1_0_client_in_pieces(find_peer: FindPeer, server: RunningServer, gate: Gate) -> None:
    command = [find_peer("curl"), "--silent", "--no-buffer", "--http1.0", f"{server.url}/drip"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"first\n"
        gate.wait("drip")
        gate.release("drip")
        assert client.stdout.read() == b"last\n"
    assert client.returncode == 0


def test_connection_is_kept_between_two_addresses(curl: Curl, server: RunningServer) -> None:
    done = curl("--verbose", f"{server.url}/cached", f"{server.url}/cached")
    assert done.stdout == b"fresh\nfresh\n"
    assert b"Re-using existing connection" in done.stderr


@pytest.mark.parametrize("size", [0, 1, 65_536, 3 * MIB + 1])
def test_upload_from_standard_input_is_chunked(curl: Curl, server: RunningServer, size: int) -> None:
    content = bytes(index % 251 for index in range(256)) * (size // 256 + 1)
    content = content[:size]
    told = environ(curl("-T", "-", "-X", "POST", f"{server.url}/digest", stdin=content))
    assert (told["size"], told["sha256"]) == (size, hashlib.sha256(content).hexdigest())


def test_body_is_sent_once_the_server_says_continue(curl: Curl, server: RunningServer) -> None:
    content = b"hay" * MIB
    options = ("--verbose", "-H", "Expect: 100-continue", "--expect100-timeout", "20", "--data-binary", "@-")
    done = curl(*options, f"{server.url}/digest", stdin=content)
    assert b"< HTTP/1.1 100 Continue" in done.stderr
    assert environ(done)["size"] == len(content)


def test_body_that_is_too_large_is_refused_before_it_is_sent(
    curl: Curl, hostler_server: StartServer, tmp_path: Path
) -> None:
    server = hostler_server(PROBE, "--limits-body-size", "1MiB")
    report = ("--output", str(tmp_path / "body"), "--write-out", "%{http_code} %{size_upload}")
    options = ("-H", "Expect: 100-continue", "--expect100-timeout", "20", "--data-binary", "@-", *report)
    assert curl(*options, f"{server.url}/digest", stdin=b"x" * (2 * MIB)).stdout == b"413 0"


def test_refusal_is_in_the_access_log_with_its_size(curl: Curl, hostler_server: StartServer) -> None:
    server = hostler_server(PROBE, "--access-log", "-")
    body = curl(f"{server.url}/%zz").stdout
    server.stdout.wait_for(f'"GET /%zz HTTP/1.1" 400 {len(body)} ')


def test_ranges_are_the_application_s(curl: Curl, server: RunningServer) -> None:
    assert curl("--range", "100-299", f"{server.url}/ranged").stdout == CONTENT[100:300]
    # An application that knows nothing of ranges sends all, and says 200.
    whole = curl("--range", "0-1", "--write-out", "%{http_code}", f"{server.url}/cached")
    assert whole.stdout == b"fresh\n200"


def test_head_has_the_length_and_no_body(curl: Curl, server: RunningServer) -> None:
    done = curl("--head", f"{server.url}/large?123456").stdout
    assert b"Content-Length: 123456\r\n" in done
    assert done.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "path, path_info",
    [("/a/../b", "/a/../b"), ("/./a//b/", "/./a//b/"), ("/%2e%2e/a", "/../a"), ("/a;v=1?c#d", "/a;v=1")],
)
def test_path_reaches_the_application_as_it_is(curl: Curl, server: RunningServer, path: str, path_info: str) -> None:
    assert environ(curl("--path-as-is", server.url + path))["PATH_INFO"] == path_info


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_unix_socket(curl: Curl, hostler_server: StartServer, abstract: bool) -> None:
    directory = Path(tempfile.mkdtemp(prefix="interop-"))
    path = str(directory / "app.sock")
    hostler_server(PROBE, bind=f"unix:@{path}" if abstract else f"unix:{path}")
    try:
        option = "--abstract-unix-socket" if abstract else "--unix-socket"
        told = environ(curl(option, path, "http://localhost/environ"))
    finally:
        shutil.rmtree(directory)
    assert told["HTTP_HOST"] == "localhost"
    assert told["REMOTE_ADDR"] == ""


def test_large_response_by_a_slow_reader(curl: Curl, server: RunningServer) -> None:
    done = curl("--limit-rate", "8M", f"{server.url}/large?{4 * MIB}")
    assert len(done.stdout) == 4 * MIB


def test_ipv6(curl: Curl, hostler_server: StartServer) -> None:
    server = hostler_server(PROBE, bind="[::1]:0", ready=False)
    server.wait_ready()
    address = server.log().partition("listening")[2].split()[0]
    told = environ(curl("--globoff", f"{address}/environ"))
    assert told["REMOTE_ADDR"] == "::1"
    assert told["HTTP_HOST"] == address.removeprefix("http://")
