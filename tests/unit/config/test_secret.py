"""Values from elsewhere, what is kept out of sight, and variables that must be there."""

# ruff: noqa: E501 - messages stand whole, to be found by searching

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest

from hostler.config import Flag, Loaded, Sources, load_config
from hostler.config.kind import Table, Text
from hostler.config.secret import (
    LARGEST_FILE,
    Reference,
    convert_value,
    looks_secret,
    mask_items,
    parse_reference,
    parse_value,
)
from hostler.errors import ConfigurationError

SECRET = "correct horse battery staple"


@pytest.fixture(autouse=True)
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n", encoding="utf-8")
    return path


def load(directory: Path, text: str = "", *, name: str = "hostler.toml", **more: object) -> Loaded:
    (directory / name).write_text(text, encoding="utf-8")
    return load_config(Sources(directory, **more))  # type: ignore[arg-type]


def explain(directory: Path, text: str = "", *, name: str = "hostler.toml", **more: object) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(directory, text, name=name, **more)
    assert SECRET not in str(caught.value)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    "name, text",
    [
        ("hostler.toml", '[app.env]\nA = { file = "secret" }\nB = { env = "SOME" }\nC = "c"\n'),
        ("hostler.yaml", "app:\n  env:\n    A: {file: secret}\n    B: {env: SOME}\n    C: c\n"),
        ("hostler.json", '{"app": {"env": {"A": {"file": "secret"}, "B": {"env": "SOME"}, "C": "c"}}}'),
        ("hostler.ini", "[app.env]\nA = @file:secret\nB = @env:SOME\nC = c\n"),
        ("hostler.ini", "[app]\nenv = A=@file:secret, B=@env:SOME, C=c\n"),
    ],
)
def test_items_come_from_files_and_variables_in_every_syntax(tmp_path: Path, name: str, text: str) -> None:
    loaded = load(tmp_path, text, name=name, environ={"SOME": "from outside"})
    assert dict(loaded.config.app.env) == {"A": SECRET, "B": "from outside", "C": "c"}
    assert loaded.masks == {"app.env.A": "*** (from file secret)", "app.env.B": "*** (from variable SOME)"}


def test_items_come_from_elsewhere_in_flags_and_variables(tmp_path: Path, secret_file: Path) -> None:
    flags = {"app.env": Flag("--app-env", (f"A=@file:{secret_file}", "B=b"))}
    assert dict(load(tmp_path, flags=flags).config.app.env) == {"A": SECRET, "B": "b"}
    environ = {"HOSTLER_APP_ENV": "A=@file:secret,B=@env:HOME", "HOME": "/root", "HOSTLER_LOG_LEVEL": "@env:LEVEL"}
    loaded = load(tmp_path, environ={**environ, "LEVEL": "debug"})
    assert dict(loaded.config.app.env) == {"A": SECRET, "B": "/root"}
    assert (loaded.config.log.level, loaded.masks["log.level"]) == ("debug", "*** (from variable LEVEL)")


def test_texts_choices_and_paths_come_from_elsewhere(tmp_path: Path) -> None:
    text = '[log]\nlevel = { env = "L" }\naccess = { env = "A" }\n[server]\npid_file = { env = "P" }\nname = { file = "secret" }\n'
    config = load(tmp_path, text, environ={"L": "error", "A": "a.log", "P": "x.pid"}).config
    assert (config.log.level, config.server.name) == ("error", SECRET)
    assert config.log.access == str(tmp_path / "a.log")
    assert config.server.pid_file == tmp_path / "x.pid"


def test_text_in_a_typed_file_is_itself(tmp_path: Path) -> None:
    assert load(tmp_path, '[app.env]\nA = "@file:secret"\n').config.app.env["A"] == "@file:secret"


