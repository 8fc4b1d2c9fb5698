"""TLS with real clients: versions, names, client certificates, resumption, renewal, and what is no TLS."""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.certificates import Authority, Certificate
from tests.e2e.harness import PATIENCE, ROOT, RunningServer, StartServer, free_port, start_server

ROBUST = "tests.e2e.apps.tls:app"
GET = b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that clients believe."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Certificate:
    """For shop.test, every name below it, and this machine."""
    return authority.issue("shop.test", "*.shop.test", "127.0.0.1")


@pytest.fixture(scope="module")
def shop(authority: Authority, certificate: Certificate) -> Iterator[RunningServer]:
    """A server with two workers and two certificates, which asks for client certificates."""
    other = authority.issue("other.test", "*.other.test")
    options = ["--certificate", str(certificate.chain), "--certificate", str(other.chain), "--workers", "2"]
    auth = ["--tls-client-auth", "optional", "--tls-client-ca", str(authority.file)]
    timeouts = ["--tls-handshake-timeout", "1s"]
    bind = f"https://127.0.0.1:{free_port()}"
    with start_server(ROBUST, *options, *auth, *timeouts, bind=bind) as server:
        server.tls, server.tls_name = authority.client_context(), "shop.test"
        yield server


def connect(server: RunningServer, context: ssl.SSLContext, name: str = "shop.test") -> ssl.SSLSocket:
    raw = socket.create_connection((server.host, server.port), 20)
    # An end that TLS does not tell is an error.
    return context.wrap_socket(raw, server_hostname=name, suppress_ragged_eofs=False)


