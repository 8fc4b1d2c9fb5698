"""FastAPI, Starlette, Litestar, Quart, Django with Channels: what their users lean on, with real clients."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.e2e.asgi import LOOPS, asgi_options
from tests.e2e.harness import PATIENCE, RunningServer, StartServer, start_server

APPS = "tests.interop.apps"
MIB = 1024 * 1024


@pytest.fixture(scope="module", params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def fastapi(loop: str) -> Iterator[RunningServer]:
    with start_server(f"{APPS}.asgi_fastapi:app", *asgi_options(loop)) as server:
        yield server


@pytest.fixture(scope="module")
def starlette(loop: str) -> Iterator[RunningServer]:
    with start_server(f"{APPS}.asgi_starlette:app", *asgi_options(loop)) as server:
        yield server


@pytest.fixture(scope="module")
def channels(loop: str) -> Iterator[RunningServer]:
    with start_server(f"{APPS}.asgi_channels:application", *asgi_options(loop)) as server:
        yield server


@pytest.fixture(scope="module", params=["fastapi", "litestar", "quart"])
def stable(request: pytest.FixtureRequest, loop: str) -> Iterator[RunningServer]:
    """The same routes in each of three frameworks."""
    with start_server(f"{APPS}.asgi_{request.param}:app", *asgi_options(loop)) as server:
        yield server


def browse(server: RunningServer) -> httpx.Client:
    return httpx.Client(base_url=server.url, timeout=PATIENCE, trust_env=False)


def dial(server: RunningServer, path: str, **options: Any) -> ClientConnection:  # noqa: ANN401 (those of websockets)
    client: ClientConnection = connect(f"ws://{server.host}:{server.port}{path}", proxy=None, **options)
    return client


def hear(client: ClientConnection) -> Any:  # noqa: ANN401 (JSON)
    return json.loads(client.recv(PATIENCE))


def closed(client: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as ended:
        client.recv(PATIENCE)
    assert ended.value.rcvd is not None
    return ended.value.rcvd.code, ended.value.rcvd.reason


# The same in several frameworks


def test_path_and_query_are_converted(stable: RunningServer) -> None:
    with browse(stable) as client:
        assert {"number": 7, "fed": True}.items() <= client.get("/horses/7", params={"fed": "true"}).json().items()


def test_json_goes_in_and_out(stable: RunningServer) -> None:
    horse = {"name": "Grani ä ☂", "stall": 3}
    with browse(stable) as client:
        answer = client.post("/horses", json=horse)
        assert (answer.status_code, answer.json()) == (201, horse)
        assert client.post("/horses", content=b"{", headers={"content-type": "application/json"}).status_code in {
            400,
            422,
        }


def test_stream_arrives_in_pieces(stable: RunningServer) -> None:
    with browse(stable) as client, client.stream("GET", "/stream", params={"lines": 3000}) as answer:
        assert answer.headers["transfer-encoding"] == "chunked"
        assert list(answer.iter_lines()) == [f"line {number}" for number in range(3000)]


def test_work_behind_the_answer_is_done(stable: RunningServer) -> None:
    with browse(stable) as client:
        assert client.post("/letter").json()["written"] in {True, False}
        assert client.get("/letter").json() == {"written": True}


def test_view_that_is_no_coroutine_runs_in_a_thread(stable: RunningServer) -> None:
    with browse(stable) as client:
        assert client.get("/thread").json() in ({"main": False}, {"answer": "from a thread"})


def test_exception_is_a_500_and_its_traceback_is_told(stable: RunningServer) -> None:
    with browse(stable) as client:
        assert client.get("/crash").status_code == 500
        assert client.get("/horses/1").status_code == 200
    stable.stderr.wait_for("the stable door was left open")


def test_many_clients_are_served_at_once(stable: RunningServer) -> None:
    def fetch(number: int) -> int:
        with browse(stable) as client:
            return sum(int(client.get(f"/horses/{number}").json()["number"]) for _ in range(10))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(fetch, range(24))) == [10 * number for number in range(24)]


# FastAPI


def test_fastapi_tells_what_is_wrong_with_the_input(fastapi: RunningServer) -> None:
    with browse(fastapi) as client:
        answer = client.post("/horses", json={"name": "x", "stall": 21})
        assert answer.status_code == 422
        assert {tuple(each["loc"]) for each in answer.json()["detail"]} == {("body", "name"), ("body", "stall")}
        assert client.get("/horses/seven").status_code == 422


def test_fastapi_describes_itself(fastapi: RunningServer) -> None:
    with browse(fastapi) as client:
        assert "/horses/{number}" in client.get("/openapi.json").json()["paths"]


@pytest.mark.parametrize("sizes", [(0, 1), (300_000, 3 * MIB)])
def test_fastapi_takes_uploads(fastapi: RunningServer, sizes: tuple[int, ...]) -> None:
    contents = [bytes(range(251)) * (size // 251 + 1) for size in sizes]
    files = [("photos", (f"{size} ä.png", content[:size])) for size, content in zip(sizes, contents, strict=True)]
    with browse(fastapi) as client:
        told = client.post("/upload", files=files).json()
    assert told == [
        {"name": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for _, (name, content) in files
    ]


def test_fastapi_cleans_up_after_dependencies(fastapi: RunningServer) -> None:
    with browse(fastapi) as client:
        assert client.get("/ride", params={"name": "grani"}).json() == ["GRANI", "Grani"]
        assert client.get("/ride", params={"name": "falada", "falls": "true"}).status_code == 409
        cleaned = client.get("/cleaned").json()
    assert [each for each in cleaned if "grani" in each] == ["grani in a thread", "grani"]
    assert "falada" in cleaned


def test_fastapi_runs_several_threads(fastapi: RunningServer) -> None:
    def fetch(_: int) -> str:
        with browse(fastapi) as client:
            return str(client.get("/meet").json())

    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(fetch, range(5))) == ["met"] * 5


def test_fastapi_streams_from_a_plain_generator(fastapi: RunningServer) -> None:
    with browse(fastapi) as client:
        assert client.get("/stream-sync", params={"lines": 500}).text.count("\n") == 500


def test_fastapi_has_the_state_of_its_lifespan_and_closes_it(hostler_server: StartServer, loop: str) -> None:
    server = hostler_server(f"{APPS}.asgi_fastapi:app", *asgi_options(loop, "--lifespan", "on"))
    with browse(server) as client:
        assert client.get("/state").json() == {"hay": "plenty"}
    assert server.stop() == 0
    assert "the stable is closed" in server.stderr.wait_end()


def test_fastapi_talks_in_rooms(fastapi: RunningServer) -> None:
    with dial(fastapi, "/rooms/box?name=ada") as ada, dial(fastapi, "/rooms/other?name=eve") as eve:
        assert hear(ada) == {"joined": "ada", "members": 1}
        assert hear(eve)["members"] == 1
        with dial(fastapi, "/rooms/box?name=bob") as bob:
            assert hear(bob) == {"joined": "bob", "members": 2}
            bob.send(json.dumps({"text": "hay ☂"}))
            assert hear(ada) == hear(bob) == {"from": "bob", "text": "hay ☂"}
            bob.close(4000)
        assert hear(ada) == {"left": "bob", "code": 4000}


def test_fastapi_refuses_what_has_no_route(fastapi: RunningServer) -> None:
    with pytest.raises(InvalidStatus) as refused, dial(fastapi, "/nowhere"):
        pass
    assert refused.value.response.status_code == 403


# Starlette


def test_starlette_sends_events(starlette: RunningServer) -> None:
    with browse(starlette) as client, client.stream("GET", "/events", params={"count": 20}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert [line for line in answer.iter_lines() if line.startswith("data")] == [
            f"data: event {number}" for number in range(20)
        ]


def test_starlette_ends_a_stream_whose_client_has_gone(starlette: RunningServer) -> None:
    """Through middleware that runs the application in another task, and through compression."""
    with browse(starlette) as client:
        with client.stream("GET", "/endless") as answer:
            assert next(answer.iter_lines()) == ": still here"
        assert client.get("/gone").text == "gone"


def test_starlette_middleware_sees_request_and_response(starlette: RunningServer) -> None:
    with browse(starlette) as client:
        answer = client.get("/tell/ada%20%C3%A4?x=1", headers={"x-forwarded-proto": "https"})
        assert answer.headers["x-stamp"] == "GET /tell/ada ä"
        told = answer.json()
        assert told["name"] == "ada ä"
        assert told["url"] == f"https://{starlette.host}:{starlette.port}/tell/ada ä?x=1"
        assert told["path_for"] == f"https://{starlette.host}:{starlette.port}/tell/again"
        assert "http.response.pathsend" in told["extensions"]


def test_starlette_middleware_lets_large_bodies_through(starlette: RunningServer) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(64):
            yield b"x" * 65_536

    with browse(starlette) as client:
        assert client.post("/digest", content=pieces()).json() == {"size": 4 * MIB, "client": True}
        assert client.post("/form", data={"hay": "ä", "straw": "2"}).json() == {"hay": "ä", "straw": "2"}


@pytest.mark.parametrize("app", ["app", "plain"])
@pytest.mark.parametrize("size", [0, 100, 5 * MIB])
def test_starlette_sends_files(hostler_server: StartServer, loop: str, tmp_path: Path, app: str, size: int) -> None:
    """By their path where nothing is in between, and by reading them otherwise."""
    server = hostler_server(f"{APPS}.asgi_starlette:{app}", *asgi_options(loop))
    path = tmp_path / "hay"
    path.write_bytes((bytes(range(256)) * (size // 256 + 1))[:size])
    with browse(server) as client:
        answer = client.get("/file", params={"path": str(path)}, headers={"accept-encoding": "identity"})
        assert answer.content == path.read_bytes()
        assert answer.headers["content-length"] == str(size)
        assert 'filename="hay.bin"' in answer.headers["content-disposition"]
        assert client.head("/file", params={"path": str(path)}).content == b""
        if size > 20:
            part = client.get("/file", params={"path": str(path)}, headers={"range": "bytes=10-19"})
            assert (part.status_code, part.content) == (206, bytes(range(10, 20)))
        assert client.get("/file", params={"path": str(tmp_path / "nowhere")}).status_code == 500
        assert client.get("/nowhere").status_code == 404


def test_starlette_serves_static_files(starlette: RunningServer) -> None:
    with browse(starlette) as client:
        first = client.get("/static/asgi_starlette.py")
        assert "class Stamp" in first.text
        again = client.get("/static/asgi_starlette.py", headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_starlette_talks_and_denies(starlette: RunningServer) -> None:
    with dial(starlette, "/echo") as client:
        for text in ("hay", "ä☂", ""):
            client.send(text)
            assert client.recv(PATIENCE) == text[::-1]
        client.send(b"bytes are not what it takes")
        assert closed(client)[0] == 1003
    with pytest.raises(InvalidStatus) as refused, dial(starlette, "/deny"):
        pass
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body) == {"reason": "no horse"}


# Litestar and Quart


@pytest.fixture(scope="module", params=["litestar", "quart"])
def echoing(request: pytest.FixtureRequest, loop: str) -> Iterator[RunningServer]:
    with start_server(f"{APPS}.asgi_{request.param}:app", *asgi_options(loop)) as server:
        yield server


def test_websocket_echoes_and_notices_the_end(echoing: RunningServer) -> None:
    for _ in range(3):
        with dial(echoing, "/echo") as client:
            for text in ("hay", "ä☂"):
                client.send(text)
                assert client.recv(PATIENCE) == text[::-1]
    assert "Traceback" not in echoing.log().partition("the stable door")[0]


def test_websocket_has_subprotocol_code_and_reason(echoing: RunningServer) -> None:
    with dial(echoing, "/talk", subprotocols=[Subprotocol("json")]) as client:
        assert client.subprotocol == "json"
        client.send(json.dumps({"text": "hay"}))
        assert hear(client) == {"heard": {"text": "hay"}}
        assert closed(client) == (4001, "enough")


def test_upload_of_a_form_arrives(hostler_server: StartServer, loop: str) -> None:
    for framework, field in (("litestar", "data"), ("quart", "photos")):
        server = hostler_server(f"{APPS}.asgi_{framework}:app", *asgi_options(loop))
        with browse(server) as client:
            answer = client.post("/upload", files={field: ("hay.bin", b"x" * MIB)})
            assert answer.json() == {"name": "hay.bin", "size": MIB}


def test_litestar_sends_events_and_tells_what_is_wrong(hostler_server: StartServer, loop: str) -> None:
    server = hostler_server(f"{APPS}.asgi_litestar:app", *asgi_options(loop))
    with browse(server) as client:
        assert client.get("/events", params={"count": 5}).text.count("data: event") == 5
        answer = client.post("/horses", json={"name": "Grani", "stall": "three"})
        assert answer.status_code == 400
        assert "stall" in answer.text


def test_quart_keeps_sessions_reads_bodies_and_ends_well(hostler_server: StartServer, loop: str) -> None:
    server = hostler_server(f"{APPS}.asgi_quart:app", *asgi_options(loop))
    with browse(server) as client:
        assert [client.get("/visits").json()["visits"] for _ in range(3)] == [1, 2, 3]
        assert client.post("/digest", content=b"x" * MIB).json() == {"size": MIB}
        assert client.get("/horses/1").json()["door"] == "open"
    assert server.stop() == 0
    assert "the stable is closed" in server.stderr.wait_end()


# Django with Channels


def test_django_runs_views_of_both_kinds(channels: RunningServer) -> None:
    with browse(channels) as client:
        told = client.get("/tell/").json()
        assert told == {"url": f"{channels.url}/tell/", "client": "127.0.0.1"}
        assert client.get("/tell-sync/").json() == {"main": False}
        assert client.get("/tell").status_code in {301, 404}


def test_django_takes_bodies_and_streams_answers(channels: RunningServer) -> None:
    content = bytes(range(251)) * 20_000
    with browse(channels) as client:
        told = client.post("/digest/", content=content).json()
        assert told == {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        with client.stream("GET", "/stream/", params={"lines": 2000}) as answer:
            assert list(answer.iter_lines()) == [f"line {number}" for number in range(2000)]


def test_django_error_is_its_own_page(channels: RunningServer) -> None:
    with browse(channels) as client:
        answer = client.get("/crash/")
        assert answer.status_code == 500
        assert "Server Error (500)" in answer.text
    channels.stderr.wait_for("the stable door was left open")


def test_channels_chat_goes_to_all_members(channels: RunningServer) -> None:
    with (
        dial(channels, "/chat/box/") as ada,
        dial(channels, "/chat/box/") as bob,
        dial(channels, "/chat/other/") as eve,
    ):
        for member, room in ((ada, "box"), (bob, "box"), (eve, "other")):
            assert hear(member) == {"joined": room}
        for text in ("hay", "straw ☂"):
            ada.send(json.dumps({"text": text}))
            assert hear(ada) == hear(bob) == {"text": text}
        bob.close(1001)
        assert hear(ada) == {"left": 1001}
        eve.send(json.dumps({"text": "alone"}))
        assert hear(eve) == {"text": "alone"}


def test_channels_refuses_and_has_synchronous_consumers(channels: RunningServer) -> None:
    with pytest.raises(InvalidStatus) as refused, dial(channels, "/chat/closed/"):
        pass
    assert refused.value.response.status_code == 403
    with dial(channels, "/echo/", subprotocols=[Subprotocol("json")]) as client:
        assert client.subprotocol == "json"
        client.send("hay")
        assert hear(client) == {"heard": "hay"}
        assert closed(client) == (4001, "")
