"""Gunicorn's server hooks: when they are called, with what, and what becomes of their errors."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from hostler.compat.gunicorn.hook import GunicornHooks
from hostler.compat.gunicorn.likeness import Request, Server, Settings, Worker, read_environ
from hostler.compat.gunicorn.table import SETTINGS
from hostler.contracts import AsgiApplication, Message, Mount, WsgiApplication
from hostler.errors import ApplicationError, ConfigurationError

Start = Callable[..., Any]


class Recorder:
    """Makes hooks that note their calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def hook(self, name: str) -> Callable[..., None]:
        def note(*arguments: object) -> None:
            self.calls.append((name, arguments))

        return note

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


def make(_server: Server | None = None, /, **values: Any) -> GunicornHooks:  # noqa: ANN401 - settings differ in type
    complete = {setting.name: setting.default for setting in SETTINGS} | values
    server = _server or Server(7, Settings(complete))
    return GunicornHooks(server, complete, Path("/"), ["workers: was many"])


def all_hooks(recorder: Recorder) -> dict[str, Any]:
    return {setting.name: recorder.hook(setting.name) for setting in SETTINGS if setting.fate.name == "HOOK"}


def test_life_of_a_server_and_a_worker() -> None:
    recorder = Recorder()
    hooks = make(**all_hooks(recorder))
    hooks.starting()
    hooks.scaled(1, None)
    hooks.worker_forking(1)
    hooks.worker_started(1, 4711)
    hooks.serving(["http://127.0.0.1:8000"])
    hooks.reloading()
    hooks.worker_ended(4711)
    hooks.ended()
    assert recorder.names == [
        "on_starting", "nworkers_changed", "pre_fork", "when_ready", "on_reload", "child_exit", "on_exit",
    ]  # fmt: skip
    server = recorder.calls[0][1][0]
    assert recorder.calls[1][1] == (server, 1, None)
    _, forked = recorder.calls[2][1]
    _, ended = recorder.calls[5][1]
    assert forked is ended
    assert (ended.pid, ended.age, ended.alive) == (4711, 1, False)
    assert (server.pid, server.num_workers, server.WORKERS) == (7, 1, {})
    assert server.address == [("127.0.0.1", 8000)]


def test_worker_has_what_pre_fork_put_on_it() -> None:
    seen = []

    def pre_fork(server: Server, worker: Worker) -> None:
        vars(worker)["number"] = len(server.WORKERS)
        assert worker.pid == "[booting]"

    hooks = make(pre_fork=pre_fork, post_fork=lambda server, worker: seen.append((worker.number, worker.pid)))
    hooks.worker_forking(1)
    hooks.worker_forked()
    hooks.worker_loaded()
    assert seen == [(0, os.getpid())]
    assert hooks.worker.booted


def test_worker_of_a_new_generation_is_told_by_the_hooks_that_serve() -> None:
    recorder = Recorder()
    old = make(child_exit=recorder.hook("old"))
    server = old._server
    new = make(server, child_exit=recorder.hook("new"), proc_name="next")
    old.worker_forking(1)
    old.worker_started(1, 10)
    new.worker_forking(1)
    old.worker_started(1, 11)
    assert [worker.age for worker in server.WORKERS.values()] == [1, 2]
    new.worker_ended(10)
    assert recorder.names == ["new"]
    assert server.cfg.proc_name == "next"


def test_worker_of_a_fork_server_is_known_once_it_has_started() -> None:
    recorder = Recorder()
    hooks = make(child_exit=recorder.hook("child_exit"))
    hooks.worker_started(1, 12)
    hooks.worker_ended(12)
    hooks.worker_ended(13)
    assert [worker.pid for _, (_, worker) in recorder.calls] == [12]


def test_hook_sees_the_variables_and_leaves_none_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("B", "before")
    monkeypatch.delenv("A", raising=False)
    seen: list[object] = []
    hooks = make(raw_env=["A=1", "B=2"], child_exit=lambda *_: seen.append((os.environ["A"], os.environ["B"])))
    hooks.worker_started(1, 1)
    hooks.worker_ended(1)
    assert seen == [("1", "2")]
    assert ("A" in os.environ, os.environ["B"]) == (False, "before")


