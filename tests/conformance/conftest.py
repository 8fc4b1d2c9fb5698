"""Servers that many conformance tests share: one start serves them all, as no test changes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import RunningServer, start_server

PAGES = "tests.conformance.apps.pages:app"


@pytest.fixture(scope="package")
def pages() -> Iterator[RunningServer]:
    """The applications of `apps/pages.py`, with default settings."""
    with start_server(PAGES) as server:
        yield server


@pytest.fixture(scope="package")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The same with low limits: bodies beyond 1 KiB are spooled, beyond 1 MiB refused; answers wait at 64 KiB."""
    spool = tmp_path_factory.mktemp("spool")
    limits = ["--limits-body-memory", "1024", "--limits-body-size", "1048576", "--limits-response-buffer", "65536"]
    with start_server(PAGES, *limits, env={"TMPDIR": str(spool)}) as server:
        yield server


@pytest.fixture(scope="package")
def streaming() -> Iterator[RunningServer]:
    """The same with bodies read while they arrive, and a short body timeout."""
    options = ["--http-request-body", "stream", "--http-body-timeout", "1s", "--limits-body-memory", "4096"]
    with start_server(PAGES, *options) as server:
        yield server


@pytest.fixture(scope="package")
def alone() -> Iterator[RunningServer]:
    """The same with a single thread, which polls and runs the application."""
    with start_server(PAGES, "--threads", "1", "--limits-response-buffer", "65536") as server:
        yield server


@pytest.fixture(scope="package")
def distrustful() -> Iterator[RunningServer]:
    """The same, believing nobody on this machine."""
    with start_server(PAGES, "--trust-networks", "192.0.2.1") as server:
        yield server


@pytest.fixture
def data_file(tmp_path: Path) -> Path:
    """A regular file of 100,000 bytes, no two neighbourhoods of it alike."""
    path = tmp_path / "data"
    path.write_bytes(b"".join(b"%09d\n" % number for number in range(10_000)))
    return path
