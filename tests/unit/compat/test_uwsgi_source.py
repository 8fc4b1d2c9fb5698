"""Where uWSGI's options come from: command line, environment, four formats, placeholders, logic."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from hostler.compat.uwsgi.placeholder import compute, replace_all
from hostler.compat.uwsgi.reader import Reading
from hostler.errors import ConfigurationError
from tests.unit.compat.uwsgi import gather, list_given, open_door, write


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path


def open_reading(directory: Path, *words: str) -> Reading:
    door = open_door(directory, *words)
    door.gather()
    return door.reading


# The command line


@pytest.mark.parametrize(
    "words,given",
    [
        (["--processes", "4"], [("processes", "4")]),
        (["--processes=4", "-M", "-p", "5"], [("processes", "4"), ("master", None), ("processes", "5")]),
        (["-p6"], [("processes", "6")]),
        (["-MLp", "2"], [("master", None), ("disable-logging", None), ("processes", "2")]),
        (["--chmod-socket", "-C664"], [("chmod-socket", None), ("chmod-socket", "664")]),
        (["--chmod-socket=660"], [("chmod-socket", "660")]),
        (["--wsgi-fil", "x.py"], [("wsgi-file", "x.py")]),
    ],
)  # fmt: skip
def test_command_line_is_that_of_getopt(here: Path, words: list[str], given: list[tuple[str, str | None]]) -> None:
    assert list_given(here, *words) == given


@pytest.mark.parametrize(
    "words,message",
    [
        (["--procesess", "4"], r"^unknown option --procesess; did you mean processes\?$"),
        (["--processes"], r"^--processes needs a value$"),
        (["--master=1"], r"^--master takes no value; '1' was given$"),
        (["-Z"], r"^unknown option -Z; see hostler uwsgi --help$"),
        (["--http-so", ":1"], r"^--http-so may be --http-socket, "),
        (["app.py"], r"app.py is no configuration .*--wsgi-file"),
        (["absent.ini"], r"^hostler uwsgi: absent.ini cannot be read: No such file or directory$"),
    ],
)
def test_command_line_errors_name_the_word(here: Path, words: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        gather(here, *words)


def test_order_is_environment_then_options_then_files(here: Path) -> None:
    write(here, "[uwsgi]\nprocesses = 3\n")
    environ = {"UWSGI_PROCESSES": "1", "UWSGI_RELOADS": "7", "OTHER": "x"}
    given = list_given(here, "app.ini", "--processes", "2", environ=environ)
    assert given == [("processes", "1"), ("processes", "2"), ("processes", "3")]


def test_file_in_the_environment_is_read(here: Path) -> None:
    write(here, "[uwsgi]\nmaster = true\n")
    assert gather(here, environ={"UWSGI_INI": "app.ini"}).is_on("master")


def test_configuration_can_come_from_standard_input(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"[uwsgi]\nthreads = 6\n")))
    assert gather(here, "--ini", "-").number("threads") == 6


# Formats


def test_ini_has_sections_comments_and_no_comments_behind_values(here: Path) -> None:
    write(here, "; no\n# no\nstray = 1\n[uwsgi]\nmaster\n a = b = c \r\nthreads = 1 ; x\n[other]\nthreads = 9\n")
    assert list_given(here, "app.ini") == [("master", ""), ("threads", "1 ; x")]
    assert list_given(here, "app.ini:other") == [("threads", "9")]


def test_file_without_the_section_is_told(here: Path) -> None:
    write(here, "[other]\nthreads = 9\n")
    door = open_door(here, "--ini", "app.ini")
    door.gather()
    remark = "app.ini has no section uwsgi, or nothing in it"
    assert door.reading.remarks == (remark,)
    with pytest.raises(ConfigurationError, match=f"^{remark}\nno application was named"):
        door.read()


@pytest.mark.parametrize(
    "text,line",
    [
        ("uwsgi:\n  a: |\n    x\n", 2),
        ("uwsgi:\n  processes: 2\n  what is this\n", 3),
        ("uwsgi:\n  a: 'x\n", 2),
        ("uwsgi:\n  a:\n    b: c\n", 3),
    ],
)
def test_yaml_that_is_not_read_is_told_by_line(here: Path, text: str, line: int) -> None:
    write(here, text, "app.yaml")
    with pytest.raises(ConfigurationError, match=rf"^app\.yaml:{line}: "):
        gather(here, "app.yaml")


@pytest.mark.parametrize("text", ["[", "[]", '{"other": {}}', '{"uwsgi": 1}'])
def test_json_that_is_not_read_is_told(here: Path, text: str) -> None:
    write(here, text, "app.json")
    with pytest.raises(ConfigurationError, match=r"^app\.json: (not JSON: .*|there is no object \"uwsgi\" in it)$"):
        gather(here, "app.json")


@pytest.mark.parametrize(
    "text,message",
    [
        ("<uwsgi>\n<a></uwsgi>", r"^app\.xml:2: not XML: mismatched tag$"),
        ("<other/>", r"^app\.xml: there is no <uwsgi> element in it$"),
        (
            '<!DOCTYPE uwsgi [<!ENTITY x SYSTEM "/etc/passwd">]>\n<uwsgi><module>&x;</module></uwsgi>',
            r"^app\.xml:1: a document type is not read; take <!DOCTYPE \.\.\.> out$",
        ),
    ],
)
def test_xml_that_is_not_read_is_told(here: Path, text: str, message: str) -> None:
    write(here, text, "app.xml")
    with pytest.raises(ConfigurationError, match=message):
        gather(here, "app.xml")


@pytest.mark.parametrize("option", ["include", "inherit", "ini"])
def test_files_that_include_each_other_come_to_an_end(here: Path, option: str) -> None:
    write(here, f"[uwsgi]\n{option} = app.ini\n")
    with pytest.raises(ConfigurationError, match=r"^app\.ini:2: app\.ini: the files include each other without end$"):
        gather(here, "app.ini")


# Magic variables


def test_letters_stand_for_the_machine_and_the_file(here: Path) -> None:
    (here / "sites").mkdir()
    write(here / "sites", "[uwsgi]\na = %h %k %u %U %g %G %t %T %v\nb = %n %s %e %c %x %d %z|%%|%N\n", "shop.x.ini")
    found = {each.name: each.value for each in open_reading(here, "--ini", "sites/shop.x.ini").shown}
    assert found["a"] == f"stable 4 33 www-data 34 web 1700000000 1700000000500000 {here}"
    assert found["b"] == f"shop.x shop.x.ini ini sites  {here}/sites/ |%|shop.x"


def test_letters_of_an_included_file_are_its_own(here: Path) -> None:
    write(here, "[uwsgi]\ninclude = base.ini\nlast = %n\n")
    write(here, "[uwsgi]\nmine = %n\nfirst = %N\n", "base.ini")
    found = {each.name: each.value for each in open_reading(here, "--ini", "app.ini").shown}
    assert (found["mine"], found["first"], found["last"]) == ("base", "app", "app")


# Placeholders


@pytest.mark.parametrize(
    "scheme", ["http://example.org/x", "exec://id", "sym://x", "section://x", "data://x", "call://x", "emperor://"]
)
def test_schemes_that_are_not_safe_are_refused(here: Path, scheme: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^--procname: {scheme} cannot be: "):
        gather(here, "--procname", f"@({scheme})")


def test_placeholder_that_leads_to_itself_is_an_error(here: Path) -> None:
    write(here, "[uwsgi]\nprocname = x%(procname)\n")
    with pytest.raises(ConfigurationError, match=r"^app\.ini:2: %\(\.\.\.\) has no end, as it leads to itself$"):
        gather(here, "app.ini")


@pytest.mark.parametrize("text", ["$()", "$(", "$(A", "a$)", "$(MISSING)"])
def test_what_names_nothing_stays(text: str) -> None:
    assert replace_all(text, "$", {"A": "x"}.get, "here") == text


@pytest.mark.parametrize(
    "text,value",
    [
        ("two + 1", "3"),
        ("two * two + 1", "5"),
        ("7 / two", "3"),
        ("1 - 8 / 2", "-3"),
        ("two two", "22"),
        ("5 / 0", "0"),
    ],
)
def test_placeholders_compute_from_left_to_right(text: str, value: str) -> None:
    assert compute(text, {"two": "2"}.get) == value


def test_option_is_no_placeholder(here: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"^--set-ph: processes is an option; a placeholder needs another name$"
    ):
        gather(here, "--set-ph", "processes=2")


# Logic


def test_statements_do_not_nest(here: Path) -> None:
    write(here, "[uwsgi]\nfor = a b\nif-env = X\nprocesses = 1\nendif =\nendfor =\n")
    with pytest.raises(ConfigurationError, match=r"^app\.ini:3: if-env stands inside of for; end that first$"):
        gather(here, "app.ini")


def test_statement_without_end_is_told(here: Path) -> None:
    write(here, "[uwsgi]\nif-env = X\nprocesses = 1\n")
    door = open_door(here, "app.ini")
    door.gather()
    assert door.reading.remarks == ("if-env X has no end",)


def test_reload_is_a_condition(here: Path) -> None:
    write(here, "[uwsgi]\nmodule = a\nhttp-socket = :80\nif-reload =\nprocesses = 5\nendif =\n")
    door = open_door(here, "app.ini")
    assert (door.load().workers.count, door.load().workers.count) == (1, 5)


# Options of the operator's own


def test_declared_option_stands_for_others(here: Path) -> None:
    write(here, "[uwsgi]\ndeclare-option = site=module=$1.wsgi;threads=$2\nsite = shop 4\nstrict = true\n")
    facts = gather(here, "app.ini")
    assert (facts.text("module"), facts.number("threads")) == ("shop.wsgi", 4)
    shown = [each.name for each in open_reading(here, "app.ini").shown]
    assert shown == ["declare-option", "site", "strict"]


def test_declared_option_is_known_on_the_command_line(here: Path) -> None:
    facts = gather(here, "--declare-option", "site=module=$1.wsgi", "--site", "shop")
    assert facts.text("module") == "shop.wsgi"


# Strictness


def test_unknown_option_is_an_error_if_strict(here: Path) -> None:
    write(here, "[uwsgi]\nmastr = true\nset-ph = mine=1\nstrict = true\nzzz = 1\n")
    with pytest.raises(ConfigurationError) as caught:
        gather(here, "app.ini")
    assert str(caught.value).splitlines() == [
        "app.ini:2: unknown option mastr; did you mean master?",
        "app.ini:5: unknown option zzz; a placeholder is made by set-ph",
    ]


def test_unknown_option_that_is_nearly_right_is_told(here: Path) -> None:
    write(here, "[uwsgi]\nproceses = 2\nmine = 1\nmodul = shop\nmodule = %(modul)\n")
    door = open_door(here, "app.ini")
    door.gather()
    assert door.reading.remarks == ("app.ini:2: proceses is no option; did you mean processes?",)
