"""Authorities that look over HTTP whether the server has a name: what they are answered, and who else is not."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.conformance.http2_wire import Http2Wire
from tests.e2e.certificates import Authority
from tests.e2e.harness import RunningServer, StartServer, free_port, start_server, wait_until
from tests.e2e.operator import exchange, fetch, find_socket, operate

APPS = {"wsgi": "tests.e2e.apps.operated:app", "asgi": "tests.e2e.apps.operated:asgi"}
TOKEN = "-evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-o"
ANSWER = f"{TOKEN}.nP1qzpXGymHBrUEepNY9HCsQk7K8KhOypzEt62jcerQ"
PATH = f"/.well-known/acme-challenge/{TOKEN}"


def ask(port: int, path: str = PATH, method: str = "GET", host: str = "www.example.org") -> tuple[bytes, bytes]:
    """Ask as an authority does, on a connection of its own; returns head and body."""
    with socket.create_connection(("127.0.0.1", port), 20) as stream:
        stream.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        head, _, body = b"".join(iter(lambda: stream.recv(65536), b"")).partition(b"\r\n\r\n")
    return head, body


def is_answered(port: int) -> bool:
    return ask(port)[1] == ANSWER.encode()


def add(server: RunningServer) -> None:
    # As certbot runs its hooks.
    done = operate(server, "challenge", env={"CERTBOT_VALIDATION": ANSWER, "CERTBOT_TOKEN": TOKEN})
    assert (done.returncode, done.stdout) == (0, f"{PATH} is answered now\n"), done.stderr


@pytest.mark.parametrize("kind", APPS)
def test_answer_is_given_by_every_worker_until_it_is_taken_back(hostler_server: StartServer, kind: str) -> None:
    server = hostler_server(APPS[kind], "--workers", "3")
    before = ask(server.port)
    add(server)
    for host in ("www.example.org", "other.example.org:80", "192.0.2.1"):
        for _ in range(10):
            head, body = ask(server.port, host=host)
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"content-type: application/octet-stream" in head.lower()
            assert body == ANSWER.encode()
    done = operate(server, "challenge", "--remove", "--", TOKEN)
    assert (done.returncode, done.stdout) == (0, f"{PATH} is answered no longer\n"), done.stderr
    # It is the application's again.
    after = ask(server.port)
    assert after[1] == before[1] != ANSWER.encode()
    assert operate(server, "challenge", "--remove", "--", ANSWER).returncode != 0


@pytest.mark.parametrize("kind", APPS)
def test_only_what_is_asked_for_like_that_is_answered(hostler_server: StartServer, kind: str) -> None:
    server = hostler_server(APPS[kind], "--workers", "1")
    add(server)
    head, body = ask(server.port, method="HEAD")
    assert f"content-length: {len(ANSWER)}".encode() in head.lower()
    assert body == b""
    assert is_answered(server.port)
    assert ask(server.port, f"{PATH}?from=somewhere")[1] == ANSWER.encode()
    assert ask(server.port, f"http://a.test{PATH}")[1] == ANSWER.encode()
    others = (f"{PATH}/", f"{PATH}.", PATH[:-1], PATH.lower(), f"/{PATH}", f"{PATH[:-1]}%6f", f"/a/..{PATH}")
    for path in others:
        assert ANSWER.encode() not in ask(server.port, path)[1], path
    assert ANSWER.encode() not in ask(server.port, method="POST")[1]


@pytest.mark.parametrize("kind", APPS)
def test_answer_is_given_over_http2(hostler_server: StartServer, kind: str) -> None:
    server = hostler_server(APPS[kind], "--workers", "1")
    add(server)
    with Http2Wire.to(server) as wire:
        found = wire.ask("GET", PATH)
        assert (found.status, found.body) == (200, ANSWER.encode())
        assert found.values("content-type") == ["application/octet-stream"]
        found = wire.ask("HEAD", PATH)
        assert (found.status, found.body, found.values("content-length")) == (200, b"", [str(len(ANSWER))])
        # The connection goes on.
        assert wire.ask("GET", "/").body != ANSWER.encode()


@pytest.mark.parametrize("preload", [False, True])
def test_answer_is_given_by_workers_that_come_later(hostler_server: StartServer, preload: bool) -> None:
    server = hostler_server(APPS["wsgi"], "--workers", "1", *(["--preload"] if preload else []))
    add(server)
    done = operate(server, "reload")
    assert done.returncode == 0, done.stderr
    assert is_answered(server.port)
    # What is new after the reload reaches those workers, too.
    done = operate(server, "challenge", "--remove", "--", TOKEN)
    assert done.returncode == 0, done.stderr
    assert not is_answered(server.port)
    add(server)
    assert is_answered(server.port)


def test_answer_is_given_where_everybody_else_is_sent_to_https(tmp_path: Path) -> None:
    certificate = Authority(tmp_path / "authority").issue("127.0.0.1")
    plain, secure = free_port(), free_port()
    options = ["--certificate", str(certificate.chain), "--https-only", "--bind", f"https://127.0.0.1:{secure}"]
    with start_server(APPS["wsgi"], *options, bind=f"127.0.0.1:{plain}") as server:
        assert ask(plain)[0].startswith(b"HTTP/1.1 308 ")
        add(server)
        assert is_answered(plain)
        assert ask(plain, f"{PATH[:-1]}x")[0].startswith(b"HTTP/1.1 308 ")
        assert ask(plain, "/")[0].startswith(b"HTTP/1.1 308 ")


def test_answer_is_in_the_access_log(hostler_server: StartServer) -> None:
    server = hostler_server(APPS["wsgi"], "--access-log", "-", "--access-log-format", "%(r)s %(s)s %(B)s")
    add(server)
    assert is_answered(server.port)
    server.stdout.wait_for(f"GET {PATH} HTTP/1.1 200 {len(ANSWER)}")


def test_what_is_no_answer_is_refused(hostler_server: StartServer) -> None:
    server = hostler_server(APPS["wsgi"])
    for answer in ("nonsense", f"{TOKEN}.short"):
        done = operate(server, "challenge", "--", answer)
        assert done.returncode == 1
        assert "is no key authorization" in done.stderr
    done = operate(server, "challenge", "--remove", "../status")
    assert done.returncode == 2
    assert "begins with no token" in done.stderr
    done = operate(server, "challenge")
    assert done.returncode == 2
    assert "CERTBOT_VALIDATION" in done.stderr
    status, answer = fetch(find_socket(server), f"/v1/challenges/{TOKEN}", "DELETE")
    assert (status, "there is no answer" in answer["error"]) == (404, True)
    # Without what it is about.
    asked = b"POST /v1/challenges HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert exchange(find_socket(server), asked).startswith(b"HTTP/1.1 400 ")


def test_only_workers_keep_the_answers_open(hostler_server: StartServer) -> None:
    server = hostler_server(APPS["wsgi"], "--workers", "1", "--metrics-bind", f"127.0.0.1:{free_port()}")
    wait_until(lambda: len(server.children()) == 2, "all children are there")

    def holders() -> int:
        held = [
            [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir() if each.is_symlink()]
            for pid in server.children()
        ]
        return sum(any("hostler-challenges" in name for name in names) for names in held)

    wait_until(lambda: holders() == 1, "the others have closed it")
