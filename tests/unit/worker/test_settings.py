"""The engine's settings from the configuration."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Literal

import pytest

from hostler.config import Config
from hostler.contracts import EngineSettings
from hostler.worker.settings import build_engine_settings, drain_time, shutdown_time


def build(config: Config, jitter: int = 0, *, is_asgi: bool = False, is_development: bool = False) -> EngineSettings:
    return build_engine_settings(
        config,
        signal_fd=5,
        lifeline_fd=6,
        random_integer=lambda limit: min(jitter, limit),
        is_asgi=is_asgi,
        is_development=is_development,
    )


def test_defaults_of_configuration_and_engine_agree() -> None:
    told = {"threads", "signal_fd", "lifeline_fd", "graceful_timeout", "multiprocess", "trusted_networks", "temp_dir"}
    settings, defaults = build(Config()), EngineSettings()
    for field in fields(EngineSettings):
        if field.name not in told:
            assert getattr(settings, field.name) == getattr(defaults, field.name), field.name


def test_descriptors_and_surroundings_are_passed_on() -> None:
    settings = build(Config())
    assert (settings.signal_fd, settings.lifeline_fd, settings.multiprocess) == (5, 6, False)
    assert settings.trusted_networks == tuple(Config().trust.networks)


@pytest.mark.parametrize("jitter,expected", [(0, 100), (7, 107), (20, 110)])
def test_jitter_is_added_to_the_number_of_requests(jitter: int, expected: int) -> None:
    config = Config()
    config = replace(config, workers=replace(config.workers, max_requests=100, max_requests_jitter=10))
    assert build(config, jitter).max_requests == expected


def test_no_limit_stays_no_limit_with_jitter() -> None:
    config = Config()
    config = replace(config, workers=replace(config.workers, max_requests=0, max_requests_jitter=10))
    assert build(config, 7).max_requests == 0


@pytest.mark.parametrize(
    "choice,is_asgi,streams",
    [
        ("auto", False, False),
        ("auto", True, True),
        ("buffer", True, False),
        ("stream", False, True),
    ],
)
def test_request_bodies_are_streamed_where_waiting_takes_no_thread(
    choice: Literal["auto", "buffer", "stream"], is_asgi: bool, streams: bool
) -> None:
    config = Config()
    config = replace(config, http=replace(config.http, request_body=choice))
    assert build(config, is_asgi=is_asgi).stream_request_body == streams


def test_insides_are_shown_in_development_only() -> None:
    assert not build(Config()).debug_extension
    assert build(Config(), is_development=True).debug_extension


def test_only_process_is_no_multiprocess() -> None:
    config = Config()
    assert build(replace(config, workers=replace(config.workers, count="auto"))).multiprocess


@pytest.mark.parametrize("graceful,drain", [(30, 29), (1, 0.9), (0, 0)])
def test_engine_gives_up_before_the_supervisor_kills(graceful: float, drain: float) -> None:
    assert drain_time(graceful) == pytest.approx(drain)
    assert drain_time(graceful) <= shutdown_time(graceful) <= graceful
