"""Other frameworks: the same small shop in each, found by Hostler in its own way."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.e2e.harness import RunningServer, StartServer
from tests.interop.visitor import Visitor

APPS = Path(__file__).with_name("apps")
MIB = 1024 * 1024


@pytest.fixture(
    params=["tests.interop.apps.bottle_shop", "tests.interop.apps.falcon_shop:create_app()"], ids=["bottle", "falcon"]
)
def shop(request: pytest.FixtureRequest, hostler_server: StartServer) -> RunningServer:
    return hostler_server(request.param)


def test_path_with_any_letter_reaches_its_route(shop: RunningServer) -> None:
    answer = shop.get(f"/hello/{quote('Grani ä ☂')}", {"User-Agent": "hay"})
    assert json.loads(answer.text) == {"hello": "Grani ä ☂", "agent": "hay"}


@pytest.mark.parametrize("size", [0, 1, 3 * MIB + 1])
def test_body_arrives_whole(shop: RunningServer, size: int) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    told = json.loads(shop.post("/digest", content[:size], {"Content-Type": "image/png"}).text)
    assert told == {"size": size, "sha256": hashlib.sha256(content[:size]).hexdigest()}


def test_cookie_is_kept(shop: RunningServer) -> None:
    visitor = Visitor(shop.url)
    assert [json.loads(visitor.open("/visits").text)["visits"] for _ in range(3)] == [1, 2, 3]


def test_stream_is_whole(shop: RunningServer) -> None:
    answer = shop.get("/lines?count=5000")
    assert answer.text.splitlines() == [f"line {number}" for number in range(5000)]
    assert answer.headers["Transfer-Encoding"] == "chunked"


def test_file_is_delivered(shop: RunningServer) -> None:
    answer = shop.get("/source")
    assert answer.body in {path.read_bytes() for path in APPS.glob("*_shop.py")}
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert shop.request("HEAD", "/source").body == b""


def test_refusals_are_the_framework_s(shop: RunningServer) -> None:
    assert shop.get("/nowhere").status == 404
    assert shop.request("DELETE", "/visits").status == 405


def test_exception_is_a_500_and_its_traceback_is_told(shop: RunningServer) -> None:
    assert shop.get("/crash").status == 500
    assert "the stable door was left open" in shop.stderr.wait_for("RuntimeError")
    assert shop.get("/hello/again").status == 200
