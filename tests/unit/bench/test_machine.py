"""Reading names and versions."""

from __future__ import annotations

import os

import pytest

from bench.errors import BenchError
from bench.machine import check_processors, parse_cpu_model, parse_version


@pytest.mark.parametrize(
    "text, version",
    [
        ("nginx version: nginx/1.22.1\n", "1.22.1"),
        ("wrk debian/4.1.0-3+b2 [epoll] Copyright (C) 2012 Will Glozer\n", "4.1.0-3+b2"),
        ("wrk 4.2.0 [epoll]\n", "4.2.0"),
        ("", ""),
        ("no figures here", ""),
    ],
)
def test_version_is_found_in_what_programs_say(text: str, version: str) -> None:
    assert parse_version(text) == version


def test_processor_is_named() -> None:
    assert parse_cpu_model("processor\t: 0\nmodel name\t: Some CPU: fast\n") == "Some CPU: fast"
    assert parse_cpu_model("") == "unknown processor"


def test_processors_that_may_not_be_used_are_refused_by_number() -> None:
    check_processors(*os.sched_getaffinity(0))
    with pytest.raises(BenchError, match="processor 99999 is not usable"):
        check_processors(99_999)
