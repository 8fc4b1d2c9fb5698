"""Sources, their order, where values come from, and what mistakes are told."""

# ruff: noqa: E501 - messages stand whole, to be found by searching

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from hostler.config import Config, Flag, Sources, Surroundings, load_config
from hostler.config.schema import SECTIONS
from hostler.errors import ConfigurationError

Write = Callable[[str], None]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(text: str) -> None:
        (tmp_path / "hostler.toml").write_text(text, encoding="utf-8")

    return write_file


def load(
    directory: Path,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Flag] | None = None,
    environment: str | None = None,
) -> tuple[Config, Mapping[str, str]]:
    sources = Sources(directory, environ=environ or {}, flags=flags or {}, environment=environment)
    loaded = load_config(sources)
    return loaded.config, {path: str(origin) for path, origin in loaded.origins.items()}


def explain(directory: Path, **more: object) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_config(Sources(directory, **more))  # type: ignore[arg-type]
    return str(caught.value).splitlines()


def test_defaults_stand_when_nothing_is_given(tmp_path: Path) -> None:
    config, origins = load(tmp_path)
    assert (config.workers.count, config.server.bind, config.limits.body_size) == (1, ("127.0.0.1:8000",), 104_857_600)
    assert set(origins.values()) == {"(default)"}


def test_file_is_read_and_lines_are_told(tmp_path: Path, write: Write) -> None:
    write('[workers]\ncount = "auto"\n\n[http]\nhead_timeout = "500ms"\n[limits]\nbody_size = "1GiB"\n')
    config, origins = load(tmp_path)
    assert (config.workers.count, config.http.head_timeout, config.limits.body_size) == ("auto", 0.5, 2**30)
    assert origins["workers.count"] == "(hostler.toml:2)"
    assert origins["limits.body_size"] == "(hostler.toml:7)"


def test_each_source_wins_over_the_weaker_ones(tmp_path: Path, write: Write) -> None:
    write("[workers]\ncount = 2\n[env.production.workers]\ncount = 3\n")
    weak = {"WEB_CONCURRENCY": "9"}
    strong = {**weak, "HOSTLER_WORKERS_COUNT": "4"}
    flags = {"workers.count": Flag("-w", ("5",))}

    def count(*arguments: object) -> tuple[object, str]:
        config, origins = load(tmp_path, *arguments)  # type: ignore[arg-type]
        return config.workers.count, origins["workers.count"]

    assert count(weak) == (2, "(hostler.toml:2)")
    assert count(weak, {}, "production") == (3, "(hostler.toml:4)")
    assert count(strong, {}, "production") == (4, "(environment HOSTLER_WORKERS_COUNT)")
    assert count(strong, flags, "production") == (5, "(flag -w)")
    (tmp_path / "hostler.toml").unlink()
    assert count(weak) == (9, "(environment WEB_CONCURRENCY)")


def test_port_variable_listens_for_everybody(tmp_path: Path) -> None:
    config, origins = load(tmp_path, {"PORT": "5000"})
    assert config.server.bind == ("0.0.0.0:5000",)
    assert origins["server.bind"] == "(environment PORT)"


def test_empty_port_variable_is_as_good_as_none(tmp_path: Path) -> None:
    assert load(tmp_path, {"PORT": ""})[0].server.bind == ("127.0.0.1:8000",)


def test_overlay_can_be_chosen_by_variable(tmp_path: Path, write: Write) -> None:
    write('[env.staging]\nlog = { level = "debug" }\n')
    assert load(tmp_path, {"HOSTLER_ENV": "staging"})[0].log.level == "debug"


def test_repeated_flag_makes_a_list_in_place_of_the_weaker_one(tmp_path: Path, write: Write) -> None:
    write('[server]\nbind = "127.0.0.1:1"\n')
    flags = {"server.bind": Flag("-b", ("127.0.0.1:2", "127.0.0.1:3"))}
    assert load(tmp_path, {}, flags)[0].server.bind == ("127.0.0.1:2", "127.0.0.1:3")


def test_relative_paths_are_made_absolute(tmp_path: Path, write: Write) -> None:
    write('[app]\nchdir = "site"\npython_path = ["lib", "/opt"]\n[server]\npid_file = "x.pid"\n[log]\nfile = "a.log"\n')
    config, _ = load(tmp_path)
    assert config.app.chdir == str(tmp_path / "site")
    assert config.app.python_path == (str(tmp_path / "site" / "lib"), "/opt")
    assert config.server.pid_file == tmp_path / "x.pid"
    assert config.log.file == str(tmp_path / "a.log")
    assert config.log.access == ""


