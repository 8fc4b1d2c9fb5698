"""What holds for every option, and the documents made from the schema."""

from __future__ import annotations

import dataclasses
import re
import tomllib

import pytest

from hostler.config import Config
from hostler.config.kind import Duration, Integer, Size
from hostler.config.option import Option, option, read_options
from hostler.config.parser import Parser, add_options, add_target, describe_default
from hostler.config.reference import write_configuration
from hostler.config.schema import SECTIONS, index_options, list_options
from hostler.errors import ConfigurationError

OPTIONS = pytest.mark.parametrize("declared", list_options(), ids=lambda found: found.path)


@OPTIONS
def test_option_is_documented_in_a_sentence(declared: Option) -> None:
    assert re.fullmatch(r"[A-Z`].*[.]", declared.doc, re.DOTALL), declared.doc


@OPTIONS
def test_number_has_a_unit(declared: Option) -> None:
    if isinstance(declared.kind, Integer | Duration | Size):
        assert declared.unit


@OPTIONS
def test_default_is_a_value_that_the_file_may_hold(declared: Option) -> None:
    written = declared.kind.format(declared.default)
    if declared.default is None:
        assert written == '""'
    assert declared.kind.convert(tomllib.loads(f"a = {written}")["a"]) == declared.default


@OPTIONS
def test_option_stands_in_the_reference(declared: Option) -> None:
    text = write_configuration()
    assert f"### {declared.path}\n\n{declared.doc}\n" in text
    assert f"| `{declared.variable}` | `{declared.path}` |" in text
    assert all(f"`{flag}`" in text for flag in declared.flags)


@OPTIONS
def test_option_follows_the_rule_of_names(declared: Option) -> None:
    assert declared.flag == f"--{declared.section}-{declared.name.replace('_', '-')}"
    assert declared.variable == f"HOSTLER_{declared.section.upper()}_{declared.name.upper()}"
    assert declared.flag in declared.flags


def test_no_spelling_is_used_twice() -> None:
    spellings = [flag for found in list_options() for flag in found.flags]
    spellings += ["--help", "-h", "--help-all", "-c", "--config", "--env", "--verbose", "--version", "-V", "--json"]
    assert len(spellings) == len(set(spellings))


def test_configuration_has_the_declared_sections() -> None:
    assert [field.name for field in dataclasses.fields(Config)] == list(SECTIONS)


def test_configuration_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().workers.threads = 5  # type: ignore[misc]


def test_integer_without_unit_is_refused() -> None:
    with pytest.raises(TypeError, match="needs a unit"):
        option(1, Integer(), doc="X.")


def test_option_reads_back_as_declared() -> None:
    @dataclasses.dataclass(frozen=True, slots=True)
    class Section:
        """Declared."""

        size: int = option(5, Size(), doc="A size.", short=("-s",))

    (found,) = read_options("box", Section)
    assert (found.path, found.default, found.flags, found.unit) == ("box.size", 5, ("-s", "--box-size"), "bytes")


def build(*, show_all: bool = False) -> Parser:
    parser = Parser(prog="hostler", allow_abbrev=False)
    add_target(parser)
    add_options(parser, show_all=show_all)
    return parser


@OPTIONS
def test_every_spelling_is_understood_and_kept(declared: Option) -> None:
    if declared.kind.name == "boolean":
        namespace = build().parse([declared.flag])
        assert namespace.flags[declared.path].texts == ("true",)
        namespace = build().parse([f"--no-{declared.flag[2:]}"])
        assert namespace.flags[declared.path].texts == ("false",)
        return
    for flag in declared.flags:
        namespace = build().parse([flag, "some text"])
        assert namespace.flags[declared.path].spelling == flag
        assert namespace.flags[declared.path].texts == ("some text",)


def test_lists_gather_and_others_keep_the_last() -> None:
    flags = build().parse(["-b", "1", "--bind=2", "-w3", "-w", "4"]).flags
    assert flags["server.bind"].texts == ("1", "2")
    assert flags["workers.count"].texts == ("4",)


def test_application_may_stand_among_the_flags() -> None:
    flags = build().parse(["-w", "2", "app:app", "--threads", "3"]).flags
    assert (flags["app.target"].spelling, flags["app.target"].texts) == ("APP", ("app:app",))


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--wrokers", "3"], "unknown option --wrokers; did you mean --workers?"),
        (["--zzzzzz=3"], "unknown option --zzzzzz; see --help-all"),
        (["--work", "3"], "unknown option --work; did you mean --workers?"),
        (["a", "b"], 'unexpected argument "b"; see hostler --help'),
        (["--workers"], "argument -w/--workers/--workers-count: expected one argument; see hostler --help"),
    ],
)
def test_mistake_on_the_command_line_is_told(arguments: list[str], expected: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        build().parse(arguments)
    assert str(caught.value) == expected


def test_short_help_shows_common_options_and_long_help_all() -> None:
    short, full = build().format_help(), build(show_all=True).format_help()
    for found in list_options():
        if found.path != "app.target":
            assert (found.flag in short) == found.common
            assert found.flag in full


def test_defaults_are_written_for_people() -> None:
    options = index_options()
    written = {path: describe_default(options[path]) for path in ("limits.body_size", "http.head_timeout", "app.env")}
    assert written == {"limits.body_size": "100MiB", "http.head_timeout": "30s", "app.env": "none"}
