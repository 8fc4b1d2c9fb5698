"""Resource limits: tried in a child process, as a limit that was lowered cannot be raised again."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from hostler.system.limits import ResourceLimit, parse_limit

SCRIPT = """
import resource, sys
from hostler.system.limits import raise_descriptor_limit
soft, hard, connections = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
returned = raise_descriptor_limit(connections)
assert returned == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
print(returned)
"""


def raised(soft: int, hard: int, connections: int) -> int:
    arguments = [sys.executable, "-c", SCRIPT, str(soft), str(hard), str(connections)]
    return int(subprocess.run(arguments, capture_output=True, check=True, text=True).stdout)


def test_soft_limit_is_raised_for_the_connections() -> None:
    assert raised(256, 3000, 1000) == 2024


def test_hard_limit_is_the_ceiling() -> None:
    assert raised(256, 300, 1000) == 300


def test_higher_limit_is_left_alone() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert hard == resource.RLIM_INFINITY or hard >= 1900
    assert raised(1900, 1900, 10) == 1900


def test_limits_are_read_from_text() -> None:
    assert parse_limit("nofile", "64") == ResourceLimit("nofile", 64, 64)
    assert parse_limit("core", "0:unlimited") == ResourceLimit("core", 0, resource.RLIM_INFINITY)


@pytest.mark.parametrize(
    "name, text, fault",
    [
        ("files", "64", "there is no limit 'files'; this system has .*nofile"),
        ("infinity", "64", "there is no limit"),
        ("nofile", "64:32", "the soft limit is above the hard one"),
        ("nofile", "unlimited:32", "the soft limit is above the hard one"),
        ("nofile", "-1", "a limit is a whole number"),
        ("nofile", "", "a limit is a whole number"),
        ("as", "2GiB", "a limit is a whole number"),
    ],
)
def test_limits_that_cannot_be_are_told(name: str, text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_limit(name, text)


SETTING = """
import resource, sys
from hostler.errors import PrivilegeError
from hostler.system.limits import parse_limit, set_limits
resource.setrlimit(resource.RLIMIT_CORE, (0, 100))
set_limits([parse_limit("core", "50")])
assert resource.getrlimit(resource.RLIMIT_CORE) == (50, 50)
import os
if os.geteuid() == 0:
    os.setresuid(54321, 54321, 54321)
try:
    set_limits([parse_limit("core", "60")])
except PrivilegeError as error:
    print(error)
"""


def test_limits_are_set_and_only_root_raises_a_hard_one() -> None:
    found = subprocess.run([sys.executable, "-c", SETTING], check=True, capture_output=True, text=True)
    assert "cannot set the limit core to 60:60" in found.stdout
