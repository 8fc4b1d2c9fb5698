"""A Django project (examples/django_site) in production form."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path

import pytest

from tests.e2e.gate import Gate
from tests.e2e.harness import RunningServer, StartServer
from tests.interop.conftest import DJANGO_SITE, PASSWORD, read_until
from tests.interop.visitor import FORM, Upload, Visitor
from tests.interop.vitals import MIB, peak_bytes

SITE = "stable.wsgi:application"
# The same site with views that a test can hold.
HELD_SITE = "tests.interop.apps.django_stable:application"

# Of the 50 MiB of an upload, no part that grows with it may be in memory: buffers and Django's blocks fit well below.
LARGEST_GROWTH = 16 * MIB


@pytest.fixture
def site(hostler_server: StartServer, site_env: dict[str, str]) -> RunningServer:
    """The site, recognised by its manage.py."""
    return hostler_server(None, "--threads", "4", cwd=DJANGO_SITE, env=site_env)


@pytest.fixture
def visitor(site: RunningServer) -> Visitor:
    return Visitor(site.url)


def log_in(visitor: Visitor, password: str = PASSWORD) -> str:
    return visitor.send_form("/admin/login/", username="groom", password=password, next="/admin/").text


def test_project_is_recognised_in_its_directory(site: RunningServer) -> None:
    assert "stable.wsgi:application" in site.log()
    assert "The stable" in site.get("/").text


def test_admin_takes_a_login_and_an_object(site: RunningServer, visitor: Visitor) -> None:
    assert "Site administration" in log_in(visitor)
    assert {cookie.name for cookie in visitor.cookies} == {"csrftoken", "sessionid"}
    saved = visitor.send_form("/admin/horses/horse/add/", name="Sleipnir ä", stall="8", _save="Save")
    assert saved.url.endswith("/admin/horses/horse/")
    assert "was added successfully" in saved.text
    assert "Sleipnir ä, stall 8" in Visitor(site.url).open("/").text


def test_admin_refuses_a_wrong_password(visitor: Visitor) -> None:
    assert "Please enter the correct" in log_in(visitor, "guessed")
    assert "sessionid" not in {cookie.name for cookie in visitor.cookies}


def test_form_without_csrf_token_is_refused(visitor: Visitor) -> None:
    answer = visitor.open("/admin/login/", b"username=groom&password=x", {"Content-Type": FORM})
    assert answer.status == 403
    assert "CSRF" in answer.text


def test_upload_of_50_mib_arrives_whole_and_stays_out_of_memory(
    site: RunningServer, visitor: Visitor, upload_content: bytes
) -> None:
    token = visitor.open("/upload/").token
    (worker,) = site.children()
    before = peak_bytes(worker)
    upload = Upload("file", "stable.bin", upload_content)
    answer = visitor.upload("/upload/", upload, [("csrfmiddlewaretoken", token)])
    assert json.loads(answer.text) == {
        "name": "stable.bin",
        "size": len(upload_content),
        "sha256": hashlib.sha256(upload_content).hexdigest(),
    }
    assert peak_bytes(worker) - before < LARGEST_GROWTH


def test_stream_arrives_in_pieces(hostler_server: StartServer, site_env: dict[str, str], gate: Gate) -> None:
    server = hostler_server(HELD_SITE, cwd=DJANGO_SITE, env={**site_env, **gate.env})
    with server.connect() as stream:
        stream.sendall(b"GET /drip/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        early = read_until(stream, b"first\n")
        gate.wait("drip")
        assert b"last" not in early
        gate.release("drip")
        assert b"last\n" in read_until(stream, b"\r\n0\r\n\r\n")


def test_streaming_response_is_whole(site: RunningServer) -> None:
    lines = site.get("/stream/?lines=20000").text.splitlines()
    assert lines == [f"line {number}" for number in range(1, 20_001)]


def test_four_threads_run_four_views_side_by_side(hostler_server: StartServer, site_env: dict[str, str]) -> None:
    server = hostler_server(HELD_SITE, "--threads", "4", cwd=DJANGO_SITE, env=site_env)
    answers: list[bytes] = []
    calls = [threading.Thread(target=lambda: answers.append(server.get("/meet/").body)) for _ in range(4)]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    assert answers == [b"met\n"] * 4


@pytest.mark.parametrize("path", ["horses/site.css", "admin/css/base.css", "admin/js/core.js"])
def test_application_serves_static_files(site: RunningServer, path: str) -> None:
    import django.contrib.admin

    folder = DJANGO_SITE / "horses" if path.startswith("horses") else Path(django.contrib.admin.__file__).parent
    answer = site.get(f"/static/{path}")
    assert (answer.status, answer.body) == (200, (folder / "static" / path).read_bytes())
    unchanged = site.get(f"/static/{path}", {"If-Modified-Since": answer.headers["Last-Modified"]})
    assert (unchanged.status, unchanged.body) == (304, b"")


def test_missing_page_is_djangos_own(site: RunningServer) -> None:
    answer = site.get("/nowhere/")
    assert answer.status == 404
    assert "<h1>Not Found</h1>" in answer.text


def test_failing_view_is_djangos_own_page_and_the_worker_lives_on(site: RunningServer) -> None:
    worker = site.children()
    answer = site.get("/crash/")
    assert answer.status == 500
    assert "<h1>Server Error (500)</h1>" in answer.text
    assert "stable door" not in answer.text
    assert 'raise RuntimeError("the stable door was left open")' in site.stderr.wait_for("RuntimeError:")
    assert site.get("/").status == 200
    assert site.children() == worker


def test_host_that_is_not_allowed_is_refused(site: RunningServer) -> None:
    assert site.get("/", {"Host": "evil.example"}).status == 400
    assert site.get("/", {"Host": "localhost"}).status == 200


def test_allowed_host_is_the_one_that_a_trusted_proxy_names(
    hostler_server: StartServer, site_env: dict[str, str]
) -> None:
    server = hostler_server(SITE, cwd=DJANGO_SITE, env={**site_env, "SITE_HOSTS": "stable.example"})
    assert server.get("/", {"X-Forwarded-Host": "stable.example", "Host": "internal:8000"}).status == 200
    assert server.get("/", {"X-Forwarded-Host": "evil.example"}).status == 400


@pytest.mark.parametrize("trusted, is_secure", [("127.0.0.1", True), ("10.0.0.0/8", False)])
def test_scheme_of_a_proxy_is_believed_if_it_is_trusted(
    hostler_server: StartServer, site_env: dict[str, str], trusted: str, is_secure: bool
) -> None:
    # SECURE_PROXY_SSL_HEADER is set: whoever is not trusted must not get through to it either.
    server = hostler_server(HELD_SITE, "--trust", trusted, cwd=DJANGO_SITE, env=site_env)
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9", "Host": "localhost"}
    assert json.loads(server.get("/tell/", headers).text) == {
        "secure": is_secure,
        "url": f"{'https' if is_secure else 'http'}://localhost/tell/",
        "client": "203.0.113.9" if is_secure else "127.0.0.1",
    }


def test_secure_login_behind_a_proxy_that_speaks_https(hostler_server: StartServer, site_env: dict[str, str]) -> None:
    # Django compares the Referer with its own address for HTTPS requests: scheme and host must both be right.
    env = {**site_env, "SITE_HOSTS": "stable.example"}
    server = hostler_server(SITE, cwd=DJANGO_SITE, env=env)
    outside = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "stable.example"}
    page = server.get("/admin/login/", outside)
    cookie = page.headers["Set-Cookie"].partition(";")[0]
    token = cookie.partition("=")[2]
    form = f"csrfmiddlewaretoken={token}&username=groom&password={PASSWORD.replace(' ', '+')}&next=/admin/".encode()
    sent = {**outside, "Cookie": cookie, "Content-Type": FORM}
    good = server.post("/admin/login/", form, {**sent, "Referer": "https://stable.example/admin/login/"})
    assert (good.status, good.headers["Location"]) == (302, "/admin/")
    bad = server.post("/admin/login/", form, {**sent, "Referer": "http://stable.example/admin/login/"})
    assert bad.status == 403