def hostler(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    command = [sys.executable, "-m", "hostler", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=ROOT)


def read_all(stream: ssl.SSLSocket, request: bytes) -> bytes:
    """Send a request, and read until TLS tells the end."""
    stream.sendall(request)
    return b"".join(iter(lambda: stream.recv(65536), b""))


def told(stream: ssl.SSLSocket) -> dict[str, str]:
    """What the application was told of a request."""
    answer = read_all(stream, GET)
    body = answer.partition(b"\r\n\r\n")[2].decode()
    return dict(line.split("=", 1) for line in body.replace("\n ", " ").splitlines())


def refused(server: RunningServer, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> None:
    """Connect and ask; the error of the refusal is the caller's."""
    raw = socket.create_connection((server.host, server.port), 20)
    with context.wrap_socket(raw, server_hostname="shop.test", suppress_ragged_eofs=False, session=session) as stream:
        told(stream)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_are_spoken_and_told(shop: RunningServer, authority: Authority, version: ssl.TLSVersion) -> None:
    context = authority.client_context()
    context.minimum_version = context.maximum_version = version
    with connect(shop, context) as stream:
        assert stream.selected_alpn_protocol() == "http/1.1"
        cipher, spoken = stream.cipher(), stream.version()
        assert cipher is not None
        seen = told(stream)
    assert (seen["HTTPS"], seen["wsgi.url_scheme"], seen["SSL_TLS_SNI"]) == ("on", "https", "shop.test")
    assert (seen["SSL_PROTOCOL"], seen["SSL_CIPHER"]) == (spoken, cipher[0])
    assert seen["SSL_CLIENT_VERIFY"] == "NONE"


@pytest.mark.parametrize("name", ["shop.test", "www.shop.test", "other.test", "www.other.test"])
def test_certificate_is_the_one_for_the_name(shop: RunningServer, authority: Authority, name: str) -> None:
    with connect(shop, authority.client_context(), name) as stream:
        assert told(stream)["SSL_TLS_SNI"] == name


def test_name_that_nobody_knows_gets_the_first_certificate(shop: RunningServer, authority: Authority) -> None:
    context = authority.client_context()
    context.check_hostname = False
    with connect(shop, context, "unknown.test") as stream:
        shown = stream.getpeercert()
    assert shown is not None
    assert ("DNS", "shop.test") in shown["subjectAltName"]


def test_client_certificate_is_verified_and_told(shop: RunningServer, authority: Authority) -> None:
    own = authority.issue("alice", file="alice")
    with connect(shop, authority.client_context(own)) as stream:
        seen = told(stream)
    assert seen["SSL_CLIENT_VERIFY"] == "SUCCESS"
    assert seen["SSL_CLIENT_S_DN"] == "CN=alice,O=Shop\\, Ltd"
    assert seen["SSL_CLIENT_I_DN"] == "CN=Test authority"
    assert seen["SSL_CLIENT_CERT"].startswith("-----BEGIN CERTIFICATE-----")
    assert seen["SSL_CLIENT_CERT_CHAIN_0"].startswith("-----BEGIN CERTIFICATE-----")


def test_client_certificate_of_a_stranger_ends_the_connection(
    shop: RunningServer, authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "stranger", "stranger").issue("mallory")
    context = authority.client_context(stranger)
    with pytest.raises(OSError, match=r"(?i)alert|reset|EOF"):
        refused(shop, context)


def test_session_goes_on_with_whichever_worker_takes_it(shop: RunningServer, authority: Authority) -> None:
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = authority.client_context()
        context.minimum_version = context.maximum_version = version
        with connect(shop, context) as stream:
            first = told(stream)["pid"]
            session = stream.session
        pids = set()
        for _ in range(200):
            streams = []
            for _ in range(4):
                raw = socket.create_connection((shop.host, shop.port), 20)
                streams.append(context.wrap_socket(raw, server_hostname="shop.test", session=session))
            for stream in streams:
                assert stream.session_reused
                pids.add(told(stream)["pid"])
                session = stream.session
                stream.close()
            if len(pids | {first}) > 1:
                break
        assert len(pids | {first}) > 1


def test_plain_http_is_told_that_the_port_speaks_tls(shop: RunningServer) -> None:
    with socket.create_connection((shop.host, shop.port), 20) as stream:
        stream.sendall(GET)
        answer = b"".join(iter(lambda: stream.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"speaks TLS (https)" in answer


@pytest.mark.parametrize(
    "begun",
    [b"", b"\x16", b"\x16\x03\x01\x00\xff\x01\x00\x00\xfb\x03\x03", b"\x16\x03\x01\x40\x00\x01\x00\xff\xff"],
)
def test_handshake_that_does_not_go_on_is_dropped_in_time(shop: RunningServer, begun: bytes) -> None:
    started = time.monotonic()
    with socket.create_connection((shop.host, shop.port), 20) as stream:
        stream.sendall(begun)
        assert stream.recv(100) == b""
    assert 0.5 < time.monotonic() - started < 15


def test_of_too_many_handshakes_the_oldest_is_dropped(
    hostler_server: StartServer, authority: Authority, certificate: Certificate
) -> None:
    options = ["--certificate", str(certificate.chain), "--limits-handshakes", "3", "--tls-handshake-timeout", "10m"]
    server = hostler_server(ROBUST, *options, bind=f"https://127.0.0.1:{free_port()}")
    context = authority.client_context()
    with ExitStack() as opened:
        silent = [
            opened.enter_context(socket.create_connection((server.host, server.port), PATIENCE)) for _ in range(4)
        ]
        assert silent[0].recv(1) == b""
        # Those that are through count no more.
        through = [opened.enter_context(connect(server, context)) for _ in range(4)]
        for stream in through:
            assert told(stream)["HTTPS"] == "on"
        # The last of the silent ones were never too many, and go on where they wish to.
        with context.wrap_socket(silent[3], server_hostname="shop.test") as late:
            assert told(late)["HTTPS"] == "on"


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",  # SSL 2
        b"\x16\x03\x00\x48\x01" + b"\0" * 200,  # a record longer than RFC 8446 5.1 allows
        b"\x17\x03\x03\x00\x05hello",  # data before the handshake
        b"\xff" * 1000,
    ],
)
def test_what_is_no_handshake_is_answered_with_an_alert(shop: RunningServer, garbage: bytes) -> None:
    with socket.create_connection((shop.host, shop.port), 20) as stream:
        stream.sendall(garbage)
        answer = b""
        try:
            while chunk := stream.recv(100):
                answer += chunk
        except ConnectionResetError:
            pass
    assert answer[:2] == b"\x15\x03"
    assert len(answer) == 7


def test_renegotiation_is_refused(shop: RunningServer, authority: Authority) -> None:
    command = ["openssl", "s_client", "-connect", f"{shop.host}:{shop.port}", "-tls1_2", "-CAfile", str(authority.file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
        assert client.stdin is not None
        client.stdin.write(b"R\n")
        client.stdin.flush()
        output, _ = client.communicate(timeout=20)
    assert b"RENEGOTIATING" in output
    assert b"no renegotiation" in output


def test_end_of_an_answer_is_told_by_tls_itself(shop: RunningServer, authority: Authority) -> None:
    context = authority.client_context()
    with connect(shop, context) as stream:
        # A body that only the end of the connection delimits: without its close_notify this raises.
        stream.sendall(b"GET /unframed HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: stream.recv(65536), b""))
    assert answer.endswith(b"the end")


def test_answer_that_breaks_off_does_not_look_whole(shop: RunningServer, authority: Authority) -> None:
    with connect(shop, authority.client_context()) as stream, pytest.raises(OSError, match=r"(?i)EOF|reset"):
        read_all(stream, b"GET /broken HTTP/1.0\r\n\r\n")


def test_large_answers_arrive_whole_through_a_slow_reader(shop: RunningServer, authority: Authority) -> None:
    with connect(shop, authority.client_context()) as stream:
        stream.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        parts = [stream.recv(1) for _ in range(500)]
        # By now all buffers on the way are full.
        while not parts[-1].endswith(b"the end\n"):
            parts.append(stream.recv(100_000))
    body = b"".join(parts).partition(b"\r\n\r\n")[2]
    assert body == b"".join(b"%09d\n" % number for number in range(1_000_000)) + b"the end\n"


def test_file_is_sent(shop: RunningServer, authority: Authority) -> None:
    with connect(shop, authority.client_context()) as stream:
        stream.sendall(b"GET /file HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: stream.recv(65536), b""))
    assert answer.partition(b"\r\n\r\n")[2] == Path(__file__).read_bytes() * 50


def test_body_is_received(shop: RunningServer, authority: Authority) -> None:
    body = b"".join(b"%09d\n" % number for number in range(300_000))
    with connect(shop, authority.client_context()) as stream:
        stream.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3000000\r\n\r\n" + body)
        answer = b"".join(iter(lambda: stream.recv(65536), b""))
    assert answer.partition(b"\r\n\r\n")[2] == body


def test_renewed_certificate_is_shown_to_new_connections_and_disturbs_none(
    hostler_server: StartServer, authority: Authority, tmp_path: Path
) -> None:
    first = authority.issue("shop.test", "127.0.0.1", file="first")
    chain, key = tmp_path / "live.pem", tmp_path / "live.key"
    chain.write_bytes(first.chain.read_bytes())
    key.write_bytes(first.key.read_bytes())
    server = hostler_server(
        ROBUST, "--certificate", str(chain), bind=f"https://127.0.0.1:{free_port()}", env={"HOSTLER_LOG_LEVEL": "info"}
    )
    context = authority.client_context()
    with connect(server, context) as kept:
        before = kept.getpeercert(binary_form=True)
        key.write_text("half written")
        server.stderr.wait_for("going on with the certificates there were")
        second = authority.issue("shop.test", "127.0.0.1", file="second")
        chain.write_bytes(second.chain.read_bytes())
        key.write_bytes(second.key.read_bytes())
        server.stderr.wait_for("the certificates have changed")
        with connect(server, context) as fresh:
            assert fresh.getpeercert(binary_form=True) != before
        kept.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert kept.recv(15) == b"HTTP/1.1 200 OK"


def test_reload_takes_new_certificates_and_keeps_sessions(
    hostler_server: StartServer, authority: Authority, tmp_path: Path
) -> None:
    first, second = (authority.issue("shop.test", file=name) for name in ("one", "two"))
    config = tmp_path / "hostler.toml"
    port = free_port()

    def write(certificate: Certificate) -> None:
        config.write_text(
            f'app.target = "{ROBUST}"\n[server]\nbind = [{{ address = "https://127.0.0.1:{port}", '
            f'certificate = "{certificate.chain}" }}]\n'
        )

    write(first)
    server = hostler_server(None, "--config", str(config), bind="")
    context = authority.client_context()
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port), 20), server_hostname="shop.test") as stream:
        before = stream.getpeercert(binary_form=True)
        told(stream)
        session = stream.session
    write(second)
    server.signal(signal.SIGHUP)
    server.stderr.wait_for("reload")
    server.notifications.wait_for("READY=1", count=2)
    raw = socket.create_connection(("127.0.0.1", port), 20)
    with context.wrap_socket(raw, server_hostname="shop.test", session=session) as stream:
        assert stream.session_reused
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port), 20), server_hostname="shop.test") as stream:
        assert stream.getpeercert(binary_form=True) != before


