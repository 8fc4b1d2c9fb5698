"""Fixtures of the interoperability tests."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.conftest import FindPeer
from tests.e2e.gate import Gate
from tests.e2e.harness import ROOT
from tests.interop.nginx import Nginx, Upstream, make_certificate

DJANGO_SITE = ROOT / "examples" / "django_site"
PASSWORD = "correct horse battery staple"
MIB = 1024 * 1024


class StartNginx(Protocol):
    """The type of the fixture `nginx`."""

    def __call__(self, upstream: Upstream) -> Nginx:
        """Start nginx before that upstream."""


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A place where calls of the application wait until the test lets them through."""
    with Gate() as opened:
        yield opened


@pytest.fixture(scope="session")
def upload_content() -> bytes:
    """50 MiB that look like a photograph to whatever might compress or fold them."""
    return random.Random(20).randbytes(50 * MIB)


@pytest.fixture(scope="session")
def stable_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of examples/django_site with one superuser, "groom"; to be copied, not to be written to."""
    database = tmp_path_factory.mktemp("stable") / "db.sqlite3"
    env = {**os.environ, "SITE_DATABASE": str(database), "DJANGO_SUPERUSER_PASSWORD": PASSWORD}
    superuser = ("createsuperuser", "--noinput", "--username", "groom", "--email", "groom@example.org")
    for command in (("migrate", "--verbosity", "0"), superuser):
        subprocess.run([sys.executable, "manage.py", *command], cwd=DJANGO_SITE, env=env, check=True, timeout=60)
    return database


@pytest.fixture
def site_env(stable_database: Path, tmp_path: Path) -> dict[str, str]:
    """What examples/django_site needs from the environment, its own copy of the database among it."""
    return {"SITE_DATABASE": str(shutil.copy(stable_database, tmp_path / "db.sqlite3"))}


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost and, in the same file, its key."""
    return make_certificate(tmp_path_factory.mktemp("tls") / "localhost.pem")


@pytest.fixture
def nginx(find_peer: FindPeer, certificate: Path, tmp_path: Path) -> Iterator[StartNginx]:
    """A function that starts nginx (tests/interop/nginx.py); the test's end is its end."""
    program = find_peer("nginx")
    started: list[Nginx] = []

    def start(upstream: Upstream) -> Nginx:
        directory = tmp_path / f"nginx{len(started)}"
        directory.mkdir()
        started.append(Nginx(program, directory, upstream, certificate))
        return started[-1]

    yield start
    for one in started:
        one.close()
        sys.stderr.write(f"--- error log of nginx ---\n{one.error_log()}")


def read_until(stream: socket.socket, wanted: bytes) -> bytes:
    """Read from a connection until `wanted` has come; return all that was read.

    Raises:
        AssertionError: the other side closed first.
        TimeoutError: nothing came for as long as the socket's timeout says.
    """
    received = b""
    while wanted not in received:
        piece = stream.recv(65536)
        assert piece, f"closed before {wanted!r} came: {received!r}"
        received += piece
    return received