def fail(*_: object) -> None:
    raise RuntimeError("no luck")


def test_error_in_the_supervisor_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    hooks = make(**dict.fromkeys(("when_ready", "on_exit", "nworkers_changed", "worker_exit", "worker_int"), fail))
    with caplog.at_level(logging.ERROR, "hostler"):
        logging.getLogger("hostler").addHandler(caplog.handler)
        try:
            hooks.serving([])
            hooks.ended()
            hooks.scaled(2, 1)
            hooks.worker_interrupted()
            hooks.worker_leaving()
        finally:
            logging.getLogger("hostler").removeHandler(caplog.handler)
    told = {record.getMessage() for record in caplog.records}
    assert told == {
        f"{name} failed" for name in ("when_ready", "on_exit", "nworkers_changed", "worker_int", "worker_exit")
    }


def test_thread_in_the_supervisor_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    logging.getLogger("hostler").addHandler(caplog.handler)
    try:
        make(when_ready=lambda _: thread.start()).serving([])
    finally:
        logging.getLogger("hostler").removeHandler(caplog.handler)
        end.set()
        thread.join()
    assert "has started a thread" in caplog.text


def test_error_before_serving_is_a_failed_start() -> None:
    with pytest.raises(ConfigurationError, match=r"on_starting failed: RuntimeError: no luck\n  Traceback"):
        make(on_starting=fail).starting()
    for name in ("post_fork", "post_worker_init"):
        hooks = make(**{name: fail})
        call = hooks.worker_forked if name == "post_fork" else hooks.worker_loaded
        with pytest.raises(ApplicationError, match=f"{name} failed: RuntimeError: no luck") as caught:
            call()
        assert "no luck" in str(caught.value.details)


# Request hooks