def test_default_directory_is_that_of_the_start(tmp_path: Path) -> None:
    assert load(tmp_path)[0].app.chdir == str(tmp_path)


def test_named_file_is_read_in_place_of_the_usual_one(tmp_path: Path, write: Write) -> None:
    write("[workers]\ncount = 2\n")
    (tmp_path / "other.toml").write_text("[workers]\ncount = 3\n", encoding="utf-8")
    assert load_config(Sources(tmp_path, file="other.toml")).config.workers.count == 3
    assert load_config(Sources(tmp_path, environ={"HOSTLER_CONFIG": "other.toml"})).config.workers.count == 3


@pytest.mark.parametrize(
    "text, expected",
    [
        ("[workers]\ncuont = 4\n", "hostler.toml:2: unknown option workers.cuont; did you mean workers.count?"),
        ("[workers]\n\nbind = 4\n", "hostler.toml:3: unknown option workers.bind; did you mean server.bind?"),
        ("[workers]\nmax-requests = 4\n", "hostler.toml:2: unknown option workers.max-requests; did you mean workers.max_requests?"),
        ("[wrokers]\ncount = 4\n", "hostler.toml:1: unknown section [wrokers]; did you mean [workers]?"),
        ("[zzz]\n", f"hostler.toml:1: unknown section [zzz]; the sections are {', '.join(SECTIONS)} and env.NAME"),
        ("\nbind = 'x'\n", "hostler.toml:2: unknown option bind outside any section; did you mean server.bind?"),
        ("access-log = '-'", "hostler.toml:1: unknown option access-log outside any section; did you mean log.access?"),
        ("'workers.count' = 3", "hostler.toml:1: unknown option workers.count: its name must not be quoted"),
        ("workers = 4\n", "hostler.toml:1: workers must be a section: write [workers] above its options"),
        ("[workers]\nthreads = 'many'\n", 'hostler.toml:2: workers.threads is "many"; it must be a whole number from 1 to 1024'),
        ("[workers]\ncount = 0\n", 'hostler.toml:2: workers.count is 0; it must be "auto" or a whole number from 1 to 1024'),
        ("[log]\nlevel = 'loud'\n", 'hostler.toml:2: log.level is "loud"; it must be "debug", "info", "warning", "error" or "critical"'),
        ("[http]\nhead_timeout = 'soon'\n", 'hostler.toml:2: http.head_timeout is "soon"; it must be a duration of at least 1ms, such as "30s", "500ms", "2m" or a number of seconds'),
        ("[env.live.workers]\ncuont = 1\n", "hostler.toml:2: unknown option workers.cuont; did you mean workers.count?"),
        ("[env]\nlive = 1\n", "hostler.toml:2: env.live must be a table with sections, such as [env.live.workers]"),
        ("env = 1\n", "hostler.toml:1: env must hold overlays, such as [env.production]"),
        ("a = 1\nb = \n", "hostler.toml:2: not valid TOML: Invalid value"),
    ],
)  # fmt: skip
def test_mistake_in_the_file_names_line_value_and_remedy(
    tmp_path: Path, write: Write, text: str, expected: str
) -> None:
    write(text)
    assert explain(tmp_path) == [expected]


@pytest.mark.parametrize(
    "environ, expected",
    [
        ({"HOSTLER_WORKERS_CUONT": "1"}, "HOSTLER_WORKERS_CUONT: unknown option; did you mean HOSTLER_WORKERS_COUNT?"),
        ({"HOSTLER_WORKER_COUNT": "1"}, "HOSTLER_WORKER_COUNT: unknown option; did you mean HOSTLER_WORKERS_COUNT?"),
        (
            {"HOSTLER_WORKERS_COUNT": "x"},
            'HOSTLER_WORKERS_COUNT: workers.count is "x"; it must be "auto" or a whole number from 1 to 1024',
        ),
        ({"PORT": "web"}, 'PORT is "web"; it must be a port number from 0 to 65535'),
        ({"PORT": "65536"}, 'PORT is "65536"; it must be a port number from 0 to 65535'),
        (
            {"HOSTLER_ENV": "live"},
            'HOSTLER_ENV is "live", but there is no hostler.toml here to hold [env.live]; name one with --config',
        ),
    ],
)
def test_mistake_in_the_environment_is_told(tmp_path: Path, environ: Mapping[str, str], expected: str) -> None:
    assert explain(tmp_path, environ=environ) == [expected]


