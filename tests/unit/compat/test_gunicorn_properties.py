"""Whatever a configuration file or a command line holds, it is either served or refused in words."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hostler.compat.gunicorn.command import find_command
from hostler.compat.gunicorn.source import Given, Reading, take_value
from hostler.compat.gunicorn.table import SETTINGS, index_settings
from hostler.compat.gunicorn.translation import build, list_warnings, translate
from hostler.config import Config, Surroundings
from hostler.config.origin import Origin
from hostler.errors import ConfigurationError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.binary(max_size=4)
    | st.sampled_from(["-", "auto", "0x10", "127.0.0.1", "unix:/x", "A=1", "%(h)s", "%(zz)s %", "tcp://h:1", "[::1]:8"])
    | st.sampled_from([int, ModuleType, lambda: 1 / 0, lambda: "gevent"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(index_settings())), VALUES, max_size=6))
def test_values_are_taken_or_refused_in_words(raw: dict[str, Any]) -> None:
    # Any other error than this one is a defect.
    with contextlib.suppress(ConfigurationError):
        assert serve(raw).workers.threads >= 1


def serve(raw: dict[str, Any]) -> Config:
    origin = Origin("file", "gunicorn.conf.py")
    taken = {
        name: Given(take_value(index_settings()[name], value, origin.where), origin) for name, value in raw.items()
    }
    values = {setting.name: setting.default for setting in SETTINGS} | {
        name: each.value for name, each in taken.items()
    }
    reading = Reading(values, taken, Path(tempfile.gettempdir()), "gunicorn.conf.py", ())
    outcomes = translate(reading, {})
    assert all("\n" not in line for line in list_warnings(reading, outcomes))
    assert all(outcome.shown for outcome in outcomes)
    return build(reading, outcomes, {}, Surroundings())


LINES = st.lists(
    st.sampled_from(["gunicorn", "web: ", "CMD ", "[", "]", '"', "'", ",", " ", "\\\n", "\n", "${A:-1}", "$B"])
    | st.sampled_from(["-w", "&&", "-b"])
    | st.text(max_size=5),
    max_size=12,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(LINES)
def test_command_lines_are_found_or_missed_in_words(pieces: list[str]) -> None:
    with contextlib.suppress(ConfigurationError):
        found = find_command("".join(pieces), "Procfile")
        assert not any("$B" in word for word in found.words)
