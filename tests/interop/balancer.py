"""Runs load balancers that put a header of the PROXY protocol before what they pass on: haproxy, and nginx's stream."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.harness import PATIENCE, free_port, wait_until

HAPROXY = """
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
frontend http
    bind 127.0.0.1:{http_port}
    default_backend v1
frontend http2
    bind 127.0.0.1:{v2_port}
    default_backend v2
frontend https
    bind 127.0.0.1:{https_port} ssl crt {certificate} {clients}
    unique-id-format horse-%[rand]-%pid
    default_backend tls
backend v1
    server hostler 127.0.0.1:{backend} send-proxy
backend v2
    server hostler 127.0.0.1:{backend} send-proxy-v2
backend tls
    server hostler 127.0.0.1:{backend} send-proxy-v2 proxy-v2-options {options}
"""
# All that version 2 can say of a connection.
OPTIONS = "ssl,cert-cn,ssl-cipher,cert-sig,cert-key,authority,unique-id"
# nginx sends version 1, which cannot say that the client came over TLS.
STREAM = """
{load}
{user}
worker_processes 1;
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log notice;
events {{ worker_connections 64; }}
stream {{
    server {{
        listen 127.0.0.1:{http_port};
        listen 127.0.0.1:{v2_port};
        proxy_pass 127.0.0.1:{backend};
        proxy_protocol on;
    }}
}}
"""
STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a load balancer listens: with version 1, with version 2, with TLS (0 without)."""

    http: int
    v2: int
    https: int


class Balancer:
    """A running load balancer; `close()` ends it."""

    def __init__(self, program: str, directory: Path, backend: int, certificate: Path, template: str) -> None:
        self.ports = Ports(free_port(), free_port(), free_port() if template is HAPROXY else 0)
        self._certificate = certificate
        self._log = directory / "log"
        configuration = directory / "configuration"
        configuration.write_text(
            template.format(
                load=f"load_module {STREAM_MODULE};" if STREAM_MODULE.exists() else "",
                user="user root;" if os.geteuid() == 0 else "",
                directory=directory,
                certificate=certificate,
                # Clients' certificates are believed that are this one itself.
                clients=f"ca-file {certificate} verify optional crt-ignore-err all ca-ignore-err all",
                options=OPTIONS,
                backend=backend,
                http_port=self.ports.http,
                v2_port=self.ports.v2,
                https_port=self.ports.https,
            )
        )
        options = ["-db", "-f"] if template is HAPROXY else ["-p", str(directory), "-e", str(self._log), "-c"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [program, *options, str(configuration)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            wait_until(self._is_listening, "the load balancer listens")
        except AssertionError:
            self.close()
            raise

    @property
    def tls(self) -> ssl.SSLContext:
        """For clients: trusts its certificate and no other."""
        return ssl.create_default_context(cafile=self._certificate)

    def close(self) -> None:
        """Stop it; connections are cut off."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _is_listening(self) -> bool:
        assert self._process.poll() is None, f"the load balancer ended at once:\n{self._log.read_text()}"
        with (
            contextlib.suppress(ConnectionRefusedError),
            socket.create_connection(("127.0.0.1", self.ports.http), PATIENCE),
        ):
            return True
        return False
