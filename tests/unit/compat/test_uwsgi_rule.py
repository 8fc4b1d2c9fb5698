"""What uWSGI's options become in Hostler's configuration."""

from __future__ import annotations

import os
import shlex
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from hostler.compat.uwsgi.control import is_ended_by_term, map_signals
from hostler.compat.uwsgi.rule_log import translate_format
from hostler.config import Config
from hostler.errors import ConfigurationError
from hostler.supervisor.model import Command
from tests.unit.compat.uwsgi import APP, gather, open_door, read, warn, write


def pick(config: Config, path: str) -> object:
    section, name = path.split(".")
    return cast("object", getattr(getattr(config, section), name))


@pytest.mark.parametrize(
    "words,path,value",
    [
        ([], "workers.threads", 1),
        ([], "limits.body_size", 0),
        ([], "app.preload", False),
        ([], "log.access", "-"),
        ([], "trust.networks", ("127.0.0.1", "::1", "unix")),
        (["-p", "3"], "workers.count", 3),
        (["-p", "3"], "app.preload", True),
        (["-p", "3", "--lazy-apps"], "app.preload", False),
        (["--threads", "8"], "workers.threads", 8),
        (["--gevent", "1000"], "workers.threads", 64),
        (["--gevent", "1000", "--threads", "5"], "workers.threads", 5),
        (["--max-requests", "100", "--max-requests-delta", "5", "-p", "4"], "workers.max_requests_jitter", 20),
        (["--listen", "1024"], "server.backlog", 1024),
        (["-b", "4096"], "limits.header_size", 16_384),
        (["-b", "32768"], "limits.header_size", 32_768),
        (["-b", "32768"], "limits.request_line", 32_768),
        (["--limit-post", "1000"], "limits.body_size", 1000),
        (["--worker-reload-mercy", "9"], "server.graceful_timeout", 9.0),
        (["--touch-reload", "/a", "--touch-chain-reload", "b"], "reload.touch", ("/a", "HERE/b")),
        (["--touch-chain-reload", "b"], "reload.strategy", "one-by-one"),
        (["--harakiri", "30"], "deadlines.default", 30.0),
        (["--harakiri-graceful-timeout", "3"], "deadlines.grace", 3.0),
        (["-p", "8", "--cheaper", "2"], "workers.count", 2),
        (["-p", "8", "--cheaper", "2", "--cheaper-initial", "4"], "workers.count", 4),
        (["-p", "8", "--cheaper", "2"], "scaling.min", 2),
        (["-p", "8", "--cheaper", "2"], "scaling.max", 8),
        (["-p", "8", "--cheap", "--idle", "60"], "scaling.min", 0),
        (["-p", "8", "--cheap", "--idle", "60"], "scaling.idle", 60.0),
        (["-p", "8", "--cheaper-rss-limit-soft", "1000"], "scaling.memory", 1000),
        (["--max-worker-lifetime", "3600"], "workers.max_age", 3600.0),
        (["--reload-on-rss", "256"], "workers.max_memory", 256 * 1024 * 1024),
        (["--exec-as-root", "a 'b' > c"], "hooks.prepare", ("exec:+/bin/sh -c 'a '\"'\"'b'\"'\"' > c'",)),
        (["--exec-pre-app", "a", "--hook-as-user", "exec:b"], "hooks.prepare",
         ("exec:/bin/sh -c a", "exec:/bin/sh -c b")),
        (["--exec-post-app", "a", "--hook-accepting1-once", "!exec: b"], "hooks.serving",
         ("exec:/bin/sh -c a", "exec:/bin/sh -c b")),
        (["--hook-post-fork", "exec:a"], "hooks.worker_forked", ("exec:/bin/sh -c a",)),
        (["--hook-master-start", "unix_signal:15 gracefully_kill_them_all"], "hooks.prepare", ()),
        (["--http-keepalive"], "http.keep_alive_timeout", 75.0),
        (["--http-keepalive=9"], "http.keep_alive_timeout", 9.0),
        (["--socket-timeout", "7"], "http.body_timeout", 7.0),
        (["--umask", "022"], "server.umask", 0o022),
        (["--stats", ":1717", "--stats-server", "s.sock"], "metrics.uwsgi_stats", (":1717", "unix:HERE/s.sock")),
        (["--stats-push", "statsd:127.0.0.1:8125,shop."], "metrics.statsd", "127.0.0.1:8125"),
        (["--stats-push", "statsd:127.0.0.1:8125,shop."], "metrics.statsd_prefix", "shop"),
        (["--env", "A=1=2", "--env", "B="], "app.env", {"A": "1=2", "B": ""}),
        (["--unenv", "A"], "app.env", {"A": ""}),
        (["--pp", "lib", "--pp", "/srv/x"], "app.python_path", ("HERE/lib", "/srv/x")),
        (["--pidfile", "/run/x.pid"], "server.pid_file", Path("/run/x.pid")),
        (["--disable-logging"], "log.access", ""),
        (["--disable-logging", "--log-5xx"], "log.access", "-"),
        (["--disable-logging", "--log-4xx", "--log-5xx"], "log.access_statuses", ("4xx", "5xx")),
        (["--disable-logging", "--log-slow", "250"], "log.access_slow", 0.25),
        (["--log-5xx"], "log.access_statuses", ()),
        (["--log-maxsize", "100000"], "log.rotate_size", 100_000),
        (["--logto", "/x.log"], "log.file", "/x.log"),
        (["--logto", "/x.log"], "log.access", "/x.log"),
        (["--logto", "/x.log", "--disable-logging"], "log.access", ""),
        (["--req-logger", "file:/a.log", "--logger", "file:logfile=/b.log,maxsize=9"], "log.access", "/a.log"),
        (["--req-logger", "file:/a.log", "--logger", "file:logfile=/b.log,maxsize=9"], "log.file", "/b.log"),
        (["--logger", "syslog:shop,local3"], "log.access", "syslog:unix:/dev/log?facility=local3&tag=shop"),
        (["--req-logger", "rsyslog:10.0.0.1,shop"], "log.access", "syslog:udp://10.0.0.1:514?tag=shop"),
        (["--log-format", "%(addr) %%"], "log.access_format", "%(h)s %%%%"),
        (["--procname-prefix", "x-"], "server.name", "x-shop.wsgi"),
        (["--limit-as", "2", "--limit-nproc", "9"], "process.limits", {"as": "2097152", "nproc": "9"}),
        (["--cap", "setuid, net_bind_service"], "process.capabilities", ("setuid", "net_bind_service")),
        (["--cpu-affinity", "1"], "process.cpus", "each"),
        (["--websockets-max-size", "2048"], "websocket.max_message", 2_097_152),
        (["--vacuum", "--master", "--die-on-term", "--strict"], "workers.count", 1),
    ],
)  # fmt: skip
def test_option_becomes(tmp_path: Path, words: list[str], path: str, value: object) -> None:
    found = pick(read(tmp_path, *words), path)
    if isinstance(value, tuple):
        value = tuple(each.replace("HERE", str(tmp_path)) for each in value)
    assert found == value


