"""Resource limits: tried in a child process, as a limit that was lowered cannot be raised again."""

from __future__ import annotations

import resource
import subprocess
import sys

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
