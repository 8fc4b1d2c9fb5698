"""The server as its supervisor sees it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import hostler.server.host
from hostler.config import Config, Sources, load_config
from hostler.errors import HostlerError
from hostler.server.host import ServerHost
from hostler.server.options import Options


def make_host(directory: Path, environment: dict[str, str]) -> ServerHost:
    def load() -> Config:
        return load_config(Sources(directory=directory)).config

    return ServerHost(load, Options(), environment)


def test_upgrade_is_refused_to_the_first_process_of_a_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hostler.server.host, "FIRST_PROCESS", os.getpid())
    with pytest.raises(HostlerError, match=r"process 1 of a container.*start a new container"):
        make_host(tmp_path, {}).launch(1)


def test_upgrade_is_refused_where_systemd_does_not_listen(tmp_path: Path) -> None:
    host = make_host(tmp_path, {"SYSTEMD_EXEC_PID": str(os.getpid())})
    with pytest.raises(HostlerError, match="Type=notify"):
        host.launch(1)