@pytest.mark.parametrize(
    "words,binds",
    [
        (["--socket", ":3031"], [":3031?protocol=uwsgi"]),
        (["--socket", "127.0.0.1:3031", "--protocol", "http"], ["127.0.0.1:3031"]),
        (["--http", ":80", "--http11-socket", "[::1]:81"], ["[::1]:81", ":80"]),
        (["--fastcgi-socket", ":1", "--scgi-socket", ":2"], [":1?protocol=fastcgi", ":2?protocol=scgi"]),
        (["--socket", "a.sock", "-C660"], ["unix:HERE/a.sock?mode=660&protocol=uwsgi"]),
        (["--socket", "/a.sock", "--chown-socket", "a:b"], ["unix:/a.sock?user=a&group=b&protocol=uwsgi"]),
        (["--socket", "/x.sock", "--chmod-socket"], ["unix:/x.sock?mode=666&protocol=uwsgi"]),
        (["--socket", "@shop"], ["unix:@shop?protocol=uwsgi"]),
        (["--http-socket", "shop", "-a"], ["unix:@shop"]),
        (["--http-socket", "fd://3"], ["fd://3"]),
        (["--http-socket", ":80", "--enable-proxy-protocol"], [":80?proxy_protocol=on"]),
        (["--shared-socket", ":80", "--shared-socket", ":81", "--http", "=1"], [":81"]),
    ],
)  # fmt: skip
def test_sockets_become_addresses(tmp_path: Path, words: list[str], binds: list[str]) -> None:
    config = open_door(tmp_path, "--module", "shop", *words).read()
    assert sorted(config.server.bind) == sorted(each.replace("HERE", str(tmp_path)) for each in binds)


