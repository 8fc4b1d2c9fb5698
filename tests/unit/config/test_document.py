"""The four syntaxes of configuration files: one schema, and mistakes told with their place."""

# ruff: noqa: E501 - messages stand whole, to be found by searching

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostler.config import Config, Sources, load_config
from hostler.config.document import FILE_NAMES, SYNTAXES
from hostler.config.ini_text import parse_ini
from hostler.config.json_text import parse_json
from hostler.config.syntax import MalformedError
from hostler.config.yaml_text import parse_yaml
from hostler.errors import ConfigurationError

SAME = {
    "hostler.toml": """\
[app]
target = "shop:app"
lifespan = "on"
[app.env]
DEBUG = "on"
[server]
bind = ["127.0.0.1:1", "unix:/run/x"]
umask = "027"
[workers]
count = 2
[http]
head_timeout = "500ms"
cancel_on_disconnect = true
[limits]
body_size = "1MiB"
[env.production.workers]
count = "auto"
""",
    "hostler.yaml": """\
app:
  target: shop:app
  lifespan: on
  env: {DEBUG: on}
server:
  bind:
    - 127.0.0.1:1
    - unix:/run/x
  umask: 027
workers:
  count: 2
http:
  head_timeout: 500ms
  cancel_on_disconnect: true
limits:
  body_size: 1MiB
env:
  production:
    workers:
      count: auto
""",
    "hostler.json": json.dumps(
        {
            "$schema": "./hostler.schema.json",
            "app": {"target": "shop:app", "lifespan": "on", "env": {"DEBUG": "on"}},
            "server": {"bind": ["127.0.0.1:1", "unix:/run/x"], "umask": "027"},
            "workers": {"count": 2},
            "http": {"head_timeout": "500ms", "cancel_on_disconnect": True},
            "limits": {"body_size": "1MiB"},
            "env": {"production": {"workers": {"count": "auto"}}},
        },
        indent=1,
    ),
    "hostler.ini": """\
; a comment
[app]
target = shop:app
lifespan = on
[app.env]
DEBUG = on
[server]
bind = 127.0.0.1:1, unix:/run/x
umask = 027
[workers]
count = 2
[http]
head_timeout = 500ms
cancel_on_disconnect = yes
[limits]
body_size = 1MiB
[env.production.workers]
count = auto
""",
}
SAME["hostler.yml"] = SAME["hostler.yaml"]
NAMES = pytest.mark.parametrize("name", FILE_NAMES)


def load(directory: Path, environment: str | None = None) -> Config:
    return load_config(Sources(directory, environment=environment)).config


def explain(directory: Path, name: str, text: str) -> list[str]:
    (directory / name).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_config(Sources(directory))
    return str(caught.value).splitlines()