def test_listener_may_demand_client_certificates_for_itself(
    hostler_server: StartServer, authority: Authority, certificate: Certificate
) -> None:
    port = free_port()
    own = f"https://127.0.0.1:{port}?client_auth=required&client_ca={authority.file}"
    server = hostler_server(
        ROBUST, "--certificate", str(certificate.chain), "--bind", own, bind=f"https://127.0.0.1:{free_port()}"
    )
    context = authority.client_context()
    with connect(server, context) as stream:
        assert told(stream)["SSL_CLIENT_VERIFY"] == "NONE"
        session = stream.session
    server.port = port
    with connect(server, authority.client_context(certificate)) as stream:
        assert told(stream)["SSL_CLIENT_VERIFY"] == "SUCCESS"
    # Neither without one, nor with a session from where none is asked for.
    for known in (None, session):
        with pytest.raises(OSError, match=r"(?i)alert|reset|EOF"):
            refused(server, context, known)


def test_proxy_protocol_comes_before_the_handshake(
    hostler_server: StartServer, authority: Authority, certificate: Certificate
) -> None:
    bind = f"https://127.0.0.1:{free_port()}?proxy_protocol=on"
    server = hostler_server(ROBUST, "--certificate", str(certificate.chain), bind=bind)
    for split in (False, True):
        raw = socket.create_connection((server.host, server.port), 20)
        header = b"PROXY TCP4 203.0.113.7 192.0.2.1 5555 443\r\n"
        if split:
            raw.sendall(header)
            stream = authority.client_context().wrap_socket(raw, server_hostname="shop.test")
        else:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            hello = authority.client_context().wrap_bio(incoming, outgoing, server_hostname="shop.test")
            with pytest.raises(ssl.SSLWantReadError):
                hello.do_handshake()
            raw.sendall(header + outgoing.read())
            assert raw.recv(3) == b"\x16\x03\x03"
            raw.close()
            continue
        with stream:
            seen = told(stream)
        assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"]) == ("203.0.113.7", "https")