@pytest.mark.parametrize(
    "words,is_open",
    [
        (["--socket", ":3031"], True),
        (["--socket", "10.0.0.1:3031"], True),
        (["--shared-socket", ":3031", "--socket", "=0"], True),
        (["--socket", "127.0.0.1:3031"], False),
        (["--socket", "/x.sock"], False),
        (["--http-socket", ":80"], False),
        (["--socket", ":80", "--protocol", "http"], False),
    ],
)
def test_neighbours_are_believed_where_a_web_server_may_be_elsewhere(
    tmp_path: Path, words: list[str], is_open: bool
) -> None:
    config = open_door(tmp_path, "--module", "shop", *words).read()
    assert ("172.16.0.0/12" in config.trust.networks) is is_open
    assert "*" not in config.trust.networks


@pytest.mark.parametrize(
    "words,target,mounts",
    [
        (["--module", "a.b"], "a.b:application", {}),
        (["--module", "a.b", "--callable", "app"], "a.b:app", {}),
        (["--module", "a.b:make()"], "a.b:make()", {}),
        (["--wsgi-file", "x.py"], "./x.py:application", {}),
        (["--wsgi-file", "/srv/x.wsgi", "--callable", "app"], "/srv/x.wsgi:app", {}),
        (["--mount", "/=a:b", "--mount", "/c/=d.py"], "a:b", {"/c": "./d.py:application"}),
        (["--mount", "/c=d:e", "--manage-script-name"], "d:e", {"/c": "d:e"}),
        (["--module", "m", "--mount", "/c=d"], "m:application", {"/c": "d:application"}),
    ],
)
def test_application_is_named(tmp_path: Path, words: list[str], target: str, mounts: dict[str, str]) -> None:
    config = open_door(tmp_path, "--http-socket", ":8000", *words).read()
    assert (config.app.target, dict(config.app.mounts)) == (target, mounts)


@pytest.mark.parametrize(
    "words,message",
    [
        (["--route", "^/ basicauth:x"], r"^--route: route cannot be: internal routing comes later, and may guard"),
        (["--emperor", "/etc/vassals"], r"^--emperor: emperor cannot be: many servers"),
        (["--protocol", "raw", "--socket", ":1"], r'^--socket: socket is ":1"; it must be for protocol'),
        (["--env", "A"], r'^--env: env is "A"; it must be NAME=value, other than A$'),
        (["--socket", "=2"], r'^--socket: socket is "=2"; it must be the number of a shared-socket'),
        (["--home", "/nowhere"], r'^--home: home is "/nowhere"; it must be a virtual environment of Python'),
        (["--chdir", "/nowhere"], r"^--chdir: chdir is /nowhere; there is no such directory$"),
        (["-p", "2", "--cheaper", "2"], r'^--cheaper: cheaper is "2"; it must be fewer than processes, which is 2$'),
        (["--umask", "9"], r'^--umask: umask is "9"; it must be octal digits such as 022$'),
    ],
)  # fmt: skip
def test_what_cannot_be_ends_the_start(tmp_path: Path, words: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read(tmp_path, *words)


def test_application_and_socket_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^no application was named; "):
        open_door(tmp_path, "--http-socket", ":80").read()
    with pytest.raises(ConfigurationError, match=r"^no socket was named; "):
        open_door(tmp_path, "--module", "shop").read()


def test_https_becomes_tls(tmp_path: Path) -> None:
    (tmp_path / "sni").mkdir()
    (tmp_path / "sni/y.org.crt").touch()
    config = read(
        tmp_path,
        "--https", ":443,/a.crt,a.key,HIGH,!/ca.pem", "--https2", "addr=:444,cert=/a.crt,key=a.key",
        "--https-socket", ":445,/b.crt,/b.key", "--sni", "x.org /c.crt,a.key", "--sni-dir", "sni",
    )  # fmt: skip
    here = str(tmp_path)
    assert config.server.bind[-3:] == (
        "https://:443?client_auth=required&client_ca=/ca.pem",
        "https://:444",
        "https://:445?certificate=/b.crt&key=/b.key",
    )
    assert config.tls.certificate == ("/a.crt", "/c.crt", f"{here}/sni/y.org.crt")
    assert config.tls.key == (f"{here}/a.key", f"{here}/a.key", f"{here}/sni/y.org.key")


def test_warnings_name_the_option_and_its_place(tmp_path: Path) -> None:
    write(tmp_path, "[uwsgi]\nstatic-map = /static=/srv\nspooler = /tmp\nvacuum = true\ncron2 = x\n")
    assert list(warn(tmp_path, "app.ini")) == [
        "static-map: static files come later; let nginx serve them, or WhiteNoise (app.ini:2)",
        "spooler: the spooler comes later; use a task queue (app.ini:3)",
        "cron2: cron comes later; use the system's, or a systemd timer (app.ini:5)",
    ]


def test_hooks_that_are_not_done_are_told(tmp_path: Path) -> None:
    words = ("--hook-as-root", "mount:none /x tmpfs", "--hook-as-root", "exec:true", "--hook-as-root", "chmod:/x")
    assert list(warn(tmp_path, *words)) == [
        "hook-as-root: mount:none /x tmpfs is not done; write it as a command, after exec: (--hook-as-root)",
        "hook-as-root: chmod:/x is not done; write it as a command, after exec: (--hook-as-root)",
    ]


def test_actions_on_files_are_done_by_the_shell(tmp_path: Path) -> None:
    actions = [
        "mkdir:a$HOME",
        "mkdir:b/c 700",
        "write:b/file one's 100% \\n",
        "append:b/file , two",
        "writen:b/line a",
        "appendn:b/line b",
        "create:b/empty",
        "create:b/gone",
        "unlink:b/gone",
        "chmod:b/empty 640",
        f"chown:b/empty {os.getuid()} {os.getgid()}",
        "sticky:b",
        "print:it's loaded",
    ]
    words = [word for action in actions for word in ("--hook-pre-app", action)]
    printed = ""
    for done in read(tmp_path, *words).hooks.prepare:
        command = shlex.split(done.removeprefix("exec:"))
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        printed += result.stderr
    assert (tmp_path / "a$HOME").is_dir()
    assert (tmp_path / "b/c").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "b/file").read_text() == "one's 100% \\n, two"
    assert (tmp_path / "b/line").read_text() == "a\nb\n"
    assert sorted(each.name for each in (tmp_path / "b").iterdir()) == ["c", "empty", "file", "line"]
    assert (tmp_path / "b/empty").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "b").stat().st_mode & stat.S_ISVTX
    assert printed == "it's loaded\n"