@NAMES
def test_every_syntax_gives_the_same_configuration(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(SAME[name], encoding="utf-8")
    config = load(tmp_path)
    assert (config.app.target, config.app.lifespan, dict(config.app.env)) == ("shop:app", "on", {"DEBUG": "on"})
    assert (config.server.bind, config.server.umask) == (("127.0.0.1:1", "unix:/run/x"), 0o27)
    assert (config.workers.count, config.http.head_timeout, config.http.cancel_on_disconnect) == (2, 0.5, True)
    assert config.limits.body_size == 2**20
    assert load(tmp_path, "production").workers.count == "auto"


@NAMES
def test_line_of_each_value_is_known(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(SAME[name], encoding="utf-8")
    origins = load_config(Sources(tmp_path, environment="production")).origins
    lines = SAME[name].splitlines()
    for path, word in (("app.target", "target"), ("limits.body_size", "body_size"), ("workers.count", "count")):
        where, _, line = origins[path].where.rpartition(":")
        assert where == name
        assert word in lines[int(line) - 1]
    assert "auto" in lines[int(origins["workers.count"].where.rpartition(":")[2]) - 1]


@pytest.mark.parametrize("second", FILE_NAMES[1:])
def test_two_files_side_by_side_are_a_mistake(tmp_path: Path, second: str) -> None:
    (tmp_path / "hostler.toml").write_text("", encoding="utf-8")
    assert explain(tmp_path, second, "") == [
        f"hostler.toml and {second} are here together; keep one of them, or name one with --config"
    ]
    assert load_config(Sources(tmp_path, file="hostler.toml")).file == tmp_path / "hostler.toml"


def test_file_of_another_suffix_is_toml(tmp_path: Path) -> None:
    (tmp_path / "site.conf").write_text("[workers]\ncount = 3\n", encoding="utf-8")
    assert load_config(Sources(tmp_path, file="site.conf")).config.workers.count == 3
    (tmp_path / "SITE.JSON").write_text('{"workers": {"count": 4}}', encoding="utf-8")
    assert load_config(Sources(tmp_path, file="SITE.JSON")).config.workers.count == 4


@NAMES
def test_empty_file_says_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}" if name.endswith("json") else "\n", encoding="utf-8")
    assert load(tmp_path).workers.count == 1


MISTAKES = [
    ("hostler.yaml", "workers:\n  cuont: 4\n", "hostler.yaml:2: unknown option workers.cuont; did you mean workers.count?"),
    ("hostler.yaml", "wrokers:\n  count: 4\n", "hostler.yaml:1: unknown section [wrokers]; did you mean [workers]?"),
    ("hostler.yaml", "\nworkers: 4\n", "hostler.yaml:2: workers must be a section: its options stand inside it"),
    ("hostler.yaml", "log:\n  level: loud\n", 'hostler.yaml:2: log.level is "loud"; it must be "debug", "info", "warning", "error" or "critical"'),
    ("hostler.yaml", "http:\n  cancel_on_disconnect: yes\n", 'hostler.yaml:2: http.cancel_on_disconnect is "yes"; it must be true or false'),
    ("hostler.yaml", "workers:\n  count:\n", 'hostler.yaml:2: workers.count is null; it must be "auto" or a whole number from 1 to 1024'),
    ("hostler.yaml", "workers:\n  count: 1\n  count: 2\n", "hostler.yaml:3: not valid YAML: workers.count stands in line 2, too"),
    ("hostler.yaml", "app: [\n", "hostler.yaml:2: not valid YAML: expected the node content, but found '<stream end>' (column 1)"),
    ("hostler.yaml", "app: !!python/object:os.system {}\n", None),
    ("hostler.yaml", "- app\n", "hostler.yaml:1: not valid YAML: the whole must be a mapping that holds sections"),
    ("hostler.yaml", "app:\n  env:\n    1: x\n", "hostler.yaml:3: not valid YAML: a key must be a text; put it in quotes (column 5)"),
    ("hostler.yaml", "a: &a\n  b: *a\n", None),
    ("hostler.yaml", "a: \x07\n", None),
    ("hostler.yaml", "a: &a [*a]\n", "hostler.yaml: not valid YAML: nested too deeply"),
    ("hostler.yaml", 'app:\n  env: {A: "\\ud800"}\n', "hostler.yaml:2: not valid YAML: a text has half of a surrogate pair (column 12)"),
    ("hostler.yaml", "server:\n  bind: [[[1]], {a: 1}]\n", "hostler.yaml:2: server.bind is [a list, a table]; it must be a list of at least one text, or of tables such as { address = \"https://:443\", certificate = \"a.pem\" }"),
    ("hostler.yaml", "env: 1\n", "hostler.yaml:1: env must hold overlays, such as env.production"),
    ("hostler.json", '{"workers": {\n"count": 0}}', 'hostler.json:2: workers.count is 0; it must be "auto" or a whole number from 1 to 1024'),
    ("hostler.json", '{"workers": {"count": 1,\n}}', None),
    ("hostler.json", '{"workers" 1}', "hostler.json:1: not valid JSON: Expecting ':' delimiter (column 12)"),
    ("hostler.json", '{"a": 1,\n"a": 2}', "hostler.json:2: not valid JSON: a stands in line 1, too"),
    ("hostler.json", "[]", "hostler.json:1: not valid JSON: the whole must be an object that holds sections"),
    ("hostler.json", '{"app": {"env": {"A": "\\ud800"}}}', "hostler.json: not valid JSON: a text has half of a surrogate pair"),
    ("hostler.json", '{"a": NaN}', "hostler.json: not valid JSON: NaN is no number of JSON"),
    ("hostler.json", "[" * 100_000, "hostler.json: not valid JSON: nested too deeply"),
    ("hostler.json", '{"env": {"live": 1}}', "hostler.json:1: env.live must be a table with sections, such as env.live.workers"),
    ("hostler.ini", "[workers]\nthreads = many\n", 'hostler.ini:2: workers.threads is "many"; it must be a whole number from 1 to 1024'),
    ("hostler.ini", "bind = :1\n", "hostler.ini:1: unknown option bind outside any section; did you mean server.bind?"),
    ("hostler.ini", "[app]\ntarget\n", "hostler.ini:2: not valid INI: the line is no [section], no name = value and no comment"),
    ("hostler.ini", "[app]\ntarget = 'a:b'\n", "hostler.ini:2: not valid INI: the value of target has quotes; values of INI files stand without"),
    ("hostler.ini", "[app]\n[app\n", "hostler.ini:2: not valid INI: a section is written [name] or [env.NAME.section]"),
    ("hostler.ini", "[env..app]\n", "hostler.ini:1: not valid INI: a section is written [name] or [env.NAME.section]"),
    ("hostler.ini", "[app]\nchdir = a\nchdir = b\n", "hostler.ini:3: not valid INI: chdir stands in line 2, too"),
    ("hostler.ini", "[app]\nenv = A=1\n[app.env]\n", "hostler.ini:3: not valid INI: app.env is an option in line 2"),
    ("hostler.ini", "[env.live.workers]\ncuont = 1\n", "hostler.ini:2: unknown option workers.cuont; did you mean workers.count?"),
]  # fmt: skip


@pytest.mark.parametrize("name, text, expected", MISTAKES)
def test_mistake_names_its_place_and_remedy(tmp_path: Path, name: str, text: str, expected: str | None) -> None:
    problems = explain(tmp_path, name, text)
    assert len(problems) == 1
    assert problems[0].startswith(name)
    if expected is not None:
        assert problems == [expected]


def test_yaml_section_that_is_commented_out_is_empty(tmp_path: Path) -> None:
    (tmp_path / "hostler.yaml").write_text("workers:\n  # count: 3\nenv:\n  live:\n", encoding="utf-8")
    assert load(tmp_path, "live").workers.count == 1


def test_yaml_anchors_and_merges_are_followed(tmp_path: Path) -> None:
    text = "workers: &w\n  count: 3\nenv:\n  live:\n    workers:\n      <<: *w\n      threads: 2\n"
    (tmp_path / "hostler.yaml").write_text(text, encoding="utf-8")
    workers = load(tmp_path, "live").workers
    assert (workers.count, workers.threads) == (3, 2)


def test_yaml_without_its_library_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert explain(tmp_path, "hostler.yaml", "app: {}") == [
        "hostler.yaml: not valid YAML: reading it needs PyYAML: install hostler[yaml], or write the file as TOML, JSON or INI"
    ]


def test_ini_keeps_quotes_that_belong_to_a_value() -> None:
    assert parse_ini('[log]\naccess_format = "%(r)s" "%(a)s"\n').tables == {"log": {"access_format": '"%(r)s" "%(a)s"'}}


def test_syntaxes_are_looked_for_in_the_documented_order() -> None:
    assert FILE_NAMES == ("hostler.toml", "hostler.yaml", "hostler.yml", "hostler.json", "hostler.ini")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=5), values, max_size=4), st.sampled_from([None, 1]))
def test_json_keys_are_found_whatever_surrounds_them(tables: dict[str, object], indent: int | None) -> None:
    text = json.dumps(tables, indent=indent)
    parsed = parse_json(text)
    assert parsed.tables == tables
    assert {path[0] for path in parsed.lines} == set(tables)
    for path, line in parsed.lines.items():
        assert json.dumps(path[-1]) in text.splitlines()[line - 1]


@given(st.text())
@pytest.mark.parametrize("parse", [parse_ini, parse_json, parse_yaml])
def test_any_text_is_understood_or_refused(parse: object, text: str) -> None:
    assert callable(parse)
    with contextlib.suppress(MalformedError, RecursionError):
        assert isinstance(parse(text).tables, dict)


def test_each_suffix_has_a_syntax() -> None:
    assert {syntax.name for syntax in SYNTAXES.values()} == {"TOML", "YAML", "JSON", "INI"}
