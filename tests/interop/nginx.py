"""Runs the real nginx before Hostler, configured as deployment guides say, from a directory of the test's own."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.harness import PATIENCE, free_port, wait_until

# How each configuration begins: in the foreground, with all files in the directory of the test.
PREAMBLE = """
{user}
worker_processes 1;
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log notice;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
"""
# The location / is as every guide has it. /live/ passes bodies on as they come, both ways.
CONFIGURATION = (
    PREAMBLE
    + """\
    client_max_body_size 100m;
    ssl_certificate {certificate};
    ssl_certificate_key {certificate};

    upstream app {{
        server {upstream};
        keepalive 16;
    }}

    server {{
        listen 127.0.0.1:{http_port};
        listen 127.0.0.1:{https_port} ssl;
        server_name localhost;

        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Request-Id $request_id;
        # A failure stays visible: nginx must not ask a second time.
        proxy_next_upstream off;

        location / {{
            proxy_pass http://app;
        }}
        location /live/ {{
            proxy_pass http://app/;
            proxy_buffering off;
            proxy_request_buffering off;
        }}
        location /shop/ {{
            # Below a prefix: what is set here replaces all that is set above.
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Prefix /shop;
            proxy_pass http://app/;
        }}
        location /plain/ {{
            # What nginx does in older versions where nothing is said: HTTP/1.0, a connection per request.
            proxy_set_header Connection close;
            proxy_http_version 1.0;
            proxy_pass http://app/;
        }}
    }}
}}
"""
)


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where nginx finds Hostler, and where Hostler listens.

    Attributes:
        bind: as Hostler is told, such as "127.0.0.1:8001" or "unix:/run/app.sock".
        server: as nginx is told: without the query of a unix address.
    """

    bind: str

    @property
    def server(self) -> str:
        return self.bind.partition("?")[0]


class Nginx:
    """A running nginx; `close()` ends it."""

    def __init__(
        self, program: str, directory: Path, upstream: Upstream, certificate: Path, template: str = CONFIGURATION
    ) -> None:
        self.http_port = free_port()
        self.https_port = free_port()
        self._directory = directory
        self._certificate = certificate
        configuration = directory / "nginx.conf"
        configuration.write_text(
            template.format(
                # Started as root, nginx would run as somebody who cannot enter the test's directory.
                user="user root;" if os.geteuid() == 0 else "",
                directory=directory,
                certificate=certificate,
                upstream=upstream.server,
                http_port=self.http_port,
                https_port=self.https_port,
            )
        )
        self._process = subprocess.Popen(
            [program, "-p", str(directory), "-c", str(configuration), "-e", str(directory / "error.log")],
            stdin=subprocess.DEVNULL,
        )
        try:
            wait_until(self._is_listening, "nginx listens")
        except AssertionError:
            self.close()
            raise

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def secure_url(self) -> str:
        return f"https://localhost:{self.https_port}"

    @property
    def tls(self) -> ssl.SSLContext:
        """For clients: trusts nginx's certificate and no other."""
        return ssl.create_default_context(cafile=self._certificate)

    def connect(self) -> socket.socket:
        """Open a connection to its HTTP port."""
        return socket.create_connection(("127.0.0.1", self.http_port), PATIENCE)

    def error_log(self) -> str:
        """All that it has complained about so far."""
        log = self._directory / "error.log"
        return log.read_text() if log.exists() else ""

    def close(self) -> None:
        """Stop it; requests in flight are cut off."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _is_listening(self) -> bool:
        assert self._process.poll() is None, f"nginx ended at once:\n{self.error_log()}"
        with contextlib.suppress(ConnectionRefusedError), self.connect():
            return True
        return False


def make_certificate(path: Path) -> Path:
    """Write a key and a self-signed certificate for localhost into one file."""
    key = path.with_suffix(".key")
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    command = ["openssl", "req", "-x509", *curve, "-keyout", str(key), "-out", str(path), "-days", "2", *subject]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    path.write_text(path.read_text() + key.read_text())
    return path