def test_switch_that_is_off_is_as_if_it_was_not_given(tmp_path: Path) -> None:
    write(tmp_path, "[uwsgi]\nlazy-apps = false\nprocesses = 2\ndisable-logging = 0\nlog-5xx = no\n")
    config = read(tmp_path, "app.ini")
    assert (config.app.preload, config.log.access) == (True, "-")
    assert list(warn(tmp_path, "app.ini")) == []


def test_own_variables_win(tmp_path: Path) -> None:
    assert read(tmp_path, "-p", "3", environ={"HOSTLER_WORKERS_COUNT": "7"}).workers.count == 7


def test_environment_of_this_python_is_found(tmp_path: Path) -> None:
    packages = tmp_path / f"venv/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    packages.mkdir(parents=True)
    assert read(tmp_path, "--home", "venv").app.python_path == (str(packages),)


def test_log_format_is_translated() -> None:
    text, unknown = translate_format('%(addr) [%(ltime)] "%(method) %(uri) %(proto)" 100% %(var.HTTP_X_A) %(core)')
    assert text == '%(h)s [%({clf}x)s] "%(m)s %({target}x)s %(H)s" 100%% %({x-a}i)s -'
    assert unknown == ["%(core)"]


# Signals


@pytest.mark.parametrize(
    "words,is_ended",
    [
        (["--master"], False),
        (["--touch-reload", "x"], False),
        (["--master", "--die-on-term"], True),
        (["--master", "--hook-master-start", "unix_signal:15  gracefully_kill_them_all"], True),
        ([], True),
    ],
)
def test_term_reloads_or_ends(tmp_path: Path, words: list[str], is_ended: bool) -> None:
    facts = gather(tmp_path, *APP, *words)
    assert is_ended_by_term(facts) is is_ended
    assert map_signals(facts)[signal.SIGTERM] is (Command.DRAIN if is_ended else Command.RELOAD)


def test_quit_is_swapped_with_term(tmp_path: Path) -> None:
    assert map_signals(gather(tmp_path, "--master"))[signal.SIGQUIT] is Command.STOP
    assert map_signals(gather(tmp_path, "--master", "--die-on-term"))[signal.SIGQUIT] is Command.RELOAD
    assert map_signals(gather(tmp_path))[signal.SIGQUIT] is Command.STOP


def test_reload_may_mean_the_end(tmp_path: Path) -> None:
    meanings = map_signals(gather(tmp_path, "--master", "--exit-on-reload"))
    assert {meanings[signal.SIGHUP], meanings[signal.SIGTERM]} == {Command.DRAIN}