@pytest.mark.parametrize(
    "content, value", [(b"a", "a"), (b"a\n", "a"), (b"a\r\n", "a"), (b"a\n\n", "a\n"), (b"", ""), (b" a ", " a ")]
)
def test_one_line_end_is_cut(tmp_path: Path, secret_file: Path, content: bytes, value: str) -> None:
    secret_file.write_bytes(content)
    assert load(tmp_path, '[app.env]\nA = { file = "secret" }\n').config.app.env["A"] == value


def test_only_what_is_used_is_read(tmp_path: Path) -> None:
    text = '[log]\nlevel = { env = "NOT_SET" }\n[env.live.app.env]\nA = { file = "none" }\n'
    flags = {"log.level": Flag("--log-level", ("debug",))}
    assert load(tmp_path, text, flags=flags).config.log.level == "debug"
    assert explain(tmp_path, text, flags=flags, environment="live") == [
        "hostler.toml:4: app.env.A: file none cannot be read: No such file or directory"
    ]


@pytest.mark.parametrize(
    "text, expected",
    [
        ('[app.env]\nA = { env = "NOPE" }\n', "hostler.toml:2: app.env.A: variable NOPE is not set"),
        ('[log]\nlevel = { env = "NOPE" }\n', "hostler.toml:2: log.level: variable NOPE is not set"),
        ('[app.env]\nA = { file = "." }\n', "hostler.toml:2: app.env.A: file . cannot be read: Is a directory"),
        ('[app.env]\nA = { file = "binary" }\n', "hostler.toml:2: app.env.A: file binary is not UTF-8 text (byte 0)"),
        ('[app.env]\nA = { file = "huge" }\n', "hostler.toml:2: app.env.A: file huge is larger than 1 MiB"),
        ('[app.env]\nA = { file = "nul" }\n', "hostler.toml:2: app.env.A is *** (from file nul); it must be a text without NUL"),
        ('[log]\nlevel = { file = "secret" }\n', 'hostler.toml:2: log.level is *** (from file secret); it must be "debug", "info", "warning", "error" or "critical"'),
        ('[app]\nscript_name = { file = "secret" }\n', "hostler.toml:2: app.script_name is *** (from file secret), a value that cannot be"),
        ('[log]\nlevel = { fiel = "secret" }\n', 'hostler.toml:2: log.level is a table; it must be "debug", "info", "warning", "error" or "critical", or { file = "PATH" } or { env = "NAME" } to take it from elsewhere'),
        ('[app.env]\nB = "b"\nA = { file = 1 }\n', 'hostler.toml:3: app.env.A is a table; it must be a text, or { file = "PATH" } or { env = "NAME" } to take it from elsewhere'),
        ('[app]\nenv = "SECRET=correct horse battery staple"\n', "hostler.toml:2: app.env is ***; it must be a table of texts (as a flag or variable: KEY=VALUE), with names that are not empty"),
        ('[workers]\ncount = { env = "N" }\n', 'hostler.toml:2: workers.count is a table; it must be "auto" or a whole number from 1 to 1024'),
    ],
)  # fmt: skip
def test_what_leads_nowhere_is_told_without_the_value(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "binary").write_bytes(b"\xff")
    (tmp_path / "nul").write_bytes(b"a\0b")
    (tmp_path / "huge").write_bytes(b"x" * (LARGEST_FILE + 1))
    assert explain(tmp_path, text) == [expected]


@pytest.mark.parametrize("text", ["@file:", "@env: "])
def test_reference_without_a_name_is_a_mistake(tmp_path: Path, text: str) -> None:
    assert explain(tmp_path, environ={"HOSTLER_LOG_LEVEL": text})[0].startswith("HOSTLER_LOG_LEVEL: log.level is ")


def test_mistake_in_a_table_on_the_command_line_shows_no_values(tmp_path: Path) -> None:
    flags = {"app.env": Flag("--app-env", (f"A={SECRET}", SECRET))}
    assert explain(tmp_path, flags=flags)[0].startswith('--app-env is "A=***" "***"; it must be ')
    environ = {"HOSTLER_APP_ENV": f"A=x,{SECRET}"}
    assert explain(tmp_path, environ=environ)[0].startswith('HOSTLER_APP_ENV: app.env is "A=***, ***"; it must be ')


