"""The web servers of this machine, asked for their configuration by their own programs.

Only programs on root's or the caller's search path are run, never what some process claims to be, and only with options
of a process that root or the caller has started: a configuration can name a module to load.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hostler.doctor import apache, nginx
from hostler.doctor.directive import read_apache, read_nginx, split_dump
from hostler.doctor.model import WebServer
from hostler.doctor.port import WEB_SERVERS
from hostler.system.asking import Output, find_program, run_program
from hostler.system.listening import PROC, Listening, Owner, list_processes, read_owner
from hostler.system.pathwalk import list_groups, list_process_groups

_NGINX_OPTIONS = frozenset({"-c", "-p", "-e"})
_APACHE_OPTIONS = frozenset({"-f", "-d", "-D"})
_LARGEST_FILE = 1_000_000


def find_web_servers(listening: Sequence[Listening]) -> Iterator[WebServer]:
    """Find the web servers that run; of those that are only installed, the ones with a configuration."""
    owners = {owner.pid: owner for each in listening for owner in each.owners}
    seen: set[str] = set()
    for name in ("nginx", "Apache"):
        masters = [each for each in owners.values() if WEB_SERVERS.get(each.name) == name and _is_master(each, owners)]
        for master in masters:
            seen.add(name)
            yield _ask(name, master)
        if name not in seen and find_program(*_PROGRAMS[name]):
            yield _ask(name, None)


_PROGRAMS = {"nginx": ("nginx",), "Apache": ("apachectl", "apache2ctl", "httpd")}


def _is_master(owner: Owner, owners: dict[int, Owner]) -> bool:
    """Tell a first process from its workers: by its title, or by a parent that is not of the same program."""
    line = " ".join(owner.command)
    if owner.name == "nginx":
        return "worker process" not in line and "cache manager" not in line
    parent = owners.get(_parent(owner.pid))
    return parent is None or parent.name != owner.name


def _parent(pid: int) -> int:
    try:
        return int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _is_believed(owner: Owner) -> bool:
    return owner.uid in {0, os.geteuid()}


def _ask(name: str, master: Owner | None) -> WebServer:
    return _ask_nginx(master) if name == "nginx" else _ask_apache(master)


def _options(master: Owner | None, known: frozenset[str]) -> list[str]:
    """Give the options that a process was started with, as far as they name files."""
    if master is None or not _is_believed(master):
        return []
    try:
        words = shlex.split(" ".join(master.command))
    except ValueError:
        return []
    pairs = itertools.pairwise(words)
    return [word for option, value in pairs if option in known and value != "FOREGROUND" for word in (option, value)]


def _ask_nginx(master: Owner | None) -> WebServer:
    program = find_program("nginx")
    pid = master.pid if master is not None else 0
    if program is None:
        return WebServer("nginx", pid=pid, problem="the program nginx is not on the search path")
    options = _options(master, _NGINX_OPTIONS)
    check = shlex.join(["nginx", "-t", *options])
    reload = f"kill -HUP {pid}" if options else "systemctl reload nginx"
    server = WebServer("nginx", pid=pid, check=check, reload=reload if pid else "systemctl start nginx")
    output = run_program([program, "-T", *options])
    if output.status != 0:
        return replace(server, problem=_shorten(output))
    files = split_dump(output.text)
    directives = read_nginx(files)
    user = nginx.find_user(directives)
    return replace(
        server,
        sites=nginx.build_sites(directives),
        **_identify(pid, user or "nobody"),
        error_log=nginx.find_error_log(directives) or "/var/log/nginx/error.log",
        stale=_list_stale(pid, files),
    )


def _ask_apache(master: Owner | None) -> WebServer:
    program = find_program(*_PROGRAMS["Apache"])
    pid = master.pid if master is not None else 0
    if program is None:
        return WebServer("Apache", pid=pid, problem="the program apachectl is not on the search path")
    options = _options(master, _APACHE_OPTIONS)
    control = Path(program).name
    server = WebServer(
        "Apache",
        pid=pid,
        check=shlex.join([control, *options, "-t"]),
        reload=f"kill -USR1 {pid}" if options else f"systemctl {'reload' if pid else 'start'} apache2",
    )
    output = run_program([program, *options, "-t", "-D", "DUMP_INCLUDES", "-D", "DUMP_RUN_CFG"])
    if output.status != 0:
        return replace(server, problem=_shorten(output))
    settings = apache.read_settings(output.text)
    files = {path: text for path in apache.list_included(output.text) if (text := _read(path)) is not None}
    directives = read_apache(files, {})
    return replace(
        server,
        sites=apache.build_sites(directives),
        **_identify(pid, settings.get("User", "www-data")),
        error_log=settings.get("Main ErrorLog", ""),
        stale=_list_stale(pid, files),
    )


def _read(path: str) -> str | None:
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            return file.read(_LARGEST_FILE)
    except OSError:
        return None


def _shorten(output: Output) -> str:
    lines = [
        line for line in output.errors.splitlines() if "emerg" in line or "rror" in line
    ] or output.errors.splitlines()
    return (lines[0] if lines else f"it ended with status {output.status}").strip()


def _identify(pid: int, user: str) -> dict[str, Any]:
    """Tell whom workers run as: by a worker if one runs, else by the name."""
    worker = next((each for each in _list_children(pid)), None) if pid else None
    if worker is not None:
        return {"uid": worker.uid, "groups": list_process_groups(worker.pid)}
    try:
        uid = pwd.getpwnam(user).pw_uid
    except KeyError:
        return {}
    return {"uid": uid, "groups": list_groups(uid)}


def _list_children(pid: int) -> Iterator[Owner]:
    for each in list_processes():
        if _parent(each) == pid:
            owner = read_owner(each)
            if owner is not None:
                yield owner


def _list_stale(pid: int, files: Sequence[str] | dict[str, str]) -> tuple[str, ...]:
    """List the files that are newer than the youngest worker, which a reload would have replaced."""
    if not pid:
        return ()
    began = max((_began(each.pid) for each in _list_children(pid)), default=0.0)
    # A clock tick and a second: file times and process times are not counted by the same clock.
    return tuple(path for path in files if began and _changed(path) > began + 1.0)


def _began(pid: int) -> float:
    try:
        ticks = int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[19])
        booted = next(line for line in (PROC / "stat").read_text().splitlines() if line.startswith("btime"))
    except (OSError, ValueError, IndexError, StopIteration):
        return 0.0
    return int(booted.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")


def _changed(path: str) -> float:
    try:
        return Path(path).stat().st_mtime
    except OSError:
        return 0.0
