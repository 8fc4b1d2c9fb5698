"""Starting, looking at and ending servers, on real processes."""

from __future__ import annotations

import dataclasses
import os
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.load import Load
from bench.measure import Trial, build_environment, check_scenario, measure, run_server
from bench.probe import check_answer, check_stream, wait_until_served
from bench.result import Method
from bench.scenario import BY_NAME, Entry
from bench.server import Places, find_port
from bench.streams import StreamLoad

ROOT = Path(__file__).resolve().parents[3]
CPU = min(os.sched_getaffinity(0))
SERVER = """
import sys
from wsgiref.simple_server import make_server
from bench.apps.{app} import app
make_server("127.0.0.1", int(sys.argv[1]), app).serve_forever()
"""


def serve(app: str, port: int) -> list[str]:
    return [sys.executable, "-c", SERVER.format(app=app), str(port)]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(ROOT, tmp_path / "peers", tmp_path)


@pytest.mark.parametrize("key", ["plaintext-1", "post", "large", "sleep", "mixed"])
def test_application_gives_the_answer_that_its_scenario_expects(key: str, places: Places, tmp_path: Path) -> None:
    scenario, port = BY_NAME[key], find_port()
    environment = build_environment(places, scenario)
    with run_server(serve(scenario.app, port), environment, tmp_path / "out", ROOT, CPU) as process:
        wait_until_served(process, lambda: check_scenario(port, scenario))


ASGI_KEYS = [
    "asgi-plaintext-1",
    "asgi-post",
    "asgi-large",
    "asgi-sleep",
    "asgi-fastapi",
    "ws-echo-16k",
    "ws-idle-deflate",
]


@pytest.mark.parametrize("key", ASGI_KEYS)
def test_asgi_application_gives_the_answer_that_its_scenario_expects(key: str, places: Places, tmp_path: Path) -> None:
    scenario, port = BY_NAME[key], find_port()
    command = [sys.executable, "-m", "hypercorn", "--bind", f"127.0.0.1:{port}", f"bench.apps.{scenario.app}:app"]
    environment = build_environment(places, scenario)
    with run_server(command, environment, tmp_path / "out", ROOT, CPU) as process:
        wait_until_served(process, lambda: check_scenario(port, scenario))


def build_trial(key: str, server: str, tmp_path: Path) -> Trial:
    """Build a measurement of one second, of a server that the environment of the tests has."""
    method = Method(rounds=1, warm_up=1, seconds=1, server_cpu=CPU, load_cpu=CPU)
    return Trial(BY_NAME[key], Entry(server), 1, method, Places(ROOT, Path(sys.prefix), tmp_path))


def test_messages_are_measured_without_their_handshakes(tmp_path: Path) -> None:
    measurement = measure(build_trial("ws-echo-64", "hypercorn", tmp_path))
    assert measurement is not None
    assert measurement.requests > 64
    assert measurement.cpu_us > 0
    assert (measurement.errors, measurement.deflated) == (0, 0)


@pytest.mark.parametrize("key", ["asgi-http2", "asgi-http2-tls"])
def test_http2_is_measured_in_clear_text_and_over_tls(key: str, tmp_path: Path) -> None:
    measurement = measure(build_trial(key, "hypercorn", tmp_path))
    assert measurement is not None
    # More than a first one on each of 8 x 16 streams.
    assert measurement.requests > 128
    assert measurement.errors == 0
    assert 0 < measurement.p50_us <= measurement.p99_us


def test_idle_connections_are_measured_by_what_the_worker_grew(tmp_path: Path) -> None:
    measurement = measure(build_trial("ws-idle-deflate", "hypercorn", tmp_path))
    assert measurement is not None
    assert measurement.requests == measurement.deflated == 1000
    # Two windows of zlib alone are more than 1 KiB.
    assert 1024 < measurement.connection_pss < measurement.worker_pss / 1000


def test_framework_is_measured_without_a_server(tmp_path: Path) -> None:
    measurement = measure(build_trial("asgi-fastapi", "alone", tmp_path))
    assert measurement is not None
    assert measurement.requests > 0
    assert 0 < measurement.cpu_us < 1e6