@pytest.mark.parametrize(
    "name, text",
    [
        ("hostler.toml", f'[app.env]\nSECRET = "{SECRET}\n'),
        ("hostler.yaml", f'app:\n  env:\n    SECRET: "{SECRET}" {SECRET}\n'),
        ("hostler.json", f'{{"app": {{"env": {{"SECRET": "{SECRET}" "{SECRET}"}}}}}}'),
        ("hostler.ini", f"[app.env]\nSECRET {SECRET}\n"),
    ],
)
def test_traceback_of_a_malformed_file_shows_no_values(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_config(Sources(tmp_path))
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "name, value, expected",
    [
        ("DB_PASSWORD", "x", True),
        ("SECRET_KEY", "x", True),
        ("api_token", "x", True),
        ("SENTRY_DSN", "x", True),
        ("DATABASE_URL", "postgres://me:hunter2@db/shop", True),
        ("DATABASE_URL", "postgres://db/shop", False),
        ("CALLBACK", "https://a.example/?mail=me@b.example", False),
        ("DEBUG", "true", False),
        ("LANG", "C.UTF-8", False),
    ],
)
def test_secret_is_recognised_by_its_name_or_its_form(name: str, value: str, expected: bool) -> None:
    assert looks_secret(name, value) == expected


def test_secret_among_the_variables_is_masked_whatever_its_source(tmp_path: Path) -> None:
    assert load(tmp_path, '[app.env]\nAPI_KEY = "x"\nDEBUG = "1"\n').masks == {"app.env.API_KEY": "***"}
    assert load(tmp_path, '[app.mounts]\n"/keys" = "x:y"\n').masks == {}


def test_items_are_masked_by_name() -> None:
    assert mask_items("A=1, B = 2,c") == "A=***, B=***, ***"


def test_references_are_told_from_values() -> None:
    assert parse_reference("@file:/a b") == Reference("file", "/a b")
    assert parse_reference(" @env:X ") == Reference("env", "X")
    assert parse_reference("me@file:x") is None
    assert parse_value(Text(), "@env:X") == Reference("env", "X")
    assert convert_value(Text(), {"env": "X"}) == Reference("env", "X")
    assert convert_value(Table(), {"file": "x"}) == {"file": "x"}


# app.require


def test_variables_that_are_missing_stop_the_start_together(tmp_path: Path) -> None:
    text = '[app]\nrequire = ["ONE", "TWO", "THREE", "FOUR"]\n[app.env]\nTHREE = "3"\n'
    assert explain(tmp_path, text, environ={"TWO": "", "FOUR": "4"}) == [
        "hostler.toml:2: app.require: ONE and TWO are not set, or empty; set them in the environment or in app.env"
    ]
    assert explain(tmp_path, text, environ={"ONE": "1", "FOUR": "4"}) == [
        "hostler.toml:2: app.require: TWO is not set, or empty; set it in the environment or in app.env"
    ]
    assert load(tmp_path, text, environ={"ONE": "1", "TWO": "2", "FOUR": "4"}).config.app.require[0] == "ONE"


def test_empty_variable_of_the_application_hides_that_of_the_environment(tmp_path: Path) -> None:
    text = '[app]\nrequire = ["ONE"]\n[app.env]\nONE = ""\n'
    assert len(explain(tmp_path, text, environ={"ONE": "1"})) == 1


def test_required_variable_may_come_from_a_file(tmp_path: Path) -> None:
    environ: Mapping[str, str] = {"HOSTLER_APP_REQUIRE": "ONE"}
    assert load(tmp_path, '[app.env]\nONE = { file = "secret" }\n', environ=environ).config.app.env["ONE"] == SECRET