@pytest.mark.parametrize("command", [("check",), ("run",)])
def test_what_is_wrong_with_certificates_is_told_at_the_start(
    authority: Authority, certificate: Certificate, tmp_path: Path, command: tuple[str, ...]
) -> None:
    other = authority.issue("elsewhere.test")
    broken = tmp_path / "broken.pem"
    stranger = Authority(tmp_path / "stranger", "stranger")
    broken.write_bytes(certificate.chain.read_bytes().replace(authority.file.read_bytes(), stranger.file.read_bytes()))
    cases = [
        (["--certificate", str(certificate.chain), "--key", str(other.key)], "does not belong to this certificate"),
        (["--certificate", str(broken), "--key", str(certificate.key)], "the chain is broken"),
        (["--certificate", str(tmp_path / "none.pem")], "is not there"),
        ([], "tls.certificate names no certificate"),
        (["--certificate", str(certificate.key), "--key", str(certificate.key)], "no certificate in it"),
    ]
    for options, said in cases:
        done = hostler(*command, ROBUST, "--bind", "https://127.0.0.1:0", *options)
        assert done.returncode == 2, done.stderr
        assert said in done.stderr


def test_expired_certificate_is_warned_of(authority: Authority) -> None:
    old = authority.issue("old.test", days=-1)
    done = hostler("check", ROBUST, "--bind", "https://127.0.0.1:0", "--certificate", str(old.chain))
    assert done.returncode == 0, done.stderr
    assert "old.test" in done.stdout
    assert "expired 1 d ago; renew it" in done.stdout


def test_site_may_be_https_only(hostler_server: StartServer, authority: Authority, certificate: Certificate) -> None:
    plain = free_port()
    secure = f"https://127.0.0.1:{free_port()}"
    server = hostler_server(
        ROBUST, "--certificate", str(certificate.chain), "--https-only", "--bind", secure, bind=f"127.0.0.1:{plain}"
    )
    answer = server.request("POST", "/a%20b?c=d", b"body", {"Host": f"shop.test:{plain}"})
    place = secure.replace("127.0.0.1", "shop.test")
    assert (answer.status, answer.headers["Location"]) == (308, f"{place}/a%20b?c=d")
    assert "Strict-Transport-Security" not in answer.headers
    # This machine is trusted to speak for its clients.
    served = server.get("/", {"Host": "shop.test", "X-Forwarded-Proto": "https"})
    assert (served.status, served.headers["Strict-Transport-Security"]) == (200, "max-age=31536000")
    server.port = int(secure.rpartition(":")[2])
    with connect(server, authority.client_context()) as stream:
        assert b"\r\nStrict-Transport-Security: max-age=31536000\r\n" in read_all(stream, GET)


def test_certificate_for_development_is_believed_by_whoever_trusts_its_authority(
    hostler_server: StartServer, tmp_path: Path
) -> None:
    made = hostler("certs", "self-signed", "localhost", "127.0.0.1", "--directory", str(tmp_path / "certs"))
    assert made.returncode == 0, made.stderr
    again = hostler("certs", "self-signed", "--directory", str(tmp_path / "certs"))
    assert (again.returncode, "is there already" in again.stderr) == (1, True)
    files = tmp_path / "certs"
    assert (files / "dev.key").stat().st_mode & 0o777 == 0o600
    server = hostler_server(ROBUST, "--certificate", str(files / "dev.pem"), bind=f"https://127.0.0.1:{free_port()}")
    context = ssl.create_default_context(cafile=str(files / "dev-authority.pem"))
    for name in ("localhost", "127.0.0.1"):
        with connect(server, context, name) as stream:
            assert told(stream)["HTTPS"] == "on"