def test_framework_that_cannot_be_loaded_is_reported(tmp_path: Path) -> None:
    trial = build_trial("asgi-fastapi", "alone", tmp_path)
    trial = dataclasses.replace(trial, entry=Entry("alone", app="nowhere"))
    with pytest.raises(BenchError, match=r"status 1; it said: .*bench.apps.nowhere"):
        measure(trial)


def test_server_that_cannot_start_is_reported_with_what_it_said(tmp_path: Path) -> None:
    trial = build_trial("asgi-plaintext-1", "hypercorn", tmp_path)
    trial = dataclasses.replace(trial, entry=Entry("hypercorn", app="nowhere"))
    with pytest.raises(BenchError, match=r"before it answered; it said: .*bench.apps.nowhere"):
        measure(trial)


def test_wrong_answer_is_not_timed(places: Places, tmp_path: Path) -> None:
    port = find_port()
    environment = build_environment(places, BY_NAME["plaintext-1"])
    with (
        run_server(serve("plaintext", port), environment, tmp_path / "out", ROOT, CPU) as process,
        pytest.raises(BenchError, match="13 bytes"),
    ):
        wait_until_served(process, lambda: check_answer(port, Load(1), b"something else"))


def test_server_that_speaks_no_http2_is_not_timed(places: Places, tmp_path: Path) -> None:
    port = find_port()
    environment = build_environment(places, BY_NAME["plaintext-1"])
    with run_server(serve("plaintext", port), environment, tmp_path / "out", ROOT, CPU) as process:
        wait_until_served(process, lambda: check_answer(port, Load(1), b"Hello, world!"))
        # Whether curl fails to send, to receive or to understand is a matter of chance.
        with pytest.raises((BenchError, OSError), match="curl"):
            check_stream(port, StreamLoad(1, 1), b"Hello, world!")


@pytest.mark.parametrize("body, message", [(b"something else", "13 bytes"), (b"Hello, world!", "")])
def test_answer_by_http2_is_compared_before_it_is_timed(
    body: bytes, message: str, places: Places, tmp_path: Path
) -> None:
    port = find_port()
    command = [sys.executable, "-m", "hypercorn", "--bind", f"127.0.0.1:{port}", "bench.apps.plaintext_asgi:app"]
    environment = build_environment(places, BY_NAME["asgi-http2"])
    refused = pytest.raises(BenchError, match=message) if message else nullcontext()
    with run_server(command, environment, tmp_path / "out", ROOT, CPU) as process, refused:
        wait_until_served(process, lambda: check_stream(port, StreamLoad(1, 1), body))


def test_server_that_ends_at_once_is_reported_with_its_status(places: Places, tmp_path: Path) -> None:
    environment = build_environment(places, BY_NAME["plaintext-1"])
    command, port = [sys.executable, "-c", "raise SystemExit(7)"], find_port()
    with (
        run_server(command, environment, tmp_path / "out", ROOT, CPU) as process,
        pytest.raises(BenchError, match="status 7"),
    ):
        wait_until_served(process, lambda: check_answer(port, Load(1), b""))


def test_whole_group_is_ended_on_an_interrupt_even_where_it_is_deaf_to_a_polite_signal(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.measure.STOP_SECONDS", 0.2)
    fifo = tmp_path / "members"
    os.mkfifo(fifo)
    # Every member of the group holds the writing end; its end of file says that none is left.
    command = ["sh", "-c", f"trap '' TERM; exec 9>{fifo}; sleep 60 & echo up >&9; wait"]
    environment = build_environment(places, BY_NAME["plaintext-1"])
    readers = []

    def serve_until_interrupted() -> None:
        with run_server(command, environment, tmp_path / "out", ROOT, CPU):
            readers.append(fifo.open("rb", buffering=0))
            assert readers[0].read(3) == b"up\n"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        serve_until_interrupted()
    with readers[0] as reader:
        assert reader.read() == b""
