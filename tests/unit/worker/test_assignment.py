"""Loading the application and those beside it."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

from hostler.app import Choice, LoadedApplication
from hostler.config import Config
from hostler.contracts import Mount
from hostler.telemetry.log import open_log
from hostler.worker.assignment import Assignment, is_asgi, load_mounts


async def live(scope: Any, receive: Any, send: Any) -> None: ...  # noqa: ANN401


def plain(environ: Any, start_response: Any) -> list[bytes]:  # noqa: ANN401
    return []


def test_root_comes_first_and_alone_has_the_interface_that_was_asked_for() -> None:
    asked: list[tuple[str, Choice]] = []

    def load(target: str, interface: Choice) -> LoadedApplication:
        asked.append((target, interface))
        return LoadedApplication(live, "asgi") if "live" in target else LoadedApplication(plain, "wsgi")

    config = Config()
    mounts = MappingProxyType({"/live": "shop:live", "/old": "shop:old"})
    config = replace(config, app=replace(config.app, interface="wsgi", mounts=mounts))
    loaded = load_mounts(Assignment(config, "shop:app", "shop", None, open_log("-", {}), load=load))
    assert loaded == (Mount("", "wsgi", plain), Mount("/live", "asgi", live), Mount("/old", "wsgi", plain))
    assert asked == [("shop:app", "wsgi"), ("shop:live", "auto"), ("shop:old", "auto")]


def test_one_asgi_application_needs_a_loop() -> None:
    assert is_asgi([Mount("", "wsgi", plain), Mount("/live", "asgi", live)])
    assert not is_asgi([Mount("", "wsgi", plain), Mount("/old", "wsgi", plain)])
