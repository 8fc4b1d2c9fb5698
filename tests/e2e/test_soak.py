"""The engine under random clients, and what random clients have found."""

from __future__ import annotations

import signal

import pytest

from tests.e2e.apps.soak import pattern
from tests.e2e.harness import StartServer
from tests.e2e.soak import Soak, Wire

APP = "tests.e2e.apps.soak:app"
STREAM = ("--http-request-body", "stream")
SECONDS = 5.0


@pytest.mark.timeout(180)
@pytest.mark.parametrize("threads, body", [(1, "stream"), (4, "buffer"), (4, "stream"), (16, "stream")])
def test_random_clients_get_every_byte_and_the_server_ends_in_time(
    hostler_server: StartServer, threads: int, body: str
) -> None:
    options = ("--workers", "1", "--threads", str(threads), "--http-request-body", body, "--graceful-timeout", "10")
    server = hostler_server(APP, *options)
    soak = Soak(server.connect, seed=threads, clients=10)
    soak.run(SECONDS)
    assert not soak.failures
    assert soak.checked > 100
    load = Soak(server.connect, seed=threads + 100, clients=10)
    load.start()
    load.wait_checked(100)
    server.signal(signal.SIGTERM)
    assert server.wait(15) == 0
    load.finish()


def test_what_an_application_kept_cannot_write_into_the_next_answer(hostler_server: StartServer) -> None:
    server = hostler_server(APP, "--workers", "1")
    with Wire(server.connect) as wire:
        for seed in range(5):
            wire.stream.sendall(Soak.get("keep", seed, 100) + Soak.get("haunt", seed, 70_000))
            Soak.check(wire, seed, 100)
            Soak.check(wire, seed, 70_000)


def test_body_kept_beyond_its_request_ends_for_whoever_reads_it(hostler_server: StartServer) -> None:
    server = hostler_server(APP, "--workers", "1", *STREAM)
    with Wire(server.connect) as first, Wire(server.connect) as second:
        first.stream.sendall(Soak.get("keep", 1, 100, "POST", "Content-Length: 10\r\n"))
        Soak.check(first, 1, 100)
        second.stream.sendall(Soak.get("haunt", 2, 100))
        Soak.check(second, 2, 100)


def test_continue_is_not_sent_into_an_answer_that_has_begun(hostler_server: StartServer) -> None:
    server = hostler_server(APP, "--workers", "1", *STREAM)
    with Wire(server.connect) as wire:
        fields = "Content-Length: 5\r\nExpect: 100-continue\r\n"
        wire.stream.sendall(Soak.get("hasty", 1, 100, "POST", fields))
        status, fields_back = wire.head()
        assert (status, fields_back["transfer-encoding"]) == (200, "chunked")
        wire.stream.sendall(b"later")
        assert wire.body(fields_back) == pattern(1, 100) + b"later"


def test_time_in_the_application_does_not_count_against_the_body(hostler_server: StartServer) -> None:
    server = hostler_server(APP, "--threads", "1", *STREAM, "--http-body-timeout", "1s", "--limits-body-memory", "2KiB")
    data = pattern(3, 20_000)
    with Wire(server.connect) as wire, Wire(server.connect) as other:
        head = Soak.get("late", 1500, 10_000, "POST", "Content-Length: 20000\r\nConnection: close\r\n")
        wire.stream.sendall(head + data[:10_000])
        _, fields = wire.head()
        assert fields["transfer-encoding"] == "chunked"
        assert wire.until(b"\r\n") == b"2710"
        assert wire.exactly(10_002) == data[:10_000] + b"\r\n"
        # What others do makes the server look at its clock; well within the timeout nothing comes of it.
        other.stream.sendall(Soak.get("plain", 1, 10))
        wire.stream.settimeout(0.4)
        with pytest.raises(TimeoutError):
            wire.more()
        wire.stream.settimeout(20)
        wire.stream.sendall(data[10_000:])
        assert wire.body(fields) == data[10_000:]
        Soak.check(other, 1, 10)


def test_head_of_an_endless_answer_ends(hostler_server: StartServer) -> None:
    server = hostler_server(APP, "--workers", "1")
    with Wire(server.connect) as wire:
        wire.stream.sendall(Soak.get("endless", 1, 5_000, "HEAD") + Soak.get("plain", 2, 30))
        assert wire.head()[0] == 200
        Soak.check(wire, 2, 30)


def test_endless_answer_is_cut_at_its_announced_length(hostler_server: StartServer) -> None:
    server = hostler_server(APP, "--workers", "1")
    with Wire(server.connect) as wire:
        wire.stream.sendall(Soak.get("endless", 1, 5_500))
        _, _, body = wire.answer()
        assert body == pattern(1, 1000) * 5 + pattern(1, 500)
        wire.expect_end()


def test_others_are_heard_between_the_requests_of_a_client_that_pipelines(hostler_server: StartServer) -> None:
    server = hostler_server(APP, "--workers", "1", "--threads", "1")
    with Wire(server.connect) as greedy, Wire(server.connect) as other:
        greedy.stream.sendall(Soak.get("count", 0, 0) + Soak.get("count", 500, 0) + Soak.get("count", 0, 0) * 600)
        greedy.answer()
        # The server has all of them, and is busy with the second.
        other.stream.sendall(Soak.get("count", 0, 0))
        _, _, body = other.answer()
        assert int(body) < 100
        for _ in range(601):
            greedy.answer()