def application(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    start_response("404 Not Found", [("X", "y")])
    return [b"no"]


ENVIRON = {
    "REQUEST_METHOD": "POST",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/a b",
    "RAW_URI": "/a%20b?c=d",
    "QUERY_STRING": "c=d",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "10.0.0.9",
    "REMOTE_PORT": "4000",
    "CONTENT_TYPE": "text/plain",
    "HTTP_HOST": "h",
    "HTTP_X_A": "b",
    "wsgi.url_scheme": "https",
}


def wrap(hooks: GunicornHooks, application: WsgiApplication) -> WsgiApplication:
    return cast("WsgiApplication", hooks.mount(Mount("", "wsgi", application)).application)


def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
    pass


def test_request_is_as_gunicorn_shows_it() -> None:
    request = read_environ(ENVIRON)
    assert (request.method, request.uri, request.path, request.query) == ("POST", "/a%20b?c=d", "/a%20b", "c=d")
    assert request.version == (1, 1)
    assert sorted(request.headers) == [("CONTENT-TYPE", "text/plain"), ("HOST", "h"), ("X-A", "b")]
    assert (request.scheme, request.remote_addr) == ("https", ("10.0.0.9", 4000))


def test_application_without_request_hooks_is_left_alone() -> None:
    assert wrap(make(), application) is application


@pytest.mark.parametrize("count", [2, 3, 4])
def test_hooks_are_called_around_a_request(count: int) -> None:
    recorder = Recorder()
    note = recorder.hook("post")
    two: Callable[..., None] = lambda worker, req: note(worker, req)  # noqa: E731, PLW0108 - its arguments count
    three: Callable[..., None] = lambda worker, req, environ: note(worker, req, environ)  # noqa: E731, PLW0108
    after = {2: two, 3: three, 4: note}
    hooks = make(pre_request=recorder.hook("pre"), post_request=after[count])
    environ = dict(ENVIRON)
    assert wrap(hooks, application)(environ, start_response) == [b"no"]
    assert recorder.names == ["pre", "post"]
    arguments = recorder.calls[1][1]
    assert len(arguments) == count
    assert arguments[0] is hooks.worker
    assert hooks.worker.nr == 1
    if count == 4:
        assert arguments[2] is environ
        assert (arguments[3].status, arguments[3].status_code, arguments[3].headers) == (
            "404 Not Found",
            404,
            [("X", "y")],
        )


def test_streamed_response_ends_when_it_is_closed() -> None:
    recorder = Recorder()

    def stream(environ: dict[str, Any], start_response: Start) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            yield b"1"
            yield b"2"
        finally:
            recorder.hook("closed")()

    result: Any = wrap(make(post_request=recorder.hook("post")), stream)(dict(ENVIRON), start_response)
    assert next(iter(result)) == b"1"
    assert recorder.names == []
    result.close()
    assert recorder.names == ["closed", "post"]
    assert recorder.calls[1][1][3].status_code == 200


def test_file_passes_through_untouched() -> None:
    class Wrapper:
        def __init__(self, file: object) -> None:
            self.file = file

        def __iter__(self) -> Iterator[bytes]:
            return iter(())

    environ = {**ENVIRON, "wsgi.file_wrapper": Wrapper}
    recorder = Recorder()
    result = wrap(make(post_request=recorder.hook("post")), lambda environ, _: environ["wsgi.file_wrapper"](1))
    assert isinstance(result(environ, start_response), Wrapper)
    assert recorder.names == ["post"]


def test_error_of_the_application_still_ends_the_request() -> None:
    recorder = Recorder()
    with pytest.raises(RuntimeError, match="no luck"):
        wrap(make(post_request=recorder.hook("post")), fail)(dict(ENVIRON), start_response)  # type: ignore[arg-type]
    assert recorder.calls[0][1][3].status_code is None


def test_error_before_a_request_is_the_request_s_and_one_after_it_is_logged() -> None:
    with pytest.raises(RuntimeError, match="no luck"):
        wrap(make(pre_request=fail), application)(dict(ENVIRON), start_response)
    assert wrap(make(post_request=fail), application)(dict(ENVIRON), start_response) == [b"no"]


def test_hooks_are_called_around_an_asgi_request() -> None:
    recorder = Recorder()

    async def page(scope: dict[str, Any], receive: object, send: Callable[[Message], Any]) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 201, "headers": [(b"x", b"y")]})
            await send({"type": "http.response.body"})

    hooks = make(pre_request=recorder.hook("pre"), post_request=recorder.hook("post"))
    wrapped = cast("AsgiApplication", hooks.mount(Mount("", "asgi", page)).application)
    scope = {
        "type": "http", "method": "GET", "path": "/a b", "raw_path": b"/a%20b", "query_string": b"c=d",
        "scheme": "http", "http_version": "1.1", "headers": [(b"host", b"h")], "client": ("10.0.0.9", 4000),
        "root_path": "",
    }  # fmt: skip
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {}

    async def serve() -> None:
        await wrapped(scope, receive, send)
        await wrapped({"type": "lifespan"}, receive, send)

    asyncio.run(serve())
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert recorder.names == ["pre", "post"]
    _, request, environ, response = recorder.calls[1][1]
    assert isinstance(request, Request)
    assert (request.uri, environ["PATH_INFO"], environ["HTTP_HOST"]) == ("/a%20b?c=d", "/a b", "h")
    assert (response.status_code, response.headers) == (201, [("x", "y")])


def test_settings_are_attributes() -> None:
    cfg = make(bind=["unix:/run/a.sock", "[::1]:80"], raw_env=["A=1"], threads=2)._cfg
    assert (cfg.address, cfg.env, cfg.worker_class_str, cfg.is_ssl) == (
        ["/run/a.sock", ("::1", 80)], {"A": "1"}, "gthread", False,
    )  # fmt: skip
    with pytest.raises(AttributeError, match="no configuration setting for: quux"):
        _ = cfg.quux
