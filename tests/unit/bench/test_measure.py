"""Starting, looking at and ending servers, on real processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.load import Load
from bench.measure import build_environment, find_port, run_server
from bench.probe import check_answer, wait_until_served
from bench.scenario import BY_NAME
from bench.server import Places

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
        wait_until_served(process, port, scenario.load, scenario.expected)
        for load in scenario.beside:
            check_answer(port, load, scenario.expected)


def test_wrong_answer_is_not_timed(places: Places, tmp_path: Path) -> None:
    port = find_port()
    environment = build_environment(places, BY_NAME["plaintext-1"])
    with (
        run_server(serve("plaintext", port), environment, tmp_path / "out", ROOT, CPU) as process,
        pytest.raises(BenchError, match="13 bytes"),
    ):
        wait_until_served(process, port, Load(1), b"something else")


def test_server_that_ends_at_once_is_reported_with_its_status(places: Places, tmp_path: Path) -> None:
    environment = build_environment(places, BY_NAME["plaintext-1"])
    command = [sys.executable, "-c", "raise SystemExit(7)"]
    with (
        run_server(command, environment, tmp_path / "out", ROOT, CPU) as process,
        pytest.raises(BenchError, match="status 7"),
    ):
        wait_until_served(process, find_port(), Load(1), b"")


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
