"""Private keys of TLS listeners: only workers get them, from a supervisor that alone need be able to read the files."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.certificates import Authority, Certificate
from tests.e2e.harness import ROOT, RunningServer, StartServer, free_port, wait_until

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give rights away")
KEYS = "hostler-tls"
APP = "tests.e2e.apps.tls:app"

# Says which descriptors a hook has that runs in a process of Hostler's, or in a program.
HOOKS = """
import os
def look(event):
    shown = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            shown.append(os.readlink(f"/proc/self/fd/{fd}"))
        except FileNotFoundError:
            pass  # the listing's own
    with open(os.environ["SEEN"] + event.phase, "w") as file:
        file.write(" ".join(shown))
"""
PROGRAM = "exec:sh -c 'ls -l /proc/self/fd > $SEEN$0' {}"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that clients believe."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Certificate:
    """For this machine."""
    return authority.issue("127.0.0.1")


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that everybody may enter."""
    with tempfile.TemporaryDirectory(prefix="tls-keys-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def key_files(pids: list[int]) -> dict[str, int]:
    """Tell of each process, by the first word of its title, how many files with keys it has open."""
    return {title(pid): len({inode for inode, link in links(pid) if KEYS in link}) for pid in pids}


def links(pid: int) -> list[tuple[int, str]]:
    """What a process has open: the number of each file, and what it is."""
    found = []
    for each in Path(f"/proc/{pid}/fd").iterdir():
        # A descriptor may be closed while we look.
        with contextlib.suppress(FileNotFoundError):
            found.append((each.stat().st_ino, str(each.readlink())))
    return found


def title(pid: int) -> str:
    shown = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return shown.removeprefix("hostler: ").split()[0]


@pytest.mark.parametrize("preload", [False, True])
def test_only_workers_have_the_keys(
    hostler_server: StartServer, certificate: Certificate, tmp_path: Path, preload: bool
) -> None:
    (tmp_path / "keyhooks.py").write_text(HOOKS)
    phases = ("prepare", "serving")
    hooks = "".join(f'{phase} = ["keyhooks:look", "{PROGRAM.format(f"{phase}-program")}"]\n' for phase in phases)
    loading = f'loading = ["{PROGRAM.format("loading-program")}"]\n'
    (tmp_path / "hostler.toml").write_text(
        f'[app]\ntarget = "{APP}"\npreload = {str(preload).lower()}\npython_path = ["{tmp_path}"]\n'
        f'env = {{ SEEN = "{tmp_path}/seen-" }}\n'
        f'[metrics]\nbind = ["127.0.0.1:{free_port()}"]\n'
        f"[hooks]\n{hooks}{loading}"
        f'[tls]\ncertificate = ["{certificate.chain}"]\n'
    )
    bind = f"https://127.0.0.1:{free_port()}"
    server = hostler_server(None, "--config", str(tmp_path / "hostler.toml"), "--workers", "1", bind=bind)

    def check() -> None:
        wait_until(lambda: len(server.children()) == (4 if preload else 3), "all children are there")
        expected = {"worker": 1, "metrics": 0, "hooks": 0} | ({"fork": 1} if preload else {})
        assert key_files(server.children()) == expected

    check()
    for name in (*phases, *(f"{phase}-program" for phase in (*phases, "loading"))):
        file = tmp_path / f"seen-{name}"
        wait_until(lambda file=file: file.exists() and file.read_text() != "", f"{file} is written")  # type: ignore[misc]
        assert KEYS not in file.read_text(), name
    # A second generation has a file of its own, and its workers that alone.
    server.signal(signal.SIGHUP)
    server.notifications.wait_for("READY=1", count=2)
    check()


def test_companions_of_development_have_no_keys(
    hostler_server: StartServer, certificate: Certificate, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text("from tests.e2e.apps.tls import app\n")
    options = ("--certificate", str(certificate.chain), "--python-path", str(ROOT))
    bind = f"https://127.0.0.1:{free_port()}"
    server = hostler_server("shop:app", *options, bind=bind, cwd=tmp_path, command=("dev",))
    found = key_files(server.children())
    assert found.pop("worker") == 1
    assert found
    assert set(found.values()) == {0}


@AS_ROOT
def test_keys_may_be_such_that_workers_cannot_read_them(
    hostler_server: StartServer, authority: Authority, public: Path
) -> None:
    issued, renewed = (authority.issue("127.0.0.1", file=name) for name in ("guarded", "renewed"))
    key, chain = public / "guarded.key", public / "guarded.pem"
    shutil.copy(issued.key, key)
    shutil.copy(issued.chain, chain)
    key.chmod(0o600)
    options = ("--certificate", str(chain), "--user", "nobody", "--log-level", "info")
    server = hostler_server(APP, *options, bind=f"https://127.0.0.1:{free_port()}")
    server.tls = authority.client_context()
    (worker,) = (pid for pid in server.children() if title(pid) == "worker")
    assert Path(f"/proc/{worker}").stat().st_uid == pwd.getpwnam("nobody").pw_uid
    assert b"HTTPS=on" in server.get("/").body
    # As much holds for a renewal, and for a reload.
    shutil.copy(renewed.key, key)
    shutil.copy(renewed.chain, chain)
    server.stderr.wait_for("the certificates have changed")
    certificate, end, _ = renewed.chain.read_text().partition("-----END CERTIFICATE-----")
    assert shown(server) == ssl.PEM_cert_to_DER_cert(certificate + end)
    server.signal(signal.SIGHUP)
    server.notifications.wait_for("READY=1", count=2)
    assert b"HTTPS=on" in server.get("/").body


def shown(server: RunningServer) -> bytes | None:
    """The certificate that a server shows."""
    with server.connect() as stream:
        assert isinstance(stream, ssl.SSLSocket)
        return stream.getpeercert(binary_form=True)