@pytest.mark.parametrize(
    "variable",
    [
        "HOSTLER_PORT",
        "HOSTLER_SERVICE_HOST",
        "HOSTLER_APP_SERVICE_PORT_HTTP",
        "HOSTLER_APP_PORT_8000_TCP_ADDR",
        "HOSTLER_SOMETHING_ELSE",
    ],
)
def test_variable_of_another_purpose_is_no_mistake(tmp_path: Path, variable: str) -> None:
    assert load(tmp_path, {variable: "tcp://10.0.0.1:80"})[0] == load(tmp_path)[0]


def test_mistake_in_a_flag_names_the_flag_as_it_was_written(tmp_path: Path) -> None:
    flags = {"workers.count": Flag("-w", ("many",))}
    assert explain(tmp_path, flags=flags) == ['-w is "many"; it must be "auto" or a whole number from 1 to 1024']


def test_all_mistakes_are_told_at_once(tmp_path: Path, write: Write) -> None:
    write("[workers]\ncount = 0\nthreads = 0\n")
    problems = explain(tmp_path, environ={"PORT": "x"}, flags={"log.level": Flag("--log-level", ("x",))})
    assert len(problems) == 4


def test_mistake_in_the_chosen_overlay_is_told_once(tmp_path: Path, write: Write) -> None:
    write("[env.live.workers]\ncount = 0\n")
    assert len(explain(tmp_path, environment="live")) == 1


def test_unknown_overlay_gets_the_nearest_one(tmp_path: Path, write: Write) -> None:
    write("[env.production]\n")
    assert explain(tmp_path, environment="prodution") == [
        '--env is "prodution", but hostler.toml has no [env.prodution]; did you mean production?'
    ]


def test_missing_and_unreadable_files_are_told(tmp_path: Path, write: Write) -> None:
    assert explain(tmp_path, file="none.toml") == ["none.toml: cannot be read: No such file or directory"]
    assert explain(tmp_path, file="/") == ["/: cannot be read: Is a directory"]
    (tmp_path / "hostler.toml").write_bytes(b"a = '\xff'")
    assert explain(tmp_path) == ["hostler.toml: is not UTF-8 text (byte 5)"]


@pytest.mark.parametrize(
    "text, expected",
    [
        (
            "[limits]\nheader_size = '1MiB'\n",
            "hostler.toml:2: limits.header_size is 1MiB, more than limits.head_size, which is 64KiB; lower it or raise that",
        ),
        (
            "[workers]\nmax_requests_jitter = 5\n",
            "hostler.toml:2: workers.max_requests_jitter is 5, but workers.max_requests is 0; set both",
        ),
        (
            "[scaling]\nmin = 3\nmax = 2\n",
            "hostler.toml:2: scaling.min is 3, more than scaling.max, which is 2",
        ),
        (
            "[server]\nreuse_port = true\n[scaling]\nmax = 2\n",
            "hostler.toml:4: scaling.max cannot be with server.reuse_port: connections that wait for a worker which goes would be lost; leave one of them out",
        ),
        (
            "[reload]\nwarm_up = ['health']\n",
            'hostler.toml:2: reload.warm_up has "health"; it must be a path such as "/health", percent-encoded',
        ),
        (
            "[app]\nscript_name = 'shop/'\n",
            'hostler.toml:2: app.script_name is "shop/"; it must be empty, or begin with "/" and not end with it',
        ),
        ('[app.mounts]\n"/" = "x"\n', 'hostler.toml:1: app.mounts has "/", which is the root; that is app.target'),
        (
            '[app.mounts]\n"admin" = "x"\n',
            'hostler.toml:1: app.mounts has "admin", which must begin with "/" and not end with it',
        ),
        (
            '[app.mounts]\n"/admin/" = "x"\n',
            'hostler.toml:1: app.mounts has "/admin/", which must begin with "/" and not end with it',
        ),
        (
            '[app.mounts]\n"/a?b" = "x"\n',
            'hostler.toml:1: app.mounts has "/a?b", which has "?", which no path has',
        ),
        (
            '[app.mounts]\n"/a//b" = "x"\n',
            (
                'hostler.toml:1: app.mounts has "/a//b", which has a segment that is empty or a dot; '
                "paths of requests have none"
            ),
        ),
        (
            '[app.mounts]\n"/../b" = "x"\n',
            (
                'hostler.toml:1: app.mounts has "/../b", which has a segment that is empty or a dot; '
                "paths of requests have none"
            ),
        ),
        (
            "[workers]\nloop = 'uvlop'\n",
            (
                'hostler.toml:2: workers.loop is "uvlop"; it must be "auto", "asyncio", "uvloop" '
                'or the name of a factory as "module:attr"'
            ),
        ),
        ("[server]\nheader = 'ü'\n", 'hostler.toml:2: server.header is "ü"; it must be visible ASCII'),
        (
            "[metrics]\nbind = ['uwsgi://127.0.0.1:9100']\n",
            'hostler.toml:2: metrics.bind has "uwsgi://127.0.0.1:9100"; it must be "HOST:PORT" or "unix:/path"',
        ),
        (
            "[metrics]\nuwsgi_stats = ['fd://3']\n",
            'hostler.toml:2: metrics.uwsgi_stats has "fd://3"; it must be "HOST:PORT" or "unix:/path"',
        ),
        (
            "[metrics]\nbind = ['127.0.0.1:1']\nuwsgi_stats = ['127.0.0.1:1']\n",
            'hostler.toml:3: metrics.uwsgi_stats has "127.0.0.1:1", which metrics.bind has too; name another',
        ),
        (
            "[metrics]\nstatsd = ':8125'\n",
            'hostler.toml:2: metrics.statsd cannot be: ":8125" names no receiver; write HOST:PORT',
        ),
        (
            "[metrics]\nstatsd_tags = { env = 'x' }\n",
            (
                'hostler.toml:2: metrics.statsd_tags needs metrics.statsd_format = "dogstatsd": '
                "statsd itself has no tags"
            ),
        ),
        (
            "[otel]\nendpoint = 'localhost:4318'\n",
            'hostler.toml:2: otel.endpoint is "localhost:4318"; it must be a URL such as "http://127.0.0.1:4318"',
        ),
        ("[otel]\ntraces = true\n", "hostler.toml:2: otel.traces needs otel.endpoint: where the collector is"),
        (
            "[metrics]\nstatsd_prefix = 'a:b'\n",
            'hostler.toml:2: metrics.statsd_prefix is "a:b"; it must be of letters, digits, _, - and dots',
        ),
    ],
)
def test_values_that_do_not_go_together_are_told(tmp_path: Path, write: Write, text: str, expected: str) -> None:
    write(text)
    assert explain(tmp_path) == [expected]


