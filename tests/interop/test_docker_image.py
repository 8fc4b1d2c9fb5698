"""The generated Dockerfile is built, without a change and without a registry, and its image serves a page."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostler.cli.main import main
from tests.conftest import FindPeer, refuse_or_skip
from tests.e2e.harness import PATIENCE, free_port, wait_process_end, wait_until
from tests.interop.image import PYTHON, Images, run, signal_inside

NAME = "localhost/stable"
APP = """\
import os

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getuid()} {os.getcwd()} {__file__}".encode()]
"""

# A base has to be made first.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def images(find_peer: FindPeer) -> Iterator[Images]:
    if os.geteuid() != 0:
        refuse_or_skip("images are built as root here")
    if sys.version_info[:2] != PYTHON:
        pytest.skip(f"the base has Python {PYTHON[0]}.{PYTHON[1]}, and the extension is built for another")
    directory = Path(tempfile.mkdtemp(prefix="images-"))
    yield Images(directory, find_peer("buildah"), find_peer("debootstrap"))
    shutil.rmtree(directory)


def test_generated_image_is_built_and_serves_as_it_says(
    images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "secret.key").write_text("not for the image")
    port = free_port()
    monkeypatch.chdir(tmp_path)
    assert (
        main(["generate", "docker", "app:app", "--bind", f"127.0.0.1:{port}", "--python", "3.11", "--output", "."]) == 0
    )
    images.make_wheels()
    images.make_base("docker.io/library/python:3.11-slim")
    images.build(tmp_path, NAME)
    said = images.describe(NAME)
    assert (said["User"], said["StopSignal"], list(said["ExposedPorts"])) == ("10001", "SIGTERM", [f"{port}/tcp"])
    container = images.create(NAME)
    assert run(*images.command(container, "ls", "/app"), env=images.env).split() == ["app.py"]
    process = subprocess.Popen(images.command(container, *said["Cmd"]), env=images.env, stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: ask(port) == "10001 /app /app/app.py", "the image serves", timeout=PATIENCE)
        run(*images.command(container, *said["Healthcheck"]["Test"][1:]), env=images.env)
        # As `docker stop` does, to the process that the image names.
        (supervisor,) = signal_inside(process.pid, ["hostler: supervisor"])
        os.kill(supervisor, signal.SIGTERM)
        wait_process_end(supervisor)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()


def ask(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    except OSError:
        return ""
    finally:
        connection.close()
