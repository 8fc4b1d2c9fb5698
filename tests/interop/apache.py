"""Runs the real Apache on loopback, with a configuration and a directory of the test's own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.harness import PATIENCE, wait_until

# Where Debian and Fedora have them.
MODULE_DIRECTORIES = (Path("/usr/lib/apache2/modules"), Path("/usr/lib64/httpd/modules"))
MODULES = (
    "mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "env", "headers", "unique_id",
    "socache_shmcb", "ssl", "proxy", "proxy_http", "proxy_uwsgi", "proxy_scgi", "proxy_fcgi",
)  # fmt: skip

PREAMBLE = """
ServerRoot {directory}
DefaultRuntimeDir {directory}
PidFile {directory}/apache.pid
ErrorLog {directory}/error.log
ServerName localhost
{modules}
{user}
StartServers 1
SSLSessionCache none
TraceEnable off
# A client of mod_proxy_scgi waits as long to learn that an answer was broken off.
KeepAliveTimeout 1
"""


class Apache:
    """A running Apache; `close()` ends it.

    Args:
        program: path of apache2 or httpd.
        ports: where it is to listen, on 127.0.0.1.
        configuration: its sites; `DIRECTORY` in it is the directory, whose files its workers can read.
        files: what is in the directory beside the configuration, by name.
    """

    def __init__(self, program: str, ports: Sequence[int], configuration: str, files: dict[str, bytes]) -> None:
        self._ports = ports
        # Not pytest's directory: Apache's workers run under another account, which cannot enter that.
        self.directory = Path(tempfile.mkdtemp(prefix="apache-"))
        self.directory.chmod(0o755)
        for name, text in files.items():
            (self.directory / name).write_bytes(text)
        path = self.directory / "apache.conf"
        path.write_text(self._preamble() + configuration.replace("DIRECTORY", str(self.directory)))
        with (self.directory / "stderr").open("wb") as stderr:
            self._process = subprocess.Popen(
                [program, "-D", "FOREGROUND", "-f", str(path)], stdin=subprocess.DEVNULL, stderr=stderr
            )
        try:
            wait_until(self._is_listening, "Apache listens")
        except AssertionError:
            self.close()
            raise

    def error_log(self) -> str:
        """All that it has complained about so far."""
        logs = [self.directory / "stderr", self.directory / "error.log"]
        return "".join(log.read_text() for log in logs if log.exists())

    def close(self) -> None:
        """Stop it; requests in flight are cut off."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _preamble(self) -> str:
        found = next((each for each in MODULE_DIRECTORIES if each.is_dir()), MODULE_DIRECTORIES[0])
        modules = "\n".join(f"LoadModule {name}_module {found}/mod_{name}.so" for name in MODULES)
        user = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
        listen = "\n".join(f"Listen 127.0.0.1:{port}" for port in self._ports)
        return PREAMBLE.format(directory=self.directory, modules=modules, user=user) + listen + "\n"

    def _is_listening(self) -> bool:
        assert self._process.poll() is None, f"Apache ended at once:\n{self.error_log()}"
        with (
            contextlib.suppress(ConnectionRefusedError),
            socket.create_connection(("127.0.0.1", self._ports[0]), PATIENCE),
        ):
            return True
        return False