def test_mounts_and_loop_are_read_in_each_spelling(tmp_path: Path, write: Write) -> None:
    write('[app.mounts]\n"/admin" = "legacy.wsgi:application"\n"/a/b" = "x:make(debug=True)"\n')
    config = load_config(Sources(tmp_path)).config
    assert dict(config.app.mounts) == {"/admin": "legacy.wsgi:application", "/a/b": "x:make(debug=True)"}
    variables = {"HOSTLER_APP_MOUNTS": "/one=x:y, /two=z", "HOSTLER_WORKERS_LOOP": "own.loops:new"}
    config = load_config(Sources(tmp_path, environ=variables)).config
    assert dict(config.app.mounts) == {"/one": "x:y", "/two": "z"}
    assert config.workers.loop == "own.loops:new"


def test_address_that_cannot_be_is_told_with_its_place(tmp_path: Path, write: Write) -> None:
    write('[server]\nbind = ["127.0.0.1:8000",\n "nowhere"]\n')
    (problem,) = explain(tmp_path)
    assert problem.startswith("hostler.toml:2: server.bind cannot be: 'nowhere' is not an address")


def test_changing_user_needs_root(tmp_path: Path, write: Write) -> None:
    write("[server]\nuser = 'www'\ngroup = 'me'\n")
    surroundings = Surroundings(is_root=False, identities=frozenset({"me"}))
    assert explain(tmp_path, surroundings=surroundings) == [
        'hostler.toml:2: server.user is "www", but only root can change it; start hostler as root, or leave it out'
    ]
    assert load_config(Sources(tmp_path)).config.server.user == "www"


def refuse(text: str) -> None:
    raise ValueError(f"{text} is wrong")


def test_checks_of_the_engine_are_asked_and_their_answers_placed(tmp_path: Path, write: Write) -> None:
    write('[log]\naccess_format = "x"\n[trust]\nnetworks = ["y"]\n')
    surroundings = Surroundings(check_access_log_format=refuse, check_trusted_network=refuse)
    assert explain(tmp_path, surroundings=surroundings) == [
        'hostler.toml:4: trust.networks is "y": y is wrong',
        'hostler.toml:2: log.access_format is "x": x is wrong',
    ]
